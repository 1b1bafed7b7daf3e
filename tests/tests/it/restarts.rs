//! Services that end and come back.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::json;
use tollbooth_tests::{Process, Stack, Victim, usage};

use crate::stage::{PATIENCE, alone, balance_becomes, write};

const STOP_PATIENCE: Duration = Duration::from_secs(45);

fn restart_meters(stack: &Stack) -> anyhow::Result<()> {
    for index in [0, 1] {
        stack.kill(Victim::Meter(index))?;
    }
    for index in [0, 1] {
        stack.restart(Victim::Meter(index))?;
    }
    stack.wait_all_ready()
}

#[test]
fn a_meter_that_lost_its_memory_remembers_all_of_it() -> anyhow::Result<()> {
    // given an account with a charge and an answered command
    let stack = alone();
    let account = "acc_memory";
    stack.api.open_account(account, Some("10.00"))?;
    let event = usage::event(account, "op_remembered");
    stack.api.send(std::slice::from_ref(&event))?;
    balance_becomes(&stack, account, "9.76")?;
    let first = stack.api.adjust(account, "bonus-1", "5.00")?.ok()?;
    assert_eq!(first["replayed"], false, "{first}");

    // when both meters are killed and started again
    restart_meters(&stack)?;

    // then the command's key still has its answer
    let again = stack.api.adjust(account, "bonus-1", "5.00")?.ok()?;
    assert_eq!(again["replayed"], true, "{again}");
    assert_eq!(again["seq"], first["seq"]);
    // and is refused with another body
    assert_eq!(stack.api.adjust(account, "bonus-1", "6.00")?.status, 422);
    // and the operation is still charged once
    stack.api.send(&[event, usage::event(account, "op_after_restart")])?;
    balance_becomes(&stack, account, "14.52")
}

/// What dead letters are told apart by.
fn sources(stack: &Stack) -> anyhow::Result<BTreeSet<(String, i32, i64)>> {
    let letters = stack.log.dead_letters()?.into_iter().map(|letter| letter.source);
    Ok(letters.map(|place| (place.topic, place.partition, place.offset)).collect())
}

#[test]
fn a_group_set_back_to_the_beginning_charges_nobody_twice() -> anyhow::Result<()> {
    // given a charge, failed work and a dead letter
    let stack = alone();
    let account = "acc_reset";
    stack.api.open_account(account, Some("10.00"))?;
    let producer = stack.log.producer()?;
    stack.api.send(&[usage::event(account, "op_before"), usage::failed(usage::event(account, "op_failed"), 1)])?;
    write(&stack, &producer, account, (Vec::new(), b"rubbish".to_vec()))?;
    balance_becomes(&stack, account, "9.76")?;
    stack.wait_metered(PATIENCE)?;
    let letters = sources(&stack)?;
    let entries = stack.log.ledger()?.len();

    // when the meters start with a group that stands at the beginning of every partition
    for index in [0, 1] {
        stack.kill(Victim::Meter(index))?;
    }
    stack.log.reset_to_beginning("tollbooth-meter-reset")?;
    stack.set_meter_group("tollbooth-meter-reset");
    for index in [0, 1] {
        stack.restart(Victim::Meter(index))?;
    }
    stack.wait_all_ready()?;

    // then they go on, which is behind all that lay in that partition
    stack.api.send(&[usage::event(account, "op_behind_reset")])?;
    balance_becomes(&stack, account, "9.52")?;
    // and wrote nothing else: one record of the ledger, and no dead letter of another record
    assert_eq!(stack.log.ledger()?.len(), entries + 1, "records of the ledger");
    // (a dead letter that no entry of its partition followed may be written again: its id is its source)
    assert_eq!(sources(&stack)?, letters, "sources of dead letters");
    Ok(())
}

#[test]
fn every_service_ends_in_order_and_loses_nothing() -> anyhow::Result<()> {
    // given an account and events under way
    let stack = alone();
    let account = "acc_graceful";
    stack.api.open_account(account, Some("100.00"))?;
    let events: Vec<_> = (0..300).map(|number| usage::event(account, &format!("op_graceful_{number}"))).collect();
    for batch in events.chunks(50) {
        stack.api.send(batch)?;
    }

    // when every service is asked to end
    for service in stack.services() {
        let status = service.stop(STOP_PATIENCE)?;
        assert!(status.success(), "{} ended with {status}\n{}", service.name(), service.log_tail());
    }
    stack.heal()?;

    // then all that was accepted is charged, once, and in ClickHouse: 300 x 0.24
    balance_becomes(&stack, account, "28.00")?;
    let party = format!("{account}/events/evt_gala/usage");
    let body = stack.wait("the rollups to have it", PATIENCE, || {
        let body = stack.api.read(&party).ok()?.ok().ok()?;
        (body["total"]["count"] == 300).then_some(body)
    })?;
    assert_eq!(body["total"]["amount"]["amount"], json!("72.00"));
    Ok(())
}

#[test]
fn one_meter_takes_over_from_the_other() -> anyhow::Result<()> {
    // given an account in each partition or so, and one meter that is killed for good
    let stack = alone();
    let accounts: Vec<String> = (0..16).map(|number| format!("acc_failover_{number}")).collect();
    for account in &accounts {
        stack.api.open_account(account, Some("1.00"))?;
    }
    stack.kill(Victim::Meter(0))?;

    // when events come while it is down
    let events: Vec<_> = accounts.iter().map(|account| usage::event(account, "op_failover")).collect();
    stack.api.send(&events)?;

    // then the other one charges them, once the group has seen that it is gone
    for account in &accounts {
        balance_becomes(&stack, account, "0.76")?;
    }
    Ok(())
}

/// A worker that hangs is looked for, its process ends in order as far as it can, and the other one takes over.
const HANG_PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_worker_that_hangs_ends_its_process_and_its_partition_goes_on_elsewhere() -> anyhow::Result<()> {
    // given meters that are told to wait ten seconds for a worker, and a worker that hangs with a charge in its hands
    const STUCK: &str = "TOLLBOOTH_METER__WORKER_STUCK_SECONDS";
    let stack = alone();
    let account = "acc_hanging";
    stack.api.open_account(account, Some("10.00"))?;
    let meters = [0, 1].map(|index| stack.process(Victim::Meter(index)).expect("there are two meters"));
    meters.iter().for_each(|meter| meter.set(STUCK, "10"));
    restart_meters(&stack)?;
    fs::write(stack.crash_dir().join("meter.in_transaction"), "hang")?;
    stack.api.send(&[usage::event(account, "op_hanging")])?;

    // then it shows
    let is_silent =
        |meter: &Process| stack.metric(meter, "tollbooth_meter_worker_silent_seconds").unwrap_or_default() >= 3.0;
    stack.wait("a silent worker", PATIENCE, || meters.iter().any(|meter| is_silent(meter)).then_some(()))?;

    // and its process ends with a status that a supervisor acts upon, and says why
    let ended = |meter: &&Process| meter.ended().map(|status| (meter.name().to_owned(), meter.log_tail(), status));
    let (name, log, status) = stack.wait("its process to end", HANG_PATIENCE, || meters.iter().find_map(ended))?;
    assert_eq!(status.code(), Some(1), "{name}: {log}");
    assert!(log.contains("has not turned for"), "{log}");

    // and the charge is made by the other one, once
    balance_becomes(&stack, account, "9.76")?;
    meters.iter().for_each(|meter| meter.set(STUCK, "300"));
    restart_meters(&stack)?;
    balance_becomes(&stack, account, "9.76")
}
