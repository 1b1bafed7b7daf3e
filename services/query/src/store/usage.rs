//! Questions about sums per bucket and group.

use clickhouse::Row;
use serde::Deserialize;
use tollbooth_schemas::ledger::EntryType;

use crate::calendar::{QUARTER_MS, TimeRange};

/// What the rollups can hold: no range is all of it.
pub const EVER: TimeRange = TimeRange { from_ms: 0, to_ms: (u32::MAX as i64) / 900 * QUARTER_MS };

/// What a timeline is split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

    pub(super) const fn expression(self) -> &'static str {
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kinds {
    /// Charges, failed work, and what was given back of them.
    Spend,
    /// Everything that moves money.
    All,
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
}

/// What groups are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

    pub(super) const fn expression(self) -> &'static str {
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
