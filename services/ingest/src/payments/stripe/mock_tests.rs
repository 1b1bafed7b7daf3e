//! Our requests against Stripe's own mock server, which checks them by Stripe's description of the API: paths, members,
//! types, the version. It keeps nothing and declines nothing; those are tests over recorded answers (`tests/it/stripe`).

use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use axum::http::Method;
use prometheus::Registry;
use serde_json::{Value, json};
use tollbooth_chassis::config::Secret;

use super::client::{Call, CallError, Operation};
use super::*;

/// As deploy/local/setup.sh installs it.
const VERSION: &str = "v0.203.0";

struct Mock {
    process: Child,
    /// Kept open: it ends when it cannot say something.
    _said: Lines<BufReader<ChildStdout>>,
    stripe: Stripe,
}

impl Mock {
    fn start() -> Self {
        let program = program();
        let mut process = Command::new(&program)
            .args(["-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0", "-strict-version-check"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "Stripe's mock server cannot be started ({}: {error}): run deploy/local/setup.sh --tests, which builds it \
                     with Go, or let TOLLBOOTH_STRIPE_MOCK name one of {VERSION}",
                    program.display()
                )
            });
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = said.by_ref().map_while(Result::ok);
        let address =
            lines.find_map(|line| line.split_once("HTTP at address: ").map(|(_, address)| address.to_owned()));
        let section = StripeSection {
            api_url: format!("http://{}", address.expect("the mock says where it listens")),
            secret_key: Secret::new("sk_test_123"),
            return_url: "https://dashboard.example/billing".to_owned(),
            ..StripeSection::default()
        };
        let stripe = Stripe::new(&section, PaymentMetrics::register(&Registry::new()).unwrap()).unwrap();
        Self { process, _said: said, stripe }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The cache folder is the one of `tollbooth-local`.
fn program() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("TOLLBOOTH_STRIPE_MOCK").unwrap_or_else(|| {
        set("TOLLBOOTH_CACHE_DIR")
            .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("tollbooth")))
            .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("tollbooth")))
            .unwrap_or_else(|| env::temp_dir().join("tollbooth-cache"))
            .join(format!("stripe-mock-{VERSION}"))
            .join("stripe-mock")
    })
}

fn order() -> PaymentOrder {
    PaymentOrder {
        payment_id: "pay_1".to_owned(),
        account_id: "acc_luna".parse().unwrap(),
        amount: tollbooth_schemas::Amount { amount: "50".parse().unwrap(), currency: "USD".to_owned() },
        method: super::super::PaymentMethod(None),
        occasion: Occasion::Purchase,
    }
}

fn form() -> Vec<(&'static str, String)> {
    form_of(&order(), 5_000, "cus_1", "pm_card_visa")
}

#[tokio::test]
async fn stripes_own_description_of_its_api_holds_for_every_request_and_answer() {
    let mock = Mock::start();
    let stripe = &mock.stripe;
    assert_eq!(stripe.find("pay_1").await.unwrap(), None, "the one it finds is not ours");
    let made = stripe.create("pay_1", form()).await.unwrap();
    assert!(made.id.starts_with("pi_"), "{made:?}");
    // It gives back what it was asked for.
    assert_eq!((made.amount, made.currency.as_str()), (5_000, "usd"));
    stripe.read(&made.id).await.unwrap();
    for occasion in Occasion::ALL {
        stripe.confirm(&made.id, occasion).await.unwrap();
    }
    for cause in [Cause::Asked, Cause::Left] {
        stripe.end(&made, cause).await.unwrap();
        stripe.cancel(&made.id, cause.text()).await.unwrap();
    }
    stripe.newest_of("cus_1").await.unwrap();
    // What went back, of an intent and since an instant: the mock shows one of each.
    assert_eq!(stripe.refunds_of(&made.id).await.unwrap().len(), 1);
    assert_eq!(stripe.disputes_of(&made.id).await.unwrap().len(), 1);
    let (refunds, _) = stripe.list_refunds(0, None).await.unwrap();
    stripe.list_refunds(0, Some(&refunds[0].id)).await.unwrap();
    let (disputes, _) = stripe.list_disputes(0, None).await.unwrap();
    stripe.list_disputes(0, Some(&disputes[0].id)).await.unwrap();
    let (listed, _) = stripe.list(0, 4_000_000_000, None).await.unwrap();
    assert_eq!(listed.len(), 1);
    stripe.list(0, 4_000_000_000, Some(&made.id)).await.unwrap();
    let account_id = "acc_luna".parse().unwrap();
    let customer = stripe.create_customer(&account_id, None).await.unwrap();
    assert!(customer.starts_with("cus_"), "{customer}");
    // The payment method that it shows is nobody's.
    assert_eq!(stripe.check_method(&customer, "pm_card_visa").await, Err(MethodError::Unknown));
    match stripe.set_up_page(&account_id, &customer).await {
        // It shows a session whose page is over.
        Ok(_) | Err(MethodError::NoAnswer) => {}
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_intent_and_a_set_up_as_stripe_shows_them_are_read_out_of_events() {
    let mock = Mock::start();
    for (path, kind) in
        [("payment_intents/pi_1", "payment_intent.succeeded"), ("setup_intents/seti_1", "setup_intent.succeeded")]
    {
        let object = raw(&mock, Method::GET, format!("/v1/{path}"), Vec::new()).await.unwrap();
        let event = json!({"id": "evt_1", "type": kind, "created": 1, "livemode": false, "data": {"object": object}});
        let event = Event::read(event.to_string().as_bytes()).unwrap();
        assert_eq!(matches!(event.about, About::Paid(_)), kind.starts_with("payment"), "{event:?}");
    }
    for (path, kind) in [
        ("charges/ch_1", "charge.refunded"),
        ("refunds/re_1", "refund.updated"),
        ("disputes/dp_1", "charge.dispute.created"),
    ] {
        let mut object = raw(&mock, Method::GET, format!("/v1/{path}"), Vec::new()).await.unwrap();
        // The mock's are of no intent: as it says there would be one.
        assert!(object.as_object().unwrap().contains_key("payment_intent"), "{object}");
        object["payment_intent"] = json!("pi_1");
        let event = json!({"id": "evt_1", "type": kind, "created": 1, "livemode": false, "data": {"object": object}});
        let event = Event::read(event.to_string().as_bytes()).unwrap();
        assert!(matches!(&event.about, About::WentBack(intent_id) if intent_id == "pi_1"), "{event:?}");
    }
}

/// Without this the two above could hold whatever we send.
#[tokio::test]
async fn what_stripes_description_does_not_allow_is_refused_by_it() {
    let mock = Mock::start();
    let path = || "/v1/payment_intents".to_owned();
    let with = |name, value: &str| form().into_iter().chain([(name, value.to_owned())]).collect();
    let without = |name| form().into_iter().filter(|(of, _)| *of != name).collect();
    for wrong in [with("off_sesion", "true"), with("confirm", "perhaps"), without("amount"), without("currency")] {
        let answer = raw(&mock, Method::POST, path(), wrong).await;
        assert!(matches!(answer, Err(CallError::Refused(_))), "{answer:?}");
    }
    raw(&mock, Method::POST, path(), form()).await.unwrap();
}

async fn raw(mock: &Mock, method: Method, path: String, form: Vec<(&'static str, String)>) -> Result<Value, CallError> {
    let call = Call { operation: Operation::CreateIntent, method, path, form, idempotency_key: Some("k") };
    mock.stripe.raw(&call).await
}
