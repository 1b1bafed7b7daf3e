//! Kafka as the audit needs it: ends, committed offsets, and whole topics from one offset to another.
//!
//! A broker may be lost meanwhile. What passes by itself is waited for, with a limit; what was read stays read.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::{Offset, TopicPartitionList, error::KafkaError};
use tollbooth_chassis::kafka::{
    KafkaClients, ReaderTuning, Watermarks,
    batch::{Batch, BatchLimit, BatchReader},
    is_passing, outlast,
};

use super::audit::LogRecord;

/// Longest time for one answer of a broker: one that is lost without a word shall not use up all of [`FAILOVER_MAX`].
const BROKER_WAIT: Duration = Duration::from_secs(10);
/// As [`BROKER_WAIT`], of a group's coordinator, which holds an answer back while a transaction is open.
const COORDINATOR_WAIT: Duration = Duration::from_secs(30);
/// Longest time without an answer: another broker leads well before.
const FAILOVER_MAX: Duration = Duration::from_secs(60);
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
    watermarks: Watermarks,
    failover_max: Duration,
    stall_max: Duration,
}

impl Log {
    pub(crate) fn new(clients: KafkaClients) -> anyhow::Result<Self> {
        let watermarks = Watermarks::new(&clients)?;
        Ok(Self { clients, watermarks, failover_max: FAILOVER_MAX, stall_max: STALL_MAX })
    }

    /// As [`new`](Self::new), with another limit for both.
    #[cfg(test)]
    pub(crate) fn with_patience(clients: KafkaClients, patience: Duration) -> anyhow::Result<Self> {
        Ok(Self { failover_max: patience, stall_max: patience, ..Self::new(clients)? })
    }

    /// First offset and end of every partition.
    pub(crate) fn spans(&self, topic: &str, partitions: i32) -> anyhow::Result<Vec<Span>> {
        let span = |partition| {
            let ask = |left: Duration| self.watermarks.ask(topic, partition, left.min(BROKER_WAIT));
            let (from, to) = outlast(self.failover_max, ask)
                .with_context(|| format!("cannot ask for the ends of {topic}/{partition}"))?;
            Ok(Span { partition, from, to })
        };
        (0..partitions).map(span).collect()
    }

    /// A group's next offset of every partition; `None` where it has none.
    pub(crate) fn committed(&self, group: &str, topic: &str, partitions: i32) -> anyhow::Result<Vec<Option<i64>>> {
        self.committed_by(&self.group(group)?, group, topic, partitions)
    }

    /// A client to ask for a group's offsets, for who asks again and again.
    pub(crate) fn group(&self, group: &str) -> anyhow::Result<BatchReader> {
        Ok(BatchReader::new(&self.clients.reader(group, ReaderTuning::default()))?)
    }

    /// As [`committed`](Self::committed), asked of a client of that group.
    pub(crate) fn committed_by(
        &self,
        reader: &BatchReader,
        group: &str,
        topic: &str,
        partitions: i32,
    ) -> anyhow::Result<Vec<Option<i64>>> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..partitions {
            asked.add_partition(topic, partition);
        }
        let ask = |left: Duration| {
            let answer = reader.committed(asked.clone(), left.min(COORDINATOR_WAIT))?;
            // One that could not be told is not one that has none.
            answer.elements().iter().try_for_each(|element| element.error())?;
            Ok(answer)
        };
        let answer =
            outlast(self.failover_max, ask).with_context(|| format!("cannot ask for the offsets of group {group}"))?;
        let offset = |partition| match answer.find_partition(topic, partition)?.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        };
        Ok((0..partitions).map(offset).collect())
    }

    /// Every committed record of these spans; those of a partition in order.
    pub(crate) fn read(&self, topic: &str, spans: &[Span], each: impl FnMut(&LogRecord<'_>)) -> anyhow::Result<()> {
        let open: Vec<Span> = spans.iter().copied().filter(|span| span.from < span.to).collect();
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
        Scan { topic, reader, open, trouble: None }.run(self.stall_max, each)
    }
}

/// A topic on the way to its ends.
struct Scan<'a> {
    topic: &'a str,
    reader: BatchReader,
    /// What is left of each partition.
    open: Vec<Span>,
    /// What went wrong since the last record. The reader goes on by itself once the partition has a leader again.
    trouble: Option<KafkaError>,
}

impl Scan<'_> {
    fn run(mut self, stall_max: Duration, mut each: impl FnMut(&LogRecord<'_>)) -> anyhow::Result<()> {
        let mut moved = Instant::now();
        while !self.open.is_empty() {
            match self.reader.read(LIMIT, POLL) {
                Ok(batch) if batch.is_empty() => self.skip()?,
                Ok(batch) => {
                    self.take(&batch, &mut each);
                    (moved, self.trouble) = (Instant::now(), None);
                }
                Err(error) if is_passing(&error) => self.trouble = Some(error),
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.topic)),
            }
            self.open.retain(|span| span.from < span.to);
            if let Some(span) = self.open.first()
                && moved.elapsed() > stall_max
            {
                let trouble = self.trouble.map(|error| format!(", the last time: {error}")).unwrap_or_default();
                let (topic, within) = (self.topic, stall_max.as_secs());
                bail!(
                    "{topic}/{} stands still at {} of {} for {within} s{trouble}",
                    span.partition,
                    span.from,
                    span.to
                );
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch, each: &mut impl FnMut(&LogRecord<'_>)) {
        let mut headers = Vec::new();
        for record in batch.iter() {
            let (partition, offset) = (record.partition(), record.offset());
            let Some(span) = self.open.iter_mut().find(|span| span.partition == partition) else { continue };
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
    }

    /// The tail may be markers and aborted records, which only the position tells.
    fn skip(&mut self) -> anyhow::Result<()> {
        for span in &mut self.open {
            if let Some(position) = self.reader.position(self.topic, span.partition)? {
                span.from = span.from.max(position);
            }
        }
        Ok(())
    }
}
