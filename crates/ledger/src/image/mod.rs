//! A state outside of memory: what changed goes out as rows, and comes back as a state.
//!
//! Accounts, events, open holds and counts by month are all in memory and go out when they change. Operations, answers, ended holds and
//! refunds are many: memory has those that changed last, and the rest is asked for by [`Key`] before something is decided
//! on it. What is due is no row: it follows from the accounts and the open holds.
//!
//! Every conversion takes its type apart by name, so that a field that is added and forgotten here does not compile. The
//! messages are protobuf: a new field takes a new tag, and is the default where an older release wrote the row. Where that
//! default would be wrong, [`STATE_VERSION`] is raised, and older stores are built anew.

mod changed;
mod load;
mod rows;

pub(crate) use changed::Changed;
pub use changed::{Changes, Row};
pub use rows::{OPERATION_ROW_BYTES, Remembered, Table};
use tollbooth_schemas::Money;

use crate::digest::Digest;

/// Of everything that is written here. 3: an account knows that its zone was changed; a release that drops this must not go on
/// from such a row.
pub const STATE_VERSION: u32 = 3;

/// A row outside of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Of an operation.
    Operation(Digest),
    /// Of the answer to a command.
    Answer(Digest),
    /// Of a hold that has ended.
    Hold(Digest),
    /// Of what was given back of an operation.
    Refund(Digest),
}

impl Key {
    /// What stands for it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        match self {
            Self::Operation(digest) | Self::Answer(digest) | Self::Hold(digest) | Self::Refund(digest) => *digest,
        }
    }
}

/// Bytes that are no row of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// No such message.
    #[error("is no row: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A value that cannot be.
    #[error("has {0} that cannot be")]
    Value(&'static str),
}

pub(crate) fn money(micros: i64) -> Result<Money, ImageError> {
    Money::from_micros(micros).ok_or(ImageError::Value("an amount"))
}
