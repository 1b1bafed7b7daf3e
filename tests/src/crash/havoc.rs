//! Carries the plan out.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::faults;
use super::fleet::Fleet;
use super::plan::{Act, Copies, IN_TRANSACTION, Plan};
use super::scene::Scene;
use super::stores;
use super::summary::Summary;
use super::tell;
use crate::process::Process;
use crate::stack::{Stack, Victim};
use crate::usage::now_ms;
use crate::wait::wait_until;

/// A fault point is passed many times a second while the fleet is at work and somebody serves.
const POINT_PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the session timeout of 10 s and the transaction timeout of 12 s.
const STAND_STILL: Duration = Duration::from_secs(13);
const TAKE_OVER_PATIENCE: Duration = Duration::from_secs(60);
/// A victim may just be on its way back from the act before.
const RUN_PATIENCE: Duration = Duration::from_secs(60);
/// How often a victim may end by itself at the very moment it is to be killed.
const KILL_TRIES: u32 = 5;
/// An entry is written shortly before its meter comes to the fault point.
const WRITTEN_BEFORE_MS: i64 = 1_000;
/// What a worker says that somebody else's fence or the group has ended.
const GIVEN_UP: &str = "partition given up";

/// Does every act of the plan while the fleet works, and counts them.
pub(super) fn wreak(
    stack: &Stack,
    plan: &Plan,
    scene: Option<&Scene>,
    fleet: &Fleet<'_>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    for (number, step) in plan.acts.iter().enumerate() {
        // The rhythm of the plan, not a wait for something.
        thread::sleep(step.pause);
        ensure!(fleet.is_running(), "the fleet has ended by itself\n{}", fleet.log_tail());
        let name = act_name(step.act);
        let began = Instant::now();
        match step.act {
            Act::Kill(victim) => {
                kill(stack, victim)?;
                thread::sleep(step.down);
                stack.restart(victim)?;
            }
            Act::Point(point) => {
                let armed_at = now_ms();
                reach(stack, point, Accident::Kill)?.forget()?;
                if point == IN_TRANSACTION {
                    summary.in_transaction.push(armed_at - WRITTEN_BEFORE_MS..=now_ms());
                }
            }
            Act::Stores => stores::spoil(stack, &mut summary.stores)?,
            Act::Zombie => stand_still(stack, summary)?,
            Act::KillBroker(_) | Act::Net(..) | Act::Full(_) | Act::Clock(..) | Act::Rot(_) | Act::MidInsert { .. } => {
                let scene = scene.context("an act that needs a scene")?;
                let done = faults::carry_out(stack, scene, step, fleet, summary);
                if !done.with_context(|| name.clone())? {
                    tell(&format!("{:>2}/{} {name}: NOT DONE", number + 1, plan.acts.len()));
                    continue;
                }
            }
        }
        *summary.done.entry(name.clone()).or_default() += 1;
        tell(&format!("{:>2}/{} {name} ({:.1} s)", number + 1, plan.acts.len(), began.elapsed().as_secs_f32()));
    }
    Ok(())
}

/// As it stands in the summary.
pub(crate) fn act_name(act: Act) -> String {
    match act {
        Act::Kill(victim) => format!("kill {}", victim.name()),
        Act::Point(point) => format!("kill at {point}"),
        Act::Stores => "kill and spoil stores".to_owned(),
        Act::Zombie => "meter stands still".to_owned(),
        Act::KillBroker(index) => format!("kill broker {}", index + 1),
        Act::Net(link, fault) => format!("{fault}: {}", link.name()),
        Act::Full(disk) => format!("full disk: {}", disk.name()),
        Act::Clock(service, by_s) => {
            let name = ["ingest", "meter-a", "meter-b", "sink", "effects", "query"].get(service).unwrap_or(&"nobody");
            format!("clock jumps {}: {name}", if by_s < 0 { "back" } else { "ahead" })
        }
        Act::Rot(Copies::Stores) => "kill and corrupt stores".to_owned(),
        Act::Rot(Copies::Checkpoints) => "kill and corrupt checkpoints".to_owned(),
        Act::MidInsert { is_whole: false } => "kill clickhouse in half an insert".to_owned(),
        Act::MidInsert { is_whole: true } => "kill clickhouse in an insert".to_owned(),
    }
}

/// Kills something that runs: what is down already cannot be killed, and must not count.
fn kill(stack: &Stack, victim: Victim) -> anyhow::Result<()> {
    for _ in 0..KILL_TRIES {
        // Services are brought back by the watch; nobody watches over the engines.
        if stack.process(victim).is_none() && !stack.is_running(victim) {
            stack.restart(victim)?;
        }
        let running = || stack.is_running(victim).then_some(());
        stack.wait(&format!("{} to run, so that it can be killed", victim.name()), RUN_PATIENCE, running)?;
        if stack.kill(victim)? {
            return Ok(());
        }
        stack.restart(victim)?;
    }
    bail!("{} ended by itself {KILL_TRIES} times before it was killed", victim.name())
}

/// What happens at a fault point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accident {
    /// The process kills itself; the watch starts it again.
    Kill,
    /// It stops, until it is told to go on.
    Stop,
}

/// That a process has come to a fault point.
struct Claim {
    pid: u32,
    path: PathBuf,
}

impl Claim {
    /// So that the same process can claim the point again. Not before it has read what is to happen to it.
    fn forget(self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.path)?)
    }
}

/// Arms a fault point and waits until a process has come to it.
fn reach(stack: &Stack, point: &str, accident: Accident) -> anyhow::Result<Claim> {
    let dir = stack.crash_dir();
    let armed = dir.join(point);
    // Whole at once: a process that comes by in between must not find an empty file.
    let draft = dir.join("draft");
    fs::write(&draft, if accident == Accident::Stop { "stop" } else { "kill" })?;
    fs::rename(draft, &armed)?;
    let reached = wait_until(&format!("a process to reach {point}"), POINT_PATIENCE, || claim(&dir, point));
    reached.with_context(|| {
        format!(
            "no process came to the fault point {point}: either nothing is processed, or the programs were built without \
             the feature `crash-points`. `cargo build --workspace` builds them with it; a build of single packages \
             (`cargo build -p tollbooth-meter`) puts one without it in their place.\n{}",
            stack.logs()
        )
    })
}

/// The claim's file is named after the process.
fn claim(dir: &Path, point: &str) -> Option<Claim> {
    let prefix = format!("{point}.fired.");
    let entries = fs::read_dir(dir).ok()?.filter_map(Result::ok);
    entries.into_iter().find_map(|entry| {
        let pid = entry.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok()?;
        Some(Claim { pid, path: entry.path() })
    })
}

/// Stops a meter inside an open transaction until the other one has taken its partitions, lets it go on, and waits
/// until it has seen that it was fenced.
fn stand_still(stack: &Stack, summary: &mut Summary) -> anyhow::Result<()> {
    stack.heal()?;
    let serving = |meter: &Process| stack.metric(meter, "tollbooth_meter_partition_serving").unwrap_or(0.0);
    stack.wait("both meters to serve", TAKE_OVER_PATIENCE, || {
        stack.meters.iter().all(|meter| serving(meter) > 0.0).then_some(())
    })?;
    let armed_at = now_ms();
    let claim = reach(stack, IN_TRANSACTION, Accident::Stop)?;
    let stopped = Instant::now();
    summary.in_transaction.push(armed_at - WRITTEN_BEFORE_MS..=now_ms());
    let index = stack.meters.iter().position(|meter| meter.pid() == Some(claim.pid)).context("no meter has stopped")?;
    let (still, other) = (&stack.meters[index], &stack.meters[1 - index]);
    let given_up = still.log_count(GIVEN_UP);
    let taken_over = stack.wait("the other meter to take over", TAKE_OVER_PATIENCE, || {
        (stopped.elapsed() > STAND_STILL && serving(other) >= 8.0).then_some(())
    });
    claim.forget()?;
    // Also where it was in vain: a stopped process would keep the rest from settling.
    still.resume()?;
    taken_over.with_context(|| format!("{} stood still", still.name()))?;
    // It is in the middle of a transaction and tries to commit it: only a fence or the group can have ended that.
    stack.wait(&format!("{} to be fenced", still.name()), TAKE_OVER_PATIENCE, || {
        (still.log_count(GIVEN_UP) > given_up).then_some(())
    })
}
