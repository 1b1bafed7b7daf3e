//! Dead letters that are driven again: from a missing price to one charge, whoever asks and whatever breaks.

use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_tests::{Answer, Binary, Stack, StackOptions, Victim, usage};

use crate::stage::{PATIENCE, alone, amounts, balance_becomes, pair};

const ACCOUNT: &str = "acc_redrive";
const LATER: &str = "acc_opened_later";

fn redrive(stack: &Stack, body: &Value) -> anyhow::Result<Answer> {
    let url = format!("{}/v1/dead-letters/redrive", stack.api.ingest_url());
    let headers = [("content-type", "application/json")];
    stack.api.request(Method::POST, &url, None, &headers, Some(body.to_string().into_bytes()))
}

fn dismiss(stack: &Stack, body: &Value) -> anyhow::Result<Answer> {
    let url = format!("{}/v1/dead-letters/dismiss", stack.api.ingest_url());
    let headers = [("content-type", "application/json")];
    stack.api.request(Method::POST, &url, None, &headers, Some(body.to_string().into_bytes()))
}

fn letters(stack: &Stack, path: &str) -> anyhow::Result<Value> {
    let url = format!("{}/v1/dead-letters{path}", stack.api.query_url());
    stack.api.request(Method::GET, &url, None, &[], None)?.ok()
}

/// Waits until so many letters are shown.
fn shown(stack: &Stack, path: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    stack.wait(&format!("{count} letters at {path}"), PATIENCE, || {
        let page = letters(stack, path).ok()?;
        page["data"].as_array().filter(|rows| rows.len() == count).cloned()
    })
}

/// Repeats the request until it is answered as it should be.
fn redriven(stack: &Stack, body: &Value, counts: &Value) -> anyhow::Result<Value> {
    let mut last = None;
    let seen = stack.wait(&format!("{body} to count {counts}"), PATIENCE, || {
        let answer = redrive(stack, body).ok()?;
        last = Some(answer.clone());
        (answer.status == 200 && answer.body["counts"] == *counts).then_some(answer.body)
    });
    seen.map_err(|error| error.context(format!("the last answer was {last:?}")))
}

fn open_of(stack: &Stack, reason: &str) -> Option<String> {
    let text = stack.metrics_text(stack.process(Victim::Meter(0))?)?;
    let name = "tollbooth_dlq_records{";
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(&format!("reason=\"{reason}\"")))?;
    line.rsplit(' ').next().map(str::to_owned)
}

/// The price of `pixie` beside those that are there.
fn with_pixie() -> anyhow::Result<Value> {
    let mut book = usage::price_book()?;
    book["version"] = json!(2);
    let add = |list: &mut Value, row: Value| list.as_array_mut().map(|rows| rows.push(row));
    add(&mut book["engines"], json!({"code": "pixie", "name": "Pixie"}));
    add(
        &mut book["prices"],
        json!({"service": "ai_modify", "engine": "pixie", "unit": "image", "model": "per_unit", "plans": {"payg": "0.50"}}),
    );
    Ok(book)
}

fn verify(stack: &Stack) -> anyhow::Result<Value> {
    let verify = stack.tool("verify", Binary::Audit, &["verify", "--json"])?;
    verify.start()?;
    verify.wait(PATIENCE * 3)?;
    Ok(serde_json::from_str(&stack.output("verify"))?)
}

#[test]
fn a_missing_price_is_published_and_the_letters_are_charged_once() -> anyhow::Result<()> {
    // given usage of an engine without a price, and of an account that nobody opened
    let _turn = alone();
    let stack = Stack::start(&StackOptions { name: "redrive", kafka_heap_mb: 512, stores: [false; 2] })?;
    stack.api.publish(&usage::price_book()?)?.ok()?;
    stack.api.open_account(ACCOUNT, Some("10.00"))?;
    let pixie = |operation: &str| usage::with_data(usage::event(ACCOUNT, operation), &json!({"engine": "pixie"}));
    let events = [pixie("op_1"), pixie("op_2"), pixie("op_3")];
    stack.api.send(&events)?;
    stack.api.send(&[usage::event(LATER, "op_early")])?;
    let rows = shown(&stack, "?reason=no_price", 3)?;
    let first = rows[2]["id"].as_str().unwrap_or_default().to_owned();

    // when one is looked at, it is whole, with the bytes that the booth sent
    let whole = letters(&stack, &format!("/{first}"))?;
    let sent: Value = serde_json::from_str(whole["payload_text"].as_str().unwrap_or_default())?;
    assert_eq!((&sent, &whole["state"]), (&events[0], &json!("open")));

    // and driven again too early, it is refused again and says so
    let answer = redrive(&stack, &json!({"ids": [&first]}))?.ok()?;
    assert_eq!(answer["counts"], json!({"refused": 1}), "{answer}");
    stack.wait("the refusal to be shown", PATIENCE, || {
        let shown = letters(&stack, &format!("/{first}")).ok()?;
        let redrive = &shown["redrive"];
        let holds = redrive["outcome"] == "refused" && redrive["reason"] == "no_price" && redrive["by"] == "key_root";
        (holds && shown["state"] == "open").then_some(())
    })?;
    stack.wait("three open letters in the metrics", PATIENCE, || {
        (open_of(&stack, "no_price").as_deref() == Some("3")).then_some(())
    })?;

    // when the price is published, and the meters die before they can answer
    stack.api.publish(&with_pixie()?)?.ok()?;
    for index in [0, 1] {
        stack.kill(Victim::Meter(index))?;
    }
    let all = json!({"reason": "no_price"});
    let answer = redrive(&stack, &all)?.ok()?;
    assert_eq!(answer["counts"], json!({"pending": 3}), "{answer}");
    stack.heal()?;
    // and two ask at once, for all and for one
    std::thread::scope(|scope| {
        let one = json!({"ids": [&first]});
        let asked: Vec<_> = [all.clone(), one]
            .into_iter()
            .map(|body| {
                scope.spawn({
                    let stack = &stack;
                    move || redrive(stack, &body)
                })
            })
            .collect();
        asked.into_iter().try_for_each(|asked| match asked.join() {
            Ok(answer) => answer.and_then(Answer::ok).map(drop),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;

    // then each is charged once, and closed
    balance_becomes(&stack, ACCOUNT, "8.50")?;
    let closed = shown(&stack, "?state=closed", 3)?;
    assert!(closed.iter().all(|row| row["redrive"]["outcome"] == "posted"), "{closed:?}");
    redriven(&stack, &json!({"ids": [&first]}), &json!({"closed": 1}))?;
    // nothing is left of that reason
    let answer = redriven(&stack, &all, &json!({}))?;
    assert_eq!(answer["open"], 0, "{answer}");
    // and the booth that sends one again pays nothing
    stack.api.send(&events[..1])?;

    // when the other account is opened, its letter is charged, too
    stack.api.open_account(LATER, Some("1.00"))?;
    redriven(&stack, &json!({"reason": "unknown_account"}), &json!({"posted": 1}))?;
    balance_becomes(&stack, LATER, "0.76")?;
    stack.wait("no open letters in the metrics", PATIENCE, || {
        let none = |reason| open_of(&stack, reason).as_deref() == Some("0");
        (none("no_price") && none("unknown_account")).then_some(())
    })?;

    // when what nobody will ever price is dismissed
    let nobody = usage::with_data(usage::event(ACCOUNT, "op_nobody"), &json!({"engine": "nobody"}));
    stack.api.send(&[nobody])?;
    let open = shown(&stack, "?reason=no_price&state=open", 1)?;
    stack.wait("an open letter in the metrics", PATIENCE, || {
        (open_of(&stack, "no_price").as_deref() == Some("1")).then_some(())
    })?;
    let test = json!({"ids": [&open[0]["id"]], "note": "a test of the booth"});
    let answer = stack.wait("the letter to be known to ingest", PATIENCE, || {
        let answer = dismiss(&stack, &test).ok()?.ok().ok()?;
        answer["counts"].get("unknown").is_none().then_some(answer)
    })?;
    assert_eq!(answer["counts"], json!({"dismissed": 1}), "{answer}");
    // then it is closed for whoever asks, also after a restart, and nothing is charged
    stack.wait("no open letter in the metrics", PATIENCE, || {
        (open_of(&stack, "no_price").as_deref() == Some("0")).then_some(())
    })?;
    stack.kill(Victim::Ingest)?;
    stack.heal()?;
    redriven(&stack, &json!({"ids": test["ids"]}), &json!({"closed": 1}))?;
    let id = open[0]["id"].as_str().unwrap_or_default();
    let closed = letters(&stack, &format!("/{id}"))?;
    let redrive = &closed["redrive"];
    assert_eq!((&closed["state"], &redrive["outcome"]), (&json!("closed"), &json!("dismissed")), "{closed}");
    assert_eq!((&redrive["note"], &redrive["by"]), (&test["note"], &json!("key_root")), "{closed}");

    // then the books are in order
    stack.wait_metered(PATIENCE)?;
    stack.wait_sunk(PATIENCE)?;
    let charges = amounts(&stack.api.transactions(ACCOUNT)?, "consume");
    assert_eq!(charges, vec![pair("-0.50", "success"); 3]);
    let entry = stack.api.transactions(ACCOUNT)?[0].clone();
    assert_eq!(entry["occurred_at"], events[2]["time"], "{entry}");
    let report = verify(&stack)?;
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(report["checked"]["redriven"].as_u64() >= Some(5), "{report:#}");
    assert_eq!(report["checked"]["dismissed"], 1, "{report:#}");
    Ok(())
}
