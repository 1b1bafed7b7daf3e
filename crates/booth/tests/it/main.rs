//! The booth client and the fleet against a small ingest of the test's own.
mod client;
mod fake;
mod fleet;
mod generator;
mod journal;
mod kafka;
mod outbox;
