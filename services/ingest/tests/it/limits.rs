//! Bodies and batches beyond their limits, packed and unpacked.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::json;

use crate::stand::{Stand, event, read};

const BATCH: &str = "application/cloudevents-batch+json";

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_of_10_mb_is_too_large() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let (status, problem) = stand.send_text(&key, BATCH, vec![b' '; 10_000_000]).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
}

#[tokio::test]
async fn a_packed_body_is_measured_unpacked() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let send = async |body: &[u8]| {
        let request = stand.post("/v1/events", &key).header("content-type", BATCH).header("content-encoding", "gzip");
        read(request.body(gzip(body)).send().await.unwrap()).await
    };
    // given 10 MB that pack to a few KiB
    let (status, _) = send(&vec![b' '; 10_000_000]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // and a good batch, packed
    let events: Vec<_> = (0..100).map(|n| event(&format!("b{n}"))).collect();
    let (status, answer) = send(serde_json::to_string(&events).unwrap().as_bytes()).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 100, "rejected": []})));
    assert_eq!(stand.usage().len(), 100);
}

#[tokio::test]
async fn a_batch_of_100_000_is_refused_whole() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let body = format!("[{}{{}}]", "{},".repeat(99_999));
    let (status, _) = stand.send_text(&key, BATCH, body).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // and one beyond the limit, of good events
    let events: Vec<_> = (0..1_001).map(|n| event(&format!("b{n}"))).collect();
    let (status, _) = stand.send_batch(&key, &events).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(stand.usage().is_empty());
    // while the limit itself is fine
    let (status, answer) = stand.send_batch(&key, &events[..1_000]).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1_000)));
    assert_eq!(stand.usage().len(), 1_000);
}
