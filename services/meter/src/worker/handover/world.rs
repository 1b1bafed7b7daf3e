//! The world: the log, the group, the meters with what they have in memory and on disk. What only grows (epochs,
//! generations) is told by who has the newest one, so that worlds that behave alike are one.

use super::{
    library::{Fold, Library},
    log::Log,
};
use crate::{
    member::{Epoch, SlotState},
    metrics::Restored,
    worker::tail::{Reached, Tail},
};

/// A state as it was written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) fold: Fold,
    pub(super) next: i64,
    pub(super) reached: Reached,
}

/// What a meter has on its disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Disk {
    /// What was written, the newest last.
    Written(Vec<Image>),
    /// Tables of which some came through and some did not.
    Torn,
}

/// The store beside a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    pub(super) source: Restored,
    pub(super) is_compared: bool,
}

/// What a meter knows of the partition, over its assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    pub(super) fold: Fold,
    pub(super) reached: Reached,
    pub(super) kept: Option<Kept>,
}

impl Memory {
    pub(super) const COLD: Self =
        Self { fold: Fold::NOTHING, reached: Reached { position: None, last: None }, kept: None };

    pub(super) fn is_warm(&self) -> bool {
        self.reached.position.is_some() && self.kept.is_none_or(|kept| kept.is_compared)
    }

    pub(super) fn source(&self) -> Restored {
        self.kept.map_or(Restored::Cold, |kept| kept.source)
    }
}

/// How a state is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Restoring {
    pub(super) warm: bool,
    /// Its store or a checkpoint may be used.
    pub(super) with_copies: bool,
}

/// A transaction under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Work {
    /// The inputs' next offsets before and after it.
    pub(super) from: [i64; 2],
    pub(super) until: [i64; 2],
    /// What it was decided on.
    pub(super) on: Fold,
    /// The next part of it.
    pub(super) part: usize,
    /// The coordinator knows its partitions.
    pub(super) is_added: bool,
    /// Behind the highest record that was acknowledged, aborted ones included.
    pub(super) acked: Option<i64>,
}

/// What a worker does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Idle,
    /// It has asked whether it may; the fence is on its way. `end`: the ledger's, where that was asked for before.
    Fencing {
        end: Option<i64>,
        /// It has ended a transaction, and does so once: it would go round for ever with one that begins the next.
        has_ended: bool,
    },
    /// Asks for the ledger's end.
    Ends {
        how: Restoring,
        end: Option<i64>,
    },
    /// Waits until no transaction is open before the end.
    Stable {
        how: Restoring,
        tail: Tail,
    },
    Folding {
        how: Restoring,
        tail: Tail,
    },
    /// Asks for the group's offset and the end of each input.
    Asking {
        question: u8,
        committed: Option<i64>,
        next: [i64; 2],
    },
    Taking {
        next: [i64; 2],
    },
    Working(Work),
    Aborting(Work),
    /// It stands still.
    Refused,
    /// Its process has left.
    Left,
}

/// A meter's process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Meter {
    pub(super) slot: SlotState,
    /// Its word to the group is of the running generation.
    pub(super) is_current: bool,
    /// It is going to ask the group again.
    pub(super) asks: bool,
    /// Another one has fenced since it did.
    pub(super) is_overtaken: bool,
    pub(super) step: Step,
    pub(super) memory: Memory,
    pub(super) disk: Disk,
}

impl Meter {
    pub(super) const fn new() -> Self {
        Self {
            slot: SlotState::new(),
            is_current: false,
            asks: false,
            is_overtaken: false,
            step: Step::Idle,
            memory: Memory::COLD,
            disk: Disk::Written(Vec::new()),
        }
    }

    /// Whether the assignment that it serves is still its own, as far as it has heard.
    pub(super) fn owns(&self) -> bool {
        self.slot.serving.is_some_and(|epoch| self.slot.is_owned(epoch))
    }

    /// What the group says reaches the process.
    pub(super) fn hear(&mut self, is_owner: bool) {
        self.slot.withdraw();
        if is_owner {
            self.slot.assign(self.slot.serving.unwrap_or_default() + 1);
        }
        self.is_current = true;
    }

    /// The worker lets go.
    pub(super) fn let_go(&mut self) {
        if let Some(epoch) = self.slot.serving {
            self.slot.done(epoch);
        }
        self.step = Step::Idle;
    }

    /// The disk takes what is in memory; `false`: it has it.
    pub(super) fn write(&mut self) -> bool {
        let Memory { fold, reached, kept: Some(_) } = self.memory else { return false };
        let (Some(next), Disk::Written(images)) = (reached.position, &mut self.disk) else { return false };
        let image = Image { fold, next, reached };
        let is_new = images.last() != Some(&image);
        if is_new {
            images.push(image);
            // One older than the newest is enough to be set back to.
            let first = images.len().saturating_sub(2);
            images.drain(..first);
        }
        is_new
    }

    /// Assignments are told apart, not counted.
    pub(super) fn rename_assignments(&mut self) {
        let is_owned = self.owns();
        let renamed = |number: Epoch| move |_: Epoch| number;
        self.slot.wanted = self.slot.wanted.map(renamed(if is_owned || self.slot.serving.is_none() { 1 } else { 2 }));
        self.slot.serving = self.slot.serving.map(renamed(1));
    }
}

/// How often each misfortune may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) handovers: u8,
    pub(super) crashes: u8,
    pub(super) aborts: u8,
    pub(super) timeouts: u8,
    pub(super) writes: u8,
    pub(super) checkpoints: u8,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// How many records of usage and commands there are.
    pub(super) ends: [u8; 2],
    pub(super) log: Log,
    /// To whom the group has given the partition.
    pub(super) owner: u8,
    pub(super) meters: Vec<Meter>,
    pub(super) checkpoint: Option<Image>,
    pub(super) left: Left,
    /// Something was committed by a meter after another one had fenced.
    pub(super) is_zombie_heard: bool,
}

impl World {
    pub(super) fn meter(&mut self, number: u8) -> &mut Meter {
        &mut self.meters[usize::from(number)]
    }

    /// A round of the group is over: only who has joined again knows of it.
    pub(super) fn new_generation(&mut self) {
        self.meters.iter_mut().for_each(|meter| meter.is_current = false);
    }

    /// The state that the committed ledger makes, up to an offset, exclusive.
    pub(super) fn committed(&self, library: &Library, until: i64) -> Fold {
        library.fold_all(self.log.decided().filter(|(offset, _)| *offset < until).map(|(_, payload)| payload))
    }
}
