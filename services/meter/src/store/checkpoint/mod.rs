//! Copies of a store elsewhere, for a machine that has none: a directory, or an object store.
//!
//! A checkpoint is a folder of parts and a manifest, `<cluster>/<ledger>/<partition>/<offset>-<time>/`. It is never changed
//! once its manifest stands, which is written last and says the length and the checksum of each part. What is restored is
//! put into an empty store, and that is opened as any other is: with all of its own checks.

mod export;
mod import;
mod manifest;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt as _;
pub(crate) use import::Target;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path as ObjectPath};
use serde::{Deserialize, Serialize};

use super::{Identity, Mismatch, StoreError};

/// Name of what makes a checkpoint one.
const MANIFEST: &str = "manifest.json";

/// Copies of stores elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// `file:///var/lib/tollbooth/checkpoints`, or with the feature `s3` `s3://bucket/prefix`, whose credentials are read
    /// from the environment (`AWS_*`). Empty (the default): none are made.
    pub url: String,
    /// Entries after which a partition's next one is made. Default 2,000,000.
    pub rows: usize,
    /// Time after which it is, where there is anything new, in seconds. Default 3600.
    pub seconds: u64,
    /// How many of a partition are kept. Default 2.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { url: String::new(), rows: 2_000_000, seconds: 3_600, keep: 2 }
    }
}

/// Why there is no checkpoint, or why one is not used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Where they lie cannot be used.
    #[error("checkpoint.url: {0}")]
    Url(String),
    /// The object store failed.
    #[error("the checkpoints' store: {0}")]
    Objects(#[from] object_store::Error),
    /// A manifest that is none.
    #[error("{0} is no manifest of this release")]
    Manifest(String),
    /// A part that is not what the manifest says.
    #[error("{0} is not what the manifest says it is")]
    Part(String),
    /// Of something else.
    #[error("the checkpoint {0}")]
    Mismatch(#[from] Mismatch),
    /// The store made from it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no thread or runtime to give.
    #[error("cannot begin: {0}")]
    System(#[from] std::io::Error),
}

impl CheckpointError {
    /// Every code, for metrics.
    pub const CODES: [&'static str; 6] = ["unreachable", "manifest", "checksum", "mismatch", "future", "store"];

    /// A stable name for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Objects(_) | Self::System(_) => "unreachable",
            Self::Manifest(_) => "manifest",
            Self::Part(_) => "checksum",
            Self::Mismatch(Mismatch::Future { .. }) => "future",
            Self::Mismatch(_) => "mismatch",
            Self::Store(_) => "store",
        }
    }
}

/// Where checkpoints lie, and when they are made.
#[derive(Debug)]
pub struct Checkpoints {
    objects: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    pub(crate) rows: usize,
    pub(crate) every: Duration,
    keep: usize,
    /// One at a time, however many partitions are due.
    is_busy: Arc<AtomicBool>,
}

/// Taken for as long as one is made.
pub(super) struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Checkpoints {
    /// `None`: none are made.
    ///
    /// # Errors
    /// When the place is none that this build knows.
    pub fn new(config: &CheckpointConfig) -> Result<Option<Self>, CheckpointError> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let (objects, prefix) = crate::objects::open(&config.url).map_err(CheckpointError::Url)?;
        Ok(Some(Self {
            objects,
            prefix,
            rows: config.rows.max(1),
            every: Duration::from_secs(config.seconds),
            keep: config.keep.max(1),
            is_busy: Arc::default(),
        }))
    }

    pub(super) fn busy(&self) -> Option<Busy> {
        let taken = self.is_busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        taken.then(|| Busy(Arc::clone(&self.is_busy)))
    }

    fn folder(&self, identity: &Identity) -> ObjectPath {
        let Identity { cluster_id, ledger, partition, retention_weeks: _ } = identity;
        let partition = partition.to_string();
        [cluster_id.as_str(), ledger, &partition].into_iter().fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Everything in a partition's folder.
    async fn all(&self, identity: &Identity) -> Result<Vec<ObjectPath>, CheckpointError> {
        let listed = self.objects.list(Some(&self.folder(identity)));
        Ok(listed.map_ok(|object| object.location).try_collect().await?)
    }

    /// Manifests, the newest first: their folders sort by offset and time.
    async fn manifests(&self, identity: &Identity) -> Result<Vec<ObjectPath>, CheckpointError> {
        let mut manifests = self.all(identity).await?;
        manifests.retain(|path| path.filename() == Some(MANIFEST));
        manifests.sort_by(|one, other| other.as_ref().cmp(one.as_ref()));
        Ok(manifests)
    }

    /// Removes all that is older than the last ones to be kept, unfinished ones too.
    async fn prune(&self, identity: &Identity) -> Result<(), CheckpointError> {
        let manifests = self.manifests(identity).await?;
        let Some(oldest) = manifests.get(self.keep - 1) else { return Ok(()) };
        let oldest = oldest.as_ref().trim_end_matches(MANIFEST);
        let mut older = self.all(identity).await?;
        older.retain(|path| path.as_ref() < oldest);
        // Manifests first: what is left without one is no checkpoint.
        older.sort_by_key(|path| path.filename() != Some(MANIFEST));
        for path in older {
            self.objects.delete(&path).await?;
        }
        Ok(())
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CheckpointError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
