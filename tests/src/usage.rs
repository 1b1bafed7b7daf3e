//! Usage events as JSON, to be bent by a test.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tollbooth_schemas::time::rfc3339;

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// One image of AI Modify (Nano Banana 2), done now, successful: 0.24 on the plan `payg`.
#[must_use]
pub fn event(account_id: &str, operation_id: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": format!("{operation_id}.1"),
        "source": "/booths/bth_17",
        "type": "tollbooth.usage.v1",
        "subject": account_id,
        "time": rfc3339(now_ms()),
        "datacontenttype": "application/json",
        "data": {
            "operation_id": operation_id, "attempt": 1, "event_id": "evt_gala", "booth_id": "bth_17",
            "service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image", "quantity": "1",
            "status": "success", "provider_cost": "0.067",
        },
    })
}

/// The event with members of its `data` replaced.
#[must_use]
pub fn with_data(mut event: Value, members: &Value) -> Value {
    if let (Some(data), Some(members)) = (event["data"].as_object_mut(), members.as_object()) {
        data.extend(members.clone());
    }
    event
}

/// The event with attributes replaced.
#[must_use]
pub fn with(mut event: Value, attributes: &Value) -> Value {
    if let (Some(event), Some(attributes)) = (event.as_object_mut(), attributes.as_object()) {
        event.extend(attributes.clone());
    }
    event
}

/// A failed attempt of the event's operation.
#[must_use]
pub fn failed(event: Value, attempt: u32) -> Value {
    let operation = event["data"]["operation_id"].as_str().unwrap_or_default().to_owned();
    let event = with(event, &json!({ "id": format!("{operation}.{attempt}") }));
    with_data(event, &json!({ "attempt": attempt, "status": "failed", "error_code": "provider_timeout" }))
}

/// A later attempt that succeeded.
#[must_use]
pub fn retried(event: Value, attempt: u32) -> Value {
    let operation = event["data"]["operation_id"].as_str().unwrap_or_default().to_owned();
    with_data(with(event, &json!({ "id": format!("{operation}.{attempt}") })), &json!({ "attempt": attempt }))
}

/// Headers and value of an event in binary mode.
#[must_use]
pub fn binary(event: &Value) -> (Vec<(String, String)>, Vec<u8>) {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    for name in ["specversion", "id", "source", "type", "subject", "time"] {
        if let Some(value) = event[name].as_str() {
            headers.push((format!("ce_{name}"), value.to_owned()));
        }
    }
    (headers, event["data"].to_string().into_bytes())
}

/// Headers and value of an event in structured mode.
#[must_use]
pub fn structured(event: &Value) -> (Vec<(String, String)>, Vec<u8>) {
    let content_type = tollbooth_schemas::usage::STRUCTURED_CONTENT_TYPE.to_owned();
    (vec![("content-type".to_owned(), content_type)], event.to_string().into_bytes())
}

/// Where the price book of the demo lies; the tests charge by it.
pub const PRICE_BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local/price-book.json");

/// The document at [`PRICE_BOOK`].
///
/// # Errors
/// When it cannot be read.
pub fn price_book() -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(PRICE_BOOK)?)?)
}
