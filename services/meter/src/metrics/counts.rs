//! What is counted, by whom it is told from what.

use tollbooth_schemas::{
    dead_letter::{LetterOutcome, Reason},
    ledger::EntryType,
};

/// What became of a reported operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Charged.
    Charged,
    /// Listed with 0.00.
    Failed,
    /// Known already.
    Duplicate,
    /// A failure of an earlier attempt.
    Stale,
    /// A dead letter `conflict` or `failed_after_charge`.
    Conflict,
}

impl Outcome {
    pub(super) const ALL: [Self; 5] = [Self::Charged, Self::Failed, Self::Duplicate, Self::Stale, Self::Conflict];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Conflict => "conflict",
        }
    }
}

/// Counts of one batch; added to the metrics once it is committed, so that an aborted one counts nothing.
#[derive(Debug, Default, Clone)]
pub struct BatchCounts {
    pub(super) outcomes: [u64; 5],
    pub(super) posts: [u64; EntryType::ALL.len()],
    pub(super) failed_posts: u64,
    /// By input.
    pub(super) dead: [[u64; Reason::ALL.len()]; 2],
    /// By engine; few distinct ones, and nothing where every record has its price.
    pub(super) unpriced: Vec<((String, Reason), u64)>,
    /// By input.
    pub(super) skipped: [u64; 2],
    pub(super) redriven: [u64; LetterOutcome::OF_REDRIVE.len()],
}

/// The engine's label for what no price book names: what a booth sends is no label.
pub const OTHER_ENGINE: &str = "other";
/// Why usage has no price.
pub(super) const PRICELESS: [Reason; 3] = [Reason::NoPrice, Reason::EngineRetired, Reason::UnitMismatch];

impl BatchCounts {
    /// One report of an operation.
    pub fn outcome(&mut self, outcome: Outcome) {
        self.outcomes[outcome as usize] += 1;
    }

    /// One entry.
    pub fn post(&mut self, entry_type: EntryType, failed: bool) {
        if failed {
            self.failed_posts += 1;
        } else if let Some(index) = EntryType::ALL.iter().position(|known| *known == entry_type) {
            self.posts[index] += 1;
        }
    }

    /// One record at or below what was folded.
    pub fn skipped(&mut self, input: Input) {
        self.skipped[input as usize] += 1;
    }

    /// One usage record without a price; `engine` stands in a price book, or is [`OTHER_ENGINE`].
    pub fn unpriced(&mut self, engine: &str, reason: Reason) {
        match self.unpriced.iter_mut().find(|((known, why), _)| known == engine && *why == reason) {
            Some((_, count)) => *count += 1,
            None => self.unpriced.push(((engine.to_owned(), reason), 1)),
        }
    }

    /// One dead letter was driven again.
    pub fn redriven(&mut self, outcome: LetterOutcome) {
        if let Some(index) = LetterOutcome::OF_REDRIVE.iter().position(|known| *known == outcome) {
            self.redriven[index] += 1;
        }
    }

    /// One dead letter.
    pub fn dead(&mut self, input: Input, reason: Reason) {
        if let Some(index) = Reason::ALL.iter().position(|known| *known == reason) {
            self.dead[input as usize][index] += 1;
        }
        if matches!(reason, Reason::Conflict | Reason::FailedAfterCharge) {
            self.outcome(Outcome::Conflict);
        }
    }
}

/// What a look over a partition's state shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct StateSizes {
    /// Accounts.
    pub accounts: usize,
    /// Accounts below zero.
    pub negative: usize,
    /// Accounts below the warning threshold.
    pub below_threshold: usize,
    /// Operation ids.
    pub operations: usize,
    /// Bytes they take.
    pub operation_bytes: usize,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
    /// Looks at the disk since the last time.
    pub store_reads: u64,
}

/// What a partition's state was made of when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restored {
    /// It was in memory.
    Warm,
    /// It was in its store on this machine.
    Store,
    /// It was in a checkpoint elsewhere.
    Checkpoint,
    /// The whole ledger was folded.
    Cold,
}

impl Restored {
    /// As logs and metrics name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Store => "store",
            Self::Checkpoint => "checkpoint",
            Self::Cold => "cold",
        }
    }
}

/// Why a transaction was not committed: the codes of [`TxnError`].
pub(super) const ABORT_CAUSES: [&str; 5] = ["abortable", "fenced", "group_lost", "retriable", "fatal"];

/// Who told this process that another one has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FencedBy {
    /// A younger producer has the partition's transactional id.
    Transaction,
    /// Another process has the `member_id`.
    Group,
}

impl FencedBy {
    pub(super) const ALL: [Self; 2] = [Self::Transaction, Self::Group];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Group => "group",
        }
    }
}

/// One of the two input topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `usage`.
    Usage,
    /// `commands`.
    Commands,
}
