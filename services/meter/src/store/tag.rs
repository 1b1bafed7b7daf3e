//! Whose a store is, and how far its rows go.

use prost::Message;
use tollbooth_ledger::STATE_VERSION;
use xxhash_rust::xxh3::xxh3_64;

/// Of the way rows are laid out here, beside [`STATE_VERSION`].
pub(super) const LAYOUT_VERSION: u32 = 2;

/// What a store belongs to. Every one of these must be the same, or its rows say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The Kafka cluster's own id.
    pub cluster_id: String,
    /// The ledger topic.
    pub ledger: String,
    /// Its partition.
    pub partition: i32,
    /// How many weeks are kept: a store that kept fewer has forgotten more.
    pub retention_weeks: u16,
}

/// The ledger's record that was folded last. A topic that was replaced, or was cut and written on, has the same name and may
/// be as long: what stands at that offset tells it from the one that was folded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct LastRecord {
    /// Its offset.
    #[prost(int64, tag = "1")]
    pub offset: i64,
    /// XXH3 of its payload, which says account, time and entries. Found are accidents, not forgeries.
    #[prost(fixed64, tag = "2")]
    pub(super) hash: u64,
}

impl LastRecord {
    /// Of a record of the ledger.
    #[must_use]
    pub fn of(offset: i64, payload: &[u8]) -> Self {
        Self { offset, hash: hash_of_record(payload) }
    }

    /// As [`Self::of`], where the hash was taken before the offset was known.
    #[must_use]
    pub(crate) const fn of_hash(offset: i64, hash: u64) -> Self {
        Self { offset, hash }
    }
}

/// What a record is told from others by.
pub(crate) fn hash_of_record(payload: &[u8]) -> u64 {
    xxh3_64(payload)
}

/// How far a ledger was folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// Exclusive. Behind the last record there may be markers.
    pub next_offset: i64,
    /// `None`: no record was folded, or nobody knows which one was the last, and none is compared.
    pub last: Option<LastRecord>,
}

/// Written with every batch of rows.
#[derive(Clone, PartialEq, Message)]
pub struct Tag {
    #[prost(uint32, tag = "1")]
    pub(super) state_version: u32,
    #[prost(uint32, tag = "2")]
    pub(super) layout_version: u32,
    #[prost(string, tag = "3")]
    pub(super) cluster_id: String,
    #[prost(string, tag = "4")]
    pub(super) ledger: String,
    #[prost(int32, tag = "5")]
    pub(super) partition: i32,
    #[prost(uint32, tag = "6")]
    pub(super) retention_weeks: u32,
    /// The ledger is folded up to here, exclusive.
    #[prost(int64, tag = "7")]
    pub next_offset: i64,
    /// Counted up; stands in every table, so that one that lags behind the others is seen.
    #[prost(uint64, tag = "8")]
    pub(super) write: u64,
    /// What the state has one of: how far its inputs were folded, and when was posted last.
    #[prost(bytes = "vec", tag = "9")]
    pub(super) head: Vec<u8>,
    /// Counted up.
    #[prost(uint32, tag = "10")]
    pub(super) next_run: u32,
    /// Compared with the ledger before its tail is folded.
    #[prost(message, optional, tag = "11")]
    pub(super) last: Option<LastRecord>,
}

/// Why a store is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Written by another release.
    #[error("is of version {found}, this release writes {expected}")]
    Version {
        /// State and layout.
        found: String,
        /// State and layout.
        expected: String,
    },
    /// Of another cluster, topic or partition, or with another retention.
    #[error("belongs to {found}, not to {expected}")]
    Other {
        /// As it says.
        found: String,
        /// As it should.
        expected: String,
    },
    /// Ahead of the ledger.
    #[error("goes up to offset {next}, but the ledger ends at {end}")]
    Future {
        /// The store's next offset.
        next: i64,
        /// The ledger's.
        end: i64,
    },
    /// The record that was folded last is another one.
    #[error("was made of another ledger: the record at offset {offset} is not the one that was folded")]
    Replaced {
        /// Of the record.
        offset: i64,
    },
    /// Behind the ledger's beginning.
    #[error("goes up to offset {next}, but the ledger begins at {low}")]
    Past {
        /// The store's next offset.
        next: i64,
        /// The ledger's first.
        low: i64,
    },
}

fn versions(state: u32, layout: u32) -> String {
    format!("{state}.{layout}")
}

fn of(cluster_id: &str, ledger: &str, partition: i32, weeks: u32) -> String {
    format!("{ledger}-{partition} of cluster {cluster_id}, {weeks} weeks kept")
}

impl Tag {
    pub(crate) fn new(identity: &Identity) -> Self {
        let Identity { cluster_id, ledger, partition, retention_weeks } = identity;
        Self {
            state_version: STATE_VERSION,
            layout_version: LAYOUT_VERSION,
            cluster_id: cluster_id.clone(),
            ledger: ledger.clone(),
            partition: *partition,
            retention_weeks: u32::from(*retention_weeks),
            next_offset: 0,
            write: 0,
            head: Vec::new(),
            next_run: 0,
            last: None,
        }
    }

    /// Whether rows with this tag may be folded on from where they stand, on a ledger from `low` to `end`.
    pub(crate) fn check(&self, identity: &Identity, low: i64, end: i64) -> Result<(), Mismatch> {
        let found = versions(self.state_version, self.layout_version);
        let expected = versions(STATE_VERSION, LAYOUT_VERSION);
        if found != expected {
            return Err(Mismatch::Version { found, expected });
        }
        let found = of(&self.cluster_id, &self.ledger, self.partition, self.retention_weeks);
        let Identity { cluster_id, ledger, partition, retention_weeks } = identity;
        let expected = of(cluster_id, ledger, *partition, u32::from(*retention_weeks));
        if found != expected {
            return Err(Mismatch::Other { found, expected });
        }
        if self.next_offset > end {
            return Err(Mismatch::Future { next: self.next_offset, end });
        }
        if self.next_offset < low {
            return Err(Mismatch::Past { next: self.next_offset, low });
        }
        Ok(())
    }
}
