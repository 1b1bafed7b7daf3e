//! What query passes on for who signed in there.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tollbooth_chassis::auth::{Principal, ROOT_KEY_ID};
use tollbooth_chassis::config::Secret;
use tollbooth_chassis::forward::Forwarding;
use tollbooth_schemas::keys::{ApiKey, KeyKind};

use crate::stand::{Stand, read};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn token(secret: &str, key_id: &str, key: &str, account: Option<&str>, at_ms: i64) -> String {
    let key = ApiKey::parse(key).unwrap();
    let principal = Principal {
        key_id: key_id.parse().unwrap(),
        kind: key.kind(),
        account_id: account.map(|account| account.parse().unwrap()),
        booth_id: None,
        scopes: Vec::new(),
        is_test: key.is_test(),
        line: key_id.parse().unwrap(),
    };
    Forwarding::new(secret).unwrap().token(&principal, &key.hash()[..16], at_ms).unwrap()
}

async fn list(stand: &Stand, token: &str) -> StatusCode {
    read(stand.request(Method::GET, "/v1/keys", token).send().await.unwrap()).await.0
}

#[tokio::test]
async fn a_signed_text_is_as_good_as_the_key_it_names_and_no_better() {
    // given a service that shares a secret, and keys
    let stand = Stand::start_with(|config| config.forward.secret = Secret::new(SECRET)).await;
    let (admin_id, admin) = stand.key("admin").await;
    let (account_id, account) = stand.key("account").await;
    let (booth_id, booth) = stand.key("booth").await;
    let luna = Some("acc_luna");

    // when and then: the kinds may what they may with the key itself
    assert_eq!(list(&stand, &token(SECRET, &admin_id, &admin, None, now_ms())).await, StatusCode::OK);
    assert_eq!(list(&stand, &token(SECRET, ROOT_KEY_ID, &stand.root, None, now_ms())).await, StatusCode::OK);
    let own = token(SECRET, &account_id, &account, luna, now_ms());
    assert_eq!(list(&stand, &own).await, StatusCode::FORBIDDEN);
    let bought =
        stand.command(Method::POST, "/v1/accounts/acc_luna/purchases", &own, "k", &json!({"amount": "50.00"})).await;
    assert_eq!((bought.0, &bought.1["code"]), (StatusCode::CONFLICT, &json!("no_payment_provider")));
    let foreign = stand.command(Method::POST, "/v1/accounts/acc_sol/purchases", &own, "k", &json!({})).await;
    assert_eq!(foreign.0, StatusCode::FORBIDDEN);

    // and nothing else passes
    for (what, wrong) in [
        ("another secret", token("fedcba9876543210fedcba9876543210", &admin_id, &admin, None, now_ms())),
        ("too old", token(SECRET, &admin_id, &admin, None, now_ms() - 70_000)),
        ("from the future", token(SECRET, &admin_id, &admin, None, now_ms() + 60_000)),
        ("another key of that id", token(SECRET, &admin_id, &stand.root, None, now_ms())),
        ("another account than the key's", token(SECRET, &account_id, &account, Some("acc_sol"), now_ms())),
        ("no such key", token(SECRET, "key_none", &admin, None, now_ms())),
        ("a booth's key", token(SECRET, &booth_id, &booth, luna, now_ms())),
        ("cut", own[..own.len() - 1].to_owned()),
    ] {
        assert_eq!(list(&stand, &wrong).await, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(ApiKey::parse(&booth).unwrap().kind(), KeyKind::Booth);

    // and a revocation counts at once
    let answer = stand.request(Method::DELETE, &format!("/v1/keys/{admin_id}"), &stand.root).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(list(&stand, &token(SECRET, &admin_id, &admin, None, now_ms())).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_secret_nothing_that_is_passed_on_is_taken() {
    let stand = Stand::start().await;
    let token = token(SECRET, ROOT_KEY_ID, &stand.root, None, now_ms());
    let (status, problem) = read(stand.request(Method::GET, "/v1/keys", &token).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(problem["detail"].as_str().unwrap().contains("forward.secret"), "{problem}");
}
