//! `POST /v1/events`: the three modes, and a verdict per item.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::time::DAY_MS;
use tollbooth_schemas::usage::{STRUCTURED_CONTENT_TYPE, parse_structured};

use crate::stand::{PARTITIONS, Stand, event, event_at, read, with, without};

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[tokio::test]
async fn a_structured_event_is_in_kafka_byte_for_byte_when_it_is_acknowledged() {
    // given an event with spacing, an escape and a member nobody knows
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let text = event("b1").to_string().replacen("{", "{ \"mood\" : \"\\u0041 1.50\",\n", 1);
    // when it is accepted
    let (status, answer) = stand.send_text(&key, "application/cloudevents+json; charset=utf-8", text.clone()).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 1, "rejected": []})));
    // then its own bytes lie where the account's key belongs
    let records = stand.usage();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].payload, text.as_bytes());
    assert_eq!(records[0].key, "acc_luna");
    assert_eq!(Some(records[0].partition), partition_for(b"acc_luna", PARTITIONS));
    assert_eq!(records[0].header("content-type"), Some(STRUCTURED_CONTENT_TYPE));
    assert_eq!(stand.metric("tollbooth_ingest_events_total{reason=\"none\",result=\"accepted\"}"), 1.0);
}

#[tokio::test]
async fn a_binary_event_stays_binary() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let event = event("b1");
    let data = event["data"].to_string();
    // given attributes in headers, one of them percent-encoded, and an extension
    let request = stand
        .post("/v1/events", &key)
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "b1")
        .header("ce-type", "tollbooth.usage.v1")
        .header("ce-source", "/booths/caf%C3%A9")
        .header("ce-subject", "acc_luna")
        .header("ce-time", event["time"].as_str().unwrap())
        .header("ce-sequence", "7")
        .body(data.clone());
    let (status, answer) = read(request.send().await.unwrap()).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 1, "rejected": []})));
    let records = stand.usage();
    assert_eq!(records[0].payload, data.as_bytes());
    assert_eq!(records[0].key, "acc_luna");
    assert_eq!(records[0].header("content-type"), Some("application/json"));
    assert_eq!(records[0].header("ce_source"), Some("/booths/café"));
    assert_eq!(records[0].header("ce_sequence"), Some("7"));
    assert_eq!(records[0].header("ce_subject"), Some("acc_luna"));
}

/// The values of an event in order, without their names.
fn in_order(event: &Value) -> Value {
    let names = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"];
    json!(names.map(|name| &event[name]))
}

#[tokio::test]
async fn what_is_wrong_with_a_binary_event_is_named() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let event = event("b1");
    let time = event["time"].as_str().unwrap();
    let good = [
        ("ce-specversion", "1.0"),
        ("ce-id", "b1"),
        ("ce-type", "tollbooth.usage.v1"),
        ("ce-source", "/booths/bth_17"),
        ("ce-subject", "acc_luna"),
        ("ce-time", time),
    ];
    let send = async |headers: &[(&str, &str)], body: String| {
        let request = stand.post("/v1/events", &key).header("content-type", "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (status, problem) = read(request.send().await.unwrap()).await;
        (status.as_u16(), problem["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
    };
    let data = event["data"].to_string();
    // given one header missing or wrong, the event's member is named; without three of them it is in no mode at all
    for (name, _) in good {
        let without: Vec<_> = good.into_iter().filter(|(other, _)| *other != name).collect();
        let pointer = format!("/{}", name.strip_prefix("ce-").unwrap());
        assert_eq!(send(&without, data.clone()).await, (422, pointer), "without {name}");
    }
    let with =
        |name: &str, value: &'static str| good.map(|(other, old)| (other, if other == name { value } else { old }));
    for (name, value, status, pointer) in [
        ("ce-specversion", "0.3", 422, "/specversion"),
        ("ce-type", "other.v1", 422, "/type"),
        ("ce-subject", "luna", 422, "/subject"),
        ("ce-subject", "acc_other", 403, "/subject"),
        ("ce-time", "yesterday", 422, "/time"),
        ("ce-time", "1970-01-01T00:00:00Z", 422, "/time"),
        ("ce-id", "%C3", 400, ""),
    ] {
        assert_eq!(send(&with(name, value), data.clone()).await, (status, pointer.to_owned()), "{name}: {value}");
    }
    let extra = |name| [&good[..], &[(name, "x")]].concat();
    assert_eq!(send(&extra("ce-bad-name"), data.clone()).await.0, 400);
    assert_eq!(send(&extra("ce-id"), data.clone()).await.0, 400, "sent twice");
    // given a body that is no JSON, no object, or no usage
    let array = json!(["op_1", 1, "evt_gala", "bth_17", "ai_modify", "x", "", "", "image", "1", "success"]);
    let mut wrong = event["data"].clone();
    wrong["quantity"] = json!("-1");
    for (body, status, pointer) in [
        ("{\"operation_id\": ".to_owned(), 400, ""),
        (String::new(), 400, ""),
        ("7".to_owned(), 422, "/data"),
        (array.to_string(), 422, "/data"),
        ("{}".to_owned(), 422, "/data"),
        (wrong.to_string(), 422, "/data/quantity"),
    ] {
        assert_eq!(send(&good, body.clone()).await, (status, pointer.to_owned()), "{body}");
    }
    let large = json!({"note": "x".repeat(64 * 1024)}).to_string();
    assert_eq!(send(&good, large).await.0, 413);
    assert!(stand.usage().is_empty());
    // and the good one is taken
    assert_eq!(send(&good, data).await, (202, String::new()));
}

#[tokio::test]
async fn what_is_refused_is_counted_and_its_clock_is_seen() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let count = |metric: &str| stand.metric(&format!("tollbooth_ingest_{metric}"));
    let rejected = |reason: &str| count(&format!("events_total{{reason=\"{reason}\",result=\"rejected\"}}"));
    // given a booth whose clock is a day ahead, and one that was offline for too long
    let ahead = event_at("ahead", now_ms() + DAY_MS);
    let old = event_at("old", now_ms() - 36 * DAY_MS);
    assert_eq!(stand.send_batch(&key, &[ahead, old]).await.1["accepted"], json!(0));
    // then both are seen though they are refused
    assert_eq!((rejected("in_future"), rejected("too_old")), (1.0, 1.0));
    assert_eq!(count("clock_skew_seconds_count"), 1.0);
    assert_eq!(count("event_lateness_seconds_count{source=\"offline\"}"), 1.0);
    // given requests that are refused before their events are told apart
    let batch = "application/cloudevents-batch+json";
    let too_many = format!("[{}{{}}]", "{},".repeat(1_000));
    for (body, status) in [(too_many, 413), ("[{".to_owned(), 400), ("x".repeat(5_000_000), 413)] {
        assert_eq!(stand.send_text(&key, batch, body).await.0.as_u16(), status);
    }
    // then each of them is one
    assert_eq!((rejected("too_large"), rejected("malformed")), (2.0, 1.0));
    assert_eq!((count("batch_events_count"), count("batch_events_sum")), (4.0, 5.0));
}

#[tokio::test]
async fn one_bad_item_never_fails_its_neighbours() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    // given one of each kind of bad item between good ones
    let cases: Vec<(Value, u16, &str, &str)> = vec![
        (without(event("no_subject"), "subject"), 422, "invalid", "malformed"),
        (with(event("foreign"), "/subject", json!("acc_other")), 403, "forbidden", "foreign_subject"),
        (with(event("negative"), "/data/quantity", json!("-1")), 422, "invalid", "malformed"),
        (with(event("zero"), "/data/quantity", json!("0")), 422, "invalid", "malformed"),
        (with(event("huge"), "/data/quantity", json!("9999999999999999")), 422, "out_of_range", "out_of_range"),
        (with(event("words"), "/data/quantity", json!("many")), 422, "invalid", "malformed"),
        (with(event("exponent"), "/data/quantity", json!("1e3")), 422, "invalid", "malformed"),
        (with(event("number"), "/data/quantity", json!(1)), 422, "invalid", "malformed"),
        (with(event("y1970"), "/time", json!("1970-01-01T00:00:00Z")), 422, "too_old", "too_old"),
        (with(event("y2090"), "/time", json!("2090-01-01T00:00:00Z")), 422, "in_future", "in_future"),
        (with(event("no_time"), "/time", json!("yesterday")), 422, "invalid", "malformed"),
        (with(event("type"), "/type", json!("other.v1")), 422, "invalid", "malformed"),
        (with(event("large"), "/data/note", json!("x".repeat(64 * 1024))), 413, "too_large", "too_large"),
        (json!(7), 422, "invalid", "malformed"),
        (json!({"id": "bare"}), 422, "invalid", "malformed"),
        (in_order(&event("array")), 422, "invalid", "malformed"),
    ];
    let mut batch = vec![event("first")];
    batch.extend(cases.iter().map(|(item, ..)| item.clone()));
    batch.push(event("last"));
    // when they are sent together
    let (status, answer) = stand.send_batch(&key, &batch).await;
    // then each bad one is named with its own problem
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(answer["accepted"], json!(2));
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), cases.len());
    for (offset, ((item, status, code, _), rejected)) in cases.iter().zip(rejected).enumerate() {
        assert_eq!(rejected["index"], json!(offset + 1));
        assert_eq!(rejected["id"], item.get("id").cloned().unwrap_or(Value::Null), "{rejected}");
        assert_eq!((&rejected["problem"]["status"], &rejected["problem"]["code"]), (&json!(status), &json!(code)));
    }
    // and only the good ones are in Kafka
    let ids: Vec<Value> = stand.usage().iter().map(|record| record.json()["id"].clone()).collect();
    assert_eq!(ids, [json!("first"), json!("last")]);
    for reason in ["malformed", "foreign_subject", "out_of_range", "too_old", "in_future", "too_large"] {
        let expected = cases.iter().filter(|(.., label)| *label == reason).count();
        let line = format!("tollbooth_ingest_events_total{{reason=\"{reason}\",result=\"rejected\"}}");
        assert_eq!(stand.metric(&line), f64::from(u32::try_from(expected).unwrap()), "{reason}");
    }
}

#[tokio::test]
async fn a_bad_single_event_is_answered_with_its_problem() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let cases = [
        (without(event("a"), "subject"), 422, "/subject"),
        (with(event("b"), "/subject", json!("acc_other")), 403, "/subject"),
        (with(event("c"), "/data/quantity", json!("-2")), 422, "/data/quantity"),
        (with(event("d"), "/time", json!("1970-01-01T00:00:00Z")), 422, "/time"),
    ];
    for (event, status, pointer) in cases {
        let (answered, problem) = stand.send_event(&key, &event).await;
        assert_eq!(answered.as_u16(), status, "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], json!(pointer));
    }
    let large = with(event("e"), "/data/note", json!("x".repeat(64 * 1024)));
    assert_eq!(stand.send_event(&key, &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, problem) = stand.send_event(&key, &in_order(&event("f"))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid")));
    assert!(stand.usage().is_empty());
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let mut truncated = event("a").to_string();
    truncated.pop();
    for content_type in ["application/cloudevents+json", "application/cloudevents-batch+json"] {
        for body in [truncated.as_bytes(), b"", b"{\"id\": \"\xff\"}", b"<xml/>"] {
            let (status, problem) = stand.send_text(&key, content_type, body.to_vec()).await;
            assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("malformed")), "{problem}");
        }
    }
    assert!(stand.usage().is_empty());
}

#[tokio::test]
async fn age_is_a_setting_and_the_edges_hold() {
    let stand = Stand::start_with(|config| {
        config.events.age_days_max = 400;
        config.events.operation_retention_days = 400;
    })
    .await;
    let key = stand.booth_key().await;
    let minute = 60_000;
    let batch = [
        event_at("a", now_ms() - 399 * DAY_MS),
        event_at("b", now_ms() - 401 * DAY_MS),
        event_at("c", now_ms() + 59 * minute),
        event_at("d", now_ms() + 61 * minute),
    ];
    let (_, answer) = stand.send_batch(&key, &batch).await;
    assert_eq!(answer["accepted"], json!(2));
    let ids: Vec<&Value> = answer["rejected"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["b", "d"]);
}

#[tokio::test]
async fn an_unknown_engine_and_a_repeated_id_are_not_judged_here() {
    // given what only the meter can judge: an engine without a price, and an id sent again with another body
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let unknown = with(event("a"), "/data/engine", json!("nobody_knows"));
    let other_body = with(event("a"), "/data/quantity", json!("2"));
    let (status, answer) = stand.send_batch(&key, &[unknown, other_body]).await;
    // then both are acknowledged and durable
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 2, "rejected": []})));
    assert_eq!(stand.usage().len(), 2);
}

#[tokio::test]
async fn an_admin_writes_any_account_and_records_are_keyed_by_theirs() {
    let stand = Stand::start().await;
    let accounts: Vec<String> = (0..20).map(|n| format!("acc_{n}")).collect();
    let batch: Vec<Value> = accounts.iter().map(|account| with(event(account), "/subject", json!(account))).collect();
    let (_, answer) = stand.send_batch(&stand.root, &batch).await;
    assert_eq!(answer["accepted"], json!(20));
    let records = stand.usage();
    assert_eq!(records.len(), 20);
    for record in records {
        assert_eq!(parse_structured(&record.payload).unwrap().account_id.to_string(), record.key);
        assert_eq!(Some(record.partition), partition_for(record.key.as_bytes(), PARTITIONS));
    }
}

#[tokio::test]
async fn an_escaped_subject_is_keyed_by_what_it_means() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let text = event("a").to_string().replace("acc_luna", "acc_\\u006cuna");
    let (status, _) = stand.send_text(&key, "application/cloudevents+json", text).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(stand.usage()[0].key, "acc_luna");
}

#[tokio::test]
async fn an_empty_batch_is_nothing_accepted() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    let (status, answer) = stand.send_batch(&key, &[]).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 0, "rejected": []})));
}

#[tokio::test]
async fn another_media_type_is_refused() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    for content_type in ["text/plain", "application/json", "application/xml"] {
        let (status, _) = stand.send_text(&key, content_type, event("a").to_string()).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
}
