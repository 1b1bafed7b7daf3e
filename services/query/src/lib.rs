//! The read side of tollbooth: balances from memory, activity, usage and prices over HTTP.
//!
//! - [`calendar`]: local-time buckets, pure.
//! - [`activity`]: rows, filters, cursors and the seam between memory and ClickHouse, pure.
//! - [`live`]: balances and the newest entries, folded from the ledger's tail.
//! - [`store`]: questions to ClickHouse.
//! - [`routes`]: the API.
//! - [`service`]: everything wired together.

pub mod access;
pub mod activity;
pub mod calendar;
pub mod clock;
pub mod config;
pub mod live;
pub mod metrics;
pub mod params;
pub mod prices;
pub mod routes;
pub mod service;
pub mod store;
