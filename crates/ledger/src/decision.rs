//! What goes in and what comes out.

use crate::digest::{self, Digest};
use tollbooth_schemas::{
    dead_letter::Reason,
    usage::UsageEvent,
    v1::{Command, Entry, Rejected, Reply},
};

/// A usage record with where and when it was received.
#[derive(Debug)]
pub struct UsageInput<'a> {
    pub(crate) event: UsageEvent<'a>,
    pub(crate) offset: i64,
    pub(crate) received_at_ms: i64,
    pub(crate) operation: Digest,
}

impl<'a> UsageInput<'a> {
    /// A record's content, its offset in the usage topic, and the broker's append time: age is judged by that one, so
    /// that an outage never ages acknowledged usage.
    #[must_use]
    pub fn new(event: UsageEvent<'a>, offset: i64, received_at_ms: i64) -> Self {
        let operation = digest::of_operation(&event.account_id, &event.operation_id, event.attempt);
        Self { event, offset, received_at_ms, operation }
    }

    /// What stands for its operation. Computed once: the entry it becomes is folded under the same.
    #[must_use]
    pub const fn operation(&self) -> Digest {
        self.operation
    }
}

/// A command with where it was received.
#[derive(Debug, Clone, Copy)]
pub struct CommandInput<'a> {
    /// Its content.
    pub command: &'a Command,
    /// Its offset in the commands topic.
    pub offset: i64,
}

/// Why a record is not charged and needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// One of a closed list.
    pub reason: Reason,
    /// For that person.
    pub detail: String,
}

/// What a usage record does.
#[derive(Debug, Clone, PartialEq)]
pub enum UsageDecision {
    /// The entry to post: a charge, or a failure of 0.00.
    Post(Box<Entry>),
    /// Its report stands in the ledger already.
    Duplicate,
    /// A failure of an attempt before the one that was charged.
    Stale,
    /// Goes to the dead letters.
    Dead(Dead),
}

/// What a command does.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandDecision {
    /// The entry to post and the answer to it.
    Post(Box<Entry>, Reply),
    /// Two entries that belong together, in their order, and the answer, which is about the second one.
    PostTwo(Box<[Entry; 2]>, Reply),
    /// Carried out before (its answer again), or refused: no entry.
    Answer(Reply),
}

pub(crate) fn rejected(status: u32, code: &str, detail: impl Into<String>) -> Rejected {
    Rejected { status, code: code.to_owned(), detail: detail.into(), ..Rejected::default() }
}
