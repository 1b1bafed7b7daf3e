//! Engines that are away for a while.

use tollbooth_tests::{Victim, usage};

use crate::stage::{PATIENCE, alone, balance_becomes};

#[test]
fn debits_go_on_without_clickhouse_and_the_projection_catches_up() -> anyhow::Result<()> {
    // given an account, and no ClickHouse
    let stack = alone();
    let account = "acc_no_clickhouse";
    stack.api.open_account(account, Some("10.00"))?;
    stack.api.send(&[usage::event(account, "op_with")])?;
    balance_becomes(&stack, account, "9.76")?;
    stack.wait_sunk(PATIENCE)?;
    stack.kill(Victim::ClickHouse)?;

    // when events and a command come
    let events: Vec<_> = (0..10).map(|number| usage::event(account, &format!("op_without_{number}"))).collect();
    stack.api.send(&events)?;
    stack.api.adjust(account, "bonus", "1.00")?.ok()?;

    // then they are debited all the same: the balance comes from memory
    balance_becomes(&stack, account, "8.36")?;
    assert!(stack.log.sink_lag()? > 0, "rows landed although ClickHouse is down");

    // and once it is back, rows and rollups are whole, none doubled
    stack.restart(Victim::ClickHouse)?;
    stack.wait_sunk(PATIENCE)?;
    let rows = stack.clickhouse.query(&format!(
        "SELECT count(), uniqExact(seq), max(seq) FROM tollbooth.ledger WHERE account_id = '{account}'"
    ))?;
    // Opening, credit, 11 charges, bonus.
    assert_eq!(rows.trim(), "14\t14\t14");
    let path = format!("{account}/events/evt_gala/usage");
    let party = stack.wait("the party to show all of it", PATIENCE, || {
        let body = stack.api.read(&path).ok()?.ok().ok()?;
        (body["total"]["count"] == 11).then_some(body)
    })?;
    assert_eq!(party["total"]["amount"]["amount"], "2.64");
    Ok(())
}

#[test]
fn events_are_taken_again_after_the_broker_was_killed() -> anyhow::Result<()> {
    // given a charged account
    let stack = alone();
    let account = "acc_broker";
    stack.api.open_account(account, Some("10.00"))?;
    stack.api.send(&[usage::event(account, "op_one")])?;
    balance_becomes(&stack, account, "9.76")?;

    // when the broker is killed and comes back
    stack.kill(Victim::Broker)?;
    stack.restart(Victim::Broker)?;

    // then a client that repeats its event is served, and charged once
    let event = usage::event(account, "op_two");
    // A meter may leave and be started again: librdkafka calls it fatal when the broker no longer knows whether a
    // static member was the last one to join under its name.
    stack.managed(|| {
        stack.wait("an event to be accepted", PATIENCE, || stack.api.send(std::slice::from_ref(&event)).ok())?;
        stack.wait("the repeat to be accepted", PATIENCE, || stack.api.send(std::slice::from_ref(&event)).ok())?;
        balance_becomes(&stack, account, "9.52")
    })?;
    assert_eq!(stack.api.transactions(account)?.len(), 3, "credit and two charges");
    Ok(())
}
