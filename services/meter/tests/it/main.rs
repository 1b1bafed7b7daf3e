//! The meter over the real engines.

mod member;
mod sink;
mod worker;
