//! What a worker does: the order of effects of the production loop, with its decisions made by the production code.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tollbooth_chassis::kafka::txn::TxnError;
use tollbooth_ledger::Defect;

use super::{
    bounds::Mistake,
    library::Question,
    log::{Answer, Fenced, Phase},
    model::{Handover, Seen},
    world::{Disk, Image, Kept, Memory, Restoring, Step, Work, World},
};
use crate::{
    metrics::Restored,
    store::{Bounds, StoreError},
    worker::{
        Remedy, WorkerError,
        restore::blame_on_copy,
        tail::{Meaning, Misfit, Tail},
        transaction::{Ending, Part},
    },
};

fn failed(code: RDKafkaErrorCode) -> KafkaError {
    KafkaError::Global(code)
}

fn fenced(_: Fenced) -> WorkerError {
    TxnError::Fenced(failed(RDKafkaErrorCode::ProducerFenced)).into()
}

impl Handover {
    /// An assignment is begun: whether it still stands is asked, and the fence is on its way.
    pub(super) fn begin(&self, world: &mut World, number: u8) -> bool {
        let end = self.bounds.is(Mistake::EndBeforeFence).then(|| world.log.end());
        let meter = world.meter(number);
        let is_wanted = meter.step == Step::Idle && meter.slot.begin().is_some();
        if is_wanted {
            meter.step = Step::Fencing { end, has_ended: false };
        }
        is_wanted
    }

    /// The next effect of a worker; `false`: it has none, or waits.
    pub(super) fn go(&self, world: &mut World, number: u8) -> bool {
        match world.meter(number).step.clone() {
            Step::Idle | Step::Refused | Step::Left => false,
            Step::Fencing { end, has_ended } => self.fence(world, number, end, has_ended),
            Step::Ends { how, end } => {
                let end = end.unwrap_or_else(|| world.log.end());
                self.open_copies(world, number, how, Bounds { low: 0, end });
                self.begin_tail(world, number, how, end);
                true
            }
            Step::Stable { how, tail } => {
                let is_stable = tail.is_stable(world.log.stable()) || self.bounds.is(Mistake::ReadsUncommitted);
                let meter = world.meter(number);
                if !meter.owns() {
                    self.leave(world, number);
                } else if is_stable {
                    meter.step = Step::Folding { how, tail };
                } else if Self::is_deserted(world) {
                    // It has waited for long enough; whose transaction it is, another fence may end it.
                    self.note(Seen::OpenTransaction);
                    let error = WorkerError::OpenTransaction { stable: world.log.stable(), end: tail.end() };
                    self.give_up(world, number, &error);
                } else {
                    return false;
                }
                true
            }
            Step::Folding { .. } => self.read(world, number, false),
            Step::Asking { question, committed, next } => {
                self.ask(world, number, (question, committed, next));
                true
            }
            Step::Taking { .. } => {
                let leaves = !world.meter(number).owns();
                if leaves {
                    self.leave(world, number);
                }
                leaves
            }
            Step::Working(work) => self.work(world, number, work),
            Step::Aborting(work) => self.abort(world, number, work),
        }
    }

    /// Whether nobody is going to end what is open. A wait outlasts every other transaction.
    fn is_deserted(world: &World) -> bool {
        let is_at_it = |by: u8| matches!(world.meters[usize::from(by)].step, Step::Working(_) | Step::Aborting(_));
        (0..world.log.ids()).any(|id| world.log.opened_by(id).is_some_and(|by| !is_at_it(by)))
    }

    fn fence(&self, world: &mut World, number: u8, end: Option<i64>, has_ended: bool) -> bool {
        let id = self.ids[usize::from(number)];
        let is_open = matches!(world.log.phase(id), Phase::Open(_));
        if is_open && has_ended && !Self::is_deserted(world) {
            return false;
        }
        if world.log.init(id, number) == Answer::Later {
            self.note(Seen::FenceWaits);
            world.meter(number).step = Step::Fencing { end, has_ended: true };
            return is_open;
        }
        world.meters.iter_mut().for_each(|meter| meter.is_overtaken = true);
        let meter = world.meter(number);
        meter.is_overtaken = false;
        if !meter.owns() {
            self.note(Seen::FencedLate);
        }
        meter.step = Step::Ends { how: Restoring { warm: meter.memory.is_warm(), with_copies: true }, end };
        true
    }

    /// For a meter that has nothing in memory: its store, else a checkpoint, else an empty store.
    fn open_copies(&self, world: &mut World, number: u8, how: Restoring, ledger: Bounds) {
        let checkpoint = world.checkpoint;
        let meter = world.meter(number);
        if !self.bounds.are_kept() || meter.memory.reached.position.is_some() {
            return;
        }
        let taken = |image: Image, source: Restored| {
            let kept = Some(Kept { source, is_compared: false });
            Memory { fold: image.fold, reached: image.reached, kept }
        };
        let is_fit = |image: &Image| self.library.check_copy(image.next, ledger).is_ok();
        meter.memory = Memory::COLD;
        if how.with_copies {
            match &meter.disk {
                Disk::Torn => self.note(Seen::Torn),
                Disk::Written(images) => {
                    if let Some(image) = images.last().filter(|image| is_fit(image)) {
                        meter.memory = taken(*image, Restored::Store);
                        return;
                    }
                }
            }
            meter.disk = Disk::Written(Vec::new());
            if let Some(image) = checkpoint.filter(is_fit) {
                meter.memory = taken(image, Restored::Checkpoint);
                meter.disk = Disk::Written(vec![image]);
                return;
            }
        }
        meter.disk = Disk::Written(Vec::new());
        meter.memory.kept = Some(Kept { source: Restored::Cold, is_compared: true });
    }

    fn begin_tail(&self, world: &mut World, number: u8, how: Restoring, end: i64) {
        let meter = world.meter(number);
        let is_copy = meter.memory.source() != Restored::Cold && !how.warm;
        if self.bounds.is(Mistake::SkipsTail) && is_copy {
            meter.memory.reached.position = Some(end);
            meter.step = Step::Asking { question: 0, committed: None, next: [0; 2] };
            return;
        }
        match Tail::new(meter.memory.reached, Bounds { low: 0, end }) {
            Ok(tail) => meter.step = Step::Stable { how, tail },
            Err(misfit) => self.restore_failed(world, number, how, &misfit.error("ledger")),
        }
    }

    /// Reads the ledger on: all that can be read, or no more than it must.
    pub(super) fn read(&self, world: &mut World, number: u8, is_short: bool) -> bool {
        let Step::Folding { how, tail } = world.meter(number).step else { return false };
        if !tail.is_read() && !world.meter(number).owns() {
            self.leave(world, number);
            return true;
        }
        let until = if is_short { tail.end() } else { i64::MAX };
        let folded = self.fold_on(world, number, how, tail, until);
        folded.unwrap_or_else(|error| self.restore_failed(world, number, how, &error));
        true
    }

    /// Folds what can be read up to an offset, exclusive.
    fn fold_on(
        &self,
        world: &mut World,
        number: u8,
        how: Restoring,
        mut tail: Tail,
        until: i64,
    ) -> Result<(), WorkerError> {
        let misfit = |misfit: Misfit| misfit.error("ledger");
        let is_committed = !self.bounds.is(Mistake::ReadsUncommitted);
        let (records, position) = world.log.read(tail.position(), until, is_committed);
        let meter = world.meter(number);
        if !tail.is_read() {
            for (offset, payload) in records {
                if tail.record(offset, &self.library.bytes(payload)).map_err(misfit)? == Meaning::New {
                    meter.memory.fold = self.library.fold(meter.memory.fold, payload);
                    meter.memory.reached.position = Some(offset + 1);
                    self.library.folded(meter.memory.fold).check()?;
                }
                meter.memory.reached.last = Some(self.library.last_record(offset, payload));
            }
            tail.read_to(position);
        }
        if !tail.is_read() {
            meter.step = Step::Folding { how, tail };
            return Ok(());
        }
        meter.memory.reached.position = Some(tail.finish().map_err(misfit)?);
        if let Some(kept) = &mut meter.memory.kept {
            kept.is_compared = true;
        }
        self.library.folded(meter.memory.fold).check()?;
        self.note(match meter.memory.source() {
            _ if how.warm => Seen::Warm,
            Restored::Store => Seen::FromStore,
            Restored::Checkpoint => Seen::FromCheckpoint,
            Restored::Cold | Restored::Warm => Seen::Cold,
        });
        meter.step = Step::Asking { question: 0, committed: None, next: [0; 2] };
        Ok(())
    }

    /// A copy that does not fit is given up, and the ledger folded from its begin.
    fn restore_failed(&self, world: &mut World, number: u8, how: Restoring, error: &WorkerError) {
        let meter = world.meter(number);
        let blame: Option<StoreError> =
            blame_on_copy(meter.memory.source(), how.warm, error).filter(|_| how.with_copies);
        if blame.is_none() {
            self.give_up(world, number, error);
            return;
        }
        (meter.memory, meter.disk) = (Memory::COLD, Disk::Written(Vec::new()));
        meter.step = Step::Ends { how: Restoring { with_copies: false, ..how }, end: None };
    }

    /// Of each input the group's offset first, then its end.
    fn ask(&self, world: &mut World, number: u8, (question, committed, mut next): (u8, Option<i64>, [i64; 2])) {
        let topic = usize::from(question / 2);
        let answer = world.log.offsets[topic].filter(|_| !self.bounds.is(Mistake::ForgetsGroup));
        let end = i64::from(world.ends[topic]);
        let meter = world.meter(number);
        // Where no further command comes, nothing can happen between the two.
        let is_one = topic == 1 && self.bounds.commands == 0;
        if question.is_multiple_of(2) && !is_one {
            meter.step = Step::Asking { question: question + 1, committed: answer, next };
            return;
        }
        let committed = if is_one { answer } else { committed };
        match self.library.next_offset(meter.memory.fold, topic, committed, end) {
            Ok(offset) => {
                next[topic] = offset;
                meter.step = match topic {
                    0 => Step::Asking { question: 2, committed: None, next },
                    _ => Step::Taking { next },
                };
            }
            Err(error) => self.give_up(world, number, &error),
        }
    }

    /// Records are taken for a transaction, and decided.
    pub(super) fn take(&self, world: &mut World, number: u8, until: [i64; 2]) -> bool {
        let meter = world.meter(number);
        let Step::Taking { next: from } = meter.step else { return false };
        if !meter.owns() {
            return false;
        }
        let work = Work { from, until, on: meter.memory.fold, part: 0, is_added: false, acked: None };
        self.decide(world, number, work);
        true
    }

    /// From the same records, on what is known now.
    fn decide(&self, world: &mut World, number: u8, work: Work) {
        let meter = world.meter(number);
        let work = Work { on: meter.memory.fold, part: 0, is_added: false, ..work };
        let decided = self.library.decide(question(work));
        if self.bounds.defect == Some(Defect::MergeBeforeCommit) {
            meter.memory.fold = decided.after;
        }
        meter.step = Step::Working(self.past_nothing(work));
    }

    /// Past parts that are no effect.
    fn past_nothing(&self, mut work: Work) -> Work {
        let decided = self.library.decide(question(work));
        let is_nothing = |part: &Part| match part {
            Part::Begin => true,
            Part::Records => decided.payload.is_none() && decided.dead == 0,
            Part::Offsets => self.bounds.is(Mistake::OffsetsOutside),
            Part::Commit => false,
        };
        while self.parts.get(work.part).is_some_and(is_nothing) {
            work.part += 1;
        }
        work
    }

    fn work(&self, world: &mut World, number: u8, work: Work) -> bool {
        match self.part(world, number, work) {
            Ok(Some(next)) => {
                let next = self.past_nothing(next);
                let is_last = next.part == self.parts.len() && !self.bounds.is(Mistake::OffsetsOutside);
                if is_last || next.part > self.parts.len() {
                    self.committed(world, number, next);
                } else {
                    world.meter(number).step = Step::Working(next);
                }
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.fail(world, number, work, &error);
                true
            }
        }
    }

    /// One effect of a transaction; `None`: it waits for the markers of the one before.
    fn part(&self, world: &mut World, number: u8, work: Work) -> Result<Option<Work>, WorkerError> {
        let (id, decided) = (self.ids[usize::from(number)], self.library.decide(question(work)));
        let next = Work { part: work.part + 1, ..work };
        let is_current = world.meter(number).is_current;
        let is_overtaken = world.meter(number).is_overtaken;
        let lost = || TxnError::GroupLost(failed(RDKafkaErrorCode::IllegalGeneration));
        let log = &mut world.log;
        match self.parts.get(work.part) {
            Some(Part::Records) if !work.is_added => {
                let answer = log.add_partitions(id, number, decided.payload.is_some(), decided.dead).map_err(fenced)?;
                let added = if decided.payload.is_some() { Work { is_added: true, ..work } } else { next };
                Ok((answer == Answer::Done).then_some(added))
            }
            Some(Part::Records) => {
                let payload = decided.payload.expect("something to append");
                let offset = log.append(id, number, payload).map_err(fenced)?;
                Ok(Some(Work { acked: Some(offset + 1), ..next }))
            }
            Some(Part::Offsets) => {
                let answer = log.add_offsets(id, number, is_current.then_some(decided.next)).map_err(fenced)?;
                match answer {
                    Answer::Done if !is_current => Err(lost().into()),
                    answer => Ok((answer == Answer::Done).then_some(next)),
                }
            }
            Some(Part::Commit) => {
                let is_something = matches!(log.phase(id), Phase::Open(_));
                let answer = log.end_transaction(id, number, true).map_err(fenced)?;
                world.is_zombie_heard |= is_something && is_overtaken;
                Ok((answer == Answer::Done).then_some(next))
            }
            Some(Part::Begin) => Ok(Some(next)),
            None if is_current => {
                log.commit_offsets(decided.next);
                Ok(Some(next))
            }
            None => Err(lost().into()),
        }
    }

    fn committed(&self, world: &mut World, number: u8, work: Work) {
        let decided = self.library.decide(question(work));
        if decided.dead != 0 {
            self.note(Seen::DeadLetter);
        }
        if decided.payload.is_none() && decided.dead == 0 {
            self.note(Seen::Duplicate);
        }
        let meter = world.meter(number);
        meter.memory.fold = decided.after;
        let last = decided.payload.map(|payload| crate::store::hash_of_record(&self.library.bytes(payload)));
        meter.memory.reached = meter.memory.reached.committed(work.acked, last);
        meter.step = Step::Taking { next: decided.next };
    }

    /// The broker asks for an abort.
    pub(super) fn strike(&self, world: &mut World, number: u8) -> bool {
        let Step::Working(work) = world.meter(number).step else { return false };
        let error = TxnError::Abortable(failed(RDKafkaErrorCode::RequestTimedOut)).into();
        self.fail(world, number, work, &error);
        true
    }

    fn abort(&self, world: &mut World, number: u8, work: Work) -> bool {
        let id = self.ids[usize::from(number)];
        match world.log.end_transaction(id, number, false) {
            Ok(Answer::Later) => return false,
            Ok(Answer::Done) if world.meter(number).owns() => self.decide(world, number, work),
            Ok(Answer::Done) => self.leave(world, number),
            Err(error) => self.fail(world, number, work, &fenced(error)),
        }
        true
    }

    /// A transaction has failed.
    fn fail(&self, world: &mut World, number: u8, work: Work, error: &WorkerError) {
        match error.ending() {
            Ending::Again => {
                self.note(Seen::Aborted);
                world.meter(number).step = Step::Aborting(work);
                return;
            }
            Ending::Aborted => {
                self.note(Seen::GroupLost);
                // Best effort: it may be fenced by now.
                world.log.end_transaction(self.ids[usize::from(number)], number, false).ok();
            }
            Ending::Left => self.note(Seen::Fenced),
        }
        self.give_up(world, number, error);
    }

    /// The partition cannot be served on.
    fn give_up(&self, world: &mut World, number: u8, error: &WorkerError) {
        let meter = world.meter(number);
        match error.remedy() {
            Remedy::Again if meter.owns() => meter.step = Step::Fencing { end: None, has_ended: false },
            Remedy::Again | Remedy::AskGroup => {
                meter.asks |= meter.owns();
                meter.let_go();
            }
            Remedy::Refuse => (meter.step, meter.memory) = (Step::Refused, Memory::COLD),
            Remedy::Leave => (meter.step, meter.memory) = (Step::Left, Memory::COLD),
        }
    }

    /// In order: what is in memory is written out.
    fn leave(&self, world: &mut World, number: u8) {
        let may_write = world.left.writes > 0;
        let meter = world.meter(number);
        if may_write && matches!(meter.step, Step::Taking { .. } | Step::Aborting(_)) && meter.write() {
            world.left.writes -= 1;
        }
        world.meter(number).let_go();
    }
}

const fn question(work: Work) -> Question {
    Question { on: work.on, from: work.from, until: work.until }
}
