//! How soon a charge is seen, while 1,000 events/s go through: in the balance, and in an answer from ClickHouse.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use hdrhistogram::Histogram;

use crate::{
    feed,
    load::{self, Connection, Load, Outcome},
    report::Report,
    stack::{Bench, Service},
};

const ACCOUNTS: usize = 1_000;
const RATE: f64 = 1_000.0;
/// Each asks five times a second, and a search costs ClickHouse 20 to 30 ms of a core: more of them measure themselves.
const PROBES: usize = 2;
const SEEN_WAIT: Duration = Duration::from_secs(30);

/// One load with its probes.
struct Round {
    outcome: Outcome,
    /// 202 to a changed balance, microseconds.
    balance: Histogram<u64>,
    /// 202 to an answer out of ClickHouse, microseconds.
    store: Histogram<u64>,
    query_rss_mib: f64,
}

/// `rounds` of a share of the seconds each, so that the figures have a spread.
pub(crate) async fn run(bench: &Bench, report: &mut Report, rounds: u32, seconds: u64) -> anyhow::Result<()> {
    let space = bench.space("fresh")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, ingest_address) = space.ingest()?;
    let (query, query_address) = space.query()?;
    let rest = query.rss_mib();
    let seconds = (seconds / u64::from(rounds.max(1))).max(1);
    let addresses = Arc::new((ingest_address, query_address, bench.admin_key.clone()));
    let mut done = Vec::new();
    for round in 0..rounds {
        done.push(measure(&addresses, &query, round, Duration::from_secs(seconds)).await?);
    }
    space.verified()?;
    figures(report, &done, seconds, rest);
    query.stop();
    ingest.stop();
    meter.stop();
    Ok(())
}

fn figures(report: &mut Report, rounds: &[Round], seconds: u64, rest: f64) {
    let least = rounds.iter().map(|round| round.outcome.rate()).fold(f64::INFINITY, f64::min);
    let held = rounds.iter().all(|round| round.outcome.held(RATE));
    let conditions =
        format!("{RATE:.0} events/s in batches of 10 offered, at least {least:.0}/s, {seconds} s, verified");
    let mut add = |id: &'static str, what: &str, value: &dyn Fn(&Round) -> f64| {
        let values: Vec<f64> = rounds.iter().map(value).collect();
        report.add_at_rate(id, "ms", &values, held, format!("{conditions}, {what}"));
    };
    add("ack_p99", "open loop, request to 202", &|round| round.outcome.latency_ms(0.99));
    let probes = |of: fn(&Round) -> &Histogram<u64>| rounds.iter().map(|round| of(round).len()).sum::<u64>();
    let seen = format!("202 -> balance changed, {} probes", probes(|round| &round.balance));
    add("balance_visible_p50", &seen, &|round| ms(&round.balance, 0.5));
    add("balance_visible_p99", &seen, &|round| ms(&round.balance, 0.99));
    let seen = format!("202 -> found by a search in ClickHouse, {} probes", probes(|round| &round.store));
    add("query_fresh_p50", &seen, &|round| ms(&round.store, 0.5));
    add("query_fresh_p99", &seen, &|round| ms(&round.store, 0.99));
    let memory: Vec<f64> = rounds.iter().map(|round| round.query_rss_mib).collect();
    report.add("rss_query", "MiB", &memory, format!("{conditions}, {ACCOUNTS} accounts; at rest {rest:.0} MiB"));
}

#[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

async fn measure(
    addresses: &Arc<(String, String, String)>,
    query: &Service,
    round: u32,
    duration: Duration,
) -> anyhow::Result<Round> {
    let (ingest_address, _, key) = &**addresses;
    let load = Load {
        address: ingest_address.clone(),
        key: key.clone(),
        batch: 10,
        accounts: ACCOUNTS - PROBES,
        connections: 16,
        rate: Some(RATE),
        duration,
        run: 2 * round,
    };
    let background = tokio::spawn(async move { load::send(&load).await });
    let until = Instant::now() + duration;
    let probes: Vec<_> = (0..PROBES)
        .map(|probe| tokio::spawn(probe_account(Arc::clone(addresses), probe, 2 * round + 1, until)))
        .collect();
    let (mut balance, mut store) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for probe in probes {
        let (own_balance, own_store) = probe.await??;
        balance.add(own_balance)?;
        store.add(own_store)?;
    }
    let outcome = background.await??;
    Ok(Round { outcome, balance, store, query_rss_mib: query.rss_mib() })
}

/// Charges an account of its own again and again, and waits each time until it shows.
async fn probe_account(
    addresses: Arc<(String, String, String)>,
    probe: usize,
    run: u32,
    until: Instant,
) -> anyhow::Result<(Histogram<u64>, Histogram<u64>)> {
    let (ingest_address, query, key) = &*addresses;
    let mut query = Connection::open(query, key).await?;
    let account_id = feed::account_id(ACCOUNTS - 1 - probe);
    let balance_path = format!("/v1/accounts/{account_id}/balance");
    let (mut balance, mut store) = (Histogram::new(3)?, Histogram::new(3)?);
    let mut body = String::new();
    let mut number = probe;
    while Instant::now() < until {
        let before = query.get(&balance_path).await?;
        // A connection that idles while a charge is waited for is closed by the other side.
        let mut ingest = Connection::open(ingest_address, key).await?;
        number += PROBES;
        body.clear();
        feed::usage_event(&mut body, &account_id, run, number, chrono::Utc::now().timestamp_millis());
        let operation =
            body.split("\"operation_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let search = format!("/v1/accounts/{account_id}/transactions?q={operation}&limit=1");
        ingest.post("/v1/events", "application/cloudevents+json", body.as_bytes()).await?;
        let acknowledged = Instant::now();
        // The account's own: the parts of a balance name entries, too.
        let seq = |answer: &str| {
            let body: serde_json::Value = serde_json::from_str(answer.get(answer.find('{')?..)?).ok()?;
            body["seq"].as_u64()
        };
        let elapsed = wait(&mut query, &balance_path, Duration::from_millis(2), acknowledged, |answer| {
            seq(answer) > seq(&before)
        })
        .await?;
        balance.record(elapsed)?;
        let elapsed =
            wait(&mut query, &search, Duration::from_millis(200), acknowledged, |answer| answer.contains("\"seq\":"))
                .await?;
        store.record(elapsed)?;
    }
    Ok((balance, store))
}

/// Asks until it shows; microseconds since `since`.
async fn wait(
    query: &mut Connection,
    path: &str,
    every: Duration,
    since: Instant,
    shows: impl Fn(&str) -> bool,
) -> anyhow::Result<u64> {
    loop {
        let answer = query.get(path).await?;
        if shows(&answer) {
            return Ok(u64::try_from(since.elapsed().as_micros())?);
        }
        if since.elapsed() > SEEN_WAIT {
            bail!("{path} does not show it within {SEEN_WAIT:?}: {answer}");
        }
        tokio::time::sleep(every).await;
    }
}
