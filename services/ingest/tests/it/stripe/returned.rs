//! Money that goes back at Stripe: what the ledger is told of it, once, whoever tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use serde_json::json;
use tollbooth_schemas::v1::{self, command::Body};

use super::fake::{FakeStripe, Fault};
use super::{buy, event, heard, postings, reconciled, reconciling, start, start_with, tell};
use crate::meter::{FakeMeter, refused};
use crate::purchases::ledger;
use crate::recharge::Running;
use crate::stand::Stand;

/// What the ledger was told beside purchases: reason or name, amount and note, without repeats.
fn told(stand: &Stand) -> Vec<(String, i64, String)> {
    let mut told: Vec<(String, (String, i64, String))> = Vec::new();
    for command in stand.commands() {
        let what = match command.body {
            Some(Body::PostAdjustment(of)) => (of.reason, of.amount_micros, of.note),
            Some(Body::SetRecharge(of)) => {
                assert!(!of.enabled);
                ("recharge_off".to_owned(), 0, String::new())
            }
            _ => continue,
        };
        if !told.iter().any(|(key, _)| *key == command.idempotency_key) {
            told.push((command.idempotency_key, what));
        }
    }
    told.into_iter().map(|(_, what)| what).collect()
}

fn off() -> (String, i64, String) {
    ("recharge_off".to_owned(), 0, String::new())
}

fn entry(reason: &str, micros: i64, note: &str) -> (String, i64, String) {
    (reason.to_owned(), micros, note.to_owned())
}

fn returned(stand: &Stand, way: &str) -> f64 {
    stand.metric(&format!("tollbooth_payments_returned_total{{way=\"{way}\"}}"))
}

async fn bought(stand: &Stand) -> String {
    let (status, answer) = buy(stand, "p-1", None).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["purchase_id"].as_str().unwrap().to_owned()
}

fn of_charge(intent_id: &str) -> serde_json::Value {
    json!({"id": "ch_1", "object": "charge", "amount": 5_000, "amount_refunded": 2_000, "payment_intent": intent_id})
}

#[tokio::test]
async fn what_is_refunded_at_stripe_is_taken_off_once_and_the_recharge_switched_off_before() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let payment_id = bought(&stand).await;
    // when parts are given back, and Stripe tells of each in several ways, twice
    fake.refund("re_1", "pi_1", 2_000, "pending");
    fake.refund("re_2", "pi_1", 500, "succeeded");
    for _ in 0..2 {
        assert_eq!(tell(&stand, &event("charge.refunded", &of_charge("pi_1"))).await, StatusCode::OK);
        let refund = json!({"id": "re_1", "object": "refund", "payment_intent": "pi_1"});
        assert_eq!(tell(&stand, &event("refund.updated", &refund)).await, StatusCode::OK);
    }
    // then each is one entry, behind the end of the rule that would have bought it again
    let (first, second) = (format!("{payment_id} re_1"), format!("{payment_id} re_2"));
    let expected =
        [off(), entry("payment_refunded", -5_000_000, &second), off(), entry("payment_refunded", -20_000_000, &first)];
    assert_eq!(told(&stand), expected);
    assert_eq!((returned(&stand, "refund"), heard(&stand, "returned"), heard(&stand, "known")), (2.0, 1.0, 3.0));
    // One that fails later comes again.
    fake.refund("re_1", "pi_1", 2_000, "failed");
    let refund = json!({"id": "re_1", "object": "refund", "payment_intent": "pi_1"});
    assert_eq!(tell(&stand, &event("refund.failed", &refund)).await, StatusCode::OK);
    assert_eq!(told(&stand)[4..], [entry("payment_refund_failed", 20_000_000, &first)]);
    assert_eq!((returned(&stand, "refund"), returned(&stand, "refund_failed")), (2.0, 1.0));
}

#[tokio::test]
async fn a_dispute_takes_the_money_when_the_bank_does_and_gives_it_again_when_it_is_won() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let note = format!("{} dp_1", bought(&stand).await);
    let dispute = json!({"id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "charge": "ch_1"});
    // An inquiry moves nothing.
    fake.dispute("dp_1", "pi_1", 5_000, &[]);
    assert_eq!(tell(&stand, &event("charge.dispute.created", &dispute)).await, StatusCode::OK);
    assert_eq!((told(&stand), heard(&stand, "ignored")), (vec![], 1.0));
    fake.dispute("dp_1", "pi_1", 5_000, &[(-5_000, 10)]);
    for kind in ["charge.dispute.funds_withdrawn", "charge.dispute.updated"] {
        assert_eq!(tell(&stand, &event(kind, &dispute)).await, StatusCode::OK);
    }
    assert_eq!(told(&stand), [off(), entry("payment_disputed", -50_000_000, &note)]);
    fake.dispute("dp_1", "pi_1", 5_000, &[(-5_000, 10), (5_000, 0)]);
    for kind in ["charge.dispute.closed", "charge.dispute.funds_reinstated"] {
        assert_eq!(tell(&stand, &event(kind, &dispute)).await, StatusCode::OK);
    }
    assert_eq!(told(&stand)[2..], [entry("payment_dispute_won", 50_000_000, &note)]);
    assert_eq!((returned(&stand, "dispute"), returned(&stand, "dispute_won")), (1.0, 1.0));
    // A part that comes again is for a person.
    fake.dispute("dp_2", "pi_1", 5_000, &[(-5_000, 10), (2_000, 0)]);
    assert_eq!(tell(&stand, &event("charge.dispute.closed", &dispute)).await, StatusCode::OK);
    assert_eq!(
        (heard(&stand, "refused"), returned(&stand, "dispute"), returned(&stand, "dispute_won")),
        (1.0, 2.0, 1.0)
    );
}

#[tokio::test]
async fn money_that_went_back_before_its_purchase_was_posted_is_put_on_first() {
    // given a payment of which the ledger has not heard
    let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.fail("POST /confirm", Fault::AnswerLost);
    assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::ACCEPTED);
    fake.refund("re_1", "pi_1", 5_000, "succeeded");
    assert_eq!(tell(&stand, &event("charge.refunded", &of_charge("pi_1"))).await, StatusCode::OK);
    assert_eq!(postings(&stand).len(), 1);
    let amounts: Vec<i64> = told(&stand).into_iter().map(|(_, micros, _)| micros).collect();
    assert_eq!(amounts, [0, -50_000_000]);
    let last = stand.commands().into_iter().rposition(|command| matches!(command.body, Some(Body::PostPurchase(_))));
    let first = stand.commands().into_iter().position(|command| matches!(command.body, Some(Body::PostAdjustment(_))));
    assert!(last < first);
}

#[tokio::test]
async fn nothing_is_given_again_whose_taking_the_ledger_did_not_take() {
    // given a ledger that refuses to take anything off
    let (stand, fake) = start().await;
    let is_refusing = Arc::new(AtomicBool::new(true));
    let (refusing, ledger) = (Arc::clone(&is_refusing), ledger());
    let _meter = FakeMeter::start(&stand, move |command: &v1::Command| match &command.body {
        Some(Body::PostAdjustment(of)) if of.amount_micros < 0 && refusing.load(Ordering::Relaxed) => {
            refused(422, "out_of_range")
        }
        _ => ledger(command),
    });
    bought(&stand).await;
    fake.dispute("dp_1", "pi_1", 5_000, &[(-5_000, 10), (5_000, 0)]);
    let dispute = event("charge.dispute.closed", &json!({"id": "dp_1", "payment_intent": "pi_1"}));
    // then Stripe is to come again, and nothing was put on
    assert_eq!(tell(&stand, &dispute).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(heard(&stand, "refused"), 1.0);
    assert!(told(&stand).iter().all(|(_, micros, _)| *micros <= 0));
    is_refusing.store(false, Ordering::Relaxed);
    assert_eq!(tell(&stand, &dispute).await, StatusCode::OK);
    let amounts: Vec<i64> = told(&stand).into_iter().map(|(_, micros, _)| micros).collect();
    assert_eq!(amounts, [0, -50_000_000, 50_000_000]);
}

#[tokio::test]
async fn what_went_long_ago_or_is_not_ours_is_left_to_people() {
    const DAY_S: i64 = 86_400;
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    bought(&stand).await;
    let tell_of = async |intent_id: &str| tell(&stand, &event("charge.refunded", &of_charge(intent_id))).await;
    // Taken before the ledger can be asked whether it knows, and given again now.
    fake.dispute("dp_1", "pi_1", 5_000, &[(-5_000, 81 * DAY_S), (5_000, 0)]);
    assert_eq!(tell_of("pi_1").await, StatusCode::OK);
    assert_eq!((heard(&stand, "refused"), told(&stand).len()), (1.0, 0));
    // Both long ago, and a charge of something else, and one without an intent.
    fake.dispute("dp_1", "pi_1", 5_000, &[(-5_000, 82 * DAY_S), (5_000, 81 * DAY_S)]);
    fake.put(super::fake::succeeded(super::fake::intent("pi_2", 5_000, "usd", &json!({"order_id": "6735"}))));
    fake.refund("re_9", "pi_2", 5_000, "succeeded");
    assert_eq!((tell_of("pi_1").await, tell_of("pi_2").await), (StatusCode::OK, StatusCode::OK));
    let bare = json!({"id": "ch_1", "object": "charge", "payment_intent": null});
    assert_eq!(tell(&stand, &event("charge.refunded", &bare)).await, StatusCode::OK);
    // A payment that was changed at Stripe was never posted: nothing of it is taken off.
    fake.change(0, |intent| intent["amount_received"] = json!(1));
    fake.refund("re_1", "pi_1", 5_000, "succeeded");
    assert_eq!(tell_of("pi_1").await, StatusCode::OK);
    assert_eq!((heard(&stand, "refused"), told(&stand).len()), (2.0, 0));
    // Where Stripe does not say what moved, it is to come again.
    fake.change(0, |intent| intent["amount_received"] = json!(5_000));
    fake.fail("GET /refunds", Fault::Status(401));
    assert_eq!(tell_of("pi_1").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((heard(&stand, "late"), told(&stand).len()), (1.0, 0));
}

#[tokio::test]
async fn what_no_webhook_told_of_is_found_and_told_once() {
    let (stand, fake): (Stand, FakeStripe) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let payment_id = bought(&stand).await;
    for at in 1..=3 {
        fake.refund(&format!("re_{at}"), "pi_1", 100 * at, "succeeded");
    }
    fake.dispute("dp_1", "pi_1", 4_400, &[(-4_400, 10)]);
    let running = Running::start(&stand, reconciling(&fake));
    let found = |way: &str| running.metric(&format!("tollbooth_payments_returned_total{{way=\"{way}\"}} "));
    stand.until("all are told of", || (found("refund"), found("dispute")) == (3, 1)).await;
    let rounds = fake.seen("GET /v1/disputes").len();
    stand.until("further rounds", || fake.seen("GET /v1/disputes").len() > rounds + 3).await;
    assert_eq!((found("refund"), found("dispute"), reconciled(&running, "refused")), (3, 1, 0));
    let amounts: i64 = told(&stand).into_iter().map(|(_, micros, _)| micros).sum();
    assert_eq!(amounts, -50_000_000);
    // What changes is looked at again: the bank gives it back.
    fake.dispute("dp_1", "pi_1", 4_400, &[(-4_400, 10), (4_400, 0)]);
    stand.until("it is told of", || found("dispute_won") == 1).await;
    assert_eq!(told(&stand).pop(), Some(entry("payment_dispute_won", 44_000_000, &format!("{payment_id} dp_1"))));
    running.stop().await;
}
