//! What ingest takes: events acknowledged by the broker, load generator and broker on the same cores.

use std::time::Duration;

use crate::{
    load::{self, Load, Outcome},
    report::Report,
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;
const RUN: Duration = Duration::from_secs(15);

pub(crate) async fn run(bench: &Bench, report: &mut Report, runs: usize) -> anyhow::Result<()> {
    let space = bench.space("ingest")?;
    let (ingest, address) = space.ingest()?;
    let load = |batch: usize, connections: usize, rate: Option<f64>, run: u32| Load {
        address: address.clone(),
        key: bench.admin_key.clone(),
        batch,
        accounts: ACCOUNTS,
        connections,
        rate,
        duration: RUN,
        run,
    };
    let (mut batches, mut singles) = (Vec::new(), Vec::new());
    for run in 0..u32::try_from(runs)? {
        batches.push(load::send(&load(100, 16, None, run * 4)).await?.rate());
        singles.push(load::send(&load(1, 64, None, run * 4 + 1)).await?.rate());
    }
    let closed =
        |batch: &str| format!("{batch}, acks=all, closed loop, {RUN:?}, broker and load generator on the same cores");
    report.add("ingest_batch", "events/s", &batches, closed("batches of 100, 16 connections"));
    report.add("ingest_single", "events/s", &singles, closed("one event a request, 64 connections"));
    let open = load::send(&load(100, 64, Some(60_000.0), 1_000)).await?;
    latencies(report, &open, "batches of 100 at 60,000 events/s", ["ingest_batch_p50", "ingest_batch_p99"]);
    let open = load::send(&load(1, 256, Some(10_000.0), 1_001)).await?;
    latencies(report, &open, "single events at 10,000/s", ["ingest_single_p50", "ingest_single_p99"]);
    ingest.stop();
    Ok(())
}

fn latencies(report: &mut Report, outcome: &Outcome, what: &str, ids: [&'static str; 2]) {
    let conditions = format!("open loop, {what} offered, {:.0}/s acknowledged", outcome.rate());
    report.add(ids[0], "ms", &[outcome.latency_ms(0.5)], conditions.clone());
    report.add(ids[1], "ms", &[outcome.latency_ms(0.99)], conditions);
}
