//! The engines for real, started, killed, restarted, stopped; and the commands around them.

mod clickhouse;
#[path = "../../src/http.rs"]
mod http;
mod kafka;
mod orphans;
mod stack;
mod up;
