//! What could not be charged, and why. The record's original bytes are its value; the rest stands in headers.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1;

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

    /// Makes the record no letter, but a word about one, which was driven again or dismissed: one of the
    /// [`LetterOutcome`](super::LetterOutcome) codes. Its source headers name the letter; its value is empty. The
    /// [`DETAIL`] of a dismissal is the note of whoever decided it.
    pub const OUTCOME: &str = "tollbooth-outcome";
    /// Id of the API key that asked for it, also for a dismissal.
    pub const REDRIVEN_BY: &str = "tollbooth-redriven-by";
    /// When it was decided, RFC 3339; the same.
    pub const REDRIVEN_AT: &str = "tollbooth-redriven-at";
    /// Id of the entry that was posted.
    pub const ENTRY: &str = "tollbooth-entry";
    /// Partition and offset of the command that asked for it: `3/1204`.
    pub const COMMAND: &str = "tollbooth-command";
}

/// Longest value kept whole; eight times the largest event. A longer record was never an event, and kept whole it would
/// be more than the topic takes: the meter would stand before it for good.
pub const BYTES_MAX: usize = 512 * 1024;
/// Longest key kept.
pub const KEY_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of the record's own headers kept; the others are left out.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// What names a letter: the record that it is of. As text `topic-partition-offset`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// Full name of the topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.topic, self.partition, self.offset)
    }
}

/// Not the id of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be topic, partition and offset of its record, as the list of dead letters shows it")]
pub struct LetterIdError;

impl FromStr for LetterId {
    type Err = LetterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // From the end: a topic's name may have dashes of its own.
        let mut parts = text.rsplitn(3, '-');
        let mut digits = || parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let (offset, partition) = digits().zip(digits()).ok_or(LetterIdError)?;
        let topic = parts.next().filter(|topic| !topic.is_empty()).ok_or(LetterIdError)?;
        let partition = partition.parse().map_err(|_| LetterIdError)?;
        Ok(Self { topic: topic.to_owned(), partition, offset: offset.parse().map_err(|_| LetterIdError)? })
    }
}

impl From<&v1::LetterSource> for LetterId {
    fn from(source: &v1::LetterSource) -> Self {
        Self { topic: source.topic.clone(), partition: source.partition, offset: source.offset }
    }
}

impl From<&LetterId> for v1::LetterSource {
    fn from(id: &LetterId) -> Self {
        Self { topic: id.topic.clone(), partition: id.partition, offset: id.offset }
    }
}

/// What became of a letter that was driven again or dismissed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetterOutcome {
    /// It is in the ledger.
    Posted,
    /// Its report had reached the ledger by another way meanwhile.
    Duplicate,
    /// It reports a failure of an attempt before the one that was charged meanwhile.
    Stale,
    /// Refused again; the letter stays open.
    Refused,
    /// A person decided that nothing will be charged for it.
    Dismissed,
}

impl LetterOutcome {
    /// What the meter says of a letter that was driven again, for metrics that are bound once.
    pub const OF_REDRIVE: [Self; 4] = [Self::Posted, Self::Duplicate, Self::Stale, Self::Refused];
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Posted, Self::Duplicate, Self::Stale, Self::Refused, Self::Dismissed];

    /// The code as it stands in headers, labels and answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Dismissed => "dismissed",
        }
    }

    /// The outcome of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// Whether nothing is left to be done about the letter.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Refused)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_also_where_the_topic_has_dashes() {
        for text in ["tollbooth.usage-3-1199", "eu-west-1.usage-0-0"] {
            assert_eq!(text.parse::<LetterId>().unwrap().to_string(), text);
        }
        for text in ["", "usage", "usage-3", "-3-1", "usage-3--1", "usage-3-x", "usage-3-+1", "usage-99999999999-1"] {
            assert_eq!(text.parse::<LetterId>(), Err(LetterIdError), "{text:?}");
        }
    }
}
