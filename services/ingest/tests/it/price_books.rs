//! `PUT /v1/price-books/{version}`

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollbooth_schemas::time::rfc3339;

use crate::stand::{Stand, read};

const MINUTE_MS: i64 = 60_000;

/// A book with one price, taking effect `minutes` from now.
fn book(version: u32, minutes: i64, price: &str) -> Value {
    let effective_from = rfc3339(chrono::Utc::now().timestamp_millis() + minutes * MINUTE_MS);
    json!({
        "version": version, "currency": "USD", "effective_from": effective_from,
        "plans": [{"code": "pro", "name": "Pro", "monthly_fee": "79.00"}],
        "services": [{"code": "ai_modify", "name": "AI Modify"}],
        "engines": [{"code": "nano_banana_2", "name": "Nano Banana 2"}],
        "prices": [{"service": "ai_modify", "engine": "nano_banana_2", "unit": "image", "model": "per_unit",
                    "plans": {"pro": price}}],
    })
}

async fn put(stand: &Stand, version: u32, book: &Value) -> (StatusCode, Value) {
    let request = stand.request(Method::PUT, &format!("/v1/price-books/{version}"), &stand.root).json(book);
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_version_is_published_once_and_its_repeat_is_the_same_answer() {
    let stand = Stand::start().await;
    let first = book(1, -60, "0.16");
    let (status, answer) = put(&stand, 1, &first).await;
    assert_eq!((status, &answer["replayed"]), (StatusCode::CREATED, &json!(false)), "{answer}");
    let (status, answer) = put(&stand, 1, &first).await;
    assert_eq!((status, &answer["replayed"]), (StatusCode::OK, &json!(true)));
    let (status, problem) = put(&stand, 1, &book(1, -60, "0.17")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    let records = stand.records(&stand.topics.price_book());
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].key.as_str(), &records[0].json()["version"]), ("1", &json!(1)));
}

#[tokio::test]
async fn a_price_changes_with_notice_only() {
    let stand = Stand::start().await;
    assert_eq!(put(&stand, 1, &book(1, -60, "0.16")).await.0, StatusCode::CREATED);
    let (status, problem) = put(&stand, 2, &book(2, 5, "0.18")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["pointer"], json!("/effective_from"));
    assert_eq!(put(&stand, 2, &book(2, 11, "0.18")).await.0, StatusCode::CREATED);
    // what is below the latest version can no longer be published
    assert_eq!(put(&stand, 5, &book(5, 12, "0.19")).await.0, StatusCode::CREATED);
    assert_eq!(put(&stand, 4, &book(4, 13, "0.20")).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_past_is_not_priced_anew() {
    let stand = Stand::start().await;
    assert_eq!(put(&stand, 1, &book(1, -60, "0.16")).await.0, StatusCode::CREATED);
    assert_eq!(put(&stand, 2, &book(2, -30, "0.16")).await.0, StatusCode::CREATED);
    let (status, problem) = put(&stand, 3, &book(3, -45, "0.16")).await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/effective_from"))
    );
}

#[tokio::test]
async fn everything_wrong_with_a_book_is_named() {
    let stand = Stand::start().await;
    let mut wrong = book(2, -60, "-0.16");
    wrong["currency"] = json!("usd");
    wrong["prices"][0]["engine"] = json!("nobody");
    let (status, problem) = put(&stand, 1, &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/currency", "/prices/0/engine", "/prices/0/plans/pro", "/version"]);
    assert_eq!(put(&stand, 1, &json!({"version": 1})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // the values of a good book in order, without their names
    let good = book(1, -60, "0.16");
    let names = ["version", "currency", "effective_from", "plans", "services", "engines", "prices"];
    let values = json!(names.map(|name| &good[name]));
    assert_eq!(put(&stand, 1, &values).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let request = stand.request(Method::PUT, "/v1/price-books/one", &stand.root).json(&book(1, 0, "1"));
    assert_eq!(read(request.send().await.unwrap()).await.0, StatusCode::NOT_FOUND);
    assert!(stand.records(&stand.topics.price_book()).is_empty());
}
