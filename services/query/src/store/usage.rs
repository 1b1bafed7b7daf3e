//! Sums per bucket and group.
//!
//! The rollups hold quarters of an hour. Whatever lies between the first and the last full quarter of a range comes from
//! them; the cut quarters at its ends come from the entries themselves, so that the sum is that of the exact range.

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use tollbooth_schemas::ledger::EntryType;

use super::{Store, StoreError};
use crate::calendar::{QUARTER_MS, TimeRange};

/// Most a record may have occurred after its posting. Booth clocks may run an hour ahead; entries of a range are looked
/// for in the months of posting from that long before it on.
const OCCURRED_AHEAD_MS_MAX: i64 = 2 * 86_400_000;

/// What the rollups can hold: no range is all of it.
pub const EVER: TimeRange = TimeRange { from_ms: 0, to_ms: (u32::MAX as i64) / 900 * QUARTER_MS };

/// Groups that came to nothing are left out.
const SOMETHING: &str = "HAVING succeeded != 0 OR failures != 0 OR spent_micros != 0 OR quantity_micros != 0 \
     OR cost_micros != 0";
/// Those with new entries are not.
const SOMETHING_OR_NEW: &str = "HAVING succeeded != 0 OR failures != 0 OR spent_micros != 0 OR quantity_micros != 0 \
     OR cost_micros != 0 OR newest_seq > {after_seq:UInt64}";

/// What a timeline is split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// By service code.
    Service,
    /// By engine code.
    Engine,
    /// By variant code; none is empty.
    Variant,
    /// By event; none is empty.
    Event,
    /// By booth; none is empty.
    Booth,
    /// `success` and `failed`; the count of `failed` is that of failed operations.
    Status,
    /// By type of entry.
    Type,
    /// By the plan that was paid.
    Plan,
    /// By account.
    Account,
    /// Service and engine, separated by `\0`.
    ServiceAndEngine,
    /// Service, engine and variant, separated by `\0`.
    Work,
}

impl GroupBy {
    /// Every word for a parameter of one account.
    pub const CODES: [(&'static str, Self); 8] = [
        ("service", Self::Service),
        ("engine", Self::Engine),
        ("variant", Self::Variant),
        ("event", Self::Event),
        ("booth", Self::Booth),
        ("status", Self::Status),
        ("type", Self::Type),
        ("plan", Self::Plan),
    ];

    /// Every word for a parameter of all accounts: what their rollup knows.
    pub const FLEET_CODES: [(&'static str, Self); 7] = [
        ("account", Self::Account),
        ("service", Self::Service),
        ("engine", Self::Engine),
        ("variant", Self::Variant),
        ("status", Self::Status),
        ("type", Self::Type),
        ("plan", Self::Plan),
    ];

    const fn expression(self) -> &'static str {
        match self {
            Self::Service => "toString(service)",
            Self::Engine => "toString(engine)",
            Self::Variant => "toString(variant)",
            Self::Event => "event_id",
            Self::Booth => "booth_id",
            Self::Account => "account_id",
            Self::Status => "if(status = 'failed', 'failed', 'success')",
            Self::Type => "toString(type)",
            Self::Plan => "toString(plan)",
            Self::ServiceAndEngine => "concat(service, '\\0', engine)",
            Self::Work => "concat(service, '\\0', engine, '\\0', variant)",
        }
    }
}

/// What a timeline is narrowed to; empty lists allow everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Service codes.
    pub services: Vec<String>,
    /// Engine codes.
    pub engines: Vec<String>,
    /// Events.
    pub event_ids: Vec<String>,
    /// Booths.
    pub booth_ids: Vec<String>,
    /// Variant codes.
    pub variants: Vec<String>,
    /// Plan codes.
    pub plans: Vec<String>,
    /// Type codes.
    pub types: Vec<String>,
    /// `Some(true)`: failed only, `Some(false)`: successful only.
    pub failed: Option<bool>,
}

/// Whose sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One account's.
    Account(&'a str),
    /// All accounts' of a currency.
    Fleet {
        /// ISO 4217.
        currency: &'a str,
    },
}

/// Which entries are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// Charges, failed work, and what was given back of them.
    Spend,
    /// Everything that moves money.
    All,
}

/// What groups are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Spent.
    Amount,
    /// Successful operations.
    Count,
    /// Failed operations.
    Failures,
    /// Units of work.
    Quantity,
    /// What providers took.
    ProviderCost,
    /// What is left of the amount after it.
    Margin,
}

impl Measure {
    /// Every word for a parameter.
    pub const CODES: [(&'static str, Self); 6] = [
        ("amount", Self::Amount),
        ("count", Self::Count),
        ("failures", Self::Failures),
        ("quantity", Self::Quantity),
        ("provider_cost", Self::ProviderCost),
        ("margin", Self::Margin),
    ];

    /// Whether only an admin may know it.
    #[must_use]
    pub const fn is_confidential(self) -> bool {
        matches!(self, Self::ProviderCost | Self::Margin)
    }

    const fn expression(self) -> &'static str {
        match self {
            Self::Amount => "spent_micros",
            Self::Count => "succeeded",
            Self::Failures => "failures",
            Self::Quantity => "quantity_micros",
            Self::ProviderCost => "cost_micros",
            Self::Margin => "(spent_micros - cost_micros)",
        }
    }
}

/// Which groups stay apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep<'a> {
    /// Each.
    All,
    /// The largest ones of a measure alone, nothing of the others.
    Largest(Measure),
    /// These; the others are one group, [`REST_KEY`].
    These(&'a [String]),
}

/// Key of the group of those that did not stay apart. No code holds such a character.
pub const REST_KEY: &str = "\0rest";

/// A question about sums.
#[derive(Debug, Clone)]
pub struct UsageQuery<'a> {
    /// Whose.
    pub scope: Scope<'a>,
    /// Of which entries.
    pub kinds: Kinds,
    /// Exactly these instants of `occurred_at`; `None`: all of them.
    pub range: Option<TimeRange>,
    /// Starts of the buckets, ascending, the first one that of the range. Empty: one bucket, at 0.
    pub starts_ms: &'a [i64],
    /// Split by.
    pub group_by: Option<GroupBy>,
    /// Which groups stay apart.
    pub keep: Keep<'a>,
    /// Narrowed to.
    pub filter: &'a UsageFilter,
    /// Groups with an entry behind this one are told also where they came to nothing; `None`: they are not.
    pub after_seq: Option<u64>,
    /// Most rows of the answer.
    pub rows_max: usize,
}

/// Sums of one group in one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct UsageRow {
    /// Start of the bucket, of [`UsageQuery::starts_ms`].
    pub start_ms: i64,
    /// Value of the group; empty without a grouping.
    pub group_key: String,
    /// Successful operations net of reversals.
    pub succeeded: i64,
    /// Failed operations.
    pub failures: i64,
    /// Units of successful work in millionths, net of reversals.
    pub quantity_micros: i128,
    /// Spend in micro-units, positive, net of reversals.
    pub spent_micros: i128,
    /// What providers took, in micro-units, as far as they told.
    pub cost_micros: i128,
    /// The account's newest entry in it; 0 where the rows are older than their knowledge of it.
    pub newest_seq: u64,
}

impl UsageRow {
    /// Whether nothing is in it; such a row is not answered.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.succeeded == 0
            && self.failures == 0
            && self.spent_micros == 0
            && self.quantity_micros == 0
            && self.cost_micros == 0
    }

    /// What groups are ordered by.
    #[must_use]
    pub const fn of_measure(&self, measure: Measure) -> i128 {
        match measure {
            Measure::Amount => self.spent_micros,
            Measure::Count => self.succeeded as i128,
            Measure::Failures => self.failures as i128,
            Measure::Quantity => self.quantity_micros,
            Measure::ProviderCost => self.cost_micros,
            Measure::Margin => self.spent_micros - self.cost_micros,
        }
    }
}

/// Where sums come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Account,
    Event,
    Booth,
    /// Only the entries know both event and booth.
    Entries,
}

impl Source {
    const fn table(self) -> &'static str {
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
struct Parts {
    rollup: Option<TimeRange>,
    entries: Vec<TimeRange>,
}

impl UsageQuery<'_> {
    fn source(&self) -> Source {
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
    fn lacks_rest(&self) -> bool {
        match self.source() {
            Source::Event => self.filter.event_ids.is_empty(),
            Source::Booth => self.filter.booth_ids.is_empty(),
            Source::Account | Source::Entries => false,
        }
    }

    fn parts(&self) -> Parts {
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

    const fn having(&self) -> &'static str {
        if self.after_seq.is_some() { SOMETHING_OR_NEW } else { SOMETHING }
    }

    fn sql(&self, parts: &Parts) -> String {
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

    /// Bucket, group and order, of the instant and the key of a row.
    fn cut(&self, at: &str, key: &str) -> (String, String, String) {
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

    fn bind(&self, mut query: Query, parts: &Parts) -> Query {
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
    /// Whether entries of a type are summed; to the letter the condition below.
    #[must_use]
    pub const fn has(self, entry_type: EntryType) -> bool {
        match self {
            Self::Spend => {
                matches!(entry_type, EntryType::Consume | EntryType::Refund | EntryType::Reversal | EntryType::Repriced)
            }
            // What is listed is what moves money.
            Self::All => entry_type.is_listed(),
        }
    }

    const fn condition(self) -> &'static str {
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
    fn conditions(&self) -> String {
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

impl Store {
    /// Sums per bucket and group, in no order; groups without anything are left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn usage(&self, question: &UsageQuery<'_>) -> Result<Vec<UsageRow>, StoreError> {
        let parts = question.parts();
        let query = self.bounded_query(&question.sql(&parts));
        self.rows(question.bind(query, &parts)).await
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
