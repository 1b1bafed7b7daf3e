//! A question about sums as a value: it can be compared, asked, and applied to a single entry.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use tollbooth_schemas::ledger::EntryType;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Entry, Usage};

use super::Line;
use super::packed::Fingerprint;
use crate::calendar::TimeRange;
use crate::store::{
    CELL_SEPARATOR, EVER, GroupBy, Keep, Kinds, Measure, REST_KEY, Scope, UsageFilter, UsageQuery, UsageRow,
};

/// Status of work that is not charged.
const FAILED: &str = "failed";

/// Whose sums.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// One account's.
    Account(String),
    /// All accounts' of a currency.
    Fleet {
        /// ISO 4217.
        currency: String,
    },
}

/// Which groups stay apart: the largest of the whole range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Top {
    /// By what they are ordered.
    pub measure: Measure,
    /// How many.
    pub groups: usize,
}

/// Which entries are summed, and how they are cut and split.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// Whose.
    pub whose: Whose,
    /// Of which entries.
    pub kinds: Kinds,
    /// Exactly these instants of `occurred_at`; `None`: all of them.
    pub range: Option<TimeRange>,
    /// Starts of the buckets, ascending, the first one that of the range. Empty: one bucket, at 0.
    pub starts_ms: Vec<i64>,
    /// Split by.
    pub group_by: Option<GroupBy>,
    /// Narrowed to.
    pub filter: UsageFilter,
    /// The others are one group, [`REST_KEY`]; `None`: each stays apart.
    pub top: Option<Top>,
}

impl Question {
    /// The question with every group apart, for ClickHouse.
    #[must_use]
    pub fn whole(&self, rows_max: usize) -> UsageQuery<'_> {
        UsageQuery {
            scope: match &self.whose {
                Whose::Account(account_id) => Scope::Account(account_id),
                Whose::Fleet { currency } => Scope::Fleet { currency },
            },
            kinds: self.kinds,
            range: self.range,
            starts_ms: &self.starts_ms,
            group_by: self.group_by,
            keep: Keep::All,
            filter: &self.filter,
            after_seq: None,
            rows_max,
        }
    }

    /// What tells it from others, in fewer bytes than it has itself.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let half = |number: u8| {
            let mut hasher = DefaultHasher::new();
            (number, self).hash(&mut hasher);
            hasher.finish()
        };
        (half(0), half(1))
    }

    /// What an entry adds, and in which bucket and group; `None`: it is in none of them. To the letter what the tables of
    /// ClickHouse make of its row.
    pub(super) fn adds<'a>(&self, entry: &'a Entry) -> Option<(i64, Cow<'a, str>, Line)> {
        let facts = Facts::of(entry)?;
        let start_ms = self.start_of(entry.occurred_at_ms)?;
        Some((start_ms, self.group_of(&facts)?, facts.line(entry)))
    }

    /// Start of the bucket of an instant; `None`: it is not in the range.
    pub(super) fn start_of(&self, at_ms: i64) -> Option<i64> {
        let range = self.range.unwrap_or(EVER);
        let bucket = self.starts_ms.partition_point(|start_ms| *start_ms <= at_ms);
        let start_ms = bucket.checked_sub(1).and_then(|bucket| self.starts_ms.get(bucket)).copied().unwrap_or(0);
        (range.from_ms..range.to_ms).contains(&at_ms).then_some(start_ms)
    }

    /// The group of such work; `None`: it is in none.
    pub(super) fn group_of<'a>(&self, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
        (self.kinds.has(facts.entry_type) && facts.pass(&self.filter)).then(|| facts.key(self.group_by))
    }

    /// Rows of which every group is apart, as they are answered: those without anything left out, those that are not among
    /// the largest added up.
    #[must_use]
    pub fn shape(&self, mut rows: Vec<UsageRow>) -> Vec<UsageRow> {
        rows.retain(|row| !row.is_nothing());
        let Some(top) = self.top else { return rows };
        let mut totals: BTreeMap<&str, Line> = BTreeMap::new();
        for row in &rows {
            totals.entry(&row.group_key).or_default().add(&Line::of(row));
        }
        let mut ranked: Vec<(Reverse<i128>, &str)> = totals
            .iter()
            .filter(|(_, line)| **line != Line::default())
            .map(|(key, line)| (Reverse(line.row(0, "").of_measure(top.measure)), *key))
            .collect();
        ranked.sort_unstable();
        let kept: BTreeSet<String> = ranked.into_iter().take(top.groups).map(|(_, key)| key.to_owned()).collect();
        let (mut apart, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| kept.contains(row.group_key.as_str()));
        let mut rest: BTreeMap<i64, Line> = BTreeMap::new();
        for row in &others {
            rest.entry(row.start_ms).or_default().add(&Line::of(row));
        }
        apart.extend(rest.into_iter().map(|(start_ms, line)| line.row(start_ms, REST_KEY)));
        apart.retain(|row| !row.is_nothing());
        apart
    }
}

/// What a row of the rollups is told apart by.
pub(super) struct Facts<'a> {
    pub(super) entry_type: EntryType,
    is_failed: bool,
    service: &'a str,
    engine: &'a str,
    variant: &'a str,
    plan: &'a str,
    pub(super) event_id: &'a str,
    booth_id: &'a str,
    quantity_micros: i64,
    cost_micros: i64,
}

impl<'a> Facts<'a> {
    const fn nothing(entry_type: EntryType, is_failed: bool) -> Self {
        Self {
            entry_type,
            is_failed,
            service: "",
            engine: "",
            variant: "",
            plan: "",
            event_id: "",
            booth_id: "",
            quantity_micros: 0,
            cost_micros: 0,
        }
    }

    /// Of a cell of an account, or of an event of it; `None`: of a type that this release does not know.
    pub(super) fn of_cell(cell: &'a str, event_id: &'a str) -> Option<Self> {
        let mut facts = cell.split(CELL_SEPARATOR);
        let entry_type = EntryType::from_code(facts.next()?)?;
        let [service, engine, variant, plan, status] = std::array::from_fn(|_| facts.next().unwrap_or_default());
        Some(Self { service, engine, variant, plan, event_id, ..Self::nothing(entry_type, status == FAILED) })
    }

    /// The cell that it is in.
    pub(super) fn cell(&self) -> String {
        let status = if self.is_failed { FAILED } else { "" };
        [self.entry_type.code(), self.service, self.engine, self.variant, self.plan, status]
            .join(CELL_SEPARATOR.encode_utf8(&mut [0; 4]))
    }

    pub(super) fn of(entry: &'a Entry) -> Option<Self> {
        let nothing = Self::nothing(entry.entry_type()?, entry.is_failed());
        Some(match entry.kind.as_ref()? {
            Kind::Usage(usage) => nothing.of_work(usage),
            Kind::Repriced(repriced) => match &repriced.charge {
                Some(charge) => nothing.of_work(charge),
                None => nothing,
            },
            Kind::Reversal(reversal) => Self {
                service: &reversal.service,
                engine: &reversal.engine,
                variant: &reversal.variant,
                plan: &reversal.plan,
                event_id: &reversal.event_id,
                booth_id: &reversal.booth_id,
                quantity_micros: reversal.quantity_micros,
                ..nothing
            },
            Kind::PlanFee(fee) => Self { plan: &fee.plan, ..nothing },
            _ => nothing,
        })
    }

    fn of_work(self, usage: &'a Usage) -> Self {
        Self {
            service: &usage.service,
            engine: &usage.engine,
            variant: &usage.variant,
            plan: &usage.plan,
            event_id: &usage.event_id,
            booth_id: &usage.booth_id,
            quantity_micros: usage.quantity_micros,
            cost_micros: usage.provider_cost_micros.unwrap_or(0),
            ..self
        }
    }

    fn is_back(&self) -> bool {
        matches!(self.entry_type, EntryType::Refund | EntryType::Reversal)
    }

    fn pass(&self, filter: &UsageFilter) -> bool {
        let within = |list: &[String], value: &str| list.is_empty() || list.iter().any(|allowed| allowed == value);
        within(&filter.services, self.service)
            && within(&filter.engines, self.engine)
            && within(&filter.event_ids, self.event_id)
            && within(&filter.booth_ids, self.booth_id)
            && within(&filter.variants, self.variant)
            && within(&filter.plans, self.plan)
            && within(&filter.types, self.entry_type.code())
            && filter.failed.is_none_or(|failed| failed == self.is_failed)
    }

    fn key(&self, group_by: Option<GroupBy>) -> Cow<'a, str> {
        Cow::Borrowed(match group_by {
            // Of a single account there is one.
            None | Some(GroupBy::Account) => "",
            Some(GroupBy::Service) => self.service,
            Some(GroupBy::Engine) => self.engine,
            Some(GroupBy::Variant) => self.variant,
            Some(GroupBy::Event) => self.event_id,
            Some(GroupBy::Booth) => self.booth_id,
            Some(GroupBy::Status) if self.is_failed => FAILED,
            Some(GroupBy::Status) => "success",
            Some(GroupBy::Type) => self.entry_type.code(),
            Some(GroupBy::Plan) => self.plan,
            Some(GroupBy::ServiceAndEngine) => return Cow::Owned(format!("{}\0{}", self.service, self.engine)),
            Some(GroupBy::Work) => {
                return Cow::Owned(format!("{}\0{}\0{}", self.service, self.engine, self.variant));
            }
        })
    }

    pub(super) fn line(&self, entry: &Entry) -> Line {
        let quantity_micros = i128::from(self.quantity_micros);
        let succeeded = match (self.is_back(), self.is_failed) {
            // A part that is given back carries no quantity and takes back no operation.
            (true, _) => -i64::from(quantity_micros != 0),
            (false, is_failed) => i64::from(!is_failed),
        };
        Line {
            succeeded,
            failures: i64::from(self.is_failed),
            quantity_micros: match (self.is_back(), self.is_failed) {
                (true, _) => -quantity_micros,
                (false, true) => 0,
                (false, false) => quantity_micros,
            },
            spent_micros: -i128::from(entry.amount_micros),
            cost_micros: if self.is_back() { -i128::from(self.cost_micros) } else { i128::from(self.cost_micros) },
        }
    }
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
