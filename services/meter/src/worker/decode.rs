//! From a record's bytes to a usage event or a command.

use std::borrow::Cow;

use prost::Message as _;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_ledger::Dead;
use tollbooth_schemas::{
    dead_letter::Reason,
    usage::{self, Attributes, UsageError, UsageEvent},
    v1::Command,
};

use super::outside::SourceRecord;

fn dead(reason: Reason, detail: impl Into<String>) -> Dead {
    Dead { reason, detail: detail.into() }
}

impl From<UsageErrorDead> for Dead {
    fn from(UsageErrorDead(error): UsageErrorDead) -> Self {
        let reason = if error.out_of_range { Reason::OutOfRange } else { Reason::Malformed };
        dead(reason, error.to_string())
    }
}

struct UsageErrorDead(UsageError);

/// The usage event of a record, in either CloudEvents mode.
pub(super) fn usage<'b>(record: impl SourceRecord<'b>, partitions: i32) -> Result<UsageEvent<'b>, Dead> {
    let payload = record.payload().ok_or_else(|| dead(Reason::Malformed, "has no value"))?;
    let event = if is_structured(record) { usage::parse_structured(payload) } else { binary(record, payload) };
    let event = event.map_err(|error| Dead::from(UsageErrorDead(error)))?;
    check_key(record, &event.account_id, partitions)?;
    Ok(event)
}

/// The command of a record.
pub(super) fn command<'b>(record: impl SourceRecord<'b>, partitions: i32) -> Result<Command, Dead> {
    let payload = record.payload().ok_or_else(|| dead(Reason::Malformed, "has no value"))?;
    let command =
        Command::decode(payload).map_err(|error| dead(Reason::Malformed, format!("is not a command: {error}")))?;
    if command.idempotency_key.is_empty() || command.account_id.is_empty() {
        return Err(dead(Reason::Malformed, "names no account or no idempotency key"));
    }
    check_key(record, &command.account_id, partitions)?;
    Ok(command)
}

/// CloudEvents Kafka binding: a content type that begins with `application/cloudevents` is structured mode.
fn is_structured<'b>(record: impl SourceRecord<'b>) -> bool {
    const STRUCTURED: &[u8] = b"application/cloudevents";
    let content_type = record.header("content-type").unwrap_or_default();
    content_type.get(..STRUCTURED.len()).is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED))
}

fn binary<'b>(record: impl SourceRecord<'b>, payload: &'b [u8]) -> Result<UsageEvent<'b>, UsageError> {
    let mut attributes = Attributes::default();
    for (name, value) in record.headers() {
        if let (Some(name), Some(value)) = (name.strip_prefix("ce_"), value)
            && let Ok(text) = std::str::from_utf8(value)
        {
            attributes.set(name, Cow::Borrowed(text));
        }
    }
    usage::parse_binary(attributes, payload)
}

/// A record under another key, or in another partition than its key's, belongs to another worker's state.
fn check_key<'b>(record: impl SourceRecord<'b>, account_id: &str, partitions: i32) -> Result<(), Dead> {
    let key = record.key().unwrap_or_default();
    if key != account_id.as_bytes() {
        return Err(dead(Reason::WrongPartition, format!("its key is not {account_id}, the account it is about")));
    }
    match partition_for(key, partitions) {
        Some(partition) if partition == record.partition() => Ok(()),
        expected => {
            let expected = expected.unwrap_or_default();
            Err(dead(Reason::WrongPartition, format!("{account_id} belongs to partition {expected} (murmur2)")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::{Offset, TopicPartitionList};
    use tollbooth_chassis::config::KafkaSection;
    use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader};
    use tollbooth_chassis::kafka::{KafkaClients, ReaderTuning};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_no_event_at_all_is_malformed() {
        // given a record without a value, and the values of an event without their names
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("usage", 1, 1).unwrap();
        let section = KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() };
        let clients = KafkaClients::new(section);
        let producer: BaseProducer = clients.edge_producer(1024, DEADLINE).create().unwrap();
        let array = r#"["1.0", "b17-1", "/booths/bth_17", "tollbooth.usage.v1", "acc_luna", "2026-11-21T20:15:03Z", null,
            {"service": "sms", "engine": "sms_us_ca", "unit": "segment", "quantity": "1", "status": "success"}]"#;
        let structured =
            OwnedHeaders::new().insert(Header { key: "content-type", value: Some(usage::STRUCTURED_CONTENT_TYPE) });
        let tombstone = BaseRecord::<str, str>::to("usage").key("acc_luna");
        let array = BaseRecord::to("usage").key("acc_luna").payload(array).headers(structured);
        for record in [tombstone, array] {
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        let mut reader = BatchReader::new(&clients.reader("test", ReaderTuning::default())).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("usage", 0, Offset::Offset(0)).unwrap();
        reader.assign(&list).unwrap();
        // when they are read
        let mut verdicts = Vec::new();
        let end = Instant::now() + DEADLINE;
        while verdicts.len() < 2 {
            assert!(Instant::now() < end, "{verdicts:?}");
            let limit = BatchLimit { records: 10, bytes: 1 << 20 };
            let batch = reader.read(limit, Duration::from_millis(50)).unwrap();
            verdicts.extend(batch.iter().map(|record| usage(record, 1).map(|event| event.id.to_string())));
        }
        // then both are dead letters
        let found: Vec<_> = verdicts.into_iter().map(|verdict| verdict.map_err(|dead| dead.reason)).collect();
        assert_eq!(found, [Err(Reason::Malformed), Err(Reason::Malformed)]);
    }
}
