//! Dead letters and portal tokens.

use rdkafka::message::{Header, OwnedHeaders};
use serde_json::{Value, json};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::keys::KeyKind;

use crate::stand::{Ledger, Stand, until};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_read_from_the_end() {
    // given 1,200 letters, every hundredth for another reason
    let stand = Stand::new().await;
    stand.create_topics(&[stand.topics.dead_letter()]).await;
    for number in 0..1_200 {
        let reason = if number % 100 == 7 { "no_price" } else { "malformed" };
        let own = [
            (header::REASON, reason.to_owned()),
            (header::STEP, "apply".to_owned()),
            (header::DETAIL, "what is wrong".to_owned()),
            (header::SOURCE_TOPIC, "tollbooth.usage".to_owned()),
            (header::SOURCE_PARTITION, "3".to_owned()),
            (header::SOURCE_OFFSET, number.to_string()),
            (header::DEAD_AT, "2026-11-21T20:15:03.410Z".to_owned()),
        ];
        let headers = own.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_str()) })
        });
        let payload: &[u8] = if number == 1_199 { b"\xff\xfe" } else { br#"{"id": 1}"# };
        stand.publish_with(&stand.topics.dead_letter(), "acc_luna", payload, headers);
    }
    let query = stand.query().await;

    // when
    let newest = query.ok("/v1/dead-letters?limit=2").await;
    let rare = query.ok("/v1/dead-letters?reason=no_price&limit=10").await;

    // then
    assert_eq!(
        newest["data"][0],
        json!({"id": "tollbooth.usage-3-1199", "reason": "malformed", "step": "apply", "detail": "what is wrong",
               "source": {"topic": "tollbooth.usage", "partition": 3, "offset": 1199}, "at": "2026-11-21T20:15:03.410Z",
               "key": "acc_luna", "payload_text": null, "payload_base64": "//4=", "payload_bytes": 2, "state": "open", "redrive": null})
    );
    assert_eq!(newest["data"][1]["payload_text"], r#"{"id": 1}"#);
    let offsets = |page: &Value| -> Vec<i64> {
        page["data"].as_array().unwrap().iter().map(|row| row["source"]["offset"].as_i64().unwrap()).collect()
    };
    assert_eq!(offsets(&rare), (0..10).map(|number| 1_107 - number * 100).collect::<Vec<_>>());
    let path = format!("/v1/dead-letters?reason=no_price&limit=10&cursor={}", rare["next_cursor"].as_str().unwrap());
    let rest = query.ok(&path).await;
    assert_eq!((offsets(&rest), &rest["has_more"]), (vec![107, 7], &json!(false)));
    for wrong in ["reason=bad", "cursor=x", &path.replace("reason=no_price", "reason=malformed")[17..]] {
        assert_eq!(query.get(&format!("/v1/dead-letters?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_say_what_became_of_them_when_they_were_driven_again() {
    // given four letters, of which one was posted after it had been refused once more, one is refused still, and one was
    // dismissed
    let stand = Stand::new().await;
    stand.create_topics(&[stand.topics.dead_letter()]).await;
    let long = format!(r#"{{"note": "{}"}}"#, "x".repeat(100_000));
    stand.letter(1, "no_price", long.as_bytes());
    stand.letter(2, "unknown_account", b"{}");
    stand.letter(3, "malformed", b"\xff");
    stand.redriven(1, "refused", "engine_retired");
    stand.redriven(2, "refused", "no_price");
    stand.redriven(1, "posted", "");
    stand.letter(5, "conflict", b"{}");
    stand.redriven(5, "dismissed", "a test of the booth's");
    let query = stand.query().await;

    // when
    let all = query.ok("/v1/dead-letters").await;

    // then
    let sources = |page: &Value| -> Vec<i64> {
        page["data"].as_array().unwrap().iter().map(|row| row["source"]["offset"].as_i64().unwrap()).collect()
    };
    assert_eq!(sources(&all), [5, 3, 2, 1]);
    let dismissed = json!({"outcome": "dismissed", "reason": null, "detail": null, "note": "a test of the booth's",
                           "by": "key_root", "at": "2026-11-22T09:00:03.120Z", "entry_id": null});
    assert_eq!((&all["data"][0]["state"], &all["data"][0]["redrive"]), (&json!("closed"), &dismissed));
    assert_eq!((&all["data"][1]["state"], &all["data"][1]["redrive"]), (&json!("open"), &Value::Null));
    let refused = json!({"outcome": "refused", "reason": "no_price", "detail": "no_price", "note": null, "by": "key_root",
                         "at": "2026-11-22T09:00:03.120Z", "entry_id": null});
    assert_eq!((&all["data"][2]["state"], &all["data"][2]["redrive"]), (&json!("open"), &refused));
    let posted = json!({"outcome": "posted", "reason": null, "detail": null, "note": null, "by": "key_root",
                        "at": "2026-11-22T09:00:03.120Z", "entry_id": "ent_acc_luna_9"});
    assert_eq!((&all["data"][3]["state"], &all["data"][3]["redrive"]), (&json!("closed"), &posted));
    assert_eq!(sources(&query.ok("/v1/dead-letters?state=open").await), [3, 2]);
    assert_eq!(sources(&query.ok("/v1/dead-letters?state=closed").await), [5, 1]);

    // and one is looked at whole, with all its bytes and its own headers
    let one = query.ok("/v1/dead-letters/tollbooth.usage-0-1").await;
    assert_eq!((one["payload_text"].as_str(), &one["redrive"]), (Some(long.as_str()), &posted));
    assert_eq!(one["headers"], json!([{"name": "content-type", "value": "application/cloudevents+json"}]));
    assert_eq!((&one["received_at"], &one["payload_bytes"]), (&json!("2026-11-21T20:15:03.398Z"), &json!(long.len())));
    assert!(all["data"][3]["payload_text"].as_str().unwrap().len() < 20_000);
    let bytes = query.ok("/v1/dead-letters/tollbooth.usage-0-3").await;
    assert_eq!((&bytes["payload_text"], &bytes["payload_base64"]), (&Value::Null, &json!("/w==")));
    for missing in ["tollbooth.usage-0-4", "tollbooth.usage-0", "nonsense"] {
        assert_eq!(query.get(&format!("/v1/dead-letters/{missing}")).await.status, 404, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_token_reads_what_it_names_until_its_key_is_revoked() {
    // given
    let stand = Stand::new().await;
    for account in ["acc_luna", "acc_sol"] {
        let mut ledger = Ledger::open(account);
        ledger.charge(1);
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let booth = stand.issue(KeyKind::Booth, "acc_luna", 2);
    let query = stand.query().await;
    let balance = "/v1/accounts/acc_luna/balance";
    until("the keys are known", async || query.get_with(balance, Some(booth.reveal())).await.status == 403).await;
    let make = async |key: &str, body: Value| {
        let bearer = format!("Bearer {key}");
        query.change("POST", "/v1/portal-tokens", &[("authorization", &bearer)], &body).await
    };
    let token = |answer: &crate::query::Answer| answer.body["token"].as_str().unwrap().to_owned();

    // when tokens of the account and of an event are made
    let whole = make(key.reveal(), json!({"ttl_s": 600})).await;
    assert_eq!(whole.status, 201, "{}", whole.body);
    let whole = token(&whole);
    let one = token(&make(key.reveal(), json!({"ttl_s": 600, "event_id": "evt_gala"})).await);
    let by_admin = token(&make(&query.key, json!({"ttl_s": 600, "account_id": "acc_luna"})).await);

    // then each reads what it names
    let status = async |path: &str, token: &str| query.get_with(path, Some(token)).await.status.as_u16();
    let usage = "/v1/accounts/acc_luna/events/evt_gala/usage";
    for (path, expected) in [
        (balance, [200, 403, 200]),
        (usage, [200, 200, 200]),
        ("/v1/accounts/acc_luna/events/evt_gala", [200, 200, 200]),
        ("/v1/accounts/acc_luna/events/evt_other/usage", [200, 404, 200]),
        ("/v1/accounts/acc_luna/events/evt_gala/transactions", [200, 403, 200]),
        ("/v1/accounts/acc_luna/events", [200, 403, 200]),
        ("/v1/accounts/acc_sol/balance", [404, 404, 404]),
        ("/v1/accounts", [403, 403, 403]),
        ("/v1/session", [401, 401, 401]),
    ] {
        for (token, expected) in [&whole, &one, &by_admin].into_iter().zip(expected) {
            assert_eq!(status(path, token).await, expected, "{path} {token}");
        }
    }
    // An admin's own figures are not in what an admin's token shows.
    let shown = query.get_with("/v1/accounts/acc_luna/usage", Some(&by_admin)).await;
    assert!(shown.body["total"].get("margin").is_none(), "{}", shown.body);

    // and none is made of another, or of what may make none
    for (key, body, expected) in [
        (whole.as_str(), json!({"ttl_s": 600}), 403),
        (booth.reveal(), json!({"ttl_s": 600}), 403),
        (key.reveal(), json!({"ttl_s": 600, "account_id": "acc_sol"}), 404),
        (key.reveal(), json!({"ttl_s": 86_401}), 422),
        (key.reveal(), json!({"ttl_s": 0}), 422),
        (query.key.as_str(), json!({"ttl_s": 600}), 422),
        (key.reveal(), json!({"ttl_s": 600, "event_id": "gala"}), 400),
    ] {
        assert_eq!(make(key, body.clone()).await.status, expected, "{body}");
    }
    let session = query.sign_in(key.reveal()).await;
    let cookie = ("cookie", session.cookie.as_str());
    let body = json!({"ttl_s": 600});
    assert_eq!(query.change("POST", "/v1/portal-tokens", &[cookie], &body).await.status, 403);
    let own = [cookie, ("x-csrf-token", session.csrf.as_str())];
    assert_eq!(query.change("POST", "/v1/portal-tokens", &own, &body).await.status, 201);
    assert_eq!(query.change("POST", "/v1/portal-tokens", &[], &body).await.status, 401);

    // and with the key's revocation they end
    stand.revoke(KeyKind::Account, "acc_luna", 1);
    until("the token has ended", async || status(balance, &whole).await == 401).await;
    assert_eq!((status(usage, &one).await, status(balance, &by_admin).await), (401, 200));
    let cut = &by_admin[..by_admin.len() - 1];
    assert_eq!(status(balance, cut).await, 401);
}
