//! Where an input is read on.

use super::WorkerError;

/// What is known about a partition of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The group's next offset.
    pub(super) committed: Option<i64>,
    /// The highest offset that made an entry of the ledger.
    pub(super) folded: Option<i64>,
    /// The first offset the topic still has.
    pub(super) low: i64,
    /// The offset after its newest record.
    pub(super) end: i64,
}

/// Why it cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// The next record is not there any more.
    Lost { next: i64 },
    /// Nobody knows which one is next, and the topic's beginning is gone.
    Unclaimed,
    /// The topic ends before the next record.
    Beyond { next: i64 },
}

impl Misplaced {
    /// As a worker tells it of a topic with these bounds.
    pub(super) fn error(self, topic: String, known: Known) -> WorkerError {
        let Known { low, end, .. } = known;
        match self {
            Self::Lost { next } => WorkerError::Lost { topic, low, next },
            Self::Unclaimed => WorkerError::Unclaimed { topic, low },
            Self::Beyond { next } => WorkerError::Beyond { topic, end, next },
        }
    }
}

/// The next offset: the group's or the one after what was folded, whichever is higher. What made an entry was consumed,
/// whatever an older answer of the group says; what was consumed and made none, only the group knows.
pub(super) fn next_offset(known: Known) -> Result<i64, Misplaced> {
    let Known { committed, folded, low, end } = known;
    let after_folded = folded.map(|folded| folded + 1);
    let next = match committed.max(after_folded) {
        Some(next) => next,
        // Nothing was ever consumed, and nothing can have been missed.
        None if low == 0 => 0,
        None => return Err(Misplaced::Unclaimed),
    };
    if next < low {
        Err(Misplaced::Lost { next })
    } else if next > end {
        Err(Misplaced::Beyond { next })
    } else {
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(committed: Option<i64>, folded: Option<i64>, low: i64, end: i64) -> Result<i64, Misplaced> {
        next_offset(Known { committed, folded, low, end })
    }

    #[test]
    fn what_was_folded_was_consumed_also_where_the_groups_offset_is_old_or_gone() {
        assert_eq!(next(Some(5), None, 0, 10), Ok(5));
        assert_eq!(next(Some(5), Some(2), 0, 10), Ok(5), "5 to come: 3 and 4 made no entry");
        assert_eq!(next(Some(5), Some(7), 0, 10), Ok(8));
        assert_eq!(next(None, Some(7), 3, 10), Ok(8));
        assert_eq!(next(None, None, 0, 10), Ok(0));
        assert_eq!(next(None, None, 0, 0), Ok(0));
        assert_eq!(next(Some(10), Some(9), 10, 10), Ok(10), "consumed to the end, and all of it deleted since");
    }

    #[test]
    fn loss_is_judged_by_what_is_really_next() {
        // An old offset of the group below the beginning loses nothing that was folded.
        assert_eq!(next(Some(5), Some(7), 6, 10), Ok(8));
        assert_eq!(next(Some(5), Some(7), 8, 10), Ok(8));
        assert_eq!(next(Some(5), Some(7), 9, 10), Err(Misplaced::Lost { next: 8 }));
        assert_eq!(next(Some(5), None, 6, 10), Err(Misplaced::Lost { next: 5 }));
        // Without an offset of the group a deleted head is not skipped in silence.
        assert_eq!(next(None, Some(7), 9, 10), Err(Misplaced::Lost { next: 8 }));
        assert_eq!(next(None, None, 1, 10), Err(Misplaced::Unclaimed));
    }

    #[test]
    fn an_offset_beyond_the_end_is_told_and_not_waited_for() {
        assert_eq!(next(Some(11), None, 0, 10), Err(Misplaced::Beyond { next: 11 }));
        assert_eq!(next(Some(0), Some(10), 0, 0), Err(Misplaced::Beyond { next: 11 }));
        assert_eq!(next(Some(10), Some(4), 0, 10), Ok(10));
    }
}
