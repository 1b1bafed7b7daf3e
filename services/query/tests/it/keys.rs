//! Keys as they are listed, and what those that are narrowed or have expired may read.

use serde_json::{Value, json};
use tollbooth_schemas::keys::{KeyKind, KeyUse, Scope};
use tollbooth_schemas::time::rfc3339;

use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, until};

const BALANCE: &str = "/v1/accounts/acc_luna/balance";

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

async fn known(query: &Query, key: &str) {
    until("the key is known", async || query.get_with("/v1/keys", Some(key)).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_its_own_keys_and_an_admin_all_of_them_page_by_page() {
    // given keys of two accounts and of nobody's, in every state
    let stand = Stand::new().await;
    let revoked = stand.issue(KeyKind::Booth, "acc_luna", 1);
    stand.revoke(KeyKind::Booth, "acc_luna", 1);
    stand.issue_with(KeyKind::Booth, "acc_luna", 2, |document| {
        (document.created_at, document.expires_at) = (BASE_MS + 1, Some(BASE_MS + 2));
        document.replaced_by = Some("key_3".parse().unwrap());
    });
    stand.issue(KeyKind::Account, "acc_sol", 4);
    stand.issue_with(KeyKind::Admin, "acc_luna", 5, |document| document.account_id = None);
    let own = stand.issue_with(KeyKind::Account, "acc_luna", 3, |document| {
        (document.created_at, document.label) = (BASE_MS + 3, Some("desk".to_owned()));
        document.booth_id = Some("bth_17".parse().unwrap());
    });
    let query = stand.query().await;
    known(&query, own.reveal()).await;

    // when
    let seen = query.get_with("/v1/keys", Some(own.reveal())).await.body;
    let all = query.ok("/v1/keys").await;

    // then
    assert_eq!(ids(&seen), ["key_3", "key_2", "key_1"]);
    assert_eq!(ids(&all), ["key_3", "key_2", "key_5", "key_4", "key_1"]);
    let text = all.to_string();
    assert!(!text.contains(&own.hash()) && !text.contains(own.reveal()) && !text.contains(&revoked.hash()), "{text}");
    let (prefix, last_four) = own.hint();
    let mut row = seen["data"][0].clone();
    assert!(row["last_used_at"].is_string(), "it was just used: {row}");
    row["last_used_at"] = Value::Null;
    let expected = json!({
        "id": "key_3", "key_id": "key_3", "kind": "account", "account_id": "acc_luna", "booth_id": "bth_17",
        "prefix": prefix, "last_four": last_four, "label": "desk", "scopes": [], "state": "active",
        "created_at": rfc3339(BASE_MS + 3), "expires_at": null, "revoked_at": null, "replaced_by": null,
        "last_used_at": null,
    });
    assert_eq!(row, expected);
    assert_eq!((&seen["data"][1]["state"], &seen["data"][1]["replaced_by"]), (&json!("expired"), &json!("key_3")));

    // and filters narrow, for an account within what is its own
    for (filter, expected) in [
        ("account_id=acc_luna", vec!["key_3", "key_2", "key_1"]),
        ("kind=booth", vec!["key_2", "key_1"]),
        ("kind=admin", vec!["key_5"]),
        ("state=active", vec!["key_3", "key_5", "key_4"]),
        ("state=expired", vec!["key_2"]),
        ("state=revoked&kind=booth", vec!["key_1"]),
        ("account_id=acc_sol&state=revoked", vec![]),
    ] {
        assert_eq!(ids(&query.ok(&format!("/v1/keys?{filter}")).await), expected, "{filter}");
    }
    assert_eq!(query.get_with("/v1/keys?account_id=acc_luna", Some(own.reveal())).await.status, 200);
    assert_eq!(query.get_with("/v1/keys?account_id=acc_sol", Some(own.reveal())).await.status, 404);

    // and pages have each of them once; a cursor belongs to its filters
    let (mut path, mut found) = ("/v1/keys?limit=2".to_owned(), Vec::new());
    loop {
        let page = query.ok(&path).await;
        found.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/keys?limit=2&cursor={cursor}");
    }
    assert_eq!(found, ids(&all));
    let cursor = query.ok("/v1/keys?limit=2").await["next_cursor"].as_str().unwrap().to_owned();
    for wrong in [format!("kind=booth&cursor={cursor}"), "cursor=x".to_owned(), "kind=owner".to_owned()] {
        assert_eq!(query.get(&format!("/v1/keys?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_key_was_used_is_told_to_every_process_and_survives_the_one_that_saw_it() {
    // given a key that one process sees, and one that others saw, told out of order
    let stand = Stand::new().await;
    let own = stand.issue(KeyKind::Account, "acc_luna", 1);
    stand.issue(KeyKind::Booth, "acc_luna", 2);
    stand.issue(KeyKind::Booth, "acc_luna", 3);
    for at in [BASE_MS + 2_000, BASE_MS + 1_000] {
        let told = serde_json::to_vec(&KeyUse { last_used_at: at }).unwrap();
        stand.publish(&stand.topics.key_usage(), "key_2", &told);
    }
    let query = stand.query().await;
    known(&query, own.reveal()).await;
    let last_used = async |query: &Query, id: &str| {
        let page = query.ok("/v1/keys").await;
        let rows = page["data"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["id"] == id).unwrap()["last_used_at"].clone()
    };
    until("the use is read", async || last_used(&query, "key_2").await == rfc3339(BASE_MS + 2_000)).await;
    let seen = last_used(&query, "key_1").await;
    assert!(seen.is_string() && last_used(&query, "key_3").await.is_null());

    // when the process ends
    query.stop().await;

    // then the next one knows what it saw
    let next = stand.query().await;
    until("the keys are read", async || next.get("/v1/keys").await.status == 200).await;
    until("the use is read", async || last_used(&next, "key_1").await.is_string()).await;
    let told = last_used(&next, "key_1").await;
    assert!(told.as_str().unwrap() >= seen.as_str().unwrap(), "{told} {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_expires_ends_with_its_session_and_its_tokens() {
    // given a session and a token of a key
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let query = stand.query().await;
    known(&query, key.reveal()).await;
    let session = query.sign_in(key.reveal()).await;
    let bearer = format!("Bearer {}", key.reveal());
    let body = json!({"ttl_s": 600});
    let made = query.change("POST", "/v1/portal-tokens", &[("authorization", &bearer)], &body).await;
    let token = format!("Bearer {}", made.body["token"].as_str().unwrap());
    let credentials = [("authorization", bearer.as_str()), ("authorization", &token), ("cookie", &session.cookie)];
    for credential in credentials {
        assert_eq!(query.read(BALANCE, &[credential]).await.status, 200);
    }

    // when its time is over
    stand.issue_with(KeyKind::Account, "acc_luna", 1, |document| document.expires_at = Some(BASE_MS));

    // then all of them end, and nobody signs in with it
    let problem = async || query.read(BALANCE, &[credentials[0]]).await;
    until("the key has expired", async || problem().await.status == 401).await;
    assert_eq!(problem().await.body["detail"], "the key has expired");
    for credential in credentials {
        assert_eq!(query.read(BALANCE, &[credential]).await.status, 401);
    }
    assert_eq!(query.try_to_sign_in(key.reveal()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_key_reads_and_makes_tokens_where_its_scopes_say_so() {
    // given keys of one scope each, and one that reads and makes tokens
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let scoped = |kind, seed, scope| stand.issue_with(kind, "acc_luna", seed, |document| document.scopes = vec![scope]);
    let reader = scoped(KeyKind::Account, 1, Scope::Read);
    let minter = scoped(KeyKind::Account, 2, Scope::PortalTokens);
    let auditor = scoped(KeyKind::Admin, 3, Scope::Read);
    let cashier = scoped(KeyKind::Admin, 4, Scope::Money);
    let clerk = stand.issue_with(KeyKind::Account, "acc_luna", 5, |document| {
        document.scopes = vec![Scope::Read, Scope::PortalTokens];
    });
    let query = stand.query().await;
    known(&query, auditor.reveal()).await;
    let status = async |path: &str, key: &str| query.get_with(path, Some(key)).await.status.as_u16();
    until("all are known", async || status(BALANCE, clerk.reveal()).await == 200).await;

    // then each reads what it may
    for (path, expected) in [
        (BALANCE, [200, 403, 200, 403]),
        ("/v1/keys", [200, 403, 200, 403]),
        ("/v1/accounts", [403, 403, 200, 403]),
        ("/v1/audit", [403, 403, 200, 403]),
    ] {
        for (key, expected) in [&reader, &minter, &auditor, &cashier].into_iter().zip(expected) {
            assert_eq!(status(path, key.reveal()).await, expected, "{path} with {key:?}");
        }
    }
    // and makes tokens, which read, only where it reads itself
    let make = async |key: &str| {
        let bearer = format!("Bearer {key}");
        query.change("POST", "/v1/portal-tokens", &[("authorization", &bearer)], &json!({"ttl_s": 600})).await
    };
    for key in [&reader, &minter] {
        assert_eq!(make(key.reveal()).await.status, 403, "{key:?}");
    }
    let made = make(clerk.reveal()).await;
    let token = made.body["token"].as_str().unwrap();
    assert_eq!(status(BALANCE, token).await, 200);
    // A browser's session has what its key has.
    let session = query.sign_in(minter.reveal()).await;
    let cookie = ("cookie", session.cookie.as_str());
    assert_eq!(query.read(BALANCE, &[cookie]).await.status, 403);
    let headers = [cookie, ("x-csrf-token", session.csrf.as_str())];
    assert_eq!(query.change("POST", "/v1/portal-tokens", &headers, &json!({"ttl_s": 600})).await.status, 403);

    // when the key behind a token may read no more, then the token does not either
    stand.issue_with(KeyKind::Account, "acc_luna", 5, |document| document.scopes = vec![Scope::PortalTokens]);
    until("the key is narrowed", async || status(BALANCE, clerk.reveal()).await == 403).await;
    assert_eq!(status(BALANCE, token).await, 403);
}
