//! The simulated world: one clock, one source of chance, the log, the group, and the processes with what befalls them.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::topics::TopicSet;

use super::{
    faults::{Effect, Fault, Faults, Kind, Side},
    group::{Group, MemberId},
    log::{Log, Place},
};
use crate::member::{Epoch, Slot};

/// The wall clock when a simulation begins: 2026-11-21T20:15:03Z.
pub(super) const BEGIN_MS: i64 = 1_795_292_103_000;
const TRACE_LINES_MAX: usize = 60;

/// What a run is made of; the same settings are the same run.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) seed: u64,
    /// How long the fleet works and things go wrong.
    pub(super) busy_ms: i64,
    pub(super) meters: usize,
    pub(super) partitions: i32,
    /// Kinds of faults that do not happen.
    pub(super) without: BTreeSet<Kind>,
}

impl Settings {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, busy_ms: 60_000, meters: 3, partitions: 2, without: BTreeSet::new() }
    }

    /// A world of little work in little time.
    pub(super) fn short(seed: u64) -> Self {
        Self { busy_ms: 8_000, ..Self::of(seed) }
    }
}

/// Which of the inputs is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Usage,
    Commands,
    Books,
}

/// A meter's process, over its lives.
#[derive(Debug)]
pub(super) struct Process {
    /// Counted up at each start.
    pub(super) life: u32,
    pub(super) is_alive: bool,
    /// When it is started again, where it is not.
    pub(super) back_ms: i64,
    /// It stands still until then.
    pub(super) frozen_ms: i64,
    /// How far its wall clock is off.
    pub(super) clock_ms: i64,
    pub(super) slots: Rc<Vec<Slot>>,
    /// Of each partition, the assignment it was given last.
    pub(super) epochs: Vec<Epoch>,
    /// Who it is to the group, as it believes: member and generation.
    pub(super) member: Option<(MemberId, u32)>,
    pub(super) asks_group: bool,
    /// By input: how late its records come, and until when that is so.
    late: [(i64, i64); 3],
    books_stale_ms: i64,
}

impl Process {
    fn new(partitions: i32) -> Self {
        Self {
            life: 0,
            is_alive: false,
            back_ms: 0,
            frozen_ms: 0,
            clock_ms: 0,
            slots: slots(partitions),
            epochs: vec![0; usize::try_from(partitions).expect("few")],
            member: None,
            asks_group: false,
            late: [(0, 0); 3],
            books_stale_ms: 0,
        }
    }
}

pub(super) fn slots(partitions: i32) -> Rc<Vec<Slot>> {
    Rc::new((0..partitions).map(|_| Slot::default()).collect())
}

/// Everything outside of the workers.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) topics: TopicSet,
    /// Since the begin.
    pub(super) now_ms: i64,
    begin: Instant,
    pub(super) chance: ChaCha8Rng,
    /// Nothing goes wrong any more.
    pub(super) is_quiet: bool,
    pub(super) faults: Faults,
    pub(super) log: Log,
    pub(super) group: Group,
    pub(super) processes: Vec<Process>,
    /// When each price book was published, and all that are known then.
    pub(super) books: Vec<(i64, PriceBooks)>,
    /// When the worker that is polled right now wants to be polled again.
    pub(super) wake_ms: i64,
    pub(super) effects: u64,
    /// A topic; whoever asks for its ends panics.
    pub(super) panics_at: Option<String>,
    /// What no worker may ever do.
    pub(super) outrage: Option<String>,
    pub(super) trace: VecDeque<String>,
}

pub(super) type Shared = Rc<RefCell<World>>;

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let topics = TopicSet { prefix: String::new(), partitions: settings.partitions };
        Self {
            topics,
            now_ms: 0,
            begin: Instant::now(),
            chance: ChaCha8Rng::seed_from_u64(settings.seed),
            is_quiet: false,
            faults: Faults::default(),
            log: Log::default(),
            group: Group::new(settings.partitions),
            processes: (0..settings.meters).map(|_| Process::new(settings.partitions)).collect(),
            books: Vec::new(),
            wake_ms: 0,
            effects: 0,
            panics_at: None,
            outrage: None,
            trace: VecDeque::new(),
            settings,
        }
    }

    pub(super) fn instant(&self) -> Instant {
        self.begin + std::time::Duration::from_millis(u64::try_from(self.now_ms).unwrap_or_default())
    }

    /// The broker's clock.
    pub(super) fn broker_ms(&self) -> i64 {
        BEGIN_MS + self.now_ms
    }

    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.chance.random_range(from..=to)
    }

    /// Whether a fault of the kind happens here.
    pub(super) fn strikes(&mut self, kind: Kind, probability: f64) -> bool {
        !self.is_quiet && !self.settings.without.contains(&kind) && self.chance.random_bool(probability)
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.trace.len() == TRACE_LINES_MAX {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>9.3} {}", self.now_ms as f64 / 1000.0, what()));
    }

    pub(super) fn fault(&mut self, process: usize, fault: Fault) {
        self.faults.note(fault);
        self.tell(|| format!("meter {process}: {fault}"));
    }

    pub(super) fn kill(&mut self, process: usize, back_after_ms: i64) {
        let back_ms = self.now_ms + back_after_ms;
        let dead = &mut self.processes[process];
        (dead.is_alive, dead.back_ms, dead.member, dead.frozen_ms) = (false, back_ms, None, 0);
    }

    /// A call is on its way, there or back: it may take long, and its process may die or stand still meanwhile.
    pub(super) fn travel(&mut self, process: usize, effect: Effect, side: Side) -> i64 {
        self.effects += 1;
        let is_idle = effect == Effect::Read;
        if self.strikes(Kind::Crash, if is_idle { 0.000_3 } else { 0.005 }) {
            self.fault(process, Fault::Crash(effect, side));
            let back_after_ms =
                if self.chance.random_bool(0.3) { self.between(11_000, 20_000) } else { self.between(100, 4_000) };
            self.kill(process, back_after_ms);
        } else if self.strikes(Kind::Freeze, if is_idle { 0.000_1 } else { 0.003 }) {
            let is_long = self.chance.random_bool(0.5);
            let (fault, for_ms) = if is_long {
                (Fault::Zombie, self.between(11_000, 25_000))
            } else {
                (Fault::Pause, self.between(200, 6_000))
            };
            self.fault(process, fault);
            self.processes[process].frozen_ms = self.now_ms + for_ms;
        }
        let latency_ms = if self.strikes(Kind::Slow, if is_idle { 0.000_5 } else { 0.006 }) {
            self.fault(process, Fault::Slow);
            self.between(500, 6_000)
        } else {
            self.between(if is_idle { 0 } else { 1 }, 5)
        };
        // Whoever is dead or stands still does not even go on within this instant.
        let is_hit = !self.processes[process].is_alive || self.processes[process].frozen_ms > self.now_ms;
        self.now_ms + latency_ms.max(i64::from(is_hit))
    }

    /// What goes wrong by itself, asked about every second.
    pub(super) fn misfortune(&mut self, process: usize) {
        if self.strikes(Kind::Late, 0.15) {
            let (input, fault) = [
                (Input::Usage, Fault::LateUsage),
                (Input::Commands, Fault::LateCommands),
                (Input::Books, Fault::LateBooks),
            ][self.chance.random_range(0..3_usize)];
            let (late_ms, until_ms) = (self.between(500, 8_000), self.now_ms + self.between(1_000, 10_000));
            self.processes[process].late[input as usize] = (late_ms, until_ms);
            self.fault(process, fault);
        }
        if self.strikes(Kind::Clock, 0.04) {
            let jump_ms = self.between(-3_600_000, 3_600_000);
            self.processes[process].clock_ms = jump_ms;
            self.fault(process, if jump_ms > 0 { Fault::Forward } else { Fault::Back });
        }
        if self.strikes(Kind::Books, 0.02) {
            self.processes[process].books_stale_ms = self.now_ms + self.between(500, 5_000);
            self.fault(process, Fault::BooksStale);
        }
    }

    /// Records that were appended until then have reached the process.
    pub(super) fn reached_ms(&self, process: usize, input: Input) -> i64 {
        let (late_ms, until_ms) = self.processes[process].late[input as usize];
        if self.now_ms < until_ms && !self.is_quiet { self.now_ms - late_ms } else { self.now_ms }
    }

    pub(super) fn are_books_stale(&self, process: usize) -> bool {
        !self.is_quiet && self.now_ms < self.processes[process].books_stale_ms
    }

    pub(super) fn place(&self, topic: &str, partition: i32) -> Place {
        (topic.into(), partition)
    }
}

/// Polled again at its time; never, where its process dies before.
pub(super) struct Until {
    pub(super) world: Shared,
    pub(super) until_ms: i64,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let mut world = self.world.borrow_mut();
        if world.now_ms >= self.until_ms {
            return Poll::Ready(());
        }
        world.wake_ms = self.until_ms;
        Poll::Pending
    }
}
