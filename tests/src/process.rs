//! A service as a child process: killed, stopped, paused, started again with the same settings.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::os::{self, Signal};
use crate::wait::wait_until;

const TAIL_BYTES: u64 = 3 * 1024;

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns on a thread that lives as long as this process: the kernel's parent-death signal follows the thread that
/// forked, and a test's thread ends with its test.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<SpawnRequest>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<SpawnRequest>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // The asker waits for the answer, so somebody takes it.
                reply.send(command.spawn()).ok();
            }
        });
        requests
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

/// A program with its settings, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Mutex<BTreeMap<String, String>>,
    log: PathBuf,
    output: Option<PathBuf>,
    ops_address: Option<String>,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// A program that is not started yet. Its output goes to `<name>.log` in `log_dir`.
    #[must_use]
    pub fn new(name: &str, program: PathBuf, arguments: &[&str], log_dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            variables: Mutex::default(),
            log: log_dir.join(format!("{name}.log")),
            output: None,
            ops_address: None,
            child: Mutex::default(),
        }
    }

    /// With a variable of its environment, beside what a shell has.
    #[must_use]
    pub fn with(self, variable: &str, value: impl Into<String>) -> Self {
        self.set(variable, value);
        self
    }

    /// With an operations listener at this address.
    #[must_use]
    pub fn with_ops(mut self, variable: &str, address: String) -> Self {
        self.set(variable, address.clone());
        self.ops_address = Some(address);
        self
    }

    /// With standard output apart from the log.
    #[must_use]
    pub fn with_output(mut self, path: PathBuf) -> Self {
        self.output = Some(path);
        self
    }

    /// Changes a variable for the next start.
    pub fn set(&self, variable: &str, value: impl Into<String>) {
        lock(&self.variables).insert(variable.to_owned(), value.into());
    }

    /// As it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Address of its operations listener, `host:port`.
    #[must_use]
    pub fn ops_address(&self) -> Option<&str> {
        self.ops_address.as_deref()
    }

    /// The process id while it has not been seen to end.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.child).as_ref().map(Child::id)
    }

    /// Whether it runs at this moment.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.child).as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Starts it; one that still runs is killed first.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self) -> anyhow::Result<()> {
        // Held all the while: of two that start it at once none may lose sight of a child.
        let mut slot = lock(&self.child);
        self.end(&mut slot)?;
        *slot = Some(self.spawn()?);
        Ok(())
    }

    /// Starts it again where it has ended by itself, and says how it ended.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_if_ended(&self) -> anyhow::Result<Option<ExitStatus>> {
        let mut slot = lock(&self.child);
        let ended = slot.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if ended.is_some() {
            *slot = Some(self.spawn()?);
        }
        Ok(ended)
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = append(&self.log)?;
        let output = match &self.output {
            Some(path) => File::create(path).with_context(|| format!("create {}", path.display()))?,
            None => log.try_clone()?,
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(output).stderr(log);
        // The caller's settings of tollbooth must not leak into the stack under test; a backtrace of ten screens would
        // push what matters out of the log's end.
        for (variable, _) in std::env::vars_os() {
            let dropped = ["TOLLBOOTH_", "KAFKA_", "CLICKHOUSE_", "RUST_BACKTRACE"];
            if variable.to_str().is_some_and(|name| dropped.iter().any(|prefix| name.starts_with(prefix))) {
                command.env_remove(&variable);
            }
        }
        command.envs(lock(&self.variables).iter());
        os::die_with_parent(&mut command);
        spawn_on_lasting_thread(command).with_context(|| format!("start {}", self.program.display()))
    }

    /// SIGKILL; returns when it is gone, and whether that was what ended it. Nothing happens when it is down.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&self) -> anyhow::Result<bool> {
        self.end(&mut lock(&self.child))
    }

    fn end(&self, slot: &mut Option<Child>) -> anyhow::Result<bool> {
        let Some(mut child) = slot.take() else { return Ok(false) };
        let context = || format!("kill {}", self.name);
        // At a fault point it may have killed itself: the status alone does not say by whom.
        let ran = child.try_wait().with_context(context)?.is_none();
        let status = child.kill().and_then(|()| child.wait()).with_context(context)?;
        Ok(ran && status.signal() == Some(libc::SIGKILL))
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it does not end in time; it is left running then.
    pub fn stop(&self, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Terminate)?;
        self.wait(patience)
    }

    /// Waits for an end that comes by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let ended = wait_until(&format!("{} to end", self.name), patience, || self.ended());
        ended.with_context(|| self.log_tail())
    }

    /// The exit status once it has ended by itself.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        lock(&self.child).as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// SIGCONT, for one that has stopped itself.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::Resume)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = lock(&self.child);
        let Some(child) = child.as_ref() else { bail!("{} does not run", self.name) };
        os::send(child.id(), signal).with_context(|| format!("signal {}", self.name))
    }

    /// The end of its log, under its name.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let tail = tail(&self.log).unwrap_or_else(|error| format!("(unreadable: {error})"));
        format!("--- {} ({}), the end of its log:\n{tail}", self.name, self.log.display())
    }

    /// How many bytes its log has.
    #[must_use]
    pub fn log_len(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |found| found.len())
    }

    /// Its log from a byte on, over all its starts.
    #[must_use]
    pub fn log_since(&self, from: u64) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned()
    }

    /// How many lines of its log, over all its starts, contain a text.
    #[must_use]
    pub fn log_count(&self, text: &str) -> usize {
        // Bytes: a process that was killed may have left half a character.
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nobody to report an error to.
        self.kill().ok();
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn append(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("open {}", path.display()))
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
