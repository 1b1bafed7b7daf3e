//! Signing in with a browser.

use serde_json::{Value, json};
use tollbooth_chassis::config::Secret;
use tollbooth_query::openapi::DOCUMENT;
use tollbooth_schemas::keys::{ApiKey, KeyKind};

use crate::query::Query;
use crate::stand::{Ledger, Stand, until};

const BALANCE: &str = "/v1/accounts/acc_luna/balance";

/// An account, a key of it, and a service that knows both.
async fn signed_up(stand: &Stand) -> (ApiKey, Query) {
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let query = stand.query().await;
    until("the key is known", async || query.get_with(BALANCE, Some(key.reveal())).await.status == 200).await;
    (key, query)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_reads_and_signs_out() {
    // given
    let stand = Stand::new().await;
    let (key, query) = signed_up(&stand).await;

    // when it signs in
    let session = query.sign_in(key.reveal()).await;
    assert_eq!(
        (&session.body["kind"], &session.body["account_id"], &session.body["key_id"]),
        (&json!("account"), &json!("acc_luna"), &json!("key_1"))
    );
    let admin = query.sign_in(&query.key).await;
    assert_eq!((&admin.body["kind"], &admin.body["account_id"]), (&json!("admin"), &Value::Null));

    // then the cookie reads, the stream as well, and says whose it is
    let cookie = [("cookie", session.cookie.as_str())];
    assert_eq!(query.read(BALANCE, &cookie).await.status, 200);
    let stream = query.raw("/v1/accounts/acc_luna/stream", &cookie).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(query.read("/v1/session", &cookie).await.body, session.body);

    // when it signs out, which another site cannot do for it
    let refused = query.change("DELETE", "/v1/session", &cookie, &Value::Null).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (403, &json!("csrf")));
    let wrong = [cookie[0], ("x-csrf-token", admin.csrf.as_str())];
    assert_eq!(query.change("DELETE", "/v1/session", &wrong, &Value::Null).await.status, 403);
    let right = [cookie[0], ("x-csrf-token", session.csrf.as_str())];
    let ended = query.change("DELETE", "/v1/session", &right, &Value::Null).await;

    // then the cookie is taken from the browser, and a copy of it reads nothing
    assert_eq!(ended.status, 204);
    assert!(ended.headers["set-cookie"].to_str().unwrap().starts_with("tollbooth_session=; Path=/; Max-Age=0"));
    assert_eq!(query.read(BALANCE, &cookie).await.status, 401);
    assert_eq!(query.change("DELETE", "/v1/session", &cookie, &Value::Null).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_signs_out_all_the_same_and_the_document_says_so() {
    // given
    let stand = Stand::new().await;
    let query = stand.query().await;

    // when
    let nobody = query.change("DELETE", "/v1/session", &[], &Value::Null).await;
    let stranger = query.change("DELETE", "/v1/session", &[("cookie", "tollbooth_session=x")], &Value::Null).await;

    // then
    for answer in [nobody, stranger] {
        assert_eq!(answer.status, 204);
        assert!(answer.headers["set-cookie"].to_str().unwrap().starts_with("tollbooth_session=; Path=/; Max-Age=0"));
    }
    let operations: Vec<_> = DOCUMENT.operations().filter(|(_, path, _)| *path == "/v1/session").collect();
    let security =
        |wanted: &str| operations.iter().find(|(method, ..)| *method == wanted).unwrap().2["security"].clone();
    assert_eq!(security("delete"), json!([{"session": []}, {}]), "a cookie, or none");
    assert_eq!(security("get"), json!([{"session": []}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_key() {
    // given a session with an open stream
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let mut config = stand.config();
    config.stream.heartbeat_ms = 50;
    let query = Query::start(config, &stand.admin_key).await;
    until("the key is known", async || query.get_with(BALANCE, Some(key.reveal())).await.status == 200).await;
    let session = query.sign_in(key.reveal()).await;
    let cookie = [("cookie", session.cookie.as_str())];
    let mut stream = crate::events::Events::new(query.raw("/v1/accounts/acc_luna/stream", &cookie).await);

    // when the key is revoked
    stand.revoke(KeyKind::Account, "acc_luna", 1);

    // then both end
    until("the session has ended", async || query.read("/v1/session", &cookie).await.status == 401).await;
    assert_eq!(query.read(BALANCE, &cookie).await.status, 401);
    while stream.read().await {}
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_without_a_key_that_reads_and_few_try_often() {
    // given
    let stand = Stand::new().await;
    let booth = stand.issue(KeyKind::Booth, "acc_luna", 1);
    let mut config = stand.config();
    config.session.failures_per_minute_max = 4;
    let query = Query::start(config, &stand.admin_key).await;
    until("the key is known", async || query.get_with(BALANCE, Some(booth.reveal())).await.status == 403).await;

    // when and then
    let unknown = ApiKey::generate(KeyKind::Account, false, &[77; 64]).unwrap();
    let as_form = reqwest::Client::new().post(format!("{}/v1/session", query.url)).body("key=x").send().await.unwrap();
    assert_eq!(as_form.status(), 415, "a form of another site cannot sign anybody in");
    for (key, status) in [(unknown.reveal(), 401), ("nonsense", 401), (booth.reveal(), 403), (&"x".repeat(500), 401)] {
        assert_eq!(query.try_to_sign_in(key).await.status, status, "{key}");
    }
    assert_eq!(query.try_to_sign_in(&"x".repeat(2_000)).await.status, 413);
    let limited = query.try_to_sign_in("nonsense").await;
    assert_eq!((limited.status.as_u16(), &limited.body["code"]), (429, &json!("rate_limited")));
    assert!(limited.headers.contains_key("retry-after"));
    assert_eq!(limited.headers["ratelimit-policy"], "\"sign-in\";q=4;qu=\"requests\"");
    assert!(query.metrics().await.contains("tollbooth_query_sign_ins_total{result=\"limited\"} 1"));

    // and who has a right key is let in from the same address, as others are behind a proxy
    let session = query.sign_in(&query.key).await;
    assert_eq!(query.read("/v1/session", &[("cookie", session.cookie.as_str())]).await.status, 200);
    assert_eq!(query.try_to_sign_in("nonsense").await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_one_secret_take_each_others_sessions_and_others_do_not() {
    // given two processes of one secret, and one of another
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let mut config = stand.config();
    config.session.secret = Secret::new("0123456789abcdef0123456789abcdef");
    let here = Query::start(config.clone(), &stand.admin_key).await;
    let there = Query::start(config, &stand.admin_key).await;
    let stranger = stand.query().await;

    // when
    let session = here.sign_in(&here.key).await;

    // then
    let cookie = [("cookie", session.cookie.as_str())];
    assert_eq!(there.read("/v1/session", &cookie).await.body, session.body);
    assert_eq!(stranger.read("/v1/session", &cookie).await.status, 401);
}
