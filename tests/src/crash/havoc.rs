//! Carries the plan out.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::fleet::Fleet;
use super::plan::{Act, Plan};
use super::tell;
use crate::process::Process;
use crate::stack::{Stack, Victim};
use crate::wait::wait_until;

/// A fault point is passed many times a second while the fleet is at work and somebody serves.
const POINT_PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the session timeout of 10 s and the transaction timeout of 12 s.
const STAND_STILL: Duration = Duration::from_secs(13);
const TAKE_OVER_PATIENCE: Duration = Duration::from_secs(60);

/// How often each thing was done.
pub(crate) type Done = BTreeMap<String, u32>;

/// Does every act of the plan while the fleet works, and counts them.
pub(super) fn wreak(stack: &Stack, plan: &Plan, fleet: &Fleet<'_>, done: &mut Done) -> anyhow::Result<()> {
    for (number, step) in plan.acts.iter().enumerate() {
        // The rhythm of the plan, not a wait for something.
        thread::sleep(step.pause);
        ensure!(fleet.is_running(), "the fleet has ended by itself\n{}", fleet.log_tail());
        let name = act_name(step.act);
        let began = Instant::now();
        match step.act {
            Act::Kill(victim) => {
                stack.kill(victim)?;
                thread::sleep(step.down);
                stack.restart(victim)?;
            }
            Act::Point(point) => reach_point(stack, point)?,
            Act::Zombie(index) => stand_still(stack, index)?,
        }
        *done.entry(name.clone()).or_default() += 1;
        tell(&format!("{:>2}/{} {name} ({:.1} s)", number + 1, plan.acts.len(), began.elapsed().as_secs_f32()));
    }
    Ok(())
}

/// As it stands in the summary.
pub(crate) fn act_name(act: Act) -> String {
    match act {
        Act::Kill(victim) => format!("kill {}", victim.name()),
        Act::Point(point) => format!("kill at {point}"),
        Act::Zombie(_) => "meter stands still".to_owned(),
    }
}

/// Arms a fault point and waits until a process has killed itself there; the watch starts it again.
fn reach_point(stack: &Stack, point: &str) -> anyhow::Result<()> {
    let dir = stack.crash_dir();
    let before = fired(stack, point).len();
    fs::write(dir.join(point), b"")?;
    let reached = wait_until(&format!("a process to reach {point}"), POINT_PATIENCE, || {
        (fired(stack, point).len() > before).then_some(())
    });
    reached.with_context(|| {
        format!(
            "no process killed itself at the fault point {point}: either nothing is processed, or the programs were \
             built without the feature `crash-points`. `cargo build --workspace` builds them with it; a build of \
             single packages (`cargo build -p tollbooth-meter`) puts one without it in their place.\n{}",
            stack.logs()
        )
    })
}

/// The claims of a fault point: one for each process that killed itself there.
fn fired(stack: &Stack, point: &str) -> Vec<PathBuf> {
    let prefix = format!("{point}.fired.");
    let entries = fs::read_dir(stack.crash_dir()).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)));
    names.map(|entry| entry.path()).collect()
}

/// SIGSTOP to a meter that serves, until the other one has taken its partitions and posted; then SIGCONT.
fn stand_still(stack: &Stack, index: usize) -> anyhow::Result<()> {
    stack.heal()?;
    let (still, other) = (&stack.meters[index], &stack.meters[1 - index]);
    let serving = |meter: &Process| stack.metric(meter, "tollbooth_meter_partition_serving").unwrap_or(0.0);
    stack.wait("both meters to serve", TAKE_OVER_PATIENCE, || {
        (serving(still) > 0.0 && serving(other) > 0.0).then_some(())
    })?;
    still.pause()?;
    let paused = Instant::now();
    let taken_over = stack.wait("the other meter to take over", TAKE_OVER_PATIENCE, || {
        (paused.elapsed() > STAND_STILL && serving(other) >= 8.0).then_some(())
    });
    // Also where it was in vain: a stopped process would keep the rest from settling.
    still.resume()?;
    taken_over.with_context(|| format!("{} stood still", Victim::Meter(index).name()))
}
