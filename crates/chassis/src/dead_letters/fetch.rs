//! Letters by offset, with all their bytes.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::PARTITION;
use crate::kafka::{
    KafkaClients, ReaderTuning,
    batch::{BatchLimit, BatchReader, Record},
};

const READ_LIMIT: BatchLimit = BatchLimit { records: 64, bytes: 4 * 1024 * 1024 };
const READ_WAIT: Duration = Duration::from_millis(100);
/// Offsets over which reading on costs less than a new start.
const NEAR: i64 = 2_000;

/// A record of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Where it lies.
    pub offset: i64,
    /// When it was appended.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub payload: Vec<u8>,
    /// Its headers, those of the original first.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Whole {
    fn of(record: &Record<'_>) -> Self {
        let headers = record.headers().map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_vec()));
        Self {
            offset: record.offset(),
            timestamp_ms: record.timestamp().map(|timestamp| timestamp.millis),
            key: record.key().unwrap_or_default().to_vec(),
            payload: record.payload().unwrap_or_default().to_vec(),
            headers: headers.collect(),
        }
    }

    /// The last header of that name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().rev().find(|(found, _)| found == name);
        header.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

pub(super) fn fetch(
    clients: &KafkaClients,
    topic: &str,
    offsets: &[i64],
    deadline: Instant,
) -> Result<Vec<Whole>, KafkaError> {
    let mut wanted = offsets.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let tuning =
        ReaderTuning { partition_fetch_bytes_max: 1024 * 1024, queued_kbytes_max: 8 * 1024, ..ReaderTuning::default() };
    // The group exists in name only: nothing is committed.
    let mut reader = BatchReader::new(&clients.reader(&format!("{topic}-fetch"), tuning))?;
    let (low, end) = reader.watermarks(topic, PARTITION, deadline.saturating_duration_since(Instant::now()))?;
    wanted.retain(|offset| (low..end).contains(offset));
    let mut found = Vec::with_capacity(wanted.len());
    let mut rest = wanted.as_slice();
    let mut next = None;
    while let Some(first) = rest.first() {
        if next.is_none_or(|next: i64| first - next > NEAR) {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(topic, PARTITION, Offset::Offset(*first))?;
            reader.assign(&list)?;
        }
        let batch = reader.read(READ_LIMIT, READ_WAIT)?;
        for record in batch.iter() {
            // Offsets that hold markers are passed over.
            rest = rest.get(rest.partition_point(|offset| *offset < record.offset())..).unwrap_or_default();
            if rest.first() == Some(&record.offset()) {
                found.push(Whole::of(&record));
                rest = rest.get(1..).unwrap_or_default();
            }
            next = Some(record.offset() + 1);
        }
        let position = reader.position(topic, PARTITION)?;
        if batch.is_empty() && position.is_some_and(|position| position >= end) {
            break;
        }
        next = next.max(position);
        if Instant::now() > deadline {
            return Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
        }
    }
    Ok(found)
}
