//! Which records are carried out, and up to where all of them are.

use std::collections::{BTreeMap, HashMap};

/// A record under way.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    decided_at_ms: i64,
    is_done: bool,
}

/// The records from the first of each partition that is not carried out on.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    partitions: HashMap<i32, BTreeMap<i64, UnderWay>>,
    under_way: usize,
}

impl Tracker {
    /// Takes a record in; `false`: it is under way already, read again after a rebalance.
    pub(super) fn begin(&mut self, partition: i32, offset: i64, decided_at_ms: i64) -> bool {
        let records = self.partitions.entry(partition).or_default();
        let known = records.contains_key(&offset);
        if !known {
            records.insert(offset, UnderWay { decided_at_ms, is_done: false });
            self.under_way += 1;
        }
        !known
    }

    /// A record is carried out. Gives back the offset below which all of its partition are, where that moved.
    pub(super) fn done(&mut self, partition: i32, offset: i64) -> Option<i64> {
        let records = self.partitions.get_mut(&partition)?;
        let record = records.get_mut(&offset)?;
        self.under_way -= usize::from(!record.is_done);
        record.is_done = true;
        let mut next = None;
        while let Some(first) = records.first_entry().filter(|first| first.get().is_done) {
            next = Some(first.key() + 1);
            first.remove();
        }
        next
    }

    /// How many are not carried out.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// When the oldest of them was decided: the first of a partition is never one that is carried out.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.partitions.values().filter_map(|records| records.values().next()).map(|record| record.decided_at_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_committed_ends_before_the_first_that_is_not_carried_out() {
        let mut tracker = Tracker::default();
        for offset in [4, 6, 7] {
            assert!(tracker.begin(0, offset, offset * 10));
        }
        assert!(tracker.begin(1, 4, 5));
        assert_eq!((tracker.under_way(), tracker.oldest_ms()), (4, Some(5)));
        // Later ones first: nothing may be committed, or a crash would lose the first.
        assert_eq!(tracker.done(0, 7), None);
        assert_eq!(tracker.done(0, 6), None);
        assert_eq!(tracker.done(1, 4), Some(5));
        assert_eq!(tracker.done(0, 4), Some(8));
        assert_eq!((tracker.under_way(), tracker.oldest_ms()), (0, None));
    }

    #[test]
    fn what_is_read_again_while_it_is_under_way_is_not_begun_again() {
        let mut tracker = Tracker::default();
        assert!(tracker.begin(0, 4, 0));
        assert!(!tracker.begin(0, 4, 0));
        assert_eq!(tracker.done(0, 4), Some(5));
        // Read anew after it was carried out, it is: whoever is told then was told before.
        assert!(tracker.begin(0, 4, 0));
        assert_eq!(tracker.done(0, 9), None);
    }
}
