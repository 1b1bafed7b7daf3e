//! The contracts between booths, services and stores: money, ids, usage events, commands, ledger records,
//! price books, topics and tables.
//!
//! Services meet here and nowhere else. Nothing in this crate does I/O or reads a clock.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects))]

pub mod account_state;
pub mod audit;
pub mod clickhouse;
pub mod command;
pub mod dead_letter;
pub mod decimal;
pub mod ids;
pub mod json;
pub mod keys;
pub mod ledger;
pub mod money;
pub mod payers;
pub mod price_book;
pub mod pricing;
pub mod quantity;
pub mod redrive;
pub mod repricing;
pub mod sessions;
pub mod time;
pub mod topics;
pub mod usage;
pub mod webhooks;
pub mod zone;

/// Generated from `proto/tollbooth/v1/*.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::arithmetic_side_effects, clippy::as_conversions)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/tollbooth.v1.rs"));
}

pub use ids::{AccountId, BoothId, EventId, HoldId, IdError, KeyId};
pub use money::{Amount, Money};
pub use quantity::Quantity;
