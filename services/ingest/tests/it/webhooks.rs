//! Endpoints that an account is told at, and how they are told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode as Status, header};
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use prost::Message as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tollbooth_chassis::config::Secret;
use tollbooth_ingest::IngestConfig;
use tollbooth_ingest::config::MailTls;
use tollbooth_schemas::v1::{self, AlertKind, AlertRaised, outbox_record::Effect};

use crate::meter::{FakeMeter, accepted};
use crate::recharge::{Running, decide};
use crate::stand::{Stand, read};

const WEBHOOKS: &str = "/v1/accounts/acc_luna/webhooks";
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

fn open(config: &mut IngestConfig) {
    config.webhooks.secret = Secret::new("thirty-two characters of chance, or more");
    config.webhooks.allow_http = true;
    config.webhooks.allow_private_addresses = true;
    config.webhooks.retry_min_ms = 20;
    config.webhooks.retry_max_ms = 40;
}

/// What an endpoint got.
#[derive(Debug, Clone)]
struct Got {
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of the signatures is the secret's.
    fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(&key).unwrap();
        let text = format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        mac.update(text.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

#[derive(Default)]
struct Heard {
    got: Vec<Got>,
    /// What is answered next; then 204. 0: nothing, ever.
    answers: VecDeque<u16>,
}

/// Somebody's endpoint.
#[derive(Clone)]
struct Endpoint {
    url: String,
    heard: Arc<Mutex<Heard>>,
}

impl Endpoint {
    async fn start(answers: &[u16]) -> Self {
        let heard = Arc::new(Mutex::new(Heard { got: Vec::new(), answers: answers.iter().copied().collect() }));
        let routes = Router::new().route("/hook", post(hear)).with_state(Arc::clone(&heard));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, heard }
    }

    fn got(&self) -> Vec<Got> {
        self.heard.lock().got.clone()
    }
}

async fn hear(State(heard): State<Arc<Mutex<Heard>>>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let answer = {
        let mut heard = heard.lock();
        heard.got.push(Got { headers, body });
        heard.answers.pop_front().unwrap_or(204)
    };
    if answer == 0 {
        tokio::time::sleep(NEVER).await;
    }
    (Status::from_u16(answer).unwrap(), [(header::LOCATION, "http://127.0.0.1:1/elsewhere")])
}

impl Stand {
    async fn webhook(&self, url: &str, event_types: &[&str]) -> Value {
        let body = json!({"url": url, "event_types": event_types});
        let (status, made) = read(self.post(WEBHOOKS, &self.root).json(&body).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    async fn of_webhook(&self, method: Method, webhook: &Value, what: &str) -> (StatusCode, Value) {
        let path = format!("{WEBHOOKS}/{}{what}", webhook["webhook_id"].as_str().unwrap());
        let request = self.request(method, &path, &self.root);
        let request = if what == "/replay" { request.json(&json!({})) } else { request };
        read(request.send().await.unwrap()).await
    }

    async fn dead(&self, webhook: &Value) -> Vec<Value> {
        self.of_webhook(Method::GET, webhook, "/dead").await.1["data"].as_array().unwrap().clone()
    }

    /// Waits for what only an answer tells.
    async fn until_dead(&self, webhook: &Value, count: usize) -> Vec<Value> {
        let end = std::time::Instant::now() + crate::stand::DEADLINE;
        loop {
            let dead = self.dead(webhook).await;
            if dead.len() == count {
                return dead;
            }
            assert!(std::time::Instant::now() < end, "{dead:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn alert(seq: u64) -> Vec<u8> {
    let alert = AlertRaised {
        number: seq,
        kind: AlertKind::BalanceBelow.into(),
        crossed_seq: seq,
        crossed_at_ms: 1_763_756_103_120,
        balance_micros: 4_000_000,
        threshold_micros: 5_000_000,
        ..AlertRaised::default()
    };
    v1::OutboxRecord {
        account_id: "acc_luna".to_owned(),
        seq,
        posted_at_ms: 1_763_756_103_120,
        currency: "USD".to_owned(),
        effect: Some(Effect::AlertRaised(alert)),
    }
    .encode_to_vec()
}

#[tokio::test]
async fn the_rules_become_their_command() {
    let stand = Stand::start().await;
    let _meter = FakeMeter::start(&stand, accepted);
    let own = stand.key("account").await.1;
    let path = "/v1/accounts/acc_luna/alerts";
    let rules = json!({"balance_below": ["20", "5.00"], "recharge_failed": true,
                       "booth_spike": {"times": 5, "at_least": "20"}});
    let (status, answer) = stand.command(Method::PUT, path, &own, "k1", &rules).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let expected = v1::AlertsSet {
        balance_below_micros: vec![5_000_000, 20_000_000],
        recharge_failed: true,
        booth_spike: Some(v1::BoothSpike { times: 5, at_least_micros: 20_000_000 }),
        ..v1::AlertsSet::default()
    };
    let body = stand.commands().pop().unwrap().body;
    assert_eq!(body, Some(v1::command::Body::SetAlerts(v1::SetAlerts { alerts: Some(expected) })));
    let wrong =
        json!({"balance_below": ["5", "5"], "empty_in_hours": 0, "booth_spike": {"times": 1, "at_least": "-1"}});
    let (status, answer) = stand.command(Method::PUT, path, &own, "k2", &wrong).await;
    assert_eq!((status, answer["errors"].as_array().unwrap().len()), (StatusCode::UNPROCESSABLE_ENTITY, 4));
    let booth = stand.booth_key().await;
    assert_eq!(stand.command(Method::PUT, path, &booth, "k3", &rules).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_alert_is_told_signed_to_who_wants_it_and_only_once() {
    let stand = Stand::start_with(open).await;
    let (wants, other) = (Endpoint::start(&[]).await, Endpoint::start(&[]).await);
    let made = stand.webhook(&wants.url, &["alert.*"]).await;
    stand.webhook(&other.url, &["purchase.succeeded"]).await;
    let running = Running::start(&stand, open);
    decide(&stand, &[alert(7)]);
    stand.until("it is told", || !wants.got().is_empty()).await;
    let got = wants.got().remove(0);
    assert!(got.is_signed_with(made["secret"].as_str().unwrap()));
    assert_eq!(got.header("webhook-id"), "msg_acc_luna_7");
    assert_eq!((&got.json()["type"], &got.json()["data"]["number"]), (&json!("alert.balance_below"), &json!(7)));
    // when the delivery is forgotten and another alert is told, then the first one was told once, and nobody else is
    decide(&stand, &[alert(8)]);
    stand.until("the next one is told", || wants.got().len() == 2).await;
    stand.until("both are over", || running.metric("tollbooth_webhook_deliveries_waiting ") == 0).await;
    assert_eq!(running.metric("tollbooth_webhook_deliveries_total{kind=\"webhook\",result=\"delivered\"} "), 2);
    assert!(other.got().is_empty());
    // The secret is shown once.
    let (_, list) = read(stand.request(Method::GET, WEBHOOKS, &stand.root).send().await.unwrap()).await;
    assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["secret"]), (2, &Value::Null));
    running.stop().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id_and_a_slow_endpoint_holds_up_nobody() {
    let stand = Stand::start_with(open).await;
    let (slow, failing, moved) =
        (Endpoint::start(&[0; 50]).await, Endpoint::start(&[500, 429]).await, Endpoint::start(&[307]).await);
    for endpoint in [&slow, &failing, &moved] {
        stand.webhook(&endpoint.url, &[]).await;
    }
    let running = Running::start(&stand, open);
    decide(&stand, &(1..=20).map(alert).collect::<Vec<_>>());
    stand.until("the others are told", || failing.got().len() == 22 && moved.got().len() == 21).await;
    let ids: Vec<String> = failing.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), 20, "{ids:?}");
    assert!(slow.got().len() <= 2, "two tries at a time, and these have no answer yet");
    running.stop().await;
}

#[tokio::test]
async fn what_waits_is_told_by_the_next_process() {
    let stand = Stand::start_with(open).await;
    let endpoint = Endpoint::start(&[503; 3]).await;
    stand.webhook(&endpoint.url, &[]).await;
    let slow = |config: &mut IngestConfig| {
        open(config);
        config.webhooks.retry_min_ms = 60_000;
        config.webhooks.retry_max_ms = 60_000;
    };
    let running = Running::start(&stand, slow);
    decide(&stand, &[alert(7)]);
    // What waits, and what came of the first try.
    stand.until("it was tried", || stand.records(&stand.topics.deliveries()).len() == 2).await;
    running.stop().await;
    // when what it waits for is over, as another process sees it
    assert_eq!(endpoint.got().len(), 1);
    let records = stand.records(&stand.topics.deliveries());
    let mut waiting: Value = records.last().unwrap().json();
    assert_eq!((&waiting["attempts"], &waiting["state"]), (&json!(1), &json!("waiting")));
    waiting["next_at_ms"] = json!(0);
    stand.put(&stand.topics.deliveries(), &records.last().unwrap().key, waiting.to_string().as_bytes());
    let running = Running::start(&stand, open);
    stand.until("it is told", || endpoint.got().len() == 4).await;
    assert!(endpoint.got().iter().all(|got| got.header("webhook-id") == "msg_acc_luna_7"));
    running.stop().await;
}

#[tokio::test]
async fn what_was_tried_for_too_long_is_dead_until_it_is_replayed() {
    let impatient = |config: &mut IngestConfig| {
        open(config);
        config.webhooks.retry_for_ms = 0;
    };
    let stand = Stand::start_with(open).await;
    let endpoint = Endpoint::start(&[500, 410]).await;
    let made = stand.webhook(&endpoint.url, &[]).await;
    let running = Running::start(&stand, impatient);
    decide(&stand, &[alert(7), alert(8)]);
    let dead = stand.until_dead(&made, 2).await;
    let mut errors: Vec<&str> = dead.iter().map(|dead| dead["last_error"].as_str().unwrap()).collect();
    errors.sort_unstable();
    assert_eq!(errors, ["answered 410", "answered 500"]);
    // Nothing goes on by itself.
    let (status, answer) = stand.of_webhook(Method::POST, &made, "/replay").await;
    assert_eq!((status, &answer["replayed"]), (StatusCode::ACCEPTED, &json!(2)));
    stand.until("both are told", || endpoint.got().len() == 4).await;
    stand.until_dead(&made, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_dead_is_replayed_within_bounds() {
    // given an endpoint that gives everything up at once, and three replays an hour
    let stand = Stand::start_with(|config| {
        open(config);
        config.webhooks.replays_per_hour_max = 3;
    })
    .await;
    let endpoint = Endpoint::start(&[410; 6]).await;
    let made = stand.webhook(&endpoint.url, &[]).await;
    let running = Running::start(&stand, open);
    decide(&stand, &[alert(7), alert(8)]);
    // when all that is dead is replayed again and again
    for (replayed, left, got) in [(2, 0, 4), (1, 1, 5)] {
        stand.until_dead(&made, 2).await;
        let (status, answer) = stand.of_webhook(Method::POST, &made, "/replay").await;
        assert_eq!((status, &answer), (StatusCode::ACCEPTED, &json!({"replayed": replayed, "left": left})));
        stand.until("so many are told", || endpoint.got().len() == got).await;
    }
    // then the hour has no more
    stand.until_dead(&made, 2).await;
    let (status, problem) = stand.of_webhook(Method::POST, &made, "/replay").await;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("rate_limited")), "{problem}");
    assert_eq!(endpoint.got().len(), 5);
    running.stop().await;
}

#[tokio::test]
async fn a_ping_is_signed_with_both_secrets_after_a_rotation_and_a_deleted_endpoint_is_told_nothing() {
    let stand = Stand::start_with(open).await;
    let endpoint = Endpoint::start(&[]).await;
    let made = stand.webhook(&endpoint.url, &["purchase.succeeded"]).await;
    let running = Running::start(&stand, open);
    let (status, rotated) = stand.of_webhook(Method::POST, &made, "/rotate").await;
    assert_eq!(status, StatusCode::OK);
    let (status, pinged) = stand.of_webhook(Method::POST, &made, "/ping").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{pinged}");
    stand.until("it is told", || endpoint.got().len() == 1).await;
    let got = endpoint.got().remove(0);
    assert_eq!(
        (got.header("webhook-id"), &got.json()["type"]),
        (pinged["message_id"].as_str().unwrap(), &json!("ping"))
    );
    for webhook in [&made, &rotated] {
        assert!(got.is_signed_with(webhook["secret"].as_str().unwrap()));
    }
    assert_ne!(made["secret"], rotated["secret"]);
    assert_eq!(stand.of_webhook(Method::DELETE, &made, "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(stand.of_webhook(Method::POST, &made, "/ping").await.0, StatusCode::NOT_FOUND);
    running.stop().await;
}

#[tokio::test]
async fn endpoints_inside_or_without_tls_are_refused_and_so_is_who_may_not() {
    let strict = |config: &mut IngestConfig| {
        config.webhooks.secret = Secret::new("thirty-two characters of chance, or more");
    };
    let stand = Stand::start_with(strict).await;
    let make = async |stand: &Stand, key: &str, path: &str, body: Value| {
        let (status, answer) = read(stand.post(path, key).json(&body).send().await.unwrap()).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    };
    for url in
        ["http://luna.example/", "https://127.0.0.1/", "https://10.1.2.3/", "https://[::1]/", "mailto:a@b.example", "x"]
    {
        let found = make(&stand, &stand.root, WEBHOOKS, json!({"url": url})).await;
        assert_eq!(found.0, 422, "{url}: {found:?}");
    }
    let unknown = json!({"url": "https://luna.example/", "event_types": ["alert.other"]});
    assert_eq!(make(&stand, &stand.root, WEBHOOKS, unknown).await.0, 422);
    let (booth, own) = (stand.booth_key().await, stand.key("account").await.1);
    let good = json!({"url": "https://luna.example/"});
    assert_eq!(make(&stand, &booth, WEBHOOKS, good.clone()).await.0, 403);
    assert_eq!(make(&stand, &own, "/v1/accounts/acc_sol/webhooks", good.clone()).await.0, 403);
    for _ in 0..10 {
        assert_eq!(make(&stand, &own, WEBHOOKS, good.clone()).await.0, 201);
    }
    assert_eq!(make(&stand, &own, WEBHOOKS, good.clone()).await, (409, "too_many_webhooks".to_owned()));
    let without = stand.beside().await;
    assert_eq!(make(&without, &without.root, WEBHOOKS, good).await, (409, "webhooks_off".to_owned()));
}

#[tokio::test]
async fn an_account_has_few_mail_addresses_and_few_pings_an_hour() {
    let stand = Stand::start_with(|config| {
        open(config);
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.from = "tollbooth <alerts@tollbooth.example>".to_owned();
        config.webhooks.mail_addresses_max = 2;
        config.webhooks.messages_per_hour_max = 4;
    })
    .await;
    let make = async |path: &str, url: &str| {
        let (status, answer) =
            read(stand.post(path, &stand.root).json(&json!({"url": url})).send().await.unwrap()).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    };

    // given as many mail addresses as an account may have
    for name in ["ops", "desk"] {
        assert_eq!(make(WEBHOOKS, &format!("mailto:{name}@luna.example")).await.0, 201);
    }
    // then a further one is refused, and an address of the web is not
    assert_eq!(make(WEBHOOKS, "mailto:a@b.example").await, (409, "too_many_webhooks".to_owned()));
    let mut webhooks = Vec::new();
    for number in 0..3 {
        webhooks.push(stand.webhook(&format!("https://luna.example/{number}"), &[]).await);
    }

    // when it pings as often as is left of the hour, and once more
    for webhook in &webhooks[..2] {
        assert_eq!(stand.of_webhook(Method::POST, webhook, "/ping").await.0, StatusCode::ACCEPTED);
    }
    let path = format!("{WEBHOOKS}/{}/ping", webhooks[2]["webhook_id"].as_str().unwrap());
    let limited = stand.request(Method::POST, &path, &stand.root).send().await.unwrap();

    // then it is told when to come back, and neither can it have more by adding addresses anew
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.headers().contains_key("retry-after"));
    let (_, list) = read(stand.request(Method::GET, WEBHOOKS, &stand.root).send().await.unwrap()).await;
    assert_eq!(stand.of_webhook(Method::DELETE, &list["data"][0], "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(make(WEBHOOKS, "mailto:a@b.example").await, (429, "rate_limited".to_owned()));
    // and another account has an hour of its own
    assert_eq!(make("/v1/accounts/acc_sol/webhooks", "mailto:ops@sol.example").await.0, 201);
}

/// A mail server that takes everything.
async fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                let mut is_data = false;
                writer.write_all(b"220 test\r\n").await.unwrap();
                while let Ok(Some(line)) = lines.next_line().await {
                    kept.lock().push(line.clone());
                    let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
                        "." => {
                            is_data = false;
                            b"250 kept\r\n"
                        }
                        _ if is_data => continue,
                        "DATA" => {
                            is_data = true;
                            b"354 go on\r\n"
                        }
                        "EHLO" => b"250 test\r\n",
                        "QUIT" => b"221 bye\r\n",
                        _ => b"250 ok\r\n",
                    };
                    if writer.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (port, lines)
}

#[tokio::test]
async fn a_mail_address_is_told_by_mail() {
    let (port, lines) = mail_server().await;
    let with_mail = |config: &mut IngestConfig| {
        open(config);
        config.mail.host = "127.0.0.1".to_owned();
        config.mail.port = port;
        config.mail.tls = MailTls::None;
        config.mail.from = "tollbooth <alerts@tollbooth.example>".to_owned();
    };
    let stand = Stand::start_with(with_mail).await;
    let made = stand.webhook("mailto:ops@luna.example", &[]).await;
    assert_eq!((&made["secret"], &made["confirmed"]), (&Value::Null, &json!(false)));
    let running = Running::start(&stand, with_mail);
    let mails = || lines.lock().iter().filter(|line| *line == ".").count();
    // given an address that was asked whether it wants anything, and is told nothing before it says so
    stand.until("it is asked", || mails() == 1).await;
    decide(&stand, &[alert(6)]);
    let confirm = async |code: &str| {
        let path = format!("{WEBHOOKS}/{}/confirm", made["webhook_id"].as_str().unwrap());
        read(stand.post(&path, &stand.root).json(&json!({"code": code})).send().await.unwrap()).await
    };
    assert_eq!(confirm("0000-0000-0000-0000").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // The code stands in the mail alone, and a ping has it mailed once more.
    // The first one is under way until the answer of the mail's server was read.
    let end = std::time::Instant::now() + crate::stand::DEADLINE;
    while stand.of_webhook(Method::POST, &made, "/ping").await.0 == StatusCode::CONFLICT {
        assert!(std::time::Instant::now() < end, "the first mail is under way for ever");
    }
    stand.until("it is asked again", || mails() == 2).await;
    let is_code = |line: &&String| line.len() == 23 && line.trim_start().split('-').all(|part| part.len() == 4);
    let codes: Vec<String> = lines.lock().iter().filter(is_code).map(|line| line.trim().to_owned()).collect();
    assert!(codes.len() == 2 && codes[0] == codes[1], "{codes:?}");
    let (_, list) = read(stand.request(Method::GET, WEBHOOKS, &stand.root).send().await.unwrap()).await;
    let kept: Vec<_> = stand.records(&stand.topics.deliveries()).into_iter().map(|record| record.payload).collect();
    let shown = format!("{list}{}", String::from_utf8_lossy(&kept.concat()));
    assert!(!shown.contains(&codes[0]), "{shown}");
    // when they say that they do
    let (status, confirmed) = confirm(&codes[0]).await;
    assert_eq!((status, &confirmed["confirmed"]), (StatusCode::OK, &json!(true)), "{confirmed}");
    let told = async || {
        let (_, list) = read(stand.request(Method::GET, WEBHOOKS, &stand.root).send().await.unwrap()).await;
        list["data"][0]["confirmed"] == json!(true)
    };
    assert!(told().await);
    // Until the effects have read it, they tell nothing: so one alert after the other is decided until one is told of.
    let end = std::time::Instant::now() + crate::stand::DEADLINE;
    let mut seq = 7;
    while mails() == 2 {
        assert!(std::time::Instant::now() < end, "nothing is told");
        decide(&stand, &[alert(seq)]);
        seq += 1;
        let until = std::time::Instant::now() + Duration::from_millis(100);
        while mails() == 2 && std::time::Instant::now() < until {
            tokio::task::yield_now().await;
        }
    }
    let sent = lines.lock().join("\n");
    for part in [
        "MAIL FROM:<alerts@tollbooth.example>",
        "RCPT TO:<ops@luna.example>",
        "alert balance below",
        "balance: 4.00 USD",
    ] {
        assert!(sent.contains(part), "{part} is not in\n{sent}");
    }
    stand
        .until("it is over", || {
            running.metric("tollbooth_webhook_deliveries_total{kind=\"mail\",result=\"delivered\"} ") >= 3
        })
        .await;
    running.stop().await;
}
