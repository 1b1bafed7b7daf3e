//! Kafka as the audit needs it: ends, committed offsets, and whole topics from one offset to another.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _},
};
use tollbooth_chassis::kafka::{
    KafkaClients, LogContext, ReaderTuning,
    batch::{BatchLimit, BatchReader},
};

use super::audit::LogRecord;

const BROKER_WAIT: Duration = Duration::from_secs(30);
/// Longest time without a record on the way to an end that was there: an open transaction ends before.
const STALL_MAX: Duration = Duration::from_secs(60);
const LIMIT: BatchLimit = BatchLimit { records: 20_000, bytes: 16 * 1024 * 1024 };
const POLL: Duration = Duration::from_millis(50);

/// `[from, to)` of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) partition: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A cluster.
pub(crate) struct Log {
    clients: KafkaClients,
    /// Sees records of open transactions, so that an end taken here is behind everything that was written before.
    uncommitted: BaseConsumer<LogContext>,
}

impl Log {
    pub(crate) fn new(clients: KafkaClients) -> anyhow::Result<Self> {
        let mut config = clients.reader("tollbooth-verify", ReaderTuning::default());
        config.set("isolation.level", "read_uncommitted");
        let uncommitted = BaseConsumer::from_config_and_context(&config, LogContext)?;
        Ok(Self { clients, uncommitted })
    }

    /// First offset and end of every partition.
    pub(crate) fn spans(&self, topic: &str, partitions: i32) -> anyhow::Result<Vec<Span>> {
        let span = |partition| {
            let (from, to) = self
                .uncommitted
                .fetch_watermarks(topic, partition, BROKER_WAIT)
                .with_context(|| format!("cannot ask for the ends of {topic}/{partition}"))?;
            Ok(Span { partition, from, to })
        };
        (0..partitions).map(span).collect()
    }

    /// A group's next offset of every partition; `None` where it has none.
    pub(crate) fn committed(&self, group: &str, topic: &str, partitions: i32) -> anyhow::Result<Vec<Option<i64>>> {
        let reader = BatchReader::new(&self.clients.reader(group, ReaderTuning::default()))?;
        let mut asked = TopicPartitionList::new();
        for partition in 0..partitions {
            asked.add_partition(topic, partition);
        }
        let answer = reader
            .committed(asked, BROKER_WAIT)
            .with_context(|| format!("cannot ask for the offsets of group {group}"))?;
        let offset = |partition| match answer.find_partition(topic, partition)?.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        };
        Ok((0..partitions).map(offset).collect())
    }

    /// Every committed record of these spans; those of a partition in order.
    pub(crate) fn read(&self, topic: &str, spans: &[Span], mut each: impl FnMut(&LogRecord<'_>)) -> anyhow::Result<()> {
        let mut open: Vec<Span> = spans.iter().copied().filter(|span| span.from < span.to).collect();
        if open.is_empty() {
            return Ok(());
        }
        let tuning = ReaderTuning { fetch_wait_ms: 20, ..ReaderTuning::default() };
        let mut reader = BatchReader::new(&self.clients.reader("tollbooth-verify", tuning))?;
        let mut list = TopicPartitionList::new();
        for span in &open {
            list.add_partition_offset(topic, span.partition, Offset::Offset(span.from))?;
        }
        reader.assign(&list)?;
        let mut moved = Instant::now();
        while !open.is_empty() {
            let batch = reader.read(LIMIT, POLL).with_context(|| format!("cannot read {topic}"))?;
            let mut headers = Vec::new();
            for record in batch.iter() {
                let (partition, offset) = (record.partition(), record.offset());
                let Some(span) = open.iter_mut().find(|span| span.partition == partition) else { continue };
                if offset >= span.to {
                    span.from = span.to;
                    continue;
                }
                span.from = offset + 1;
                headers.clear();
                headers.extend(record.headers());
                each(&LogRecord {
                    partition,
                    offset,
                    timestamp_ms: record.timestamp().map(|timestamp| timestamp.millis),
                    key: record.key(),
                    payload: record.payload(),
                    headers: &headers,
                });
            }
            if batch.is_empty() {
                // The tail may be markers and aborted records, which only the position tells.
                for span in &mut open {
                    if let Some(position) = reader.position(topic, span.partition)? {
                        span.from = span.from.max(position);
                    }
                }
            } else {
                moved = Instant::now();
            }
            open.retain(|span| span.from < span.to);
            if let Some(span) = open.first()
                && moved.elapsed() > STALL_MAX
            {
                bail!("{topic}/{} stands still at {} of {}", span.partition, span.from, span.to);
            }
        }
        Ok(())
    }
}
