//! How a state that knows a part of the ledger comes to know the rest: from where it is read, what is compared, when it is done.

use super::WorkerError;
use crate::store::{Bounds, LastRecord};

/// Up to where a ledger is folded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Reached {
    /// Exclusive; `None`: nothing is folded.
    pub(super) position: Option<i64>,
    /// The record that was folded last.
    pub(super) last: Option<LastRecord>,
}

impl Reached {
    /// After a transaction of one's own was committed: `end` lies behind the highest record that its producer was
    /// acknowledged, `last_hash` is the hash of the transaction's last record of the ledger.
    pub(super) fn committed(self, end: Option<i64>, last_hash: Option<u64>) -> Self {
        let Some(end) = end else { return self };
        // Records of one producer are appended in order: the last that was sent is the highest.
        let last = last_hash.map(|hash| LastRecord::of_hash(end - 1, hash)).or(self.last);
        Self { position: self.position.max(Some(end)), last }
    }
}

/// Why a state and a ledger do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The next record is not there any more.
    Lost { low: i64, next: i64 },
    /// The ledger ends before what was folded.
    Shortened { end: i64, folded: i64 },
    /// Another record stands where the last one stood.
    Replaced { offset: i64 },
}

impl Misfit {
    /// As a worker tells it.
    pub(super) fn error(self, ledger: &str) -> WorkerError {
        match self {
            Self::Lost { low, next } => WorkerError::Lost { topic: ledger.to_owned(), low, next },
            Self::Shortened { end, folded } => WorkerError::Shortened { end, folded },
            Self::Replaced { offset } => WorkerError::Replaced { offset },
        }
    }
}

/// What a record of the tail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The one that was folded last: the ledger is the one that was folded.
    Known,
    /// To be folded.
    New,
}

/// The part of a ledger that is still to be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tail {
    position: i64,
    end: i64,
    /// Comes first once more: another one there is another ledger. It is in the bytes that the tail is fetched with.
    known: Option<LastRecord>,
}

impl Tail {
    /// Behind what was folded of a ledger with these bounds. Its end was read after fencing.
    pub(super) fn new(folded: Reached, ledger: Bounds) -> Result<Self, Misfit> {
        let Bounds { low, end } = ledger;
        let next = folded.position.unwrap_or(0);
        if next < low {
            return Err(Misfit::Lost { low, next });
        }
        if next > end {
            return Err(Misfit::Shortened { end, folded: next });
        }
        // Where it was deleted, the ledger's begin says what is missing.
        let known = folded.last.filter(|last| last.offset >= low);
        Ok(Self { position: known.map_or(next, |last| last.offset), end, known })
    }

    /// Where to read.
    pub(super) const fn position(&self) -> i64 {
        self.position
    }

    /// Where it ends.
    pub(super) const fn end(&self) -> i64 {
        self.end
    }

    /// Whether no transaction is open in it, where none is below `stable`.
    pub(super) const fn is_stable(&self, stable: i64) -> bool {
        stable >= self.end
    }

    /// What a record that was read is. Asked for every one, in order.
    pub(super) fn record(&mut self, offset: i64, payload: &[u8]) -> Result<Meaning, Misfit> {
        match self.known.take() {
            Some(last) if last == LastRecord::of(offset, payload) => Ok(Meaning::Known),
            Some(last) => Err(Misfit::Replaced { offset: last.offset }),
            None => Ok(Meaning::New),
        }
    }

    /// Everything before `position` was read: not the last record, for what stands at the end may be markers.
    pub(super) const fn read_to(&mut self, position: i64) {
        self.position = position;
    }

    /// Whether all of it was read.
    pub(super) const fn is_read(&self) -> bool {
        self.position >= self.end
    }

    /// The ledger is folded up to there.
    pub(super) fn finish(self) -> Result<i64, Misfit> {
        match self.known {
            Some(last) => Err(Misfit::Replaced { offset: last.offset }),
            None => Ok(self.position.max(self.end)),
        }
    }
}
