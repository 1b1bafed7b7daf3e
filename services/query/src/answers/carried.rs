//! Sums as of an entry, carried forward by the entries after it.

use std::collections::BTreeMap;
use std::time::Instant;

use tollbooth_schemas::v1::LedgerRecord;

use super::Question;
use crate::store::UsageRow;

/// What a sum costs beside its key: five numbers and its place in a tree.
const ROW_BYTES: usize = 160;

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

/// The sums of a question, exactly those of the account's entries up to one of them.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) question: Question,
    pub(super) asked_at: Instant,
    seq: u64,
    /// Every group apart, also those that came to nothing: a later entry may add to them.
    lines: BTreeMap<i64, BTreeMap<Box<str>, Line>>,
    rows: usize,
    key_bytes: usize,
}

impl Carried {
    /// Sums that ClickHouse told, as of entry `seq`.
    pub(super) fn new(question: Question, rows: &[UsageRow], seq: u64) -> Self {
        let mut carried =
            Self { question, asked_at: Instant::now(), seq, lines: BTreeMap::new(), rows: 0, key_bytes: 0 };
        for row in rows {
            carried.add(row.start_ms, &row.group_key, &Line::of(row));
        }
        carried
    }

    /// The newest entry that is in it.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Adds the entries behind [`seq`](Self::seq) up to `to_seq`. Returns whether all of them were there, one after the
    /// other; if not, these sums are of no use any more.
    #[must_use]
    pub(super) fn carry(&mut self, records: &[LedgerRecord], to_seq: u64) -> bool {
        let after_seq = self.seq;
        let entries = records.iter().flat_map(|record| &record.entries);
        for entry in entries.filter(|entry| (after_seq + 1..=to_seq).contains(&entry.seq)) {
            if entry.seq != self.seq + 1 {
                return false;
            }
            if let Some((start_ms, key, line)) = self.question.adds(entry) {
                self.add(start_ms, &key, &line);
            }
            self.seq = entry.seq;
        }
        self.seq == to_seq
    }

    fn add(&mut self, start_ms: i64, key: &str, line: &Line) {
        let groups = self.lines.entry(start_ms).or_default();
        if let Some(known) = groups.get_mut(key) {
            known.add(line);
            return;
        }
        groups.insert(key.into(), *line);
        self.rows += 1;
        self.key_bytes += key.len();
    }

    /// As they are answered.
    pub(super) fn shaped(&self) -> Vec<UsageRow> {
        let rows =
            self.lines.iter().flat_map(|(start_ms, groups)| groups.iter().map(|(key, line)| line.row(*start_ms, key)));
        self.question.shape(rows.collect())
    }

    /// What it costs in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.rows * ROW_BYTES + self.key_bytes + self.question.starts_ms.len() * 8
    }
}
