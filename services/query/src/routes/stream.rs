//! `GET /v1/accounts/{account_id}/stream`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tollbooth_chassis::http::WriteTimeout;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::EventId;

use super::{Api, Timer};
use crate::access::credentials;
use crate::activity::ActivityFilter;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems, ProblemBody};
use crate::params::ParameterKind::{ChoiceList, List, Text};
use crate::params::{Parameter, Params, bad_parameter, parameters};
use crate::stream::{Feed, Intervals, Opening, Position, Stream, Topic, Topics};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx holds responses back unless told not to.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(3);
const RETRY_AFTER_S: u32 = 5;

/// What is sent.
const WHAT: &[Parameter] = &[
    Parameter {
        name: "topics",
        kind: ChoiceList(|| Topic::CODES.map(|(code, _)| code).to_vec()),
        about: "What is sent; by default all.",
    },
    Parameter { name: "event_id", kind: List, about: "Only transactions, usage and alerts of these events." },
    Parameter {
        name: "after",
        kind: Text,
        about: "Begins behind this id or `seq`, for clients that cannot send `Last-Event-ID`, which wins. Without either \
                it begins at the newest entry.",
    },
];

parameters! {
    /// Of this route.
    StreamParams = WHAT
}

/// What happens, as it happens
///
/// Server-sent events. Every event has an `id`; who comes back with the last one as `Last-Event-ID` gets what came after
/// it, neither more nor less, also from another process. `ready` is the first event, `transaction` is one entry as in the
/// list, `alert` one as among an account's alerts, `balance` and `usage` are gathered, `resync` says that entries in between cannot be had: load anew what is
/// shown, and `stale` says since when the ledger cannot be followed, or that it can again. A comment every 15 s shows that the connection lives.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/stream",
    operation_id = "stream_account",
    tag = "Live",
    params(
        AccountPath,
        StreamParams,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was seen.")
    ),
    responses(
        (status = 200, description = "Events until either side ends them", body = String,
         content_type = "text/event-stream"),
        (status = 429, description = "`too_many_streams`: of this account", body = ProblemBody,
         content_type = "application/problem+json"),
        AccountProblems
    ),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    write_timeout: WriteTimeout,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Stream);
    let params = Params::parse(&uri, StreamParams::GROUPS)?;
    let visitor = api.access.read_account(&headers, &account_id)?;
    api.open_for(&visitor, &account_id, &params).await?;
    // Watched before the newest entry is looked at: what comes in between wakes the stream.
    let watch = api.view.watch(&account_id);
    let balance = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?;
    let position = position(&params, &headers)?.unwrap_or(Position::at(balance.seq));
    let settings = api.config.stream;
    let filter = filter(&params)?;
    let intervals = Intervals {
        balance: Duration::from_millis(settings.balance_interval_ms),
        usage: Duration::from_millis(settings.usage_interval_ms),
    };
    let feed = Feed::new(topics(&params)?, filter, intervals, position);
    // What a customer's page shows to a crowd does not take the operator's own place.
    let max = if visitor.is_portal() { settings.per_account_max.div_ceil(2) } else { settings.per_account_max };
    if watch.watchers() > max {
        return Err(too_many(StatusCode::TOO_MANY_REQUESTS, "this account has too many streams"));
    }
    let permit = Arc::clone(&api.stream_places).try_acquire_owned();
    let permit = permit.map_err(|_| too_many(StatusCode::SERVICE_UNAVAILABLE, "this process has too many streams"))?;
    timer.done(0);
    let stream = Stream::new(Opening {
        currency: balance.profile.currency.clone(),
        account_id,
        feed,
        headers: credentials(&headers),
        write_timeout,
        permit,
        watch,
        access: Arc::clone(&api.access),
        view: Arc::clone(&api.view),
        store: Arc::clone(&api.store),
        prices: Arc::clone(&api.prices),
        metrics: api.metrics.stream.clone(),
        settings,
        ending: api.ending.clone(),
    });
    let events = stream::unfold(stream, async |mut stream| Some((stream.next().await?, stream)));
    let events = stream::iter([Ok(Event::default().retry(RETRY))]).chain(events);
    let heartbeat = KeepAlive::new().interval(Duration::from_millis(settings.heartbeat_ms));
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    let head = response.headers_mut();
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

fn too_many(status: StatusCode, detail: &'static str) -> Problem {
    Problem::new("too_many_streams", status, "Too many streams").with_detail(detail).with_retry_after(RETRY_AFTER_S)
}

fn topics(params: &Params) -> Result<Topics, Problem> {
    let given = params.list("topics")?;
    let known = Topic::CODES.map(|(code, _)| code);
    if given.iter().any(|topic| !known.contains(&topic.as_str())) {
        return Err(bad_parameter("topics", format!("must be of {}", known.join(", "))));
    }
    let has = |wanted: Topic| {
        let code = Topic::CODES.into_iter().find(|(_, topic)| *topic == wanted).map(|(code, _)| code);
        given.is_empty() || given.iter().any(|topic| Some(topic.as_str()) == code)
    };
    Ok(Topics {
        balance: has(Topic::Balance),
        transactions: has(Topic::Transactions),
        usage: has(Topic::Usage),
        alerts: has(Topic::Alerts),
    })
}

fn filter(params: &Params) -> Result<ActivityFilter, Problem> {
    let event_ids = params.list("event_id")?;
    for event_id in &event_ids {
        event_id.parse::<EventId>().map_err(|error| bad_parameter("event_id", error.to_string()))?;
    }
    Ok(ActivityFilter { event_ids, ..ActivityFilter::default() })
}

fn position(params: &Params, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    if let Some(id) = headers.get(&LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        let position = id.to_str().ok().and_then(|id| id.parse().ok());
        return position.map(Some).ok_or_else(|| bad_parameter("Last-Event-ID", "must be the id of an event"));
    }
    match params.one("after")? {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|error: crate::stream::BadPosition| bad_parameter("after", error.to_string())),
    }
}
