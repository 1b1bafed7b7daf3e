//! What a transaction consists of, in which order, and what becomes of one that failed.

use tollbooth_chassis::{crashpoint, kafka::txn::TxnError};
use tollbooth_ledger::{Defect, planted};

use super::{WorkerError, outside::Producer};

/// The fault point inside an open transaction.
const IN_TRANSACTION: &str = "meter.in_transaction";

/// A part of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Begins it.
    Begin,
    /// Entries, replies, effects, dead letters.
    Records,
    /// The inputs' next offsets, in every transaction, also one that writes nothing else: the group's word on who owns the
    /// partition.
    Offsets,
    /// Commits it.
    Commit,
}

/// All of a transaction, in order. Offsets and entries appear together or not at all, because one commit covers both.
pub(super) fn parts() -> &'static [Part] {
    use Part::{Begin, Commit, Offsets, Records};
    if planted(Defect::CommitBeforeProduce) {
        &[Begin, Offsets, Commit, Begin, Records, Commit]
    } else if planted(Defect::NoFencing) {
        &[Begin, Records, Commit]
    } else {
        &[Begin, Records, Offsets, Commit]
    }
}

/// What becomes of a transaction that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Aborted, and decided again from the same records.
    Again,
    /// Aborted where that is possible, and the partition given up.
    Aborted,
    /// Left as it is: it is fenced, or the next owner's fence ends it.
    Left,
}

impl WorkerError {
    /// What becomes of the transaction that failed with it.
    pub(super) const fn ending(&self) -> Ending {
        match self {
            Self::Transaction(TxnError::Abortable(_)) => Ending::Again,
            Self::Transaction(TxnError::GroupLost(_)) => Ending::Aborted,
            _ => Ending::Left,
        }
    }
}

/// Where an accident leaves entries that the broker has acknowledged and nobody has committed. What is only queued here
/// would die with the process, and the broker would never have seen a transaction.
pub(super) async fn pass_fault_point(producer: &impl Producer, acknowledged: Option<i64>) {
    if crashpoint::armed(IN_TRANSACTION) {
        producer.drain().await;
        if producer.ledger_end() > acknowledged {
            crashpoint::hit(IN_TRANSACTION);
        }
    }
}

/// The same accident behind a commit of offsets that came too early.
pub(super) fn pass_planted_fault_point() {
    if planted(Defect::CommitBeforeProduce) {
        crashpoint::hit(IN_TRANSACTION);
    }
}
