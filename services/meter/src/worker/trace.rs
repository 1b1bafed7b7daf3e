//! What traces say of records: of each that came with one, what became of it in its transaction.

use std::time::{Duration, SystemTime};

use tollbooth_chassis::traces::{KeyValue, Passed, TRACEPARENT};

use super::outside::SourceRecord;

/// A record that came with a trace, and what was decided about it.
#[derive(Debug)]
pub(super) struct Traced<R> {
    pub(super) record: R,
    /// One of few words.
    pub(super) outcome: &'static str,
    /// The entry that it became.
    pub(super) entry_id: Option<String>,
    /// Whether a person is to look at it.
    pub(super) failed: bool,
}

impl<'b, R: SourceRecord<'b>> Traced<R> {
    /// The span from the record's arrival in the log to `committed_ms`.
    pub(super) fn passed(&self, committed_ms: i64) -> Passed<'b> {
        let record = self.record;
        let mut attributes = vec![
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.destination.name", record.topic().to_owned()),
            KeyValue::new("messaging.destination.partition.id", record.partition().to_string()),
            KeyValue::new("messaging.kafka.offset", record.offset()),
            KeyValue::new(
                "tollbooth.account_id",
                String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned(),
            ),
            KeyValue::new("tollbooth.outcome", self.outcome),
        ];
        attributes.extend(self.entry_id.clone().map(|entry_id| KeyValue::new("tollbooth.entry_id", entry_id)));
        Passed {
            name: "meter decides",
            parent: record.header(TRACEPARENT).unwrap_or_default(),
            began: instant(record.appended_ms().unwrap_or(committed_ms).min(committed_ms)),
            ended: instant(committed_ms),
            attributes,
            failure: self.failed.then(|| self.outcome.to_owned()),
        }
    }
}

fn instant(epoch_ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(epoch_ms).unwrap_or_default())
}
