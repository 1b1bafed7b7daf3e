//! The engines for real, started, killed, restarted, stopped; and the commands around them.

mod clickhouse;
mod kafka;
mod orphans;
mod stack;
