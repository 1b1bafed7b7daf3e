//! How far each partition of the ledger is read, and where an account's entries lie in it.

use std::sync::atomic::{AtomicI64, Ordering};

use tollbooth_chassis::kafka::partition_for;

use super::{LiveView, Place};

impl LiveView {
    /// Says how many partitions the ledger has; the first word counts.
    pub fn set_partitions(&self, partitions: usize) {
        self.begin_at(&vec![0; partitions]);
    }

    /// Says for every partition of the ledger where reading begins, all below being known; the first word counts.
    pub fn begin_at(&self, offsets: &[i64]) {
        self.begun_at.get_or_init(|| offsets.into());
        self.read_to.get_or_init(|| offsets.iter().map(|offset| AtomicI64::new(*offset)).collect());
        self.confirmed_ms.get_or_init(|| offsets.iter().map(|_| AtomicI64::new(0)).collect());
    }

    fn begin_of(&self, partition: u32) -> Option<i64> {
        self.begun_at.get()?.get(partition as usize).copied()
    }

    pub(super) fn read_to(&self, partition: u32) -> Option<&AtomicI64> {
        self.read_to.get()?.get(partition as usize)
    }

    /// How many partitions the ledger has; 0: not known yet.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.confirmed_ms.get().map_or(0, |confirmed| confirmed.len())
    }

    /// Every entry of `partition` committed before `at_ms` is folded.
    pub fn confirm(&self, partition: u32, at_ms: i64) {
        if let Some(confirmed) = self.confirmed(partition) {
            confirmed.fetch_max(at_ms, Ordering::Relaxed);
        }
    }

    fn confirmed(&self, partition: u32) -> Option<&AtomicI64> {
        self.confirmed_ms.get()?.get(partition as usize)
    }

    /// Whether every partition has been read to an end at least once.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed_ms.get().is_some_and(|all| all.iter().all(|confirmed| confirmed.load(Ordering::Relaxed) > 0))
    }

    /// Whether the account's partition has been read to an end at least once. The others may take their time.
    #[must_use]
    pub fn is_confirmed_for(&self, account_id: &str) -> bool {
        let partitions = i32::try_from(self.partitions()).unwrap_or(i32::MAX);
        let partition = partition_for(account_id.as_bytes(), partitions);
        let partition = partition.and_then(|partition| u32::try_from(partition).ok());
        partition.is_some_and(|partition| self.confirmed_at_ms(partition) > 0)
    }

    /// Every entry of `partition` committed before this instant is folded; 0: not known yet.
    #[must_use]
    pub fn confirmed_at_ms(&self, partition: u32) -> i64 {
        self.confirmed(partition).map_or(0, |confirmed| confirmed.load(Ordering::Relaxed))
    }

    /// A place in the ledger below which the account's entry `seq` lies, as close as memory knows; `None` where the
    /// account has no such entry yet.
    #[must_use]
    pub fn place_after(&self, account_id: &str, seq: u64) -> Option<Place> {
        let inner = self.inner.read();
        let account = inner.get(account_id).filter(|account| account.seq >= seq)?;
        let records = &account.recent.records;
        let holding = records.get(records.partition_point(|record| record.last_seq < seq));
        let offset = holding.map_or(account.end_offset, |record| record.end_offset);
        Some(Place { partition: account.partition, offset })
    }

    /// The newest entry of an account that lies below the offset `end_of` tells of its partition, as do all before it;
    /// `None` where memory does not know.
    pub(in crate::live) fn sunk_seq(&self, account_id: &str, end_of: impl Fn(u32) -> i64) -> Option<u64> {
        let inner = self.inner.read();
        let account = inner.get(account_id)?;
        let end = end_of(account.partition);
        if account.end_offset <= end {
            return Some(account.seq);
        }
        let records = &account.recent.records;
        let sunk = records.partition_point(|record| record.end_offset <= end);
        Some(records.get(sunk.checked_sub(1)?)?.last_seq)
    }

    /// As [`sunk_seq`](Self::sunk_seq), and where none of the records in memory is sunk, what was posted before reading
    /// began. There may be rows beyond it.
    pub(in crate::live) fn sure_seq(&self, account_id: &str, end_of: impl Fn(u32) -> i64) -> Option<u64> {
        if let Some(seq) = self.sunk_seq(account_id, &end_of) {
            return Some(seq);
        }
        let inner = self.inner.read();
        let account = inner.get(account_id)?;
        let first = account.recent.records.front()?;
        let end = end_of(account.partition);
        let is_above = end < first.end_offset && end >= self.begin_of(account.partition)?;
        (is_above && !account.recent.was_cut).then(|| first.first_seq - 1)
    }

    /// The account's newest entry below one of `ends`, `(partition, offset)` each; `None` where memory does not know, or
    /// has not read that far itself, or began behind the end: the database has less than it had then, so it is being filled
    /// again.
    #[must_use]
    pub fn seq_below(&self, account_id: &str, ends: &[(i32, i64)]) -> Option<u64> {
        let partition = {
            let inner = self.inner.read();
            inner.get(account_id)?.partition
        };
        let end = ends.iter().find(|(number, _)| u32::try_from(*number) == Ok(partition)).map_or(0, |(_, end)| *end);
        // Looked at first: what is folded after it only adds to what is known.
        if self.read_to(partition)?.load(Ordering::Relaxed) < end || end < self.begin_of(partition)? {
            return None;
        }
        self.sure_seq(account_id, |_| end)
    }
}
