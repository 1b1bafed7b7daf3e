//! The query service over a real Kafka and a real ClickHouse.
//!
//! Each test has topics, a database and accounts of its own on shared engines. The ledger is produced and the rows are
//! inserted by the test, so that it decides how far ClickHouse is behind.

mod access;
mod account;
mod activity;
mod alerts;
mod audit;
mod awaited;
mod between;
mod cancelled;
mod carried;
mod cubes;
mod dead;
mod documented;
mod entry;
mod events;
mod expected;
mod export;
mod figures;
mod fleet;
mod forwarded;
mod headers;
mod keys;
mod ledger;
mod live;
mod matrix;
mod parties;
mod prices;
mod projection;
mod query;
mod recharge;
mod rows;
mod schema;
mod search;
mod session;
mod signed_out;
mod simulate;
mod site;
mod stand;
mod stream;
mod summary;
mod together;
mod usage;
