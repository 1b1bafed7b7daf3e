//! When the brokers are slow, refuse, or are gone: 503 with `Retry-After`, and nothing claimed that is not so.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stand::{Stand, event, read, with};

fn batch(events: usize) -> Vec<Value> {
    (0..events).map(|n| with(event(&format!("b{n}")), "/data/note", json!("x".repeat(300)))).collect()
}

#[tokio::test]
async fn a_full_queue_refuses_the_rest_of_a_batch_and_then_whole_requests() {
    // given a queue of 1 KiB before a slow broker
    let stand = Stand::start_with(|config| config.producer.queue_kbytes_max = 1).await;
    let key = stand.booth_key().await;
    stand.mock.broker_round_trip_time(1, Duration::from_millis(700)).unwrap();
    // when more is sent than it holds
    let events = batch(10);
    let first = stand.send_batch(&key, &events);
    let while_full = async {
        stand
            .until("the queue is full", || {
                stand.metric("tollbooth_ingest_inflight_requests") > 0.0
                    && stand.metric("tollbooth_ingest_event_lateness_seconds_count{source=\"live\"}") >= 10.0
            })
            .await;
        let request = stand.post("/v1/events", &key).header("content-type", "application/cloudevents+json");
        let answer = request.body(events[9].to_string()).send().await.unwrap();
        let retry_after = answer.headers().get("retry-after").cloned();
        (read(answer).await, retry_after)
    };
    let ((status, answer), ((single, problem), retry_after)) = tokio::join!(first, while_full);
    // then what fitted is accepted, the rest is 503 item by item, and a request for which there is no room is 503 whole
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    assert!(!rejected.is_empty() && rejected.len() < 10, "{}", rejected.len());
    assert!(rejected.iter().all(|item| item["problem"]["status"] == json!(503)), "{answer}");
    assert_eq!((single, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert_eq!(retry_after.unwrap(), "1");
    stand.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    assert_eq!(json!(stand.usage().len()), answer["accepted"]);
}

#[tokio::test]
async fn what_the_broker_refuses_is_not_acknowledged() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS;
    stand.mock.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let (status, problem) = stand.send_event(&key, &event("a")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert_eq!(stand.metric("tollbooth_broker_produce_errors_total{topic=\"tollbooth.usage\"}"), 1.0);
    assert!(stand.usage().is_empty());
}

#[tokio::test]
async fn a_broker_that_is_gone_is_503_after_the_delivery_timeout_and_heals() {
    let stand = Stand::start_with(|config| config.producer.delivery_timeout_ms = 400).await;
    let key = stand.booth_key().await;
    stand.mock.broker_down(1).unwrap();
    let request = stand.post("/v1/events", &key).header("content-type", "application/cloudevents-batch+json");
    let answer = request.body(serde_json::to_string(&batch(3)).unwrap()).send().await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(read(answer).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // when it is back
    stand.mock.broker_up(1).unwrap();
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    let deadline = std::time::Instant::now() + crate::stand::DEADLINE;
    while status != StatusCode::ACCEPTED && std::time::Instant::now() < deadline {
        status = stand.send_event(&key, &event("back")).await.0;
    }
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn retriable_broker_errors_are_not_felt_outside() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    stand.mock.request_errors(RDKafkaApiKey::Produce, &[error, error]);
    let (status, answer) = stand.send_batch(&key, &batch(5)).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 5, "rejected": []})));
    assert_eq!(stand.usage().len(), 5);
}

#[tokio::test]
async fn beyond_the_requests_under_way_the_answer_is_an_instant_503() {
    let stand = Stand::start_with(|config| config.admission.requests_max = 1).await;
    let key = stand.booth_key().await;
    stand.mock.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    let (one, two) = (event("a"), event("b"));
    let first = stand.send_event(&key, &one);
    let second = async {
        stand.until("one under way", || stand.metric("tollbooth_ingest_inflight_requests") > 0.0).await;
        stand.send_event(&key, &two).await
    };
    let ((first, _), (second, problem)) = tokio::join!(first, second);
    assert_eq!((first, second), (StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(problem["detail"], json!("too many requests are under way"));
    assert_eq!(stand.metric("tollbooth_ingest_inflight_requests"), 0.0);
    assert_eq!(stand.metric("tollbooth_ingest_inflight_bytes"), 0.0);
}
