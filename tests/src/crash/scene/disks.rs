//! Small disks below the processes that write: a file system in memory for each, which is made exactly as large as what is in
//! it. So whoever writes is told by the kernel that there is no space left, as on a full disk, and nobody else is.
//!
//! A limit of the size of files would need no rights, and is something else: small files still come through, and the error is
//! another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::{broker, node_dir};
use crate::os;
use crate::stack::Stack;

/// Of each; only what is written takes memory.
const BYTES: u64 = 2 << 30;
/// Who merges files makes some space; it is taken away again.
const SHRINK_EVERY: Duration = Duration::from_millis(50);
/// Every process that writes here writes sooner.
const PATIENCE: Duration = Duration::from_secs(60);
/// Which of the brokers.
pub(in crate::crash) const SMALL_BROKER: usize = 2;
/// Of the system, of Java and ClickHouse.
const WORDS: [&str; 4] = ["No space left on device", "StorageFull", "NOT_ENOUGH_SPACE", "not enough space"];

/// What can be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disk {
    /// Where the meters keep their stores.
    Stores,
    /// Where the booths keep what was not acknowledged.
    Outboxes,
    /// The log of one of the brokers.
    Broker,
    /// ClickHouse's tables.
    ClickHouse,
}

impl Disk {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stores, Self::Outboxes, Self::Broker, Self::ClickHouse];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stores => "stores",
            Self::Outboxes => "outboxes",
            Self::Broker => "broker",
            Self::ClickHouse => "clickhouse",
        }
    }

    fn place(self, stack: &Stack) -> PathBuf {
        match self {
            Self::Stores => stack.dir().join("store"),
            Self::Outboxes => stack.dir().join("fleet").join("outbox"),
            Self::Broker => node_dir(stack, SMALL_BROKER).join("log"),
            Self::ClickHouse => stack.dir().join("clickhouse").join("data"),
        }
    }

    /// Where whoever is refused says so.
    fn logs(self, stack: &Stack) -> Vec<PathBuf> {
        let log = |name: &str| stack.dir().join("logs").join(format!("{name}.log"));
        match self {
            Self::Stores => vec![log("meter-a"), log("meter-b")],
            Self::Outboxes => vec![log("fleet")],
            Self::Broker => vec![node_dir(stack, SMALL_BROKER).join("kafka.log")],
            Self::ClickHouse => vec![log("sink")],
        }
    }
}

/// The small disks of a stack; none where that is not allowed.
#[derive(Debug)]
pub(in crate::crash) struct Disks {
    places: Vec<PathBuf>,
    refused: Option<io::Error>,
    kept: AtomicBool,
}

impl Disks {
    /// Takes what lies there onto disks of its own; nobody may write meanwhile.
    pub(super) fn below(stack: &Stack) -> anyhow::Result<Self> {
        let mut disks = Self { places: Vec::new(), refused: None, kept: AtomicBool::new(false) };
        for place in Disk::ALL.map(|disk| disk.place(stack)) {
            match lay(&place)? {
                Ok(()) => disks.places.push(place),
                Err(error) => {
                    disks.refused = Some(error);
                    break;
                }
            }
        }
        Ok(disks)
    }

    /// Why there are none.
    pub(super) fn missing(&self) -> Option<String> {
        let error = self.refused.as_ref()?;
        Some(format!("full disks: no file system of their own may be mounted, which takes root's rights ({error})"))
    }

    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Whether there are any.
    pub(in crate::crash) fn are_there(&self) -> bool {
        self.refused.is_none()
    }

    /// Fills one until whoever writes to it has said that it was refused, and for a while longer. How often it said so.
    pub(in crate::crash) fn fill(&self, stack: &Stack, disk: Disk, lasting: Duration) -> anyhow::Result<usize> {
        let (place, logs) = (disk.place(stack), disk.logs(stack));
        let from: Vec<u64> = logs.iter().map(|log| fs::metadata(log).map_or(0, |found| found.len())).collect();
        let refusals = || -> usize {
            let new = logs.iter().zip(&from).map(|(log, from)| told_since(log, *from));
            new.sum()
        };
        let filled = fill_until(&place, || if refusals() == 0 { None } else { Some(Instant::now()) }, PATIENCE);
        let outcome = filled.and_then(|told| fill_until(&place, || (told.elapsed() > lasting).then_some(()), PATIENCE));
        // Also where it was in vain.
        os::resize_memory(&place, BYTES).with_context(|| place.display().to_string())?;
        outcome.with_context(|| format!("the full disk of {}\n{}", disk.name(), stack.logs()))?;
        if disk == Disk::Broker {
            // It ends where its only disk fails.
            let broker = broker(stack, SMALL_BROKER)?;
            if !broker.is_running() {
                broker.restart()?;
            }
        }
        Ok(refusals())
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            for place in &self.places {
                os::unmount(place).ok();
            }
        }
    }
}

/// Lays a disk of its own below what lies there.
fn lay(place: &Path) -> anyhow::Result<io::Result<()>> {
    let before = place.with_extension("before");
    let is_there = place.exists();
    if is_there {
        fs::rename(place, &before)?;
    }
    fs::create_dir_all(place)?;
    if let Err(error) = os::mount_memory(place, BYTES) {
        if is_there {
            fs::remove_dir(place)?;
            fs::rename(&before, place)?;
        }
        return Ok(Err(error));
    }
    if is_there {
        // With its links, as ClickHouse has some.
        let copied = Command::new("cp").arg("-a").arg(before.join(".")).arg(place).status().context("cp")?;
        ensure!(copied.success(), "copying {} ended with {copied}", before.display());
        fs::remove_dir_all(before)?;
    }
    Ok(Ok(()))
}

/// Keeps a disk full until `look` gives a value.
fn fill_until<T>(place: &Path, look: impl Fn() -> Option<T>, patience: Duration) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        // Whoever writes between the two has made it larger than its limit would be.
        let shrunk = os::used_bytes(place).and_then(|used| os::resize_memory(place, used.max(1)));
        shrunk.or_else(unless_grown).with_context(|| place.display().to_string())?;
        if let Some(found) = look() {
            return Ok(found);
        }
        if begun.elapsed() > patience {
            bail!("nobody said within {patience:?} that there is no space left in {}", place.display());
        }
        thread::sleep(SHRINK_EVERY);
    }
}

fn unless_grown(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) }
}

/// How many lines say that there is no space left.
fn told_since(log: &Path, from: u64) -> usize {
    let log = fs::read(log).unwrap_or_default();
    let new = log.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
    String::from_utf8_lossy(new).lines().filter(|line| WORDS.iter().any(|words| line.contains(words))).count()
}
