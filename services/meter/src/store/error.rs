//! Why a store cannot be used.

use tollbooth_ledger::ImageError;

use super::Mismatch;

/// A store that is given up: it is removed, and built anew from a checkpoint or the ledger.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It belongs to something else.
    #[error("the store {0}")]
    Mismatch(#[from] Mismatch),
    /// Some of its tables are behind the others.
    #[error("the store is torn: {0}")]
    Torn(String),
    /// A row is none.
    #[error("a row of the store {0}")]
    Row(#[from] ImageError),
    /// Bytes that fail their checksum, or a disk that fails.
    #[error("the store cannot be read or written: {0}")]
    Engine(#[from] fjall::Error),
    /// Its rows and the ledger contradict each other.
    #[error("the store contradicts the ledger: {0}")]
    Contradiction(String),
    /// The engine gave up on what it found.
    #[error("the store's engine panicked")]
    Panicked,
    /// Another process has it open.
    #[error("the store is open in another process: give each meter a directory of its own (store.dir)")]
    Locked,
}

impl StoreError {
    /// Every code, for metrics.
    pub const CODES: [&'static str; 7] =
        ["mismatch", "future", "torn", "checksum", "contradiction", "panicked", "locked"];

    /// A stable name for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Mismatch(Mismatch::Future { .. }) => "future",
            Self::Mismatch(_) => "mismatch",
            Self::Torn(_) => "torn",
            Self::Row(_) | Self::Engine(_) => "checksum",
            Self::Contradiction(_) => "contradiction",
            Self::Panicked => "panicked",
            Self::Locked => "locked",
        }
    }
}
