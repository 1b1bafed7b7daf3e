//! `GET /v1/accounts/{account_id}/events/{event_id}/usage`

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::EventId;
use utoipa::ToSchema;

use super::usage::{RANGE, edge, zone};
use super::{AWAIT, Api, Timer};
use crate::amount::AmountBody;
use crate::answers::{Question, Sums, Whose};
use crate::calendar::{TimeRange, edge_text};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{AccountProblems, EventPath};
use crate::params::{Params, bad_parameter, parameters};
use crate::prices::Names;
use crate::store::{GroupBy, Kinds, UsageFilter, UsageRow};

/// No range, or one open at an end, reaches from 1970 to 2199.
const EVER: TimeRange = TimeRange { from_ms: 0, to_ms: 7_258_118_400_000 };

parameters! {
    /// Of this route.
    EventUsageParams = RANGE, AWAIT
}

/// What was spent for an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventUsage)]
struct EventUsageBody {
    event_id: String,
    from: Option<String>,
    to: Option<String>,
    data: Vec<EngineBody>,
    total: EventTotalBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EngineUsage)]
struct EngineBody {
    service: String,
    engine: String,
    /// Both as people read them.
    service_name: String,
    count: i64,
    failed: i64,
    amount: AmountBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTotal)]
struct EventTotalBody {
    count: i64,
    failed: i64,
    amount: AmountBody,
}

/// An event's usage by engine, largest amount first
///
/// Over all time, or a range.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/events/{event_id}/usage",
    operation_id = "get_event_usage",
    tag = "Events",
    params(EventPath, EventUsageParams),
    responses(
        (status = 200, description = "Sums by engine", body = EventUsageBody,
         headers(("Tollbooth-Seq" = u64, description = "The newest entry in the sums; absent where they may be a moment behind."))),
        AccountProblems
    ),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path((account_id, event_id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::EventUsage);
    let params = Params::parse(&uri, EventUsageParams::GROUPS)?;
    let reader = api.open_event(&headers, &account_id, &event_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    if event_id.parse::<EventId>().is_err() {
        return Err(Problem::not_found("no such event"));
    }
    let zone = zone(&params, &profile.time_zone)?;
    let (from_ms, to_ms) = (edge(&params, "from", zone)?, edge(&params, "to", zone)?);
    let range = TimeRange { from_ms: from_ms.unwrap_or(EVER.from_ms), to_ms: to_ms.unwrap_or(EVER.to_ms) };
    if range.from_ms >= range.to_ms {
        return Err(bad_parameter("to", "must be after from"));
    }
    let question = Question {
        whose: Whose::Account(account_id.clone()),
        kinds: Kinds::Spend,
        range: (from_ms.is_some() || to_ms.is_some()).then_some(range),
        starts_ms: Vec::new(),
        group_by: Some(GroupBy::ServiceAndEngine),
        filter: UsageFilter { event_ids: vec![event_id.clone()], ..UsageFilter::default() },
        top: None,
    };
    let body = |Sums { rows, balance, .. }: Sums, names: &Names| {
        let rows = rows.into_iter().next().flatten().unwrap_or_default();
        let (from, to) = (from_ms.map(|ms| edge_text(ms, zone)), to_ms.map(|ms| edge_text(ms, zone)));
        let count = rows.len();
        Ok((body_of(event_id, rows, (from, to), &balance.profile.currency, names), count))
    };
    let (response, rows) = api.sums(&account_id, reader, (&uri, zone), vec![question], now_ms(), body).await?;
    timer.done(rows);
    Ok(response)
}

fn body_of(
    event_id: String,
    mut rows: Vec<UsageRow>,
    (from, to): (Option<String>, Option<String>),
    currency: &str,
    names: &Names,
) -> EventUsageBody {
    rows.sort_unstable_by_key(|row| (Reverse(row.spent_micros), Reverse(row.succeeded), row.group_key.clone()));
    let total = EventTotalBody {
        count: rows.iter().map(|row| row.succeeded).sum(),
        failed: rows.iter().map(|row| row.failures).sum(),
        amount: AmountBody::new(rows.iter().map(|row| row.spent_micros).sum::<i128>(), currency),
    };
    let data = rows.iter().map(|row| {
        let (service, engine) = row.group_key.split_once('\0').unwrap_or((&row.group_key, ""));
        EngineBody {
            service_name: names.work(service, engine).unwrap_or_default(),
            service: service.to_owned(),
            engine: engine.to_owned(),
            count: row.succeeded,
            failed: row.failures,
            amount: AmountBody::new(row.spent_micros, currency),
        }
    });
    EventUsageBody { event_id, from, to, data: data.collect(), total }
}
