//! How soon a charge is seen, while 1,000 events/s go through: in the balance, and in an answer from ClickHouse.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use hdrhistogram::Histogram;

use crate::{
    feed,
    load::{self, Connection, Load},
    report::Report,
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;
const RATE: f64 = 1_000.0;
const PROBES: usize = 8;
const SEEN_WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(bench: &Bench, report: &mut Report, seconds: u64) -> anyhow::Result<()> {
    let space = bench.space("fresh")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, ingest_address) = space.ingest()?;
    let (query, query_address) = space.query()?;
    let rest = query.rss_mib();
    let duration = Duration::from_secs(seconds);
    let key = bench.admin_key.clone();
    let load = Load {
        address: ingest_address.clone(),
        key: key.clone(),
        batch: 10,
        accounts: ACCOUNTS - PROBES,
        connections: 16,
        rate: Some(RATE),
        duration,
        run: 1,
    };
    let background = tokio::spawn(async move { load::send(&load).await });
    let addresses = Arc::new((ingest_address, query_address, key));
    let probes: Vec<_> = (0..PROBES)
        .map(|probe| tokio::spawn(probe_account(Arc::clone(&addresses), probe, Instant::now() + duration)))
        .collect();
    let (mut balance, mut store) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for probe in probes {
        let (own_balance, own_store) = probe.await??;
        balance.add(own_balance)?;
        store.add(own_store)?;
    }
    let outcome = background.await??;
    let conditions = format!("{:.0} events/s in batches of 10, {seconds} s", outcome.rate());
    report.add(
        "ack_p99",
        "ms",
        &[outcome.latency_ms(0.99)],
        format!("{conditions}, open loop, p50 {:.1} ms", outcome.latency_ms(0.5)),
    );
    let ms = |histogram: &Histogram<u64>, quantile: f64| {
        #[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
        let micros = histogram.value_at_quantile(quantile) as f64;
        micros / 1000.0
    };
    let seen =
        |histogram: &Histogram<u64>, what: &str| format!("{conditions}, 202 -> {what}, {} probes", histogram.len());
    report.add("balance_visible_p50", "ms", &[ms(&balance, 0.5)], seen(&balance, "balance changed"));
    report.add("balance_visible_p99", "ms", &[ms(&balance, 0.99)], seen(&balance, "balance changed"));
    report.add("query_fresh_p50", "ms", &[ms(&store, 0.5)], seen(&store, "found by a search in ClickHouse"));
    report.add("query_fresh_p99", "ms", &[ms(&store, 0.99)], seen(&store, "found by a search in ClickHouse"));
    report.add(
        "rss_query",
        "MiB",
        &[query.rss_mib()],
        format!("{conditions}, {ACCOUNTS} accounts; at rest {rest:.0} MiB"),
    );
    query.stop();
    ingest.stop();
    meter.stop();
    Ok(())
}

/// Charges an account of its own again and again, and waits each time until it shows.
async fn probe_account(
    addresses: Arc<(String, String, String)>,
    probe: usize,
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
        let time = tollbooth_schemas::time::rfc3339(chrono::Utc::now().timestamp_millis());
        feed::usage_event(&mut body, &account_id, 2, number, &time);
        let operation =
            body.split("\"operation_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let search = format!("/v1/accounts/{account_id}/transactions?q={operation}&limit=1");
        ingest.post("/v1/events", "application/cloudevents+json", body.as_bytes()).await?;
        let acknowledged = Instant::now();
        let seq = |answer: &str| {
            answer
                .split("\"seq\":")
                .nth(1)
                .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        };
        let elapsed = wait(&mut query, &balance_path, Duration::from_millis(2), acknowledged, |answer| {
            seq(answer) != seq(&before)
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
