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
    assert_eq!(query.get_with(path, None).await.status, 404);

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
    assert_eq!(query.get_with(&format!("{path}?version=1"), None).await.status, 400);
}
