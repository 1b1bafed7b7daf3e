//! Credit that is bought with Stripe over the whole path: ingest, brokers, the real meter, the read side, and a Stripe of the
//! tests' own over HTTP.

#[allow(dead_code, reason = "ingest's own tests use all of it")]
#[path = "../../../services/ingest/tests/it/stripe/fake.rs"]
mod fake;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tollbooth_local::free_port;
use tollbooth_tests::{Answer, Binary, Process, Stack};

use crate::stage::{balance_becomes, shared};
use fake::{FakeStripe, NEEDS_ACTION};

const ACCOUNT: &str = "acc_striped";
const SECRET: &str = "whsec_of_the_whole_path";

/// An ingest beside the stack's own, whose payments Stripe takes.
struct Striped<'a> {
    stack: &'a Stack,
    fake: FakeStripe,
    ingest: Process,
    url: String,
}

impl<'a> Striped<'a> {
    fn start(stack: &'a Stack) -> anyhow::Result<Self> {
        let fake = stack.block_on(FakeStripe::start());
        let address = format!("127.0.0.1:{}", free_port()?);
        let ingest = stack
            .tool("ingest-stripe", Binary::Ingest, &["serve"])?
            .with_ops("TOLLBOOTH_INGEST__OPS_LISTEN", format!("127.0.0.1:{}", free_port()?))
            .with("TOLLBOOTH_INGEST__LISTEN", &*address)
            .with("TOLLBOOTH_INGEST__TOPICS__PARTITIONS", "8")
            .with("TOLLBOOTH_INGEST__TOPICS__REPLICATION", "1")
            .with("TOLLBOOTH_INGEST__PURCHASES__PROVIDER", "stripe")
            .with("TOLLBOOTH_INGEST__PURCHASES__STRIPE__SECRET_KEY", "sk_test_of_the_tests")
            .with("TOLLBOOTH_INGEST__PURCHASES__STRIPE__WEBHOOK_SECRETS", SECRET)
            .with("TOLLBOOTH_INGEST__PURCHASES__STRIPE__RETURN_URL", "https://dashboard.example/billing")
            .with("TOLLBOOTH_INGEST__PURCHASES__STRIPE__API_URL", &*fake.address);
        ingest.start()?;
        stack.wait_ready(&ingest)?;
        Ok(Self { stack, fake, ingest, url: format!("http://{address}") })
    }

    fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> anyhow::Result<Answer> {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let url = format!("{}{path}", self.url);
        self.stack.api.request(method, &url, None, &all, Some(body.as_bytes().to_vec()))
    }

    fn ask(&self, method: Method, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        let path = format!("/v1/accounts/{ACCOUNT}/{path}");
        self.send(method, &path, &[("idempotency-key", key)], &body.to_string())
    }

    /// Repeated while the meter is late, as a client does.
    fn buy(&self, key: &str, method: Option<&str>) -> anyhow::Result<Answer> {
        let body = json!({"amount": "50.00", "payment_method": method});
        self.stack.wait("the purchase to be answered", crate::stage::PATIENCE, || {
            let answer = self.ask(Method::POST, "purchases", key, &body).ok()?;
            (!matches!(answer.status, 202 | 503)).then_some(answer)
        })
    }

    fn cancel(&self, purchase: &Answer) -> anyhow::Result<Value> {
        let path = format!("purchases/{}/cancel", purchase.body["purchase_id"].as_str().unwrap_or_default());
        self.stack.wait("the purchase to be given up", crate::stage::PATIENCE, || {
            let answer = self.ask(Method::POST, &path, "-", &json!({})).ok()?;
            (answer.status == 200).then_some(answer.body)
        })
    }

    /// As Stripe does: until it is taken, and once more.
    fn tell(&self, kind: &str, object: &Value) -> anyhow::Result<()> {
        let now_s = chrono::Utc::now().timestamp();
        let body = json!({"id": "evt_1", "object": "event", "api_version": "2026-08-26.dahlia", "created": now_s,
                          "data": {"object": object}, "livemode": false, "type": kind})
        .to_string();
        for _ in 0..2 {
            self.stack.wait(kind, crate::stage::PATIENCE, || {
                let signature = signed(now_s, &body);
                let answer = self.send(Method::POST, "/v1/payments/stripe", &[("stripe-signature", &signature)], &body);
                (answer.ok()?.status == 200).then_some(())
            })?;
        }
        Ok(())
    }
}

impl Drop for Striped<'_> {
    fn drop(&mut self) {
        self.ingest.kill().ok();
    }
}

fn signed(at_s: i64, body: &str) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("{at_s}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

/// Of every money entry, oldest first: type and amount.
fn entries(stack: &Stack) -> anyhow::Result<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut entries = stack.api.transactions(ACCOUNT)?;
    entries.reverse();
    Ok(entries.iter().map(|entry| (text(&entry["type"]), text(&entry["amount"]["amount"]))).collect())
}

#[test]
fn what_stripe_takes_gives_back_and_takes_away_is_in_the_ledger_once() -> anyhow::Result<()> {
    // given an account with a saved card, and a rule that would charge it below 20.00
    let stack = shared();
    let striped = Striped::start(&stack)?;
    stack.api.open_account(ACCOUNT, None)?;
    let card = json!({"customer_id": "cus_luna", "payment_method_id": "pm_card_visa"});
    striped.ask(Method::PUT, "payment-method", "card", &card)?.ok()?;
    // when it buys, and Stripe tells of it as well
    let bought = striped.buy("p-1", None)?;
    assert_eq!((bought.status, &bought.body["balance"]["amount"]), (200, &json!("50.00")), "{bought:?}");
    striped.tell("payment_intent.succeeded", &striped.fake.intents()[0])?;
    let rule = json!({"enabled": true, "threshold": "20.00", "amount": "50.00"});
    stack.wait("the rule to be set", crate::stage::PATIENCE, || {
        (striped.ask(Method::PUT, "recharge", "rule", &rule).ok()?.status == 200).then_some(())
    })?;
    // when it leaves one purchase, and is done with another while it is given up
    let left = striped.buy("p-2", Some(NEEDS_ACTION))?;
    assert_eq!(striped.cancel(&left)?["status"], json!("canceled"));
    assert_eq!(striped.buy("p-2", Some(NEEDS_ACTION))?.body["reason"], json!("canceled"));
    let quick = striped.buy("p-3", Some(NEEDS_ACTION))?;
    striped.fake.authenticate_before("POST /cancel", 2);
    assert_eq!(striped.cancel(&quick)?["balance"]["amount"], json!("100.00"));
    striped.tell("payment_intent.succeeded", &striped.fake.intents()[2])?;
    // when somebody gives a part of the first back at Stripe, and the bank takes the second
    striped.fake.refund("re_1", "pi_1", 4_000, "succeeded");
    striped.tell("charge.refunded", &json!({"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}))?;
    balance_becomes(&stack, ACCOUNT, "60.00")?;
    let dispute = json!({"id": "dp_1", "object": "dispute", "payment_intent": "pi_3"});
    striped.fake.dispute("dp_1", "pi_3", 5_000, &[(-5_000, 60)]);
    striped.tell("charge.dispute.created", &dispute)?;
    balance_becomes(&stack, ACCOUNT, "10.00")?;
    // then the rule is off, and the card is not charged for what went back
    stack.wait("the rule to be off", crate::stage::PATIENCE, || {
        let recharge = stack.api.read(&format!("{ACCOUNT}/recharge")).ok()?.ok().ok()?;
        (recharge["enabled"] == json!(false)).then_some(())
    })?;
    // and when the dispute is won, it comes again
    striped.fake.dispute("dp_1", "pi_3", 5_000, &[(-5_000, 60), (5_000, 0)]);
    striped.tell("charge.dispute.closed", &dispute)?;
    balance_becomes(&stack, ACCOUNT, "60.00")?;
    let expected = [
        ("purchase", "50.00"),
        ("purchase", "50.00"),
        ("adjustment", "-40.00"),
        ("adjustment", "-50.00"),
        ("adjustment", "50.00"),
    ];
    let found = entries(&stack)?;
    assert!(found.iter().map(|(kind, amount)| (kind.as_str(), amount.as_str())).eq(expected), "{found:?}");
    assert_eq!(striped.fake.taken(), 2);
    Ok(())
}
