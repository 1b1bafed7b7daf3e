//! Three brokers: each is lost and rolled while a fleet works; afterwards the same books as after any crash test.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tollbooth_local::Kafka;

use super::fleet::{Fleet, FleetOptions};
use super::summary::Summary;
use super::{Form, audit, beside, settle, tell};
use crate::stack::{Stack, StackOptions};

/// Nodes of the cluster, copies of every record.
pub const BROKERS: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const IN_SYNC: Duration = Duration::from_secs(90);
/// A broker that is gone is missed by the others.
const DOWN: Duration = Duration::from_secs(5);
const POSTS: &str = "tollbooth_ledger_posts_total";

/// What is done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// SIGKILL of a broker that is not the active controller.
    KillBroker,
    /// SIGKILL of the active controller.
    KillController,
    /// Every broker in turn: told to end, started again, back in sync.
    Roll,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::KillBroker => "kill a broker",
            Self::KillController => "kill the controller",
            Self::Roll => "roll all brokers",
        }
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// As after any crash test.
    pub summary: Summary,
    /// The longest time without a posting during each act.
    pub stalls: BTreeMap<Act, Duration>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (act, stall) in &self.stalls {
            writeln!(f, "  longest time without a posting, {:<20}{:>8.1} s", act.name(), stall.as_secs_f64())?;
        }
        self.summary.fmt(f)
    }
}

/// Runs it: every act once, or three times in the long form.
///
/// # Errors
/// When the test itself cannot be carried out.
pub fn run(form: Form, fleet: &FleetOptions) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let stack = Stack::prepare(&StackOptions { name: "cluster", kafka_heap_mb: 320, stores: [false; 2] }, BROKERS)?;
    stack.run()?;
    let outcome = play(&stack, form, fleet, started);
    if !matches!(&outcome, Ok(outcome) if outcome.summary.is_clean()) {
        tell(&stack.logs());
        stack.keep();
    }
    outcome
}

fn play(stack: &Stack, form: Form, options: &FleetOptions, started: Instant) -> anyhow::Result<Outcome> {
    let fleet = Fleet::set_up(stack, options)?;
    fleet.start()?;
    fleet.wait_at_work(stack)?;
    let summary = Summary { seed: options.seed, rate_wanted: options.rate, ..Summary::default() };
    let mut outcome = Outcome { summary, ..Outcome::default() };
    let rounds = if form == Form::Short { 1 } else { 3 };
    let stalls = Stalls::default();
    let ((), ends) = stack.managed(|| {
        let (watched, done) = beside(|over| stalls.watch(stack, over), || wreak(stack, &fleet, &stalls, rounds));
        for error in [watched.err(), done.err()].into_iter().flatten() {
            outcome.summary.finding(&error);
        }
        tell("the brokers are whole again; the fleet drains");
        settle(stack, &fleet, &mut outcome.summary)
    })?;
    outcome.stalls = stalls.take();
    outcome.summary.left_by_themselves = ends;
    audit(stack, &fleet, &mut outcome.summary)?;
    outcome.summary.elapsed = started.elapsed();
    Ok(outcome)
}

fn wreak(stack: &Stack, fleet: &Fleet<'_>, stalls: &Stalls, rounds: usize) -> anyhow::Result<()> {
    for act in [Act::KillBroker, Act::KillController, Act::Roll].repeat(rounds) {
        let began = Instant::now();
        wait_in_sync(stack)?;
        ensure!(fleet.is_running(), "the fleet has ended by itself\n{}", fleet.log_tail());
        stalls.begin(act);
        match act {
            Act::KillBroker | Act::KillController => {
                let controller = controller(stack)?;
                let index = if act == Act::KillController { controller } else { (controller + 1) % BROKERS };
                let broker = brokers(stack).nth(index).context("no such broker")?;
                broker.kill()?;
                thread::sleep(DOWN);
                broker.restart()?;
                wait_in_sync(stack)?;
            }
            Act::Roll => {
                for broker in brokers(stack) {
                    broker.stop()?;
                    broker.restart()?;
                    wait_in_sync(stack)?;
                }
            }
        }
        tell(&format!("{} ({:.1} s)", act.name(), began.elapsed().as_secs_f32()));
    }
    Ok(())
}

fn brokers(stack: &Stack) -> impl Iterator<Item = &Kafka> {
    std::iter::once(&stack.kafka).chain(&stack.others)
}

/// Index of the active controller.
fn controller(stack: &Stack) -> anyhow::Result<usize> {
    let known = stack.wait("an active controller", IN_SYNC, || stack.kafka.controller().ok().flatten())?;
    known.checked_sub(1).context("nodes are counted from 1")
}

fn wait_in_sync(stack: &Stack) -> anyhow::Result<()> {
    let in_sync = || stack.log.is_in_sync(BROKERS).ok()?.then_some(());
    stack.wait("every partition to have all its copies", IN_SYNC, in_sync)
}

/// The longest time without a posting, by the act that was under way when it ended.
#[derive(Debug, Default)]
struct Stalls {
    act: Mutex<Option<Act>>,
    longest: Mutex<BTreeMap<Act, Duration>>,
}

impl Stalls {
    fn begin(&self, act: Act) {
        *crate::stack::lock(&self.act) = Some(act);
    }

    fn watch(&self, stack: &Stack, over: &dyn Fn() -> bool) -> anyhow::Result<()> {
        let (mut before, mut moved) = (0.0, Instant::now());
        while !over() {
            let posted = stack.meters.iter().filter_map(|meter| stack.metric(meter, POSTS)).sum::<f64>();
            // Less where a meter was started again or does not answer: nothing is known then.
            if posted > before {
                let stall = moved.elapsed();
                moved = Instant::now();
                if let Some(act) = *crate::stack::lock(&self.act) {
                    let mut longest = crate::stack::lock(&self.longest);
                    let known = longest.entry(act).or_default();
                    *known = stall.max(*known);
                }
            }
            before = posted;
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn take(self) -> BTreeMap<Act, Duration> {
        self.longest.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
