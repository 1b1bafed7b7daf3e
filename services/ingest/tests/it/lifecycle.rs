//! Starting and ending.

use std::time::Duration;

use prometheus::Registry;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;
use tollbooth_chassis::config::Secret;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_ingest::{Ingest, IngestConfig, StartError};
use tollbooth_schemas::keys::{ApiKey, KeyKind};

use crate::meter::{FakeMeter, accepted};
use crate::stand::{DEADLINE, SLOW, Stand, event, read};

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_end() {
    // given an event on its way to a slow broker
    let mut stand = Stand::start().await;
    let key = stand.booth_key().await;
    stand.round_trip(SLOW);
    let sent = event("a");
    let under_way = stand.send_event(&key, &sent);
    let ending = async {
        stand.until("under way", || stand.metric("tollbooth_ingest_inflight_requests") > 0.0).await;
        stand.shutdown.trigger("test");
        stand.until("not ready", || !stand.health.readiness().is_ok()).await;
        stand.round_trip(Duration::ZERO);
    };
    // when the end is asked for meanwhile
    let ((status, answer), ()) = tokio::join!(under_way, ending);
    // then it is answered, and everything ends in time
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"accepted": 1, "rejected": []})));
    assert_eq!(stand.usage().len(), 1);
    assert!((&mut stand.served).await.unwrap());
}

#[tokio::test]
async fn a_command_that_waits_at_a_shutdown_still_gets_its_reply() {
    // given a command that waits for a meter that does not run yet
    let mut stand = Stand::start().await;
    let body = json!({"amount": "5", "reason": "goodwill"});
    let request = stand.post("/v1/accounts/acc_luna/adjustments", &stand.root).header("idempotency-key", "k");
    let under_way = request.json(&body).send();
    let ending = async {
        let commands = stand.topics.commands();
        while stand.records(&commands).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // when the end is asked for, and the meter answers after no connection is accepted any more
        stand.shutdown.trigger("test");
        let address = stand.address.strip_prefix("http://").unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        FakeMeter::start(&stand, accepted)
    };
    let (answer, _meter) = tokio::join!(under_way, ending);
    // then the answer is the meter's, and everything ends in time
    let (status, answer) = read(answer.unwrap()).await;
    assert_eq!((status, &answer["seq"]), (StatusCode::OK, &json!(7)), "{answer}");
    assert!((&mut stand.served).await.unwrap());
}

#[tokio::test]
async fn a_registry_that_cannot_be_followed_any_more_ends_the_process() {
    let mut stand = Stand::start().await;
    // when the offsets that the readers stand at are gone
    let gone = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE; 20];
    stand.mock.request_errors(RDKafkaApiKey::Fetch, &gone);
    // then the process ends by itself, in order, and knows that it did not end well
    assert!(tokio::time::timeout(DEADLINE, &mut stand.served).await.expect("it ends").unwrap());
    assert!(!stand.health.liveness().is_ok());
}

#[tokio::test]
async fn until_keys_and_books_are_read_only_the_first_key_is_known_and_no_book_is_judged() {
    // given a service that has not reached its broker yet
    let down = |mock: &MockCluster<'static, _>| mock.broker_down(1).unwrap();
    let stand = Stand::start_before_ready(down, |_| {}).await;
    let stranger = ApiKey::generate(KeyKind::Admin, false, &[7; 64]).unwrap();
    let ask = async |method: Method, path: &str, key: &str| {
        let answer = stand.request(method, path, key).json(&json!({})).send().await.unwrap();
        let retry_after = answer.headers().get("retry-after").is_some();
        (read(answer).await.0, retry_after)
    };
    // then a key that may be there or revoked is told to come back, on every route
    let later = (StatusCode::SERVICE_UNAVAILABLE, true);
    for (method, path) in [
        (Method::POST, "/v1/events"),
        (Method::POST, "/v1/accounts"),
        (Method::PUT, "/v1/price-books/1"),
        (Method::GET, "/v1/keys"),
        (Method::DELETE, "/v1/keys/key_1"),
    ] {
        assert_eq!(ask(method.clone(), path, stranger.reveal()).await, later, "{method} {path}");
        assert_eq!(ask(method, path, "nonsense").await, (StatusCode::UNAUTHORIZED, false), "{path}");
    }
    // and the first key is known, but what rests on the whole topic waits
    assert_eq!(ask(Method::POST, "/v1/events", &stand.root).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(ask(Method::GET, "/v1/keys", &stand.root).await, later);
    assert_eq!(ask(Method::DELETE, "/v1/keys/key_1", &stand.root).await, later);
    let book: serde_json::Value =
        serde_json::from_str(include_str!("../../../../deploy/local/price-book.json")).unwrap();
    let path = format!("/v1/price-books/{}", book["version"]);
    let answer = stand.request(Method::PUT, &path, &stand.root).json(&book).send().await.unwrap();
    assert_eq!(read(answer).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // when everything is read
    stand.mock.broker_up(1).unwrap();
    stand.until("ready", || stand.health.readiness().is_ok()).await;
    // then the stranger is one
    assert_eq!(ask(Method::GET, "/v1/keys", stranger.reveal()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Method::GET, "/v1/keys", &stand.root).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_command_is_not_sent_before_its_reply_can_be_read() {
    // given brokers that do not say where the replies end
    let unknown = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN; 5_000];
    let silent = |mock: &MockCluster<'static, _>| mock.request_errors(RDKafkaApiKey::ListOffsets, &unknown);
    let stand = Stand::start_before_ready(silent, |_| {}).await;
    let _meter = FakeMeter::start(&stand, accepted);
    let path = "/v1/accounts/acc_luna/adjustments";
    let body = json!({"amount": "5", "reason": "goodwill"});
    // when a command comes, then it is told to come back
    let (status, problem) = stand.command(Method::POST, path, &stand.root, "k", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")), "{problem}");
    // and it was not sent, nor is anything in its way when they do
    stand.mock.clear_request_errors(RDKafkaApiKey::ListOffsets);
    stand.until("ready", || stand.health.readiness().is_ok()).await;
    assert_eq!(stand.commands(), vec![]);
    let (status, answer) = stand.command(Method::POST, path, &stand.root, "k", &body).await;
    assert_eq!((status, stand.commands().len()), (StatusCode::OK, 1), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_harms_nobody() {
    let stand = Stand::start().await;
    let key = stand.booth_key().await;
    stand.round_trip(SLOW);
    let left = stand
        .post("/v1/events", &key)
        .header("content-type", "application/cloudevents+json")
        .body(event("left").to_string())
        .timeout(Duration::from_millis(50));
    assert!(left.send().await.is_err());
    stand.round_trip(Duration::ZERO);
    let (status, _) = stand.send_event(&key, &event("stayed")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    stand
        .until("nothing under way", || {
            stand.metric("tollbooth_ingest_inflight_requests") == 0.0
                && stand.metric("tollbooth_ingest_inflight_bytes") == 0.0
        })
        .await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let stand = Stand::start().await;
    let get =
        async |path: &str| read(stand.client.get(format!("{}{path}", stand.address)).send().await.unwrap()).await.0;
    assert_eq!(get("/v1/nothing").await, StatusCode::NOT_FOUND);
    assert_eq!(get("/v1/events").await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_bad_setting_ends_the_start() {
    let start = |adjust: fn(&mut IngestConfig)| {
        let mut config = IngestConfig::default();
        adjust(&mut config);
        Ingest::start(config, &Registry::new(), Health::new(), Shutdown::new()).unwrap_err()
    };
    let error = start(|config| config.admin_key = Secret::new("letmein"));
    assert!(matches!(error, StartError::RootKey(_)), "{error}");
    let error = start(|config| config.events.age_days_max = 400);
    assert!(error.to_string().contains("operation ids"), "{error}");
}
