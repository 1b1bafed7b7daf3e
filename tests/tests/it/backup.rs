//! The life of an installation: copied to files, lost, brought back on other engines, spread over more partitions.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_schemas::topics::TopicSet;
use tollbooth_tests::{Binary, Log, Stack, StackOptions, Victim, usage};

use crate::stage::{PATIENCE, alone, amounts, balance_becomes, pair};

const ACCOUNT: &str = "acc_kept";
const APPROVES: &str = "4242424242424242";

fn options(name: &'static str) -> StackOptions {
    StackOptions { name, kafka_heap_mb: 512, stores: [false; 2] }
}

fn pixie(operation: &str) -> Value {
    usage::with_data(usage::event(ACCOUNT, operation), &json!({"engine": "pixie"}))
}

/// Runs the meter's program; what it printed.
fn meter(stack: &Stack, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let tool = stack.tool(name, Binary::Meter, arguments)?;
    tool.start()?;
    let status = tool.wait(PATIENCE * 3)?;
    ensure!(status.success(), "{arguments:?} ended with {status}\n{}", tool.log_tail());
    Ok(stack.output(name))
}

/// The number in front of such words of a report.
fn number(report: &str, before: &str) -> anyhow::Result<u64> {
    let (head, _) = report.split_once(before).with_context(|| format!("{before:?} in {report}"))?;
    let digits = head.rsplit(|found: char| !found.is_ascii_digit()).next();
    Ok(digits.unwrap_or_default().parse()?)
}

fn verified(stack: &Stack) -> anyhow::Result<Value> {
    stack.wait_metered(PATIENCE)?;
    stack.wait_sunk(PATIENCE)?;
    let report: Value = serde_json::from_str(&meter(stack, "verify", &["verify", "--json"])?)?;
    assert_eq!((&report["ok"], &report["drift"]), (&json!(true), &json!("0")), "{report:#}");
    Ok(report)
}

fn redrive(stack: &Stack, body: &Value) -> anyhow::Result<Value> {
    let url = format!("{}/v1/dead-letters/redrive", stack.api.ingest_url());
    let headers = [("content-type", "application/json")];
    stack.api.request(Method::POST, &url, None, &headers, Some(body.to_string().into_bytes()))?.ok()
}

/// The price book with the engine that the letters lack.
fn with_pixie(version: u32) -> anyhow::Result<Value> {
    let mut book = usage::price_book()?;
    book["version"] = json!(version);
    let add = |list: &mut Value, row: Value| list.as_array_mut().map(|rows| rows.push(row));
    add(&mut book["engines"], json!({"code": "pixie", "name": "Pixie"}));
    let price = json!({"service": "ai_modify", "engine": "pixie", "unit": "image", "model": "per_unit"});
    let mut price = price;
    price["plans"] = json!({"payg": "0.50"});
    add(&mut book["prices"], price);
    Ok(book)
}

fn seqs(stack: &Stack) -> anyhow::Result<Vec<u64>> {
    let path = format!("{ACCOUNT}/transactions?include=all&limit=100");
    let page = stack.api.read(&path)?.ok()?;
    let rows = page["data"].as_array().context("a page")?;
    Ok(rows.iter().filter_map(|row| row["seq"].as_u64()).collect())
}

fn refund(stack: &Stack) -> anyhow::Result<()> {
    stack.wait_sunk(PATIENCE)?;
    let entries = stack.api.transactions(ACCOUNT)?;
    let charge = entries.iter().find(|entry| entry["type"] == "consume").context("a charge")?;
    let body = json!({"entry_id": format!("ent_{ACCOUNT}_{}", charge["seq"]), "reason": "blurred", "note": ""});
    stack.api.command(&format!("/v1/accounts/{ACCOUNT}/refunds"), "r-1", &body)?.ok().map(drop)
}

/// Usage, a purchase, a refund, letters that wait for a price, usage that no meter has seen; backed up twice into `place`.
fn live_and_back_up(place: &str) -> anyhow::Result<()> {
    let stack = Stack::start(&options("backup"))?;
    stack.api.publish(&usage::price_book()?)?.ok()?;
    stack.api.open_account(ACCOUNT, Some("10.00"))?;
    let path = format!("/v1/accounts/{ACCOUNT}/purchases");
    stack.api.command(&path, "p-1", &json!({"amount": "50.00", "payment_method": APPROVES}))?.ok()?;
    stack.api.send(&[usage::event(ACCOUNT, "op_1"), pixie("op_letter"), pixie("op_open")])?;
    balance_becomes(&stack, ACCOUNT, "59.76")?;
    refund(&stack)?;
    let first = meter(&stack, "backup-1", &["backup", "--to", place])?;

    stack.api.send(&[usage::event(ACCOUNT, "op_2")])?;
    balance_becomes(&stack, ACCOUNT, "59.76")?;
    stack.wait_metered(PATIENCE)?;
    for index in [0, 1] {
        stack.kill(Victim::Meter(index))?;
    }
    stack.api.send(&[usage::event(ACCOUNT, "op_2"), usage::event(ACCOUNT, "op_waiting")])?;
    let second = meter(&stack, "backup-2", &["backup", "--to", place])?;
    // Of the second one only what came since was written.
    let (all, new) = (number(&second, " bytes,")?, number(&second, " of them new")?);
    assert_eq!(number(&first, " bytes,")?, number(&first, " of them new")?, "{first}");
    assert!(new < all, "{second}");
    assert!(number(&second, ", outbox")? > number(&first, ", outbox")?, "entries: {first}{second}");
    Ok(())
}

/// On engines that never saw the installation: not with the old generation, and then as it was.
fn restored(place: &str) -> anyhow::Result<Stack> {
    let stack = Stack::prepare(&options("restored"), 1)?;
    let whole = meter(&stack, "check", &["restore", "--from", place, "--check"])?;
    assert!(whole.contains("is whole"), "{whole}");
    // when the restore dies on its way, no meter starts on the half of it
    fs::write(stack.crash_dir().join("restore.in_transaction"), "kill")?;
    let dying = stack.tool("dying", Binary::Meter, &["restore", "--from", place])?;
    dying.set("TOLLBOOTH_CRASH_DIR", stack.crash_dir().display().to_string());
    dying.start()?;
    assert!(!dying.wait(PATIENCE)?.success(), "{}", dying.log_tail());
    let told = meter(&stack, "restore", &["restore", "--from", place])?;
    assert!(told.contains("input_generation = 1"), "{told}");
    assert!(meter(&stack, "again", &["restore", "--from", place])?.contains("restored before"));

    // when a meter is started as before, then it says what to set
    let meter_a = &stack.meters[0];
    meter_a.start()?;
    assert!(!meter_a.wait(PATIENCE)?.success());
    let log = meter_a.log_tail();
    assert!(log.contains("Set input_generation = 1"), "{log}");
    stack.set_everywhere("TOLLBOOTH_METER__INPUT_GENERATION", "1");
    stack.run()?;
    Ok(stack)
}

/// The same files spread over other partitions, beside the topics of before.
fn rekeyed(mut stack: Stack, place: &str) -> anyhow::Result<Stack> {
    stack.stop_services()?;
    meter(&stack, "backup-3", &["backup", "--to", place])?;
    let topics = TopicSet { prefix: "wide.".to_owned(), partitions: 12 };
    for service in ["METER", "INGEST", "QUERY"] {
        stack.set_everywhere(&format!("TOLLBOOTH_{service}__KAFKA__TOPIC_PREFIX"), &topics.prefix);
    }
    for service in ["METER", "INGEST"] {
        stack.set_everywhere(&format!("TOLLBOOTH_{service}__TOPICS__PARTITIONS"), "12");
    }
    stack.set_everywhere("TOLLBOOTH_METER__INPUT_GENERATION", "2");
    stack.set_everywhere("CLICKHOUSE_DATABASE", "wide");
    let refused = meter(&stack, "restore-12", &["restore", "--from", place]).map(drop);
    let refused = format!("{:#}", refused.err().context("another number of partitions was taken")?);
    assert!(refused.contains("--rekey"), "{refused}");
    let told = meter(&stack, "restore-12", &["restore", "--from", place, "--rekey"])?;
    assert!(told.contains("input_generation = 2"), "{told}");
    stack.log = Log::new(stack.log.bootstrap(), topics);
    stack.run()?;
    Ok(stack)
}

#[test]
fn an_installation_is_lost_and_comes_back_and_grows() -> anyhow::Result<()> {
    // given an installation with a past, copied to files, whose engines are gone
    let _turn = alone();
    let folder = tempfile::tempdir()?;
    let at = |name: &str| format!("file://{}", Path::new(folder.path()).join(name).display());
    fs::create_dir_all(folder.path().join("one"))?;
    fs::create_dir_all(folder.path().join("two"))?;
    live_and_back_up(&at("one"))?;

    // when it is restored onto new ones
    let stack = restored(&at("one"))?;
    // then what was acknowledged and not yet charged is charged, and the repeat behind it is not
    balance_becomes(&stack, ACCOUNT, "59.52")?;
    let before = seqs(&stack)?;
    assert_eq!(before, (1..=before.len() as u64).rev().collect::<Vec<_>>());
    // and operations and payments of before are not charged again, while new ones go on behind the last entry
    let path = format!("/v1/accounts/{ACCOUNT}/purchases");
    let bought = stack.api.command(&path, "p-1", &json!({"amount": "50.00", "payment_method": APPROVES}))?.ok()?;
    assert_eq!(bought["replayed"], true, "{bought}");
    let again = ["op_1", "op_2", "op_waiting", "op_new"].map(|operation| usage::event(ACCOUNT, operation));
    stack.api.send(&again)?;
    balance_becomes(&stack, ACCOUNT, "59.28")?;
    assert_eq!(seqs(&stack)?.first(), Some(&(before.len() as u64 + 1)));
    // and a letter of before is told from one of now, and charged once
    stack.api.send(&[pixie("op_later")])?;
    stack.wait_metered(PATIENCE)?;
    stack.api.publish(&with_pixie(2)?)?.ok()?;
    let driven = redrive(&stack, &json!({"reason": "no_price"}))?;
    assert_eq!(driven["counts"], json!({"posted": 3}), "{driven}");
    balance_becomes(&stack, ACCOUNT, "57.78")?;
    let report = verified(&stack)?;
    assert!(report["unchecked"]["source_generation"].as_u64() > Some(0), "{report:#}");

    // when it is spread over twelve partitions
    let stack = rekeyed(stack, &at("two"))?;
    balance_becomes(&stack, ACCOUNT, "57.78")?;
    stack.api.send(&again)?;
    stack.api.send(&[usage::event(ACCOUNT, "op_wide"), pixie("op_letter")])?;
    balance_becomes(&stack, ACCOUNT, "57.54")?;
    // then nothing was charged twice, and the books are in order
    let charges = amounts(&stack.api.transactions(ACCOUNT)?, "consume");
    assert_eq!(charges.iter().filter(|charge| **charge == pair("-0.50", "success")).count(), 3, "{charges:?}");
    let seqs = seqs(&stack)?;
    assert_eq!(seqs, (1..=seqs.len() as u64).rev().collect::<Vec<_>>());
    verified(&stack).map(drop)
}
