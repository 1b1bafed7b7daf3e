//! The public price book.

use serde_json::{Value, json};

use crate::stand::{Stand, until};

fn book(version: u32, effective_from: &str) -> Value {
    json!({
        "version": version, "currency": "USD", "effective_from": effective_from,
        "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "39.00"}],
        "services": [{"code": "ai_modify", "name": "AI Modify"}],
        "engines": [{"code": "nano_banana_2", "name": "Nano Banana 2"}],
        "prices": [{"service": "ai_modify", "engine": "nano_banana_2", "unit": "image", "model": "per_unit",
                    "plans": {"basic": "0.20"}}]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_in_force_is_public() {
    // given no book
    let stand = Stand::new().await;
    let query = stand.query().await;
    let path = "/v1/price-books/current";
    until("nothing is in force", async || query.get_with(path, None).await.status == 404).await;

    // when one is published that is in force, and one that is not yet
    for (version, from) in [(1, "2020-01-01T00:00:00.000Z"), (2, "2199-01-01T00:00:00.000Z")] {
        let document = serde_json::to_vec(&book(version, from)).unwrap();
        stand.publish(&stand.topics.price_book(), &version.to_string(), &document);
    }

    // then everybody sees the first, for a while
    until("the book is seen", async || query.get_with(path, None).await.status == 200).await;
    let answer = query.get_with(path, None).await;
    assert_eq!(answer.body, book(1, "2020-01-01T00:00:00.000Z"));
    assert_eq!(answer.headers["cache-control"], "public, max-age=300, stale-while-revalidate=3600");

    // and when the next one begins within the hour, nobody shows the first beyond that
    let soon = tollbooth_schemas::time::rfc3339(chrono::Utc::now().timestamp_millis() + 200_000);
    let document = serde_json::to_vec(&book(3, &soon)).unwrap();
    stand.publish(&stand.topics.price_book(), "3", &document);
    let cached = async || query.get_with(path, None).await.headers["cache-control"].to_str().unwrap().to_owned();
    let is_short = async || {
        let seconds = cached().await.strip_prefix("public, max-age=").and_then(|rest| rest.parse::<u64>().ok());
        seconds.is_some_and(|seconds| seconds <= 200)
    };
    until("the next book bounds the answer", is_short).await;
    assert_eq!(query.get_with(&format!("{path}?version=1"), None).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_price_is_told_before_all_are_known() {
    // given a topic that cannot be read
    let stand = Stand::new().await;
    let topic = stand.topics.price_book();
    stand.delete_topic(&topic).await;

    // when the book is asked for
    let query = stand.query().await;
    let path = "/v1/price-books/current";
    let early = query.get_with(path, None).await;

    // then the answer is "later", which nobody keeps, until the topic was read
    assert_eq!((early.status.as_u16(), &early.body["code"]), (503, &Value::from("unavailable")));
    assert_eq!(
        (&early.headers["cache-control"], early.headers.contains_key("retry-after")),
        (&"no-store".parse().unwrap(), true)
    );
    stand.create_topics(std::slice::from_ref(&topic)).await;
    stand.publish(&topic, "1", &serde_json::to_vec(&book(1, "2020-01-01T00:00:00.000Z")).unwrap());
    until("the book is seen", async || query.get_with(path, None).await.status == 200).await;
}
