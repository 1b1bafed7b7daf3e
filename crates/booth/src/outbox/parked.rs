//! What ingest refused: kept beside the queue, with the reason, for a person.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Item;
use crate::transport::Problem;

/// A report that ingest refused with a 4xx. It is never sent again by itself and never deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parked {
    /// Its place in the queue.
    pub seq: u64,
    /// CloudEvents `id`.
    pub id: String,
    /// When it was parked, milliseconds since the epoch.
    pub parked_at_ms: i64,
    /// Why.
    pub problem: Problem,
    /// The event as it was sent.
    pub event: Box<RawValue>,
}

/// One JSON line each. A torn last line belongs to an item that is still in the queue.
#[derive(Debug)]
pub(crate) struct ParkedFile {
    file: File,
    count: u64,
    last_seq: Option<u64>,
}

impl ParkedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let parked = list(path)?;
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // A torn line ends here, so that the next one begins at its own line.
        if !parked.ends_whole {
            file.write_all(b"\n")?;
        }
        let last_seq = parked.items.iter().map(|item| item.seq).max();
        Ok(Self { file, count: parked.items.len() as u64, last_seq })
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Writes refused items and waits until they are on disk. One that a crash let through a second time is skipped.
    pub(crate) fn append(&mut self, refused: &[(Item, Problem)], now_ms: i64) -> io::Result<()> {
        let mut lines = Vec::new();
        let mut added = 0;
        for (item, problem) in refused {
            if self.last_seq.is_some_and(|last| item.seq <= last) {
                continue;
            }
            let event = RawValue::from_string(String::from_utf8_lossy(&item.event).into_owned())?;
            let line =
                Parked { seq: item.seq, id: item.id.clone(), parked_at_ms: now_ms, problem: problem.clone(), event };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
            added += 1;
        }
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        self.count += added;
        self.last_seq = refused.iter().map(|(item, _)| item.seq).chain(self.last_seq).max();
        Ok(())
    }
}

pub(crate) struct ParkedList {
    pub(crate) items: Vec<Parked>,
    ends_whole: bool,
}

pub(crate) fn list(path: &Path) -> io::Result<ParkedList> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(ParkedList { items: Vec::new(), ends_whole: true });
        }
        Err(error) => return Err(error),
    };
    let mut items: Vec<Parked> = Vec::new();
    let mut ends_whole = true;
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        ends_whole = line.is_empty() || serde_json::from_slice::<Parked>(&line).is_ok();
        items.extend(serde_json::from_slice::<Parked>(&line));
    }
    Ok(ParkedList { items, ends_whole })
}
