//! What could not be charged, and why. The record's original bytes are its value; the rest stands in headers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Header names of a record in `dead-letter`; values are UTF-8 text.
pub mod header {
    /// One of the [`Reason`](super::Reason) codes.
    pub const REASON: &str = "tollbooth-reason";
    /// What is wrong, for a person.
    pub const DETAIL: &str = "tollbooth-detail";
    /// Where it was found: `decode`, `apply`.
    pub const STEP: &str = "tollbooth-step";
    /// Topic of the record.
    pub const SOURCE_TOPIC: &str = "tollbooth-source-topic";
    /// Partition of the record, decimal.
    pub const SOURCE_PARTITION: &str = "tollbooth-source-partition";
    /// Offset of the record, decimal.
    pub const SOURCE_OFFSET: &str = "tollbooth-source-offset";
    /// Append time of the record, RFC 3339.
    pub const RECEIVED_AT: &str = "tollbooth-received-at";
    /// When it was put here, RFC 3339.
    pub const DEAD_AT: &str = "tollbooth-dead-at";
    /// Only where the value was cut: how many bytes the record has, decimal. The source offset names the whole of it.
    pub const ORIGINAL_BYTES: &str = "tollbooth-original-bytes";
}

/// Longest value kept whole; eight times the largest event. A longer record was never an event, and kept whole it would
/// be more than the topic takes: the meter would stand before it for good.
pub const BYTES_MAX: usize = 512 * 1024;
/// Longest key kept.
pub const KEY_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of the record's own headers kept; the others are left out.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why a record is a dead letter: a closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, for metrics that are bound once.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands in headers, labels and answers.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The reason of a code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.code() == code)
            }
        }
    };
}

reasons! {
    /// Not a usage event, or not a command.
    Malformed = "malformed",
    /// Its key is empty, is not the account, or does not hash to the partition.
    WrongPartition = "wrong_partition",
    /// No such account was opened.
    UnknownAccount = "unknown_account",
    /// No price in force when it occurred.
    NoPrice = "no_price",
    /// The engine had a price, which ended before it occurred.
    EngineRetired = "engine_retired",
    /// The price is per another unit.
    UnitMismatch = "unit_mismatch",
    /// It occurred longer before its receipt than the age limit.
    TooOld = "too_old",
    /// It occurred further after its receipt than the limit.
    InFuture = "in_future",
    /// The charge or the balance does not fit.
    OutOfRange = "out_of_range",
    /// The operation was charged with other content.
    Conflict = "conflict",
    /// A failure was reported for an operation that is charged.
    FailedAfterCharge = "failed_after_charge",
    /// A defect of ours; the record is kept.
    Internal = "internal",
}
