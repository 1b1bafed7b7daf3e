//! Who may do what, and how keys come and go.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stand::{DEADLINE, Stand, event, read};

#[tokio::test]
async fn without_a_good_key_nothing_is_taken() {
    let stand = Stand::start().await;
    let booth = stand.booth_key().await;
    let mistyped = booth.replace("tb_bk_live", "tb_bk_test");
    let unknown = "tb_bk_live_000000000000000000000000000000000000";
    for key in ["hello", unknown, &mistyped] {
        let (status, problem) = stand.send_event(key, &event("a")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")), "{key}");
    }
    let bare = stand.client.post(format!("{}/v1/events", stand.address)).body("{}").send().await.unwrap();
    assert_eq!(bare.headers()["www-authenticate"], "Bearer");
    assert_eq!(read(bare).await.0, StatusCode::UNAUTHORIZED);
    assert!(stand.usage().is_empty());
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_for_good() {
    let stand = Stand::start().await;
    let (key_id, key) = stand.key("booth").await;
    assert_eq!(stand.send_event(&key, &event("a")).await.0, StatusCode::ACCEPTED);
    // when it is revoked, twice
    for _ in 0..2 {
        let answer = stand.request(Method::DELETE, &format!("/v1/keys/{key_id}"), &stand.root).send().await.unwrap();
        assert_eq!(read(answer).await, (StatusCode::NO_CONTENT, Value::Null));
    }
    // then it is refused, and stays so in the topic
    let (status, problem) = stand.send_event(&key, &event("b")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(problem["detail"], json!("the key is revoked"));
    let records = stand.records(&stand.topics.registry());
    assert_eq!(records.len(), 3, "the second revocation changes nothing");
    let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, [&format!("key:{key_id}"), &format!("key-revoked:{key_id}"), &format!("key:{key_id}")]);
    assert!(records[0].json()["revoked_at"].is_null() && records[2].json()["revoked_at"].is_string());
    assert_eq!(records[1].json()["revoked_at"], records[2].json()["revoked_at"]);
}

/// Asks until the status is the expected one, at most [`DEADLINE`]. What is asked needs a key and nothing else.
async fn until_status(stand: &Stand, key: &str, expected: StatusCode) -> Value {
    let end = Instant::now() + DEADLINE;
    loop {
        let request = stand.request(Method::GET, "/v1/keys", key);
        let (status, body) = read(request.send().await.unwrap()).await;
        if status == expected {
            return body;
        }
        assert!(Instant::now() < end, "{status} instead of {expected}: {body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_revocation_reaches_every_process_through_the_registry() {
    // given two processes, and a key made at one of them that the other knows
    let here = Stand::start().await;
    let there = here.beside().await;
    let (key_id, key) = here.key("booth").await;
    until_status(&there, &key, StatusCode::FORBIDDEN).await;
    assert_eq!(there.send_event(&key, &event("a")).await.0, StatusCode::ACCEPTED);
    // when it is revoked at the first
    let answer = here.request(Method::DELETE, &format!("/v1/keys/{key_id}"), &here.root).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    // then the second refuses it, too
    let problem = until_status(&there, &key, StatusCode::UNAUTHORIZED).await;
    assert_eq!(problem["detail"], json!("the key is revoked"));
    assert_eq!(there.send_event(&key, &event("b")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_that_could_be_revoked_by_now_are_503_until_the_registry_is_read_again() {
    let stand = Stand::start_with(|config| config.registry_age_max_ms = 3_000).await;
    let booth = stand.booth_key().await;
    until_status(&stand, &booth, StatusCode::FORBIDDEN).await;
    // when the registry cannot be read for too long
    stand.mock.broker_down(1).unwrap();
    let problem = until_status(&stand, &booth, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(problem["detail"], json!("keys could not be read for too long"));
    // then the first key, which no record can revoke, is still known
    let (status, _) = stand.send_text(&stand.root, "text/plain", "x").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // and everything is as before when the broker is back
    stand.mock.broker_up(1).unwrap();
    until_status(&stand, &booth, StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_by_its_hash() {
    let stand = Stand::start().await;
    let (key_id, key) = stand.key("account").await;
    let answer = stand.request(Method::GET, "/v1/keys", &stand.root).send().await.unwrap();
    let (status, list) = read(answer).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(list["data"][0]["key_id"], json!(key_id));
    assert_eq!(list["data"][0]["last_four"], json!(key[key.len() - 4..]));
    let record = &stand.records(&stand.topics.registry())[0];
    for text in [list.to_string(), record.json().to_string()] {
        assert!(!text.contains(&key), "{text}");
    }
    assert!(!list.to_string().contains(record.json()["hash"].as_str().unwrap()));
}

#[tokio::test]
async fn every_kind_stays_within_its_rights() {
    let stand = Stand::start().await;
    let (_, booth) = stand.key("booth").await;
    let (_, account) = stand.key("account").await;
    let (_, admin) = stand.key("admin").await;
    // an account key reads and buys, it reports no usage
    assert_eq!(stand.send_event(&account, &event("a")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(stand.send_event(&admin, &event("a")).await.0, StatusCode::ACCEPTED);
    // what only an admin may do
    let routes = [
        (Method::POST, "/v1/keys"),
        (Method::GET, "/v1/keys"),
        (Method::DELETE, "/v1/keys/key_root"),
        (Method::POST, "/v1/keys/key_root/rotate"),
        (Method::POST, "/v1/accounts"),
        (Method::POST, "/v1/accounts/acc_luna/adjustments"),
        (Method::POST, "/v1/accounts/acc_luna/plan"),
        (Method::POST, "/v1/accounts/acc_luna/bonuses"),
        (Method::PUT, "/v1/accounts/acc_luna/booths/bth_17"),
        (Method::PUT, "/v1/accounts/acc_luna/credit-limit"),
        (Method::PUT, "/v1/accounts/acc_luna/events/evt_gala"),
        (Method::POST, "/v1/accounts/acc_luna/plan-fees"),
        (Method::POST, "/v1/accounts/acc_luna/refunds"),
        (Method::PUT, "/v1/price-books/1"),
    ];
    for (method, path) in routes {
        for key in [&booth, &account] {
            let request = stand.request(method.clone(), path, key).header("idempotency-key", "k").json(&json!({}));
            assert_eq!(read(request.send().await.unwrap()).await.0, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_booth_holds_and_an_account_buys_each_for_its_own_account() {
    let stand = Stand::start().await;
    let (_, booth) = stand.key("booth").await;
    let (_, account) = stand.key("account").await;
    // A body that is no document: who may ask is told so, who may not is not.
    let ask = async |key: &str, path: &str| stand.command(Method::POST, path, key, "k", &json!([])).await.0;
    for (path, allowed, refused) in [
        ("/v1/accounts/acc_luna/holds", &booth, &account),
        ("/v1/accounts/acc_luna/holds/hld_1/void", &booth, &account),
        ("/v1/accounts/acc_luna/purchases", &account, &booth),
        ("/v1/accounts/acc_luna/purchases/pay_1/confirm", &account, &booth),
    ] {
        assert_eq!(ask(allowed, path).await, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(ask(&stand.root, path).await, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(ask(refused, path).await, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(ask(allowed, &path.replace("acc_luna", "acc_sol")).await, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(stand.records(&stand.topics.commands()).is_empty());
}

#[tokio::test]
async fn odd_requests_for_keys_are_refused() {
    let stand = Stand::start().await;
    let bodies = [
        json!({"kind": "booth"}),
        json!({"kind": "admin", "account_id": "acc_luna"}),
        json!({"kind": "account", "account_id": "acc_luna", "booth_id": "bth_1"}),
        json!({"kind": "booth", "account_id": "luna"}),
        json!({"kind": "owner"}),
        json!(["booth", "acc_luna"]),
        json!({"kind": "booth", "account_id": "acc_luna", "colour": "red"}),
    ];
    for body in bodies {
        let answer = stand.post("/v1/keys", &stand.root).json(&body).send().await.unwrap();
        assert_eq!(read(answer).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let delete = async |id: &str| {
        let answer = stand.request(Method::DELETE, &format!("/v1/keys/{id}"), &stand.root).send().await.unwrap();
        read(answer).await.0
    };
    assert_eq!(delete("key_root").await, StatusCode::CONFLICT);
    assert_eq!(delete("key_nobody").await, StatusCode::NOT_FOUND);
    assert!(stand.records(&stand.topics.registry()).is_empty());
}

impl Stand {
    /// Makes a key as the document says.
    async fn make(&self, maker: &str, document: &Value) -> (StatusCode, Value) {
        read(self.post("/v1/keys", maker).json(document).send().await.unwrap()).await
    }

    async fn rotate(&self, rotator: &str, key_id: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.post(&format!("/v1/keys/{key_id}/rotate"), rotator).json(body);
        read(request.send().await.unwrap()).await
    }
}

fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document[member].as_str().unwrap()
}

#[tokio::test]
async fn a_rotated_key_is_taken_until_its_overlap_ends_in_every_process() {
    // given a key that two processes know
    let here = Stand::start().await;
    let there = here.beside().await;
    let asked =
        json!({"kind": "account", "account_id": "acc_luna", "label": "desk", "scopes": ["read"], "expires_in": 3600});
    let (_, old) = here.make(&here.root, &asked).await;
    until_status(&there, text(&old, "key"), StatusCode::FORBIDDEN).await;

    // when it is rotated
    let (status, new) = here.rotate(&here.root, text(&old, "key_id"), &json!({"overlap_seconds": 600})).await;

    // then its successor is like it, and shown once
    assert_eq!(status, StatusCode::CREATED, "{new}");
    for member in ["kind", "account_id", "label", "scopes", "prefix"] {
        assert_eq!(new[member], old[member], "{member}");
    }
    assert_ne!(text(&new, "key_id"), text(&old, "key_id"));
    assert_ne!(text(&new, "key"), text(&old, "key"));
    assert!(text(&new, "expires_at") > text(&old, "expires_at"), "it lives as long as the old one was to: {new}");
    until_status(&there, text(&new, "key"), StatusCode::FORBIDDEN).await;
    // and the old one is taken beside it
    until_status(&here, text(&old, "key"), StatusCode::FORBIDDEN).await;
    until_status(&there, text(&old, "key"), StatusCode::FORBIDDEN).await;

    // when an overlap ends, then so does the key, in both processes and without another word
    let (status, next) = here.rotate(&here.root, text(&new, "key_id"), &json!({"overlap_seconds": 1})).await;
    assert_eq!(status, StatusCode::CREATED, "{next}");
    for stand in [&here, &there] {
        let problem = until_status(stand, text(&new, "key"), StatusCode::UNAUTHORIZED).await;
        assert_eq!(problem["detail"], json!("the key has expired"));
        until_status(stand, text(&next, "key"), StatusCode::FORBIDDEN).await;
    }
    // and it is rotated once: its successor is named
    let (status, problem) = here.rotate(&here.root, text(&old, "key_id"), &json!({})).await;
    assert_eq!((status, &problem["replaced_by"]), (StatusCode::CONFLICT, &new["key_id"]));
    let documents: Vec<Value> = here.records(&here.topics.registry()).iter().map(|record| record.json()).collect();
    assert_eq!((documents.len(), &documents[2]["replaced_by"]), (5, &new["key_id"]));
}

#[tokio::test]
async fn an_overlap_of_none_ends_the_old_key_at_once() {
    let stand = Stand::start().await;
    let (key_id, old) = stand.key("booth").await;
    let (status, new) = stand.rotate(&stand.root, &key_id, &json!({"overlap_seconds": 0})).await;
    assert_eq!(status, StatusCode::CREATED, "{new}");
    assert_eq!(stand.send_event(&old, &event("a")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stand.send_event(text(&new, "key"), &event("a")).await.0, StatusCode::ACCEPTED);
    // A key that has ended has no successor any more, and the first one comes from configuration.
    stand.request(Method::DELETE, &format!("/v1/keys/{}", text(&new, "key_id")), &stand.root).send().await.unwrap();
    for key_id in [text(&new, "key_id"), &key_id, "key_root"] {
        assert_eq!(stand.rotate(&stand.root, key_id, &json!({})).await.0, StatusCode::CONFLICT, "{key_id}");
    }
    assert_eq!(stand.rotate(&stand.root, "key_none", &json!({})).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_narrowed_key_does_what_its_scopes_say_and_nothing_else() {
    let stand = Stand::start().await;
    // A body that is no document: who may ask is told so, who may not is not.
    let refused = async |key: &str, method: Method, path: &str| {
        stand.command(method, path, key, "k", &json!([])).await.0 == StatusCode::FORBIDDEN
    };
    let account = "/v1/accounts/acc_luna";
    let routes = [
        ("usage", Method::POST, "/v1/events".to_owned()),
        ("holds", Method::POST, format!("{account}/holds")),
        ("purchases", Method::POST, format!("{account}/purchases")),
        ("settings", Method::PUT, format!("{account}/recharge")),
        ("settings", Method::PUT, format!("{account}/alerts")),
        ("settings", Method::POST, format!("{account}/webhooks")),
        ("read", Method::GET, format!("{account}/webhooks")),
        ("accounts", Method::POST, "/v1/accounts".to_owned()),
        ("accounts", Method::POST, format!("{account}/plan")),
        ("accounts", Method::PUT, format!("{account}/events/evt_gala")),
        ("accounts", Method::PUT, format!("{account}/booths/bth_17")),
        ("money", Method::POST, format!("{account}/adjustments")),
        ("money", Method::POST, format!("{account}/bonuses")),
        ("money", Method::POST, format!("{account}/refunds")),
        ("money", Method::POST, format!("{account}/plan-fees")),
        ("money", Method::PUT, format!("{account}/credit-limit")),
        ("prices", Method::PUT, "/v1/price-books/1".to_owned()),
        ("keys", Method::POST, "/v1/keys".to_owned()),
        ("keys", Method::DELETE, "/v1/keys/key_none".to_owned()),
        ("keys", Method::POST, "/v1/keys/key_none/rotate".to_owned()),
        ("read", Method::GET, "/v1/keys".to_owned()),
    ];
    let kinds = [
        ("booth", vec!["usage", "holds"]),
        ("account", vec!["read", "purchases", "settings", "portal_tokens"]),
        ("admin", vec!["usage", "holds", "purchases", "settings", "read", "accounts", "money", "prices", "keys"]),
    ];
    for (kind, scopes) in kinds {
        let account_id = if kind == "admin" { Value::Null } else { json!("acc_luna") };
        let own = |scope: &str| json!({"kind": kind, "account_id": account_id, "scopes": [scope]});
        let whole = json!({"kind": kind, "account_id": account_id});
        let whole = stand.make(&stand.root, &whole).await.1["key"].as_str().unwrap().to_owned();
        for scope in scopes {
            let (status, made) = stand.make(&stand.root, &own(scope)).await;
            assert_eq!((status, &made["scopes"]), (StatusCode::CREATED, &json!([scope])), "{made}");
            for (needed, method, path) in &routes {
                let is_of_kind = !refused(&whole, method.clone(), path).await;
                let expected = !is_of_kind || *needed != scope;
                let found = refused(text(&made, "key"), method.clone(), path).await;
                assert_eq!(found, expected, "{method} {path} with {kind} of {scope}");
            }
        }
    }
    assert!(stand.commands().is_empty());
}

#[tokio::test]
async fn nobody_gives_away_or_takes_what_they_do_not_have() {
    // given an admin who may make keys and read
    let stand = Stand::start().await;
    let (_, made) = stand.make(&stand.root, &json!({"kind": "admin", "scopes": ["keys", "read"]})).await;
    let (maker_id, maker) = (text(&made, "key_id").to_owned(), text(&made, "key"));
    let (whole_id, whole) = stand.key("admin").await;
    // then less or as much is given, and no more
    for (document, expected) in [
        (json!({"kind": "admin"}), StatusCode::FORBIDDEN),
        (json!({"kind": "admin", "scopes": ["read", "money"]}), StatusCode::FORBIDDEN),
        (json!({"kind": "account", "account_id": "acc_luna"}), StatusCode::FORBIDDEN),
        (json!({"kind": "admin", "scopes": ["keys", "read"]}), StatusCode::CREATED),
        (json!({"kind": "account", "account_id": "acc_luna", "scopes": ["read"]}), StatusCode::CREATED),
    ] {
        assert_eq!(stand.make(maker, &document).await.0, expected, "{document}");
    }
    // and a key that can do more is neither rotated nor ended by who cannot
    assert_eq!(stand.rotate(maker, &whole_id, &json!({})).await.0, StatusCode::FORBIDDEN);
    let end = async |key: &str, key_id: &str| {
        stand.request(Method::DELETE, &format!("/v1/keys/{key_id}"), key).send().await.unwrap().status()
    };
    assert_eq!(end(maker, &whole_id).await, StatusCode::FORBIDDEN);
    assert_eq!(stand.send_event(&whole, &event("a")).await.0, StatusCode::ACCEPTED);
    // but a customer's, one that can do no more, and their own is
    let (booth_id, _) = stand.key("booth").await;
    assert_eq!(end(maker, &booth_id).await, StatusCode::NO_CONTENT);
    let (_, other) = stand.make(&stand.root, &json!({"kind": "admin", "scopes": ["read"]})).await;
    assert_eq!(end(maker, text(&other, "key_id")).await, StatusCode::NO_CONTENT);
    assert_eq!(end(maker, &maker_id).await, StatusCode::NO_CONTENT);
    assert_eq!(stand.make(maker, &json!({"kind": "admin", "scopes": ["read"]})).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_reports_in_its_own_mode_alone() {
    // given a live key and a test key of one account
    let stand = Stand::start().await;
    let live = stand.booth_key().await;
    let asked = json!({"kind": "booth", "account_id": "acc_luna", "test": true});
    let (_, made) = stand.make(&stand.root, &asked).await;
    let (_, rotated) = stand.rotate(&stand.root, text(&made, "key_id"), &json!({})).await;
    let in_mode = |id: &str, mode: &str| {
        let mut event = event(id);
        event["data"]["mode"] = json!(mode);
        event
    };

    // when each reports in each mode, a rotated test key as well
    for (key, mode, expected) in [
        (live.as_str(), "live", StatusCode::ACCEPTED),
        (&live, "test", StatusCode::FORBIDDEN),
        (text(&made, "key"), "test", StatusCode::ACCEPTED),
        (text(&made, "key"), "live", StatusCode::FORBIDDEN),
        (text(&rotated, "key"), "test", StatusCode::ACCEPTED),
        (text(&rotated, "key"), "live", StatusCode::FORBIDDEN),
    ] {
        let (status, answer) = stand.send_event(key, &in_mode(&format!("{mode}-{}", &key[..12]), mode)).await;

        // then only its own is taken, and what is refused says why
        assert_eq!(status, expected, "{mode}: {answer}");
        if expected == StatusCode::FORBIDDEN {
            assert_eq!((&answer["code"], &answer["errors"][0]["pointer"]), (&json!("forbidden"), &json!("/data/mode")));
        }
    }
    assert_eq!(stand.usage().len(), 3);
}

#[tokio::test]
async fn odd_lives_scopes_and_overlaps_are_refused() {
    let stand = Stand::start().await;
    let key = |member: &str, value: Value| {
        let mut document = json!({"kind": "account", "account_id": "acc_luna"});
        document[member] = value;
        document
    };
    for (member, value) in [
        ("scopes", json!(["money"])),
        ("scopes", json!(["everything"])),
        ("expires_in", json!(59)),
        ("expires_in", json!(315_360_001)),
        ("expires_in", json!("1 day")),
    ] {
        let document = key(member, value);
        assert_eq!(stand.make(&stand.root, &document).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{document}");
    }
    let (key_id, _) = stand.key("booth").await;
    for overlap in [json!(2_592_001), json!(-1), json!("1")] {
        let (status, _) = stand.rotate(&stand.root, &key_id, &json!({"overlap_seconds": overlap})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{overlap}");
    }
    assert_eq!(stand.records(&stand.topics.registry()).len(), 1);
}
