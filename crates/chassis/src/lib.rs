//! What every service needs and none is about.
//!
//! A service's `main`, from top to bottom:
//!
//! 1. [`telemetry::init_logging`], then [`config::prepare`] with a struct that implements [`config::ServiceConfig`].
//! 2. [`telemetry::registry`], [`ops::Health`] with a [`ops::Component`] per condition, [`ops::spawn`] on its own port.
//! 3. [`shutdown::Shutdown`] with [`listen_for_signals`](shutdown::Shutdown::listen_for_signals).
//! 4. Clients from [`kafka::KafkaClients`]; [`kafka::ensure_topics`]; [`kafka::table::TopicTable`] for the small topics;
//!    [`kafka::batch::BatchReader`] and [`kafka::txn`] for the large ones, on OS threads.
//!    [`auth::Gate`] over the one of keys, with [`forward`] where another service may pass requests on.
//! 5. [`http::Server`] with an axum router whose handlers take [`http::RawBody`] or [`http::JsonBody`] and answer errors
//!    with [`problem::Problem`]; [`http::HttpMetrics`] per route.
//! 6. [`shutdown::Drain`], step by step, each with a deadline.
//! 7. [`traces`], off by default: what a request and the records of it went through.
//!
//! [`crashpoint::hit`] marks places for the crash tests; it is empty in a released binary.

pub mod auth;
pub mod causes;
pub mod clickhouse;
pub mod config;
pub mod crashpoint;
pub mod dead_letters;
pub mod document;
pub mod forward;
pub mod http;
pub mod kafka;
pub mod key_usage;
pub mod memory;
pub mod metric_table;
pub mod ops;
pub mod priority;
pub mod problem;
pub mod seal;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod traces;
pub mod trail;
