//! The whole of tollbooth as real processes over real engines, for tests that look at it from outside.
//!
//! - [`Stack`]: Kafka, ClickHouse and the services on free ports, each to be killed, stopped, paused, started again.
//! - [`Api`]: requests to ingest and query.
//! - [`Log`]: Kafka from the side: records straight into topics, dead letters, how far groups are.
//! - [`Collector`]: the spans of requests that came with a trace.
//! - [`usage`]: usage events as JSON.
//! - [`crash`]: the crash test's plan, fleet and summary.
//!
//! Nothing here imports a service: what the tests know of one is its binary, its variables and its wire formats.

mod api;
mod binaries;
mod builder;
mod collector;
pub mod crash;
mod kafka;
mod os;
mod process;
mod proxy;
mod stack;
pub mod usage;
mod wait;
mod watch;

pub use api::{Answer, Api};
pub use binaries::{Binary, locate};
pub use collector::{Collector, SeenSpan};
pub use kafka::{DeadLetter, Duties, Log, Place};
pub use process::Process;
pub use stack::{Stack, StackOptions, Victim};
pub use wait::wait_until;
pub use watch::Ends;
