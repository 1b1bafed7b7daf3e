//! Records that overtake each other on the way to the meter.

use prost::Message as _;
use serde_json::json;
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1;
use tollbooth_tests::usage::{self, now_ms};
use tollbooth_tests::{Log, Stack, Victim};

use crate::stage::{PATIENCE, alone, balance_becomes, shared, write};

/// The command that opens an account, as ingest writes it, with nobody waiting for a reply.
fn opening(account: &str) -> Vec<u8> {
    let command = v1::Command {
        account_id: account.to_owned(),
        idempotency_key: format!("open:{account}"),
        body_hash: vec![0; 16],
        actor: "key_test".to_owned(),
        received_at_ms: now_ms(),
        reply_to: String::new(),
        correlation_id: String::new(),
        body: Some(v1::command::Body::OpenAccount(v1::OpenAccount {
            name: "Race".to_owned(),
            plan: "payg".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "Etc/UTC".to_owned(),
            occurred_at_ms: None,
        })),
    };
    command.encode_to_vec()
}

fn write_opening(stack: &Stack, producer: &rdkafka::producer::FutureProducer, account: &str) -> anyhow::Result<()> {
    let topic = stack.log.topics.commands();
    let record = (Vec::new(), opening(account));
    stack.block_on(Log::write(producer, &topic, None, Some(account), record)).map(drop)
}

#[test]
fn usage_right_behind_the_opening_of_its_account_is_charged() -> anyhow::Result<()> {
    // given a producer
    let stack = shared();
    let producer = stack.log.producer()?;

    // when accounts are opened and used at once, the command acknowledged first each time
    let accounts: Vec<String> = (0..40).map(|number| format!("acc_race_{number}")).collect();
    for account in &accounts {
        write_opening(&stack, &producer, account)?;
        write(&stack, &producer, account, usage::structured(&usage::event(account, "op_race")))?;
    }

    // then no meter took the usage for that of an unknown account, whichever topic it read first
    for account in &accounts {
        balance_becomes(&stack, account, "-0.24")?;
    }
    Ok(())
}

#[test]
fn usage_that_was_sent_before_the_opening_is_charged_while_nobody_has_read_it() -> anyhow::Result<()> {
    // given meters that are down
    let stack = alone();
    let producer = stack.log.producer()?;
    for index in [0, 1] {
        stack.kill(Victim::Meter(index))?;
    }

    // when usage is written, and the opening of its account only after it
    let account = "acc_late_opening";
    write(&stack, &producer, account, usage::structured(&usage::event(account, "op_early")))?;
    write_opening(&stack, &producer, account)?;
    for index in [0, 1] {
        stack.restart(Victim::Meter(index))?;
    }
    stack.wait_all_ready()?;

    // then the command that lies ahead in its topic counts
    balance_becomes(&stack, account, "-0.24")
}

#[test]
fn a_price_published_just_before_the_event_is_used() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_new_engine";
    stack.api.open_account(account, Some("10.00"))?;

    // when a book with a new engine is published and the engine used at once
    let mut book = usage::price_book()?;
    let from_ms = now_ms();
    book["version"] = json!(2);
    book["effective_from"] = json!(rfc3339(from_ms));
    book["engines"].as_array_mut().unwrap().push(json!({ "code": "fresh_paint", "name": "Fresh Paint" }));
    book["prices"].as_array_mut().unwrap().push(json!({
        "service": "ai_modify", "engine": "fresh_paint", "unit": "image", "model": "per_unit",
        "plans": { "payg": "0.50", "basic": "0.50", "pro": "0.50" },
    }));
    stack.api.publish(&book)?.ok()?;
    let event = usage::with_data(usage::event(account, "op_fresh"), &json!({ "engine": "fresh_paint" }));
    stack.api.send(&[event])?;

    // then it has that price, and the entry says which book it came from
    balance_becomes(&stack, account, "9.50")?;
    assert_eq!(stack.api.transactions(account)?[0]["price_version"], 2);
    // and a version that is published is never replaced
    book["prices"].as_array_mut().unwrap().pop();
    let answer = stack.wait("an answer", PATIENCE, || stack.api.publish(&book).ok())?;
    assert_eq!(answer.status, 409, "{answer:?}");
    Ok(())
}
