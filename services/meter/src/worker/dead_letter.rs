//! A dead letter's headers and what is kept of its bytes.

use rdkafka::message::{Header, OwnedHeaders};
use tollbooth_schemas::{
    dead_letter::{self, header},
    time::rfc3339,
};

use super::decide::DeadLetter;

/// The original's headers, and where it came from, when, and why it is here.
pub(super) fn headers(letter: &DeadLetter<'_>, now_ms: i64) -> OwnedHeaders {
    let record = letter.record;
    let received_at = record.timestamp().map(|timestamp| rfc3339(timestamp.millis)).unwrap_or_default();
    let own = [
        (header::REASON, letter.dead.reason.code().to_owned()),
        (header::DETAIL, letter.dead.detail.clone()),
        (header::STEP, letter.step.to_owned()),
        (header::SOURCE_TOPIC, record.topic().to_owned()),
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
