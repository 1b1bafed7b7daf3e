//! `GET /v1/accounts/{account_id}/usage`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::{BoothId, EventId};
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::amount::AmountBody;
use crate::calendar::{Bucket, Span, TimeRange, edge_text, parse_edge, resolve_range, resolve_zone, spans};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::ParameterKind::{Choice, List, Text};
use crate::params::{Parameter, Params, bad_parameter, parameters};
use crate::store::{GroupBy, StoreError, UsageFilter, UsageQuery, UsageRow};

/// Which instants.
pub(super) const RANGE: &[Parameter] = &[
    Parameter { name: "from", kind: Text, about: "First instant: RFC 3339, or a local date in `tz`." },
    Parameter { name: "to", kind: Text, about: "First instant after the range, written as `from`." },
    Parameter { name: "tz", kind: Text, about: "IANA zone of dates and buckets; by default the account's." },
];

/// How the range is cut and split.
const SPLIT: &[Parameter] = &[
    Parameter {
        name: "bucket",
        kind: Choice(|| Bucket::ALL.map(Bucket::code).into_iter().chain(["auto"]).collect()),
        about: "Size of a bucket by the zone's clocks and calendar; `auto` (default) follows the range.",
    },
    Parameter {
        name: "group_by",
        kind: Choice(|| GroupBy::CODES.map(|(code, _)| code).to_vec()),
        about: "Splits every bucket; the key of what has none is empty.",
    },
    Parameter {
        name: "measure",
        kind: Choice(|| vec!["amount", "count"]),
        about: "Orders the groups of a bucket, largest first; by default `amount`.",
    },
];

/// What the sums are narrowed to.
const NARROW: &[Parameter] = &[
    Parameter { name: "service", kind: List, about: "Only these services, by code." },
    Parameter { name: "engine", kind: List, about: "Only these engines, by code." },
    Parameter { name: "event_id", kind: List, about: "Only these events." },
    Parameter { name: "booth_id", kind: List, about: "Only these booths." },
];

parameters! {
    /// Of this route.
    UsageParams = RANGE, SPLIT, NARROW, AWAIT
}

/// What groups are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Measure {
    Count,
    Amount,
}

/// What was spent, over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
struct UsageBody {
    /// First instant, with the zone's offset.
    from: String,
    /// First instant after the range.
    to: String,
    bucket: &'static str,
    tz: String,
    measure: Measure,
    /// They cover the range exactly; empty ones are zeros.
    buckets: Vec<BucketBody>,
    /// Of the exact range, and the sum of the buckets.
    total: TotalBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageBucket)]
struct BucketBody {
    start: String,
    end: String,
    /// The range cuts it, or it has not ended.
    partial: bool,
    groups: Vec<GroupBody>,
    /// Successful operations net of reversals.
    count: i64,
    /// Spent, positive, net of reversals.
    amount: AmountBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageGroup)]
struct GroupBody {
    key: String,
    count: i64,
    amount: AmountBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageTotal)]
struct TotalBody {
    count: i64,
    amount: AmountBody,
}

/// Usage over time
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/usage",
    operation_id = "get_usage",
    tag = "Usage",
    params(AccountPath, UsageParams),
    responses((status = 200, description = "Sums by bucket and group", body = UsageBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut timer = Timer::start(&api.metrics, Endpoint::Usage);
    let params = Params::parse(&uri, UsageParams::GROUPS)?;
    let awaited = api.open(&headers, &account_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let now_ms = now_ms();
    let zone = zone(&params, &profile.time_zone)?;
    let range = range(&params, zone, now_ms)?;
    let bucket = bucket(&params, range)?;
    timer.bucket(bucket);
    let group_by = group_by(&params)?;
    let measure = measure(&params)?;
    let filter = usage_filter(&params)?;
    let buckets_max = api.config.limits.buckets_max;
    let spans = spans(range, bucket, zone, now_ms, buckets_max).map_err(|error| {
        Problem::new("too_many_buckets", StatusCode::BAD_REQUEST, "The range has too many buckets")
            .with_detail(format!("{error}; take a larger bucket or a shorter range"))
            .with_error("bucket", error.to_string())
    })?;

    let starts_ms: Vec<i64> = spans.iter().map(|span| span.start_ms).collect();
    let groups_max = api.config.limits.groups_max;
    let question = UsageQuery {
        account_id: &account_id,
        range: Some(range),
        starts_ms: &starts_ms,
        group_by,
        filter: &filter,
        rows_max: groups_max + 1,
    };
    api.wait_until_sunk(&account_id, awaited).await?;
    let rows = api.store.usage(&question).await?;
    if rows.len() > groups_max {
        return Err(Problem::new("too_many_groups", StatusCode::BAD_REQUEST, "The answer has too many groups")
            .with_detail(format!("more than {groups_max} groups; take a larger bucket or a shorter range")));
    }
    let count = rows.len();
    let (buckets, total) = fill(&spans, zone, rows, group_by, measure, &profile.currency)?;
    let body = UsageBody {
        from: edge_text(range.from_ms, zone),
        to: edge_text(range.to_ms, zone),
        bucket: bucket.code(),
        tz: zone.name().to_owned(),
        measure,
        buckets,
        total,
    };
    timer.done(count);
    private(&body)
}

/// Every bucket, those without rows as zeros, with its sums; and the total of all.
fn fill(
    spans: &[Span],
    zone: Tz,
    rows: Vec<UsageRow>,
    group_by: Option<GroupBy>,
    measure: Measure,
    currency: &str,
) -> Result<(Vec<BucketBody>, TotalBody), Problem> {
    let mut by_start: BTreeMap<i64, Vec<UsageRow>> = BTreeMap::new();
    let (mut count, mut spent_micros) = (0, 0);
    for row in rows {
        count += row.succeeded;
        spent_micros += row.spent_micros;
        by_start.entry(row.start_ms).or_default().push(row);
    }
    let mut buckets = Vec::with_capacity(spans.len());
    for span in spans {
        let mut rows = by_start.remove(&span.start_ms).unwrap_or_default();
        let bucket_micros: i128 = rows.iter().map(|row| row.spent_micros).sum();
        let bucket_count = rows.iter().map(|row| row.succeeded).sum();
        match measure {
            Measure::Count => rows.sort_unstable_by_key(|row| (Reverse(row.succeeded), row.group_key.clone())),
            Measure::Amount => rows.sort_unstable_by_key(|row| (Reverse(row.spent_micros), row.group_key.clone())),
        }
        let groups = rows.into_iter().filter(|_| group_by.is_some()).map(|row| {
            let failures_only = group_by == Some(GroupBy::Status) && row.group_key == "failed";
            GroupBody {
                count: if failures_only { row.failures } else { row.succeeded },
                amount: AmountBody::new(row.spent_micros, currency),
                key: row.group_key,
            }
        });
        buckets.push(BucketBody {
            start: edge_text(span.start_ms, zone),
            end: edge_text(span.end_ms, zone),
            partial: span.partial,
            groups: groups.collect(),
            count: bucket_count,
            amount: AmountBody::new(bucket_micros, currency),
        });
    }
    // A row that belongs to no bucket would be in the total and in no bar.
    match by_start.keys().next() {
        Some(start_ms) => Err(StoreError::Row(format!("a sum at {start_ms}, where no bucket begins")).into()),
        None => Ok((buckets, TotalBody { count, amount: AmountBody::new(spent_micros, currency) })),
    }
}

/// The zone of `tz`, or that of the account.
pub(super) fn zone(params: &Params, default_zone: &str) -> Result<Tz, Problem> {
    resolve_zone(params.one("tz")?, default_zone).map_err(|error| bad_parameter("tz", error.to_string()))
}

/// One end of a range.
pub(super) fn edge(params: &Params, name: &str, zone: Tz) -> Result<Option<i64>, Problem> {
    let Some(text) = params.one(name)? else { return Ok(None) };
    parse_edge(text, zone).map(Some).map_err(|error| bad_parameter(name, error.to_string()))
}

fn range(params: &Params, zone: Tz, now_ms: i64) -> Result<TimeRange, Problem> {
    let (from_ms, to_ms) = (edge(params, "from", zone)?, edge(params, "to", zone)?);
    resolve_range(from_ms, to_ms, zone, now_ms).map_err(|error| bad_parameter("to", error.to_string()))
}

fn bucket(params: &Params, range: TimeRange) -> Result<Bucket, Problem> {
    match params.one("bucket")? {
        None | Some("auto") => Ok(Bucket::auto(range)),
        Some(code) => Bucket::from_code(code)
            .ok_or_else(|| bad_parameter("bucket", "must be 15m, hour, day, week, month, year or auto")),
    }
}

fn group_by(params: &Params) -> Result<Option<GroupBy>, Problem> {
    let Some(code) = params.one("group_by")? else { return Ok(None) };
    let found = GroupBy::CODES.into_iter().find(|(known, _)| *known == code);
    found.map(|(_, group_by)| Some(group_by)).ok_or_else(|| {
        let known = GroupBy::CODES.map(|(known, _)| known).join(", ");
        bad_parameter("group_by", format!("must be one of {known}"))
    })
}

fn measure(params: &Params) -> Result<Measure, Problem> {
    match params.one("measure")? {
        None | Some("amount") => Ok(Measure::Amount),
        Some("count") => Ok(Measure::Count),
        Some(_) => Err(bad_parameter("measure", "must be count or amount")),
    }
}

fn usage_filter(params: &Params) -> Result<UsageFilter, Problem> {
    let filter = UsageFilter {
        services: params.list("service")?,
        engines: params.list("engine")?,
        event_ids: params.list("event_id")?,
        booth_ids: params.list("booth_id")?,
    };
    for event_id in &filter.event_ids {
        event_id.parse::<EventId>().map_err(|error| bad_parameter("event_id", error.to_string()))?;
    }
    for booth_id in &filter.booth_ids {
        booth_id.parse::<BoothId>().map_err(|error| bad_parameter("booth_id", error.to_string()))?;
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(start_ms: i64, group_key: &str, succeeded: i64, spent_micros: i128) -> UsageRow {
        UsageRow { start_ms, group_key: group_key.to_owned(), succeeded, failures: 3, spent_micros }
    }

    fn spans_of(starts: &[i64]) -> Vec<Span> {
        starts.windows(2).map(|pair| Span { start_ms: pair[0], end_ms: pair[1], partial: false }).collect()
    }

    #[test]
    fn empty_buckets_are_zeros_and_groups_follow_the_measure() {
        let rows = vec![row(0, "kling", 1, 5_000_000), row(0, "sms", 9, 90_000), row(2_000, "sms", -1, -10_000)];
        let spans = spans_of(&[0, 1_000, 2_000, 3_000]);
        let filled = |measure| {
            let (buckets, total) = fill(&spans, Tz::UTC, rows.clone(), Some(GroupBy::Engine), measure, "USD").unwrap();
            (serde_json::to_value(&buckets).unwrap(), serde_json::to_value(&total).unwrap())
        };
        let (by_amount, total) = filled(Measure::Amount);
        insta::assert_json_snapshot!(by_amount);
        assert_eq!(total, serde_json::json!({"count": 9, "amount": {"amount": "5.08", "currency": "USD"}}));
        let (by_count, _) = filled(Measure::Count);
        assert_eq!(by_count[0]["groups"][0]["key"], "sms");
    }

    #[test]
    fn failed_operations_are_counted_apart() {
        let spans = spans_of(&[0, 1_000]);
        let rows = vec![row(0, "success", 2, 1), row(0, "failed", 0, 0)];
        let (buckets, total) = fill(&spans, Tz::UTC, rows, Some(GroupBy::Status), Measure::Count, "USD").unwrap();
        assert_eq!((buckets[0].groups[1].count, buckets[0].count, total.count), (3, 2, 2));
    }

    #[test]
    fn a_sum_outside_every_bucket_is_an_error_not_a_loss() {
        let outcome = fill(&spans_of(&[0, 1_000]), Tz::UTC, vec![row(5, "", 1, 1)], None, Measure::Count, "USD");
        assert_eq!(outcome.unwrap_err().code(), "internal");
    }
}
