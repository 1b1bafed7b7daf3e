//! Commands of a browser that signed in.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tollbooth_chassis::config::Secret;
use tollbooth_chassis::forward::Forwarding;
use tollbooth_schemas::keys::KeyKind;

use crate::query::{Query, Session};
use crate::stand::{Stand, until};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PURCHASES: &str = "/v1/accounts/acc_luna/purchases";

/// What ingest was sent: method and target, headers, body.
type Received = Arc<Mutex<Vec<(String, HeaderMap, String)>>>;

/// Something in ingest's place that writes down what it is sent.
async fn ingest() -> (String, Received) {
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(take).with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, received)
}

async fn take(State(received): State<Received>, request: Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri());
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let answer = match body.as_str() {
        r#""large""# => (StatusCode::OK, "x".repeat(10_000)).into_response(),
        r#""move""# => (StatusCode::SEE_OTHER, [("location", "/v1/elsewhere")]).into_response(),
        _ => (
            StatusCode::ACCEPTED,
            [("retry-after", "2"), ("content-type", "application/json"), ("set-cookie", "evil=1")],
            r#"{"status":"pending"}"#,
        )
            .into_response(),
    };
    received.lock().unwrap().push((what, parts.headers, body));
    answer
}

async fn signed_in(stand: &Stand, ingest_url: &str) -> (Query, Session) {
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let mut config = stand.config();
    config.forward.secret = Secret::new(SECRET);
    config.forward.ingest_url = ingest_url.to_owned();
    config.forward.answer_bytes_max = 5_000;
    config.forward.body_bytes_max = 1_000;
    let query = Query::start(config, &stand.admin_key).await;
    until("the key is known", async || query.try_to_sign_in(key.reveal()).await.status == 200).await;
    let session = query.sign_in(key.reveal()).await;
    (query, session)
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reaches_ingest_as_it_was_meant_and_its_answer_comes_back() {
    // given
    let stand = Stand::new().await;
    let (url, received) = ingest().await;
    let (query, session) = signed_in(&stand, &url).await;
    let own = [
        ("cookie", session.cookie.as_str()),
        ("x-csrf-token", session.csrf.as_str()),
        ("idempotency-key", "\"buy-1\""),
        ("x-request-id", "req-1"),
        ("x-secret", "for query alone"),
    ];

    // when: one to a path that query reads at, too, and one to a path that it does not know
    let answer = query.change("POST", PURCHASES, &own, &json!({"amount": "50"})).await;
    let defined = query.change("PUT", "/v1/accounts/acc_luna/recharge?x=1", &own, &json!({})).await;

    // then
    assert_eq!((answer.status.as_u16(), &answer.body), (202, &json!({"status": "pending"})));
    assert_eq!([&answer.headers["retry-after"], &answer.headers["x-request-id"]], ["2", "req-1"]);
    assert!(!answer.headers.contains_key("set-cookie"));
    // Both count, wherever they go.
    for headers in [&answer.headers, &defined.headers] {
        assert!(headers.contains_key("ratelimit"), "{headers:?}");
    }
    assert_eq!(defined.status, 202);
    let received = std::mem::take(&mut *received.lock().unwrap());
    let (what, headers, body) = &received[0];
    assert_eq!((what.as_str(), body.as_str()), ("POST /v1/accounts/acc_luna/purchases", r#"{"amount":"50"}"#));
    assert_eq!([&headers["idempotency-key"], &headers["x-request-id"]], ["\"buy-1\"", "req-1"]);
    assert!(["cookie", "x-csrf-token", "x-secret"].iter().all(|name| !headers.contains_key(*name)));
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let claims = Forwarding::new(SECRET).unwrap().read(token, now_ms()).unwrap();
    assert_eq!((claims.key_id.as_str(), claims.kind), ("key_1", KeyKind::Account));
    assert_eq!(claims.account_id.unwrap().as_str(), "acc_luna");
    assert_eq!(received[1].0, "PUT /v1/accounts/acc_luna/recharge?x=1");
    assert!(query.metrics().await.contains("tollbooth_query_forwarded_total{result=\"ok\"} 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_browser_meant_goes_nowhere() {
    // given
    let stand = Stand::new().await;
    let (url, received) = ingest().await;
    let (query, session) = signed_in(&stand, &url).await;
    let cookie = ("cookie", session.cookie.as_str());
    let csrf = ("x-csrf-token", session.csrf.as_str());
    let bearer = format!("Bearer {}", query.key);
    let bearer = ("authorization", bearer.as_str());
    let large = json!("x".repeat(2_000));

    // when and then
    for (headers, path, body, status) in [
        (vec![], PURCHASES, &Value::Null, 401),
        (vec![csrf], PURCHASES, &Value::Null, 401),
        (vec![cookie], PURCHASES, &Value::Null, 403),
        (vec![cookie, ("x-csrf-token", "x")], PURCHASES, &Value::Null, 403),
        (vec![bearer], PURCHASES, &Value::Null, 405),
        (vec![bearer, cookie, csrf], PURCHASES, &Value::Null, 405),
        (vec![cookie, csrf], PURCHASES, &large, 413),
        (vec![cookie, csrf], "/other", &Value::Null, 405),
    ] {
        let answer = query.change("POST", path, &headers, body).await;
        assert_eq!(answer.status, status, "{path} with {headers:?}: {}", answer.body);
    }
    // Keys are listed for who signed in, and not for who sends one.
    let webhooks = "/v1/accounts/acc_luna/webhooks";
    assert_eq!(query.read(webhooks, &[bearer]).await.status, 404);
    assert!(received.lock().unwrap().is_empty());
    let card = "/v1/accounts/acc_luna/payment-method";
    let repricings = "/v1/repricings?limit=20";
    for path in [webhooks, "/v1/accounts/acc_luna/webhooks/whk_1/dead", card, repricings, "/v1/repricings/rpr_1"] {
        assert_eq!(query.read(path, &[cookie]).await.status, 202);
        assert_eq!(received.lock().unwrap().pop().unwrap().0, format!("GET {path}"));
    }
    for path in ["/v1/accounts/acc_luna/webhooks/whk_1", "/v1/repricings/rpr_1/apply"] {
        assert_eq!(query.read(path, &[cookie]).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_have_is_refused_whoever_asks_and_goes_nowhere() {
    // given
    let stand = Stand::new().await;
    let (url, received) = ingest().await;
    let (query, session) = signed_in(&stand, &url).await;
    let bearer = format!("Bearer {}", query.key);
    let callers = [
        vec![],
        vec![("authorization", bearer.as_str())],
        vec![("cookie", session.cookie.as_str()), ("x-csrf-token", session.csrf.as_str())],
    ];

    // when and then
    for (method, path, allowed) in [
        ("TRACE", "/v1/accounts/acc_luna/balance", "GET,HEAD"),
        ("OPTIONS", "/v1/accounts/acc_luna/usage", "GET,HEAD"),
        ("POST", "/v1/services", "GET,HEAD"),
        ("PUT", "/v1/price-books/current", "GET,HEAD"),
        ("TRACE", "/v1/price-books/1/simulate", "POST"),
        ("GET", "/v1/price-books/1/simulate", "POST"),
        ("TRACE", PURCHASES, "POST, PUT, PATCH, DELETE"),
        ("TRACE", "/sign-in", "GET, HEAD"),
    ] {
        for headers in &callers {
            let answer = query.change(method, path, headers, &Value::Null).await;
            let code = &answer.body["code"];
            assert_eq!(
                (answer.status.as_u16(), code),
                (405, &json!("method_not_allowed")),
                "{method} {path} {headers:?}"
            );
            assert_eq!(answer.headers["allow"], allowed, "{method} {path} {headers:?}");
        }
    }
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_gives_no_answer_is_a_problem_that_says_what_to_do() {
    // given one whose answers are no good, one that is not there, and a service that was told of none
    let stand = Stand::new().await;
    let (url, _) = ingest().await;
    let (query, session) = signed_in(&stand, &url).await;
    let own = [("cookie", session.cookie.as_str()), ("x-csrf-token", session.csrf.as_str())];
    let large = query.change("POST", PURCHASES, &own, &json!("large")).await;
    assert_eq!((large.status.as_u16(), &large.body["code"]), (502, &json!("bad_gateway")));
    let moved = query.change("POST", PURCHASES, &own, &json!("move")).await;
    assert_eq!(moved.status, 303, "it is not followed");
    assert_eq!(moved.headers["location"], "/v1/elsewhere");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (query, session) = signed_in(&stand, &format!("http://{free}")).await;
    let own = [("cookie", session.cookie.as_str()), ("x-csrf-token", session.csrf.as_str())];
    let away = query.change("POST", PURCHASES, &own, &Value::Null).await;
    assert_eq!(away.status, 503);
    assert_eq!(away.headers["retry-after"], "1");

    let query = stand.query().await;
    let session = query.sign_in(&query.key).await;
    let own = [("cookie", session.cookie.as_str()), ("x-csrf-token", session.csrf.as_str())];
    let off = query.change("POST", PURCHASES, &own, &Value::Null).await;
    assert_eq!((off.status.as_u16(), &off.body["code"]), (501, &json!("forwarding_off")));
}
