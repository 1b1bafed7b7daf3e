//! Charges of a past period priced by another book: seen first, posted once whatever breaks, and taken back to nothing.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_schemas::time::{DAY_MS, parse_rfc3339_ms, rfc3339};
use tollbooth_tests::{Answer, Binary, Stack, StackOptions, Victim, usage};

use crate::stage::{PATIENCE, alone, amounts, balance_becomes};

const ACCOUNT: &str = "acc_reprice";

fn post(stack: &Stack, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let url = format!("{}/v1/repricings{path}", stack.api.ingest_url());
    let headers = [("content-type", "application/json")];
    stack.api.request(Method::POST, &url, None, &headers, Some(body.to_string().into_bytes()))
}

fn shown(stack: &Stack, id: &str) -> anyhow::Result<Value> {
    let url = format!("{}/v1/repricings/{id}", stack.api.ingest_url());
    stack.api.request(Method::GET, &url, None, &[], None)?.ok()
}

/// The images at another price, in a book that is not in force.
fn cheaper() -> anyhow::Result<Value> {
    let mut book = usage::price_book()?;
    book["version"] = json!(2);
    book["effective_from"] = json!("2199-01-01T00:00:00Z");
    let rows = book["prices"].as_array_mut().into_iter().flatten();
    for row in rows.filter(|row| row["service"] == "ai_modify") {
        row["plans"] = json!({"payg": "0.10"});
        row.as_object_mut().map(|row| row.remove("tiers"));
        row["model"] = json!("per_unit");
    }
    Ok(book)
}

/// Asks again and again, as whoever was interrupted does, until all were tried and nothing is pending.
fn run(stack: &Stack, id: &str, verb: &str, digest: &str, limit: usize) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut after = Value::Null;
    stack.wait(&format!("{verb} of {id}"), PATIENCE * 2, || {
        let answer = post(stack, &format!("/{id}/{verb}"), &json!({"digest": digest, "limit": limit, "after": after}));
        let body = answer.ok()?.ok().ok()?;
        if body["counts"]["pending"].is_u64() {
            return None;
        }
        for (outcome, count) in body["counts"].as_object()? {
            *counts.entry(outcome.clone()).or_default() += count.as_u64()?;
        }
        after = body["next_after"].clone();
        after.is_null().then_some(())
    })?;
    Ok(counts)
}

fn verified(stack: &Stack) -> anyhow::Result<Value> {
    let verify = stack.tool("verify", Binary::Audit, &["verify", "--json"])?;
    verify.start()?;
    verify.wait(PATIENCE * 3)?;
    let report: Value = serde_json::from_str(&stack.output("verify"))?;
    assert_eq!(report["ok"], true, "{report:#}");
    Ok(report)
}

fn state_becomes(stack: &Stack, id: &str, state: &str) -> anyhow::Result<Value> {
    stack.wait(&format!("{id} to be {state}"), PATIENCE, || {
        shown(stack, id).ok().filter(|shown| shown["state"] == state)
    })
}

#[test]
fn what_was_seen_is_posted_once_and_taken_back_to_nothing() -> anyhow::Result<()> {
    // given seven charges, one of which was given back in part, and failed work
    let _turn = alone();
    let stack = Stack::start(&StackOptions { name: "reprice", kafka_heap_mb: 512, stores: [false; 2] })?;
    stack.api.publish(&usage::price_book()?)?.ok()?;
    stack.api.publish(&cheaper()?)?.ok()?;
    stack.api.open_account(ACCOUNT, Some("10.00"))?;
    let now_ms = parse_rfc3339_ms(usage::event(ACCOUNT, "op_0")["time"].as_str().unwrap_or_default()).unwrap_or(0);
    let day = |shift: i64| rfc3339(now_ms + shift * DAY_MS);
    let events: Vec<Value> = (1..=7).map(|number| usage::event(ACCOUNT, &format!("op_{number}"))).collect();
    stack.api.send(&events)?;
    stack.api.send(&[usage::failed(usage::event(ACCOUNT, "op_failed"), 1)])?;
    balance_becomes(&stack, ACCOUNT, "8.32")?;
    stack.wait_sunk(PATIENCE)?;
    let charge = stack.api.transactions(ACCOUNT)?.into_iter().find(|entry| entry["operation_id"] == "op_1");
    let charge = charge.unwrap_or_default()["entry_id"].clone();
    let refund = json!({"entry_id": charge, "amount": "0.01", "reason": "blurred"});
    stack.api.command(&format!("/v1/accounts/{ACCOUNT}/refunds"), "r-1", &refund)?.ok()?;
    stack.wait_sunk(PATIENCE)?;

    // when it is previewed
    let period = json!({"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z", "price_version": 2});
    assert_eq!(post(&stack, "", &period)?.ok()?["accounts"], json!([]), "nothing was done then");
    let asked = json!({"accounts": [ACCOUNT], "from": day(-40), "to": day(1), "price_version": 2});
    let preview = post(&stack, "", &asked)?.ok()?;
    let line = &preview["accounts"][0]["lines"][0];
    assert_eq!((&preview["changes"], &line["changes"]), (&json!(6), &json!(6)), "{preview:#}");
    let sums = ["was", "would_be", "difference"].map(|name| line[name]["amount"].clone());
    assert_eq!(sums, ["1.44", "0.60", "-0.84"].map(|sum| json!(sum)), "{preview:#}");
    assert_eq!(line["left_out"], json!({"refunded": 1}), "{preview:#}");
    let (id, digest) = (preview["repricing_id"].as_str().unwrap_or_default(), preview["digest"].as_str().unwrap_or(""));
    balance_becomes(&stack, ACCOUNT, "8.33")?;

    // and a charge changes before it is applied
    let second = stack.api.transactions(ACCOUNT)?.into_iter().find(|entry| entry["operation_id"] == "op_2");
    let refund = json!({"entry_id": second.unwrap_or_default()["entry_id"], "reason": "blurred"});
    stack.api.command(&format!("/v1/accounts/{ACCOUNT}/refunds"), "r-2", &refund)?.ok()?;
    let other = post(&stack, &format!("/{id}/apply"), &json!({"digest": "0"}))?;
    assert_eq!((other.status, &other.body["code"]), (409, &json!("preview_differs")), "{}", other.body);

    // when it is applied, and the meters die in the middle of it, and ingest behind them
    let first = post(&stack, &format!("/{id}/apply"), &json!({"digest": digest, "limit": 3}))?.ok()?;
    assert_eq!(first["counts"], json!({"left_out": 1, "posted": 2}), "{first}");
    assert_eq!(first["results"][0]["reason"], "charge_refunded", "{first}");
    assert!(first["next_after"].is_string(), "{first}");
    let applying = shown(&stack, id)?;
    assert_eq!((&applying["state"], &applying["next_after"]), (&json!("applying"), &first["next_after"]));
    // who passes over the rest does not come to the end
    let passed = json!({"digest": digest, "after": format!("{ACCOUNT}/{}", u64::MAX)});
    assert_eq!(post(&stack, &format!("/{id}/apply"), &passed)?.ok()?["counts"], json!({}));
    assert_eq!(shown(&stack, id)?["state"], "applying");
    for index in [0, 1] {
        stack.kill(Victim::Meter(index))?;
    }
    let pending = post(&stack, &format!("/{id}/apply"), &json!({"digest": digest, "after": first["next_after"]}))?;
    let pending = pending.ok()?;
    assert_eq!((&pending["counts"], &pending["next_after"]), (&json!({"pending": 3}), &first["next_after"]));
    stack.kill(Victim::Ingest)?;
    stack.heal()?;
    // and whoever was interrupted begins once more, from the beginning
    let counts = run(&stack, id, "apply", digest, 4)?;
    // then each was posted once: what was pending had been carried out, or is now
    assert_eq!(counts.get("left_out"), Some(&1), "{counts:?}");
    assert_eq!(counts.values().sum::<u64>(), 6, "{counts:?}");
    // 8.33, the second refund, five times 0.14
    balance_becomes(&stack, ACCOUNT, "9.27")?;
    stack.wait_sunk(PATIENCE)?;
    let applied = state_becomes(&stack, id, "applied")?;
    assert_eq!((&applied["applied"], &applied["accounts"][0]["posted"]["amount"]), (&json!(5), &json!("0.70")));
    let again = run(&stack, id, "apply", digest, 500)?;
    assert_eq!(again, BTreeMap::from([("already_posted".to_owned(), 5), ("left_out".to_owned(), 1)]));
    // each in its own pair, which the read side tells apart and names the charge
    let transactions = stack.api.transactions(ACCOUNT)?;
    assert_eq!(amounts(&transactions, "repriced").len(), 5);
    assert_eq!(amounts(&transactions, "reversal").len(), 5);
    let anew = transactions.iter().find(|entry| entry["type"] == "repriced").cloned().unwrap_or_default();
    let entry_id = anew["entry_id"].as_str().unwrap_or_default();
    let detail = stack.api.read(&format!("{ACCOUNT}/transactions/{entry_id}"))?.ok()?;
    assert_eq!((&detail["note"], &detail["reason"]), (&json!(id), &json!("repricing")), "{detail:#}");
    assert!(detail["original_entry_id"].is_string() && detail["explanation"].is_string(), "{detail:#}");
    // and the booth that sends all of it again pays nothing
    stack.api.send(&events)?;
    stack.wait_metered(PATIENCE)?;
    stack.wait_sunk(PATIENCE)?;
    verified(&stack)?;

    // when it is taken back, interrupted as well, and whoever goes on does not wait for ClickHouse
    stack.kill(Victim::Meter(0))?;
    drop(post(&stack, &format!("/{id}/undo"), &json!({"digest": digest, "limit": 2}))?);
    stack.heal()?;
    run(&stack, id, "undo", digest, 2)?;
    // then it is as if nothing had been
    balance_becomes(&stack, ACCOUNT, "8.57")?;
    stack.wait_sunk(PATIENCE)?;
    let undone = state_becomes(&stack, id, "undone")?;
    assert_eq!((&undone["undone"], &undone["accounts"][0]["posted"]["amount"]), (&json!(5), &json!("0.00")));
    assert_eq!(post(&stack, &format!("/{id}/apply"), &json!({"digest": digest}))?.status, 409);
    let usage = stack.api.read(&format!("{ACCOUNT}/usage?from={}&to={}&bucket=day", day(-2), day(2)))?.ok()?;
    // six charges are left: one of them with 0.01 given back
    assert_eq!((&usage["total"]["count"], &usage["total"]["quantity"]), (&json!(6), &json!("6")), "{usage:#}");
    assert_eq!(usage["total"]["amount"]["amount"], "1.43", "{usage:#}");
    let report = verified(&stack)?;
    assert!(report["checked"]["repriced"].as_u64() >= Some(17), "{report:#}");
    Ok(())
}
