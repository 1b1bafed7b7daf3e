//! `GET /v1/accounts/{account_id}/forecast`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::EventId;
use tollbooth_schemas::time::{serde_rfc3339, serde_rfc3339_option};
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer};
use crate::amount::AmountBody;
use crate::answers::{Question, Sums, Whose};
use crate::calendar::{Bucket, QUARTER_MS, TimeRange, resolve_zone, spans};
use crate::clock::now_ms;
use crate::forecast::{Finding, Method, PACE_MS, Purse, Reason, Spend, WEEKDAYS_MS, choose, why_none};
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::ParameterKind::Text;
use crate::params::{Parameter, Params, bad_parameter, parameters};
use crate::prices::Names;
use crate::store::{Kinds, UsageFilter, UsageRow};

/// More hours than eight weeks have, half hours of odd zones included, and more quarters of hours than two days.
const STRETCHES_MAX: usize = 2_000;
const DAY_MS: i64 = 86_400_000;

parameters! {
    /// Of this route.
    ForecastParams = &[Parameter {
        name: "event_id",
        kind: Text,
        about: "The pace of now is that of this event; by default that of the whole account.",
    }], AWAIT
}

/// Until when the money lasts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Forecast)]
struct ForecastBody {
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    as_of: i64,
    /// The newest entry of the balance.
    seq: u64,
    /// What is to last: the balance less what is held.
    available: AmountBody,
    currency: String,
    /// Null: it cannot be told, see `reason`.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    runs_out_at: Option<i64>,
    /// The method to show: what happens now, else the same weekday, else the last seven days.
    method: Option<MethodBody>,
    /// Why there is none.
    reason: Option<ReasonBody>,
    methods: Vec<FindingBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForecastMethod)]
struct FindingBody {
    method: MethodBody,
    /// What was looked at: from its first charge on.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: i64,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    to: i64,
    /// Successful operations in it.
    charges: i64,
    /// What they cost, net of what was given back.
    amount: AmountBody,
    per_hour: AmountBody,
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    runs_out_at: Option<i64>,
    /// Why there is no such instant.
    reason: Option<ReasonBody>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ForecastMethodCode)]
enum MethodBody {
    /// The last three hours, while somebody is at work.
    #[serde(rename = "event_pace")]
    EventPace,
    /// An even rate.
    #[serde(rename = "last_7_days")]
    Last7Days,
    /// Hour by hour of the local week, as the last eight weeks were.
    #[serde(rename = "same_weekday")]
    SameWeekday,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ForecastReason)]
enum ReasonBody {
    /// Fewer than 20 charges, or less than 30 minutes of them (four weeks, for the weekdays).
    NotEnoughData,
    NoSpend,
    /// Longer than a day at the pace of now, a year at an even rate, 90 days by the weekdays.
    BeyondHorizon,
}

impl From<Method> for MethodBody {
    fn from(method: Method) -> Self {
        match method {
            Method::EventPace => Self::EventPace,
            Method::Last7Days => Self::Last7Days,
            Method::SameWeekday => Self::SameWeekday,
        }
    }
}

impl From<Reason> for ReasonBody {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotEnoughData => Self::NotEnoughData,
            Reason::NoSpend => Self::NoSpend,
            Reason::BeyondHorizon => Self::BeyondHorizon,
        }
    }
}

/// Until when the money lasts
///
/// By three methods, each with what it was made of. Nothing is said from fewer than 20 charges or 30 minutes.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/forecast",
    operation_id = "get_forecast",
    tag = "Accounts",
    params(AccountPath, ForecastParams),
    responses(
        (status = 200, description = "The forecast", body = ForecastBody),
        AccountProblems
    ),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Forecast);
    let params = Params::parse(&uri, ForecastParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let asked = AskedForecast::parse(&params)?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let zone = resolve_zone(None, &profile.time_zone).unwrap_or(Tz::UTC);
    let now_ms = now_ms();
    let questions = asked.questions(&account_id, zone, now_ms)?;
    let body = |Sums { rows, balance, .. }: Sums, _: &Names| {
        let purse =
            Purse { available_micros: i128::from(balance.balance_micros) - i128::from(balance.held_micros), now_ms };
        let spends: Vec<Vec<Spend>> = rows.iter().map(|rows| spends(rows.as_deref().unwrap_or_default())).collect();
        let since = |index: usize, from_ms: i64| -> Vec<Spend> {
            let spends = spends.get(index).map(Vec::as_slice).unwrap_or_default();
            spends.iter().copied().filter(|spend| (from_ms..=now_ms).contains(&spend.start_ms)).collect()
        };
        let pace = since(0, (now_ms - PACE_MS).div_euclid(QUARTER_MS) * QUARTER_MS);
        let hours = since(1, now_ms - WEEKDAYS_MS);
        let findings = [purse.event_pace(&pace), purse.last_7_days(&hours), purse.same_weekday(&hours, zone)];
        let chosen = choose(&findings);
        let currency = &balance.profile.currency;
        let body = ForecastBody {
            as_of: balance.as_of_ms,
            seq: balance.seq,
            available: AmountBody::new(purse.available_micros, currency),
            currency: currency.clone(),
            runs_out_at: chosen.and_then(|finding| finding.outcome.ok()),
            method: chosen.map(|finding| finding.method.into()),
            reason: chosen.is_none().then(|| why_none(&findings).into()),
            methods: findings.iter().map(|finding| of_finding(finding, currency)).collect(),
        };
        Ok((body, pace.len() + hours.len()))
    };
    let (response, rows) = api.sums(&account_id, reader, (&uri, zone), questions, now_ms, body).await?;
    timer.done(rows);
    Ok(response)
}

/// What the parameters of a forecast ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedForecast {
    /// Whose pace is that of now; `None`: the whole account's.
    pub event_id: Option<EventId>,
}

impl AskedForecast {
    /// Its parameters.
    pub const PARAMS: &[&[Parameter]] = ForecastParams::GROUPS;

    /// Reads them.
    ///
    /// # Errors
    /// 400 for what is no event's id.
    pub fn parse(params: &Params) -> Result<Self, Problem> {
        let event_id = params.one("event_id")?.map(str::parse::<EventId>).transpose();
        Ok(Self { event_id: event_id.map_err(|error| bad_parameter("event_id", error.to_string()))? })
    }

    /// What has to be asked: the pace of now in quarters of an hour, and eight weeks in hours of `zone`.
    ///
    /// # Errors
    /// None that a request could make.
    pub fn questions(&self, account_id: &str, zone: Tz, now_ms: i64) -> Result<Vec<Question>, Problem> {
        let event_ids = self.event_id.iter().map(|event_id| event_id.as_str().to_owned()).collect();
        let (pace, all) = (UsageFilter { event_ids, ..UsageFilter::default() }, UsageFilter::default());
        Ok(vec![
            question(account_id, pace, days_back(now_ms, PACE_MS), Bucket::Quarter, Tz::UTC)?,
            question(account_id, all, days_back(now_ms, WEEKDAYS_MS), Bucket::Hour, zone)?,
        ])
    }
}

fn of_finding(finding: &Finding, currency: &str) -> FindingBody {
    FindingBody {
        method: finding.method.into(),
        from: finding.range.from_ms,
        to: finding.range.to_ms,
        charges: finding.charges,
        amount: AmountBody::new(finding.micros, currency),
        per_hour: AmountBody::new(finding.per_hour_micros(), currency),
        runs_out_at: finding.outcome.ok(),
        reason: finding.outcome.err().map(ReasonBody::from),
    }
}

/// So long until now and some more, in whole days of UTC: the question of now is that of the whole day, so that its sums are
/// carried forward until the next one.
const fn days_back(now_ms: i64, length_ms: i64) -> TimeRange {
    let from_ms = (now_ms - length_ms).div_euclid(DAY_MS) * DAY_MS;
    TimeRange { from_ms, to_ms: (now_ms.div_euclid(DAY_MS) + 1) * DAY_MS }
}

fn question(
    account_id: &str,
    filter: UsageFilter,
    range: TimeRange,
    bucket: Bucket,
    zone: Tz,
) -> Result<Question, Problem> {
    let spans = spans(range, bucket, zone, range.to_ms, STRETCHES_MAX).map_err(Problem::internal)?;
    Ok(Question {
        whose: Whose::Account(account_id.to_owned()),
        kinds: Kinds::Spend,
        range: Some(range),
        starts_ms: spans.iter().map(|span| span.start_ms).collect(),
        group_by: None,
        filter,
        top: None,
    })
}

fn spends(rows: &[UsageRow]) -> Vec<Spend> {
    let spend = |row: &UsageRow| Spend { start_ms: row.start_ms, charges: row.succeeded, micros: row.spent_micros };
    rows.iter().map(spend).collect()
}
