//! What goes wrong, by class, and how often it did.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A place where a worker waits for the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// `init_transactions`.
    Fence,
    /// A question to the broker: where a partition ends, how far the group is.
    Ask,
    /// A fetch.
    Read,
    /// Records of an open transaction on their way.
    Produce,
    /// The input offsets.
    Offsets,
    /// The commit.
    Commit,
    /// The abort.
    Abort,
    /// A look at the price books.
    Books,
}

/// Where a process dies: on the way to the broker, or on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// It has not happened.
    Before,
    /// It has, and nobody is told.
    After,
}

/// Classes that are switched on and off together; a failure is made smaller by switching them off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Crash,
    Freeze,
    Abort,
    Slow,
    Group,
    Broker,
    Late,
    Clock,
    Books,
    Duplicate,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Crash,
        Self::Freeze,
        Self::Abort,
        Self::Slow,
        Self::Group,
        Self::Broker,
        Self::Late,
        Self::Clock,
        Self::Books,
        Self::Duplicate,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A process died.
    Crash(Effect, Side),
    /// A process stood still until the group had given its partitions away, and went on.
    Zombie,
    /// A process stood still for a moment.
    Pause,
    /// The broker asked for an abort.
    Aborted(Effect),
    /// A call took seconds.
    Slow,
    /// The coordinator ended a transaction that was open for too long.
    TimedOut,
    /// A meter left the group in order, and came back.
    Left,
    /// The group dropped a member that it no longer heard of.
    Expired,
    /// The broker did not answer.
    Silent,
    /// A fetch failed.
    Unread,
    /// Usage, commands or price books came seconds late, each by itself.
    LateUsage,
    LateCommands,
    LateBooks,
    /// A wall clock jumped.
    Forward,
    Back,
    /// The price books were not read for too long.
    BooksStale,
    /// A usage event was sent again.
    UsageAgain,
    /// A command was sent again, under its key.
    CommandAgain,
}

impl Fault {
    /// Every one there is.
    pub(super) fn all() -> BTreeSet<Self> {
        let both = [Effect::Fence, Effect::Produce, Effect::Offsets, Effect::Commit, Effect::Abort];
        let mut all: BTreeSet<Self> = [
            Self::Zombie,
            Self::Pause,
            Self::Slow,
            Self::TimedOut,
            Self::Left,
            Self::Expired,
            Self::Silent,
            Self::Unread,
            Self::LateUsage,
            Self::LateCommands,
            Self::LateBooks,
            Self::Forward,
            Self::Back,
            Self::BooksStale,
            Self::UsageAgain,
            Self::CommandAgain,
        ]
        .into();
        all.extend(both.iter().flat_map(|effect| [Side::Before, Side::After].map(|side| Self::Crash(*effect, side))));
        // A question changes nothing: before and after are the same.
        all.extend([Effect::Ask, Effect::Read, Effect::Books].map(|effect| Self::Crash(effect, Side::Before)));
        all.extend([Effect::Produce, Effect::Offsets, Effect::Commit].map(Self::Aborted));
        all
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(effect, side) => write!(f, "crash {side:?} {effect:?}"),
            Self::Aborted(effect) => write!(f, "abort at {effect:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// How often each happened.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(pub(super) BTreeMap<Fault, u64>);

impl Faults {
    pub(super) fn note(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }

    /// Those that never happened.
    pub(super) fn missing(&self) -> Vec<Fault> {
        Fault::all().into_iter().filter(|fault| !self.0.contains_key(fault)).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (fault, count)) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}{fault} {count}")?;
        }
        Ok(())
    }
}
