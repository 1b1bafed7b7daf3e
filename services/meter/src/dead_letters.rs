//! How much lies in the dead-letter topic, and since when: every meter tells the same.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{Offset, TopicPartitionList, error::KafkaError};
use tollbooth_chassis::{
    kafka::{
        ReaderTuning,
        batch::{BatchLimit, BatchReader},
    },
    shutdown::Shutdown,
};

use crate::worker::Context;

const PARTITION: i32 = 0;
const LOOK_EVERY: Duration = Duration::from_secs(15);
const BROKER_WAIT: Duration = Duration::from_secs(5);
const READ_WAIT: Duration = Duration::from_millis(100);
const FIRST_RECORD: BatchLimit = BatchLimit { records: 1, bytes: 1 };

/// What was found at the beginning of the topic; read again only once that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct First {
    low: i64,
    /// The end as of then, where there was no record: the first one lies beyond it.
    empty_to: i64,
    put_at_ms: Option<i64>,
}

/// Looks every few seconds until `shutdown`, on a thread of its own.
///
/// # Errors
/// When the system has no thread to give.
pub fn watch(context: Arc<Context>, shutdown: Shutdown) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("dead-letters".to_owned());
    thread.spawn(move || {
        let mut first = None;
        loop {
            // A broker that is away makes it unknown; the next look tells.
            if let Err(error) = look(&context, &mut first) {
                tracing::debug!(%error, "cannot look at the dead letters");
            }
            if shutdown.wait_blocking(LOOK_EVERY) {
                break;
            }
        }
    })?;
    Ok(())
}

fn look(context: &Context, first: &mut Option<First>) -> Result<(), KafkaError> {
    let topic = context.topics.dead_letter();
    let (low, end) = context.watermarks.ask(&topic, PARTITION, BROKER_WAIT)?;
    context.metrics.dead_letters.set((end - low).max(0));
    let is_known = first.is_some_and(|first| first.low == low && (first.put_at_ms.is_some() || first.empty_to == end));
    if !is_known {
        let put_at_ms = if low < end { first_put_at(context, &topic, low, end)? } else { None };
        *first = Some(First { low, empty_to: end, put_at_ms });
    }
    let now_ms = chrono::Utc::now().timestamp_millis();
    let age_ms = first.and_then(|first| first.put_at_ms).map_or(0, |put_at_ms| (now_ms - put_at_ms).max(0));
    context.metrics.dead_letters_oldest_age.set(age_ms / 1000);
    Ok(())
}

/// When the first record at or after `low` was put there; `None` where nothing but markers lies before `end`.
fn first_put_at(context: &Context, topic: &str, low: i64, end: i64) -> Result<Option<i64>, KafkaError> {
    let tuning =
        ReaderTuning { partition_fetch_bytes_max: 64 * 1024, queued_kbytes_max: 64, ..ReaderTuning::default() };
    // The group exists in name only: nothing is committed.
    let mut reader = BatchReader::new(&context.clients.reader(&format!("{topic}-watch"), tuning))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, PARTITION, Offset::Offset(low))?;
    reader.assign(&list)?;
    let deadline = Instant::now() + BROKER_WAIT;
    while Instant::now() < deadline {
        let batch = reader.read(FIRST_RECORD, READ_WAIT)?;
        if let Some(record) = batch.get(0) {
            return Ok(record.timestamp().map(|timestamp| timestamp.millis));
        }
        if reader.position(topic, PARTITION)?.is_some_and(|position| position >= end) {
            return Ok(None);
        }
    }
    Err(KafkaError::Global(rdkafka::error::RDKafkaErrorCode::OperationTimedOut))
}
