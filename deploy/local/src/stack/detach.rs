//! `up --detach`: the supervisor in the background, this process until it is ready.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::instance::{Found, find};
use super::settings::{Settings, log_file};
use crate::process::{open_log, read_bytes_from};
use crate::sys;

const POLL: Duration = Duration::from_millis(50);

/// Starts the stack in the background, shows what it says, and returns once everything is ready.
///
/// # Errors
/// When it cannot be started; what it said by then says why.
pub fn up_detached(settings: &Settings) -> anyhow::Result<ExitCode> {
    sys::catch_stop_signals().context("catch signals")?;
    if let Found::Running(run) = find(&settings.dir)? {
        bail!("it runs already (process {}): `make status` shows what, `make down` stops it", run.pid);
    }
    fs::create_dir_all(settings.logs()).context("create the log folder")?;
    let log = log_file(&settings.logs(), "up");
    let (out, mut shown) = open_log(&log).with_context(|| format!("open {}", log.display()))?;
    // It shows the links that sign in.
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).context("keep the log to its owner")?;
    let err = out.try_clone()?;
    let mut command = Command::new(std::env::current_exe().context("find this executable")?);
    command.arg("up");
    for (flag, value) in flags(settings) {
        command.args([flag, value.as_str()]);
    }
    if settings.observe {
        command.arg("--observe");
    }
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    sys::new_session(&mut command);
    let mut supervisor = command.spawn().context("start the supervisor")?;
    let mut follow = || {
        let text = read_bytes_from(&log, shown).unwrap_or_default();
        shown += u64::try_from(text.len()).unwrap_or(0);
        let mut out = io::stdout().lock();
        out.write_all(&text).and_then(|()| out.flush()).ok();
    };
    let outcome = wait(settings, &mut supervisor, &mut follow);
    follow();
    outcome
}

fn wait(settings: &Settings, supervisor: &mut Child, follow: &mut impl FnMut()) -> anyhow::Result<ExitCode> {
    let mut told = false;
    loop {
        follow();
        if let Some(status) = supervisor.try_wait()? {
            return Ok(if status.success() && told { ExitCode::from(130) } else { ExitCode::FAILURE });
        }
        let ready = matches!(find(&settings.dir)?, Found::Running(run) if run.pid == supervisor.id() && run.ready);
        if ready {
            return Ok(ExitCode::SUCCESS);
        }
        if sys::stop_signals() > 0 && !told {
            told = true;
            sys::terminate(supervisor).context("stop the supervisor")?;
        }
        thread::sleep(POLL);
    }
}

/// The settings as flags: they may have come from flags here.
fn flags(settings: &Settings) -> Vec<(&'static str, String)> {
    let rules = settings.prometheus_rules.as_ref().map(|folder| ("--prometheus-rules", folder.display().to_string()));
    let flags = [
        ("--dir", settings.dir.display().to_string()),
        ("--rate", settings.rate.to_string()),
        ("--history-events", settings.history_events.to_string()),
        ("--accounts", settings.accounts.to_string()),
        ("--seed", settings.seed.to_string()),
        ("--data-mib-max", settings.data_mib_max.to_string()),
        ("--prometheus-listen", settings.prometheus_listen.clone()),
    ];
    flags.into_iter().chain(rules).collect()
}
