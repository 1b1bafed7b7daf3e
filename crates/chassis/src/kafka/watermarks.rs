//! Where partitions begin and end, asked over connections that carry nothing else.
//!
//! A broker answers the requests of one connection in order: a question behind a fetch that waits for new records is
//! answered when that fetch is, up to `fetch.wait.max.ms` later. So whoever reads does not ask over the same client.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use super::clients::KafkaClients;
use super::failover::ends;
use super::statistics::{ClientKind, WatchedContext};

/// Events looked at before a question: librdkafka's log lines wait in a queue that nobody else empties.
const EVENTS_MAX: usize = 8;

/// A client that never fetches. One is enough for a process: any thread may ask at any time.
pub struct Watermarks {
    consumer: BaseConsumer<WatchedContext>,
}

impl std::fmt::Debug for Watermarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watermarks").finish_non_exhaustive()
    }
}

impl Watermarks {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(clients: &KafkaClients) -> Result<Self, KafkaError> {
        let mut config = clients.base();
        // What was acknowledged behind an open transaction is there, too; the last stable offset would deny it.
        config.set("isolation.level", "read_uncommitted");
        let context = WatchedContext::new(clients.watch(ClientKind::Watermarks, &mut config));
        Ok(Self { consumer: BaseConsumer::from_config_and_context(&config, context)? })
    }

    /// The first offset of a partition, and the offset after its newest acknowledged record or marker, those of open
    /// transactions included.
    ///
    /// # Errors
    /// When the broker does not answer within `timeout`.
    pub fn ask(&self, topic: &str, partition: i32, timeout: Duration) -> Result<(i64, i64), KafkaError> {
        for _ in 0..EVENTS_MAX {
            // Log lines and client-wide errors: both are told through the context.
            drop(self.consumer.poll(Duration::ZERO));
        }
        ends(&self.consumer, topic, partition, timeout)
    }
}
