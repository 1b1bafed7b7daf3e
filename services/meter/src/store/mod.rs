//! A partition's state on this machine's disk: what a restart begins with, and what memory need not hold.
//!
//! One LSM ([`fjall`]) a partition. A table `state` has the accounts, events, open holds and counts by month, which are all in memory, too;
//! a table a posting week has operations, answers, ended holds and refunds, and goes as a whole when its week is
//! forgotten. Rows are written only after the Kafka transaction that made them was committed, many transactions at once,
//! in one atomic batch with a [`Tag`]: the store is behind the ledger or equal, never ahead.
//!
//! Nothing is synced: a process that is killed loses nothing (the system has what was written), a machine that loses power
//! may lose the last batches, and then the ledger's tail is folded again. The number of the write stands in every table, so
//! that tables of which some came through and some did not are seen, and the store is built anew.

mod checkpoint;
mod config;
mod error;
mod filter;
mod read;
mod runs;
mod tag;
mod write;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use tollbooth_ledger::{Key, Remembered, Table};

pub(crate) use checkpoint::Target;
pub use checkpoint::{CheckpointConfig, CheckpointError, Checkpoints};
pub use config::{StoreConfig, StoreSettings};
pub use error::StoreError;
use filter::Filter;
pub use read::{Bounds, remove};
pub(crate) use runs::FAN_IN;
use runs::Run;
pub(crate) use tag::hash_of_record;
pub use tag::{Folded, Identity, LastRecord, Mismatch, Tag};

/// The table of what is all in memory, too.
const STATE: &str = "state";
/// Memory that one table's newest rows take before they become a file.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Files that one partition's engine keeps open; others are opened when they are read.
const FILES_MAX: usize = 32;
/// The least the journal may be limited to.
const JOURNAL_BYTES: u64 = 64 << 20;

/// First byte of a key in the table of the state.
mod state_key {
    pub(super) const TAG: u8 = b't';
    pub(super) const ACCOUNT: u8 = b'a';
    pub(super) const EVENT: u8 = b'e';
    pub(super) const HOLD: u8 = b'h';
    pub(super) const COUNTER: u8 = b'c';
}

/// First byte of a key in the table of a week.
mod week_key {
    pub(super) const ANSWER: u8 = b'A';
    pub(super) const ENDED_HOLD: u8 = b'H';
    pub(super) const REFUND: u8 = b'R';
    pub(super) const RUN: u8 = b'i';
    pub(super) const MARK: u8 = b'm';
    pub(super) const OPERATIONS: u8 = b'o';
}

const fn prefix_of(table: Table) -> u8 {
    match table {
        Table::Answers => week_key::ANSWER,
        Table::EndedHolds => week_key::ENDED_HOLD,
        Table::Refunds => week_key::REFUND,
    }
}

/// A key of so many parts behind its first byte.
fn key(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(first);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// Spreads the kinds of rows over the filter: an operation's refund has the operation's digest.
const fn hash_of(key: &Key) -> u64 {
    let hash = key.digest().hash();
    match key {
        Key::Operation(_) => hash,
        Key::Answer(_) => hash.rotate_left(17) ^ 0x9e37_79b9_7f4a_7c15,
        Key::Hold(_) => hash.rotate_left(29) ^ 0xc2b2_ae3d_27d4_eb4f,
        Key::Refund(_) => hash.rotate_left(43) ^ 0x1656_67b1_9e37_79f9,
    }
}

/// The table of a posting week, and what memory knows of it.
struct Week {
    keyspace: Keyspace,
    filter: Filter,
    runs: Vec<Run>,
}

impl Week {
    fn operations(&self) -> usize {
        self.runs.iter().map(|run| run.operations).sum()
    }
}

/// A partition's store, open.
pub struct Store {
    db: Database,
    state: Keyspace,
    weeks: BTreeMap<u16, Week>,
    tag: Tag,
    /// Looks at the disk since they were counted.
    reads: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("tag", &self.tag).field("weeks", &self.weeks.len()).finish_non_exhaustive()
    }
}

/// What a store takes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StoreSizes {
    /// Rows of operations; one that changed over several writes may count more than once.
    pub operations: usize,
    /// Memory of the filters.
    pub filter_bytes: usize,
    /// On disk, the journal included.
    pub disk_bytes: u64,
}

fn week_name(week: u16) -> String {
    format!("week-{week:05}")
}

fn week_of_name(name: &str) -> Option<u16> {
    name.strip_prefix("week-")?.parse().ok()
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
}

fn open_database(dir: &Path, cache_bytes: u64) -> Result<Database, StoreError> {
    std::fs::create_dir_all(dir).map_err(fjall::Error::Io)?;
    let builder = Database::builder(dir)
        .cache_size(cache_bytes)
        .worker_threads(1)
        .max_cached_files(Some(FILES_MAX))
        .max_journaling_size(JOURNAL_BYTES);
    Ok(builder.open()?)
}

impl Store {
    /// The ledger is folded up to here, exclusive.
    #[must_use]
    pub const fn next_offset(&self) -> i64 {
        self.tag.next_offset
    }

    /// The same, with the record that was the last.
    #[must_use]
    pub const fn folded(&self) -> Folded {
        Folded { next_offset: self.tag.next_offset, last: self.tag.last }
    }

    /// Whether nothing was ever written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tag.write == 0
    }

    /// Whether the store may have a row: no for one that it has not, but for about one in a
    /// thousand, for each week that is kept.
    #[must_use]
    pub fn may_have(&self, key: &Key) -> bool {
        let hash = hash_of(key);
        self.weeks.values().any(|week| week.filter.may_have(hash))
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// When it cannot be read: the store is to be given up.
    pub fn remembered(&self, key: &Key) -> Result<Option<Remembered>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let hash = hash_of(key);
        let mut found: Option<Remembered> = None;
        for (week, table) in self.weeks.iter().rev() {
            if !table.filter.may_have(hash) {
                continue;
            }
            let row = match key {
                Key::Operation(digest) => runs::find(table, *week, *digest)?,
                Key::Answer(_) => table.row(*week, Table::Answers, key)?,
                Key::Hold(_) => table.row(*week, Table::EndedHolds, key)?,
                Key::Refund(_) => table.row(*week, Table::Refunds, key)?,
            };
            let Some(row) = row else { continue };
            // Rows of other kinds are in the newest week that has them; of an operation, the later entry counts.
            if !matches!(key, Key::Operation(_)) {
                return Ok(Some(row));
            }
            if found.as_ref().is_none_or(|found| found.operation_seq() < row.operation_seq()) {
                found = Some(row);
            }
        }
        Ok(found)
    }

    /// Looks at the disk since this was asked last.
    #[must_use]
    pub fn take_reads(&self) -> u64 {
        self.reads.swap(0, Ordering::Relaxed)
    }

    /// Memory that the filters take.
    #[must_use]
    pub fn filter_bytes(&self) -> usize {
        self.weeks.values().map(|week| week.filter.bytes()).sum()
    }

    /// What it takes.
    #[must_use]
    pub fn sizes(&self) -> StoreSizes {
        StoreSizes {
            operations: self.weeks.values().map(Week::operations).sum(),
            filter_bytes: self.filter_bytes(),
            disk_bytes: self.db.disk_space().unwrap_or_default(),
        }
    }
}

impl Week {
    fn row(&self, week: u16, table: Table, of: &Key) -> Result<Option<Remembered>, StoreError> {
        let bytes = self.keyspace.get(key(prefix_of(table), &[&of.digest().to_bytes()]))?;
        Ok(bytes.map(|bytes| Remembered::row(table, week, &bytes)).transpose()?)
    }
}
