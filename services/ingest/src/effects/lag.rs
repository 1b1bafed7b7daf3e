//! How far the group is behind the outbox, and for how long, whoever of it reads: also where nobody does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use prometheus::{IntGauge, IntGaugeVec};
use prost::Message as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader, Record};
use tollbooth_chassis::kafka::{KafkaClients, ReaderTuning, Watermarks};
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::v1::OutboxRecord;

use super::metrics::EffectsMetrics;
use crate::app::now_ms;

const LOOK_EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);
/// One record of each partition is wanted, of whatever is behind it as little as possible.
const TUNING: ReaderTuning = ReaderTuning {
    partition_fetch_bytes_max: 64 * 1024,
    queued_kbytes_max: 4 * 1024,
    queued_records_min: 1,
    fetch_wait_ms: 50,
    partition_eof: false,
};
const LIMIT: BatchLimit = BatchLimit { records: 1_000, bytes: 4 * 1024 * 1024 };

/// What lies behind the group's offset of a partition. An offset behind the end says little: what a transaction leaves
/// behind its records counts, and what it took back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// The group's offset then.
    next: i64,
    /// Nothing waits between that and here.
    clear_to: i64,
    /// When the first record that waits was decided.
    waiting_since_ms: Option<i64>,
}

impl Seen {
    /// Whether it still holds for this offset of the group and this end.
    fn holds(&self, next: i64, end: i64) -> bool {
        let nothing_more = next >= self.next && self.waiting_since_ms.is_none() && self.clear_to >= end;
        next == self.next && self.waiting_since_ms.is_some() || nothing_more
    }
}

/// Asks for the group's offsets, for the ends of the outbox, and what lies between.
pub(super) struct Lag {
    /// Of the group, and no member of it.
    reader: BatchReader,
    ends: Watermarks,
    group: String,
    topic: String,
    partitions: i32,
    seen: HashMap<i32, Seen>,
    records: IntGaugeVec,
    oldest_age: IntGauge,
}

impl Lag {
    pub(super) fn new(
        clients: &KafkaClients,
        group: &str,
        topic: String,
        partitions: i32,
        metrics: &EffectsMetrics,
    ) -> Result<Self, KafkaError> {
        let reader = BatchReader::new(&clients.reader(group, TUNING))?;
        let ends = Watermarks::new(clients)?;
        let (records, oldest_age) = (metrics.lag_records.clone(), metrics.outbox_oldest_age.clone());
        let (group, seen) = (group.to_owned(), HashMap::new());
        Ok(Self { reader, ends, group, topic, partitions, seen, records, oldest_age })
    }

    /// Looks again and again, until the shutdown.
    pub(super) fn run(mut self, shutdown: &Shutdown) {
        while !shutdown.is_triggered() {
            if let Err(error) = self.look() {
                tracing::debug!(%error, "how far the outbox is carried out is not known");
            }
            // Also where nothing was learnt: what waited then gets older.
            self.show(now_ms());
            if shutdown.wait_blocking(LOOK_EVERY) {
                break;
            }
        }
    }

    fn look(&mut self) -> Result<(), KafkaError> {
        // Log lines wait for whoever reads, which is seldom done here.
        self.reader.attend();
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.partitions {
            asked.add_partition(&self.topic, partition);
        }
        let committed = self.reader.committed(asked, PATIENCE)?;
        let mut unknown = HashMap::new();
        for partition in 0..self.partitions {
            let (begin, end) = self.ends.ask(&self.topic, partition, PATIENCE)?;
            let next = match committed.find_partition(&self.topic, partition).map(|element| element.offset()) {
                Some(Offset::Offset(next)) => next.max(begin),
                // Nothing was carried out yet: a new group begins at the first record.
                _ => begin,
            };
            let labels = [self.group.as_str(), self.topic.as_str(), &partition.to_string()];
            self.records.with_label_values(&labels).set((end - next).max(0));
            if next >= end {
                self.seen.insert(partition, Seen { next, clear_to: end, waiting_since_ms: None });
            } else if !self.seen.get(&partition).is_some_and(|seen| seen.holds(next, end)) {
                unknown.insert(partition, (next, end));
            }
        }
        if unknown.is_empty() { Ok(()) } else { self.look_between(unknown) }
    }

    /// Reads the first record behind the group's offset, of these partitions up to these ends.
    fn look_between(&mut self, mut unknown: HashMap<i32, (i64, i64)>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, (next, _)) in &unknown {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
        }
        self.reader.assign(&list)?;
        let deadline = Instant::now() + PATIENCE;
        let outcome = loop {
            match self.reader.read(LIMIT, POLL) {
                Ok(batch) => {
                    for record in batch.iter() {
                        if let Some((next, _)) = unknown.remove(&record.partition()) {
                            let waiting_since_ms = Some(decided_at_ms(&record));
                            self.seen.insert(record.partition(), Seen { next, clear_to: next, waiting_since_ms });
                        }
                    }
                }
                Err(error) => break Err(error),
            }
            for (partition, (next, end)) in unknown.clone() {
                // The end of a transaction, or what it took back, moves the position and comes as no record.
                let Some(clear_to) = self.reader.position(&self.topic, partition)?.filter(|at| *at >= end) else {
                    continue;
                };
                unknown.remove(&partition);
                self.seen.insert(partition, Seen { next, clear_to, waiting_since_ms: None });
            }
            if unknown.is_empty() || Instant::now() >= deadline {
                break Ok(());
            }
        };
        self.reader.assign(&TopicPartitionList::new())?;
        outcome
    }

    fn show(&self, now_ms: i64) {
        let oldest_ms = self.seen.values().filter_map(|seen| seen.waiting_since_ms).min();
        self.oldest_age.set(oldest_ms.map_or(0, |at_ms| now_ms.saturating_sub(at_ms).max(0) / 1_000));
    }
}

/// By the record itself; one that is no effect is as old as it lies there.
fn decided_at_ms(record: &Record<'_>) -> i64 {
    let decided = OutboxRecord::decode(record.payload().unwrap_or_default()).map(|record| record.posted_at_ms);
    let written = record.timestamp().map(|timestamp| timestamp.millis);
    decided.ok().filter(|at_ms| *at_ms > 0).or(written).unwrap_or_else(now_ms)
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use rdkafka::config::FromClientConfigAndContext as _;
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    use tollbooth_chassis::config::KafkaSection;
    use tollbooth_chassis::kafka::LogContext;

    use super::*;

    const GROUP: &str = "tollbooth-effects";
    const TOPIC: &str = "tollbooth.outbox";
    const LONG: Duration = Duration::from_secs(30);
    const NOW_MS: i64 = 1_800_000_000_000;

    /// An outbox of two partitions, the first with records that were decided so many seconds ago.
    fn given(ages_s: &[i64]) -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, KafkaClients, Lag) {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, 2, 1).unwrap();
        let section = KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() };
        let clients = KafkaClients::new(section);
        write(&clients, ages_s);
        let metrics = EffectsMetrics::register(&Registry::new()).unwrap();
        let lag = Lag::new(&clients, GROUP, TOPIC.to_owned(), 2, &metrics).unwrap();
        (mock, clients, lag)
    }

    fn write(clients: &KafkaClients, ages_s: &[i64]) {
        let config = clients.edge_producer(64 * 1024, LONG);
        let producer = BaseProducer::from_config_and_context(&config, LogContext).unwrap();
        for age_s in ages_s {
            let record = OutboxRecord { posted_at_ms: NOW_MS - age_s * 1_000, ..OutboxRecord::default() };
            let payload = record.encode_to_vec();
            producer.send(BaseRecord::to(TOPIC).partition(0).key("acc_luna").payload(&payload)).unwrap();
        }
        producer.flush(LONG).unwrap();
    }

    /// The group has carried out what is below.
    fn carried_out(clients: &KafkaClients, next: i64) {
        let config = clients.reader(GROUP, TUNING);
        let member: BaseConsumer<LogContext> = BaseConsumer::from_config_and_context(&config, LogContext).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, 0, Offset::Offset(next)).unwrap();
        member.commit(&list, CommitMode::Sync).unwrap();
    }

    fn age_s(lag: &mut Lag, now_ms: i64) -> i64 {
        lag.look().unwrap();
        lag.show(now_ms);
        lag.oldest_age.get()
    }

    #[test]
    fn the_oldest_that_was_not_carried_out_has_its_age_whether_anybody_reads_or_not() {
        // given three effects that nobody reads
        let (_mock, clients, mut lag) = given(&[90, 60, 30]);
        assert_eq!(age_s(&mut lag, NOW_MS), 90);
        // when time passes, then it is older, without a further look
        lag.show(NOW_MS + 10_000);
        assert_eq!(lag.oldest_age.get(), 100);
        // when the first two are carried out, then the third is the oldest
        carried_out(&clients, 2);
        assert_eq!(age_s(&mut lag, NOW_MS), 30);
        // when all are, then nothing waits, and the next one that comes does
        carried_out(&clients, 3);
        assert_eq!(age_s(&mut lag, NOW_MS), 0);
        write(&clients, &[20]);
        assert_eq!(age_s(&mut lag, NOW_MS), 20);
        // and an operator who sets the group back sees how far
        carried_out(&clients, 1);
        assert_eq!(age_s(&mut lag, NOW_MS), 60);
    }

    #[test]
    fn what_was_seen_holds_until_the_group_or_the_end_moves() {
        // what waits, waits until the group has moved
        let waits = Seen { next: 4, clear_to: 4, waiting_since_ms: Some(1) };
        assert_eq!(
            [(4, 6), (4, 9), (5, 9), (3, 9)].map(|(next, end)| waits.holds(next, end)),
            [true, true, false, false]
        );
        // what was no record is none for whoever comes later; a new end may be one, and so may what lies before
        let clear = Seen { next: 4, clear_to: 6, waiting_since_ms: None };
        assert_eq!(
            [(4, 6), (5, 6), (4, 7), (3, 6)].map(|(next, end)| clear.holds(next, end)),
            [true, true, false, false]
        );
    }
}
