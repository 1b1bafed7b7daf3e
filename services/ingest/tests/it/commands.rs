//! Commands over HTTP, answered by a meter of the test's own.

use std::time::Duration;

use prost::Message as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollbooth_schemas::command::body_hash;
use tollbooth_schemas::ids::derived_account_id;
use tollbooth_schemas::v1::{self, command::Body};

use crate::meter::{FakeMeter, accepted, refused};
use crate::stand::{DEADLINE, Stand, read};

fn account(name: &str) -> Value {
    json!({"name": name, "plan": "pro", "currency": "USD", "time_zone": "America/New_York"})
}

async fn send(stand: &Stand, path: &str, key: &str, body: &Value) -> (StatusCode, Value) {
    let request = stand.post(path, &stand.root).header("idempotency-key", key).json(body);
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn an_account_is_opened_with_the_meters_answer() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let mut body = account("Luna");
    body["account_id"] = json!("acc_luna");
    body["occurred_at"] = json!("2025-01-01T00:00:00Z");
    let (status, answer) = send(&stand, "/v1/accounts", "\"open-1\"", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let expected = json!({
        "account_id": "acc_luna", "seq": 7, "entry_id": "ent_acc_luna_7", "amount": usd("0.00"),
        "balance": usd("100.00"), "held": usd("1.50"), "available": usd("98.50"),
        "posted_at": "2025-11-21T20:15:03.120Z", "replayed": false,
    });
    assert_eq!(answer, expected);
    let record = &stand.records(&stand.topics.commands())[0];
    let command = v1::Command::decode(&*record.payload).unwrap();
    assert_eq!((&*command.actor, &*command.idempotency_key), ("key_root", "open-1"));
    assert_eq!(command.body_hash, body_hash("open_account", body.to_string().as_bytes()));
    let opening = v1::OpenAccount {
        name: "Luna".to_owned(),
        plan: "pro".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "America/New_York".to_owned(),
        occurred_at_ms: Some(1_735_689_600_000),
    };
    assert_eq!(command.body, Some(Body::OpenAccount(opening)));
}

#[tokio::test]
async fn an_opening_without_an_id_reaches_the_same_account_again() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    // given the same key, quoted and bare
    let (_, first) = send(&stand, "/v1/accounts", "\"k-1\"", &account("Luna")).await;
    let (_, again) = send(&stand, "/v1/accounts", "k-1", &account("Luna")).await;
    assert_eq!(first["account_id"], json!(derived_account_id("key_root", "k-1").as_str()));
    assert_eq!(first["account_id"], again["account_id"]);
}

#[tokio::test]
async fn an_opening_without_an_id_reaches_the_same_account_with_the_keys_successors() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    // given an admin's key that opened an account
    let (key_id, key) = stand.key("admin").await;
    let open = async |key: &str, idempotency_key: &str| {
        let (_, answer) = stand.command(Method::POST, "/v1/accounts", key, idempotency_key, &account("Luna")).await;
        answer["account_id"].as_str().unwrap().to_owned()
    };
    let first = open(&key, "k-1").await;
    assert_eq!(first, derived_account_id(&key_id, "k-1").as_str(), "as for keys that were never rotated");

    // when it is rotated, twice, and the request is repeated with each successor
    let mut rotated = key_id;
    for _ in 0..2 {
        let request = stand.post(&format!("/v1/keys/{rotated}/rotate"), &stand.root).json(&json!({}));
        let (_, successor) = read(request.send().await.unwrap()).await;
        rotated = successor["key_id"].as_str().unwrap().to_owned();
        let key = successor["key"].as_str().unwrap();
        // then it is the same account, while another request or another key opens another
        assert_eq!(open(key, "k-1").await, first);
        assert_ne!(open(key, "k-2").await, first);
    }
    assert_ne!(open(&stand.root, "k-1").await, first);
}

#[tokio::test]
async fn an_adjustment_and_a_plan_change_are_carried_out() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let body = json!({"amount": "-12.345678", "reason": "goodwill", "note": "late start"});
    let (status, answer) = send(&stand, "/v1/accounts/acc_luna/adjustments", "a-1", &body).await;
    assert_eq!((status, &answer["amount"]["amount"]), (StatusCode::OK, &json!("-12.345678")), "{answer}");
    assert_eq!(answer["balance"]["amount"], json!("87.654322"));
    let body = json!({"plan": "basic", "effective_at": "2026-12-01T00:00:00+01:00"});
    let (status, _) = send(&stand, "/v1/accounts/acc_luna/plan", "p-1", &body).await;
    assert_eq!(status, StatusCode::OK);
    let records = stand.records(&stand.topics.commands());
    let bodies: Vec<_> = records.iter().map(|record| v1::Command::decode(&*record.payload).unwrap().body).collect();
    let change = v1::ChangePlan { plan: "basic".to_owned(), effective_at_ms: Some(1_796_079_600_000) };
    assert_eq!(bodies[1], Some(Body::ChangePlan(change)));
}

#[tokio::test]
async fn the_meters_refusal_is_the_answer() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, |command| {
        let (status, code) = match command.idempotency_key.as_str() {
            "mismatch" => (422, "idempotency_mismatch"),
            "unknown" => (404, "unknown_account"),
            "exists" => (409, "account_exists"),
            "poor" => (402, "something_new"),
            _ => (422, "unknown_plan"),
        };
        refused(status, code)
    });
    let cases = [
        ("mismatch", 422, "idempotency_mismatch"),
        ("unknown", 404, "unknown_account"),
        ("exists", 409, "account_exists"),
        ("poor", 402, "insufficient_balance"),
        ("plan", 422, "unknown_plan"),
    ];
    for (key, status, code) in cases {
        let body = json!({"amount": "1", "reason": "goodwill"});
        let (answered, problem) = send(&stand, "/v1/accounts/acc_luna/adjustments", key, &body).await;
        assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)));
        assert_eq!(problem["detail"], json!("because"));
    }
}

#[tokio::test]
async fn a_late_reply_is_202_and_the_command_is_durable() {
    let stand = Stand::start_with(|config| config.commands.reply_timeout_ms = 50).await;
    let request = stand.post("/v1/accounts", &stand.root).header("idempotency-key", "k").json(&account("Luna"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "2");
    let (status, body) = read(answer).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("pending")));
    assert_eq!(stand.records(&stand.topics.commands()).len(), 1);
    assert_eq!(stand.metric("tollbooth_ingest_replies_late_total"), 1.0);
}

#[tokio::test]
async fn the_same_key_twice_at_once_is_a_conflict() {
    // given a command that waits for a meter that does not run yet
    let stand = Stand::start().await;
    let opening = account("Luna");
    let first = send(&stand, "/v1/accounts", "k", &opening);
    let second = async {
        let commands = stand.topics.commands();
        while stand.records(&commands).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // when it is sent again
        let second = send(&stand, "/v1/accounts", "k", &opening).await;
        (second, FakeMeter::start(&stand, accepted))
    };
    let ((first, _), ((second, problem), _meter)) = tokio::join!(first, second);
    // then the second is refused and the first goes on
    assert_eq!((second, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    assert_eq!(first, StatusCode::CREATED);
    assert_eq!(stand.records(&stand.topics.commands()).len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_command_is_said_before_anything_is_sent() {
    let stand = Stand::start().await;
    let cases = [
        ("/v1/accounts", json!({"name": " ", "plan": "p q", "currency": "XYZ", "time_zone": "Mars"}), 422, 4),
        ("/v1/accounts", json!({"name": "x", "plan": "pro", "currency": "USD"}), 422, 0),
        ("/v1/accounts", json!([null, "x", "pro", "USD", "Europe/Berlin"]), 422, 0),
        ("/v1/accounts/acc_luna/adjustments", json!(["1", "goodwill"]), 422, 0),
        ("/v1/accounts/acc_luna/plan", json!(["pro"]), 422, 0),
        ("/v1/accounts", json!({"account_id": "luna", "name": "x"}), 422, 0),
        ("/v1/accounts/acc_luna/adjustments", json!({"amount": "0.00", "reason": "goodwill"}), 422, 1),
        ("/v1/accounts/acc_luna/adjustments", json!({"amount": 5, "reason": "goodwill"}), 422, 0),
        ("/v1/accounts/acc_luna/adjustments", json!({"amount": "1.2345678", "reason": "goodwill"}), 422, 0),
        ("/v1/accounts/acc_luna/adjustments", json!({"amount": "1", "reason": ""}), 422, 1),
        ("/v1/accounts/luna/adjustments", json!({"amount": "1", "reason": "goodwill"}), 404, 0),
        ("/v1/accounts/acc_luna/plan", json!({"plan": ""}), 422, 1),
        (
            "/v1/accounts/acc_luna/adjustments",
            json!({"amount": "1", "reason": "import", "occurred_at": "2090-01-01T00:00:00Z"}),
            422,
            1,
        ),
    ];
    for (path, body, status, errors) in cases {
        let (answered, problem) = send(&stand, path, "k", &body).await;
        assert_eq!(answered.as_u16(), status, "{path} {body} {problem}");
        assert_eq!(problem["errors"].as_array().map_or(0, Vec::len), errors, "{problem}");
    }
    let bare = stand.post("/v1/accounts", &stand.root).json(&account("Luna")).send().await.unwrap();
    let (status, problem) = read(bare).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("idempotency_key_missing")));
    let (status, _) = send(&stand, "/v1/accounts", "\"open", &account("Luna")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(stand.records(&stand.topics.commands()).is_empty());
}

#[tokio::test]
async fn a_zone_that_no_chart_could_be_drawn_in_is_refused_at_the_opening() {
    let stand = Stand::start().await;
    for zone in ["EST", "CET", "EST5EDT", "GMT0", "+02:00", "europe/berlin"] {
        let mut body = account("Luna");
        body["time_zone"] = json!(zone);
        let (status, problem) = send(&stand, "/v1/accounts", "k", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{zone}");
        assert_eq!(problem["errors"][0]["pointer"], json!("/time_zone"), "{problem}");
    }
    assert!(stand.records(&stand.topics.commands()).is_empty());
}

#[tokio::test]
async fn a_commands_body_leaves_time_for_acknowledgement_and_reply() {
    // given a request's minute, of which trail, acknowledgement and reply may take all but a tenth of a second
    let stand = Stand::start_with(|config| {
        config.http.request_timeout_ms = 60_000;
        config.http.drain_timeout_ms = 60_000;
        config.producer.delivery_timeout_ms = 30_000;
        config.commands.reply_timeout_ms = 26_400;
    })
    .await;
    // when a body does not arrive
    let mut stream = TcpStream::connect(stand.address.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         idempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        stand.root
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let answered = tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await;
    // then it is given up while there is still time for the rest
    answered.expect("long before the request's deadline").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}
