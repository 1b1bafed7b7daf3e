//! The read side of tollbooth: balances from memory, activity, usage and prices over HTTP.
//!
//! - [`access`]: who may read what: keys, sessions, portal tokens.
//! - [`calendar`]: local-time buckets, pure.
//! - [`activity`]: rows, filters, cursors and the seam between memory and ClickHouse, pure.
//! - [`forecast`], [`estimate`]: how long money lasts and what a party will cost, pure.
//! - [`simulate`]: what work would cost by another price book, pure.
//! - [`live`]: balances and the newest entries, folded from the ledger's tail.
//! - [`store`]: questions to ClickHouse; [`budget`]: how much of them one request may ask.
//! - [`stream`]: server-sent events.
//! - [`routes`]: the API.
//! - [`forward`]: commands of who signed in, passed on to ingest.
//! - [`site`]: the dashboard's pages.
//! - [`openapi`]: its description, made of the handlers themselves, and the page that shows it.
//! - [`service`]: everything wired together.

pub mod access;
pub mod activity;
pub(crate) mod amount;
pub mod answers;
pub mod audit;
pub mod budget;
pub mod calendar;
pub mod clock;
pub mod conditional;
pub mod config;
pub mod cursor;
pub mod dead_letters;
pub mod estimate;
pub mod forecast;
pub mod forward;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod params;
pub mod prices;
pub mod routes;
pub mod service;
pub mod simulate;
pub mod site;
pub mod store;
pub mod stream;
