//! Which card an account pays with.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fake::{FakeStripe, VISA};
use super::{buy, event, heard, stripe, tell};
use crate::meter::FakeMeter;
use crate::purchases::ledger;
use crate::stand::{Stand, read};

const METHOD: &str = "/v1/accounts/acc_luna/payment-method";

async fn bare() -> (Stand, FakeStripe) {
    let fake = FakeStripe::start().await;
    let stand = Stand::start_with(|config| stripe(config, &fake)).await;
    (stand, fake)
}

async fn ask(stand: &Stand, method: Method, path: &str, key: &str) -> (StatusCode, Value) {
    read(stand.request(method, path, key).send().await.unwrap()).await
}

fn saved(method: &str, created: i64) -> Value {
    let mut event = event(
        "setup_intent.succeeded",
        &json!({"id": "seti_1", "object": "setup_intent", "customer": "cus_luna", "payment_method": method,
                "status": "succeeded", "usage": "off_session", "metadata": {"tollbooth_account": "acc_luna"}}),
    );
    event["created"] = json!(created);
    event
}

#[tokio::test]
async fn an_account_saves_its_card_on_stripes_page_and_pays_with_it() {
    // given an account with nothing saved
    let (stand, fake) = bare().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let own = stand.key("account").await.1;
    assert_eq!(ask(&stand, Method::GET, METHOD, &own).await.0, StatusCode::NOT_FOUND);
    // when it asks for the page, and Stripe tells that a card was saved there
    let (status, page) = ask(&stand, Method::POST, &format!("{METHOD}/setup"), &own).await;
    assert_eq!((status, &page["url"]), (StatusCode::OK, &json!("https://checkout.stripe.com/c/pay/cs_1")), "{page}");
    let asked = &fake.seen("/checkout/sessions")[0].form;
    assert_eq!((asked["mode"].as_str(), asked["customer"].as_str()), ("setup", "cus_luna"));
    assert_eq!(asked["setup_intent_data[metadata][tollbooth_account]"], "acc_luna");
    assert_eq!(fake.seen("/customers")[0].headers["idempotency-key"], "customer:acc_luna");
    assert_eq!(tell(&stand, &saved(VISA, 1_763_756_103)).await, StatusCode::OK);
    // then that card pays, at another process too
    let (_, shown) = ask(&stand, Method::GET, METHOD, &own).await;
    assert_eq!(
        (&shown["payment_method_id"], &shown["sandbox"], &shown["live"]),
        (&json!(VISA), &json!(false), &json!(false))
    );
    let beside = stand.beside_with(|config| stripe(config, &fake)).await;
    assert_eq!(buy(&beside, "p-1", None).await.0, StatusCode::OK);
    assert_eq!(fake.intents()[0]["payment_method"], json!(VISA));
    // Nobody else's key sees or changes it.
    let booth = stand.booth_key().await;
    assert_eq!(ask(&stand, Method::GET, METHOD, &booth).await.0, StatusCode::FORBIDDEN);
    let other = "/v1/accounts/acc_sol/payment-method/setup";
    assert_eq!(ask(&stand, Method::POST, other, &own).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_card_that_was_saved_earlier_and_comes_later_changes_nothing() {
    let (stand, _fake) = bare().await;
    for (method, created) in [("pm_card_2", 200), ("pm_card_1", 100), ("pm_card_2", 200)] {
        assert_eq!(tell(&stand, &saved(method, created)).await, StatusCode::OK);
        assert_eq!(ask(&stand, Method::GET, METHOD, &stand.root).await.1["payment_method_id"], json!("pm_card_2"));
    }
    assert_eq!((heard(&stand, "set_up"), heard(&stand, "known")), (1.0, 2.0));
    // Of accounts that are not ours nothing is written down.
    let mut foreign = saved("pm_card_3", 300);
    foreign["data"]["object"]["metadata"] = json!({});
    assert_eq!(tell(&stand, &foreign).await, StatusCode::OK);
    assert_eq!(heard(&stand, "ignored"), 1.0);
}

#[tokio::test]
async fn an_admin_names_customer_and_card_that_stripe_has() {
    let (stand, _fake) = bare().await;
    let own = stand.key("account").await.1;
    let body = json!({"customer_id": "cus_luna", "payment_method_id": VISA});
    let (status, _) = stand.command(Method::PUT, METHOD, &own, "k", &body).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    for (customer, method, pointer) in [
        ("cus_luna", "pm_of_nobody", "/payment_method_id"),
        ("cus_other", VISA, "/payment_method_id"),
        ("cus_luna", "../balance", "/payment_method_id"),
        ("luna", VISA, "/customer_id"),
    ] {
        let body = json!({"customer_id": customer, "payment_method_id": method});
        let (status, problem) = stand.command(Method::PUT, METHOD, &stand.root, "k", &body).await;
        let found = &problem["errors"][0]["pointer"];
        assert_eq!((status, found), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)), "{problem}");
    }
    let (status, shown) = stand.command(Method::PUT, METHOD, &stand.root, "k", &body).await;
    assert_eq!((status, &shown["customer_id"]), (StatusCode::OK, &json!("cus_luna")), "{shown}");
    // Forgotten, the customer stays, and nothing can be paid.
    assert_eq!(ask(&stand, Method::DELETE, METHOD, &own).await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(&stand, Method::GET, METHOD, &own).await.1["payment_method_id"], Value::Null);
    let _meter = FakeMeter::start(&stand, ledger());
    assert_eq!(buy(&stand, "p-1", None).await.1["code"], json!("no_payment_method"));
}

#[tokio::test]
async fn without_stripe_there_is_nothing_to_save_and_nobody_to_listen_to() {
    let stand = Stand::start_with(|config| {
        config.purchases.provider = tollbooth_ingest::config::Provider::Sandbox;
    })
    .await;
    for (method, path) in [(Method::GET, METHOD), (Method::POST, "/v1/payments/stripe")] {
        let (status, problem) = ask(&stand, method, path, &stand.root).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("no_payment_provider")));
    }
}
