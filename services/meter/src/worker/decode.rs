//! From a record's bytes to a usage event or a command.

use std::borrow::Cow;

use prost::Message as _;
use tollbooth_chassis::kafka::{batch::Record, partition_for};
use tollbooth_ledger::Dead;
use tollbooth_schemas::{
    dead_letter::Reason,
    usage::{self, Attributes, UsageError, UsageEvent},
    v1::Command,
};

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
pub(super) fn usage(record: Record<'_>, partitions: i32) -> Result<UsageEvent<'_>, Dead> {
    let payload = record.payload().ok_or_else(|| dead(Reason::Malformed, "has no value"))?;
    let event = if is_structured(record) { usage::parse_structured(payload) } else { binary(record, payload) };
    let event = event.map_err(|error| Dead::from(UsageErrorDead(error)))?;
    check_key(record, &event.account_id, partitions)?;
    Ok(event)
}

/// The command of a record.
pub(super) fn command(record: Record<'_>, partitions: i32) -> Result<Command, Dead> {
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
fn is_structured(record: Record<'_>) -> bool {
    const STRUCTURED: &[u8] = b"application/cloudevents";
    let content_type = record.header("content-type").unwrap_or_default();
    content_type.get(..STRUCTURED.len()).is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED))
}

fn binary<'a>(record: Record<'a>, payload: &'a [u8]) -> Result<UsageEvent<'a>, UsageError> {
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
fn check_key(record: Record<'_>, account_id: &str, partitions: i32) -> Result<(), Dead> {
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
