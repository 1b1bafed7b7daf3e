//! Every route against every kind of key: one that is new fails until it has a row here.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use tollbooth_schemas::keys::{ApiKey, KeyKind};

use crate::stand::{Stand, read};

/// Whom a route lets in, beside an admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Nobody.
    Admin,
    /// A key of the account.
    Account,
    /// A booth's key of the account.
    Booth,
    /// Any booth's key: each event names its account, and is judged by it.
    Usage,
    /// Whoever signed the body: no key opens it, and none is asked for.
    Signed,
}

use Door::{Account, Admin, Booth, Signed, Usage};

/// Method, path, whom it lets in, and the scope that a narrowed key needs.
const ROUTES: &[(&str, &str, Door, &str)] = &[
    ("post", "/v1/events", Usage, "usage"),
    ("post", "/v1/accounts", Admin, "accounts"),
    ("post", "/v1/accounts/{account_id}/adjustments", Admin, "money"),
    ("put", "/v1/accounts/{account_id}/alerts", Account, "settings"),
    ("post", "/v1/accounts/{account_id}/bonuses", Admin, "money"),
    ("put", "/v1/accounts/{account_id}/booths/{booth_id}", Admin, "accounts"),
    ("put", "/v1/accounts/{account_id}/credit-limit", Admin, "money"),
    ("put", "/v1/accounts/{account_id}/events/{event_id}", Admin, "accounts"),
    ("post", "/v1/accounts/{account_id}/holds", Booth, "holds"),
    ("post", "/v1/accounts/{account_id}/holds/{hold_id}/void", Booth, "holds"),
    ("put", "/v1/accounts/{account_id}/payment-method", Admin, "money"),
    ("get", "/v1/accounts/{account_id}/payment-method", Account, "read"),
    ("delete", "/v1/accounts/{account_id}/payment-method", Account, "purchases"),
    ("post", "/v1/accounts/{account_id}/payment-method/setup", Account, "purchases"),
    ("post", "/v1/accounts/{account_id}/plan", Admin, "accounts"),
    ("post", "/v1/accounts/{account_id}/plan-fees", Admin, "money"),
    ("put", "/v1/accounts/{account_id}/profile", Account, "settings"),
    ("post", "/v1/accounts/{account_id}/purchases", Account, "purchases"),
    ("post", "/v1/accounts/{account_id}/purchases/{purchase_id}/cancel", Account, "purchases"),
    ("post", "/v1/accounts/{account_id}/purchases/{purchase_id}/confirm", Account, "purchases"),
    ("put", "/v1/accounts/{account_id}/recharge", Account, "settings"),
    ("post", "/v1/accounts/{account_id}/refunds", Admin, "money"),
    ("post", "/v1/accounts/{account_id}/webhooks", Account, "settings"),
    ("get", "/v1/accounts/{account_id}/webhooks", Account, "read"),
    ("delete", "/v1/accounts/{account_id}/webhooks/{webhook_id}", Account, "settings"),
    ("post", "/v1/accounts/{account_id}/webhooks/{webhook_id}/confirm", Account, "settings"),
    ("get", "/v1/accounts/{account_id}/webhooks/{webhook_id}/dead", Account, "read"),
    ("post", "/v1/accounts/{account_id}/webhooks/{webhook_id}/ping", Account, "settings"),
    ("post", "/v1/accounts/{account_id}/webhooks/{webhook_id}/replay", Account, "settings"),
    ("post", "/v1/accounts/{account_id}/webhooks/{webhook_id}/rotate", Account, "settings"),
    ("post", "/v1/dead-letters/dismiss", Admin, "dead_letters"),
    ("post", "/v1/dead-letters/redrive", Admin, "dead_letters"),
    ("post", "/v1/keys", Admin, "keys"),
    ("get", "/v1/keys", Admin, "read"),
    ("delete", "/v1/keys/{key_id}", Admin, "keys"),
    ("post", "/v1/keys/{key_id}/rotate", Admin, "keys"),
    ("post", "/v1/payments/stripe", Signed, ""),
    ("put", "/v1/price-books/{version}", Admin, "prices"),
    ("post", "/v1/repricings", Admin, "money"),
    ("get", "/v1/repricings", Admin, "read"),
    ("get", "/v1/repricings/{repricing_id}", Admin, "read"),
    ("post", "/v1/repricings/{repricing_id}/apply", Admin, "money"),
    ("post", "/v1/repricings/{repricing_id}/undo", Admin, "money"),
];

/// A route's request with a body that is no document: who may ask is told so, who may not is not.
fn request(stand: &Stand, method: &str, template: &str, query: &str) -> RequestBuilder {
    let places = [
        ("{account_id}", "acc_luna"),
        ("{booth_id}", "bth_17"),
        ("{event_id}", "evt_gala"),
        ("{hold_id}", "hld_1"),
        ("{purchase_id}", "pay_1"),
        ("{webhook_id}", "whk_1"),
        ("{key_id}", "key_none"),
        ("{version}", "1"),
        ("{repricing_id}", "rpr_1"),
    ];
    let path = places.into_iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}: say here what stands in its place");
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = stand.client.request(method, format!("{}{path}{query}", stand.address));
    request.header("idempotency-key", "k").json(&json!([]))
}

async fn make(stand: &Stand, document: serde_json::Value) -> (String, String) {
    let (status, made) = read(stand.post("/v1/keys", &stand.root).json(&document).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    (made["key_id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

#[test]
fn every_route_has_its_row() {
    // given the table of routes as it stands in the source
    let source = include_str!("../../src/app.rs");
    let mut routes = BTreeSet::new();
    for line in source.lines().map(str::trim).filter(|line| line.starts_with("(\"/v1/")) {
        let (path, methods) = line[2..].split_once('"').unwrap();
        for method in ["get", "post", "put", "delete"] {
            if methods.contains(&format!("{method}(")) {
                routes.insert((method, path));
            }
        }
    }
    // then they are the rows
    assert_eq!(routes, ROUTES.iter().map(|(method, path, ..)| (*method, *path)).collect());
}

#[tokio::test]
async fn nobody_without_a_good_key_comes_through_any_door() {
    // given keys that are none, or are none any more
    let stand = Stand::start().await;
    let (revoked_id, revoked) = make(&stand, json!({"kind": "admin"})).await;
    let ended = stand.request(Method::DELETE, &format!("/v1/keys/{revoked_id}"), &stand.root).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let (expired_id, expired) = make(&stand, json!({"kind": "admin"})).await;
    let rotation =
        stand.post(&format!("/v1/keys/{expired_id}/rotate"), &stand.root).json(&json!({"overlap_seconds": 0}));
    assert!(rotation.send().await.unwrap().status().is_success());
    let unknown = ApiKey::generate(KeyKind::Admin, false, &[77; 64]).unwrap();
    let root = stand.root.clone();
    let credentials = [
        ("none", vec![]),
        ("no key", vec![("authorization", "Bearer hello".to_owned())]),
        ("mistyped", vec![("authorization", format!("Bearer {}", root.replace("_live_", "_test_")))]),
        ("unknown", vec![("authorization", format!("Bearer {}", unknown.reveal()))]),
        ("revoked", vec![("authorization", format!("Bearer {revoked}"))]),
        ("expired", vec![("authorization", format!("Bearer {expired}"))]),
        ("another scheme", vec![("authorization", format!("Basic {root}"))]),
        ("a portal's token", vec![("authorization", "Bearer tbp1.e30.AAAA".to_owned())]),
        ("what query passes on, unsigned", vec![("authorization", "Bearer tbf1.e30.AAAA".to_owned())]),
        ("another header", vec![("x-api-key", root.clone()), ("x-forwarded-user", "root".to_owned())]),
        ("a cookie", vec![("cookie", format!("tollbooth_session={root}"))]),
    ];
    for (method, path, door, _) in ROUTES {
        for (name, headers) in &credentials {
            // when the key stands in the query as well, where it counts for nothing
            let request = request(&stand, method, path, &format!("?key={root}&access_token={root}"));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
            let (status, problem) = read(request.send().await.unwrap()).await;
            // then
            let expected = if *door == Signed { StatusCode::CONFLICT } else { StatusCode::UNAUTHORIZED };
            assert_eq!(status, expected, "{method} {path} with {name}: {problem}");
        }
    }
    assert!(stand.records(&stand.topics.commands()).is_empty() && stand.usage().is_empty());
}

#[tokio::test]
async fn every_key_comes_through_its_own_doors_alone() {
    // given a key of each kind, of the account and of another, and one for each scope
    let stand = Stand::start().await;
    let of = |kind: &str, account: &str| json!({"kind": kind, "account_id": account});
    let (_, account) = make(&stand, of("account", "acc_luna")).await;
    let (_, booth) = make(&stand, of("booth", "acc_luna")).await;
    let (_, foreign_account) = make(&stand, of("account", "acc_sol")).await;
    let (_, foreign_booth) = make(&stand, of("booth", "acc_sol")).await;
    let scopes: BTreeSet<&str> = ROUTES.iter().map(|(.., scope)| *scope).filter(|scope| !scope.is_empty()).collect();
    let mut narrowed = Vec::new();
    for scope in &scopes {
        narrowed.push((*scope, make(&stand, json!({"kind": "admin", "scopes": [scope]})).await.1));
    }
    for (method, path, door, scope) in ROUTES.iter().filter(|(_, _, door, _)| *door != Signed) {
        let is_let_in = async |key: &str| {
            let (status, problem) =
                read(request(&stand, method, path, "").bearer_auth(key).send().await.unwrap()).await;
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}: {problem}");
            assert!(!status.is_server_error(), "{method} {path}: {problem}");
            status != StatusCode::FORBIDDEN
        };
        // then each is let in where it should, and nowhere else
        assert!(is_let_in(&stand.root).await, "{method} {path}");
        assert_eq!(is_let_in(&account).await, *door == Account, "{method} {path} with the account's");
        assert_eq!(is_let_in(&booth).await, matches!(door, Booth | Usage), "{method} {path} with a booth's");
        assert!(!is_let_in(&foreign_account).await, "{method} {path} with another account's");
        assert_eq!(is_let_in(&foreign_booth).await, *door == Usage, "{method} {path} with another account's booth's");
        for (narrow, key) in &narrowed {
            assert_eq!(is_let_in(key).await, narrow == scope, "{method} {path} with {narrow} alone");
        }
    }
    assert!(stand.records(&stand.topics.commands()).is_empty() && stand.usage().is_empty());
}
