//! Questions about sums as SQL.
//!
//! The rollups hold quarters of an hour. Whatever lies between the first and the last full quarter of a range comes from
//! them; the cut quarters at its ends come from the entries themselves, so that the sum is that of the exact range.

use clickhouse::query::Query;

use super::usage::{EVER, GroupBy, Keep, Kinds, Scope, UsageFilter, UsageQuery};
use crate::calendar::{QUARTER_MS, TimeRange};

/// Most a record may have occurred after its posting. Booth clocks may run an hour ahead; entries of a range are looked
/// for in the months of posting from that long before it on.
const OCCURRED_AHEAD_MS_MAX: i64 = 2 * 86_400_000;

/// Groups that came to nothing are left out.
const SOMETHING: &str = "HAVING succeeded != 0 OR failures != 0 OR spent_micros != 0 OR quantity_micros != 0 \
     OR cost_micros != 0";
/// Those with new entries are not.
const SOMETHING_OR_NEW: &str = "HAVING succeeded != 0 OR failures != 0 OR spent_micros != 0 OR quantity_micros != 0 \
     OR cost_micros != 0 OR newest_seq > {after_seq:UInt64}";

/// Where sums come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Account,
    Event,
    Booth,
    /// Only the entries know both event and booth.
    Entries,
}

impl Source {
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Account => "usage_15m_by_account",
            Self::Event => "usage_15m_by_event",
            Self::Booth => "usage_15m_by_booth",
            Self::Entries => "ledger",
        }
    }
}

/// The parts of a range: `rollup` full quarters, the rest from entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) rollup: Option<TimeRange>,
    pub(super) entries: Vec<TimeRange>,
}

impl UsageQuery<'_> {
    pub(super) fn source(&self) -> Source {
        let by_event = !self.filter.event_ids.is_empty();
        let by_booth = !self.filter.booth_ids.is_empty();
        match (by_event, by_booth, self.group_by) {
            (true, true, _) | (true, _, Some(GroupBy::Booth)) | (_, true, Some(GroupBy::Event)) => Source::Entries,
            (true, ..) | (_, _, Some(GroupBy::Event)) => Source::Event,
            (_, true, _) | (_, _, Some(GroupBy::Booth)) => Source::Booth,
            _ => Source::Account,
        }
    }

    /// Whether groups without an event (or booth) must be added: their rollups leave those out.
    pub(super) fn lacks_rest(&self) -> bool {
        match self.source() {
            Source::Event => self.filter.event_ids.is_empty(),
            Source::Booth => self.filter.booth_ids.is_empty(),
            Source::Account | Source::Entries => false,
        }
    }

    pub(super) fn parts(&self) -> Parts {
        let range = self.range.unwrap_or(EVER);
        // Zones of today have their edges on quarters. Those before 1972 that have not are answered from the entries.
        let is_odd = self.starts_ms.iter().skip(1).any(|start_ms| start_ms % QUARTER_MS != 0);
        if is_odd || self.source() == Source::Entries {
            return Parts { rollup: None, entries: vec![range] };
        }
        let from_ms = range.from_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
        let from_ms = if from_ms < range.from_ms { from_ms + QUARTER_MS } else { from_ms };
        let to_ms = range.to_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
        if from_ms >= to_ms {
            return Parts { rollup: None, entries: vec![range] };
        }
        let cut =
            [TimeRange { from_ms: range.from_ms, to_ms: from_ms }, TimeRange { from_ms: to_ms, to_ms: range.to_ms }];
        Parts {
            rollup: Some(TimeRange { from_ms, to_ms }),
            entries: cut.into_iter().filter(|part| part.from_ms < part.to_ms).collect(),
        }
    }

    /// Whether the answer is of one state of one table: with every block of the ledger, or none of it, and none without
    /// those before. Parts of several tables, or of one that is looked at twice, may be of several states.
    #[must_use]
    pub fn is_of_one_state(&self) -> bool {
        let parts = self.parts();
        usize::from(parts.rollup.is_some()) + parts.entries.len() == 1 && (parts.rollup.is_none() || !self.lacks_rest())
    }

    pub(super) const fn having(&self) -> &'static str {
        if self.after_seq.is_some() { SOMETHING_OR_NEW } else { SOMETHING }
    }

    pub(super) fn sql(&self, parts: &Parts) -> String {
        let key = self.group_by.map_or("''", GroupBy::expression);
        let filter = self.kinds.condition().to_owned() + &self.filter.conditions();
        let scope = self.scope.condition();
        if parts.rollup.is_some() && parts.entries.is_empty() && !self.lacks_rest() {
            return self.plain_sql(key, &filter);
        }
        let mut pieces = Vec::new();
        if parts.rollup.is_some() {
            let rollup = |table: &str, key: &str, sign: &str| {
                format!(
                    "SELECT toUnixTimestamp64Milli(toDateTime64(bucket, 3, 'UTC')) AS at, {key} AS k, {sign}count AS n, \
                     {sign}failed AS f, {sign}if(status = 'failed', toDecimal128(0, 6), quantity) AS q, \
                     {sign}amount AS a, {sign}provider_cost AS c, newest_seq AS s FROM {table} WHERE {scope} \
                     AND bucket >= toDateTime({{rollup_from:UInt32}}, 'UTC') \
                     AND bucket < toDateTime({{rollup_to:UInt32}}, 'UTC'){filter}"
                )
            };
            pieces.push(rollup(self.source().table(), key, ""));
            if self.lacks_rest() {
                // What has no event: all of the account less what has one.
                pieces.push(rollup(Source::Account.table(), "''", ""));
                pieces.push(rollup(self.source().table(), "''", "-"));
            }
        }
        for index in 0..parts.entries.len() {
            pieces.push(format!(
                "SELECT toUnixTimestamp64Milli(occurred_at) AS at, {key} AS k, \
                 toInt64(multiIf(type IN ('refund', 'reversal'), if(quantity = 0, 0, -1), status = 'failed', 0, 1)) AS n, \
                 toInt64(status = 'failed') AS f, \
                 toDecimal128(quantity, 6) * multiIf(status = 'failed', 0, type IN ('refund', 'reversal'), -1, 1) AS q, \
                 toDecimal128(amount, 6) AS a, \
                 toDecimal128(provider_cost, 6) * if(type IN ('refund', 'reversal'), -1, 1) AS c, seq AS s FROM ledger WHERE {scope} \
                 AND posted_at >= fromUnixTimestamp64Milli({{posted_from{index}:Int64}}, 'UTC') \
                 AND occurred_at >= fromUnixTimestamp64Milli({{from{index}:Int64}}, 'UTC') \
                 AND occurred_at < fromUnixTimestamp64Milli({{to{index}:Int64}}, 'UTC'){filter}"
            ));
        }
        let (bucket, key, order) = self.cut("at", "k");
        let having = self.having();
        format!(
            "SELECT {bucket} AS start_ms, {key} AS group_key, sum(n) AS succeeded, sum(f) AS failures, \
             sum(q) AS quantity_micros, -sum(a) AS spent_micros, sum(c) AS cost_micros, max(s) AS newest_seq \
             FROM ({}) GROUP BY start_ms, group_key {having} {order}LIMIT {{rows_max:UInt64}}",
            pieces.join(" UNION ALL ")
        )
    }

    /// Of whole quarters alone, which are most questions: no more than the rollup's own columns, for what such a question
    /// costs is its planning.
    fn plain_sql(&self, key: &str, filter: &str) -> String {
        let (bucket, key, order) = self.cut("(toInt64(toUnixTimestamp(bucket)) * 1000)", key);
        format!(
            "SELECT {bucket} AS start_ms, {key} AS group_key, sum(count) AS succeeded, sum(failed) AS failures, \
             sumIf(quantity, status != 'failed') AS quantity_micros, -sum(amount) AS spent_micros, \
             sum(provider_cost) AS cost_micros, max(usage.newest_seq) AS newest_seq FROM {table} AS usage WHERE {scope} \
             AND bucket >= toDateTime({{rollup_from:UInt32}}, 'UTC') AND bucket < toDateTime({{rollup_to:UInt32}}, 'UTC'){filter} \
             GROUP BY start_ms, group_key {having} {order}LIMIT {{rows_max:UInt64}}",
            having = self.having(),
            table = self.source().table(),
            scope = self.scope.condition(),
        )
    }

    /// The same of accounts, or of events of theirs, that `accounts` and `of_events` name pair by pair. The filter names no
    /// event.
    pub(super) fn together_sql(&self, source: Source) -> String {
        let filter = self.kinds.condition().to_owned() + &self.filter.conditions();
        let key = self.group_by.map_or("''", GroupBy::expression);
        let (bucket, key, _) = self.cut("(toInt64(toUnixTimestamp(bucket)) * 1000)", key);
        let (of_event, events) = match source {
            Source::Event => (
                "event_id",
                " AND (account_id, event_id) IN arrayZip({accounts:Array(String)}, {of_events:Array(String)})",
            ),
            _ => ("''", ""),
        };
        format!(
            "SELECT account_id AS whose, {of_event} AS of_event, {bucket} AS start_ms, {key} AS group_key, \
             sum(count) AS succeeded, sum(failed) AS failures, sumIf(quantity, status != 'failed') AS quantity_micros, \
             -sum(amount) AS spent_micros, sum(provider_cost) AS cost_micros, max(usage.newest_seq) AS newest_seq \
             FROM {table} AS usage WHERE account_id IN {{accounts:Array(String)}}{events} \
             AND bucket >= toDateTime({{rollup_from:UInt32}}, 'UTC') AND bucket < toDateTime({{rollup_to:UInt32}}, 'UTC'){filter} \
             GROUP BY whose, of_event, start_ms, group_key {having} LIMIT {{rows_max:UInt64}} BY whose, of_event",
            having = self.having(),
            table = source.table(),
        )
    }

    /// Bucket, group and order, of the instant and the key of a row.
    pub(super) fn cut(&self, at: &str, key: &str) -> (String, String, String) {
        let bucket = if self.starts_ms.is_empty() {
            "toInt64(0)".to_owned()
        } else {
            format!("roundDown({at}, {{starts:Array(Int64)}})")
        };
        let (key, order) = match self.keep {
            Keep::All => (key.to_owned(), String::new()),
            Keep::These(_) => (format!("if(has({{kept:Array(String)}}, {key}), {key}, '\\0rest')"), String::new()),
            Keep::Largest(measure) => (key.to_owned(), format!("ORDER BY {} DESC, group_key ", measure.expression())),
        };
        (bucket, key, order)
    }

    pub(super) fn bind(&self, mut query: Query, parts: &Parts) -> Query {
        let seconds = |ms: i64| u32::try_from(ms / 1_000).unwrap_or(if ms < 0 { 0 } else { u32::MAX });
        query = query
            .param("variants", &self.filter.variants)
            .param("plans", &self.filter.plans)
            .param("types", &self.filter.types)
            .param("services", &self.filter.services)
            .param("engines", &self.filter.engines)
            .param("events", &self.filter.event_ids)
            .param("booths", &self.filter.booth_ids)
            .param("rows_max", self.rows_max);
        query = match self.scope {
            Scope::Account(account_id) => query.param("account", account_id),
            Scope::Fleet { currency } => query.param("currency", currency),
        };
        if let Keep::These(kept) = self.keep {
            query = query.param("kept", kept);
        }
        if let Some(after_seq) = self.after_seq {
            query = query.param("after_seq", after_seq);
        }
        if !self.starts_ms.is_empty() {
            query = query.param("starts", self.starts_ms);
        }
        if let Some(rollup) = parts.rollup {
            query = query.param("rollup_from", seconds(rollup.from_ms)).param("rollup_to", seconds(rollup.to_ms));
        }
        for (index, part) in parts.entries.iter().enumerate() {
            query = query
                .param(&format!("posted_from{index}"), part.from_ms.saturating_sub(OCCURRED_AHEAD_MS_MAX).max(0))
                .param(&format!("from{index}"), part.from_ms)
                .param(&format!("to{index}"), part.to_ms);
        }
        query
    }
}

impl Scope<'_> {
    const fn condition(self) -> &'static str {
        match self {
            Self::Account(_) => "account_id = {account:String}",
            // Sums of several currencies would be no money. The rollup does not know them; the accounts do.
            Self::Fleet { .. } => {
                "account_id IN (SELECT account_id FROM account_balances GROUP BY account_id \
                 HAVING max(profile).3 = {currency:String})"
            }
        }
    }
}

impl Kinds {
    pub(super) const fn condition(self) -> &'static str {
        match self {
            Self::Spend => " AND type IN ('consume', 'refund', 'reversal', 'repriced')",
            // Those of the rollups.
            Self::All => {
                " AND type IN ('consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', \
                 'bonus_expiry', 'plan_fee', 'repriced')"
            }
        }
    }
}

impl UsageFilter {
    pub(super) fn conditions(&self) -> String {
        let status = match self.failed {
            None => "",
            Some(true) => " AND status = 'failed'",
            Some(false) => " AND status != 'failed'",
        };
        [
            (&self.services, " AND service IN {services:Array(String)}"),
            (&self.engines, " AND engine IN {engines:Array(String)}"),
            (&self.event_ids, " AND event_id IN {events:Array(String)}"),
            (&self.booth_ids, " AND booth_id IN {booths:Array(String)}"),
            (&self.variants, " AND variant IN {variants:Array(String)}"),
            (&self.plans, " AND plan IN {plans:Array(String)}"),
            (&self.types, " AND type IN {types:Array(String)}"),
        ]
        .into_iter()
        .filter(|(values, _)| !values.is_empty())
        .map(|(_, condition)| condition)
        .chain([status])
        .collect()
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
