//! The query service over a real Kafka and a real ClickHouse.
//!
//! Each test has topics, a database and accounts of its own on shared engines. The ledger is produced and the rows are
//! inserted by the test, so that it decides how far ClickHouse is behind.

mod access;
mod account;
mod activity;
mod awaited;
mod documented;
mod entry;
mod events;
mod export;
mod fleet;
mod live;
mod matrix;
mod prices;
mod projection;
mod query;
mod recharge;
mod stand;
mod stream;
mod summary;
mod usage;
