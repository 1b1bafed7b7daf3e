//! The write side: checks, authenticates, produces, waits for the brokers' word, answers.
//!
//! Nothing here holds state that matters: what is acknowledged is in Kafka, and what is not is the client's to send
//! again. A process may be killed at any time.

mod admission;
mod app;
mod charges;
mod commands;
pub mod config;
mod effects;
mod events;
mod keys;
mod metrics;
mod payers;
mod payments;
mod price_books;
mod produce;
mod service;
mod settle;
mod stripe_webhook;
mod webhooks;

pub use config::IngestConfig;
pub use effects::{Effects, SenderError};
pub use payments::stripe::ClientError;
pub use service::{Ingest, StartError, prepare_topics};
