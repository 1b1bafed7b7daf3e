//! Kafka from the side: what a backend writes itself, what an operator looks up.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::topics::{SINK_OFFSETS_GROUP, TopicSet};

const BROKER_WAIT: Duration = Duration::from_secs(20);
const READ_WAIT: Duration = Duration::from_secs(30);

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Full name.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// A record of `dead-letter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Code of the reason.
    pub reason: String,
    /// For a person.
    pub detail: String,
    /// Where the original lies.
    pub source: Place,
    /// The original's CloudEvents id, where it has one that can be read.
    pub id: Option<String>,
    /// The trace that the original came with.
    pub traceparent: Option<String>,
    /// The original's bytes.
    pub payload: Vec<u8>,
}

/// What one broker of a cluster does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duties {
    /// Partitions of `ledger` that it leads.
    pub leads: usize,
    /// Partitions of `ledger` whose transactions it coordinates.
    pub coordinates: usize,
}

impl fmt::Display for Duties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leader of {} ledgers, coordinator of {}", self.leads, self.coordinates)
    }
}

/// A cluster with one set of topics.
#[derive(Debug, Clone)]
pub struct Log {
    bootstrap: String,
    /// The topics' names.
    pub topics: TopicSet,
}

impl Log {
    /// Connects when asked something.
    #[must_use]
    pub fn new(bootstrap: &str, topics: TopicSet) -> Self {
        Self { bootstrap: bootstrap.to_owned(), topics }
    }

    /// The brokers' addresses.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Whether every partition of the cluster, internal topics included, has so many copies, all of them in sync.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn is_in_sync(&self, copies: usize) -> anyhow::Result<bool> {
        let metadata = self.consumer("tests-metadata")?.fetch_metadata(None, BROKER_WAIT)?;
        let mut partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
        Ok(partitions.all(|partition| partition.replicas().len() == copies && partition.isr().len() == copies))
    }

    /// What a broker does, by its index, as the cluster tells it now.
    ///
    /// # Errors
    /// When no broker answers, or does not tell of a topic.
    pub fn duties(&self, broker: usize) -> anyhow::Result<Duties> {
        let metadata = self.consumer("tests-metadata")?.fetch_metadata(None, BROKER_WAIT)?;
        let id = i32::try_from(broker)? + 1;
        let leaders = |name: &str| -> anyhow::Result<Vec<i32>> {
            let topic = metadata.topics().iter().find(|topic| topic.name() == name).context(name.to_owned())?;
            let mut partitions: Vec<_> = topic.partitions().iter().map(|part| (part.id(), part.leader())).collect();
            partitions.sort_unstable();
            Ok(partitions.into_iter().map(|(_, leader)| leader).collect())
        };
        let ledger = self.topics.ledger();
        let coordinators = leaders("__transaction_state")?;
        // The meter's transactional ids; where each lies is Kafka's `Utils.abs(id.hashCode()) % partitions`.
        let places = (0..self.topics.partitions).map(|partition| java_hash(&format!("{ledger}-{partition}")));
        let coordinators = places.filter_map(|hash| {
            let place = usize::try_from(hash & i32::MAX).ok()?.checked_rem(coordinators.len())?;
            coordinators.get(place).copied()
        });
        let count = |leaders: &mut dyn Iterator<Item = i32>| leaders.filter(|leader| *leader == id).count();
        let leads = count(&mut leaders(&ledger)?.into_iter());
        Ok(Duties { leads, coordinates: count(&mut { coordinators }) })
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("reconnect.backoff.max.ms", "1000");
        config
    }

    fn consumer(&self, group: &str) -> anyhow::Result<BaseConsumer> {
        self.consumer_at(group, "read_committed")
    }

    fn consumer_at(&self, group: &str, isolation: &str) -> anyhow::Result<BaseConsumer> {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation)
            .set("enable.partition.eof", "false")
            .set("auto.offset.reset", "earliest");
        Ok(config.create()?)
    }

    /// A producer as a trusted backend has it: idempotent, all replicas, the Java clients' partitioner.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn producer(&self) -> anyhow::Result<FutureProducer> {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
        // The broker judges a record's size as it is compressed; a client may send far more than its limit.
        config.set("compression.type", "lz4").set("message.max.bytes", "16000000");
        Ok(config.create()?)
    }

    /// Writes one record and waits for the broker's word.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub async fn write(
        producer: &FutureProducer,
        topic: &str,
        partition: Option<i32>,
        key: Option<&str>,
        (headers, payload): (Vec<(String, String)>, Vec<u8>),
    ) -> anyhow::Result<Place> {
        let mut all = OwnedHeaders::new();
        for (name, value) in &headers {
            all = all.insert(Header { key: name, value: Some(value) });
        }
        let mut record = FutureRecord::<str, [u8]>::to(topic).payload(&payload).headers(all);
        record.partition = partition;
        record.key = key;
        match producer.send(record, Timeout::After(BROKER_WAIT)).await {
            Ok(delivery) => {
                Ok(Place { topic: topic.to_owned(), partition: delivery.partition, offset: delivery.offset })
            }
            Err((error, _)) => Err(error).with_context(|| format!("writing to {topic}")),
        }
    }

    /// Every dead letter there is.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let topic = self.topics.dead_letter();
        let consumer = self.consumer("tests-dead-letters")?;
        let (low, _) = consumer.fetch_watermarks(&topic, 0, BROKER_WAIT)?;
        let mut found = Vec::new();
        self.read_from(&consumer, &topic, &[(0, low)], |message| {
            let text = |name: &str| {
                // Ours stand behind the original's.
                let headers = message.headers()?;
                let header = headers.iter().filter(|header| header.key == name).last()?;
                Some(String::from_utf8_lossy(header.value?).into_owned())
            };
            let number = |name: &str| text(name).and_then(|text| text.parse().ok()).unwrap_or(-1);
            if text(header::OUTCOME).is_some() {
                // What became of a letter is none.
                return;
            }
            let payload = message.payload().unwrap_or_default();
            let in_body = || {
                let event: Value = serde_json::from_slice(payload).ok()?;
                event["id"].as_str().map(ToOwned::to_owned)
            };
            found.push(DeadLetter {
                id: text("ce_id").or_else(in_body),
                reason: text(header::REASON).unwrap_or_default(),
                detail: text(header::DETAIL).unwrap_or_default(),
                source: Place {
                    topic: text(header::SOURCE_TOPIC).unwrap_or_default(),
                    partition: i32::try_from(number(header::SOURCE_PARTITION)).unwrap_or(-1),
                    offset: number(header::SOURCE_OFFSET),
                },
                traceparent: text("traceparent"),
                payload: payload.to_vec(),
            });
        })?;
        Ok(found)
    }

    /// Reads what the consumer may see, from the given offsets to the ends as of now.
    fn read_from(
        &self,
        consumer: &BaseConsumer,
        topic: &str,
        from: &[(i32, i64)],
        mut each: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
    ) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        let mut ends = Vec::new();
        for &(partition, offset) in from {
            let (_, end) = consumer.fetch_watermarks(topic, partition, BROKER_WAIT)?;
            if offset < end {
                list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
                ends.push((partition, end));
            }
        }
        if ends.is_empty() {
            return Ok(());
        }
        consumer.assign(&list)?;
        let deadline = Instant::now() + READ_WAIT;
        loop {
            if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                each(&message?);
                continue;
            }
            // Position, not the last record: the tail may be markers.
            let position = consumer.position()?;
            let reached = |&(partition, end): &(i32, i64)| {
                let element = position.find_partition(topic, partition);
                matches!(element.map(|element| element.offset()), Some(Offset::Offset(at)) if at >= end)
            };
            if ends.iter().all(reached) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{topic} was not read to its end within {READ_WAIT:?}");
            }
        }
    }

    /// The group's offsets, by partition. What a transaction under way is about to commit does not count, and is not
    /// waited for: read committed would make the broker hold the whole answer back.
    fn committed(&self, group: &str, topic: &str) -> anyhow::Result<Vec<(i32, Option<i64>)>> {
        let mut config = self.config();
        config.set("group.id", group).set("enable.auto.commit", "false").set("isolation.level", "read_uncommitted");
        let consumer: BaseConsumer = config.create()?;
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.topics.partitions {
            asked.add_partition(topic, partition);
        }
        let answer = consumer.committed_offsets(asked, BROKER_WAIT)?;
        let of = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            (element.partition(), offset)
        };
        Ok(answer.elements().iter().map(of).collect())
    }

    /// Records of `usage` and `commands` that the meter's group has not committed yet.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn meter_lag(&self, group: &str) -> anyhow::Result<i64> {
        Ok(self.meter_lags(group)?.into_iter().sum())
    }

    /// The same of each partition.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn meter_lags(&self, group: &str) -> anyhow::Result<Vec<i64>> {
        let consumer = self.consumer(group)?;
        let mut lags = vec![0; usize::try_from(self.topics.partitions)?];
        for topic in [self.topics.usage(), self.topics.commands()] {
            for (partition, committed) in self.committed(group, &topic)? {
                let (low, end) = consumer.fetch_watermarks(&topic, partition, BROKER_WAIT)?;
                if let Some(lag) = lags.get_mut(usize::try_from(partition)?) {
                    *lag += end - committed.unwrap_or(low).max(low);
                }
            }
        }
        Ok(lags)
    }

    /// Records of `ledger` that the sink has not committed as done.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn sink_lag(&self) -> anyhow::Result<u64> {
        let topic = self.topics.ledger();
        let consumer = self.consumer(SINK_OFFSETS_GROUP)?;
        let from: Vec<(i32, i64)> = self
            .committed(SINK_OFFSETS_GROUP, &topic)?
            .into_iter()
            .map(|(partition, committed)| (partition, committed.unwrap_or(0)))
            .collect();
        let mut behind = 0;
        self.read_from(&consumer, &topic, &from, |_| behind += 1)?;
        Ok(behind)
    }

    /// Committed records of `ledger`, of all partitions.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn ledger(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut records = Vec::new();
        self.read_ledger("read_committed", |message| records.push(message.payload().unwrap_or_default().to_vec()))?;
        Ok(records)
    }

    /// When each record of `ledger` was written that the broker has and that no transaction committed: what an accident
    /// inside one leaves behind. Milliseconds since the epoch; for a ledger that nobody writes to.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn ledger_uncommitted(&self) -> anyhow::Result<Vec<i64>> {
        let mut written = Vec::new();
        self.read_ledger("read_uncommitted", |message| {
            let at_ms = message.timestamp().to_millis().unwrap_or_default();
            written.push(((message.partition(), message.offset()), at_ms));
        })?;
        let mut committed = HashSet::new();
        self.read_ledger("read_committed", |message| {
            committed.insert((message.partition(), message.offset()));
        })?;
        Ok(written.into_iter().filter(|(place, _)| !committed.contains(place)).map(|(_, at_ms)| at_ms).collect())
    }

    /// When each committed record of `ledger` was written, milliseconds since the epoch: in order, by partition.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn ledger_written(&self) -> anyhow::Result<Vec<Vec<i64>>> {
        let mut written = vec![Vec::new(); usize::try_from(self.topics.partitions)?];
        self.read_ledger("read_committed", |message| {
            let times = usize::try_from(message.partition()).ok().and_then(|partition| written.get_mut(partition));
            if let (Some(times), Some(at_ms)) = (times, message.timestamp().to_millis()) {
                times.push(at_ms);
            }
        })?;
        Ok(written)
    }

    fn read_ledger(
        &self,
        isolation: &str,
        each: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
    ) -> anyhow::Result<()> {
        let consumer = self.consumer_at("tests-ledger", isolation)?;
        let from: Vec<(i32, i64)> = (0..self.topics.partitions).map(|partition| (partition, 0)).collect();
        self.read_from(&consumer, &self.topics.ledger(), &from, each)
    }

    /// Sets a group without members to the beginning of `usage` and `commands`, as an operator's reset does.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn reset_to_beginning(&self, group: &str) -> anyhow::Result<()> {
        let consumer = self.consumer(group)?;
        let mut list = TopicPartitionList::new();
        for topic in [self.topics.usage(), self.topics.commands()] {
            for partition in 0..self.topics.partitions {
                list.add_partition_offset(&topic, partition, Offset::Offset(0))?;
            }
        }
        Ok(consumer.commit(&list, CommitMode::Sync)?)
    }
}

/// `String.hashCode` of Java, of an ASCII text.
fn java_hash(text: &str) -> i32 {
    text.bytes().fold(0, |hash: i32, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_hashes_as_in_java() {
        for (text, hash) in [("", 0), ("tollbooth", 1_219_118_939), ("tollbooth.ledger-7", 296_795_654)] {
            assert_eq!(java_hash(text), hash, "{text}");
        }
    }
}
