//! How far the group is behind the outbox, whoever of it reads: also where nobody does.

use std::time::Duration;

use prometheus::IntGaugeVec;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning, Watermarks};
use tollbooth_chassis::shutdown::Shutdown;

const LOOK_EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks for the group's offsets and for the ends of the outbox.
pub(super) struct Lag {
    /// Of the group, and no member of it.
    consumer: BaseConsumer<LogContext>,
    ends: Watermarks,
    group: String,
    topic: String,
    partitions: i32,
    records: IntGaugeVec,
}

impl Lag {
    pub(super) fn new(
        clients: &KafkaClients,
        group: &str,
        topic: String,
        partitions: i32,
        records: IntGaugeVec,
    ) -> Result<Self, KafkaError> {
        let config = clients.reader(group, ReaderTuning::default());
        let consumer = BaseConsumer::from_config_and_context(&config, LogContext)?;
        let ends = Watermarks::new(clients)?;
        Ok(Self { consumer, ends, group: group.to_owned(), topic, partitions, records })
    }

    /// Looks again and again, until the shutdown.
    pub(super) fn run(self, shutdown: &Shutdown) {
        while !shutdown.is_triggered() {
            if let Err(error) = self.look() {
                tracing::debug!(%error, "how far the outbox is carried out is not known");
            }
            if shutdown.wait_blocking(LOOK_EVERY) {
                break;
            }
        }
    }

    fn look(&self) -> Result<(), KafkaError> {
        // Log lines wait in its queue.
        drop(self.consumer.poll(Duration::ZERO));
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.partitions {
            asked.add_partition(&self.topic, partition);
        }
        let committed = self.consumer.committed_offsets(asked, PATIENCE)?;
        for partition in 0..self.partitions {
            let (begin, end) = self.ends.ask(&self.topic, partition, PATIENCE)?;
            let next = match committed.find_partition(&self.topic, partition).map(|element| element.offset()) {
                Some(Offset::Offset(next)) => next.max(begin),
                // Nothing was carried out yet: a new group begins at the first record.
                _ => begin,
            };
            let labels = [self.group.as_str(), self.topic.as_str(), &partition.to_string()];
            self.records.with_label_values(&labels).set((end - next).max(0));
        }
        Ok(())
    }
}
