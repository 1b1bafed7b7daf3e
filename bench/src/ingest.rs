//! What ingest takes: events acknowledged by the broker, load generator and broker on the same cores.

use std::time::Duration;

use crate::{
    load::{self, Load, Outcome},
    report::Report,
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;
const SECONDS_MAX: u64 = 15;
/// Open loop: events a request, connections, events a second.
const BATCHES: (usize, usize, f64) = (100, 64, 60_000.0);
const SINGLES: (usize, usize, f64) = (1, 256, 10_000.0);

pub(crate) async fn run(bench: &Bench, report: &mut Report, runs: u32, seconds: u64) -> anyhow::Result<()> {
    let space = bench.space("ingest")?;
    let (ingest, address) = space.ingest()?;
    let duration = Duration::from_secs(seconds.min(SECONDS_MAX));
    let mut loads = 0;
    let mut load = |batch: usize, connections: usize, rate: Option<f64>| {
        loads += 1;
        let (address, key) = (address.clone(), bench.admin_key.clone());
        Load { address, key, batch, accounts: ACCOUNTS, connections, rate, duration, run: loads, recent: None }
    };
    let (mut batches, mut singles) = (Vec::new(), Vec::new());
    let (mut batches_open, mut singles_open) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        batches.push(load::send(&load(100, 16, None)).await?.rate());
        singles.push(load::send(&load(1, 64, None)).await?.rate());
        for ((batch, connections, rate), outcomes) in [(BATCHES, &mut batches_open), (SINGLES, &mut singles_open)] {
            outcomes.push(load::send(&load(batch, connections, Some(rate))).await?);
        }
    }
    let closed = |what: &str| {
        format!("{what}, acks=all, closed loop, {duration:?}, broker and load generator on the same cores")
    };
    report.add("ingest_batch", "events/s", &batches, closed("batches of 100, 16 connections"));
    report.add("ingest_single", "events/s", &singles, closed("one event a request, 64 connections"));
    latencies(report, &batches_open, BATCHES.2, "batches of 100", ["ingest_batch_p50", "ingest_batch_p99"]);
    latencies(report, &singles_open, SINGLES.2, "single events", ["ingest_single_p50", "ingest_single_p99"]);
    ingest.stop();
    Ok(())
}

fn latencies(report: &mut Report, outcomes: &[Outcome], rate: f64, what: &str, ids: [&'static str; 2]) {
    let least = outcomes.iter().map(Outcome::rate).fold(f64::INFINITY, f64::min);
    let held = outcomes.iter().all(|outcome| outcome.held(rate));
    let conditions =
        format!("open loop, {what} at {rate:.0} events/s offered, {least:.0}/s acknowledged in the worst run");
    for (id, quantile) in ids.into_iter().zip([0.5, 0.99]) {
        let values: Vec<f64> = outcomes.iter().map(|outcome| outcome.latency_ms(quantile)).collect();
        report.add_at_rate(id, "ms", &values, held, conditions.clone());
    }
}
