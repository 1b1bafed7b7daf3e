//! The meter over the real engines.

mod member;
mod prices;
mod sink;
mod worker;
