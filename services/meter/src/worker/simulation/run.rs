//! Runs a simulation: whoever's time is next goes on, until everything is done.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Waker},
    time::Instant,
};

use tollbooth_chassis::ops::Health;
use tollbooth_chassis::traces::Traces;
use tollbooth_ledger::{Limits, State};
use tollbooth_schemas::v1::LedgerRecord;

use prost::Message as _;

use super::{
    ends::Ends,
    faults::{Fault, Faults, Kind},
    fleet::{self, Act},
    group::{Heard, MemberId},
    oracle::{self, Broken, Violation},
    world::{Settings, Shared, World, slots},
};
use crate::{
    config::BatchConfig,
    metrics::Metrics,
    worker::{Context, StateMemory, Worker},
};

/// Between two looks of a member at its group.
const POLL_MS: i64 = 200;
/// How long a member waits for its workers to let go.
const REVOKE_MS: i64 = 30_000;
/// Between two looks of coordinators and of misfortune.
const LOOK_MS: i64 = 1_000;
/// Without faults, everything is over by then or never.
const SETTLE_MS: i64 = 240_000;
/// So long the workers of a process that stood still go on before it hears of the group.
const ZOMBIE_MS: i64 = 500;
/// Nothing is written for so long: nothing will be.
const STILL_MS: i64 = 25_000;
/// Holds that were placed last have expired by then.
const QUIET_MS: i64 = 9_000;

/// Where a process's membership stands.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Serving(MemberId),
    Revoking { known: Option<MemberId>, until_ms: i64 },
    Joining(Option<MemberId>),
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    wake_ms: i64,
    epoch: u64,
}

/// A meter: its member and the workers of its partitions.
struct Meter {
    context: Option<Arc<Context<Ends>>>,
    phase: Phase,
    poll_ms: i64,
    tasks: Vec<Option<Task>>,
}

/// How a run went.
pub(super) struct Outcome {
    pub(super) violations: Vec<Violation>,
    pub(super) faults: Faults,
    pub(super) simulated_ms: i64,
    pub(super) effects: u64,
    pub(super) trace: Vec<String>,
}

struct Simulation<'m> {
    world: Shared,
    metrics: &'m Metrics,
    meters: Vec<Meter>,
    linger_ms: u64,
    acts: std::vec::IntoIter<(i64, Act)>,
    next_act: Option<(i64, Act)>,
    look_ms: i64,
    /// Sum of what was written, and since when it has been that.
    written: (i64, i64),
}

/// Who goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Act,
    Look,
    Start(usize),
    Member(usize),
    Worker(usize, usize),
}

pub(super) fn run(settings: Settings, metrics: &Metrics) -> Outcome {
    let partitions = usize::try_from(settings.partitions).expect("few");
    let mut world = World::new(settings);
    let acts = fleet::plan(&mut world);
    let linger_ms = [30, 100, 400][usize::try_from(world.between(0, 2)).expect("small")];
    let meters = (0..world.settings.meters)
        .map(|_| Meter {
            context: None,
            phase: Phase::Joining(None),
            poll_ms: 0,
            tasks: (0..partitions).map(|_| None).collect(),
        })
        .collect();
    let mut acts = acts.into_iter();
    let next_act = acts.next();
    let mut simulation = Simulation {
        world: Rc::new(world.into()),
        metrics,
        meters,
        linger_ms,
        acts,
        next_act,
        look_ms: 0,
        written: (-1, 0),
    };
    simulation.run()
}

impl Simulation<'_> {
    fn run(&mut self) -> Outcome {
        let mut stuck = None;
        while !self.is_over() {
            let (at_ms, turn) = self.next();
            {
                let mut world = self.world.borrow_mut();
                world.now_ms = world.now_ms.max(at_ms);
                world.is_quiet = world.now_ms > world.settings.busy_ms;
                if world.now_ms > world.settings.busy_ms + SETTLE_MS {
                    stuck = Some("not over long after everything was fine".to_owned());
                    break;
                }
            }
            match turn {
                Turn::Act => self.act(),
                Turn::Look => self.look(),
                Turn::Start(meter) => self.start(meter),
                Turn::Member(meter) => self.member(meter),
                Turn::Worker(meter, partition) => self.worker(meter, partition),
            }
        }
        let mut violations = Vec::new();
        let outrage = self.world.borrow().outrage.clone();
        violations.extend(outrage.map(|what| {
            let what = format!("{what}: {}", self.refusals().join("; "));
            Violation { broken: Broken::Outrage, what }
        }));
        violations.extend(stuck.map(|what| Violation { broken: Broken::Stuck, what }));
        violations.extend(oracle::examine(&self.world.borrow()));
        if violations.is_empty() {
            violations.extend(self.compare_states());
        }
        let world = self.world.borrow();
        Outcome {
            violations,
            faults: world.faults.clone(),
            simulated_ms: world.now_ms,
            effects: world.effects,
            trace: world.trace.iter().cloned().collect(),
        }
    }

    /// Why partitions are not served, as `/readyz` says it.
    fn refusals(&self) -> Vec<String> {
        let reports =
            self.meters.iter().filter_map(|meter| meter.context.as_ref()).map(|context| context.health.readiness());
        let reasons = reports.flat_map(|report| report.components.into_values());
        reasons.filter(|why| why.starts_with("refused")).collect()
    }

    /// Everything is done, or nothing will be.
    fn is_over(&self) -> bool {
        let world = self.world.borrow();
        if world.outrage.is_some() {
            return true;
        }
        let is_whole = world.processes.iter().all(|process| process.is_alive && process.frozen_ms <= world.now_ms);
        if self.next_act.is_some() || !world.is_quiet || !is_whole {
            return false;
        }
        let is_still = world.now_ms - self.written.1 > STILL_MS;
        is_still || (world.now_ms > world.settings.busy_ms + QUIET_MS && is_done(&world))
    }

    fn next(&self) -> (i64, Turn) {
        let world = self.world.borrow();
        let mut next = (self.look_ms, Turn::Look);
        let mut consider = |at_ms: i64, turn: Turn| next = next.min((at_ms.max(world.now_ms), turn));
        if let Some((at_ms, _)) = &self.next_act {
            consider(*at_ms, Turn::Act);
        }
        for (number, (meter, process)) in self.meters.iter().zip(&world.processes).enumerate() {
            if !process.is_alive {
                consider(process.back_ms, Turn::Start(number));
                continue;
            }
            // After its workers: a process that wakes up does not know yet that it was dropped.
            consider(meter.poll_ms.max(process.frozen_ms + ZOMBIE_MS), Turn::Member(number));
            for (partition, task) in meter.tasks.iter().enumerate() {
                if let Some(task) = task {
                    consider(task.wake_ms.max(process.frozen_ms), Turn::Worker(number, partition));
                }
            }
        }
        next
    }

    fn act(&mut self) {
        let Some((_, act)) = std::mem::replace(&mut self.next_act, self.acts.next()) else { return };
        let world = &mut *self.world.borrow_mut();
        match act {
            Act::Append(place, record) => {
                let offset = world.log.append(&place, *record, world.now_ms);
                world.tell(|| format!("{}-{} takes {offset}", place.0, place.1));
            }
            Act::Publish(books) => world.books.push((world.now_ms, books)),
        }
    }

    fn look(&mut self) {
        let world = &mut *self.world.borrow_mut();
        self.look_ms = world.now_ms + LOOK_MS;
        for _ in 0..world.log.expire(world.now_ms) {
            world.faults.note(Fault::TimedOut);
        }
        for _ in 0..world.group.settle(world.now_ms) {
            world.faults.note(Fault::Expired);
        }
        for process in 0..world.processes.len() {
            if world.processes[process].is_alive {
                world.misfortune(process);
            }
        }
        let written = (0..world.settings.partitions)
            .map(|partition| world.log.end(&world.place(&world.topics.ledger(), partition)));
        let written = written.sum::<i64>() + world.log.end(&world.place(&world.topics.replies(), 0));
        if written != self.written.0 {
            self.written = (written, world.now_ms);
        }
    }

    fn start(&mut self, number: usize) {
        let mut world = self.world.borrow_mut();
        let partitions = world.settings.partitions;
        let process = &mut world.processes[number];
        (process.is_alive, process.slots, process.asks_group) = (true, slots(partitions), false);
        process.life += 1;
        let meter = &mut self.meters[number];
        (meter.phase, meter.poll_ms) = (Phase::Joining(None), world.now_ms);
        drop(world);
        meter.context = Some(context(&self.world, number, self.linger_ms, self.metrics));
    }

    /// What the group's consumer and its call-backs do.
    fn member(&mut self, number: usize) {
        let world = &mut *self.world.borrow_mut();
        let meter = &mut self.meters[number];
        meter.poll_ms = world.now_ms + POLL_MS + world.between(0, POLL_MS);
        let until_ms = world.now_ms + REVOKE_MS;
        match meter.phase {
            Phase::Serving(id) => {
                let leaves = world.strikes(Kind::Group, 0.002);
                if leaves {
                    world.fault(number, Fault::Left);
                }
                let known = if leaves || std::mem::take(&mut world.processes[number].asks_group) {
                    world.group.leave(number, id, world.now_ms);
                    None
                } else {
                    match world.group.heartbeat(number, id, world.now_ms) {
                        Heard::Fine => return,
                        Heard::Rebalancing => Some(id),
                        Heard::Unknown => None,
                    }
                };
                world.processes[number].slots.iter().for_each(|slot| slot.withdraw());
                world.tell(|| format!("meter {number}: revoked"));
                meter.phase = Phase::Revoking { known, until_ms };
            }
            Phase::Revoking { known, until_ms } => {
                if let Some(id) = known {
                    world.group.heartbeat(number, id, world.now_ms);
                }
                let slots = Rc::clone(&world.processes[number].slots);
                let is_released = slots.iter().all(|slot| slot.wait_released(Instant::now()));
                if is_released || world.now_ms > until_ms {
                    meter.phase = Phase::Joining(known);
                }
            }
            Phase::Joining(known) => {
                let id = world.group.join(number, known, world.now_ms);
                meter.phase = Phase::Joining(Some(id));
                let Some(assignment) = world.group.assignment(number, id) else { return };
                meter.phase = Phase::Serving(id);
                world.tell(|| format!("meter {number}: assigned {:?}", assignment.partitions));
                let process = &mut world.processes[number];
                process.member = Some((id, assignment.generation));
                for partition in assignment.partitions {
                    let index = usize::try_from(partition).expect("a partition");
                    process.epochs[index] += 1;
                    process.slots[index].assign(process.epochs[index]);
                }
                begin_wanted(&mut meter.tasks, meter.context.as_ref(), process, world.now_ms);
            }
        }
    }

    fn worker(&mut self, number: usize, partition: usize) {
        let meter = &mut self.meters[number];
        let Some(task) = &mut meter.tasks[partition] else { return };
        self.world.borrow_mut().wake_ms = i64::MAX;
        let polled = task.future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
        let world = self.world.borrow();
        let process = &world.processes[number];
        if !process.is_alive {
            // With everything that it had in memory.
            let tasks: Vec<_> = meter.tasks.iter_mut().map(Option::take).collect();
            let context = meter.context.take();
            drop(world);
            drop((tasks, context));
            return;
        }
        task.wake_ms = world.wake_ms;
        if polled.is_ready() {
            process.slots[partition].done(task.epoch);
            let _ended = meter.tasks[partition].take();
            let (now_ms, process) = (world.now_ms, &world.processes[number]);
            begin_wanted(&mut meter.tasks, meter.context.as_ref(), process, now_ms);
        }
    }

    /// What meters have in memory is the fold of their ledger.
    fn compare_states(&mut self) -> Vec<Violation> {
        let partitions = self.world.borrow().settings.partitions;
        for process in &self.world.borrow().processes {
            process.slots.iter().for_each(|slot| slot.withdraw());
        }
        let is_serving = |meter: &Meter| meter.tasks.iter().any(Option::is_some);
        while self.meters.iter().any(is_serving) {
            let (at_ms, turn) = self.next();
            let now_ms = self.world.borrow().now_ms.max(at_ms);
            self.world.borrow_mut().now_ms = now_ms;
            match turn {
                Turn::Worker(meter, partition) => self.worker(meter, partition),
                Turn::Member(meter) => self.meters[meter].poll_ms = i64::MAX,
                _ => self.look_ms = i64::MAX,
            }
        }
        let (world, mut found) = (self.world.borrow(), Vec::new());
        for (number, meter) in self.meters.iter().enumerate() {
            for partition in 0..partitions {
                let Some(warm) = meter.context.as_ref().and_then(|context| context.memory.take(partition)) else {
                    continue;
                };
                let Some(position) = warm.ledger_position else { continue };
                let mut state = State::new(&limits());
                let ledger = world.log.all(&world.place(&world.topics.ledger(), partition));
                for (_, stored) in ledger.iter().filter(|(offset, _)| *offset < position) {
                    let record = LedgerRecord::decode(stored.payload.as_slice()).expect("a ledger record");
                    if let Err(error) = state.fold(&record) {
                        found.push(Violation { broken: Broken::State, what: error.to_string() });
                    }
                }
                state.drop_expired();
                if state != warm.state || state.audit().is_err() {
                    let what = format!("meter {number} has another state of partition {partition} than its ledger");
                    found.push(Violation { broken: Broken::State, what });
                }
            }
        }
        found
    }
}

/// A process's, without anything in memory.
#[allow(clippy::arc_with_non_send_sync)] // One thread; a worker keeps its context in an `Arc`.
pub(super) fn context(world: &Shared, process: usize, linger_ms: u64, metrics: &Metrics) -> Arc<Context<Ends>> {
    let topics = world.borrow().topics.clone();
    Arc::new(Context {
        limits: limits(),
        batch: BatchConfig { linger_ms, usage_records_max: 20, ..BatchConfig::default() },
        input_generation: 0,
        memory: StateMemory::new(topics.partitions, 1 << 30),
        topics,
        store: None,
        checkpoints: None,
        metrics: metrics.clone(),
        traces: Traces::default(),
        health: Health::new(),
        outside: Ends { world: Rc::clone(world), process },
    })
}

/// Starts the workers that are wanted and do not run.
fn begin_wanted(
    tasks: &mut [Option<Task>],
    context: Option<&Arc<Context<Ends>>>,
    process: &super::world::Process,
    now_ms: i64,
) {
    let Some(context) = context else { return };
    for (partition, task) in tasks.iter_mut().enumerate() {
        let (slot, epoch) = (&process.slots[partition], process.epochs[partition]);
        if task.is_none() && slot.owned(epoch) && slot.next() == Some(epoch) {
            let number = i32::try_from(partition).expect("a partition");
            let mut worker = Worker::new(Arc::clone(context), number);
            let future = Box::pin(async move { worker.serve_assignment(epoch).await });
            *task = Some(Task { future, wake_ms: now_ms, epoch });
        }
    }
}

fn limits() -> Limits {
    Limits::from_days(35, 3_600_000, 90).expect("limits")
}

fn is_done(world: &World) -> bool {
    (0..world.settings.partitions).all(|partition| {
        [world.topics.usage(), world.topics.commands()].iter().all(|topic| {
            let place = world.place(topic, partition);
            world.log.committed_offset(&place).unwrap_or_default() == world.log.end(&place)
        })
    })
}
