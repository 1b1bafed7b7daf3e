//! Three brokers, each of which is lost while a fleet works, and one more while the books are audited.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use tollbooth_local::Kafka;

use super::fleet::{Fleet, FleetOptions};
use super::summary::Summary;
use super::{Form, audit_beside, settle, tell};
use crate::kafka::Duties;
use crate::stack::{Stack, StackOptions};

/// Nodes of the cluster, copies of every record.
pub const BROKERS: usize = 3;
const IN_SYNC: Duration = Duration::from_secs(90);
/// A broker that is gone is missed by the others: longer than its session.
const DOWN: Duration = Duration::from_secs(4);

/// A partition's last record before a broker is killed may be that much older.
const BEFORE_MS: i64 = 1_000;

/// What is done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL of a broker, by its index; it comes back.
    Kill(usize),
    /// SIGKILL of whatever broker leads most of the ledger.
    KillLeader,
    /// SIGKILL of whatever broker is the active controller.
    KillController,
    /// Every broker in turn: told to end, started again, back in sync.
    Roll,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(index) => write!(f, "kill broker {}", index + 1),
            Self::KillLeader => f.write_str("kill the main leader"),
            Self::KillController => f.write_str("kill the controller"),
            Self::Roll => f.write_str("roll all brokers"),
        }
    }
}

/// An act that was done.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub act: Act,
    /// What the broker did that was killed; of a roll the first one's.
    pub duties: Duties,
    /// When it began, milliseconds since the epoch.
    pub begun_at_ms: i64,
    /// The longest time without a posting in one partition of the ledger, up to the next act's begin.
    pub stall: Duration,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// As after any crash test.
    pub summary: Summary,
    /// What was done, in order.
    pub done: Vec<Done>,
    /// The longest time without a posting in one partition, before anything was done.
    pub stall_before: Duration,
    /// What the broker did that was killed under the audit's eyes.
    pub audited_without: Duties,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.stall_before.as_secs_f64();
        writeln!(f, "  longest time without a posting in a partition: {before:.1} s before any act")?;
        for Done { act, duties, stall, .. } in &self.done {
            let act = act.to_string();
            writeln!(f, "    {act:<22}{:>6.1} s   {duties}", stall.as_secs_f64())?;
        }
        writeln!(f, "  the audit ran while a broker was lost, {}", self.audited_without)?;
        self.summary.fmt(f)
    }
}

/// Runs it: in the short form one broker is killed, in the long one each, then the controller, and all are rolled.
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
    let at_work_at_ms = now_ms()?;
    let summary = Summary { seed: options.seed, rate_wanted: options.rate, ..Summary::default() };
    let mut outcome = Outcome { summary, ..Outcome::default() };
    let ((), ends) = stack.managed(|| {
        if let Err(error) = wreak(stack, &fleet, &acts(form), &mut outcome.done) {
            outcome.summary.finding(&error);
        }
        tell("the brokers are whole again; the fleet drains");
        let drained_from_ms = now_ms()?;
        settle(stack, &fleet, &mut outcome.summary)?;
        outcome.measure(stack, at_work_at_ms, drained_from_ms)
    })?;
    outcome.summary.left_by_themselves = ends;
    outcome.audit(stack, &fleet)?;
    outcome.summary.elapsed = started.elapsed();
    Ok(outcome)
}

fn acts(form: Form) -> Vec<Act> {
    if form == Form::Short {
        return vec![Act::KillLeader];
    }
    (0..BROKERS).map(Act::Kill).chain([Act::KillController, Act::Roll]).collect()
}

/// The broker that leads most of the ledger, and what it does.
fn main_leader(stack: &Stack) -> anyhow::Result<(usize, Duties)> {
    let all = (0..BROKERS).map(|index| Ok((index, stack.log.duties(index)?))).collect::<anyhow::Result<Vec<_>>>()?;
    all.into_iter().max_by_key(|(_, duties)| (duties.leads, duties.coordinates)).context("no broker")
}

impl Outcome {
    /// The stalls, from when the ledger's records were written. A partition that has not come to its end stands still to
    /// this day.
    fn measure(&mut self, stack: &Stack, from_ms: i64, to_ms: i64) -> anyhow::Result<()> {
        let mut written = stack.log.ledger_written()?;
        let lags = stack.log.meter_lags(&stack.meter_group())?;
        for (times, _) in written.iter_mut().zip(lags).filter(|(_, lag)| *lag > 0) {
            times.push(now_ms()?);
        }
        // By when it began: a stall is of the act that it follows.
        let longest = |from_ms, to_ms| {
            let gaps = written.iter().flat_map(|times| times.windows(2));
            let felt = gaps.filter_map(|pair| match pair {
                [before, after] if (from_ms..to_ms).contains(before) => u64::try_from(after - before).ok(),
                _ => None,
            });
            Duration::from_millis(felt.max().unwrap_or_default())
        };
        // What was produced just before a kill was not committed before it.
        let begins: Vec<i64> = self.done.iter().map(|done| done.begun_at_ms - BEFORE_MS).chain([to_ms]).collect();
        self.stall_before = begins.first().map(|first| longest(from_ms, *first)).unwrap_or_default();
        for (done, pair) in self.done.iter_mut().zip(begins.windows(2)) {
            if let [from_ms, to_ms] = pair {
                done.stall = longest(*from_ms, *to_ms);
            }
        }
        Ok(())
    }

    /// The audit, during which the broker is killed that leads most of what is read.
    fn audit(&mut self, stack: &Stack, fleet: &Fleet<'_>) -> anyhow::Result<()> {
        let (index, duties) = main_leader(stack)?;
        self.audited_without = duties;
        let broker = broker(stack, index)?;
        broker.kill()?;
        audit_beside(stack, fleet, &mut self.summary, || Ok(broker.restart()?))
    }
}

fn wreak(stack: &Stack, fleet: &Fleet<'_>, acts: &[Act], done: &mut Vec<Done>) -> anyhow::Result<()> {
    for act in acts {
        wait_in_sync(stack)?;
        ensure!(fleet.is_running(), "the fleet has ended by itself\n{}", fleet.log_tail());
        let index = match act {
            Act::Kill(index) => *index,
            Act::KillLeader => main_leader(stack)?.0,
            Act::KillController => controller(stack)?,
            Act::Roll => 0,
        };
        let duties = stack.log.duties(index)?;
        let began = Instant::now();
        done.push(Done { act: *act, duties, begun_at_ms: now_ms()?, stall: Duration::ZERO });
        match act {
            Act::Kill(_) | Act::KillLeader | Act::KillController => {
                let broker = broker(stack, index)?;
                broker.kill()?;
                thread::sleep(DOWN);
                broker.restart()?;
                wait_in_sync(stack)?;
            }
            Act::Roll => {
                for broker in stack.brokers() {
                    broker.stop()?;
                    broker.restart()?;
                    wait_in_sync(stack)?;
                }
            }
        }
        tell(&format!("{act}, {duties} ({:.1} s)", began.elapsed().as_secs_f32()));
    }
    Ok(())
}

fn now_ms() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn broker(stack: &Stack, index: usize) -> anyhow::Result<&Kafka> {
    stack.brokers().nth(index).context("no such broker")
}

/// Index of the active controller.
fn controller(stack: &Stack) -> anyhow::Result<usize> {
    let known = stack.wait("an active controller", IN_SYNC, || stack.kafka.controller().ok().flatten())?;
    known.checked_sub(1).context("nodes are counted from 1")
}

pub(super) fn wait_in_sync(stack: &Stack) -> anyhow::Result<()> {
    let in_sync = || stack.log.is_in_sync(BROKERS).ok()?.then_some(());
    stack.wait("every partition to have all its copies", IN_SYNC, in_sync)
}
