//! Sums as of an entry, carried forward by the entries after it.

use std::collections::BTreeMap;
use std::time::Instant;

use tollbooth_schemas::v1::LedgerRecord;

use super::Question;
use super::packed::Packed;
use crate::store::UsageRow;

/// Sums of one group in one bucket.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) succeeded: i64,
    pub(super) failures: i64,
    pub(super) quantity_micros: i128,
    pub(super) spent_micros: i128,
    pub(super) cost_micros: i128,
}

impl Line {
    pub(super) fn of(row: &UsageRow) -> Self {
        Self {
            succeeded: row.succeeded,
            failures: row.failures,
            quantity_micros: row.quantity_micros,
            spent_micros: row.spent_micros,
            cost_micros: row.cost_micros,
        }
    }

    /// An entry's amount is below 10^12, so that no ledger that could be written comes near the bounds.
    pub(super) fn add(&mut self, other: &Self) {
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.failures = self.failures.saturating_add(other.failures);
        self.quantity_micros = self.quantity_micros.saturating_add(other.quantity_micros);
        self.spent_micros = self.spent_micros.saturating_add(other.spent_micros);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }

    pub(super) fn row(&self, start_ms: i64, group_key: &str) -> UsageRow {
        UsageRow {
            start_ms,
            group_key: group_key.to_owned(),
            succeeded: self.succeeded,
            failures: self.failures,
            quantity_micros: self.quantity_micros,
            spent_micros: self.spent_micros,
            cost_micros: self.cost_micros,
            newest_seq: 0,
        }
    }
}

/// By start of the bucket and key of the group.
pub(super) type Lines = BTreeMap<i64, BTreeMap<Box<str>, Line>>;

/// The sums of a question, exactly those of the account's entries up to one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) asked_at: Instant,
    pub(super) seq: u64,
    /// Every group apart, also those that came to nothing: a later entry may add to them.
    pub(super) lines: Lines,
}

impl Carried {
    /// Sums that ClickHouse told, as of entry `seq`.
    pub(super) fn new(rows: &[UsageRow], seq: u64) -> Self {
        let mut carried = Self { asked_at: Instant::now(), seq, lines: BTreeMap::new() };
        for row in rows {
            carried.add(row.start_ms, &row.group_key, &Line::of(row));
        }
        carried
    }

    /// Adds the entries behind the newest that is in it, up to `to_seq`. Returns whether all of them were there, one after the
    /// other; if not, these sums are of no use any more.
    #[must_use]
    pub(super) fn carry(&mut self, question: &Question, records: &[LedgerRecord], to_seq: u64) -> bool {
        let after_seq = self.seq;
        let entries = records.iter().flat_map(|record| &record.entries);
        for entry in entries.filter(|entry| (after_seq + 1..=to_seq).contains(&entry.seq)) {
            if entry.seq != self.seq + 1 {
                return false;
            }
            if let Some((start_ms, key, line)) = question.adds(entry) {
                self.add(start_ms, &key, &line);
            }
            self.seq = entry.seq;
        }
        self.seq == to_seq
    }

    pub(super) fn add(&mut self, start_ms: i64, key: &str, line: &Line) {
        let groups = self.lines.entry(start_ms).or_default();
        match groups.get_mut(key) {
            Some(known) => known.add(line),
            None => drop(groups.insert(key.into(), *line)),
        }
    }

    /// As they are answered.
    pub(super) fn shaped(&self, question: &Question) -> Vec<UsageRow> {
        let rows =
            self.lines.iter().flat_map(|(start_ms, groups)| groups.iter().map(|(key, line)| line.row(*start_ms, key)));
        question.shape(rows.collect())
    }

    /// As they are kept; `None` where a sum is beyond what is kept of one, which no ledger comes near.
    pub(super) fn pack(&self, question: &Question) -> Option<Packed> {
        Packed::of(self, question.fingerprint())
    }
}
