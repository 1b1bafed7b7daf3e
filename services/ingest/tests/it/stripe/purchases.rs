//! Purchases with Stripe.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tollbooth_schemas::v1::{self, command::Body, reply::Outcome};

use super::fake::{BANK_PAGE, DECLINED, FakeStripe, Fault, NEEDS_ACTION, VISA};
use super::{KEY, PURCHASES, buy, postings, save, start, start_with, stripe};
use crate::meter::{FakeMeter, accepted};
use crate::purchases::ledger;
use crate::stand::Stand;

#[tokio::test]
async fn a_purchase_is_one_intent_of_the_saved_card_and_its_repeat_takes_nothing() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let (status, answer) = buy(&stand, "p-1", None).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("succeeded")), "{answer}");
    assert_eq!(answer["balance"], json!({"amount": "150.00", "currency": "USD"}));
    // What Stripe is asked: our id is its key, the amount is in cents, and the version is pinned.
    let id = answer["purchase_id"].as_str().unwrap();
    let made = &fake.seen("POST /v1/payment_intents")[0];
    let form = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("customer", "cus_luna"),
        ("payment_method", VISA),
        ("payment_method_types[]", "card"),
        ("metadata[tollbooth_account]", "acc_luna"),
        ("metadata[tollbooth_payment]", id),
        ("metadata[tollbooth_source]", "manual"),
        ("metadata[tollbooth_amount]", "50.00 USD"),
        ("metadata[tollbooth_method]", "saved"),
    ];
    assert_eq!(made.form, form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    assert_eq!(made.headers["idempotency-key"], id);
    assert_eq!(made.headers["stripe-version"], "2026-08-26.dahlia");
    assert_eq!(made.headers["authorization"], format!("Bearer {KEY}"));
    let confirmed = &fake.seen("/confirm")[0];
    assert_eq!(confirmed.form["return_url"], "https://dashboard.example/billing");
    assert!(!confirmed.form.contains_key("off_session"), "somebody is there");
    // Its repeat, here and at another process.
    let beside = stand.beside_with(|config| stripe(config, &fake)).await;
    for stand in [&stand, &beside] {
        let (status, again) = buy(stand, "p-1", None).await;
        assert_eq!((status, &again["replayed"]), (StatusCode::OK, &json!(true)), "{again}");
    }
    assert_eq!((fake.taken(), fake.intents().len(), postings(&stand).len()), (1, 1, 1));
    assert_eq!(postings(&stand)[0].provider, "stripe");
    assert_eq!(stand.metric("tollbooth_payments_total{outcome=\"succeeded\",provider=\"stripe\"}"), 1.0);
}

#[tokio::test]
async fn a_decline_has_our_reason_and_text_and_stays() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    for (code, reason, text) in [
        ("insufficient_funds", "insufficient_funds", "the card has not enough money"),
        ("stolen_card", "card_declined", "the bank refused it: use another card"),
        ("expired_card", "expired_card", "the card has expired"),
    ] {
        for _ in 0..2 {
            let (status, problem) = buy(&stand, code, Some(&format!("{DECLINED}{code}"))).await;
            assert_eq!((status, &problem["code"]), (StatusCode::PAYMENT_REQUIRED, &json!("payment_failed")));
            assert_eq!(problem["reason"], json!(reason), "{problem}");
            assert!(problem["detail"].as_str().unwrap().starts_with(text), "{problem}");
        }
    }
    // The key stands for that payment: with another card it is another one.
    let (status, problem) = buy(&stand, "stolen_card", Some(VISA)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch")));
    assert_eq!((fake.taken(), fake.seen("/confirm").len(), postings(&stand).len()), (0, 3, 0));
}

#[tokio::test]
async fn a_payment_that_the_bank_wants_confirmed_posts_after_it() {
    for approves in [true, false] {
        // given a purchase by a card with 3-D Secure
        let (stand, fake) = start().await;
        let _meter = FakeMeter::start(&stand, ledger());
        for _ in 0..2 {
            let (status, answer) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
            assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("needs_action")), "{answer}");
            assert_eq!(answer["next_action"], json!({"url": BANK_PAGE}));
        }
        assert_eq!((fake.taken(), postings(&stand).len()), (0, 0));
        // when the payer does what the page asks for, or does not
        fake.authenticate(0, approves);
        // then the repeat is posted, or failed for good
        let (status, answer) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
        if approves {
            assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("succeeded")), "{answer}");
        } else {
            let failed = json!("authentication_failed");
            assert_eq!((status, &answer["reason"]), (StatusCode::PAYMENT_REQUIRED, &failed), "{answer}");
        }
        assert_eq!(fake.seen("/confirm").len(), 1);
        assert_eq!(postings(&stand).len(), usize::from(approves));
    }
}

/// Buys until it is known, and gives back how often that was asked for.
async fn buy_until_known(stand: &Stand) -> usize {
    for tries in 1..10 {
        let (status, answer) = buy(stand, "p-1", None).await;
        if status == StatusCode::OK {
            assert_eq!(answer["status"], json!("succeeded"), "{answer}");
            return tries;
        }
        assert_eq!((status, &answer["status"]), (StatusCode::ACCEPTED, &json!("pending")), "{answer}");
    }
    panic!("it is never known");
}

#[tokio::test]
async fn an_answer_that_is_lost_never_takes_the_money_twice() {
    for what in ["GET /search", "POST /payment_intents", "POST /confirm"] {
        for fault in [Fault::AnswerLost, Fault::RequestLost] {
            // given a request to Stripe of which nobody knows what became
            let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
            let _meter = FakeMeter::start(&stand, ledger());
            fake.fail(what, fault);
            // when the purchase is repeated, then it is posted once
            assert_eq!(buy_until_known(&stand).await, 2, "{what} {fault:?}");
            assert_eq!((fake.taken(), fake.intents().len(), postings(&stand).len()), (1, 1, 1), "{what} {fault:?}");
        }
    }
}

#[tokio::test]
async fn neither_a_late_index_nor_a_forgotten_key_takes_the_money_twice() {
    for is_a_day_later in [false, true] {
        // given money that was taken without an answer
        let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
        let _meter = FakeMeter::start(&stand, ledger());
        fake.fail("POST /confirm", Fault::AnswerLost);
        assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::ACCEPTED);
        assert_eq!(fake.taken(), 1);
        // when it is asked for again at once, before Stripe's index has it, or when Stripe has forgotten the key
        if is_a_day_later {
            fake.forget_keys();
        } else {
            fake.index_is_late(true);
        }
        let (status, answer) = buy(&stand, "p-1", None).await;
        // then it is the same payment
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("succeeded")), "{answer}");
        assert_eq!((fake.taken(), fake.intents().len(), postings(&stand).len()), (1, 1, 1));
        assert_eq!(fake.seen("/confirm").len(), 1);
    }
}

#[tokio::test]
async fn a_stripe_that_is_busy_or_broken_is_asked_again_within_the_request() {
    for status in [429, 500, 503, 409] {
        let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 10_000).await;
        let _meter = FakeMeter::start(&stand, ledger());
        fake.fail("POST /payment_intents", Fault::Status(status));
        fake.fail("POST /confirm", Fault::Status(status));
        assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::OK, "{status}");
        assert_eq!((fake.taken(), fake.seen("POST /v1/payment_intents").len(), fake.seen("/confirm").len()), (1, 2, 2));
    }
}

#[tokio::test]
async fn what_cannot_be_paid_is_said_and_nothing_is_asked_for() {
    // A currency without a smaller unit, a payment method of somebody else, none that is saved.
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, |command| match (command.account_id.as_str(), accepted(command)) {
        ("acc_yen", Outcome::Accepted(answer)) => {
            Outcome::Accepted(v1::Accepted { currency: "JPY".to_owned(), ..answer })
        }
        (_, outcome) => outcome,
    });
    let path = "/v1/accounts/acc_yen/purchases";
    let (status, problem) = stand.command(Method::POST, path, &stand.root, "p-1", &json!({"amount": "50.50"})).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/amount")));
    assert_eq!(fake.seen("").len(), 0);
    let (status, problem) = stand.command(Method::POST, path, &stand.root, "p-2", &json!({"amount": "50"})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("no_payment_method")));
    for method in ["4242424242424242", "pm_of_another"] {
        let (status, problem) = buy(&stand, method, Some(method)).await;
        let pointer = &problem["errors"][0]["pointer"];
        assert_eq!((status, pointer), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/payment_method")), "{problem}");
        assert!(!problem.to_string().contains("4242"), "{problem}");
    }
    assert_eq!((fake.taken(), fake.seen("/confirm").len()), (0, 0));
    assert!(!stand.commands().iter().any(|command| matches!(command.body, Some(Body::PostPurchase(_)))));
}

#[tokio::test]
async fn a_key_that_stripe_does_not_take_is_our_fault_and_not_the_payers() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.fail("GET /search", Fault::Status(401));
    let (status, problem) = buy(&stand, "p-1", None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert!(!problem.to_string().contains(KEY));
    let refused = "tollbooth_payment_provider_calls_total{operation=\"find_intent\",result=\"unauthorized\"}";
    assert_eq!(stand.metric(refused), 1.0);
    assert_eq!(stand.metric("tollbooth_payments_total{outcome=\"unavailable\",provider=\"stripe\"}"), 1.0);
    // Repaired, the same request is paid.
    assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::OK);
    assert_eq!((fake.taken(), postings(&stand).len()), (1, 1));
}

#[tokio::test]
async fn another_card_that_is_saved_meanwhile_makes_no_second_payment() {
    // given a payment that is taken without an answer
    let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.fail("POST /confirm", Fault::AnswerLost);
    assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::ACCEPTED);
    // when another card is saved before the repeat
    save(&stand, "pm_card_mastercard").await;
    assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::OK);
    assert_eq!((fake.taken(), fake.intents().len()), (1, 1));
}

#[tokio::test]
async fn an_intent_that_somebody_changed_is_not_taken_for_ours() {
    // given an intent of ours whose amount was changed at Stripe before it was confirmed
    let fake = FakeStripe::start().await;
    let stand = Stand::start_with(|config| {
        stripe(config, &fake);
        config.purchases.provider_timeout_ms = 400;
    })
    .await;
    save(&stand, VISA).await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.fail("POST /confirm", Fault::RequestLost);
    assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::ACCEPTED);
    fake.change(0, |intent| intent["amount"] = json!(100));
    // then nothing is taken by it
    let (status, problem) = buy(&stand, "p-1", None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch")));
    assert_eq!((fake.taken(), postings(&stand).len()), (0, 0));
    assert!(stand.commands().iter().all(|command| command.account_id == "acc_luna"), "{PURCHASES}");
}
