//! Who changed what: the trail stands before anything is done, and says how it ended.

use rdkafka::types::RDKafkaRespErr;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_chassis::config::Secret;
use tollbooth_ingest::config::Provider;

use crate::meter::{FakeMeter, accepted, refused};
use crate::stand::{Stand, read};

/// The records of the trail, oldest first.
fn trail(stand: &Stand) -> Vec<Value> {
    stand
        .records(&stand.topics.audit())
        .iter()
        .map(|record| {
            let value = record.json();
            assert_eq!(value["audit_id"], json!(record.key), "both records of an action lie under its id");
            value
        })
        .collect()
}

/// What was begun and what became of it, by action.
fn actions(stand: &Stand) -> Vec<(String, Value, Option<Value>)> {
    let records = trail(stand);
    let of_phase = |phase: &'static str| records.iter().filter(move |record| record["phase"] == phase);
    let ended = |id: &Value| of_phase("ended").find(|record| record["audit_id"] == *id).cloned();
    let row = |started: &Value| {
        (started["action"].as_str().unwrap().to_owned(), started.clone(), ended(&started["audit_id"]))
    };
    of_phase("started").map(row).collect()
}

const ADJUSTMENTS: &str = "/v1/accounts/acc_luna/adjustments";

fn adjustment(reason: &str) -> Value {
    json!({"amount": "5.00", "reason": reason})
}

#[tokio::test]
async fn a_command_stands_in_the_trail_with_who_what_and_how_it_ended() {
    // given a meter that carries out, refuses, and is silent, as it is asked to
    let stand = Stand::start_with(|config| config.commands.reply_timeout_ms = 4_000).await;
    let _meter = FakeMeter::start_with_silence(&stand, |command| match &*command.idempotency_key {
        "k-1" => Some(accepted(command)),
        "k-2" => Some(refused(422, "out_of_range")),
        _ => None,
    });
    let (key_id, admin) = stand.key("admin").await;

    // when
    let request = stand.post(ADJUSTMENTS, &admin).header("idempotency-key", "k-1").header("x-request-id", "req-7");
    let (status, _) = read(request.json(&adjustment("top_up")).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    for (key, status) in [("k-2", StatusCode::UNPROCESSABLE_ENTITY), ("k-3", StatusCode::ACCEPTED)] {
        assert_eq!(stand.command(Method::POST, ADJUSTMENTS, &admin, key, &adjustment("top_up")).await.0, status);
    }
    let event = json!({"name": "Gala", "starts_at": "2026-11-21T18:00:00Z", "ends_at": "2026-11-21T23:00:00Z",
                       "time_zone": "Europe/Berlin"});
    let path = "/v1/accounts/acc_luna/events/evt_gala";
    stand.command(Method::PUT, path, &admin, "k-1", &event).await;

    // then
    let all = actions(&stand);
    let (_, started, ended) = &all[1];
    let expected = json!({
        "phase": "started", "audit_id": started["audit_id"], "actor": {"key_id": key_id, "kind": "admin"},
        "action": "post_adjustment", "account_id": "acc_luna", "idempotency_key": "k-1", "request_id": "req-7",
    });
    assert_eq!(*started, expected);
    let expected = json!({"phase": "ended", "audit_id": started["audit_id"], "outcome": "succeeded", "status": 200,
                          "entry_id": "ent_acc_luna_7"});
    assert_eq!(ended.clone().unwrap(), expected);
    let outcome = |row: &(String, Value, Option<Value>)| {
        let ended = row.2.clone().unwrap();
        (row.0.clone(), ended["outcome"].clone(), ended["status"].clone(), ended["code"].clone())
    };
    let (name, nothing) = ("post_adjustment".to_owned(), Value::Null);
    assert_eq!(outcome(&all[2]), (name.clone(), json!("refused"), json!(422), json!("out_of_range")));
    assert_eq!(outcome(&all[3]), (name, json!("pending"), json!(202), nothing));
    assert_eq!((&*all[4].0, &all[4].1["resource"]), ("define_event", &json!("evt_gala")));
    assert_eq!(stand.metric("tollbooth_audit_actions_total{outcome=\"refused\"}"), 1.0);
}

#[tokio::test]
async fn nothing_is_done_whose_trail_cannot_be_written() {
    // given a trail that the brokers do not take
    let broken = |topic: String| {
        move |mock: &rdkafka::mocking::MockCluster<'static, _>| {
            mock.topic_error(&topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
        }
    };
    let topic = tollbooth_ingest::IngestConfig::default().topic_set().audit();
    let stand = Stand::start_before_ready(broken(topic), |config| config.commands.audit_timeout_ms = 500).await;
    stand.until("ready", || stand.health.readiness().is_ok()).await;

    // when
    let made = stand.post("/v1/keys", &stand.root).json(&json!({"kind": "admin"})).send().await.unwrap();
    let (status, problem) = read(made).await;
    let adjusted = stand.command(Method::POST, ADJUSTMENTS, &stand.root, "k-1", &adjustment("top_up")).await;

    // then
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert!(problem["detail"].as_str().unwrap().contains("nothing was done"), "{problem}");
    assert_eq!(adjusted.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(stand.records(&stand.topics.registry()).is_empty() && stand.commands().is_empty());
    assert_eq!(stand.metric("tollbooth_audit_lost_total{stage=\"start\"}"), 2.0);
}

#[tokio::test]
async fn an_action_that_nobody_waits_for_any_more_is_unknown() {
    // given a meter that never answers, and a client that leaves
    let stand = Stand::start().await;
    let request = stand.post(ADJUSTMENTS, &stand.root).header("idempotency-key", "k-1").json(&adjustment("top_up"));
    let waiting = tokio::spawn(request.send());
    let commands = stand.topics.commands();
    stand.until("the command is there", || !stand.records(&commands).is_empty()).await;
    // when
    waiting.abort();
    // then
    let ended = || actions(&stand).first().and_then(|row| row.2.clone());
    stand.until("the end is told", || ended().is_some()).await;
    assert_eq!(ended().unwrap()["outcome"], json!("unknown"));
}

#[tokio::test]
async fn keys_webhooks_price_books_and_purchases_leave_a_trail_without_what_is_secret() {
    let stand = Stand::start_with(|config| {
        config.purchases.provider = Provider::Sandbox;
        config.webhooks.secret = Secret::new("thirty-two characters of chance, or more");
        config.webhooks.allow_http = true;
        config.webhooks.allow_private_addresses = true;
    })
    .await;
    let _meter = FakeMeter::start(&stand, accepted);
    let (_, account) = stand.key("account").await;
    let (booth_id, booth) = stand.key("booth").await;

    // when an account buys and is told at an address, and an admin publishes a book and ends a key
    let card = "4242424242424242";
    let purchase = json!({"amount": "100.00", "payment_method": card});
    let path = "/v1/accounts/acc_luna/purchases";
    assert_eq!(stand.command(Method::POST, path, &account, "buy-1", &purchase).await.0, StatusCode::OK);
    let address = "http://127.0.0.1:9/hook?token=hush";
    let made = stand.post("/v1/accounts/acc_luna/webhooks", &account).json(&json!({"url": address})).send().await;
    let (_, webhook) = read(made.unwrap()).await;
    let webhook_id = webhook["webhook_id"].as_str().unwrap();
    let of_webhook = format!("/v1/accounts/acc_luna/webhooks/{webhook_id}");
    for (method, path) in [(Method::POST, format!("{of_webhook}/rotate")), (Method::DELETE, of_webhook)] {
        assert!(stand.request(method, &path, &account).send().await.unwrap().status().is_success());
    }
    let book = json!({
        "version": 1, "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "plans": [{"code": "pro", "name": "Pro", "monthly_fee": "79.00"}],
        "services": [{"code": "ai_modify", "name": "AI Modify"}],
        "engines": [{"code": "nano_banana_2", "name": "Nano Banana 2"}],
        "prices": [{"service": "ai_modify", "engine": "nano_banana_2", "unit": "image", "model": "per_unit",
                    "plans": {"pro": "0.16"}}],
    });
    let published = stand.request(Method::PUT, "/v1/price-books/1", &stand.root).json(&book).send().await.unwrap();
    assert_eq!(read(published).await.0, StatusCode::CREATED);
    let revoked = stand.request(Method::DELETE, &format!("/v1/keys/{booth_id}"), &stand.root).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);

    // then each stands there once, and succeeded
    let all = actions(&stand);
    let names: Vec<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "create_key",
            "create_key",
            "purchase",
            "create_webhook",
            "rotate_webhook",
            "delete_webhook",
            "publish_price_book",
            "revoke_key"
        ]
    );
    for (name, _, ended) in &all {
        assert_eq!(ended.as_ref().unwrap()["outcome"], json!("succeeded"), "{name}");
    }
    assert_eq!((&all[2].1["actor"]["kind"], &all[3].1["resource"]), (&json!("account"), &json!(webhook_id)));
    assert_eq!((&all[6].1["resource"], &all[7].1["resource"]), (&json!("1"), &json!(booth_id)));
    assert_eq!(all[7].1["account_id"], json!("acc_luna"));
    let text = trail(&stand).iter().map(Value::to_string).collect::<String>();
    let secret = webhook["secret"].as_str().unwrap();
    for hidden in [account.as_str(), &booth, card, secret, "hush"] {
        assert!(!text.contains(hidden), "{hidden} stands in {text}");
    }
}

#[tokio::test]
async fn what_a_booth_does_is_its_work_and_stands_in_no_trail() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let (_, booth) = stand.key("booth").await;
    let before = trail(&stand).len();
    let hold = json!({"service": "ai_modify", "engine": "nano_banana_2", "unit": "image", "quantity": "1"});
    let path = "/v1/accounts/acc_luna/holds";
    assert_eq!(stand.command(Method::POST, path, &booth, "k-1", &hold).await.0, StatusCode::OK);
    assert_eq!(trail(&stand).len(), before);
    // An admin that does the same does it by hand.
    assert_eq!(stand.command(Method::POST, path, &stand.root, "k-2", &hold).await.0, StatusCode::OK);
    assert_eq!(trail(&stand).len(), before + 2);
}

#[tokio::test]
async fn a_request_that_is_refused_before_anything_could_be_done_leaves_no_trail() {
    let stand = Stand::start().await;
    let (_, account) = stand.key("account").await;
    let before = trail(&stand).len();
    // No admin, no such document, no such webhook.
    for (path, key, body) in [
        (ADJUSTMENTS, &account, adjustment("top_up")),
        (ADJUSTMENTS, &stand.root, json!({"amount": "0", "reason": "x"})),
        ("/v1/keys", &stand.root, json!({"kind": "booth"})),
        ("/v1/keys/key_none/rotate", &stand.root, json!({})),
    ] {
        let (status, _) = stand.command(Method::POST, path, key, "k-1", &body).await;
        assert!(status.is_client_error(), "{path} {status}");
    }
    assert_eq!(trail(&stand).len(), before);
}
