//! `GET /v1/accounts/{account_id}/events/{event_id}/usage`

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono_tz::Tz;
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
use crate::params::{Parameter, Params, bad_parameter, parameters};
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
        (status = 200, description = "Sums by engine", body = EventUsageBody),
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
    let asked = AskedEventUsage::parse(&params, &profile.time_zone)?;
    let AskedEventUsage { zone, from_ms, to_ms } = asked;
    let question = asked.question(&account_id, &event_id);
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

/// What the parameters of an event's usage ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedEventUsage {
    /// Of dates.
    pub zone: Tz,
    /// First instant; `None`: since ever.
    pub from_ms: Option<i64>,
    /// First instant after the range; `None`: for ever.
    pub to_ms: Option<i64>,
}

impl AskedEventUsage {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = EventUsageParams::GROUPS;

    /// Reads them. Where they name no zone, `default_zone` says which.
    ///
    /// # Errors
    /// 400 for what is not a parameter's value.
    pub fn parse(params: &Params, default_zone: &str) -> Result<Self, Problem> {
        let zone = zone(params, default_zone)?;
        let asked = Self { zone, from_ms: edge(params, "from", zone)?, to_ms: edge(params, "to", zone)? };
        let TimeRange { from_ms, to_ms } = asked.whole_range();
        if from_ms < to_ms { Ok(asked) } else { Err(bad_parameter("to", "must be after from")) }
    }

    fn whole_range(&self) -> TimeRange {
        TimeRange { from_ms: self.from_ms.unwrap_or(EVER.from_ms), to_ms: self.to_ms.unwrap_or(EVER.to_ms) }
    }

    /// What has to be asked of an event: its sums by service and engine, of all time where no end of a range is named.
    #[must_use]
    pub fn question(&self, account_id: &str, event_id: &str) -> Question {
        Question {
            whose: Whose::Account(account_id.to_owned()),
            kinds: Kinds::Spend,
            range: (self.from_ms.is_some() || self.to_ms.is_some()).then(|| self.whole_range()),
            starts_ms: Vec::new(),
            group_by: Some(GroupBy::ServiceAndEngine),
            filter: UsageFilter { event_ids: vec![event_id.to_owned()], ..UsageFilter::default() },
            top: None,
        }
    }
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
