//! Buying credit by itself, as the ledger's rows tell it.

use serde_json::json;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{RechargeFailed, RechargeRequested, RechargeSet, recharge_set::Size};

use crate::stand::{Ledger, Stand, until};

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_is_shown_with_what_became_of_it() {
    // given an account whose recharge failed a moment ago, and one that has no rule
    let stand = Stand::new().await;
    let (mut luna, sol) = (Ledger::open("acc_luna"), Ledger::open("acc_sol"));
    let now_ms = now_ms();
    let set = RechargeSet {
        enabled: true,
        threshold_micros: 20_000_000,
        size: Some(Size::TargetMicros(70_000_000)),
        daily_cap_micros: Some(200_000_000),
        monthly_cap_micros: None,
        amount_max_micros: Some(10_000_000_000),
    };
    let requested = RechargeRequested {
        recharge_id: "rch_1".to_owned(),
        amount_micros: 51_500_000,
        available_micros: 18_500_000,
        threshold_micros: 20_000_000,
        day_ends_at_ms: now_ms + 3_600_000,
        month_ends_at_ms: now_ms + 7_200_000,
    };
    let failed = RechargeFailed {
        recharge_id: "rch_1".to_owned(),
        reason: "card_declined".to_owned(),
        failures: 1,
        retry_at_ms: 1_900_000_000_000,
        amount_micros: 51_500_000,
    };
    luna.push(vec![(Kind::RechargeSet(set), 0, now_ms)]);
    luna.push(vec![(Kind::RechargeRequested(requested), 0, now_ms)]);
    stand.post(&luna.records);
    stand.post(&sol.records);
    stand.sink(&luna.records).await;
    stand.sink(&sol.records).await;
    stand.commit_all().await;
    let query = stand.query().await;

    // then one is under way
    let shown = query.ok("/v1/accounts/acc_luna/recharge").await;
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    assert_eq!(
        shown,
        json!({"enabled": true, "threshold": usd("20.00"), "amount": null, "target": usd("70.00"),
               "daily_cap": usd("200.00"), "monthly_cap": null, "state": "in_flight", "last_failure": null,
               "next_attempt_at": null, "spent_today": usd("51.50"), "spent_this_month": usd("51.50")})
    );

    // when it failed, then that is told, with when it is tried again
    let record = luna.push(vec![(Kind::RechargeFailed(failed), 0, now_ms)]).clone();
    stand.post(std::slice::from_ref(&record));
    stand.sink(std::slice::from_ref(&record)).await;
    until("the failure is shown", async || query.ok("/v1/accounts/acc_luna/recharge").await["state"] == "failed").await;
    let shown = query.ok("/v1/accounts/acc_luna/recharge").await;
    assert_eq!(
        (&shown["last_failure"]["reason"], &shown["last_failure"]["failures"]),
        (&"card_declined".into(), &1.into())
    );
    assert_eq!(shown["next_attempt_at"], "2030-03-17T17:46:40.000Z");
    assert_eq!(shown["spent_today"], usd("0.00"));

    // and an account without a rule buys nothing by itself
    let shown = query.ok("/v1/accounts/acc_sol/recharge").await;
    assert_eq!((&shown["enabled"], &shown["state"], &shown["amount"]), (&false.into(), &"off".into(), &json!(null)));
}
