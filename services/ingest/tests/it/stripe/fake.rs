//! A Stripe of the tests' own, over HTTP: it answers as Stripe's documentation shows it, keeps intents and idempotency keys
//! as Stripe does, and fails as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::form_urlencoded;

/// Cards, by the ids that Stripe has for tests.
pub(crate) const VISA: &str = "pm_card_visa";
pub(crate) const NEEDS_ACTION: &str = "pm_card_threeDSecure2Required";
/// Followed by a decline code.
pub(crate) const DECLINED: &str = "pm_declined_";
pub(crate) const BANK_PAGE: &str = "https://hooks.stripe.com/redirect/authenticate/src_1";

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    RequestLost,
    /// Answered with this status, nothing is done.
    Status(u16),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) what: String,
    pub(crate) form: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
}

#[derive(Default)]
struct Kept {
    intents: Vec<Value>,
    refunds: Vec<Value>,
    disputes: Vec<Value>,
    keys: HashMap<String, (HashMap<String, String>, Value)>,
    faults: VecDeque<(&'static str, Fault)>,
    seen: Vec<Seen>,
    /// How often money was taken.
    taken: usize,
    is_index_late: bool,
    meanwhile: Option<(&'static str, usize)>,
}

#[derive(Clone)]
pub(crate) struct FakeStripe {
    pub(crate) address: String,
    kept: Arc<Mutex<Kept>>,
}

impl FakeStripe {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { address, kept: Arc::default() };
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    /// The next such request fails; more of them queue up. `what` is the method and the end of the path.
    pub(crate) fn fail(&self, what: &'static str, fault: Fault) {
        self.kept.lock().faults.push_back((what, fault));
    }

    /// A day goes by.
    pub(crate) fn forget_keys(&self) {
        self.kept.lock().keys.clear();
    }

    pub(crate) fn index_is_late(&self, is_late: bool) {
        self.kept.lock().is_index_late = is_late;
    }

    pub(crate) fn taken(&self) -> usize {
        self.kept.lock().taken
    }

    pub(crate) fn seen(&self, what: &str) -> Vec<Seen> {
        self.kept.lock().seen.iter().filter(|seen| seen.what.ends_with(what)).cloned().collect()
    }

    pub(crate) fn intents(&self) -> Vec<Value> {
        self.kept.lock().intents.clone()
    }

    pub(crate) fn change(&self, at: usize, change: impl FnOnce(&mut Value)) {
        change(&mut self.kept.lock().intents[at]);
    }

    /// Somebody gives money of an intent back at Stripe.
    pub(crate) fn refund(&self, id: &str, intent_id: &str, amount: i64, status: &str) {
        let mut kept = self.kept.lock();
        kept.refunds.retain(|refund| refund["id"] != *id);
        kept.refunds.push(json!({
            "id": id, "object": "refund", "amount": amount, "balance_transaction": "txn_1", "charge": "ch_1",
            "created": chrono::Utc::now().timestamp(), "currency": "usd", "metadata": {}, "payment_intent": intent_id,
            "reason": null, "receipt_number": null, "status": status}));
    }

    /// A payer's bank disputes an intent's charge; `moved` is what that did to the money, and how long ago in seconds.
    pub(crate) fn dispute(&self, id: &str, intent_id: &str, amount: i64, moved: &[(i64, i64)]) {
        let now_s = chrono::Utc::now().timestamp();
        let mut kept = self.kept.lock();
        kept.disputes.retain(|dispute| dispute["id"] != *id);
        let moved: Vec<Value> = moved
            .iter()
            .map(|(amount, ago_s)| {
                json!({"id": "txn_1", "object": "balance_transaction", "amount": amount, "created": now_s - ago_s,
                       "currency": "usd", "fee": 1_500, "net": amount - 1_500})
            })
            .collect();
        let created = now_s - 100;
        kept.disputes.push(json!({
            "id": id, "object": "dispute", "amount": amount, "balance_transactions": moved, "charge": "ch_1",
            "created": created, "currency": "usd", "evidence": {}, "is_charge_refundable": false, "livemode": false,
            "metadata": {}, "payment_intent": intent_id, "reason": "fraudulent", "status": "needs_response"}));
    }

    /// Puts one there that another request made.
    pub(crate) fn put(&self, intent: Value) {
        self.kept.lock().intents.push(intent);
    }

    /// The payer is done at the bank while the next such request is on its way.
    pub(crate) fn authenticate_before(&self, what: &'static str, at: usize) {
        self.kept.lock().meanwhile = Some((what, at));
    }

    /// The payer does what the bank's page asks for, or does not.
    pub(crate) fn authenticate(&self, at: usize, approves: bool) {
        let mut kept = self.kept.lock();
        let intent = &mut kept.intents[at];
        assert_eq!(intent["status"], "requires_action");
        intent["next_action"] = Value::Null;
        if approves {
            succeed(intent);
            kept.taken += 1;
        } else {
            intent["status"] = json!("requires_payment_method");
            intent["last_payment_error"] = json!({
                "type": "invalid_request_error", "code": "payment_intent_authentication_failure",
                "message": "The provided PaymentMethod has failed authentication."});
        }
    }
}

/// An intent as Stripe shows it, with members that we do not read.
pub(crate) fn intent(id: &str, amount: i64, currency: &str, metadata: &Value) -> Value {
    json!({
        "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0, "amount_details": {"tip": {}},
        "amount_received": 0, "application": null, "automatic_payment_methods": null, "canceled_at": null,
        "capture_method": "automatic_async", "client_secret": format!("{id}_secret_x"),
        "confirmation_method": "automatic", "created": chrono::Utc::now().timestamp(), "currency": currency,
        "customer": "cus_luna", "description": null, "last_payment_error": null, "latest_charge": null,
        "livemode": false, "metadata": metadata, "next_action": null, "payment_method": VISA,
        "payment_method_types": ["card"], "processing": null, "receipt_email": null, "status": "requires_confirmation",
    })
}

fn succeed(intent: &mut Value) {
    intent["status"] = json!("succeeded");
    intent["amount_received"] = intent["amount"].clone();
    intent["latest_charge"] = json!("ch_1");
}

pub(crate) fn succeeded(mut intent: Value) -> Value {
    succeed(&mut intent);
    intent
}

fn error(status: u16, error: &Value) -> Response {
    let headers = [("request-id", "req_1"), ("content-type", "application/json")];
    (StatusCode::from_u16(status).unwrap(), headers, json!({ "error": error }).to_string()).into_response()
}

fn ok(body: &Value, is_replayed: bool) -> Response {
    let mut answer = ([("content-type", "application/json")], body.to_string()).into_response();
    if is_replayed {
        answer.headers_mut().insert("idempotent-replayed", "true".parse().unwrap());
    }
    answer
}

async fn answer(State(fake): State<FakeStripe>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = if method == Method::GET { uri.query().unwrap_or_default().as_bytes() } else { &body[..] };
    let form: HashMap<String, String> = form_urlencoded::parse(text).into_owned().collect();
    let what = format!("{method} {}", uri.path());
    let fault = {
        let mut kept = fake.kept.lock();
        kept.seen.push(Seen { what: what.clone(), form: form.clone(), headers: headers.clone() });
        match kept.faults.front() {
            Some((of, fault)) if fits(&what, of) => {
                let fault = *fault;
                kept.faults.pop_front();
                Some(fault)
            }
            _ => None,
        }
    };
    match fault {
        Some(Fault::Status(status)) => return error(status, &json!({"type": "api_error", "message": "told to"})),
        Some(Fault::RequestLost) => std::future::pending().await,
        None | Some(Fault::AnswerLost) => {}
    }
    let meanwhile = fake.kept.lock().meanwhile.take_if(|(of, _)| fits(&what, of));
    if let Some((_, at)) = meanwhile {
        fake.authenticate(at, true);
    }
    let answer = carry_out(&mut fake.kept.lock(), &what, &form, &headers);
    if fault == Some(Fault::AnswerLost) {
        std::future::pending::<()>().await;
    }
    answer
}

/// `"POST /confirm"` is a method and a path's end.
fn fits(what: &str, of: &str) -> bool {
    let (method, end) = of.split_once(' ').unwrap();
    what.starts_with(method) && what.ends_with(end)
}

fn carry_out(kept: &mut Kept, what: &str, form: &HashMap<String, String>, headers: &HeaderMap) -> Response {
    let (method, path) = what.split_once(' ').unwrap();
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["payment_intents", "search"]) => {
            let query = &form["query"];
            let found = |intent: &&Value| {
                let id = intent["metadata"]["tollbooth_payment"].as_str().unwrap_or("-");
                *query == format!("metadata['tollbooth_payment']:'{id}'")
            };
            let data: Vec<Value> =
                if kept.is_index_late { Vec::new() } else { kept.intents.iter().filter(found).cloned().collect() };
            ok(&json!({"object": "search_result", "data": data, "has_more": false, "next_page": null}), false)
        }
        ("GET", ["payment_intents"]) => ok(&list(kept, form), false),
        ("GET", ["payment_intents", id]) => match kept.intents.iter().find(|intent| intent["id"] == **id) {
            Some(intent) => ok(intent, false),
            None => {
                error(404, &json!({"type": "invalid_request_error", "code": "resource_missing", "param": "intent"}))
            }
        },
        ("POST", ["payment_intents"]) => create(kept, form, headers),
        ("POST", ["payment_intents", id, "confirm"]) => confirm(kept, id, form),
        ("POST", ["payment_intents", id, "cancel"]) => cancel(kept, id),
        ("GET", ["refunds"]) => ok(&list_back("/v1/refunds", &kept.refunds, form), false),
        ("GET", ["disputes"]) => ok(&list_back("/v1/disputes", &kept.disputes, form), false),
        ("GET", ["payment_methods", id]) => {
            let customer = if id.starts_with("pm_card") { json!("cus_luna") } else { Value::Null };
            ok(&json!({"id": id, "object": "payment_method", "customer": customer, "type": "card"}), false)
        }
        ("POST", ["customers"]) => ok(&json!({"id": "cus_luna", "object": "customer"}), false),
        ("POST", ["checkout", "sessions"]) if form["customer"] != "cus_luna" => error(
            400,
            &json!({"type": "invalid_request_error", "code": "resource_missing", "param": "customer",
                    "message": "No such customer; a similar object exists in test mode."}),
        ),
        ("POST", ["checkout", "sessions"]) => ok(
            &json!({"id": "cs_1", "object": "checkout.session", "url": "https://checkout.stripe.com/c/pay/cs_1"}),
            false,
        ),
        _ => panic!("nobody should ask for {what}"),
    }
}

/// What went back: of an intent, or since an instant, in pages of two.
fn list_back(url: &str, all: &[Value], form: &HashMap<String, String>) -> Value {
    let is_meant = |object: &&Value| match (form.get("payment_intent"), form.get("created[gte]")) {
        (Some(intent_id), _) => object["payment_intent"] == **intent_id,
        (None, from_s) => object["created"].as_i64() >= from_s.map(|from_s| from_s.parse().unwrap()),
    };
    let newest: Vec<Value> = all.iter().rev().filter(is_meant).cloned().collect();
    let begin = form.get("starting_after").map_or(0, |id| newest.iter().position(|one| one["id"] == *id).unwrap() + 1);
    let end = newest.len().min(begin + 2);
    json!({"object": "list", "url": url, "data": newest[begin..end], "has_more": end < newest.len()})
}

/// Newest first, pages of two: as many as it takes. Those of a customer, whatever the search knows.
fn list(kept: &Kept, form: &HashMap<String, String>) -> Value {
    if let Some(customer_id) = form.get("customer") {
        let theirs: Vec<Value> =
            kept.intents.iter().rev().filter(|intent| intent["customer"] == **customer_id).cloned().collect();
        return json!({"object": "list", "url": "/v1/payment_intents", "data": theirs, "has_more": false});
    }
    let within = |intent: &&Value| {
        let created = intent["created"].as_i64().unwrap();
        (form["created[gte]"].parse().unwrap()..form["created[lt]"].parse().unwrap()).contains(&created)
    };
    let newest: Vec<Value> = kept.intents.iter().rev().filter(within).cloned().collect();
    let begin = form.get("starting_after").map_or(0, |id| newest.iter().position(|one| one["id"] == *id).unwrap() + 1);
    let end = newest.len().min(begin + 2);
    json!({"object": "list", "url": "/v1/payment_intents", "data": newest[begin..end], "has_more": end < newest.len()})
}

fn create(kept: &mut Kept, form: &HashMap<String, String>, headers: &HeaderMap) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    match kept.keys.get(&key) {
        Some((first, answer)) if first == form => return ok(answer, true),
        Some(_) => {
            let message = "Keys for idempotent requests can only be used with the same parameters.";
            return error(400, &json!({"type": "idempotency_error", "message": message}));
        }
        None => {}
    }
    let method = &form["payment_method"];
    if method == "pm_of_another" {
        let message = "The provided PaymentMethod belongs to another Customer.";
        return error(400, &json!({"type": "invalid_request_error", "param": "payment_method", "message": message}));
    }
    let metadata: serde_json::Map<String, Value> = form
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned(), json!(value))))
        .collect();
    let id = format!("pi_{}", kept.intents.len() + 1);
    let mut made = intent(&id, form["amount"].parse().unwrap(), &form["currency"], &Value::Object(metadata));
    made["payment_method"] = json!(method);
    made["customer"] = json!(form["customer"]);
    kept.intents.push(made.clone());
    kept.keys.insert(key, (form.clone(), made.clone()));
    ok(&made, false)
}

fn cancel(kept: &mut Kept, id: &str) -> Response {
    let intent = kept.intents.iter_mut().find(|intent| intent["id"] == *id).unwrap();
    let status = intent["status"].as_str().unwrap();
    if !matches!(status, "requires_payment_method" | "requires_confirmation" | "requires_action") {
        let (kind, code) = ("invalid_request_error", "payment_intent_unexpected_state");
        return error(400, &json!({"type": kind, "code": code, "payment_intent": intent}));
    }
    intent["status"] = json!("canceled");
    intent["next_action"] = Value::Null;
    ok(intent, false)
}

fn confirm(kept: &mut Kept, id: &str, form: &HashMap<String, String>) -> Response {
    let intent = kept.intents.iter_mut().find(|intent| intent["id"] == *id).unwrap();
    if intent["status"] != "requires_confirmation" {
        let (kind, code) = ("invalid_request_error", "payment_intent_unexpected_state");
        return error(400, &json!({"type": kind, "code": code, "payment_intent": intent}));
    }
    let method = intent["payment_method"].as_str().unwrap().to_owned();
    let is_off_session = form.get("off_session").is_some_and(|value| value == "true");
    let decline = method.strip_prefix(DECLINED);
    let decline = decline.or((method == NEEDS_ACTION && is_off_session).then_some("authentication_required"));
    if let Some(decline_code) = decline {
        let declined = json!({
            "type": "card_error", "code": "card_declined", "decline_code": decline_code, "charge": "ch_1",
            "doc_url": "https://stripe.com/docs/error-codes/card-declined", "message": "Your card was declined.",
            "payment_method": {"id": method, "object": "payment_method"}});
        intent["status"] = json!("requires_payment_method");
        intent["payment_method"] = Value::Null;
        intent["last_payment_error"] = declined.clone();
        let mut body = declined;
        body["payment_intent"] = intent.clone();
        return error(402, &body);
    }
    if method == NEEDS_ACTION {
        let return_url = form["return_url"].clone();
        intent["status"] = json!("requires_action");
        intent["next_action"] =
            json!({"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": BANK_PAGE}});
        return ok(intent, false);
    }
    succeed(intent);
    let answer = ok(intent, false);
    kept.taken += 1;
    answer
}
