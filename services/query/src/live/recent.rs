//! The newest ledger records, bounded in bytes over all accounts and in entries per account.

use std::collections::VecDeque;
use std::sync::Arc;

use prost::Message;
use tollbooth_schemas::v1::LedgerRecord;

/// What a record costs beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 160;
/// Most records, so that a flood of tiny ones does not make the bookkeeping larger than the data.
const RECORDS_MAX: usize = 1 << 20;

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentLimits {
    /// All accounts together; beyond it the oldest records go.
    pub bytes_max: usize,
    /// Of one account, rounded up to whole records.
    pub entries_per_account_max: u64,
}

/// A ledger record as it was read, decoded only when a page asks for it.
#[derive(Debug)]
pub(crate) struct RecentRecord {
    pub(super) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Offset after the record.
    pub(super) end_offset: i64,
    bytes: Box<[u8]>,
}

impl RecentRecord {
    pub(super) fn new(first_seq: u64, last_seq: u64, end_offset: i64, bytes: &[u8]) -> Self {
        Self { first_seq, last_seq, end_offset, bytes: bytes.into() }
    }

    /// The record; it was decoded once before it was kept, so `None` does not happen.
    pub(crate) fn decode(&self) -> Option<LedgerRecord> {
        LedgerRecord::decode(&*self.bytes).ok()
    }

    fn cost(&self) -> usize {
        self.bytes.len() + RECORD_OVERHEAD_BYTES
    }

    fn entries(&self) -> u64 {
        self.last_seq - self.first_seq + 1
    }
}

/// The newest records of one account, oldest first, without a gap.
#[derive(Debug, Default)]
pub(super) struct AccountRecent {
    pub(super) records: VecDeque<Arc<RecentRecord>>,
    /// Records dropped here that still have their place in [`Order`].
    dropped_early: u32,
    /// Whether entries below these may lie behind where reading began.
    pub(super) was_cut: bool,
    entries: u64,
}

/// The order of arrival over all accounts, by index of the account.
#[derive(Debug, Default)]
pub(super) struct Order {
    arrivals: VecDeque<u32>,
    bytes: usize,
}

impl Order {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a record of account `index`.
    pub(super) fn push(&mut self, index: u32, record: RecentRecord, recent: &mut AccountRecent, limits: RecentLimits) {
        self.bytes += record.cost();
        recent.entries += record.entries();
        recent.records.push_back(Arc::new(record));
        self.arrivals.push_back(index);
        while let Some(oldest) = recent.records.front()
            && recent.entries - oldest.entries() >= limits.entries_per_account_max
        {
            self.drop_oldest(recent);
            recent.dropped_early += 1;
        }
    }

    /// Forgets all records of one account: what follows does not join on to them.
    pub(super) fn clear(&mut self, recent: &mut AccountRecent) {
        while !recent.records.is_empty() {
            self.drop_oldest(recent);
            recent.dropped_early += 1;
        }
    }

    fn drop_oldest(&mut self, recent: &mut AccountRecent) {
        if let Some(record) = recent.records.pop_front() {
            recent.was_cut = true;
            self.bytes -= record.cost();
            recent.entries -= record.entries();
        }
    }

    /// Whether the bounds over all accounts are exceeded.
    pub(super) fn is_over(&self, limits: RecentLimits) -> bool {
        !self.arrivals.is_empty() && (self.bytes > limits.bytes_max || self.arrivals.len() > RECORDS_MAX)
    }

    /// Drops the oldest record of all; `recent_of` finds an account's records by its index.
    pub(super) fn shrink<'a>(&mut self, recent_of: impl FnOnce(u32) -> Option<&'a mut AccountRecent>) {
        let Some(recent) = self.arrivals.pop_front().and_then(recent_of) else { return };
        // An account's places in the order are those of its records, oldest first; the early dropped ones lead.
        if recent.dropped_early > 0 {
            recent.dropped_early -= 1;
        } else {
            self.drop_oldest(recent);
        }
    }
}
