//! A new release rolls through the services while booths send and dashboards ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tollbooth_local::free_port;
use tollbooth_tests::{Answer, Binary, Process, Stack, usage};

use crate::stage::{PATIENCE, alone, balance_becomes};

const ACCOUNT: &str = "acc_rolled";
const BATCH: u64 = 20;
/// Of a batch, in millionths: twenty images.
const BATCH_MICROS: u64 = BATCH * 240_000;
const CREDIT_MICROS: u64 = 100_000_000_000;
const PAUSE: Duration = Duration::from_millis(40);
const TRIES_MAX: usize = 500;

/// What clients met.
#[derive(Debug, Default)]
struct Met {
    /// Batches that were acknowledged.
    batches: AtomicU64,
    /// Answers about the balance.
    reads: AtomicU64,
    /// Asked again: of the other replica, or after `Retry-After`.
    again: AtomicU64,
}

/// Asks the replicas in turn, as behind a balancer, until one answers. What is no answer at all, and what says when to come
/// again, is asked again; any other 5xx is an end.
fn ask(met: &Met, first: usize, request: impl Fn(usize) -> anyhow::Result<Answer>) -> anyhow::Result<Answer> {
    for number in 0..TRIES_MAX {
        match request((first + number) % 2) {
            Ok(answer) if answer.status < 500 => return Ok(answer),
            Ok(answer) if answer.status != 503 || answer.retry_after.is_none() => {
                bail!("a 5xx without Retry-After: {answer:?}")
            }
            Ok(_) | Err(_) => met.again.fetch_add(1, Ordering::Relaxed),
        };
        thread::sleep(PAUSE);
    }
    bail!("nobody answered {TRIES_MAX} times")
}

fn send(stack: &Stack, urls: &[String; 2], met: &Met, over: &AtomicBool) -> anyhow::Result<()> {
    let headers = [("content-type", "application/cloudevents-batch+json")];
    while !over.load(Ordering::Relaxed) {
        let number = met.batches.load(Ordering::Relaxed);
        let event = |index| usage::event(ACCOUNT, &format!("op_{number}_{index}"));
        let body = serde_json::to_vec(&(0..BATCH).map(event).collect::<Vec<Value>>())?;
        // A batch of which a part was refused for now is sent again, whole.
        loop {
            let answer = ask(met, usize::try_from(number)?, |index| {
                let url = format!("{}/v1/events", urls[index]);
                stack.api.request(Method::POST, &url, None, &headers, Some(body.clone()))
            })?;
            if answer.status == 202 && answer.body["accepted"] == json!(BATCH) {
                break;
            }
            let later = answer.body["rejected"].as_array().context("no batch's answer")?;
            anyhow::ensure!(later.iter().all(|one| one["problem"]["status"] == 503), "refused: {answer:?}");
        }
        met.batches.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn read(stack: &Stack, urls: &[String; 2], met: &Met, over: &AtomicBool) -> anyhow::Result<()> {
    while !over.load(Ordering::Relaxed) {
        let number = met.reads.fetch_add(1, Ordering::Relaxed);
        let answer = ask(met, usize::try_from(number)?, |index| {
            let url = format!("{}/v1/accounts/{ACCOUNT}/balance", urls[index]);
            stack.api.request(Method::GET, &url, None, &[], None)
        })?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// One process ends in order and its successor is ready.
fn replace(stack: &Stack, process: &Process) -> anyhow::Result<()> {
    let status = process.stop(PATIENCE * 2)?;
    anyhow::ensure!(status.success(), "{} ended with {status}\n{}", process.name(), process.log_tail());
    process.start()?;
    stack.wait_ready(process)
}

/// A second replica of ingest or query.
fn second(stack: &Stack, name: &str, binary: Binary, service: &str) -> anyhow::Result<(Process, String)> {
    let (listen, ops) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
    let process = stack.tool(name, binary, &["serve"])?;
    process.set(&format!("TOLLBOOTH_{service}__LISTEN"), &listen);
    if binary == Binary::Ingest {
        process.set("TOLLBOOTH_INGEST__TOPICS__PARTITIONS", "8");
        process.set("TOLLBOOTH_INGEST__TOPICS__REPLICATION", "1");
        process.set("TOLLBOOTH_INGEST__PURCHASES__PROVIDER", "sandbox");
    }
    let process = process.with_ops(&format!("TOLLBOOTH_{service}__OPS_LISTEN"), ops);
    process.start()?;
    stack.wait_ready(&process)?;
    Ok((process, format!("http://{listen}")))
}

#[test]
fn every_service_is_replaced_under_load_and_nobody_is_told_of_an_error() -> anyhow::Result<()> {
    // given two ingest and two query behind one address, two meters, booths that send and a dashboard that asks
    let stack = alone();
    stack.api.open_account(ACCOUNT, Some("100000.00"))?;
    balance_becomes(&stack, ACCOUNT, "100000.00")?;
    let (ingest, ingest_url) = second(&stack, "ingest-b", Binary::Ingest, "INGEST")?;
    let (query, query_url) = second(&stack, "query-b", Binary::Query, "QUERY")?;
    let ingests = [stack.api.ingest_url().to_owned(), ingest_url];
    let queries = [stack.api.query_url().to_owned(), query_url];
    let (met, over) = (Met::default(), AtomicBool::new(false));

    // when each process is replaced, one after the other
    let rolled = thread::scope(|scope| {
        let sending = scope.spawn(|| send(&stack, &ingests, &met, &over));
        let reading = scope.spawn(|| read(&stack, &queries, &met, &over));
        let roll = || -> anyhow::Result<()> {
            for process in [&stack.ingest, &ingest, &stack.meters[0], &stack.meters[1]] {
                let before = met.batches.load(Ordering::Relaxed);
                replace(&stack, process)?;
                stack.wait_served()?;
                let more = || (met.batches.load(Ordering::Relaxed) > before + 10).then_some(());
                stack.wait("booths to go on", PATIENCE, more)?;
            }
            for process in [&stack.sink, &stack.effects, &stack.query, &query] {
                replace(&stack, process)?;
            }
            Ok(())
        };
        let rolled = roll();
        over.store(true, Ordering::Relaxed);
        let joined = [sending.join(), reading.join()];
        let clients = joined.into_iter().map(|joined| joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        clients.chain([rolled]).collect::<anyhow::Result<()>>()
    });
    rolled?;

    // then every acknowledged event was charged, once
    let batches = met.batches.load(Ordering::Relaxed);
    assert!(batches > 40 && met.reads.load(Ordering::Relaxed) > 40, "{met:?}");
    let left = CREDIT_MICROS - batches * BATCH_MICROS;
    let (units, cents) = (left / 1_000_000, left % 1_000_000 / 10_000);
    balance_becomes(&stack, ACCOUNT, &format!("{units}.{cents:02}"))
}
