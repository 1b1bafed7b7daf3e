//! One event, from the booth to the chart.

use serde_json::{Value, json};
use tollbooth_schemas::time::rfc3339;
use tollbooth_tests::usage::{self, now_ms};

use crate::stage::{PATIENCE, balance_becomes, shared};

#[test]
fn an_event_is_charged_and_seen_in_every_view() -> anyhow::Result<()> {
    // given an account with credit
    let stack = shared();
    let account = "acc_first";
    stack.api.open_account(account, Some("10.00"))?;

    // when a booth reports an image
    stack.api.send(&[usage::event(account, "op_first")])?;

    // then it is off the balance
    balance_becomes(&stack, account, "9.76")?;

    // and in the activity, with the price it came from
    let transactions = stack.api.transactions(account)?;
    let newest = &transactions[0];
    assert_eq!(newest["type"], "consume", "{newest}");
    assert_eq!(newest["status"], "success");
    assert_eq!(newest["amount"], json!({ "amount": "-0.24", "currency": "USD" }));
    assert_eq!(newest["balance_after"]["amount"], "9.76");
    assert_eq!(newest["service"], "ai_modify");
    assert_eq!(newest["engine"], "nano_banana_2");
    assert_eq!(newest["operation_id"], "op_first");
    assert_eq!(newest["event_id"], "evt_gala");
    assert!(newest["price_version"].as_u64().is_some_and(|version| version >= 1), "{newest}");
    assert_eq!(transactions[1]["type"], "adjustment");

    // and in the timeline, out of ClickHouse
    let (from, to) = (rfc3339(now_ms() - 7_200_000), rfc3339(now_ms() + 3_600_000));
    let path = format!("{account}/usage?from={from}&to={to}&bucket=hour&tz=UTC&group_by=engine&measure=amount");
    let timeline = stack.wait("the timeline to show it", PATIENCE, || {
        let body = stack.api.read(&path).ok()?.ok().ok()?;
        (body["total"]["count"] == 1).then_some(body)
    })?;
    assert_eq!(timeline["total"]["amount"]["amount"], "0.24");
    let buckets = timeline["buckets"].as_array().cloned().unwrap_or_default();
    let groups: Vec<&Value> = buckets.iter().filter_map(|bucket| bucket["groups"].as_array()).flatten().collect();
    assert_eq!(groups.len(), 1, "{timeline}");
    assert_eq!(groups[0]["key"], "nano_banana_2");
    assert_eq!(groups[0]["amount"]["amount"], "0.24");

    // and at the party, whose rollup is filled behind the other
    let path = format!("{account}/events/evt_gala/usage");
    let party = stack.wait("the party to show it", PATIENCE, || {
        let body = stack.api.read(&path).ok()?.ok().ok()?;
        (body["total"]["count"] == 1).then_some(body)
    })?;
    assert_eq!(party["total"], json!({ "count": 1, "failed": 0, "amount": { "amount": "0.24", "currency": "USD" } }));
    assert_eq!(party["data"][0]["engine"], "nano_banana_2");
    Ok(())
}

#[test]
fn price_follows_plan_engine_and_quantity() -> anyhow::Result<()> {
    // given an account on the plan payg
    let stack = shared();
    let account = "acc_prices";
    stack.api.open_account(account, Some("10.00"))?;

    // when it makes 5 seconds of video and sends a short message abroad
    let video = usage::with_data(
        usage::event(account, "op_video"),
        &json!({ "service": "ai_image_to_video", "engine": "kling", "variant": null, "unit": "second", "quantity": "5" }),
    );
    let message = usage::with_data(
        usage::event(account, "op_sms"),
        &json!({ "service": "sms", "engine": "sms_intl", "variant": "zone_b", "unit": "segment", "quantity": "2" }),
    );
    stack.api.send(&[video, message])?;

    // then 5 x 0.24 and 2 x 0.40 are gone
    balance_becomes(&stack, account, "8.00")
}
