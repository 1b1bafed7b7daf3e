//! Who may read what.

use serde_json::{Value, json};
use tollbooth_query::config::RateSection;
use tollbooth_query::service::ServiceError;
use tollbooth_schemas::keys::KeyKind;

use crate::stand::{Ledger, Query, Stand, partition_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_key_reads_its_own_account_and_sees_no_other() {
    // given two accounts, a key of one, and a booth's key
    let stand = Stand::new().await;
    for account in ["acc_luna", "acc_sol"] {
        assert!((0..4).contains(&partition_of(account)));
        stand.post(&Ledger::open(account).records);
    }
    let own = stand.issue(KeyKind::Account, "acc_luna", 1);
    let booth = stand.issue(KeyKind::Booth, "acc_luna", 2);
    let query = stand.query().await;
    let known = async || query.get_with("/v1/accounts/acc_luna/balance", Some(booth.reveal())).await.status == 403;
    until("the keys are known", known).await;

    for route in ["balance", "transactions", "usage", "events/evt_gala/usage"] {
        let get = async |account: &str, key: Option<&str>| {
            query.get_with(&format!("/v1/accounts/{account}/{route}"), key).await
        };
        // when and then
        assert_eq!(get("acc_luna", Some(own.reveal())).await.status, 200, "{route}");
        assert_eq!(get("acc_sol", Some(query.key.as_str())).await.status, 200, "{route}");
        let (foreign, missing) =
            (get("acc_sol", Some(own.reveal())).await, get("acc_nobody", Some(own.reveal())).await);
        assert_eq!((foreign.status.as_u16(), missing.status.as_u16()), (404, 404), "{route}");
        // Another's account looks exactly as none.
        let without_id = |body: &Value| {
            let mut body = body.clone();
            body["request_id"] = Value::Null;
            body
        };
        assert_eq!(without_id(&foreign.body), without_id(&missing.body));
        assert_eq!(get("acc_luna", Some(booth.reveal())).await.status, 403, "{route}");
        for key in [None, Some("tb_sk_live_x"), Some("nonsense")] {
            assert_eq!(get("acc_luna", key).await.status, 401, "{route} {key:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_a_problem() {
    let stand = Stand::new().await;
    let query = stand.query().await;
    let missing = query.get("/v1/nothing").await;
    assert_eq!((missing.status.as_u16(), &missing.body["code"]), (404, &Value::from("not_found")));
    assert_eq!(query.get("/v1/accounts/nonsense/balance").await.status, 404);
    assert_eq!(query.get("/v1/accounts/acc_x/events/nonsense/usage").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_reads_nothing() {
    // given a key that reads its account
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let query = stand.query().await;
    let status = async || query.get_with("/v1/accounts/acc_luna/balance", Some(key.reveal())).await.status.as_u16();
    until("the key is known", async || status().await == 200).await;

    // when it is revoked
    stand.revoke(KeyKind::Account, "acc_luna", 1);

    // then it is refused, by this process and by the next, whose first answers to it are 503
    until("the key is refused", async || status().await == 401).await;
    let next = stand.query().await;
    let refused = async || {
        let status = next.get_with("/v1/accounts/acc_luna/balance", Some(key.reveal())).await.status.as_u16();
        assert!([401, 503].contains(&status), "{status}");
        status == 401
    };
    until("the key is refused by the next process", refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_checked_any_more_are_not_taken() {
    // given a service that knows a key
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let key = stand.issue(KeyKind::Account, "acc_luna", 1);
    let mut config = stand.config();
    config.registry_age_max_ms = 3_000;
    let query = Query::start(config, &stand.admin_key).await;
    let path = "/v1/accounts/acc_luna/balance";
    let known = async || query.get_with(path, Some(key.reveal())).await.status == 200;
    until("the key is known", known).await;

    // when the registry cannot be read to its end for longer than allowed
    stand.delete_topic(&stand.topics.registry()).await;

    // then the key may have been revoked, and only the configured one is taken
    let unchecked = async || query.get_with(path, Some(key.reveal())).await.status == 503;
    until("the key is not taken any more", unchecked).await;
    let refused = query.get_with(path, Some(key.reveal())).await;
    assert_eq!((&refused.body["code"], refused.headers.contains_key("retry-after")), (&"unavailable".into(), true));
    assert_eq!(query.get(path).await.status, 200);
    assert_eq!(query.get_with(path, None).await.status, 401);
    // which is not told what keys there are, for some may be missing.
    assert_eq!(query.get("/v1/keys").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_cannot_go_on_ends_the_process_with_an_error() {
    // given a service that has read a registry, a price book and sign-outs
    for name in ["registry", "price-book", "ended-sessions"] {
        let stand = Stand::new().await;
        let topic = format!("{}{name}", stand.topics.prefix);
        for number in 0..5 {
            stand.publish(&topic, &format!("other:{number}"), b"{}");
        }
        let mut query = stand.query().await;
        until("the topic was read", async || query.component(name).await == "ok").await;

        // when the topic is another one, which ends before what was read
        stand.delete_topic(&topic).await;
        stand.create_topics(&[topic]).await;

        // then nothing that was read of it is believed
        let ended = query.ended().await;
        assert!(matches!(&ended, Err(ServiceError::Failed(why)) if why.starts_with(name)), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_many_requests_waits_and_nobody_else() {
    // given a key that may send few requests, another one, and a portal token
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let keys = [1, 2].map(|number| stand.issue(KeyKind::Account, "acc_luna", number));
    let mut config = stand.config();
    config.rate = RateSection { requests_per_second: 1, burst: 5 };
    let query = Query::start(config, &stand.admin_key).await;
    let path = "/v1/accounts/acc_luna/balance";
    let [greedy, other] = keys.each_ref().map(|key| key.reveal());
    until("the keys are known", async || query.get_with(path, Some(other)).await.status == 200).await;
    let bearer = format!("Bearer {other}");
    let body = json!({"ttl_s": 600});
    let made = query.change("POST", "/v1/portal-tokens", &[("authorization", &bearer)], &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let token = made.body["token"].as_str().unwrap().to_owned();

    // when it sends on and on
    let first = query.get_with(path, Some(greedy)).await;
    assert_eq!(first.headers["ratelimit-policy"], r#""requests";q=5;qu="requests";w=5"#);
    assert_eq!(first.headers["ratelimit"], r#""requests";r=4;t=1"#);
    let mut answered = 1;
    let refused = loop {
        let answer = query.get_with(path, Some(greedy)).await;
        match answer.status.as_u16() {
            200 if answered < 100 => answered += 1,
            _ => break answer,
        }
    };

    // then it was answered what it may, and is told to wait
    assert!(answered >= 5, "{answered}");
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (429, &Value::from("rate_limited")));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.headers["ratelimit"], r#""requests";r=0;t=1"#);

    // and others are not kept out, and a portal token not by the key behind it
    for key in [other, &token] {
        let drained = async || query.get_with(path, Some(key)).await.status == 429;
        assert_eq!(query.get_with(path, Some(key)).await.status, 200);
        until("its own bucket is empty", drained).await;
    }
    assert_eq!(query.get_with(path, Some("tb_sk_live_x")).await.status, 401);
    until("who waits is answered", async || query.get_with(path, Some(greedy)).await.status == 200).await;
}
