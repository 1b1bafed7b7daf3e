//! Partition workers over a real broker: what is served in which order, and what is refused.

mod alerts;
mod backups;
mod checkpoints;
mod harness;
mod holds;
mod look_ups;
mod money;
mod order;
mod recharge;
mod refusals;
mod stores;
