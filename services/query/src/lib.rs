//! The read side of tollbooth: balances from memory, activity, usage and prices over HTTP.
//!
//! - [`calendar`]: local-time buckets, pure.
//! - [`activity`]: rows, filters, cursors and the seam between memory and ClickHouse, pure.
//! - [`live`]: balances and the newest entries, folded from the ledger's tail.
//! - [`store`]: questions to ClickHouse.
//! - [`stream`]: server-sent events.
//! - [`routes`]: the API.
//! - [`openapi`]: its description, made of the handlers themselves, and the page that shows it.
//! - [`service`]: everything wired together.

pub mod access;
pub mod activity;
pub(crate) mod amount;
pub mod calendar;
pub mod clock;
pub mod config;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod params;
pub mod prices;
pub mod routes;
pub mod service;
pub mod store;
pub mod stream;
