//! The pure ledger core: what a record, a command or an instant does to an account.
//!
//! [`apply_usage`], [`apply_command`] and [`tick`] look at a state and an input and decide; folding entries is the only
//! way a state changes, so live processing and replay are one code path. There is no I/O, no clock, no randomness and
//! no environment here: the same input gives the same bytes. Time comes in as `now_ms`.
//!
//! A batch is decided on an [`Overlay`] over the committed [`State`], which is merged only after the transaction
//! that carries its entries was committed.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects))]

mod account;
mod alerts;
mod audit;
mod booths;
mod burn;
mod command;
mod counters;
mod decision;
mod digest;
mod due;
mod events;
mod fees;
mod fold;
mod holds;
mod image;
mod looked_up;
mod overlay;
mod period;
mod place;
mod planted;
mod pricing;
mod profile;
mod recharge;
mod refunds;
mod repricing;
mod state;
mod tables;
mod usage;

pub use account::{Account, BONUS_LOTS_MAX, Lot, PAUSED_BOOTHS_MAX, Parts};
pub use alerts::{BALANCE_MARKS_MAX, BUDGET_PERCENT_MAX, EMPTY_IN_HOURS_MAX, PERCENT_MARKS_MAX, SPIKE_TIMES};
pub use audit::AuditError;
pub use booths::{SPIKE_BOOTHS_MAX, SPIKE_HOURS_MAX, SPIKE_HOURS_MIN};
pub use counters::Counter;
pub use decision::{CommandDecision, CommandInput, Dead, UsageDecision, UsageInput};
pub use digest::Digest;
pub use due::{Due, Ticks, due, tick};
pub use events::{EVENTS_MAX, Event, Told};
pub use fold::FoldError;
pub use holds::{Hold, OPEN_HOLDS_MAX, OpenHold};
pub use image::{Changes, ImageError, Key, OPERATION_ROW_BYTES, Remembered, Row, STATE_VERSION, Table};
pub use looked_up::looked_up;
pub use overlay::{Delta, Overlay};
#[cfg(feature = "planted")]
pub use planted::plant;
pub use planted::{Defect, planted};
pub use pricing::{Charge, NoPrice, PriceBooks, Quote, Rate, Terms, charge};
pub use state::{Answer, Limits, OPERATION_ENTRY_BYTES, Operation, State, View};

/// Decides a usage record: an operation is unseen, failed or charged, and charged is final.
pub fn apply_usage(
    view: &impl View,
    books: &PriceBooks,
    limits: &Limits,
    input: UsageInput<'_>,
    now_ms: i64,
) -> UsageDecision {
    usage::apply(view, books, limits, input, now_ms)
}

/// Decides a command.
pub fn apply_command(
    view: &impl View,
    books: &PriceBooks,
    limits: &Limits,
    input: CommandInput<'_>,
    now_ms: i64,
) -> CommandDecision {
    command::apply(view, books, limits, input, now_ms)
}
