//! Purchases over HTTP: the sandbox takes the money, a meter of the test's own keeps the ledger.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_ingest::config::{IngestConfig, Provider};
use tollbooth_schemas::v1::{self, command::Body, reply::Outcome};

use crate::meter::{FakeMeter, accepted, refused};
use crate::stand::{DEADLINE, Stand};

const PURCHASES: &str = "/v1/accounts/acc_luna/purchases";
const APPROVES: &str = "4242424242424242";
const DECLINES: &str = "4000000000000002";
const NEEDS_ACTION: &str = "4000002500003155";
const TIMES_OUT: &str = "4000000000000119";

fn sandbox(config: &mut IngestConfig) {
    config.purchases.provider = Provider::Sandbox;
    config.purchases.provider_timeout_ms = 200;
}

/// Answers as the ledger does: a key that was carried out is answered again, a question posts nothing.
pub(crate) fn ledger() -> impl Fn(&v1::Command) -> Outcome + Send + 'static {
    let carried_out: Mutex<HashMap<String, (Vec<u8>, v1::Accepted)>> = Mutex::default();
    move |command| {
        let mut carried_out = carried_out.lock().unwrap();
        if let Some((body_hash, answer)) = carried_out.get(&command.idempotency_key) {
            if *body_hash != command.body_hash {
                return refused(422, "idempotency_mismatch");
            }
            return Outcome::Accepted(v1::Accepted { replayed: true, ..answer.clone() });
        }
        let outcome = accepted(command);
        let posts =
            matches!(&command.body, Some(Body::PostPurchase(_) | Body::PostAdjustment(_) | Body::SetRecharge(_)));
        if let (Outcome::Accepted(answer), true) = (&outcome, posts) {
            let kept = (command.body_hash.clone(), answer.clone());
            carried_out.insert(command.idempotency_key.clone(), kept);
        }
        outcome
    }
}

async fn buy(stand: &Stand, key: &str, card: &str) -> (StatusCode, Value) {
    buy_for(stand, key, card, "50.00").await
}

async fn buy_for(stand: &Stand, key: &str, card: &str, amount: &str) -> (StatusCode, Value) {
    let body = json!({"amount": amount, "payment_method": card});
    let (status, answer) = stand.command(Method::POST, PURCHASES, &stand.root, key, &body).await;
    // Holds for every answer about a purchase.
    assert_eq!((&answer["provider"], &answer["sandbox"]), (&json!("sandbox"), &json!(true)), "{answer}");
    (status, answer)
}

/// The purchases that the ledger was told to post.
fn postings(stand: &Stand) -> Vec<v1::PostPurchase> {
    let posted = |command: v1::Command| match command.body {
        Some(Body::PostPurchase(purchase)) => Some(purchase),
        _ => None,
    };
    stand.commands().into_iter().filter_map(posted).collect()
}

#[tokio::test]
async fn a_purchase_is_answered_with_the_new_balance_and_its_repeat_takes_nothing() {
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, ledger());
    let (status, answer) = buy(&stand, "p-1", APPROVES).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("succeeded")), "{answer}");
    assert_eq!(answer["balance"], json!({"amount": "150.00", "currency": "USD"}));
    let (status, again) = buy(&stand, "p-1", APPROVES).await;
    assert_eq!((status, &again["replayed"]), (StatusCode::OK, &json!(true)));
    assert_eq!((&again["purchase_id"], &again["seq"]), (&answer["purchase_id"], &answer["seq"]));
    // The ledger was told once, and of the provider.
    let postings = postings(&stand);
    assert_eq!(postings.len(), 1);
    assert_eq!((postings[0].amount_micros, postings[0].provider.as_str()), (50_000_000, "sandbox"));
    assert_eq!(answer["purchase_id"], json!(postings[0].payment_id));
    // Another key is another purchase, the same key for another amount is none.
    assert_ne!(buy(&stand, "p-2", APPROVES).await.1["purchase_id"], answer["purchase_id"]);
    let (status, problem) = buy_for(&stand, "p-1", APPROVES, "60.00").await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch")));
}

#[tokio::test]
async fn a_declined_card_posts_nothing_and_stays_declined() {
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, ledger());
    for _ in 0..2 {
        let (status, problem) = buy(&stand, "p-1", DECLINES).await;
        assert_eq!((status, &problem["code"]), (StatusCode::PAYMENT_REQUIRED, &json!("payment_failed")));
        assert_eq!((&problem["status"], &problem["reason"]), (&json!(402), &json!("card_declined")));
    }
    // The key stands for that payment: with another card it is another request.
    let (status, problem) = buy(&stand, "p-1", APPROVES).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch")));
    assert!(postings(&stand).is_empty());
    assert_eq!(buy(&stand, "p-2", APPROVES).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_payment_that_needs_an_action_posts_after_it() {
    for (approve, status) in [(true, StatusCode::OK), (false, StatusCode::PAYMENT_REQUIRED)] {
        // given a purchase whose payer must act
        let stand = Stand::start_with(sandbox).await;
        let _meter = FakeMeter::start(&stand, ledger());
        let (answered, answer) = buy(&stand, "p-1", NEEDS_ACTION).await;
        assert_eq!((answered, &answer["status"]), (StatusCode::OK, &json!("needs_action")), "{answer}");
        let (_, again) = buy(&stand, "p-1", NEEDS_ACTION).await;
        assert_eq!(again, answer);
        assert!(postings(&stand).is_empty());
        // when the payer does, twice, and then the opposite
        let url = answer["next_action"]["url"].as_str().unwrap();
        for _ in 0..2 {
            let confirmed = stand.command(Method::POST, url, &stand.root, "c", &json!({"approve": approve})).await;
            assert_eq!((confirmed.0, &confirmed.1["sandbox"]), (StatusCode::OK, &json!(true)));
        }
        let opposite = stand.command(Method::POST, url, &stand.root, "c", &json!({"approve": !approve})).await;
        assert_eq!((opposite.0, &opposite.1["sandbox"]), (StatusCode::NOT_FOUND, &json!(true)));
        // then the repeat of the purchase is posted, or failed
        let (answered, answer) = buy(&stand, "p-1", NEEDS_ACTION).await;
        assert_eq!((answered, answer["reason"] == "authentication_failed"), (status, !approve), "{answer}");
        assert_eq!(postings(&stand).len(), usize::from(approve));
    }
}

#[tokio::test]
async fn a_purchase_that_is_left_posts_nothing_unless_it_was_paid() {
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, ledger());
    let own = stand.key("account").await.1;
    let cancel = async |account: &str, answer: &Value, key: &str| {
        let path = format!("/v1/accounts/{account}/purchases/{}/cancel", answer["purchase_id"].as_str().unwrap());
        crate::stand::read(stand.post(&path, key).send().await.unwrap()).await
    };
    // given two purchases that wait for their payer, of whom one acts
    let (left, paid) = (buy(&stand, "p-1", NEEDS_ACTION).await.1, buy(&stand, "p-2", NEEDS_ACTION).await.1);
    let url = paid["next_action"]["url"].as_str().unwrap();
    stand.command(Method::POST, url, &stand.root, "c", &json!({"approve": true})).await;
    // when both are left, by who may
    assert_eq!(cancel("acc_luna", &left, &stand.booth_key().await).await.0, StatusCode::FORBIDDEN);
    assert_eq!(cancel("acc_sol", &left, &own).await.0, StatusCode::FORBIDDEN);
    assert_eq!(cancel("acc_sol", &left, &stand.root).await.0, StatusCode::NOT_FOUND);
    for replayed in [false, true] {
        let (status, canceled) = cancel("acc_luna", &left, &own).await;
        assert_eq!((status, &canceled["status"]), (StatusCode::OK, &json!("canceled")), "{canceled}");
        assert_eq!((&canceled["provider"], &canceled["sandbox"]), (&json!("sandbox"), &json!(true)));
        let (status, taken) = cancel("acc_luna", &paid, &own).await;
        assert_eq!((status, &taken["status"]), (StatusCode::OK, &json!("succeeded")), "{taken}");
        assert_eq!(taken["replayed"], json!(replayed));
    }
    // then the one cannot be paid any more, and the other is in the ledger once
    let url = left["next_action"]["url"].as_str().unwrap();
    let late = stand.command(Method::POST, url, &stand.root, "c", &json!({"approve": true})).await;
    assert_eq!(late.0, StatusCode::NOT_FOUND);
    let (status, problem) = buy(&stand, "p-1", NEEDS_ACTION).await;
    assert_eq!((status, &problem["reason"]), (StatusCode::PAYMENT_REQUIRED, &json!("canceled")));
    assert_eq!(buy(&stand, "p-2", NEEDS_ACTION).await.1["replayed"], json!(true));
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_asked_again_by_the_repeat() {
    // given a provider that takes the money and does not say so
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, ledger());
    let (status, answer) = buy(&stand, "p-1", TIMES_OUT).await;
    assert_eq!((status, &answer["status"]), (StatusCode::ACCEPTED, &json!("pending")), "{answer}");
    assert!(postings(&stand).is_empty(), "nobody knows yet");
    // when the request is repeated, then it is posted
    let (status, answer) = buy(&stand, "p-1", TIMES_OUT).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("succeeded")), "{answer}");
    assert_eq!(postings(&stand).len(), 1);
}

#[tokio::test]
async fn a_ledger_that_is_late_after_the_providers_yes_is_told_the_same_again() {
    // given a meter that carries the purchase out and whose reply is lost
    let stand = Stand::start_with(|config| {
        sandbox(config);
        config.commands.reply_timeout_ms = 500;
    })
    .await;
    let ledger = ledger();
    let postings_seen = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&postings_seen);
    let _meter = FakeMeter::start_with_silence(&stand, move |command| {
        let outcome = ledger(command);
        let is_first_posting =
            matches!(command.body, Some(Body::PostPurchase(_))) && seen.fetch_add(1, Ordering::Relaxed) == 0;
        (!is_first_posting).then_some(outcome)
    });
    // A machine that is slow may make the question late as well: then it is asked again, until the posting was.
    let end = Instant::now() + DEADLINE;
    while postings_seen.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < end, "the meter was never told");
        let (status, answer) = buy(&stand, "p-1", APPROVES).await;
        assert_eq!((status, &answer["status"]), (StatusCode::ACCEPTED, &json!("pending")), "{answer}");
    }
    // when the request is repeated at another process, whose provider knows nothing of it
    let beside = stand.beside_with(sandbox).await;
    let (status, answer) = buy(&beside, "p-1", APPROVES).await;
    // then it is the same purchase, posted before
    assert_eq!((status, &answer["replayed"]), (StatusCode::OK, &json!(true)), "{answer}");
    assert_eq!(postings_seen.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn money_that_the_ledger_would_not_post_is_not_taken() {
    // given accounts that do not exist, or have too much
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, |command| match command.body {
        Some(Body::PreparePurchase(_)) if command.account_id == "acc_luna" => refused(404, "unknown_account"),
        _ => accepted(command),
    });
    // when one is to buy by a card that would need an action
    let (status, problem) = buy(&stand, "p-1", NEEDS_ACTION).await;
    // then the ledger's no is the answer, and the provider has heard of nothing
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_account")));
    let id = problem["purchase_id"].as_str().unwrap();
    let path = format!("{PURCHASES}/{id}/confirm");
    let (status, _) = stand.command(Method::POST, &path, &stand.root, "c", &json!({"approve": true})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(postings(&stand).is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_purchase_is_said_before_anything_is_paid() {
    let stand = Stand::start_with(sandbox).await;
    let _meter = FakeMeter::start(&stand, ledger());
    for (amount, is_wrong) in
        [("49.99", true), ("50.00", false), ("50.001", true), ("10000", false), ("10000.01", true), ("-50", true)]
    {
        let (status, problem) = buy_for(&stand, amount, APPROVES, amount).await;
        assert_eq!(status == StatusCode::UNPROCESSABLE_ENTITY, is_wrong, "{amount} {problem}");
    }
    // A number that is no test card is refused, and shown to nobody.
    let (status, problem) = buy(&stand, "card", "4111111111111111").await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/payment_method"))
    );
    assert!(!problem.to_string().contains("4111"), "{problem}");
    assert_eq!(postings(&stand).len(), 2);
    // Without a provider nothing can be bought.
    let stand = Stand::start().await;
    let body = json!({"amount": "50.00"});
    let (status, problem) = stand.command(Method::POST, PURCHASES, &stand.root, "p-1", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("no_payment_provider")));
}
