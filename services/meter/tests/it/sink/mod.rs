//! The sink over real engines: one test for each way in which rows could be lost or doubled.

mod blocks;
mod deadline;
mod drift;
mod encoding;
mod forgetting;
mod handover;
pub(crate) mod harness;
mod migrations;
mod rebuild;
mod repeats;
mod repriced;
mod size;
mod stops;
mod stream;
