//! `down`, `reset`, `status`: for a stack that another process runs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::api;
use super::instance::{EndedBefore, Found, Instance, RunFile, find, now_seconds};
use super::settings::Settings;
use super::size::{MIB, disk_bytes, human};
use crate::sys;

/// More than the sum of the time that each service and engine is given.
const STOP_TIMEOUT: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_millis(50);

/// Stops what `up` started in this folder, and nothing else.
///
/// # Errors
/// When it cannot be told who runs there.
pub fn down(settings: &Settings) -> anyhow::Result<ExitCode> {
    let run = match find(&settings.dir)? {
        Found::Nothing => {
            println!("Nothing runs in {}", settings.dir.display());
            return Ok(ExitCode::SUCCESS);
        }
        Found::Busy => bail!("{} is held by a process that cannot be told; try again", settings.dir.display()),
        Found::Running(run) => run,
    };
    println!("Stopping what process {} runs", run.pid);
    sys::terminate_pid(run.pid).with_context(|| format!("signal process {}", run.pid))?;
    let started = Instant::now();
    while started.elapsed() < STOP_TIMEOUT {
        if !run.is_alive() {
            println!("Stopped after {:.1} s", started.elapsed().as_secs_f64());
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(POLL);
    }
    // Its children end with it.
    println!("Not stopped after {} s: killing it", STOP_TIMEOUT.as_secs());
    if run.is_alive() {
        sys::kill_pid(run.pid).with_context(|| format!("kill process {}", run.pid))?;
    }
    Ok(ExitCode::FAILURE)
}

/// Deletes the folder with all data. Refuses while it is in use.
///
/// # Errors
/// When it is in use, or cannot be deleted.
pub fn reset(settings: &Settings) -> anyhow::Result<ExitCode> {
    let dir = &settings.dir;
    if !dir.exists() {
        println!("{} is empty already", dir.display());
        return Ok(ExitCode::SUCCESS);
    }
    if !is_ours(dir) {
        bail!("{} does not look like a folder that `up` made: nothing deleted", dir.display());
    }
    let Some(instance) = Instance::acquire(dir).context("lock the folder")? else {
        bail!("{} is in use: stop it first (`make down`)", dir.display());
    };
    let bytes = disk_bytes(dir);
    instance.empty().with_context(|| format!("delete what is in {}", dir.display()))?;
    println!("Deleted {} in {}", human(bytes), dir.display());
    Ok(ExitCode::SUCCESS)
}

/// A mistyped `--dir` must not cost anybody a home folder.
fn is_ours(dir: &Path) -> bool {
    let empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    empty || ["up.lock", "admin.key", "logs/up.log", "engines"].iter().any(|name| dir.join(name).exists())
}

/// Shows what runs, where, and how much there is.
///
/// # Errors
/// When the folder cannot be read.
pub fn status(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let code = match find(&settings.dir)? {
        Found::Nothing => {
            text.push_str("Nothing runs\n");
            ExitCode::from(3)
        }
        Found::Busy => {
            text.push_str("Something holds the folder, but nothing runs yet\n");
            ExitCode::from(3)
        }
        Found::Running(run) => {
            describe(&run, &mut text)?;
            if run.ready { ExitCode::SUCCESS } else { ExitCode::from(3) }
        }
    };
    if settings.dir.exists() {
        writeln!(text, "\nData in {}", settings.dir.display())?;
        for part in ["kafka", "clickhouse", "fleet", "logs"] {
            writeln!(text, "  {part:<18} {}", human(disk_bytes(&settings.path(part))))?;
        }
        let (all, limit) = (human(disk_bytes(&settings.dir)), human(settings.data_mib_max.saturating_mul(MIB)));
        writeln!(text, "  {:<18} {all} of at most {limit}", "all")?;
    }
    print!("{text}");
    Ok(code)
}

fn describe(run: &RunFile, text: &mut String) -> anyhow::Result<()> {
    let minutes_since = |seconds: u64| now_seconds().saturating_sub(seconds) / 60;
    let minutes = minutes_since(run.started_at);
    let state = if run.ready { "running" } else { "starting" };
    writeln!(text, "{state} for {minutes} min, supervised by process {}", run.pid)?;
    for (name, pid) in &run.processes {
        writeln!(text, "  {name:<18} process {pid}")?;
    }
    for EndedBefore { name, times, at, status } in &run.ended {
        let is_up = run.processes.iter().any(|(running, _)| running == name);
        let outcome = if is_up { "was started again" } else { "is started again in a moment" };
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        let minutes = minutes_since(*at);
        writeln!(text, "  {name:<18} ended {times}, last {minutes} min ago ({status}), {outcome}")?;
    }
    writeln!(text)?;
    for (name, url) in &run.addresses {
        let ready = match name.ends_with("operations").then(|| api::readiness(url)) {
            None => String::new(),
            Some(Ok(())) => "  ready".to_owned(),
            Some(Err(missing)) => format!("  not ready: {missing}"),
        };
        writeln!(text, "  {name:<18} {url}{ready}")?;
    }
    Ok(())
}
