//! An engine's process: spawned so that it cannot outlive us, with its output in a bounded log file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{LocalError, Result};
use crate::sys;

/// How often a condition is looked at while waiting for it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// A log file that has grown beyond this is moved to `NAME.1` at the next start.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of a log's end an error quotes.
const TAIL_BYTES: u64 = 4 * 1024;

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns on a thread that lives as long as this process.
///
/// The kernel's parent-death signal follows the *thread* that forked. A test's thread ends with its test, and would
/// take an engine along that other tests still use.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<SpawnRequest>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<SpawnRequest>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                if let Err(mpsc::SendError(Ok(mut orphan))) = reply.send(command.spawn()) {
                    // The asker is gone; a child nobody holds would run until we end.
                    orphan.kill().ok();
                    orphan.wait().ok();
                }
            }
        });
        requests
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// By closing the pipe that is its standard input.
    CloseInput,
    /// By SIGTERM.
    Terminate,
}

/// A running child process that is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    engine: &'static str,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Starts `command` in a process group of its own, so that Ctrl-C at the terminal reaches only us and the order
    /// of the shutdown stays ours. Standard output and error go to the end of `log`; standard input is a pipe.
    pub(crate) fn spawn(engine: &'static str, mut command: Command, log: &Path) -> Result<Self> {
        use std::os::unix::process::CommandExt;

        let (out, log_start) = open_log(log).map_err(|e| LocalError::io("open log", log, e))?;
        let err = out.try_clone().map_err(|e| LocalError::io("open log", log, e))?;
        command.stdin(Stdio::piped()).stdout(out).stderr(err).process_group(0);
        sys::die_with_parent(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn_on_lasting_thread(command).map_err(start_error(engine, &program))?;
        Ok(Self { child, engine, log: log.to_owned(), log_start })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so; an end of the process or the deadline is an error that quotes the log.
    pub(crate) fn wait_ready(&mut self, timeout: Duration, mut ready: impl FnMut(&Self) -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.try_wait()? {
                return Err(LocalError::Exited {
                    engine: self.engine,
                    status: status.to_string(),
                    log: self.log.clone(),
                    tail: self.log_tail(),
                });
            }
            if ready(self) {
                return Ok(());
            }
            if started.elapsed() > timeout {
                return Err(LocalError::NotReady {
                    engine: self.engine,
                    after: timeout,
                    log: self.log.clone(),
                    tail: self.log_tail(),
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// What this process has logged since it was started, lossily as text.
    pub(crate) fn log_since_start(&self) -> String {
        read_from(&self.log, self.log_start).unwrap_or_default()
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, then waits for the end.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.kill_and_wait()
    }

    /// Asks the process to end and waits; SIGKILL when it takes longer than `timeout`.
    pub(crate) fn stop(mut self, how: Stop, timeout: Duration) -> Result<()> {
        if self.try_wait()?.is_some() {
            return Ok(());
        }
        match how {
            Stop::CloseInput => drop(self.child.stdin.take()),
            Stop::Terminate => sys::terminate(&self.child)
                .map_err(|source| LocalError::Io { what: format!("stop {}", self.engine), source })?,
        }
        let started = Instant::now();
        while started.elapsed() < timeout {
            if self.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(POLL_INTERVAL);
        }
        self.kill_and_wait()
    }

    /// The exit status, once it has ended.
    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|source| LocalError::Io { what: format!("wait for {}", self.engine), source })
    }

    fn kill_and_wait(&mut self) -> Result<()> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(drop)
            .map_err(|source| LocalError::Io { what: format!("kill {}", self.engine), source })
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The end of what it has logged since it was started.
    pub(crate) fn log_tail(&self) -> String {
        let end = fs::metadata(&self.log).map_or(0, |m| m.len());
        // A log that is shorter than it was at the start has been cut since: all of it is ours.
        let start = if end < self.log_start { 0 } else { self.log_start };
        let from = end.saturating_sub(TAIL_BYTES).max(start);
        read_from(&self.log, from).unwrap_or_else(|e| format!("(unreadable: {e})"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A second kill of a child that was waited for does nothing; there is nobody to report an error to.
        self.kill_and_wait().ok();
    }
}

/// Turns the failure to start a program into an error that says how to get it.
pub(crate) fn start_error(engine: &'static str, program: &str) -> impl FnOnce(io::Error) -> LocalError {
    let program = program.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => LocalError::ToolMissing {
            tool: program,
            hint: format!("it is needed to run {engine}; `make setup` installs it or says how"),
        },
        _ => LocalError::Io { what: format!("start {program}"), source },
    }
}

/// Locks a process slot; a thread that panicked while it held the lock leaves the slot as usable as before.
pub(crate) fn lock(slot: &Mutex<Option<Process>>) -> MutexGuard<'_, Option<Process>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a log for appending, moved aside first when it is large; also where the new part begins.
pub(crate) fn open_log(log: &Path) -> io::Result<(File, u64)> {
    if fs::metadata(log).is_ok_and(|m| m.len() > LOG_BYTES_MAX) {
        let mut old = log.as_os_str().to_owned();
        old.push(".1");
        fs::rename(log, old)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    let start = file.metadata()?.len();
    Ok((file, start))
}

/// Cuts a log that has grown beyond the limit while its process writes to it: the old part goes to `NAME.1`.
///
/// The writer has the file open for appending, so its next line lands at the new end; lines written between the copy
/// and the cut are lost, which a log can bear.
pub(crate) fn bound_log(log: &Path) -> io::Result<()> {
    if !fs::metadata(log).is_ok_and(|m| m.len() > LOG_BYTES_MAX) {
        return Ok(());
    }
    let mut old = log.as_os_str().to_owned();
    old.push(".1");
    fs::copy(log, old)?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

/// What stands in a file from an offset on, lossily as text.
pub(crate) fn read_from(path: &Path, offset: u64) -> io::Result<String> {
    read_bytes_from(path, offset).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The same as it is.
pub(crate) fn read_bytes_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
