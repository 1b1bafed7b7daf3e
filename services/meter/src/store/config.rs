//! What an operator can set about stores.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CheckpointConfig, Identity};

/// The state on this machine's disk.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Directory of this meter alone, with a store for each partition below it. Empty (the default): state is in memory
    /// only, and a restart folds the whole ledger.
    pub dir: String,
    /// Rows by which a partition's state may be ahead of its store. Default 100,000.
    pub write_rows: usize,
    /// Time by which it may be, in seconds. Default 10.
    pub write_seconds: u64,
    /// Memory for operations that are in a store already and changed not long ago, whole process, in MiB. Default 256.
    pub recent_mib_max: usize,
    /// Memory for blocks that were read, whole process, in MiB. Default 64.
    pub cache_mib: u64,
    /// Copies elsewhere.
    pub checkpoint: CheckpointConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            dir: String::new(),
            write_rows: 100_000,
            write_seconds: 10,
            recent_mib_max: 256,
            cache_mib: 64,
            checkpoint: CheckpointConfig::default(),
        }
    }
}

/// The settings, divided by the partitions.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    dir: PathBuf,
    cluster_id: String,
    ledger: String,
    retention_weeks: u16,
    /// Of one partition.
    pub(crate) cache_bytes: u64,
    /// Rows of one partition.
    pub(crate) write_rows: usize,
    pub(crate) write_every: Duration,
    /// Rows of one partition, of each kind.
    pub(crate) recent_rows: usize,
}

/// Memory of an operation in a table, the table's spare room included.
const OPERATION_BYTES: usize = 104;
/// The least that an engine needs to work with.
const CACHE_BYTES_MIN: u64 = 1 << 20;

impl StoreSettings {
    /// `None`: there are no stores.
    #[must_use]
    pub fn new(
        config: &StoreConfig,
        cluster_id: String,
        ledger: String,
        partitions: i32,
        retention_weeks: u16,
    ) -> Option<Self> {
        if config.dir.is_empty() {
            return None;
        }
        let partitions = usize::try_from(partitions).unwrap_or_default().max(1);
        let share = u64::try_from(partitions).unwrap_or(1);
        Some(Self {
            dir: PathBuf::from(&config.dir),
            cluster_id,
            ledger,
            retention_weeks,
            cache_bytes: ((config.cache_mib << 20) / share).max(CACHE_BYTES_MIN),
            write_rows: config.write_rows.max(1),
            write_every: Duration::from_secs(config.write_seconds),
            recent_rows: (config.recent_mib_max << 20) / OPERATION_BYTES / partitions,
        })
    }

    /// Where the store of a partition lies.
    #[must_use]
    pub fn dir_of(&self, partition: i32) -> PathBuf {
        Path::new(&self.dir).join(format!("partition-{partition}"))
    }

    /// What the store of a partition must belong to.
    #[must_use]
    pub fn identity_of(&self, partition: i32) -> Identity {
        let Self { cluster_id, ledger, retention_weeks, .. } = self;
        Identity {
            cluster_id: cluster_id.clone(),
            ledger: ledger.clone(),
            partition,
            retention_weeks: *retention_weeks,
        }
    }
}
