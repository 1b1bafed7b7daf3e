//! When the brokers are slow, refuse, or are gone: 503 with `Retry-After`, and nothing claimed that is not so.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::limits::gzip;
use crate::stand::{SLOW, Stand, event, read, with};

fn batch(events: usize) -> Vec<Value> {
    (0..events).map(|n| with(event(&format!("b{n}")), "/data/note", json!("x".repeat(300)))).collect()
}

#[tokio::test]
async fn a_full_queue_refuses_the_rest_of_a_batch_and_then_whole_requests() {
    // given a queue of 1 KiB before a slow broker
    let stand = Stand::start_with(|config| config.producer.queue_kbytes_max = 1).await;
    let key = stand.booth_key().await;
    stand.round_trip(SLOW);
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
        stand.round_trip(Duration::ZERO);
        (read(answer).await, retry_after)
    };
    let ((status, answer), ((single, problem), retry_after)) = tokio::join!(first, while_full);
    // then what fitted is accepted, the rest is 503 item by item, and a request for which there is no room is 503 whole
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    assert!(!rejected.is_empty() && rejected.len() < 10, "{}", rejected.len());
    let indexes: Vec<usize> = rejected.iter().map(|item| item["index"].as_u64().unwrap() as usize).collect();
    assert_eq!(indexes, (10 - rejected.len()..10).collect::<Vec<_>>(), "what is taken is the batch's beginning");
    assert!(rejected.iter().all(|item| item["problem"]["status"] == json!(503)), "{answer}");
    assert_eq!((single, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert_eq!(retry_after.unwrap(), "1");
    assert_eq!(json!(stand.usage().len()), answer["accepted"]);
}

#[tokio::test]
async fn nothing_overtakes_an_event_for_which_there_was_no_room() {
    // given a queue of 4 KiB, and a batch whose second event alone is larger
    let stand = Stand::start_with(|config| config.producer.queue_kbytes_max = 4).await;
    let key = stand.booth_key().await;
    let large = with(event("large"), "/data/note", json!("x".repeat(6 * 1024)));
    let wrong = with(event("wrong"), "/data/quantity", json!("many"));
    // when it is sent
    let (status, answer) = stand.send_batch(&key, &[event("a"), large, event("b"), wrong, event("c")]).await;
    // then what is behind it is not taken either, though it would fit, and what is wrong is told so
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{answer}");
    let told: Vec<(&Value, &Value)> =
        answer["rejected"].as_array().unwrap().iter().map(|item| (&item["id"], &item["problem"]["status"])).collect();
    let expected = json!([["large", 503], ["b", 503], ["wrong", 422], ["c", 503]]);
    assert_eq!(json!(told), expected);
    assert_eq!(stand.usage().len(), 1);
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
    stand.round_trip(SLOW);
    let (one, two) = (event("a"), event("b"));
    let first = stand.send_event(&key, &one);
    let second = async {
        stand.until("one under way", || stand.metric("tollbooth_ingest_inflight_requests") > 0.0).await;
        let second = stand.send_event(&key, &two).await;
        stand.round_trip(Duration::ZERO);
        second
    };
    let ((first, _), (second, problem)) = tokio::join!(first, second);
    assert_eq!((first, second), (StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(problem["detail"], json!("too many requests are under way"));
    assert_eq!(stand.metric("tollbooth_ingest_inflight_requests"), 0.0);
    assert_eq!(stand.metric("tollbooth_ingest_inflight_bytes"), 0.0);
}

#[tokio::test]
async fn a_key_beyond_its_share_is_429_and_others_go_on() {
    // given a key with all the requests under way that it may have
    let stand = Stand::start_with(|config| config.admission.key_requests_max = 1).await;
    let (greedy, other) = (stand.booth_key().await, stand.booth_key().await);
    stand.round_trip(SLOW);
    let (one, two, three) = (event("a"), event("b"), event("c"));
    let first = stand.send_event(&greedy, &one);
    let rest = async {
        stand.until("one under way", || stand.metric("tollbooth_ingest_inflight_requests") > 0.0).await;
        // when it sends another one
        let request = stand.post("/v1/events", &greedy).header("content-type", "application/cloudevents+json");
        let refused = request.body(two.to_string()).send().await.unwrap();
        stand.round_trip(Duration::ZERO);
        (refused, stand.send_event(&other, &three).await.0)
    };
    let ((first, _), (refused, others)) = tokio::join!(first, rest);
    // then it alone is told to wait, and how long
    assert_eq!((first, others), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["ratelimit"], "\"requests\";r=0;t=1");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"requests\";q=1;qu=\"concurrent-requests\"");
    let (status, problem) = read(refused).await;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("rate_limited")));
    assert_eq!(stand.metric("tollbooth_ingest_events_total{reason=\"rate_limited\",result=\"rejected\"}"), 1.0);
    assert_eq!(stand.usage().len(), 2);
}

#[tokio::test]
async fn a_packed_body_takes_what_it_is_and_not_what_it_could_be() {
    // given room for one body of the largest size
    let stand = Stand::start_with(|config| {
        config.admission.bytes_max = config.http.body_bytes_max;
        config.admission.key_bytes_max = config.http.body_bytes_max;
    })
    .await;
    let key = stand.booth_key().await;
    stand.round_trip(SLOW);
    let packed = async |id: &str| {
        let request = stand.post("/v1/events", &key).header("content-type", "application/cloudevents+json");
        let body = gzip(event(id).to_string().as_bytes());
        read(request.header("content-encoding", "gzip").body(body).send().await.unwrap()).await.0
    };
    // when two small packed ones are under way at once, then both find room
    let second = async {
        stand.until("one under way", || stand.metric("tollbooth_ingest_inflight_bytes") > 0.0).await;
        packed("b").await
    };
    let both = async {
        stand.until("both under way", || stand.metric("tollbooth_ingest_inflight_requests") >= 2.0).await;
        stand.round_trip(Duration::ZERO);
    };
    let (first, second, ()) = tokio::join!(packed("a"), second, both);
    assert_eq!((first, second), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(stand.metric("tollbooth_ingest_inflight_bytes"), 0.0);
}
