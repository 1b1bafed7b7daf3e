//! The four figures.

use serde_json::{Value, json};
use tollbooth_schemas::v1::UsageStatus;

use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, until, usage};

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_period_and_the_one_before_say_what_became_of_the_money() {
    // given charges in September and October, and a credit in October
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let charge = |status| usage("ai_modify", "kling", status, 1);
    luna.push(vec![
        (charge(UsageStatus::Success), -1_500_000, BASE_MS - 30 * DAY_MS),
        (charge(UsageStatus::Success), -2_000_000, BASE_MS),
        (charge(UsageStatus::Success), -250_000, BASE_MS + DAY_MS),
        (charge(UsageStatus::Failed), 0, BASE_MS + DAY_MS),
    ]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let query = stand.query().await;

    // when
    let summary = query.ok("/v1/accounts/acc_luna/summary?from=2026-10-01&to=2026-11-01").await;

    // then
    let figures = |period: &Value| {
        ["used", "purchased", "net_usage", "other"].map(|name| period[name]["amount"].as_str().unwrap().to_owned())
    };
    assert_eq!(summary["balance"], json!({"amount": "996.25", "currency": "USD"}));
    assert_eq!(figures(&summary["period"]), ["2.25", "0.00", "2.25", "1000.00"]);
    assert_eq!(figures(&summary["previous"]), ["1.50", "0.00", "1.50", "0.00"]);
    assert_eq!((&summary["period"]["operations"], &summary["period"]["failures"]), (&json!(2), &json!(1)));
    assert_eq!((&summary["previous"]["from"], &summary["seq"]), (&json!("2026-09-01T00:00:00-04:00"), &json!(6)));
    // The same number everywhere.
    let usage = query.ok("/v1/accounts/acc_luna/usage?from=2026-10-01&to=2026-11-01").await;
    assert_eq!(usage["total"]["amount"], summary["period"]["used"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_is_not_asked_of_clickhouse_until_something_happens() {
    // given an account whose entries are all sunk, and a service that keeps answers for long
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(3);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    stand.commit_all().await;
    let mut config = stand.config();
    (config.answers.age_ms_max, config.answers.fresh_ms) = (3_600_000, 0);
    let query = Query::start(config, &stand.admin_key).await;
    let path = "/v1/accounts/acc_luna/summary?from=2026-10-01&to=2026-11-01";
    let from_memory = async || query.metrics().await.contains("tollbooth_query_answers_total{source=\"memory\"} 1");

    // when it is asked until an answer comes from memory: the first ones find out that everything is sunk
    let first = query.ok(path).await;
    until("an answer comes from memory", async || {
        assert_eq!(query.ok(path).await["period"], first["period"]);
        from_memory().await
    })
    .await;

    // then an entry makes it another one
    luna.charge(1);
    stand.post(&luna.records[4..]);
    stand.sink(&luna.records[4..]).await;
    stand.commit_all().await;
    let newer = query.ok(&format!("{path}&min_seq=6")).await;
    assert_eq!([&newer["seq"], &newer["period"]["operations"]], [6, 4]);
    until("the newer entry is in the answer", async || query.ok(path).await["period"]["operations"] == 4).await;
}
