//! Forecast and estimate.

use serde_json::{Value, json};
use tollbooth_query::clock::now_ms;
use tollbooth_schemas::v1::UsageStatus;

use crate::stand::{Ledger, Stand, until, usage};

const MINUTE_MS: i64 = 60_000;

/// 120 charges of 10 cents over the last two hours, and one older.
async fn busy(stand: &Stand) -> i64 {
    let now_ms = now_ms();
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![(
        usage("ai_modify", "nano_banana_2", UsageStatus::Success, 999),
        -100_000,
        now_ms - 600 * MINUTE_MS,
    )]);
    for minute in (0..120).rev() {
        let kind = usage("ai_modify", "nano_banana_2", UsageStatus::Success, 1_000 + u64::try_from(minute).unwrap());
        luna.push(vec![(kind, -100_000, now_ms - minute * MINUTE_MS - 1_000)]);
    }
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    now_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_says_by_which_method_and_from_how_much() {
    // given
    let stand = Stand::new().await;
    let started_ms = busy(&stand).await;
    stand.post(&Ledger::open("acc_sol").records);
    let query = stand.query().await;

    // when
    let forecast = query.ok("/v1/accounts/acc_luna/forecast").await;

    // then: 987.90 at about 6 an hour last beyond the day that the pace of now is good for
    let of = |method: &str| {
        let methods = forecast["methods"].as_array().unwrap();
        methods.iter().find(|found| found["method"] == method).unwrap().clone()
    };
    let pace = of("event_pace");
    assert_eq!(
        (&pace["charges"], &pace["amount"]["amount"], &pace["reason"]),
        (&json!(120), &json!("12.00"), &json!("beyond_horizon"))
    );
    let week = of("last_7_days");
    assert_eq!((&week["charges"], &week["reason"]), (&json!(121), &Value::Null));
    assert_eq!(of("same_weekday")["reason"], "not_enough_data");
    assert_eq!((&forecast["method"], &forecast["reason"]), (&json!("last_7_days"), &Value::Null));
    assert_eq!(forecast["runs_out_at"], week["runs_out_at"]);
    let runs_out_ms = tollbooth_schemas::time::parse_rfc3339_ms(forecast["runs_out_at"].as_str().unwrap()).unwrap();
    assert!(runs_out_ms > started_ms);
    assert_eq!(forecast["available"], json!({"amount": "987.90", "currency": "USD"}));

    // and an event that nobody works at has no pace, and an account without work no forecast
    let other = query.ok("/v1/accounts/acc_luna/forecast?event_id=evt_other").await;
    assert_eq!(other["methods"][0]["reason"], "no_spend");
    let idle = query.ok("/v1/accounts/acc_sol/forecast").await;
    assert_eq!((&idle["runs_out_at"], &idle["reason"]), (&Value::Null, &json!("no_spend")));
    assert_eq!(query.get("/v1/accounts/acc_luna/forecast?event_id=gala").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_todays_price_of_the_mix_that_was_seen() {
    // given an account on a plan whose images cost 20 cents today
    let stand = Stand::new().await;
    busy(&stand).await;
    stand.publish(&stand.topics.price_book(), "1", include_bytes!("../../../../deploy/local/price-book.json"));
    let query = stand.query().await;
    until("the prices are known", async || query.get_with("/v1/services", None).await.status == 200).await;
    let path = "/v1/accounts/acc_luna/events";

    // when
    let same = query.ok(&format!("{path}/evt_gala/estimate?guests=150")).await;
    let other = query.ok(&format!("{path}/evt_other/estimate?guests=10000&operations_per_guest=2")).await;

    // then
    assert_eq!(
        (&same["operations_per_guest"], &same["basis"]),
        (&json!("1.25"), &json!({"kind": "event", "count": 121}))
    );
    let line = &same["lines"][0];
    assert_eq!(
        [&line["name"], &line["unit"], &line["share"], &line["count"], &line["quantity"]],
        [&json!("AI Modify (Nano Banana 2)"), &json!("image"), &json!("1"), &json!(188), &json!("188")]
    );
    assert_eq!([&line["unit_price"]["amount"], &same["total"]["amount"]], ["0.20", "37.60"]);
    assert_eq!((&same["enough"], &same["missing"]), (&json!(true), &Value::Null));
    assert_eq!((&other["basis"]["kind"], &other["total"]["amount"]), (&json!("account_30_days"), &json!("4000.00")));
    assert_eq!((&other["enough"], &other["missing"]["amount"]), (&json!(false), &json!("3012.10")));
    for wrong in ["", "guests=0", "guests=1&operations_per_guest=0", "guests=1&operations_per_guest=101", "guests=1.5"]
    {
        assert_eq!(query.get(&format!("{path}/evt_gala/estimate?{wrong}")).await.status, 400, "{wrong}");
    }
}
