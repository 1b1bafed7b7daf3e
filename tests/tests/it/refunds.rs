//! Charges given back by their entries, whose facts stand in ClickHouse.

use serde_json::{Value, json};
use tollbooth_tests::{Stack, Victim, usage};

use crate::stage::{PATIENCE, alone, amounts, balance_becomes, pair, shared};

/// The entry of the only charge of an account.
fn charge(stack: &Stack, account: &str) -> anyhow::Result<String> {
    let transactions = stack.api.transactions(account)?;
    let charge = transactions.iter().find(|entry| entry["type"] == "consume" && entry["status"] == "success");
    Ok(charge.map(|entry| format!("ent_{account}_{}", entry["seq"])).unwrap_or_default())
}

fn of(entry_id: &str, amount: Option<&str>) -> Value {
    json!({"entry_id": entry_id, "amount": amount, "reason": "blurred", "note": "guest 12"})
}

#[test]
fn a_charge_is_given_back_in_parts_and_never_beyond_itself() -> anyhow::Result<()> {
    // given a charge of three images, in the projection
    let stack = shared();
    let account = "acc_refunds";
    stack.api.open_account(account, Some("10.00"))?;
    let details = json!({"quantity": "3", "variant": "1k", "country": "DE", "mode": "live"});
    stack.api.send(&[usage::with_data(usage::event(account, "op_blurred"), &details)])?;
    balance_becomes(&stack, account, "9.28")?;
    stack.wait_sunk(PATIENCE)?;
    let entry_id = charge(&stack, account)?;
    let refund =
        |key: &str, amount| stack.api.command(&format!("/v1/accounts/{account}/refunds"), key, &of(&entry_id, amount));

    // when a part is refunded, twice with one key
    for replayed in [false, true] {
        let answer = refund("r-1", Some("0.24"))?.ok()?;
        assert_eq!((&answer["replayed"], &answer["amount"]["amount"]), (&json!(replayed), &json!("0.24")), "{answer}");
    }
    // then no more than the rest can be
    let beyond = refund("r-2", Some("0.49"))?;
    assert_eq!((beyond.status, &beyond.body["code"]), (409, &json!("refund_exceeds_charge")), "{}", beyond.body);
    // and without an amount it is the rest
    assert_eq!(refund("r-2", None)?.ok()?["amount"]["amount"], "0.48");
    assert_eq!(refund("r-3", None)?.body["code"], "nothing_to_refund");
    balance_becomes(&stack, account, "10.00")?;
    let refunds: Vec<_> =
        amounts(&stack.api.transactions(account)?, "refund").into_iter().map(|(amount, _)| amount).collect();
    assert_eq!(refunds, ["0.24", "0.48"]);
    Ok(())
}

#[test]
fn what_is_no_charge_cannot_be_given_back() -> anyhow::Result<()> {
    // given an opening (seq 1), a credit (2), failed work (3) and a charge (4)
    let stack = shared();
    let account = "acc_no_charge";
    stack.api.open_account(account, Some("10.00"))?;
    let event = usage::event(account, "op_failed");
    stack.api.send(&[usage::failed(event.clone(), 1), usage::retried(event, 2)])?;
    balance_becomes(&stack, account, "9.76")?;
    stack.wait_sunk(PATIENCE)?;
    let path = format!("/v1/accounts/{account}/refunds");
    for seq in [1, 2, 3] {
        let answer = stack.api.command(&path, "r-1", &of(&format!("ent_{account}_{seq}"), None))?;
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!("unknown_charge")), "{seq} {}", answer.body);
    }
    // What the projection does not reach may be on its way.
    let ahead = of(&format!("ent_{account}_99"), None);
    assert_eq!(stack.api.command_once(&reqwest::Method::POST, &path, "r-1", &ahead)?.status, 503);
    assert_eq!(amounts(&stack.api.transactions(account)?, "consume").last(), Some(&pair("-0.24", "success")));
    assert!(amounts(&stack.api.transactions(account)?, "refund").is_empty());
    Ok(())
}

#[test]
fn facts_that_the_ledger_does_not_know_move_no_money() -> anyhow::Result<()> {
    // given a charge whose row in the projection was tampered with
    let stack = shared();
    let account = "acc_tampered";
    stack.api.open_account(account, Some("10.00"))?;
    stack.api.send(&[usage::event(account, "op_tampered")])?;
    balance_becomes(&stack, account, "9.76")?;
    stack.wait_sunk(PATIENCE)?;
    let entry_id = charge(&stack, account)?;
    let set = |event: &str| {
        let change = format!("UPDATE event_id = '{event}' WHERE account_id = '{account}' AND type = 'consume'");
        stack.clickhouse.query(&format!("ALTER TABLE tollbooth.ledger {change} SETTINGS mutations_sync = 2"))
    };
    set("evt_other")?;
    // when it is refunded
    let refund = || stack.api.command(&format!("/v1/accounts/{account}/refunds"), "r-1", &of(&entry_id, None));
    let answer = refund()?;
    // then the ledger notices
    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("charge_mismatch")), "{}", answer.body);
    // and the same refund is carried out once the row is as it was
    set("evt_gala")?;
    assert_eq!(refund()?.ok()?["balance"]["amount"], "10.00");
    Ok(())
}

#[test]
fn refunds_wait_for_the_projection_and_debits_do_not() -> anyhow::Result<()> {
    // given a charge
    let stack = alone();
    let account = "acc_refund_later";
    stack.api.open_account(account, Some("10.00"))?;
    stack.api.send(&[usage::event(account, "op_first")])?;
    balance_becomes(&stack, account, "9.76")?;
    stack.wait_sunk(PATIENCE)?;
    let entry_id = charge(&stack, account)?;
    let path = format!("/v1/accounts/{account}/refunds");
    // when ClickHouse is away
    stack.kill(Victim::ClickHouse)?;
    // then the refund is asked to come again, while usage is charged
    let answer = stack.api.command_once(&reqwest::Method::POST, &path, "r-1", &of(&entry_id, None))?;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("unavailable")), "{}", answer.body);
    stack.api.send(&[usage::event(account, "op_second")])?;
    balance_becomes(&stack, account, "9.52")?;
    // and it is carried out when ClickHouse is back
    stack.restart(Victim::ClickHouse)?;
    assert_eq!(stack.api.command(&path, "r-1", &of(&entry_id, None))?.ok()?["balance"]["amount"], "9.76");
    Ok(())
}
