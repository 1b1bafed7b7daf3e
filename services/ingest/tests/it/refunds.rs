//! Refunds over HTTP, while there is nothing to look a charge up in. What is looked up, the tests of the whole path see.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tollbooth_chassis::config::ClickHouseSection;

use crate::stand::Stand;

const REFUNDS: &str = "/v1/accounts/acc_luna/refunds";

#[tokio::test]
async fn without_an_answer_of_the_projection_nothing_is_refunded() {
    let body = json!({"entry_id": "ent_acc_luna_7", "reason": "blurred"});
    // given no projection, and one that is away
    let nowhere = Stand::start().await;
    let away = Stand::start_with(|config| {
        config.clickhouse = Some(ClickHouseSection { url: "http://127.0.0.1:1".to_owned(), ..Default::default() });
    })
    .await;
    for stand in [nowhere, away] {
        // when a charge is to be refunded
        let request = stand.post(REFUNDS, &stand.root).header("idempotency-key", "r-1").json(&body);
        let answer = request.send().await.unwrap();
        // then the client is asked to come back, and the meter has heard nothing
        assert!(answer.headers().contains_key("retry-after"));
        let (status, problem) = crate::stand::read(answer).await;
        assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
        assert!(stand.commands().is_empty());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_refund_is_said_before_anything_is_looked_up() {
    let stand = Stand::start().await;
    for (body, pointer) in [
        (json!({"entry_id": "ent_acc_sol_7", "reason": "blurred"}), "/entry_id"),
        (json!({"entry_id": "7", "reason": "blurred"}), "/entry_id"),
        (json!({"entry_id": "ent_acc_luna_7", "amount": "0", "reason": "blurred"}), "/amount"),
        (json!({"entry_id": "ent_acc_luna_7", "amount": "-1", "reason": "blurred"}), "/amount"),
        (json!({"entry_id": "ent_acc_luna_7", "reason": ""}), "/reason"),
    ] {
        let (status, problem) = stand.command(Method::POST, REFUNDS, &stand.root, "k", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(problem["errors"][0]["pointer"], json!(pointer), "{problem}");
    }
}
