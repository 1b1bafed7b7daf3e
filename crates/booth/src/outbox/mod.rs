//! The outbox on disk: what is enqueued stays until ingest has answered for it.
//!
//! `<20 digits>.seg` are segments of frames ([`frame`]), `cursor` says how far they are delivered, `parked.jsonl`
//! holds what was refused, `lock` keeps a second process out.

mod cursor;
mod dirs;
mod frame;
mod log;
mod parked;

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::transport::Problem;
pub(crate) use cursor::Cursor;
pub(crate) use frame::{HEADER_BYTES, PAYLOAD_BYTES_MAX};
pub(crate) use log::{LogReader, LogWriter};
pub use parked::Parked;
pub(crate) use parked::ParkedFile;

const LOCK_WAIT_MAX: Duration = Duration::from_millis(500);

/// Limits of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    /// Bytes that may wait; beyond them [`crate::Booth::enqueue`] refuses. On disk stand at most these and two segments.
    pub pending_bytes_max: u64,
    /// A segment is closed once it is this large.
    pub segment_bytes_max: u64,
    /// Wait for the disk before `enqueue` returns. Off, a report survives the process but not the machine: for load
    /// generators that share a disk with what they measure.
    pub sync: bool,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self { pending_bytes_max: 256 * 1024 * 1024, segment_bytes_max: 8 * 1024 * 1024, sync: true }
    }
}

/// The outbox cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file system's own error.
    #[error("the outbox cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Another process has it open.
    #[error("the outbox {} is in use by another process", path.display())]
    Locked {
        /// Its directory.
        path: PathBuf,
    },
    /// A file was changed or damaged other than by a crash.
    #[error("the outbox file {} is damaged at record {seq}; nothing was changed", path.display())]
    Corrupt {
        /// The file or directory.
        path: PathBuf,
        /// The record that cannot be read.
        seq: u64,
    },
    /// An earlier write failed in a way that leaves unknown what is on disk.
    #[error("an earlier write to the outbox failed; open it again")]
    Poisoned,
}

/// One queued report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place in the queue; never used twice.
    pub seq: u64,
    /// CloudEvents `id`.
    pub id: String,
    /// The event, the same bytes at every try.
    pub event: Bytes,
}

/// A payload is `id length u16 | id | event`.
pub(crate) fn encode_payload(id: &str, event: &[u8]) -> Option<Bytes> {
    let id_bytes = u16::try_from(id.len()).ok()?;
    let mut payload = Vec::with_capacity(2 + id.len() + event.len());
    payload.extend_from_slice(&id_bytes.to_le_bytes());
    payload.extend_from_slice(id.as_bytes());
    payload.extend_from_slice(event);
    (payload.len() <= PAYLOAD_BYTES_MAX).then(|| payload.into())
}

fn decode_payload(seq: u64, payload: &Bytes) -> Option<Item> {
    let (id_bytes, rest) = payload.split_first_chunk::<2>()?;
    let id_bytes = usize::from(u16::from_le_bytes(*id_bytes));
    let id = std::str::from_utf8(rest.get(..id_bytes)?).ok()?.to_owned();
    Some(Item { seq, id, event: payload.slice(2 + id_bytes..) })
}

/// The delivering end: reads in order, keeps what is under way, moves the cursor.
#[derive(Debug)]
pub(crate) struct Delivery {
    dir: PathBuf,
    reader: LogReader,
    cursor: Cursor,
    parked: ParkedFile,
    /// Taken from the log, not answered for. Stays here when a send is cancelled.
    in_hand: Vec<Item>,
    in_hand_bytes: u64,
    // Held open for its lock.
    _lock: File,
}

/// Opens both ends of the outbox.
pub(crate) fn open(dir: &Path, config: &OutboxConfig) -> Result<(LogWriter, Delivery, log::Recovered), OutboxError> {
    dirs::create_all(dir, |folder| if config.sync { dirs::sync_dir(folder) } else { Ok(()) })?;
    let lock = lock(dir)?;
    let cursor = Cursor::open(&dir.join("cursor"), config.sync)?;
    let parked = ParkedFile::open(&parked_path(dir), cursor.seq())?;
    // The last one to make a file: it syncs the names of all of them.
    let (writer, recovered) = LogWriter::open(dir, cursor.seq(), config)?;
    let delivery = Delivery {
        reader: LogReader::new(dir, cursor.seq()),
        parked,
        cursor,
        in_hand: Vec::new(),
        in_hand_bytes: 0,
        dir: dir.to_owned(),
        _lock: lock,
    };
    Ok((writer, delivery, recovered))
}

/// Keeps a second process out. Waits a moment: a supervisor may start the next one while the last one ends.
fn lock(dir: &Path) -> Result<File, OutboxError> {
    let lock = File::create(dir.join("lock"))?;
    let deadline = Instant::now() + LOCK_WAIT_MAX;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_WAIT_MAX / 50),
            Err(TryLockError::WouldBlock) => return Err(OutboxError::Locked { path: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

fn parked_path(dir: &Path) -> PathBuf {
    dir.join("parked.jsonl")
}

impl Delivery {
    /// What is to be sent next: what is left of the batch in hand, else the next records below `until`.
    pub(crate) fn batch(&mut self, until: u64, items_max: usize, bytes_max: usize) -> Result<Vec<Item>, OutboxError> {
        if self.in_hand.is_empty() {
            for (seq, payload) in self.reader.read(until, items_max, bytes_max)? {
                let item = decode_payload(seq, &payload)
                    .ok_or_else(|| OutboxError::Corrupt { path: self.dir.clone(), seq })?;
                self.in_hand_bytes += (HEADER_BYTES + payload.len()) as u64;
                self.in_hand.push(item);
            }
        }
        Ok(self.in_hand.clone())
    }

    /// Takes the answer for items of the batch in hand: `delivered` and `refused` leave it, the others stay in order
    /// and are sent before anything later. Refused ones are on disk before the cursor passes them. Returns the bytes
    /// that no longer wait.
    pub(crate) fn settle(
        &mut self,
        delivered: &[u64],
        refused: &[(Item, Problem)],
        now_ms: i64,
    ) -> Result<u64, OutboxError> {
        if !refused.is_empty() {
            self.parked.append(refused, now_ms)?;
        }
        self.in_hand
            .retain(|item| !delivered.contains(&item.seq) && !refused.iter().any(|(gone, _)| gone.seq == item.seq));
        if !self.in_hand.is_empty() {
            return Ok(0);
        }
        self.cursor.advance(self.reader.next_seq())?;
        self.parked.forget_below(self.cursor.seq());
        self.reader.remove_below(self.cursor.seq())?;
        Ok(std::mem::take(&mut self.in_hand_bytes))
    }

    /// The first record that is not delivered.
    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor.seq()
    }

    /// How many items are parked.
    pub(crate) const fn parked_count(&self) -> u64 {
        self.parked.count()
    }

    /// Everything that is parked.
    pub(crate) fn parked(&self) -> Result<Vec<Parked>, OutboxError> {
        Ok(parked::list(&parked_path(&self.dir))?)
    }
}
