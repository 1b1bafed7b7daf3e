//! Purchases whose payer leaves: given up at Stripe, unless the money was taken first.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fake::{BANK_PAGE, DECLINED, Fault, NEEDS_ACTION};
use super::{PURCHASES, buy, found, posted, postings, reconciled, reconciling, start, start_with};
use crate::meter::FakeMeter;
use crate::purchases::ledger;
use crate::recharge::Running;
use crate::stand::Stand;

async fn cancel(stand: &Stand, purchase_id: &Value) -> (StatusCode, Value) {
    let path = format!("{PURCHASES}/{}/cancel", purchase_id.as_str().unwrap());
    stand.command(Method::POST, &path, &stand.root, "of no meaning", &json!({})).await
}

#[tokio::test]
async fn a_purchase_that_waits_for_its_payer_is_given_up_for_good() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    // given a payer who is to act, and a search that is behind
    fake.index_is_late(true);
    let (_, answer) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
    assert_eq!(answer["next_action"]["url"], json!(BANK_PAGE));
    // when they leave, twice
    for _ in 0..2 {
        let (status, canceled) = cancel(&stand, &answer["purchase_id"]).await;
        assert_eq!((status, &canceled["status"]), (StatusCode::OK, &json!("canceled")), "{canceled}");
        assert_eq!((&canceled["provider"], &canceled["sandbox"]), (&json!("stripe"), &json!(false)));
    }
    // then Stripe takes nothing any more, the repeat says so, and another one is another one
    assert_eq!(fake.intents()[0]["status"], json!("canceled"));
    assert_eq!(fake.seen("/cancel")[0].form["cancellation_reason"], "requested_by_customer");
    fake.index_is_late(false);
    for _ in 0..2 {
        let (status, problem) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
        assert_eq!((status, &problem["reason"]), (StatusCode::PAYMENT_REQUIRED, &json!("canceled")), "{problem}");
        fake.forget_keys();
    }
    assert_eq!((fake.taken(), fake.intents().len(), postings(&stand).len()), (0, 1, 0));
    assert_eq!(buy(&stand, "p-2", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn whoever_pays_while_it_is_given_up_has_the_credit_once() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let (_, answer) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
    // when the payer is done at the bank between the look and the cancel
    fake.authenticate_before("POST /cancel", 0);
    let (status, taken) = cancel(&stand, &answer["purchase_id"]).await;
    assert_eq!((status, &taken["status"]), (StatusCode::OK, &json!("succeeded")), "{taken}");
    assert_eq!((&taken["balance"]["amount"], &taken["replayed"]), (&json!("150.00"), &json!(false)));
    // then whoever comes later finds it posted
    let (status, again) = cancel(&stand, &answer["purchase_id"]).await;
    assert_eq!((status, &again["replayed"]), (StatusCode::OK, &json!(true)), "{again}");
    let (status, again) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
    assert_eq!((status, &again["replayed"]), (StatusCode::OK, &json!(true)), "{again}");
    let (hashes, keys): (Vec<_>, Vec<_>) = stand
        .commands()
        .into_iter()
        .filter(|told| told.idempotency_key.starts_with("payment:"))
        .map(|told| (told.body_hash, told.idempotency_key))
        .unzip();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]) && keys.iter().all(|key| *key == keys[0]));
    assert_eq!(fake.taken(), 1);
}

#[tokio::test]
async fn only_the_own_purchases_are_given_up_and_what_nobody_knows_is_said_so() {
    let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
    let _meter = FakeMeter::start(&stand, ledger());
    let (_, answer) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
    let id = answer["purchase_id"].as_str().unwrap();
    let cancel_at = async |path: String| stand.command(Method::POST, &path, &stand.root, "x", &json!({})).await.0;
    // Of another account; no id of ours, such as one that would say more to the search; a recharge.
    let other = cancel_at(format!("/v1/accounts/acc_sol/purchases/{id}/cancel")).await;
    assert_eq!(other, StatusCode::NOT_FOUND);
    let looked = fake.seen("GET /v1/payment_intents/search").len();
    for text in ["pay_1", "pay_%27%20OR%20status%3A%27succeeded", "rch_0123456789abcdef01234567"] {
        assert_eq!(cancel_at(format!("{PURCHASES}/{text}/cancel")).await, StatusCode::NOT_FOUND, "{text}");
    }
    assert_eq!(fake.seen("GET /v1/payment_intents/search").len(), looked);
    assert_eq!(cancel_at(format!("{PURCHASES}/pay_0123456789abcdef01234567/cancel")).await, StatusCode::NOT_FOUND);
    // The answer is lost: it may be canceled, and nobody says that it is not taken.
    fake.fail("POST /cancel", Fault::AnswerLost);
    let (status, pending) = cancel(&stand, &answer["purchase_id"]).await;
    assert_eq!((status, &pending["status"]), (StatusCode::ACCEPTED, &json!("pending")));
    assert_eq!(cancel(&stand, &answer["purchase_id"]).await.1["status"], json!("canceled"));
    fake.fail("GET /search", Fault::Status(401));
    assert_eq!(cancel(&stand, &answer["purchase_id"]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // One that failed already cannot be made to succeed any more.
    let (_, failed) = buy(&stand, "p-2", Some(&format!("{DECLINED}expired_card"))).await;
    assert_eq!(cancel(&stand, &failed["purchase_id"]).await.1["status"], json!("canceled"));
    assert_eq!((fake.taken(), postings(&stand).len()), (0, 0));
}

/// Made so long ago.
fn made_before(fake: &super::fake::FakeStripe, at: usize, seconds: i64) {
    fake.change(at, |intent| intent["created"] = json!(chrono::Utc::now().timestamp() - seconds));
}

#[tokio::test]
async fn what_its_payer_left_is_given_up_after_a_day_and_nothing_else() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    for key in ["left", "young", "paid", "foreign", "recharge"] {
        buy(&stand, key, Some(NEEDS_ACTION)).await;
    }
    for at in [0, 2, 3, 4] {
        made_before(&fake, at, 86_401);
    }
    made_before(&fake, 1, 86_000);
    fake.change(3, |intent| intent["metadata"] = json!({"order_id": "6735"}));
    fake.change(4, |intent| intent["metadata"]["tollbooth_source"] = json!("auto_recharge"));
    // The payer of the third is done at the last moment.
    fake.authenticate_before("POST pi_3/cancel", 2);
    let running = Running::start(&stand, reconciling(&fake));
    stand
        .until("one is given up, one is posted", || (reconciled(&running, "expired"), found(&running)) == (1, 1))
        .await;
    let rounds = fake.seen("GET /v1/payment_intents").len();
    stand.until("further rounds", || fake.seen("GET /v1/payment_intents").len() > rounds + 6).await;
    let statuses: Vec<Value> = fake.intents().iter().map(|intent| intent["status"].clone()).collect();
    assert_eq!(statuses, ["canceled", "requires_action", "succeeded", "requires_action", "requires_action"]);
    assert_eq!((reconciled(&running, "expired"), posted(&stand).len(), fake.taken()), (1, 1, 1));
    assert_eq!(fake.seen("pi_1/cancel")[0].form["cancellation_reason"], "abandoned");
    running.stop().await;
}
