//! `POST /v1/payments/stripe`: what Stripe tells by itself, that a payment succeeded, that its money went back or came again,
//! or that a card was saved.
//!
//! No key of ours comes with it: its signature says who sent it. It comes at least once, in any order, perhaps before the
//! answer to our own request. What is posted is posted under the payment's id, as the request would have done it: once.
//! Anything but 2xx has Stripe come again, for three days.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use tokio::time::Instant;
use tollbooth_chassis::http::{BodyLimit, read_body};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::payers::PayerDocument;
use tollbooth_schemas::v1::{command, reply::Outcome};

use crate::app::{App, now_ms};
use crate::commands::{Order, ask_meter, no_provider, posting_identity};
use crate::payments::stripe::{self, About, Event, Heard, NotPaid, Paid, SetupIntent, SignatureError, verify};
use crate::produce::RETRY_AFTER_S;
use crate::settle::{self, Settled, Teller};

/// Who asks, in the ledger.
const ACTOR: &str = "stripe";
/// An event has some kilobytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Stripe sends one at once; nobody has shown yet that they are Stripe.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// Being seen to at once; a further one is 503.
pub(crate) const UNDER_WAY_MAX: usize = 32;

/// `POST /v1/payments/stripe`
pub(crate) async fn receive(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, Problem> {
    let stripe = app.stripe.as_ref().ok_or_else(no_provider)?;
    let (parts, body) = request.into_parts();
    let soon = Instant::now() + BODY_TIME_MAX;
    let deadline = parts.extensions.get::<BodyLimit>().and_then(|limit| limit.deadline);
    let deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
    let body = read_body(&parts.headers, body, BodyLimit { bytes_max: BODY_BYTES_MAX, deadline }).await?;
    let signature = parts.headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    check_signature(&app, signature, &body)?;
    // Only now, so that nobody but Stripe can take the places.
    let Ok(_place) = app.payment_webhooks.try_acquire() else {
        return Err(Problem::unavailable(RETRY_AFTER_S).with_detail("too many webhooks are under way"));
    };
    let event = Event::read(&body).map_err(|error| {
        tracing::error!(%error, "a webhook of the payment provider cannot be read");
        app.metrics.payments.heard(Heard::Malformed);
        Problem::malformed("no event of the pinned version of the API")
    })?;
    if event.livemode != stripe.is_live() {
        tracing::error!(event_id = event.id, "a webhook of the other mode: play money must not become credit");
        app.metrics.payments.heard(Heard::WrongMode);
        return Err(Problem::malformed("the event is of the other mode (live, test)"));
    }
    let (heard, status) = see_to(&app, &event).await;
    app.metrics.payments.heard(heard);
    tracing::info!(event_id = event.id, kind = event.kind, ?heard, "webhook of the payment provider");
    if status.is_success() {
        return Ok(status.into_response());
    }
    Err(Problem::unavailable(RETRY_AFTER_S).with_detail("not done yet: send it again"))
}

fn check_signature(app: &App, header: &str, body: &[u8]) -> Result<(), Problem> {
    let section = &app.config.purchases.stripe;
    let secrets: Vec<String> = section.webhook_secrets.iter().map(|secret| secret.expose().to_owned()).collect();
    let tolerance_s = i64::try_from(section.webhook_tolerance_ms / 1_000).unwrap_or(i64::MAX);
    verify(&secrets, header, body, now_ms() / 1_000, tolerance_s).map_err(|error| {
        app.metrics.payments.heard(match error {
            SignatureError::Wrong => Heard::BadSignature,
            SignatureError::OtherTime => Heard::OtherTime,
        });
        tracing::warn!(%error, "a webhook is not taken");
        let title = "The signature does not hold";
        Problem::new("invalid_signature", StatusCode::BAD_REQUEST, title).with_detail(error.to_string())
    })
}

async fn see_to(app: &App, event: &Event) -> (Heard, StatusCode) {
    match &event.about {
        About::Nothing => (Heard::Ignored, StatusCode::OK),
        About::WentBack(intent_id) => went_back(app, intent_id).await,
        About::SetUp(account_id, set_up) => save(app, account_id, set_up, event.created).await,
        About::Paid(intent) => {
            let since_s = (now_ms() - app.config.payment_age_ms_max()) / 1_000;
            match Paid::of(intent, since_s) {
                Ok(paid) => post(app, &paid).await,
                Err(NotPaid::Foreign | NotPaid::Open) => (Heard::Ignored, StatusCode::OK),
                Err(why @ (NotPaid::Changed | NotPaid::TooOld)) => {
                    // Coming again would not help: a person looks at it.
                    tracing::error!(intent = intent.id, %why, "money is taken that is not posted");
                    (Heard::Refused, StatusCode::OK)
                }
            }
        }
    }
}

/// What the event says moved is read at Stripe, with all else that moved of that payment's money.
async fn went_back(app: &App, intent_id: &str) -> (Heard, StatusCode) {
    let Some(stripe) = &app.stripe else { return (Heard::Ignored, StatusCode::OK) };
    let teller = Teller {
        desk: &app.commands,
        producer: &app.producer,
        patience: Duration::from_millis(app.config.commands.reply_timeout_ms),
        actor: ACTOR,
    };
    let since_s = settle::since_s(app.config.payment_age_ms_max());
    match teller.went_back(stripe, &app.metrics.payments, intent_id, since_s).await {
        Settled::Nothing => (Heard::Ignored, StatusCode::OK),
        Settled::Known => (Heard::Known, StatusCode::OK),
        Settled::Posted => (Heard::Returned, StatusCode::OK),
        Settled::Unclear => (Heard::Refused, StatusCode::OK),
        Settled::Refused => (Heard::Refused, StatusCode::SERVICE_UNAVAILABLE),
        Settled::Late => (Heard::Late, StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Says the same to the ledger as whoever ordered it.
async fn post(app: &App, paid: &Paid) -> (Heard, StatusCode) {
    const LATE: (Heard, StatusCode) = (Heard::Late, StatusCode::SERVICE_UNAVAILABLE);
    let (idempotency_key, body_hash) = posting_identity(&paid.posting, paid.source);
    let order = Order {
        account_id: &paid.account_id,
        idempotency_key: &idempotency_key,
        body_hash,
        actor: ACTOR,
        body: command::Body::PostPurchase(paid.posting.clone()),
    };
    let reply = match ask_meter(app, order).await {
        Ok(reply) => reply,
        Err(problem) => {
            tracing::warn!(payment_id = paid.posting.payment_id, %problem, "the ledger cannot be told");
            return LATE;
        }
    };
    match reply.and_then(|reply| reply.outcome) {
        Some(Outcome::Accepted(accepted)) if accepted.replayed => (Heard::Known, StatusCode::OK),
        Some(Outcome::Accepted(_)) => (Heard::Posted, StatusCode::OK),
        Some(Outcome::Rejected(rejected)) => {
            let (payment_id, code) = (&paid.posting.payment_id, &rejected.code);
            tracing::error!(payment_id, account_id = %paid.account_id, code, "paid, and refused by the ledger");
            // What refuses it may be put right while Stripe still comes again.
            (Heard::Refused, StatusCode::SERVICE_UNAVAILABLE)
        }
        None => LATE,
    }
}

/// Writes down the payment method that was saved, unless a later one is known.
async fn save(app: &App, account_id: &AccountId, set_up: &SetupIntent, created_s: i64) -> (Heard, StatusCode) {
    let (Some(customer_id), Some(method_id)) = (&set_up.customer, &set_up.payment_method) else {
        return (Heard::Ignored, StatusCode::OK);
    };
    if app.gate.ensure_current().is_err() {
        return (Heard::Late, StatusCode::SERVICE_UNAVAILABLE);
    }
    let set_at_ms = created_s.saturating_mul(1_000);
    if app.payers.get(account_id.as_str()).is_some_and(|known| known.set_at_ms >= set_at_ms) {
        return (Heard::Known, StatusCode::OK);
    }
    let document = PayerDocument {
        account_id: account_id.clone(),
        provider: stripe::NAME.to_owned(),
        customer_id: customer_id.clone(),
        payment_method_id: Some(method_id.clone()),
        set_at_ms,
    };
    match crate::payers::publish(app, document).await {
        Ok(()) => (Heard::SetUp, StatusCode::OK),
        Err(error) => {
            tracing::warn!(set_up = set_up.id, %error, "a saved payment method cannot be written down");
            (Heard::Late, StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}
