//! What the core promises, given, when, then.

mod commands;
mod harness;
mod operations;
mod pricing;
mod replay;
