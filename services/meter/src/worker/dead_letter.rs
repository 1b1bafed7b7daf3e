//! A dead letter's headers and what is kept of its bytes, and what becomes of it when it is driven again.

use rdkafka::message::{Header, OwnedHeaders};
use tollbooth_schemas::{
    dead_letter::{self, LetterId, LetterOutcome, header},
    ids::entry_id,
    time::rfc3339,
    topics::of_generation,
    v1::{Command, Entry, Reply, reply},
};

use super::{decide::DeadLetter, outside::SourceRecord};

/// The original's headers, and where it came from, when, and why it is here. A letter is named after its record for as long
/// as the ledger is: the generation tells it from one of the same offset in the topics of before.
pub(super) fn headers<'b>(
    letter: &DeadLetter<impl SourceRecord<'b>>,
    input_generation: u32,
    now_ms: i64,
) -> OwnedHeaders {
    let record = letter.record;
    let received_at = record.appended_ms().map(rfc3339).unwrap_or_default();
    let own = [
        (header::REASON, letter.dead.reason.code().to_owned()),
        (header::DETAIL, letter.dead.detail.clone()),
        (header::STEP, letter.step.to_owned()),
        (header::SOURCE_TOPIC, of_generation(record.topic(), input_generation)),
        (header::SOURCE_PARTITION, record.partition().to_string()),
        (header::SOURCE_OFFSET, record.offset().to_string()),
        (header::RECEIVED_AT, received_at),
        (header::DEAD_AT, rfc3339(now_ms)),
    ];
    // The original's headers first: binary-mode attributes live there, and a re-drive needs them.
    let mut headers = OwnedHeaders::new();
    let mut header_bytes = 0;
    for (key, value) in record.headers() {
        header_bytes += key.len() + value.map_or(0, <[u8]>::len);
        if header_bytes <= dead_letter::HEADER_BYTES_MAX {
            headers = headers.insert(Header { key, value });
        }
    }
    for (key, value) in &own {
        headers = headers.insert(Header { key, value: Some(value.as_str()) });
    }
    let original_bytes = record.payload().unwrap_or_default().len();
    if original_bytes > dead_letter::BYTES_MAX {
        let value = original_bytes.to_string();
        headers = headers.insert(Header { key: header::ORIGINAL_BYTES, value: Some(value.as_str()) });
    }
    headers
}

/// The beginning that is kept.
pub(super) fn cut(bytes: &[u8], bytes_max: usize) -> &[u8] {
    bytes.get(..bytes_max).unwrap_or(bytes)
}

/// What became of a letter that was driven again: a record of the dead-letter topic, beside the letter.
#[derive(Debug)]
pub(super) struct Redriven {
    id: LetterId,
    /// Its key.
    pub(super) account_id: String,
    pub(super) outcome: LetterOutcome,
    /// Code and text of why it was refused, else empty.
    pub(super) reason: String,
    pub(super) detail: String,
    actor: String,
    entry_id: String,
    /// Partition and offset.
    command: (i32, i64),
}

impl Redriven {
    /// `None`: the letter had been posted by an earlier command.
    pub(super) fn of(
        id: LetterId,
        place: (i32, i64),
        command: &Command,
        entry: Option<&Entry>,
        reply: &Reply,
    ) -> Option<Self> {
        let account_id = command.account_id.clone();
        let entry_id = entry.map(|entry| entry_id(&account_id, entry.seq));
        let (outcome, reason, detail) = match (&entry_id, &reply.outcome) {
            (Some(_), _) => (LetterOutcome::Posted, "", ""),
            (None, Some(reply::Outcome::Rejected(why))) => {
                let outcome = LetterOutcome::from_code(&why.code).filter(|outcome| outcome.is_final());
                let reason = if outcome.is_some() { "" } else { why.code.as_str() };
                (outcome.unwrap_or(LetterOutcome::Refused), reason, why.detail.as_str())
            }
            (None, _) => return None,
        };
        Some(Self {
            id,
            outcome,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            actor: command.actor.clone(),
            entry_id: entry_id.unwrap_or_default(),
            account_id,
            command: place,
        })
    }

    /// Which letter, and what became of it.
    pub(super) fn headers(&self, now_ms: i64) -> OwnedHeaders {
        let own = [
            (header::OUTCOME, self.outcome.code().to_owned()),
            (header::REASON, self.reason.clone()),
            (header::DETAIL, self.detail.clone()),
            (header::SOURCE_TOPIC, self.id.topic.clone()),
            (header::SOURCE_PARTITION, self.id.partition.to_string()),
            (header::SOURCE_OFFSET, self.id.offset.to_string()),
            (header::REDRIVEN_BY, self.actor.clone()),
            (header::REDRIVEN_AT, rfc3339(now_ms)),
            (header::ENTRY, self.entry_id.clone()),
            (header::COMMAND, format!("{}/{}", self.command.0, self.command.1)),
        ];
        own.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_str()) })
        })
    }
}
