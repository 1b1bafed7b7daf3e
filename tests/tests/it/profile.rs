//! An account that moves: its months, its days, and what is given back, over the whole path.

use serde_json::{Value, json};
use tollbooth_schemas::{
    time::{DAY_MS, rfc3339},
    zone::{Tz, month_of, month_start_ms},
};
use tollbooth_tests::{Binary, Stack, StackOptions, usage};

use crate::stage::{PATIENCE, alone, balance_becomes};

const ACCOUNT: &str = "acc_moves";

/// With images by tiers of a month: ten at 0.20, then at 0.10.
fn tiered() -> anyhow::Result<Value> {
    let mut book = usage::price_book()?;
    let rows = book["prices"].as_array_mut().into_iter().flatten();
    for row in rows.filter(|row| row["service"] == "ai_modify" && row["engine"] == "nano_banana_2") {
        (row["model"], row["plans"]) = (json!("graduated"), json!({}));
        row["tiers"] = json!([{"from": "0", "to": "10", "plans": {"payg": "0.20"}},
                              {"from": "10", "plans": {"payg": "0.10"}}]);
    }
    Ok(book)
}

/// Four hours before the newest month began in UTC: in New York it is of the month before, in Tokyo of that one.
fn between_months() -> Option<(i64, String, String)> {
    let now_ms = usage::now_ms();
    let (year, month) = month_of(Tz::UTC, now_ms)?;
    let begins_ms = month_start_ms(Tz::UTC, year, month)?;
    let (before_year, before_month) = month_of(Tz::UTC, begins_ms - DAY_MS)?;
    let text = |year: i32, month: u32| format!("{year:04}-{month:02}");
    Some((begins_ms - 4 * 3_600_000, text(before_year, before_month), text(year, month)))
}

fn move_to(stack: &Stack, key: &str, zone: &str) -> anyhow::Result<()> {
    let answer = stack.api.put(&format!("/v1/accounts/{ACCOUNT}/profile"), key, &json!({"time_zone": zone}))?.ok()?;
    let seq = answer["seq"].as_u64().unwrap_or_default();
    let told = stack.api.read(&format!("{ACCOUNT}?min_seq={seq}"))?.ok()?;
    assert_eq!((&told["time_zone"], &told["name"]), (&json!(zone), &json!("Test Booths")), "{told}");
    Ok(())
}

/// Reports images of that hour, waits for what is left, and says which month counted them and how many it had before.
fn counted(stack: &Stack, operation: &str, images: &str, at_ms: i64, left: &str) -> anyhow::Result<(Value, Value)> {
    let event = usage::with(usage::event(ACCOUNT, operation), &json!({"time": rfc3339(at_ms)}));
    stack.api.send(&[usage::with_data(event, &json!({"quantity": images}))])?;
    balance_becomes(stack, ACCOUNT, left)?;
    let entry = stack.api.transactions(ACCOUNT)?.into_iter().find(|entry| entry["operation_id"] == operation);
    let id = entry.unwrap_or_default()["entry_id"].as_str().unwrap_or_default().to_owned();
    let entry = stack.api.read(&format!("{ACCOUNT}/transactions/{id}"))?.ok()?;
    let month = &entry["pricing"]["month"];
    Ok((month["period"].clone(), month["counted_before"].clone()))
}

fn give_back(stack: &Stack, operation: &str) -> anyhow::Result<()> {
    let entry = stack.api.transactions(ACCOUNT)?.into_iter().find(|entry| entry["operation_id"] == operation);
    let refund = json!({"entry_id": entry.unwrap_or_default()["entry_id"], "reason": "blurred"});
    stack.api.command(&format!("/v1/accounts/{ACCOUNT}/refunds"), operation, &refund)?.ok()?;
    Ok(())
}

#[test]
fn an_account_that_moves_counts_where_it_is_and_gets_back_where_it_was() -> anyhow::Result<()> {
    // given an account in New York that used four images in an hour that is of the next month in Tokyo
    let _turn = alone();
    let stack = Stack::start(&StackOptions { name: "moves", kafka_heap_mb: 512, stores: [false; 2] })?;
    stack.api.publish(&tiered()?)?.ok()?;
    stack.api.open_account(ACCOUNT, Some("10.00"))?;
    let (at_ms, before, after) = between_months().unwrap_or_default();
    assert_eq!(counted(&stack, "op_1", "4", at_ms, "9.20")?, (json!(before), json!("0")));

    // when it moves, then the same hour counts in the other month
    move_to(&stack, "k-1", "Asia/Tokyo")?;
    assert_eq!(counted(&stack, "op_2", "3", at_ms, "8.60")?, (json!(after), json!("0")));
    move_to(&stack, "k-2", "America/New_York")?;
    assert_eq!(counted(&stack, "op_3", "1", at_ms, "8.40")?, (json!(before), json!("4")));

    // and what is given back goes to where it was counted, wherever the account is meanwhile
    stack.wait_sunk(PATIENCE)?;
    give_back(&stack, "op_2")?;
    move_to(&stack, "k-3", "Asia/Tokyo")?;
    give_back(&stack, "op_1")?;
    give_back(&stack, "op_3")?;
    balance_becomes(&stack, ACCOUNT, "10.00")?;
    assert_eq!(counted(&stack, "op_4", "1", at_ms, "9.80")?, (json!(after), json!("0")));
    move_to(&stack, "k-4", "America/New_York")?;
    assert_eq!(counted(&stack, "op_5", "1", at_ms, "9.60")?, (json!(before), json!("0")));

    // then who reckons it all again finds nothing wrong
    stack.wait_sunk(PATIENCE)?;
    let verify = stack.tool("verify", Binary::Audit, &["verify", "--json"])?;
    verify.start()?;
    verify.wait(PATIENCE * 3)?;
    let report: Value = serde_json::from_str(&stack.output("verify"))?;
    assert_eq!(report["ok"], true, "{report:#}");
    Ok(())
}
