//! Faults that are put in on purpose, each with the dead letter it must become.

use clap::ValueEnum;
use tollbooth_schemas::{dead_letter::Reason, time::DAY_MS, usage::Status};

use super::{draft::Draft, mix::SORA_RETIRED_MS};
use crate::journal::{Expect, Via};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Fault {
    /// An account that nobody opened.
    UnknownAccount,
    /// An engine without a price.
    NoPrice,
    /// An engine that is no longer sold.
    EngineRetired,
    /// Another unit than the price's.
    UnitMismatch,
    /// After the charge: the same operation with other content.
    Conflict,
    /// After the charge: the operation failed.
    FailedAfterCharge,
    /// A clock years off; ingest refuses it.
    ClockYears,
    /// Kafka only: bytes that are no event.
    Malformed,
    /// Kafka only: a key that is not the account, none, or another partition.
    WrongPartition,
    /// Kafka only: a clock days or years ahead.
    InFuture,
    /// Kafka only: a clock years behind.
    TooOld,
    /// Kafka only: a quantity beyond the bound.
    OutOfRange,
}

impl Fault {
    /// Whether it can only be sent straight into Kafka.
    #[must_use]
    pub const fn needs_kafka(self) -> bool {
        matches!(self, Self::Malformed | Self::WrongPartition | Self::InFuture | Self::TooOld | Self::OutOfRange)
    }

    /// Why it must be a dead letter; `None` where ingest refuses it.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        Some(match self {
            Self::UnknownAccount => Reason::UnknownAccount,
            Self::NoPrice => Reason::NoPrice,
            Self::EngineRetired => Reason::EngineRetired,
            Self::UnitMismatch => Reason::UnitMismatch,
            Self::Conflict => Reason::Conflict,
            Self::FailedAfterCharge => Reason::FailedAfterCharge,
            Self::Malformed => Reason::Malformed,
            Self::WrongPartition => Reason::WrongPartition,
            Self::InFuture => Reason::InFuture,
            Self::TooOld => Reason::TooOld,
            Self::OutOfRange => Reason::OutOfRange,
            Self::ClockYears => return None,
        })
    }

    /// Turns a good record into this fault. A conflict and a late failure come after the good record: see
    /// [`Fault::second`].
    pub(crate) fn apply(self, draft: &mut Draft, now_ms: i64) {
        match self {
            Self::Conflict | Self::FailedAfterCharge => return,
            Self::UnknownAccount => {
                if let Ok(nobody) = format!("acc_nobody_{}", draft.number % 1_000).parse() {
                    draft.report.account_id = nobody;
                }
            }
            Self::NoPrice => draft.report.engine = "prototype_x".to_owned(),
            Self::EngineRetired => {
                draft.report.service = "ai_image_to_video".to_owned();
                draft.report.engine = "sora".to_owned();
                draft.report.unit = "second".to_owned();
                draft.report.variant = None;
                draft.report.country = None;
                draft.report.occurred_at_ms = draft.report.occurred_at_ms.max(SORA_RETIRED_MS);
            }
            Self::UnitMismatch => {
                draft.report.unit = if draft.report.unit == "job" { "image" } else { "job" }.to_owned();
            }
            Self::ClockYears | Self::TooOld => draft.report.occurred_at_ms = now_ms - 3 * 365 * DAY_MS,
            Self::InFuture => draft.report.occurred_at_ms = now_ms + 3 * DAY_MS,
            Self::Malformed | Self::WrongPartition | Self::OutOfRange => {}
        }
        // A fault is one record: it succeeds, so that nothing but the fault decides about it.
        draft.report.status = Status::Success;
        draft.report.error_code = None;
        draft.fault = Some(self);
        draft.reason = self.reason();
        draft.expect = if draft.reason.is_some() { Expect::DeadLetter } else { Expect::Refused };
        if self.needs_kafka() && draft.via == Via::Http {
            draft.via = if draft.number.is_multiple_of(2) { Via::KafkaStructured } else { Via::KafkaBinary };
        }
        if matches!(self, Self::ClockYears) {
            draft.via = Via::Http;
        }
    }

    /// What a record of a booth becomes whose clock is so many years off, by the way that the booth uses.
    pub(crate) const fn of_wrong_year(years: i64, via: Via) -> Self {
        match (via, years < 0) {
            (Via::Http, _) => Self::ClockYears,
            (_, true) => Self::TooOld,
            (_, false) => Self::InFuture,
        }
    }

    /// The record that makes the fault once `first` is charged.
    pub(crate) fn second(self, first: &Draft) -> Option<Draft> {
        let mut second = first.clone();
        match self {
            Self::Conflict => {
                second.report.id = format!("{}-c", first.report.id);
                let more = first.report.quantity.micros() + 1_000_000;
                second.report.quantity = tollbooth_schemas::Quantity::from_micros(more)?;
            }
            Self::FailedAfterCharge => {
                second.report.id = format!("{}-f", first.report.id);
                second.report.attempt += 1;
                second.report.status = Status::Failed;
                second.report.error_code = Some("late_failure".to_owned());
            }
            _ => return None,
        }
        second.fault = Some(self);
        second.expect = Expect::DeadLetter;
        second.reason = self.reason();
        Some(second)
    }
}
