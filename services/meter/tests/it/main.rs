//! The meter over the real engines.

mod sink;
