//! Headers of answers are those of the OpenAPI document. That none is sent which it does not name is looked at with every
//! answer of every test.

use serde_json::Value;
use tollbooth_query::openapi::DOCUMENT;

use crate::documented::{filled, named_headers};
use crate::query::Query;
use crate::stand::{Stand, until};

const GZIP: (&str, &str) = ("accept-encoding", "gzip");

/// What an answer was sent with.
struct Sent {
    status: u16,
    headers: reqwest::header::HeaderMap,
}

impl Sent {
    fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

async fn read(query: &Query, path: &str, headers: &[(&str, &str)]) -> Sent {
    let response = query.raw(path, headers).await;
    Sent { status: response.status().as_u16(), headers: response.headers().clone() }
}

/// Headers that a refusal of this status has, whatever was asked.
fn of_a_refusal(status: u16) -> &'static [&'static str] {
    match status {
        401 => &["cache-control", "x-request-id", "www-authenticate"],
        429 => &["cache-control", "x-request-id", "retry-after", "ratelimit", "ratelimit-policy"],
        503 => &["cache-control", "x-request-id", "retry-after"],
        _ => &["cache-control", "x-request-id"],
    }
}

/// Fails unless the document names these headers for this answer, and the answer has them.
fn assert_sent(path: &str, operation: &Value, sent: &Sent, names: &[&str]) {
    let named = named_headers(operation, sent.status);
    for name in names {
        assert!(named.contains(*name), "{path} {}: the document does not name {name}", sent.status);
        assert!(sent.has(name), "{path} {}: {name} is not sent", sent.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_sends_the_headers_that_the_document_names() {
    // given something to read on every route, and somebody who may read all of it
    let stand = Stand::new().await;
    stand.furnish().await;
    let query = stand.query().await;
    until("the prices are known", async || query.get_with("/v1/services", None).await.status == 200).await;
    let session = query.sign_in(&query.key).await;
    let cookie = ("cookie", session.cookie.as_str());

    for (_, template, operation) in DOCUMENT.operations().filter(|(method, ..)| *method == "get") {
        let path = filled(template) + if template.ends_with("/estimate") { "?guests=1" } else { "" };
        // when it is read
        let found = read(&query, &path, &[cookie, GZIP]).await;
        // then what every answer has is there, and what is left of the key's requests
        assert_eq!(found.status, 200, "{path}");
        assert_sent(&path, operation, &found, &["cache-control", "x-request-id"]);
        if path.starts_with("/v1/") {
            assert_sent(&path, operation, &found, &["ratelimit", "ratelimit-policy"]);
        }
        // and a tag where one is named, and who has the answer is told so
        let named = named_headers(operation, 200);
        assert_eq!(found.has("etag"), named.contains("etag"), "{path}");
        if named.contains("etag") {
            // Whatever it is by now: some answers move with the clock.
            let same = read(&query, &path, &[cookie, GZIP, ("if-none-match", "*")]).await;
            assert_eq!(same.status, 304, "{path}");
            assert_sent(&path, operation, &same, &["cache-control", "etag", "x-request-id"]);
        }
        assert_eq!(named.contains("etag"), operation["responses"]["304"].is_object(), "{path}");

        // when it is asked for wrongly, or by nobody
        let wrong = read(&query, &format!("{}?no_such=1", filled(template)), &[cookie]).await;
        let nobody = read(&query, &path, &[]).await;
        // then the refusal has its own
        for refusal in [wrong, nobody].iter().filter(|answer| answer.status != 200) {
            assert_sent(&path, operation, refusal, of_a_refusal(refusal.status));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_come_back_is_told_when() {
    // given a service that takes a request a second and has no prices yet
    let stand = Stand::new().await;
    stand.delete_topic(&stand.topics.price_book()).await;
    let mut config = stand.config();
    (config.rate.requests_per_second, config.rate.burst) = (1, 1);
    let query = Query::start(config, &stand.admin_key).await;
    let bearer = format!("Bearer {}", query.key);
    let operation_of = |path: &str| DOCUMENT.operations().find(|(_, known, _)| *known == path).unwrap().2;

    // when it is asked for prices, and again and again for accounts
    let early = read(&query, "/v1/services", &[]).await;
    let mut refused = read(&query, "/v1/accounts", &[("authorization", &bearer)]).await;
    while refused.status == 200 {
        refused = read(&query, "/v1/accounts", &[("authorization", &bearer)]).await;
    }

    // then both refusals say when to come back, as the document does
    assert_eq!((early.status, refused.status), (503, 429));
    assert_sent("/v1/services", operation_of("/v1/services"), &early, of_a_refusal(503));
    assert_sent("/v1/accounts", operation_of("/v1/accounts"), &refused, of_a_refusal(429));
}
