//! `POST /v1/events`: usage in the three CloudEvents HTTP modes.

mod batch;
mod binary;
#[cfg(test)]
mod fuzz_tests;
mod verdict;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use rdkafka::message::OwnedHeaders;
use serde::Serialize;
use serde::de::IgnoredAny;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::{KeyKind, Scope};

use crate::app::App;
use crate::produce::{Delivered, ProduceError, Topic, structured_headers};
use batch::SplitError;
use binary::BinaryAttributes;
pub(crate) use verdict::Reason;
use verdict::{Judge, Limits, Refusal, id_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Structured,
    Batch,
    Binary,
}

impl Mode {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        let is = |expected: &str| essence.eq_ignore_ascii_case(expected);
        if is("application/cloudevents+json") {
            Ok(Self::Structured)
        } else if is("application/cloudevents-batch+json") {
            Ok(Self::Batch)
        } else if is("application/json") && BinaryAttributes::are_in(headers) {
            Ok(Self::Binary)
        } else {
            Err(Problem::unsupported_media_type(
                "expected application/cloudevents+json, application/cloudevents-batch+json, or application/json with \
                 ce- headers",
            ))
        }
    }
}

/// An item that was not taken.
#[derive(Debug, Serialize)]
struct Rejected {
    index: usize,
    id: Option<String>,
    problem: Problem,
}

#[derive(Debug, Serialize)]
struct Accepted {
    accepted: usize,
    rejected: Vec<Rejected>,
}

pub(crate) async fn post_events(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    match take(&app, request).await {
        Ok(accepted) => answer(&accepted),
        Err(problem) => problem.into_response(),
    }
}

async fn take(app: &App, request: Request) -> Result<Accepted, Problem> {
    let principal = app.authenticate(request.headers())?;
    if principal.kind == KeyKind::Account {
        return Err(Problem::forbidden("an account key (tb_sk_...) reads and buys; usage is sent with a booth key"));
    }
    principal.require(Scope::Usage)?;
    let mode = Mode::of(request.headers())?;
    let (headers, body, _admitted) =
        app.admit(&principal, request).await.inspect_err(|problem| count_whole(app, problem.into()))?;
    let limits = Limits {
        now_ms: crate::app::now_ms(),
        age_ms_max: app.config.age_ms_max(),
        future_ms_max: app.config.future_ms_max(),
    };
    let judge = Judge { principal: &principal, limits, metrics: &app.metrics };
    match mode {
        Mode::Batch => take_batch(app, &body, judge).await,
        Mode::Structured => take_structured(app, &body, judge).await,
        Mode::Binary => take_binary(app, &headers, &body, judge).await,
    }
}

/// Counts a request that was refused before its events were told apart: as one.
fn count_whole(app: &App, reason: Reason) {
    app.metrics.batch_events.observe(1.0);
    app.metrics.rejected(reason);
}

async fn take_structured(app: &App, body: &[u8], judge: Judge<'_>) -> Result<Accepted, Problem> {
    let event = judge.structured(body).map_err(|refusal| refuse_single(app, body, &refusal))?;
    send_single(app, event.account_id.as_bytes(), body, structured_headers()).await
}

async fn take_binary(app: &App, headers: &HeaderMap, body: &[u8], judge: Judge<'_>) -> Result<Accepted, Problem> {
    let attributes = BinaryAttributes::read(headers).inspect_err(|problem| count_whole(app, problem.into()))?;
    let event = judge.binary(attributes.borrow(), body).map_err(|refusal| refuse_single(app, body, &refusal))?;
    send_single(app, event.account_id.as_bytes(), body, attributes.kafka_headers()).await
}

async fn send_single(app: &App, key: &[u8], body: &[u8], headers: OwnedHeaders) -> Result<Accepted, Problem> {
    let mut sending = app.producer.begin(Topic::Usage, 1);
    let queued = sending.send(0, key, body, Some(headers));
    let outcome = match queued {
        Ok(()) => sending.finish().await,
        Err(error) => Err(error),
    };
    finish_single(app, outcome)
}

/// The problem of a request that carried one event.
fn refuse_single(app: &App, body: &[u8], refusal: &Refusal) -> Problem {
    count_whole(app, refusal.reason());
    // What is not JSON at all is the request's fault, what is not an event is the event's.
    let is_syntax = matches!(refusal, Refusal::Shape(error) if error.pointer.is_empty() || error.pointer == "/data")
        && std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<IgnoredAny>(text).ok()).is_none();
    if is_syntax { Problem::malformed(refusal.to_string()) } else { refusal.problem() }
}

fn finish_single(app: &App, outcome: Result<Delivered, ProduceError>) -> Result<Accepted, Problem> {
    app.metrics.batch_events.observe(1.0);
    let failure = match outcome {
        Ok(delivered) => delivered.failed.first().map(|(_, code)| ProduceError::Unacknowledged(*code)),
        Err(error) => Some(error),
    };
    match failure {
        None => {
            app.metrics.accepted(1);
            Ok(Accepted { accepted: 1, rejected: Vec::new() })
        }
        Some(error) => {
            app.metrics.rejected(Reason::Unavailable);
            Err(error.into())
        }
    }
}

async fn take_batch(app: &App, body: &[u8], judge: Judge<'_>) -> Result<Accepted, Problem> {
    let split = batch::split(body, app.config.events.batch_events_max).map_err(|error| match error {
        SplitError::TooMany(_) => Problem::too_large(error.to_string()),
        SplitError::Malformed(_) => Problem::malformed(error.to_string()),
    });
    let items = split.inspect_err(|problem| count_whole(app, problem.into()))?;
    app.metrics.batch_events.observe(items.len() as f64);
    if items.is_empty() {
        return Ok(Accepted { accepted: 0, rejected: Vec::new() });
    }
    let mut refusals: Vec<(u16, Refusal)> = Vec::new();
    let mut sending = app.producer.begin(Topic::Usage, items.len());
    // Once one was not queued, none behind it is: it will be sent again, and a booth's events must not overtake each
    // other. A smaller one might still have fitted.
    let mut full: Option<ProduceError> = None;
    // `batch_events_max` is checked at start to fit the index.
    for (index, item) in (0_u16..).zip(&items) {
        let raw = item.get().as_bytes();
        let sent = judge.structured(raw).and_then(|event| {
            let sent = match full {
                Some(error) => Err(error),
                None => sending.send(index, event.account_id.as_bytes(), raw, Some(structured_headers())),
            };
            Ok(sent.inspect_err(|error| full = Some(*error))?)
        });
        if let Err(refusal) = sent {
            refusals.push((index, refusal));
        }
    }
    match sending.finish().await {
        Ok(delivered) => refusals
            .extend(delivered.failed.iter().map(|(index, code)| (*index, ProduceError::Unacknowledged(*code).into()))),
        Err(error) => return Err(error.into()),
    }
    refusals.sort_by_key(|(index, _)| *index);
    conclude(app, &items, &refusals)
}

/// Counts, and turns refusals into the answer. Where nothing was taken and the reason is ours, the whole batch is
/// answered with 503: it can be sent again as it is.
fn conclude(
    app: &App,
    items: &[&serde_json::value::RawValue],
    refusals: &[(u16, Refusal)],
) -> Result<Accepted, Problem> {
    let accepted = items.len().saturating_sub(refusals.len());
    app.metrics.accepted(accepted);
    for (_, refusal) in refusals {
        app.metrics.rejected(refusal.reason());
    }
    let unavailable = refusals.iter().find_map(|(_, refusal)| match refusal {
        Refusal::Unavailable(error) => Some(*error),
        _ => None,
    });
    if let (0, Some(error)) = (accepted, unavailable) {
        return Err(error.into());
    }
    let rejected = refusals.iter().map(|(index, refusal)| {
        let index = usize::from(*index);
        let id = items.get(index).and_then(|item| id_of(item.get().as_bytes()));
        Rejected { index, id, problem: refusal.problem() }
    });
    Ok(Accepted { accepted, rejected: rejected.collect() })
}

fn answer(accepted: &Accepted) -> Response<Body> {
    // Strings and numbers only: encoding cannot fail.
    let body = serde_json::to_vec(accepted).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if accepted.rejected.iter().any(|item| item.problem.status() == StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(crate::produce::RETRY_AFTER_S));
    }
    response
}
