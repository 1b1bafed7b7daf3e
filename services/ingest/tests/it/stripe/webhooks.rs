//! What Stripe tells by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollbooth_chassis::config::Secret;
use tollbooth_schemas::v1::{self, command::Body};

use super::fake::{Fault, NEEDS_ACTION, intent, succeeded};
use super::{SECRET, SECRET_BEFORE, buy, event, heard, postings, signed, start, start_with, tell, tell_signed};
use crate::meter::{FakeMeter, refused};
use crate::purchases::ledger;
use crate::stand::{DEADLINE, Stand};

fn now_s() -> i64 {
    chrono::Utc::now().timestamp()
}

/// An intent of ours whose money is taken.
fn paid(payment_id: &str) -> Value {
    let metadata = json!({
        "tollbooth_account": "acc_luna", "tollbooth_payment": payment_id, "tollbooth_source": "manual",
        "tollbooth_amount": "50.00 USD", "tollbooth_method": "saved"});
    succeeded(intent("pi_1", 5_000, "usd", &metadata))
}

#[tokio::test]
async fn a_purchase_whose_client_never_repeats_is_posted_by_the_webhook_once() {
    // given a payment of which nobody but Stripe knows that it succeeded
    let (stand, fake) = start_with(|config| config.purchases.provider_timeout_ms = 400).await;
    let _meter = FakeMeter::start(&stand, ledger());
    fake.fail("POST /confirm", Fault::AnswerLost);
    assert_eq!(buy(&stand, "p-1", None).await.0, StatusCode::ACCEPTED);
    assert_eq!(postings(&stand).len(), 0);
    // when Stripe tells of it, twice
    let told = event("payment_intent.succeeded", &fake.intents()[0]);
    for _ in 0..2 {
        assert_eq!(tell(&stand, &told).await, StatusCode::OK);
    }
    // then it is one purchase in the ledger, and the client's late repeat finds it
    assert_eq!((heard(&stand, "posted"), heard(&stand, "known")), (1.0, 1.0));
    let (status, answer) = buy(&stand, "p-1", None).await;
    assert_eq!((status, &answer["replayed"]), (StatusCode::OK, &json!(true)), "{answer}");
    let told: Vec<_> =
        stand.commands().into_iter().filter(|told| matches!(told.body, Some(Body::PostPurchase(_)))).collect();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0].idempotency_key, &told[0].body_hash), (&told[1].idempotency_key, &told[1].body_hash));
    assert_eq!(told[0].actor, "stripe");
}

#[tokio::test]
async fn a_webhook_before_the_answer_or_after_it_posts_nothing_twice() {
    let (stand, fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    // Before: the payer is done at the bank, and the webhook is quicker than the repeat.
    assert_eq!(buy(&stand, "p-1", Some(NEEDS_ACTION)).await.1["status"], json!("needs_action"));
    fake.authenticate(0, true);
    assert_eq!(tell(&stand, &event("payment_intent.succeeded", &fake.intents()[0])).await, StatusCode::OK);
    let (status, answer) = buy(&stand, "p-1", Some(NEEDS_ACTION)).await;
    assert_eq!((status, &answer["replayed"]), (StatusCode::OK, &json!(true)), "{answer}");
    // After: the request was answered long ago.
    assert_eq!(buy(&stand, "p-2", None).await.1["status"], json!("succeeded"));
    assert_eq!(tell(&stand, &event("payment_intent.succeeded", &fake.intents()[1])).await, StatusCode::OK);
    assert_eq!((heard(&stand, "posted"), heard(&stand, "known")), (1.0, 1.0));
}

#[tokio::test]
async fn only_what_stripe_signed_just_now_is_taken() {
    let (stand, _fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let body = event("payment_intent.succeeded", &paid("pay_1")).to_string();
    let other = event("payment_intent.succeeded", &paid("pay_2")).to_string();
    let refused = [
        (String::new(), "bad_signature"),
        (signed("whsec_of_somebody_else", now_s(), &body), "bad_signature"),
        // A signature of another body; then one that was seen before and is sent again.
        (signed(SECRET, now_s(), &other), "bad_signature"),
        (signed(SECRET, now_s() - 301, &body), "other_time"),
        (signed(SECRET, now_s() + 400, &body), "other_time"),
    ];
    for (header, result) in refused {
        let before = heard(&stand, result);
        let (status, problem) = tell_signed(&stand, &header, body.clone()).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_signature")), "{header}");
        assert_eq!(heard(&stand, result), before + 1.0, "{result}");
    }
    assert_eq!(postings(&stand).len(), 0);
    // Either of two secrets signs while they are changed, alone or together.
    let both = format!("{},{}", signed("whsec_of_yesterday", now_s(), &body), signed(SECRET, now_s(), &body));
    let both = both.replacen(&format!(",t={}", now_s()), "", 1);
    for header in [signed(SECRET, now_s(), &body), signed(SECRET_BEFORE, now_s(), &body), both] {
        assert_eq!(tell_signed(&stand, &header, body.clone()).await.0, StatusCode::OK, "{header}");
    }
    assert_eq!(heard(&stand, "posted"), 1.0);
}

#[tokio::test]
async fn play_money_is_no_credit_where_money_is_real() {
    // given an installation with a key of live mode
    let (stand, _fake) = start_with(|config| {
        config.purchases.stripe.secret_key = Secret::new("sk_live_of_the_tests");
        // Not asked in this test: a live key goes nowhere but to Stripe.
        config.purchases.stripe.api_url = "https://api.stripe.com".to_owned();
    })
    .await;
    let _meter = FakeMeter::start(&stand, ledger());
    // when an event of test mode comes, well signed
    assert_eq!(tell(&stand, &event("payment_intent.succeeded", &paid("pay_1"))).await, StatusCode::BAD_REQUEST);
    // then nothing is posted
    assert_eq!((heard(&stand, "wrong_mode"), postings(&stand).len()), (1.0, 0));
}

#[tokio::test]
async fn a_webhook_counts_as_told_only_when_the_ledger_has_it() {
    // given a ledger that does not answer, then refuses
    let (stand, _fake) = start_with(|config| config.commands.reply_timeout_ms = 300).await;
    let (is_silent, is_refusing) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (silent, refusing, ledger) = (Arc::clone(&is_silent), Arc::clone(&is_refusing), ledger());
    let _meter = FakeMeter::start_with_silence(&stand, move |command: &v1::Command| {
        let refusal = refusing.load(Ordering::Relaxed).then(|| refused(404, "unknown_account"));
        (!silent.load(Ordering::Relaxed)).then(|| refusal.unwrap_or_else(|| ledger(command)))
    });
    let told = event("payment_intent.succeeded", &paid("pay_1"));
    assert_eq!(tell(&stand, &told).await, StatusCode::SERVICE_UNAVAILABLE);
    is_silent.store(false, Ordering::Relaxed);
    // A slow machine may answer the first of these late as well.
    let mut status = tell(&stand, &told).await;
    while heard(&stand, "refused") == 0.0 {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        status = tell(&stand, &told).await;
    }
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    // when it takes it again, then Stripe's next try posts it
    is_refusing.store(false, Ordering::Relaxed);
    while tell(&stand, &told).await != StatusCode::OK {}
    assert_eq!(heard(&stand, "posted") + heard(&stand, "known"), 1.0);
}

#[tokio::test]
async fn what_is_not_ours_or_not_as_it_was_ordered_is_not_posted() {
    let (stand, _fake) = start().await;
    let _meter = FakeMeter::start(&stand, ledger());
    let mut foreign = paid("pay_1");
    foreign["metadata"] = json!({"order_id": "6735"});
    let mut less = paid("pay_2");
    less["amount_received"] = json!(100);
    let mut old = paid("pay_3");
    old["created"] = json!(now_s() - 81 * 86_400);
    for (about, result) in [(foreign, "ignored"), (less, "refused"), (old, "refused")] {
        let before = heard(&stand, result);
        assert_eq!(tell(&stand, &event("payment_intent.succeeded", &about)).await, StatusCode::OK);
        assert_eq!(heard(&stand, result), before + 1.0);
    }
    assert_eq!(tell(&stand, &event("customer.updated", &json!({"id": "cus_1"}))).await, StatusCode::OK);
    assert_eq!(tell(&stand, &event("payment_intent.succeeded", &json!({"id": 1}))).await, StatusCode::BAD_REQUEST);
    assert_eq!((heard(&stand, "malformed"), postings(&stand).len()), (1.0, 0));
    // A recharge that succeeded late is one in the ledger, too.
    let mut recharge = paid("rch_1");
    recharge["metadata"]["tollbooth_source"] = json!("auto_recharge");
    assert_eq!(tell(&stand, &event("payment_intent.succeeded", &recharge)).await, StatusCode::OK);
    assert_eq!(postings(&stand)[0].source, i32::from(v1::PurchaseSource::AutoRecharge));
}

/// Begins a webhook and never ends its body.
async fn begin(stand: &Stand) -> TcpStream {
    let host = stand.address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /v1/payments/stripe HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: 100\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server says so when it begins to read the body.
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&said));
    stream
}

#[tokio::test]
async fn whoever_cannot_sign_keeps_no_place_and_is_not_waited_for() {
    // given more bodies that never end than there are places
    let (stand, _fake) = start_with(|config| config.http.request_timeout_ms = 3_600_000).await;
    let _meter = FakeMeter::start(&stand, ledger());
    let mut begun = Vec::new();
    for _ in 0..33 {
        begun.push(begin(&stand).await);
    }
    // when Stripe tells of a payment, then it is posted
    assert_eq!(tell(&stand, &event("payment_intent.succeeded", &paid("pay_1"))).await, StatusCode::OK);
    // and the others are given up
    let mut answer = [0; 12];
    let ended = begun[0].read_exact(&mut answer);
    tokio::time::timeout(DEADLINE, ended).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}
