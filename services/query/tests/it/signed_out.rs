//! What one process was asked to end, every process ends.

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use serde_json::{Value, json};
use tollbooth_chassis::config::Secret;
use tollbooth_query::config::QueryConfig;

use crate::events::Events;
use crate::query::{Answer, Query, Session};
use crate::stand::{Ledger, Stand, until};

const BALANCE: &str = "/v1/accounts/acc_luna/balance";

/// Settings that all processes of an installation have.
fn config(stand: &Stand) -> QueryConfig {
    let mut config = stand.config();
    config.session.secret = Secret::new("0123456789abcdef0123456789abcdef");
    config
}

async fn sign_out(query: &Query, session: &Session) -> Answer {
    let headers = [("cookie", session.cookie.as_str()), ("x-csrf-token", session.csrf.as_str())];
    query.change("DELETE", "/v1/session", &headers, &Value::Null).await
}

async fn read(query: &Query, session: &Session) -> Answer {
    query.read("/v1/session", &[("cookie", session.cookie.as_str())]).await
}

/// Lets the brokers take records of up to so many bytes.
async fn take_up_to(stand: &Stand, bytes: &str) {
    let topic = stand.topics.ended_sessions();
    let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", bytes);
    for altered in stand.admin().alter_configs([&alter], &AdminOptions::new()).await.unwrap() {
        altered.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_at_one_process_ends_the_session_at_every_other_and_at_the_next() {
    // given a session that two processes take, with a stream at one of them, and another one of the same key
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let mut settings = config(&stand);
    settings.stream.heartbeat_ms = 50;
    let here = Query::start(settings.clone(), &stand.admin_key).await;
    let there = Query::start(settings.clone(), &stand.admin_key).await;
    let (session, other) = (here.sign_in(&here.key).await, here.sign_in(&here.key).await);
    assert_eq!(read(&there, &session).await.status, 200);
    let cookie = [("cookie", session.cookie.as_str())];
    let mut stream = Events::new(there.raw("/v1/accounts/acc_luna/stream", &cookie).await);

    // when it is signed out of
    assert_eq!(sign_out(&here, &session).await.status, 204);

    // then the other process refuses a copy of the cookie, what is changed with it as well, and ends the stream
    until("the other process knows", async || read(&there, &session).await.status == 401).await;
    assert_eq!(there.read(BALANCE, &cookie).await.status, 401);
    let change = [cookie[0], ("x-csrf-token", session.csrf.as_str())];
    let changed = there.change("POST", "/v1/portal-tokens", &change, &json!({"account_id": "acc_luna"})).await;
    assert_eq!(changed.status, 401);
    while stream.read().await {}

    // and so does one that starts later, from its first answer on
    let next = Query::begin(settings, &stand.admin_key).await;
    let refused = async || {
        let status = read(&next, &session).await.status.as_u16();
        assert!([401, 503].contains(&status), "{status}");
        status == 401
    };
    until("the next process knows", refused).await;
    // while the other session goes on everywhere.
    for query in [&here, &there, &next] {
        assert_eq!(read(query, &other).await.status, 200);
    }
    assert!(here.metrics().await.contains("tollbooth_query_sign_outs_total{result=\"told\"} 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_that_the_brokers_do_not_take_says_so_and_is_told_later() {
    // given two processes, and brokers that take no sign-out
    let stand = Stand::new().await;
    let here = Query::start(config(&stand), &stand.admin_key).await;
    let there = Query::start(config(&stand), &stand.admin_key).await;
    take_up_to(&stand, "10").await;

    // when somebody signs out
    let kept = std::cell::RefCell::new(None);
    until("the brokers refuse it", async || {
        let session = here.sign_in(&here.key).await;
        let answer = sign_out(&here, &session).await;
        let is_refused = answer.status != 204;
        *kept.borrow_mut() = Some((session, answer));
        is_refused
    })
    .await;
    let (session, answer) = kept.into_inner().unwrap();

    // then the session has ended here, the cookie is taken away, and the answer says how long a copy may live
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &json!("sign_out_pending")));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains(session.body["expires_at"].as_str().unwrap()), "{detail}");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.headers["set-cookie"].to_str().unwrap().starts_with("tollbooth_session=; Path=/; Max-Age=0"));
    assert_eq!(read(&here, &session).await.status, 401);
    assert_eq!(read(&there, &session).await.status, 200);
    // which a repeat does not take for done.
    assert_eq!(sign_out(&here, &session).await.status, 503);

    // and the others are told once the brokers take it, and then it is done
    take_up_to(&stand, "100000").await;
    until("the other process knows", async || read(&there, &session).await.status == 401).await;
    assert_eq!(sign_out(&here, &session).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_taken_before_sign_outs_are_read_nor_when_they_cannot_be_read_for_too_long() {
    // given a session of before, and a process that finds no topic
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let mut settings = config(&stand);
    settings.registry_age_max_ms = 3_000;
    let before = Query::start(settings.clone(), &stand.admin_key).await;
    let session = before.sign_in(&before.key).await;
    before.stop().await;
    stand.delete_topic(&stand.topics.ended_sessions()).await;
    let query = Query::begin(settings, &stand.admin_key).await;
    until("balances are answered", async || query.get(BALANCE).await.status == 200).await;

    // when and then: keys are taken and sessions are not, also none of the configured key
    let refused = read(&query, &session).await;
    assert_eq!((refused.status.as_u16(), &refused.body["detail"]), (503, &json!("sign-outs are being read")));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(query.try_to_sign_in(&query.key).await.status, 503);
    assert_eq!(query.try_to_sign_in("nonsense").await.status, 401);
    assert_ne!(query.component("ended-sessions").await, "ok");

    // when the topic is there
    stand.create_topics(&[stand.topics.ended_sessions()]).await;

    // then they are
    until("sessions are taken", async || read(&query, &session).await.status == 200).await;

    // when it cannot be read to its end any more for longer than allowed
    stand.delete_topic(&stand.topics.ended_sessions()).await;

    // then somebody may have signed out of it
    until("sessions are not taken any more", async || read(&query, &session).await.status == 503).await;
    let detail = &read(&query, &session).await.body["detail"];
    assert_eq!(detail, "sign-outs could not be read for too long");
    assert_eq!(query.get(BALANCE).await.status, 200);
}
