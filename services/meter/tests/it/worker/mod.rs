//! Partition workers over a real broker: what is served in which order, and what is refused.

mod harness;
mod look_ups;
mod order;
mod refusals;
