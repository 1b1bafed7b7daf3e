//! What can happen next, and what must be true of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use stateright::{Model, Property};

use super::{
    bounds::{Bounds, Input},
    library::{Folded, Library},
    log::{Log, Phase},
    world::{Disk, Left, Memory, Meter, Step, World},
};
use crate::worker::transaction::Part;

pub(super) const CHARGED_ONCE: &str = "an operation is charged once";
pub(super) const TOGETHER: &str = "offsets and entries are committed together";
pub(super) const ONE_CHAIN: &str = "the ledger is one chain";
pub(super) const FENCED: &str = "who was fenced commits nothing";
pub(super) const FOLD: &str = "a state is the fold of its ledger";
const SERVED: &str = "nobody refuses the partition or leaves";
const COMPLETE: &str = "nothing stands still before everything is charged";

const ALL_CHARGED: &str = "everything is charged";
const TWO_AT_WORK: &str = "two are inside a transaction";
const WARM_AGAIN: &str = "one comes back to a state that it has in memory";

/// A misfortune of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The process died, and the disk has what was written.
    Sound,
    /// The last write did not come through.
    SetBack,
    /// Some of it did.
    Torn,
    /// It is another machine.
    Gone,
}

/// A step of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A booth's report, or a command, reaches its topic.
    Append(usize),
    /// The group's word reaches a process.
    Hear(u8),
    /// A process asks the group again.
    AskGroup(u8),
    /// A worker begins to serve an assignment.
    Begin(u8),
    /// A worker goes on.
    Go(u8),
    /// A worker reads no more of the ledger than it must, where there is more.
    ReadShort(u8),
    /// A worker takes records up to these offsets of usage and commands.
    Take(u8, [i64; 2]),
    /// A transaction's marker reaches the ledger, or the group's offsets.
    MarkLedger(u8),
    MarkOffsets(u8),
    /// The state is written to the disk.
    Write(u8),
    /// What was written is the checkpoint from here on.
    Checkpoint(u8),
    /// The group gives the partition to another process, whatever the one before knows.
    HandOver(u8),
    /// A process dies, and is started again.
    Crash(u8, Fate),
    /// The broker asks a worker to abort.
    Abort(u8),
    /// The coordinator ends a transaction that was open for too long.
    Expire(u8),
}

impl Action {
    /// Whether the world stands still without it: neither chance nor a choice.
    const fn is_due(self) -> bool {
        !matches!(
            self,
            Self::Write(_)
                | Self::Checkpoint(_)
                | Self::HandOver(_)
                | Self::Crash(..)
                | Self::Abort(_)
                | Self::Expire(_)
        )
    }
}

/// What must happen somewhere, or nothing is proven by its going well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    CrashInTransaction,
    FenceWaits,
    FencedLate,
    Fenced,
    GroupLost,
    Aborted,
    Expired,
    OpenTransaction,
    DeadLetter,
    Duplicate,
    Cold,
    Warm,
    FromStore,
    FromCheckpoint,
    Torn,
}

impl Seen {
    pub(super) const ALL: [Self; 15] = [
        Self::CrashInTransaction,
        Self::FenceWaits,
        Self::FencedLate,
        Self::Fenced,
        Self::GroupLost,
        Self::Aborted,
        Self::Expired,
        Self::OpenTransaction,
        Self::DeadLetter,
        Self::Duplicate,
        Self::Cold,
        Self::Warm,
        Self::FromStore,
        Self::FromCheckpoint,
        Self::Torn,
    ];
}

/// The model: meters that hand one partition over.
pub(super) struct Handover {
    pub(super) bounds: Bounds,
    pub(super) library: Library,
    /// Each meter's transactional id.
    pub(super) ids: Vec<u8>,
    /// What a transaction consists of.
    pub(super) parts: &'static [Part],
    seen: [AtomicU64; Seen::ALL.len()],
}

impl Handover {
    /// What must be true somewhere.
    pub(super) const EXAMPLES: [&str; 3] = [ALL_CHARGED, TWO_AT_WORK, WARM_AGAIN];

    pub(super) fn new(bounds: Bounds) -> Self {
        let library = Library::new(&bounds);
        let (ids, parts) = (library.ids(), library.parts());
        Self { bounds, library, ids, parts, seen: Default::default() }
    }

    pub(super) fn note(&self, seen: Seen) {
        self.seen[seen as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each of them happened.
    pub(super) fn seen(&self) -> impl Iterator<Item = (Seen, u64)> {
        Seen::ALL.into_iter().map(|seen| (seen, self.seen[seen as usize].load(Ordering::Relaxed)))
    }

    fn ledger(&self, world: &World) -> Arc<Folded> {
        self.library.folded(world.committed(&self.library, i64::MAX))
    }

    fn inputs(&self) -> impl Iterator<Item = (i64, Input)> {
        (0..).zip(self.bounds.usage.iter().copied())
    }

    /// An input's record lies before the committed offset exactly if what it must come to is committed.
    fn are_offsets_and_entries_one(&self, world: &World) -> bool {
        let (folded, [usage, commands]) = (self.ledger(world), world.log.decided_offsets());
        let has = |bits: u8, offset: i64| bits & (1 << offset) != 0;
        let usage = self.inputs().all(|(offset, input)| {
            let is_consumed = usage.is_some_and(|next| offset < next);
            let (is_entry, is_dead) = (has(folded.sources[0], offset), has(world.log.dead, offset));
            match input {
                Input::Charge(_) => is_entry == is_consumed && !is_dead,
                Input::Again(_) => !is_entry && !is_dead,
                Input::Broken => is_dead == is_consumed && !is_entry,
            }
        });
        let commands = (0..=i64::from(self.bounds.commands))
            .all(|offset| has(folded.sources[1], offset) == commands.is_some_and(|next| offset < next));
        usage && commands && !world.log.is_dead_twice
    }

    /// Everything in memory and in every copy is what the committed ledger makes of it.
    fn are_states_folds(&self, world: &World) -> bool {
        let in_memory = world.meters.iter().map(|meter| (meter.memory.fold, meter.memory.reached.position));
        let written = world.meters.iter().flat_map(|meter| match &meter.disk {
            Disk::Written(images) => images.as_slice(),
            Disk::Torn => &[],
        });
        let copies = written.chain(&world.checkpoint).map(|image| (image.fold, Some(image.next)));
        in_memory.chain(copies).all(|(fold, position)| fold == world.committed(&self.library, position.unwrap_or(0)))
    }

    fn is_complete(&self, world: &World) -> bool {
        world.ends == self.bounds.ends()
            && world.log.decided_offsets() == self.bounds.ends().map(|end| Some(end.into()))
    }

    /// Nothing goes on by itself.
    fn is_still(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        self.actions(world, &mut actions);
        !actions.into_iter().any(|action| action.is_due() && self.next_state(world, action).is_some())
    }

    fn misfortunes(&self, world: &World, actions: &mut Vec<Action>) {
        let numbers = 0..self.bounds.meters;
        if world.left.handovers > 0 {
            actions.extend(numbers.clone().filter(|number| *number != world.owner).map(Action::HandOver));
        }
        for number in numbers {
            let meter = &world.meters[usize::from(number)];
            if world.left.crashes > 0 {
                actions.push(Action::Crash(number, Fate::Sound));
                if self.bounds.are_kept() && meter.disk != Disk::Written(Vec::new()) {
                    actions.extend([Fate::SetBack, Fate::Torn, Fate::Gone].map(|fate| Action::Crash(number, fate)));
                }
            }
            if world.left.aborts > 0 && matches!(meter.step, Step::Working(_)) {
                actions.push(Action::Abort(number));
            }
            if world.left.writes > 0 && matches!(meter.step, Step::Taking { .. }) {
                actions.push(Action::Write(number));
            }
            if world.left.checkpoints > 0 && matches!(&meter.disk, Disk::Written(images) if !images.is_empty()) {
                actions.push(Action::Checkpoint(number));
            }
        }
        if world.left.timeouts > 0 {
            actions.extend((0..world.log.ids()).map(Action::Expire));
        }
    }

    fn crash(&self, world: &mut World, number: u8, fate: Fate) {
        world.left.crashes -= 1;
        let is_open = matches!(world.log.phase(self.ids[usize::from(number)]), Phase::Open(_));
        let meter = world.meter(number);
        if is_open && matches!(meter.step, Step::Working(_)) {
            self.note(Seen::CrashInTransaction);
        }
        let disk = match (fate, std::mem::replace(&mut meter.disk, Disk::Torn)) {
            (Fate::SetBack, Disk::Written(mut images)) => {
                images.pop();
                Disk::Written(images)
            }
            (Fate::Torn, _) => Disk::Torn,
            (Fate::Gone, _) => Disk::Written(Vec::new()),
            (Fate::Sound | Fate::SetBack, disk) => disk,
        };
        *meter = Meter { disk, ..Meter::new() };
    }

    /// `false`: nothing has happened.
    fn act(&self, world: &mut World, action: Action) -> bool {
        match action {
            Action::Append(topic) => world.ends[topic] += 1,
            Action::Hear(number) => {
                let is_owner = world.owner == number;
                world.meter(number).hear(is_owner);
            }
            Action::AskGroup(number) => {
                if world.meter(number).is_current {
                    world.new_generation();
                }
                let is_owner = world.owner == number;
                let meter = world.meter(number);
                meter.asks = false;
                meter.hear(is_owner);
            }
            Action::Begin(number) => return self.begin(world, number),
            Action::Go(number) => return self.go(world, number),
            Action::ReadShort(number) => return self.read(world, number, true),
            Action::Take(number, until) => return self.take(world, number, until),
            Action::MarkLedger(id) => world.log.mark_ledger(id),
            Action::MarkOffsets(id) => world.log.mark_offsets(id),
            Action::Write(number) => {
                world.left.writes -= 1;
                return world.meter(number).write();
            }
            Action::Checkpoint(number) => {
                world.left.checkpoints -= 1;
                if let Disk::Written(images) = &world.meter(number).disk {
                    world.checkpoint = images.last().copied();
                }
            }
            Action::HandOver(to) => {
                world.left.handovers -= 1;
                world.owner = to;
                world.new_generation();
            }
            Action::Crash(number, fate) => self.crash(world, number, fate),
            Action::Abort(number) => {
                world.left.aborts -= 1;
                return self.strike(world, number);
            }
            Action::Expire(id) => {
                if !matches!(world.log.phase(id), Phase::Open(_)) {
                    return false;
                }
                self.note(Seen::Expired);
                world.left.timeouts -= 1;
                world.log.expire(id);
            }
        }
        true
    }
}

impl Model for Handover {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let opening = self.library.opening();
        let ids = self.ids.iter().max().map_or(1, |id| id + 1);
        let Bounds { handovers, crashes, aborts, timeouts, writes, checkpoints, .. } = self.bounds;
        let mut meters: Vec<Meter> = (0..self.bounds.meters).map(|_| Meter::new()).collect();
        (0..).zip(&mut meters).for_each(|(number, meter)| meter.hear(number == 0));
        vec![World {
            ends: [self.bounds.there, 1],
            log: Log::new(opening, ids),
            owner: 0,
            meters,
            checkpoint: None,
            left: Left { handovers, crashes, aborts, timeouts, writes, checkpoints },
            is_zombie_heard: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let may_come = (0..2).filter(|topic| world.ends[*topic] < self.bounds.ends()[*topic]);
        actions.extend(may_come.map(Action::Append));
        for number in 0..self.bounds.meters {
            let meter = &world.meters[usize::from(number)];
            if !meter.is_current {
                actions.push(Action::Hear(number));
            }
            if meter.asks {
                actions.push(Action::AskGroup(number));
            }
            match &meter.step {
                Step::Idle => actions.push(Action::Begin(number)),
                Step::Taking { next } if meter.owns() => {
                    let [usage, commands] = [0, 1].map(|topic| next[topic]..=i64::from(world.ends[topic]));
                    let all = usage.flat_map(|usage| commands.clone().map(move |commands| [usage, commands]));
                    actions.extend(all.filter(|until| until != next).map(|until| Action::Take(number, until)));
                }
                Step::Folding { tail, .. } => {
                    actions.push(Action::Go(number));
                    actions.extend((world.log.stable() > tail.end()).then_some(Action::ReadShort(number)));
                }
                _ => actions.push(Action::Go(number)),
            }
        }
        for id in 0..world.log.ids() {
            if let Phase::Ending { ledger_due, offsets_due, .. } = world.log.phase(id) {
                actions.extend(ledger_due.then_some(Action::MarkLedger(id)));
                actions.extend(offsets_due.then_some(Action::MarkOffsets(id)));
            }
        }
        self.misfortunes(world, actions);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let has_happened = self.act(&mut world, action);
        world.meters.iter_mut().for_each(Meter::rename_assignments);
        has_happened.then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(CHARGED_ONCE, |model: &Self, world: &World| !model.ledger(world).is_doubled),
            Property::always(TOGETHER, |model: &Self, world: &World| model.are_offsets_and_entries_one(world)),
            Property::always(ONE_CHAIN, |model: &Self, world: &World| model.ledger(world).is_sound()),
            Property::always(FENCED, |_: &Self, world: &World| !world.is_zombie_heard),
            Property::always(FOLD, |model: &Self, world: &World| model.are_states_folds(world)),
            Property::always(SERVED, |_: &Self, world: &World| {
                !world.meters.iter().any(|meter| matches!(meter.step, Step::Refused | Step::Left))
            }),
            Property::always(COMPLETE, |model: &Self, world: &World| {
                model.is_complete(world) || !model.is_still(world)
            }),
            Property::sometimes(ALL_CHARGED, |model: &Self, world: &World| model.is_complete(world)),
            Property::sometimes(TWO_AT_WORK, |_: &Self, world: &World| {
                world.meters.iter().filter(|meter| matches!(meter.step, Step::Working(_))).count() > 1
            }),
            Property::sometimes(WARM_AGAIN, |_: &Self, world: &World| {
                world.meters.iter().any(|meter| {
                    meter.step == Step::Idle && meter.memory != Memory::COLD && meter.slot.wanted.is_some()
                })
            }),
        ]
    }
}
