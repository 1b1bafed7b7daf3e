//! What faults need beside the stack itself: proxies between its processes, small disks below them, clocks of their own.
//!
//! All of it is put around a stack whose engines run and whose services do not yet: the engines are stopped, their data moves,
//! and they come back.

mod clocks;
mod disks;
mod links;

use std::collections::BTreeSet;
use std::thread;

use anyhow::Context as _;
use tollbooth_local::Kafka;

pub(super) use clocks::Clocks;
pub use disks::Disk;
pub(super) use disks::Disks;
pub(super) use links::Links;
pub use links::{Fault, Link};

use super::fleet::Fleet;
use crate::stack::Stack;

/// Around one stack.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) links: Links,
    pub(super) disks: Disks,
    pub(super) clocks: Clocks,
}

impl Scene {
    /// Sets it up around a prepared stack; what this machine does not allow stands in [`Scene::missing`].
    pub(super) fn around(stack: &Stack) -> anyhow::Result<Self> {
        let links = Links::new(stack)?;
        // Nothing is in them yet; told to end, the last one would wait for the others.
        stack.brokers().try_for_each(Kafka::kill)?;
        stack.clickhouse.stop()?;
        links.name_listeners(stack)?;
        let disks = Disks::below(stack)?;
        let clickhouse = || stack.clickhouse.restart().context("ClickHouse on its small disk");
        thread::scope(|scope| {
            // Side by side: none is ready before most of them are.
            let brokers: Vec<_> = stack.brokers().map(|broker| scope.spawn(|| broker.restart())).collect();
            let done = clickhouse();
            brokers.into_iter().try_for_each(|starting| match starting.join() {
                Ok(started) => started.context("a broker with further listeners"),
                Err(panic) => std::panic::resume_unwind(panic),
            })?;
            done
        })?;
        links.lead(stack);
        checkpoints(stack);
        let clocks = Clocks::of(stack)?;
        Ok(Self { links, disks, clocks })
    }

    /// The fleet has its outboxes on a small disk, and comes to ingest by a proxy.
    pub(super) fn bring_in(&self, fleet: &Fleet<'_>) {
        fleet.set("TOLLBOOTH_INGEST_URL", &self.links.url(Link::FleetIngest));
    }

    /// What cannot be done here, and why.
    pub(super) fn missing(&self) -> BTreeSet<String> {
        self.disks.missing().into_iter().chain(self.clocks.missing()).collect()
    }

    /// Leaves the small disks where they are, for somebody to look at.
    pub(super) fn keep(&self) {
        self.disks.keep();
    }
}

/// The meter with stores makes copies of them often.
fn checkpoints(stack: &Stack) {
    let url = format!("file://{}", checkpoint_dir(stack).display());
    for meter in &stack.meters {
        meter.set("TOLLBOOTH_METER__STORE__CHECKPOINT__URL", &url);
        meter.set("TOLLBOOTH_METER__STORE__CHECKPOINT__ROWS", "1000");
        meter.set("TOLLBOOTH_METER__STORE__CHECKPOINT__SECONDS", "5");
    }
}

/// Where they lie.
pub(super) fn checkpoint_dir(stack: &Stack) -> std::path::PathBuf {
    stack.dir().join("checkpoints")
}

/// The file of the settings of a broker, by its number among the brokers.
fn properties(stack: &Stack, index: usize) -> std::path::PathBuf {
    node_dir(stack, index).join("server.properties")
}

fn node_dir(stack: &Stack, index: usize) -> std::path::PathBuf {
    stack.dir().join("kafka").join(format!("node-{}", index + 1))
}

/// A broker, by its index.
pub(super) fn broker(stack: &Stack, index: usize) -> anyhow::Result<&Kafka> {
    stack.brokers().nth(index).context("no such broker")
}
