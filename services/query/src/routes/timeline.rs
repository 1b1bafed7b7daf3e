//! Sums over time, of an account or of all: how they are asked for, cut, split and put together.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use utoipa::ToSchema;

use crate::amount::{AmountBody, QuantityText};
use crate::calendar::{Bucket, Span, TimeRange, edge_text, spans};
use crate::config::LimitsSection;
use crate::prices::Names;
use crate::store::{GroupBy, Measure, REST_KEY, StoreError, UsageRow};

/// A timeline that is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) currency: &'a str,
    pub(super) zone: Tz,
    pub(super) bucket: Bucket,
    pub(super) group_by: Option<GroupBy>,
    pub(super) measure: Measure,
    pub(super) top: Option<usize>,
    /// Whether provider cost and margin are in the answer.
    pub(super) is_admin: bool,
    pub(super) now_ms: i64,
}

/// A timeline of a range.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeline)]
pub(super) struct TimelineBody {
    /// First instant, with the zone's offset.
    from: String,
    /// First instant after the range.
    to: String,
    /// They cover the range exactly; empty ones are zeros.
    buckets: Vec<BucketBody>,
    /// Of the exact range, and the sum of the buckets.
    total: SumsBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineBucket)]
struct BucketBody {
    start: String,
    end: String,
    /// The range cuts it, or it has not ended.
    partial: bool,
    /// Largest first by `measure`; empty without `group_by`.
    groups: Vec<GroupBody>,
    #[serde(flatten)]
    sums: SumsBody,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineGroup)]
struct GroupBody {
    /// What the group has in common; empty for what has none, null for all that are not among the `top`.
    key: Option<String>,
    /// As people read it, where it has a name.
    name: Option<String>,
    #[serde(flatten)]
    sums: SumsBody,
}

/// Sums.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sums)]
pub(super) struct SumsBody {
    /// Successful operations net of reversals.
    count: i64,
    /// Failed operations.
    failures: i64,
    /// Units of successful work net of reversals, a decimal string; of one unit only where one service is looked at.
    #[schema(value_type = String, pattern = r"^-?\d+(\.\d{1,6})?$", examples("5"))]
    quantity: QuantityText,
    /// Spent, positive, net of reversals.
    amount: AmountBody,
    /// What providers took, as far as they told. Only with an admin key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provider_cost: Option<AmountBody>,
    /// `amount` less `provider_cost`. Only with an admin key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    margin: Option<AmountBody>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    count: i64,
    failures: i64,
    quantity_micros: i128,
    spent_micros: i128,
    cost_micros: i128,
}

impl Sums {
    fn of(row: &UsageRow) -> Self {
        Self {
            count: row.succeeded,
            failures: row.failures,
            quantity_micros: row.quantity_micros,
            spent_micros: row.spent_micros,
            cost_micros: row.cost_micros,
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            failures: self.failures + other.failures,
            quantity_micros: self.quantity_micros + other.quantity_micros,
            spent_micros: self.spent_micros + other.spent_micros,
            cost_micros: self.cost_micros + other.cost_micros,
        }
    }
}

/// The buckets of a range.
pub(super) fn cut(
    range: TimeRange,
    bucket: Bucket,
    zone: Tz,
    now_ms: i64,
    buckets_max: usize,
) -> Result<Vec<Span>, Problem> {
    spans(range, bucket, zone, now_ms, buckets_max).map_err(|error| {
        Problem::new("too_many_buckets", StatusCode::BAD_REQUEST, "The range has too many buckets")
            .with_detail(format!("{error}; take a larger bucket or a shorter range"))
            .with_error("bucket", error.to_string())
    })
}

impl Asked<'_> {
    /// The timeline of a range, and of how many rows it was made; `None`: there are more than may be answered.
    pub(super) fn answer(
        self,
        limits: &LimitsSection,
        range: TimeRange,
        rows: Option<Vec<UsageRow>>,
        names: &Names,
    ) -> Result<(TimelineBody, usize), Problem> {
        let Some(rows) = rows else {
            return Err(Problem::new("too_many_groups", StatusCode::BAD_REQUEST, "The answer has too many groups")
                .with_detail(format!(
                    "more than {}; take top, a larger bucket or a shorter range",
                    limits.groups_max
                )));
        };
        let count = rows.len();
        let spans = cut(range, self.bucket, self.zone, self.now_ms, limits.buckets_max)?;
        Ok((self.fill(range, &spans, rows, names)?, count))
    }

    /// Every bucket, those without rows as zeros, with its sums; and the total of all.
    fn fill(
        self,
        range: TimeRange,
        spans: &[Span],
        rows: Vec<UsageRow>,
        names: &Names,
    ) -> Result<TimelineBody, Problem> {
        let mut by_start: BTreeMap<i64, Vec<UsageRow>> = BTreeMap::new();
        for row in rows {
            by_start.entry(row.start_ms).or_default().push(row);
        }
        let mut total = Sums::default();
        let mut buckets = Vec::with_capacity(spans.len());
        for span in spans {
            let rows = by_start.remove(&span.start_ms).unwrap_or_default();
            let sums = rows.iter().map(Sums::of).fold(Sums::default(), Sums::add);
            total = total.add(sums);
            buckets.push(BucketBody {
                start: edge_text(span.start_ms, self.zone),
                end: edge_text(span.end_ms, self.zone),
                partial: span.partial,
                groups: if self.group_by.is_some() { self.groups(rows, names) } else { Vec::new() },
                sums: self.sums(sums),
            });
        }
        // A row that belongs to no bucket would be in the total and in no bar.
        if let Some(start_ms) = by_start.keys().next() {
            return Err(StoreError::Row(format!("a sum at {start_ms}, where no bucket begins")).into());
        }
        let (from, to) = (edge_text(range.from_ms, self.zone), edge_text(range.to_ms, self.zone));
        Ok(TimelineBody { from, to, buckets, total: self.sums(total) })
    }

    /// The groups of a bucket, largest first, the rest of them last.
    fn groups(self, mut rows: Vec<UsageRow>, names: &Names) -> Vec<GroupBody> {
        let is_rest = |row: &UsageRow| self.top.is_some() && row.group_key == REST_KEY;
        rows.sort_by_cached_key(|row| (is_rest(row), Reverse(row.of_measure(self.measure)), row.group_key.clone()));
        let groups = rows.into_iter().map(|row| {
            let mut sums = Sums::of(&row);
            // Of the failed there are no successes to be counted.
            if self.group_by == Some(GroupBy::Status) && row.group_key == "failed" {
                sums.count = sums.failures;
            }
            let name = match self.group_by {
                Some(GroupBy::Service) => Some(names.service(&row.group_key)),
                Some(GroupBy::Engine) => Some(names.engine(&row.group_key)),
                Some(GroupBy::Plan) => Some(names.plan(&row.group_key)),
                _ => None,
            };
            let name = if is_rest(&row) { Some("Other") } else { name };
            GroupBody {
                name: name.filter(|name| !name.is_empty()).map(str::to_owned),
                key: if is_rest(&row) { None } else { Some(row.group_key) },
                sums: self.sums(sums),
            }
        });
        groups.collect()
    }

    fn sums(self, sums: Sums) -> SumsBody {
        let money = |micros: i128| AmountBody::new(micros, self.currency);
        SumsBody {
            count: sums.count,
            failures: sums.failures,
            quantity: QuantityText(sums.quantity_micros),
            amount: money(sums.spent_micros),
            provider_cost: self.is_admin.then(|| money(sums.cost_micros)),
            margin: self.is_admin.then(|| money(sums.spent_micros - sums.cost_micros)),
        }
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
