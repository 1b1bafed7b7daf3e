//! The segments: files of frames, each named by the sequence number of its first one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{OutboxConfig, OutboxError, dirs::sync_dir, frame};

const SUFFIX: &str = ".seg";

fn segment_path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}{SUFFIX}"))
}

/// First sequence numbers of all segments, ascending.
fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(start) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
        starts.extend(start.parse::<u64>());
    }
    starts.sort_unstable();
    Ok(starts)
}

/// What was found at opening.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Recovered {
    /// Bytes of frames at or above the cursor.
    pub(crate) pending_bytes: u64,
    /// Bytes behind the last whole frame, set aside.
    pub(crate) torn_bytes: u64,
}

/// The writing end. One per directory.
#[derive(Debug)]
pub(crate) struct LogWriter {
    dir: PathBuf,
    file: File,
    segment_bytes: u64,
    segment_bytes_max: u64,
    next_seq: u64,
    sync: bool,
    poisoned: bool,
}

impl LogWriter {
    /// Opens the log, cuts what a crash tore off its end, and removes segments that lie below `cursor` whole.
    pub(crate) fn open(dir: &Path, cursor: u64, config: &OutboxConfig) -> Result<(Self, Recovered), OutboxError> {
        let mut recovered = Recovered::default();
        let starts = segments(dir)?;
        let mut next_seq = cursor;
        let mut last: Option<(u64, u64)> = None;
        for (index, &start) in starts.iter().enumerate() {
            let following = starts.get(index + 1).copied();
            if following.is_some_and(|following| following <= cursor) {
                fs::remove_file(segment_path(dir, start))?;
                continue;
            }
            let scan = scan(&segment_path(dir, start), start, cursor)?;
            recovered.pending_bytes += scan.pending_bytes;
            match following {
                // Only the newest segment is ever written to, so nothing else can be torn.
                Some(following) if scan.rest.is_some() || scan.next_seq != following => {
                    return Err(OutboxError::Corrupt { path: segment_path(dir, start), seq: scan.next_seq });
                }
                Some(_) => {}
                None => {
                    if let Some(rest) = &scan.rest {
                        recovered.torn_bytes = set_aside(dir, start, &scan, rest)?;
                    }
                    next_seq = scan.next_seq;
                    last = Some((start, scan.whole_bytes));
                }
            }
        }
        if next_seq < cursor {
            return Err(OutboxError::Corrupt { path: dir.to_owned(), seq: next_seq });
        }
        let (start, segment_bytes) = last.unwrap_or((next_seq, 0));
        let file = OpenOptions::new().create(true).append(true).open(segment_path(dir, start))?;
        sync_dir(dir)?;
        let writer = Self {
            dir: dir.to_owned(),
            file,
            segment_bytes,
            segment_bytes_max: config.segment_bytes_max,
            next_seq,
            sync: config.sync,
            poisoned: false,
        };
        Ok((writer, recovered))
    }

    /// A log that writes to this file.
    #[cfg(test)]
    pub(crate) fn on(file: File) -> Self {
        let config = OutboxConfig::default();
        Self {
            dir: PathBuf::new(),
            file,
            segment_bytes: 0,
            segment_bytes_max: config.segment_bytes_max,
            next_seq: 0,
            sync: config.sync,
            poisoned: false,
        }
    }

    /// The sequence number that the next record gets.
    pub(crate) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Writes records and waits until they are on disk. After an error it is unknown which of them are: what the kernel
    /// had taken by then may reach the disk, and is whole frames to the next opening.
    pub(crate) fn append(&mut self, payloads: &[Bytes]) -> Result<u64, OutboxError> {
        if self.poisoned {
            return Err(OutboxError::Poisoned);
        }
        if self.segment_bytes >= self.segment_bytes_max {
            self.rotate()?;
        }
        let mut buffer = Vec::with_capacity(payloads.iter().map(|payload| payload.len() + frame::HEADER_BYTES).sum());
        let mut seq = self.next_seq;
        for payload in payloads {
            frame::push(&mut buffer, seq, payload);
            seq += 1;
        }
        if let Err(error) = self.file.write_all(&buffer) {
            // A full disk may have taken a part of it; what follows must not come behind a torn frame.
            self.poisoned = self.file.set_len(self.segment_bytes).is_err();
            return Err(error.into());
        }
        if self.sync
            && let Err(error) = self.file.sync_data()
        {
            // After a failed fsync the kernel may have dropped the pages and call the next one a success
            // (https://wiki.postgresql.org/wiki/Fsync_Errors): only opening again tells what is there.
            self.poisoned = true;
            return Err(error.into());
        }
        let bytes = buffer.len() as u64;
        self.segment_bytes += bytes;
        self.next_seq = seq;
        Ok(bytes)
    }

    fn rotate(&mut self) -> Result<(), OutboxError> {
        let file = OpenOptions::new().create_new(true).append(true).open(segment_path(&self.dir, self.next_seq))?;
        sync_dir(&self.dir)?;
        self.file = file;
        self.segment_bytes = 0;
        Ok(())
    }
}

/// What a segment holds.
struct Scan {
    next_seq: u64,
    whole_bytes: u64,
    pending_bytes: u64,
    /// What lies behind the last whole frame.
    rest: Option<Vec<u8>>,
}

fn scan(path: &Path, start: u64, cursor: u64) -> io::Result<Scan> {
    let bytes = fs::read(path)?;
    let mut scan = Scan { next_seq: start, whole_bytes: 0, pending_bytes: 0, rest: None };
    let mut rest = bytes.as_slice();
    while let Some(payload) = frame::parse(rest, scan.next_seq) {
        let length = frame::frame_bytes(payload);
        rest = &rest[frame::HEADER_BYTES + payload.len()..];
        scan.whole_bytes += length;
        if scan.next_seq >= cursor {
            scan.pending_bytes += length;
        }
        scan.next_seq += 1;
    }
    if !rest.is_empty() {
        scan.rest = Some(rest.to_owned());
    }
    Ok(scan)
}

/// Keeps the torn bytes beside the log before they are cut: `enqueue` never answered for them, but a disk that lost
/// what it had promised should leave a trace.
fn set_aside(dir: &Path, start: u64, scan: &Scan, rest: &[u8]) -> Result<u64, OutboxError> {
    let mut aside = File::create(dir.join(format!("torn-{:020}.bin", scan.next_seq)))?;
    aside.write_all(rest)?;
    aside.sync_all()?;
    let file = OpenOptions::new().write(true).open(segment_path(dir, start))?;
    file.set_len(scan.whole_bytes)?;
    file.sync_all()?;
    Ok(rest.len() as u64)
}

/// The reading end, in order from the cursor.
#[derive(Debug)]
pub(crate) struct LogReader {
    dir: PathBuf,
    next_seq: u64,
    open: Option<Segment>,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    file: File,
    /// Where in the file the next frame begins.
    offset: u64,
    /// Sequence number of that frame.
    seq: u64,
    /// Bytes from `offset` on, the first `at` of them done.
    buffer: Vec<u8>,
    at: usize,
}

impl LogReader {
    pub(crate) fn new(dir: &Path, cursor: u64) -> Self {
        Self { dir: dir.to_owned(), next_seq: cursor, open: None }
    }

    pub(crate) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next records below `until`, at most so many and about so many bytes.
    pub(crate) fn read(
        &mut self,
        until: u64,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, OutboxError> {
        let mut records = Vec::new();
        let mut bytes: usize = 0;
        if let Some(segment) = &mut self.open {
            // Bytes beyond an earlier `until` may have been cut and written anew since.
            segment.forget();
        }
        while self.next_seq < until && records.len() < items_max && bytes < bytes_max {
            let payload = self.read_one()?;
            bytes += payload.len();
            records.push((self.next_seq, payload));
            self.next_seq += 1;
        }
        Ok(records)
    }

    fn read_one(&mut self) -> Result<Bytes, OutboxError> {
        loop {
            let segment = match &mut self.open {
                Some(segment) => segment,
                None => self.open.insert(Segment::open(&self.dir, self.next_seq)?),
            };
            match segment.next()? {
                Some(payload) if segment.seq > self.next_seq => return Ok(payload),
                // Before the cursor: delivered in an earlier run.
                Some(_) => {}
                None if segment.seq == self.next_seq && segment.start != self.next_seq => {
                    // Its end; the next one is named by the record that is wanted.
                    self.open = Some(Segment::open_exact(&self.dir, self.next_seq)?);
                }
                None => {
                    return Err(OutboxError::Corrupt {
                        path: segment_path(&self.dir, segment.start),
                        seq: self.next_seq,
                    });
                }
            }
        }
    }

    /// Removes the segments that lie below `cursor` whole.
    pub(crate) fn remove_below(&self, cursor: u64) -> io::Result<()> {
        let starts = segments(&self.dir)?;
        for pair in starts.windows(2) {
            if let [start, following] = pair
                && *following <= cursor
            {
                fs::remove_file(segment_path(&self.dir, *start))?;
            }
        }
        Ok(())
    }
}

const READ_BYTES: usize = 128 * 1024;

impl Segment {
    /// The segment that holds `seq`.
    fn open(dir: &Path, seq: u64) -> Result<Self, OutboxError> {
        let start = segments(dir)?.into_iter().rev().find(|start| *start <= seq);
        let start = start.ok_or_else(|| OutboxError::Corrupt { path: dir.to_owned(), seq })?;
        Self::open_exact(dir, start)
    }

    fn open_exact(dir: &Path, start: u64) -> Result<Self, OutboxError> {
        let file = File::open(segment_path(dir, start))?;
        Ok(Self { start, file, offset: 0, seq: start, buffer: Vec::new(), at: 0 })
    }

    fn forget(&mut self) {
        self.buffer.clear();
        self.at = 0;
    }

    /// The next whole frame; `None` where the file has no more.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(payload) = self.buffer.get(self.at..).and_then(|bytes| frame::parse(bytes, self.seq)) {
                let payload = Bytes::copy_from_slice(payload);
                self.at += frame::HEADER_BYTES + payload.len();
                self.offset += frame::frame_bytes(&payload);
                self.seq += 1;
                return Ok(Some(payload));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let had = self.buffer.len();
            if had >= frame::HEADER_BYTES + frame::PAYLOAD_BYTES_MAX {
                return Ok(None);
            }
            self.buffer.resize(had + READ_BYTES, 0);
            let read = self.file.read_at(&mut self.buffer[had..], self.offset + had as u64)?;
            self.buffer.truncate(had + read);
            if read == 0 {
                return Ok(None);
            }
        }
    }
}
