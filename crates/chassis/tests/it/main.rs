//! The chassis as a service sees it.

mod config;
mod crashpoint;
mod http;
mod kafka_batch;
mod kafka_clients;
mod kafka_failover;
mod kafka_table;
mod kafka_txn;
mod ops;
mod problem;
mod shutdown;
mod support;
mod unread;
