//! Recharges with Stripe, and payments that nobody told of.

use prost::Message as _;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use tollbooth_ingest::config::IngestConfig;
use tollbooth_schemas::v1::{self, command::Body};

use super::fake::{DECLINED, FakeStripe, Fault, NEEDS_ACTION, VISA, intent, succeeded};
use super::{buy, found, posted, postings, reconciled, reconciling, save, start, start_with, stripe};
use crate::meter::FakeMeter;
use crate::purchases::ledger;
use crate::recharge::{Running, decide, requested};
use crate::stand::Stand;

/// Reconciliation waits for longer than any test.
fn recharging(fake: &FakeStripe) -> impl FnOnce(&mut IngestConfig) {
    let fake = fake.clone();
    move |config| {
        stripe(config, &fake);
        config.purchases.provider_timeout_ms = 400;
        config.purchases.stripe.reconcile_after_ms = 3_600_000;
    }
}

/// Waits for the command that ends the recharge.
async fn ending(stand: &Stand) -> v1::Command {
    stand.until("it is answered", || stand.commands().len() == 1).await;
    stand.commands().pop().unwrap()
}

#[tokio::test]
async fn a_recharge_is_paid_off_session_by_the_saved_card() {
    let (stand, fake) = start().await;
    let running = Running::start(&stand, recharging(&fake));
    decide(&stand, &[requested("rch_1").encode_to_vec()]);
    let command = ending(&stand).await;
    let expected = v1::PostPurchase {
        payment_id: "rch_1".to_owned(),
        provider: "stripe".to_owned(),
        amount_micros: 50_000_000,
        source: v1::PurchaseSource::AutoRecharge.into(),
    };
    assert_eq!(command.body, Some(Body::PostPurchase(expected)));
    let confirmed = &fake.seen("/confirm")[0].form;
    assert_eq!(confirmed.get("off_session").map(String::as_str), Some("true"));
    assert_eq!(fake.seen("POST /v1/payment_intents")[0].headers["idempotency-key"], "rch_1");
    assert_eq!((fake.taken(), running.attempts("succeeded")), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_recharge_that_is_declined_or_wants_somebody_fails_with_our_reason() {
    for (method, reason) in [
        (format!("{DECLINED}insufficient_funds"), "insufficient_funds"),
        (format!("{DECLINED}pickup_card"), "card_declined"),
        (NEEDS_ACTION.to_owned(), "authentication_required"),
        ("pm_of_another".to_owned(), "unknown_payment_method"),
    ] {
        let (stand, fake) = start().await;
        save(&stand, &method).await;
        let running = Running::start(&stand, recharging(&fake));
        decide(&stand, &[requested("rch_1").encode_to_vec()]);
        let failed = v1::FailRecharge { recharge_id: "rch_1".to_owned(), reason: reason.to_owned() };
        assert_eq!(ending(&stand).await.body, Some(Body::FailRecharge(failed)), "{method}");
        assert_eq!(fake.taken(), 0);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_recharge_of_an_account_without_a_card_fails_so() {
    let fake = FakeStripe::start().await;
    let stand = Stand::start_with(|config| stripe(config, &fake)).await;
    let running = Running::start(&stand, recharging(&fake));
    decide(&stand, &[requested("rch_1").encode_to_vec()]);
    let failed = v1::FailRecharge { recharge_id: "rch_1".to_owned(), reason: "no_payment_method".to_owned() };
    assert_eq!(ending(&stand).await.body, Some(Body::FailRecharge(failed)));
    running.stop().await;
}

#[tokio::test]
async fn a_recharge_of_which_nobody_knows_is_asked_for_again_and_taken_once() {
    for fault in [Fault::AnswerLost, Fault::RequestLost, Fault::Status(401)] {
        // given a Stripe that is lost, or does not take our key for a while
        let (stand, fake) = start().await;
        fake.fail("POST /confirm", fault);
        let running = Running::start(&stand, recharging(&fake));
        decide(&stand, &[requested("rch_1").encode_to_vec()]);
        // then the account's recharge has not failed for it
        assert!(matches!(ending(&stand).await.body, Some(Body::PostPurchase(_))), "{fault:?}");
        assert_eq!((fake.taken(), fake.intents().len()), (1, 1));
        assert_eq!((running.attempts("no_answer"), running.attempts("failed")), (1, 0));
        running.stop().await;
    }
}

/// Made some minutes ago.
fn of_before(id: &str, payment_id: &str, metadata: &Value) -> Value {
    let mut ours = json!({
        "tollbooth_account": "acc_luna", "tollbooth_payment": payment_id, "tollbooth_source": "manual",
        "tollbooth_amount": "50.00 USD", "tollbooth_method": "saved"});
    if !metadata.is_null() {
        ours = metadata.clone();
    }
    let mut intent = intent(id, 5_000, "usd", &ours);
    intent["created"] = json!(chrono::Utc::now().timestamp() - 300);
    intent
}

#[tokio::test]
async fn a_purchase_that_nobody_tells_of_is_found_and_posted_once() {
    // given a payment whose answer was lost, whose client never comes back, and no webhook
    let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.fail("POST /confirm", Fault::AnswerLost);
    assert_eq!(buy(&stand, "p-1", None).await.0.as_u16(), 202);
    fake.change(0, |intent| intent["created"] = json!(chrono::Utc::now().timestamp() - 300));
    assert_eq!((fake.taken(), postings(&stand).len()), (1, 0));
    // when the effects ask Stripe, round after round
    let running = Running::start(&stand, reconciling(&fake));
    stand.until("it is posted", || found(&running) == 1).await;
    let rounds = fake.seen("GET /v1/payment_intents").len();
    stand.until("further rounds", || fake.seen("GET /v1/payment_intents").len() > rounds + 3).await;
    // then the ledger was told once
    assert_eq!((posted(&stand).len(), found(&running)), (1, 1));
    assert!(running.metric("tollbooth_payments_reconciled_timestamp_seconds ") > 0);
    running.stop().await;
    // and another process finds it posted
    let again = Running::start(&stand, reconciling(&fake));
    stand.until("it is known", || reconciled(&again, "known") == 1).await;
    assert_eq!(reconciled(&again, "posted"), 0);
    again.stop().await;
}

#[tokio::test]
async fn nothing_is_told_before_its_reply_can_be_read() {
    // given a payment that nobody told of, and brokers that do not say at first where a topic ends
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.put(succeeded(of_before("pi_1", "pay_1", &Value::Null)));
    stand.mock.request_errors(RDKafkaApiKey::ListOffsets, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN; 60]);
    // when the effects find it
    let running = Running::start(&stand, reconciling(&fake));
    stand.until("it is found", || found(&running) > 0).await;
    // then the ledger was told once, and its reply was heard
    let counted = ["posted", "known", "late"].map(|result| reconciled(&running, result));
    assert_eq!((counted, postings(&stand).len()), ([1, 0, 0], 1));
    running.stop().await;
}

#[tokio::test]
async fn all_pages_are_looked_at_and_only_what_is_ours_and_paid_is_posted() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    for at in 0..5 {
        fake.put(succeeded(of_before(&format!("pi_paid_{at}"), &format!("pay_{at}"), &Value::Null)));
    }
    fake.put(of_before("pi_open", "pay_open", &Value::Null));
    fake.put(succeeded(of_before("pi_foreign", "", &json!({"order_id": "6735"}))));
    let mut changed = succeeded(of_before("pi_changed", "pay_changed", &Value::Null));
    changed["amount_received"] = json!(1);
    fake.put(changed);
    let mut live = succeeded(of_before("pi_live", "pay_live", &Value::Null));
    live["livemode"] = json!(true);
    fake.put(live);
    let running = Running::start(&stand, reconciling(&fake));
    stand.until("all are posted", || found(&running) == 5).await;
    assert!(posted(&stand).iter().eq(["pay_0", "pay_1", "pay_2", "pay_3", "pay_4"]), "{:?}", posted(&stand));
    // It counts in every round, for an alert sees a counter rise and not that it begins with one.
    stand.until("the changed one is told of", || reconciled(&running, "refused") >= 3).await;
    assert_eq!((found(&running), posted(&stand).len()), (5, 5));
    running.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_never_reached_looks_stale_some_time_after_the_start() {
    let (stand, fake) = start().await;
    fake.fail("GET /payment_intents", Fault::Status(401));
    let began_s = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let running = Running::start(&stand, recharging(&fake));
    stand.until("a round", || !fake.seen("GET /v1/payment_intents").is_empty()).await;
    assert!(running.metric("tollbooth_payments_reconciled_timestamp_seconds ") >= began_s);
    running.stop().await;
}

/// What the payment of [`requested`] is at Stripe, made so many days ago.
fn recharge_of(days: i64) -> Value {
    let metadata = json!({
        "tollbooth_account": "acc_luna", "tollbooth_payment": "rch_1", "tollbooth_source": "auto_recharge",
        "tollbooth_amount": "50.00 USD", "tollbooth_method": "saved"});
    let mut intent = intent("pi_1", 5_000, "usd", &metadata);
    intent["created"] = json!(chrono::Utc::now().timestamp() - days * 86_400);
    intent
}

fn decided(days_ago: i64) -> Vec<u8> {
    let mut record = requested("rch_1");
    record.posted_at_ms -= days_ago * 86_400_000 + 60_000;
    record.encode_to_vec()
}

#[tokio::test]
async fn a_recharge_that_the_ledger_gives_up_takes_no_money_any_more() {
    // Nothing was made; something was made and not confirmed.
    for known in [None, Some(recharge_of(6))] {
        let (stand, fake) = start().await;
        known.into_iter().for_each(|intent| fake.put(intent));
        let running = Running::start(&stand, recharging(&fake));
        decide(&stand, &[decided(6)]);
        let failed = v1::FailRecharge { recharge_id: "rch_1".to_owned(), reason: "payment_too_old".to_owned() };
        assert_eq!(ending(&stand).await.body, Some(Body::FailRecharge(failed)));
        assert_eq!((fake.taken(), fake.seen("POST /v1/payment_intents").len(), fake.seen("/confirm").len()), (0, 0, 0));
        running.stop().await;
    }
    // What was taken is posted, however late. Reconciliation looks back for 30 days.
    let (stand, fake) = start().await;
    fake.put(succeeded(recharge_of(40)));
    let running = Running::start(&stand, recharging(&fake));
    decide(&stand, &[decided(40)]);
    assert!(matches!(ending(&stand).await.body, Some(Body::PostPurchase(_))));
    running.stop().await;
}

#[tokio::test]
async fn a_recharge_that_the_ledger_may_have_forgotten_is_not_posted_again() {
    for days_ago in [0, 81] {
        let (stand, fake) = start().await;
        fake.put(succeeded(recharge_of(81)));
        let running = Running::start(&stand, recharging(&fake));
        decide(&stand, &[decided(days_ago)]);
        let failed = v1::FailRecharge { recharge_id: "rch_1".to_owned(), reason: "payment_too_old".to_owned() };
        assert_eq!(ending(&stand).await.body, Some(Body::FailRecharge(failed)), "{days_ago}");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_was_made_just_now_is_left_to_its_own_request() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    assert_eq!(buy(&stand, "p-1", None).await.0.as_u16(), 200);
    let running = Running::start(&stand, recharging(&fake));
    let rounds = || fake.seen("GET /v1/payment_intents");
    stand.until("a round", || !rounds().is_empty()).await;
    let before_s: i64 = rounds()[0].form["created[lt]"].parse().unwrap();
    assert!(before_s < fake.intents()[0]["created"].as_i64().unwrap());
    assert_eq!((reconciled(&running, "known"), postings(&stand).len()), (0, 1));
    assert_eq!(fake.intents()[0]["payment_method"], json!(VISA));
    running.stop().await;
}
