//! How soon a charge is seen: in the balance and in an answer from ClickHouse while 1,000 events/s go through, and in the
//! balance at half of what the whole path carries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use hdrhistogram::Histogram;

use crate::{
    feed,
    goal::Offered,
    load::{self, Connection, Load, Outcome},
    report::Report,
    stack::{Bench, Service},
    visible::{self, Probing, Sight, seq},
};

const ACCOUNTS: usize = 1_000;
const RATE: f64 = 1_000.0;
/// Each asks five times a second, and a search costs ClickHouse 20 to 30 ms of a core: more of them measure themselves.
const PROBES: usize = 2;
const SEEN_WAIT: Duration = Duration::from_secs(30);
/// At half load: probes a second, by a schedule, each of an account that has none under way.
const HALF_PROBES_RATE: f64 = 20.0;
const HALF_PROBE_ACCOUNTS: usize = 600;
const HALF_BATCH: usize = 100;
const HALF_CONNECTIONS: usize = 32;
/// Keeps the operation ids of the half load's rounds apart from the others'.
const HALF_RUNS: u32 = 1_000;

/// One load with its probes.
struct Round {
    outcome: Outcome,
    /// 202 to a changed balance, microseconds.
    balance: Histogram<u64>,
    /// 202 to an answer out of ClickHouse, microseconds.
    store: Histogram<u64>,
    query_rss_mib: f64,
}

/// `rounds` of a share of the seconds each, so that the figures have a spread; then as many at `half_rate`.
pub(crate) async fn run(
    bench: &Bench,
    report: &mut Report,
    half_rate: f64,
    rounds: u32,
    seconds: u64,
) -> anyhow::Result<()> {
    let space = bench.space("fresh")?;
    feed::prepare(&space, ACCOUNTS + HALF_PROBE_ACCOUNTS)?;
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
    let mut halves = Vec::new();
    for round in 0..rounds {
        halves.push(half(&addresses, round, half_rate, Duration::from_secs(seconds)).await?);
    }
    space.verified()?;
    figures(report, &done, seconds, rest);
    half_figures(report, &halves, half_rate, seconds);
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
    report.add(
        "rss_query",
        "MiB",
        &memory,
        format!("{conditions}, {} accounts; at rest {rest:.0} MiB", ACCOUNTS + HALF_PROBE_ACCOUNTS),
    );
}

/// The balance beside a load of half of what the path carries.
async fn half(
    addresses: &(String, String, String),
    round: u32,
    rate: f64,
    duration: Duration,
) -> anyhow::Result<(Outcome, Sight)> {
    let (ingest, query, key) = addresses;
    let probing = Probing {
        ingest: ingest.clone(),
        query: query.clone(),
        key: key.clone(),
        rate: HALF_PROBES_RATE,
        duration,
        first_account: ACCOUNTS,
        accounts: HALF_PROBE_ACCOUNTS,
        run: HALF_RUNS + 2 * round + 1,
    };
    visible::known(&probing).await?;
    let load = Load {
        address: ingest.clone(),
        key: key.clone(),
        batch: HALF_BATCH,
        accounts: ACCOUNTS,
        connections: HALF_CONNECTIONS,
        rate: Some(rate),
        duration,
        run: HALF_RUNS + 2 * round,
        recent: None,
    };
    let background = tokio::spawn(async move { load::send(&load).await });
    let sight = visible::sight(probing).await?;
    Ok((background.await??, sight))
}

fn half_figures(report: &mut Report, rounds: &[(Outcome, Sight)], rate: f64, seconds: u64) {
    let least = rounds.iter().map(|(outcome, _)| outcome.rate()).fold(f64::INFINITY, f64::min);
    let offered = Offered { rate, held: rounds.iter().all(|(outcome, _)| outcome.held(rate)) };
    let probes: u64 = rounds.iter().map(|(_, sight)| sight.visible.len()).sum();
    let values = |value: &dyn Fn(&(Outcome, Sight)) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let worst = |quantile| values(&|(_, sight)| ms(&sight.since_due, quantile)).into_iter().fold(0.0, f64::max);
    let load =
        format!("{rate:.0} events/s in batches of {HALF_BATCH} offered, at least {least:.0}/s, {seconds} s, verified");
    let seen = format!(
        "{load}, 202 -> balance changed, {probes} probes, {HALF_PROBES_RATE:.0}/s by a schedule; from when each was due at most p50 {:.1} ms p99 {:.1} ms",
        worst(0.5),
        worst(0.99)
    );
    report.add_offered("ack_half_p99", "ms", &values(&|(outcome, _)| outcome.latency_ms(0.99)), offered, load);
    for (id, quantile) in [("balance_visible_half_p50", 0.5), ("balance_visible_half_p99", 0.99)] {
        report.add_offered(id, "ms", &values(&|(_, sight)| ms(&sight.visible, quantile)), offered, seen.clone());
    }
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
        recent: None,
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
