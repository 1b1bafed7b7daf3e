//! Engines that are away for a while.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use reqwest::Method;
use tollbooth_tests::{Api, Stack, Victim, usage};

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
    // and what is asked of history says when to come back, and query what it is without
    let history = stack.api.read(&format!("{account}/transactions?q=op_with"))?;
    assert_eq!((history.status, history.retry_after.is_some()), (503, true), "{history:?}");
    stack.wait("query to say that there is no history", PATIENCE, || {
        component(&stack, "clickhouse")?.starts_with("degraded: no history: ").then_some(())
    })?;

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

#[test]
fn history_goes_on_without_the_broker_and_what_is_live_says_since_when_it_is_not() -> anyhow::Result<()> {
    // given a charged account, whose rows have landed, and somebody who watches it
    let stack = alone();
    let account = "acc_no_broker";
    stack.api.open_account(account, Some("10.00"))?;
    stack.api.send(&[usage::event(account, "op_one")])?;
    balance_becomes(&stack, account, "9.76")?;
    stack.wait_sunk(PATIENCE)?;
    let watched = watch(&stack.api, account)?;
    let told = |what: &str| watched.lock().unwrap_or_else(PoisonError::into_inner).contains(what);
    stack.wait("the stream to begin", PATIENCE, || told("event: ready").then_some(()))?;

    // when the broker is away
    stack.kill(Victim::Broker)?;

    // then query goes on and says what it does not know
    let state = stack.wait("query to say that it is behind", PATIENCE, || {
        let state = live_view(&stack)?;
        state.starts_with("degraded: ").then_some(state)
    })?;
    assert!(state.contains("the ledger's end was last reached at 20"), "{state}");
    let as_of = || anyhow::Ok(stack.api.read(&format!("{account}/balance"))?.ok()?["as_of"].clone());
    assert_eq!(as_of()?, as_of()?, "a balance is not true for a moment at which nobody looked");
    let found = stack.api.read(&format!("{account}/transactions?q=op_one"))?.ok()?;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
    let month = stack.api.read(&format!("{account}/usage?bucket=month"))?.ok()?;
    assert_eq!(month["total"]["count"], 1, "{month}");
    stack.wait("the stream to say that it is behind", PATIENCE, || {
        (told("event: stale") && told("\"since\":\"20")).then_some(())
    })?;

    // and once it is back, all is told again
    stack.restart(Victim::Broker)?;
    stack.managed(|| {
        stack.wait("query to see the end of the ledger", PATIENCE, || (live_view(&stack)? == "ok").then_some(()))?;
        stack.wait("an event to be accepted", PATIENCE, || stack.api.send(&[usage::event(account, "op_two")]).ok())?;
        balance_becomes(&stack, account, "9.52")
    })?;
    stack.wait("the stream to say so", PATIENCE, || (told("\"since\":null") && told("9.52")).then_some(()))
}

/// What is told of an account's balance, as it comes.
fn watch(api: &Api, account: &str) -> anyhow::Result<Arc<Mutex<String>>> {
    let address = api.query_url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address)?;
    let key = api.admin_key();
    write!(
        stream,
        "GET /v1/accounts/{account}/stream?topics=balance HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n"
    )?;
    let told = Arc::new(Mutex::new(String::new()));
    thread::spawn({
        let told = Arc::clone(&told);
        move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                told.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        }
    });
    Ok(told)
}

fn live_view(stack: &Stack) -> Option<String> {
    component(stack, "live-view")
}

/// What `/readyz` of query, which is ready, says of a component.
fn component(stack: &Stack, name: &str) -> Option<String> {
    let url = format!("http://{}/readyz", stack.query.ops_address()?);
    let answer = stack.api.request(Method::GET, &url, None, &[], None).ok()?.ok().ok()?;
    answer["components"][name].as_str().map(ToOwned::to_owned)
}
