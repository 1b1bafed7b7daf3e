//! At most one stack a folder: a lock that the kernel takes back when its holder ends, and beside it who that is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

const LOCK_FILE: &str = "up.lock";
const RUN_FILE: &str = "up.json";
/// A look at the lock holds it for a moment; who wants it for long tries again for this long.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// Between taking the lock and writing the run file.
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Who runs the stack of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// The supervisor.
    pub(crate) pid: u32,
    /// When that process began, in the kernel's ticks since boot: tells it from a later one of the same id.
    pub(crate) start_ticks: u64,
    /// Seconds since 1970.
    pub(crate) started_at: u64,
    /// Whether everything is up.
    pub(crate) ready: bool,
    /// Names and addresses, in the order they are shown.
    pub(crate) addresses: Vec<(String, String)>,
    /// What it started.
    pub(crate) processes: Vec<(String, u32)>,
    /// What ended on its own and was started again.
    #[serde(default)]
    pub(crate) ended: Vec<EndedBefore>,
}

/// How often a service has ended on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndedBefore {
    /// Which.
    pub(crate) name: String,
    /// How often so far.
    pub(crate) times: u32,
    /// The last time, in seconds since 1970.
    pub(crate) at: u64,
    /// Its exit status then.
    pub(crate) status: String,
}

impl RunFile {
    /// Of this process, with nothing started yet.
    pub(crate) fn own() -> anyhow::Result<Self> {
        let pid = std::process::id();
        let start_ticks = start_ticks(pid).context("cannot read /proc: is this Linux?")?;
        let (addresses, processes, ended) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { pid, start_ticks, started_at: now_seconds(), ready: false, addresses, processes, ended })
    }

    /// Remembers the end of a service that is started again.
    pub(crate) fn note_end(&mut self, name: &str, status: &str) {
        let times = self.ended.iter().find(|ended| ended.name == name).map_or(0, |ended| ended.times);
        self.ended.retain(|ended| ended.name != name);
        let (name, status) = (name.to_owned(), status.to_owned());
        self.ended.push(EndedBefore { name, times: times + 1, at: now_seconds(), status });
    }

    /// Whether the process that wrote this still runs.
    pub(crate) fn is_alive(&self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// When a process began; `None` when there is none, or only its exit status is left.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; after it come state (3rd) and, as the
    // 22nd, the start time: proc_pid_stat(5).
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// What a look at a folder finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No stack.
    Nothing,
    /// A stack that runs or is about to.
    Running(RunFile),
    /// Somebody holds the folder, but is not a supervisor that we can name.
    Busy,
}

/// Looks who holds the folder.
pub(crate) fn find(dir: &Path) -> io::Result<Found> {
    let started = Instant::now();
    loop {
        let lock = match File::open(dir.join(LOCK_FILE)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        match lock.try_lock_shared() {
            Ok(()) => return Ok(Found::Nothing),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        match read(dir) {
            Some(run) if run.is_alive() => return Ok(Found::Running(run)),
            _ if started.elapsed() > BEGIN_PATIENCE => return Ok(Found::Busy),
            _ => thread::sleep(POLL),
        }
    }
}

fn read(dir: &Path) -> Option<RunFile> {
    serde_json::from_slice(&fs::read(dir.join(RUN_FILE)).ok()?).ok()
}

/// The right to use a folder; given back when dropped, or when this process ends in any way.
#[derive(Debug)]
pub(crate) struct Instance {
    dir: PathBuf,
    _lock: File,
}

impl Instance {
    /// Takes a folder, made if need be; `None` when another process has it.
    pub(crate) fn acquire(dir: &Path) -> io::Result<Option<Self>> {
        let started = Instant::now();
        loop {
            fs::create_dir_all(dir)?;
            let path = dir.join(LOCK_FILE);
            let lock = match OpenOptions::new().create(true).append(true).open(&path) {
                // A reset removed the folder in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            match lock.try_lock() {
                // The file may have been removed and made again since it was opened: then this lock keeps nobody out.
                Ok(())
                    if fs::metadata(&path).is_ok_and(|now| lock.metadata().is_ok_and(|own| own.ino() == now.ino())) =>
                {
                    fs::remove_file(dir.join(RUN_FILE)).ok();
                    return Ok(Some(Self { dir: dir.to_owned(), _lock: lock }));
                }
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if started.elapsed() > LOCK_PATIENCE => return Ok(None),
                Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            }
        }
    }

    /// Tells the other commands who this is and what runs.
    pub(crate) fn write(&self, run: &RunFile) -> io::Result<()> {
        // Whole or not at all: somebody may read at any moment.
        let staging = self.dir.join(".up.json.new");
        fs::write(&staging, serde_json::to_vec_pretty(run)?)?;
        fs::rename(staging, self.dir.join(RUN_FILE))
    }

    /// Deletes everything in the folder, and the folder.
    pub(crate) fn empty(self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == LOCK_FILE) {
                continue;
            }
            if fs::symlink_metadata(&path)?.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
        // Last, and while it is held: nobody can have begun in between.
        fs::remove_file(self.dir.join(LOCK_FILE))?;
        // A folder that a link points to, or one that is mounted, stays; it is empty.
        fs::remove_dir(&self.dir).ok();
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        fs::remove_file(self.dir.join(RUN_FILE)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = Instance::acquire(dir.path()).unwrap().unwrap();
        assert!(Instance::acquire(dir.path()).unwrap().is_none());
        let run = RunFile::own().unwrap();
        first.write(&run).unwrap();
        assert_eq!(find(dir.path()).unwrap(), Found::Running(run));
        drop(first);
        assert_eq!(find(dir.path()).unwrap(), Found::Nothing);
        assert!(Instance::acquire(dir.path()).unwrap().is_some());
    }

    #[test]
    fn a_run_file_without_its_process_is_nobody() {
        // given a run file that a killed supervisor left, whose id another process has now
        let dir = tempfile::tempdir().unwrap();
        let stale = RunFile { start_ticks: 1, ..RunFile::own().unwrap() };
        fs::write(dir.path().join(RUN_FILE), serde_json::to_vec(&stale).unwrap()).unwrap();
        fs::write(dir.path().join(LOCK_FILE), "").unwrap();

        // then
        assert!(!stale.is_alive());
        assert_eq!(find(dir.path()).unwrap(), Found::Nothing);
    }

    #[test]
    fn a_holder_that_cannot_be_named_is_not_taken_for_a_supervisor() {
        // given a folder that is held, with the run file of an earlier process
        let dir = tempfile::tempdir().unwrap();
        let held = Instance::acquire(dir.path()).unwrap().unwrap();
        held.write(&RunFile { start_ticks: 1, ..RunFile::own().unwrap() }).unwrap();

        // then nobody is named who could be signalled
        assert_eq!(find(dir.path()).unwrap(), Found::Busy);
    }

    #[test]
    fn an_ended_process_has_no_start_time_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while start_ticks(child.id()).is_some() {
            assert!(Instant::now() < deadline);
            thread::sleep(POLL);
        }
        child.wait().unwrap();
    }
}
