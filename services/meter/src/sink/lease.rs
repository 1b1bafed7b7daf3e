//! Who is the active sink: the owner of the one partition of `sink-lease`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::IntCounter;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use tollbooth_chassis::kafka::{ClientKind, KafkaClients, Watch, log_error, log_line};

use super::error::SinkError;

#[derive(Debug)]
struct LeaseContext {
    is_held: Arc<AtomicBool>,
    rebalances: IntCounter,
    watch: Watch,
}

impl ClientContext for LeaseContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.watch.take(statistics);
    }
}

impl ConsumerContext for LeaseContext {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // Given back before the group hears of it. What is under way may end late: the next owner fences the commit, and
        // the token makes the insert one.
        if matches!(rebalance, Rebalance::Revoke(_) | Rebalance::Error(_)) {
            self.is_held.store(false, Ordering::Release);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.rebalances.inc();
            self.is_held.store(partitions.count() > 0, Ordering::Release);
        }
    }
}

/// Membership in the lease's group.
pub(super) struct Lease {
    consumer: BaseConsumer<LeaseContext>,
    is_held: Arc<AtomicBool>,
}

impl Lease {
    /// Joins. `instance_id` names this process for good: after a restart it gets the lease back at once.
    pub(super) fn join(
        clients: &KafkaClients,
        group: &str,
        topic: &str,
        instance_id: &str,
        rebalances: IntCounter,
    ) -> Result<Self, SinkError> {
        let failed = |source| SinkError::Kafka { doing: "join the group of the lease", source };
        let mut config = clients.member_consumer(group, instance_id);
        // The topic is empty and stays so; a missing offset means nothing here.
        config.set("auto.offset.reset", "latest");
        let is_held = Arc::new(AtomicBool::new(false));
        let watch = clients.watch(ClientKind::SinkLease, &mut config);
        let context = LeaseContext { is_held: Arc::clone(&is_held), rebalances, watch };
        let consumer = BaseConsumer::from_config_and_context(&config, context).map_err(failed)?;
        consumer.subscribe(&[topic]).map_err(failed)?;
        Ok(Self { consumer, is_held })
    }

    /// Keeps the membership alive, for at most `wait`, and says whether the lease is held.
    pub(super) fn poll(&self, wait: Duration) -> Result<bool, SinkError> {
        if let Some(Err(error)) = self.consumer.poll(wait) {
            if let Some((code, reason)) = self.consumer.client().fatal_error() {
                tracing::error!(%code, reason, "the lease's consumer cannot go on");
                return Err(SinkError::Kafka { doing: "hold the lease", source: error });
            }
            tracing::warn!(%error, "lease");
        }
        Ok(self.is_held.load(Ordering::Acquire))
    }
}
