//! The meter: prices usage, debits balances exactly once, lands the ledger in ClickHouse.
//!
//! [`member`] keeps the process in its consumer group and hands partitions to [`worker`]s, one OS thread each, which
//! decide with the pure core in `tollbooth-ledger` and write one Kafka transaction a batch. [`sink`] copies the ledger
//! to ClickHouse, outside that path. [`verify`] proves afterwards that all of it agrees, and [`backup`] keeps a copy of it.

pub mod backup;
pub mod config;
pub mod dead_letters;
pub mod generation;
pub mod member;
pub mod metrics;
mod objects;
pub mod price_books;
pub mod rebuild;
pub mod run;
pub mod sink;
pub mod store;
pub mod verify;
mod watchdog;
pub mod worker;
