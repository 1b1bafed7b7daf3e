//! Stripe over HTTP: payments, what it tells by itself, what is asked of it later, and who pays.

mod effects;
mod fake;
mod given_up;
mod payers;
mod purchases;
mod returned;
mod webhooks;

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tollbooth_chassis::config::Secret;
use tollbooth_ingest::config::{IngestConfig, Provider};
use tollbooth_schemas::payers::PayerDocument;
use tollbooth_schemas::v1::{self, command::Body};

use crate::recharge::Running;
use crate::stand::{Stand, read};
use fake::{FakeStripe, VISA};

const PURCHASES: &str = "/v1/accounts/acc_luna/purchases";
const KEY: &str = "sk_test_of_the_tests";
const SECRET: &str = "whsec_of_the_tests_newest";
const SECRET_BEFORE: &str = "whsec_of_the_tests_before";

/// What `serve` and `effects` are told.
fn stripe(config: &mut IngestConfig, fake: &FakeStripe) {
    config.purchases.provider = Provider::Stripe;
    config.purchases.provider_timeout_ms = 2_000;
    let section = &mut config.purchases.stripe;
    section.secret_key = Secret::new(KEY);
    section.webhook_secrets = vec![Secret::new(SECRET), Secret::new(SECRET_BEFORE)];
    section.return_url = "https://dashboard.example/billing".to_owned();
    section.api_url = fake.address.clone();
    section.reconcile_after_ms = 0;
}

/// Effects that ask Stripe all the time.
fn reconciling(fake: &FakeStripe) -> impl FnOnce(&mut IngestConfig) + use<> {
    let fake = fake.clone();
    move |config| {
        stripe(config, &fake);
        // Made in this second: no later one has to come before it is looked at.
        config.purchases.stripe.reconcile_every_ms = 20;
    }
}

fn reconciled(running: &Running, result: &str) -> u64 {
    running.metric(&format!("tollbooth_payments_reconciled_total{{result=\"{result}\"}} "))
}

/// Payments that this process found, and that stand in the ledger: told by it, or known already. Where the answer to what it
/// told came too late, the next round knows it.
fn found(running: &Running) -> u64 {
    reconciled(running, "posted") + reconciled(running, "known")
}

/// A stand over a Stripe that has a card of the account.
async fn start() -> (Stand, FakeStripe) {
    start_with(|_| {}).await
}

async fn start_with(adjust: impl FnOnce(&mut IngestConfig)) -> (Stand, FakeStripe) {
    let fake = FakeStripe::start().await;
    let stand = Stand::start_with(|config| {
        stripe(config, &fake);
        adjust(config);
    })
    .await;
    save(&stand, VISA).await;
    (stand, fake)
}

/// Has a payment method saved for the account, past Stripe's own checks.
async fn save(stand: &Stand, method: &str) {
    let document = PayerDocument {
        account_id: "acc_luna".parse().unwrap(),
        provider: "stripe".to_owned(),
        customer_id: "cus_luna".to_owned(),
        payment_method_id: Some(method.to_owned()),
        set_at_ms: 1,
    };
    let payload = serde_json::to_vec(&document).unwrap();
    stand.put(&stand.topics.registry(), &document.registry_key(), &payload);
    let path = "/v1/accounts/acc_luna/payment-method";
    let end = std::time::Instant::now() + crate::stand::DEADLINE;
    loop {
        let answer = stand.request(Method::GET, path, &stand.root).send().await.unwrap();
        if read(answer).await.1["payment_method_id"] == json!(method) {
            return;
        }
        assert!(std::time::Instant::now() < end, "the payer was not read");
        tokio::task::yield_now().await;
    }
}

async fn buy(stand: &Stand, key: &str, method: Option<&str>) -> (StatusCode, Value) {
    let body = json!({"amount": "50.00", "payment_method": method});
    let (status, answer) = stand.command(Method::POST, PURCHASES, &stand.root, key, &body).await;
    // Holds for every answer about a purchase.
    assert_eq!((&answer["provider"], &answer["sandbox"]), (&json!("stripe"), &json!(false)), "{answer}");
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

/// Payments that the ledger was told of; one that it was told of twice, by one key, is one.
fn posted(stand: &Stand) -> BTreeSet<String> {
    postings(stand).into_iter().map(|posting| posting.payment_id).collect()
}

fn signed(secret: &str, at_s: i64, body: &str) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at_s}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

fn event(kind: &str, object: &Value) -> Value {
    json!({"id": "evt_1", "object": "event", "api_version": "2026-08-26.dahlia", "created": chrono::Utc::now().timestamp(),
           "data": {"object": object}, "livemode": false, "pending_webhooks": 1,
           "request": {"id": null, "idempotency_key": null}, "type": kind})
}

/// Sends an event as Stripe does, signed now.
async fn tell(stand: &Stand, event: &Value) -> StatusCode {
    let body = event.to_string();
    let header = signed(SECRET, chrono::Utc::now().timestamp(), &body);
    tell_signed(stand, &header, body).await.0
}

async fn tell_signed(stand: &Stand, header: &str, body: String) -> (StatusCode, Value) {
    let url = format!("{}/v1/payments/stripe", stand.address);
    let request = stand.client.post(url).header("stripe-signature", header).header("content-type", "application/json");
    read(request.body(body).send().await.unwrap()).await
}

fn heard(stand: &Stand, result: &str) -> f64 {
    stand.metric(&format!("tollbooth_payment_webhooks_total{{result=\"{result}\"}}"))
}
