//! Planted defects: what the crash test and the simulation must find, so that a green run means something.
//!
//! Each is a cargo feature of its own, for a meter that has it for good. With the feature `planted` a thread chooses one at
//! run time instead, so that one build has them all. Without any of these features [`planted`] is `false` at compile
//! time, and no code of a defect is left.

/// A mistake that is easily made and costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The input offsets are committed in a transaction before the one with the entries.
    CommitBeforeProduce,
    /// The state takes a batch over before its transaction is committed.
    MergeBeforeCommit,
    /// Each process writes under an id of its own, and sends no offsets: nobody throws out a zombie.
    NoFencing,
    /// Operations of more than two seconds ago are not looked up.
    DedupeByTime,
    /// An operation is remembered by its id and attempt instead of its id.
    TokenPerAttempt,
}

impl Defect {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::CommitBeforeProduce,
        Self::MergeBeforeCommit,
        Self::NoFencing,
        Self::DedupeByTime,
        Self::TokenPerAttempt,
    ];

    /// As in the name of its feature, `planted-<code>`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CommitBeforeProduce => "commit-before-produce",
            Self::MergeBeforeCommit => "merge-before-commit",
            Self::NoFencing => "no-fencing",
            Self::DedupeByTime => "dedupe-by-time",
            Self::TokenPerAttempt => "token-per-attempt",
        }
    }

    const fn is_built_in(self) -> bool {
        match self {
            Self::CommitBeforeProduce => cfg!(feature = "planted-commit-before-produce"),
            Self::MergeBeforeCommit => cfg!(feature = "planted-merge-before-commit"),
            Self::NoFencing => cfg!(feature = "planted-no-fencing"),
            Self::DedupeByTime => cfg!(feature = "planted-dedupe-by-time"),
            Self::TokenPerAttempt => cfg!(feature = "planted-token-per-attempt"),
        }
    }
}

/// Whether the code at hand is to be wrong in this way.
#[inline]
#[must_use]
pub fn planted(defect: Defect) -> bool {
    defect.is_built_in() || is_chosen(defect)
}

#[cfg(not(feature = "planted"))]
#[inline]
const fn is_chosen(_: Defect) -> bool {
    false
}

#[cfg(feature = "planted")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

#[cfg(feature = "planted")]
fn is_chosen(defect: Defect) -> bool {
    CHOSEN.get() == Some(defect)
}

/// Plants a defect in what this thread runs from here on, in place of the one before.
#[cfg(feature = "planted")]
pub fn plant(defect: Option<Defect>) {
    CHOSEN.set(defect);
}
