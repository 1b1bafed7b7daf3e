//! The whole path: HTTP batches, ledger, ClickHouse, at a rate that is held.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{
    feed,
    load::{self, Load},
    report::Report,
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;
const RATE: f64 = 25_000.0;
/// What may be under way at any moment: linger, a transaction, a block. More is a lag.
const LAG_SECONDS_MAX: f64 = 3.0;
const LANDED_WAIT: Duration = Duration::from_secs(120);

pub(crate) async fn run(bench: &Bench, report: &mut Report, seconds: u64) -> anyhow::Result<()> {
    let space = bench.space("path")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, address) = space.ingest()?;
    let rest = [ingest.rss_mib(), meter.rss_mib()];
    let rows = || -> anyhow::Result<u64> {
        let sql = format!("SELECT count() FROM {}.ledger WHERE type = 'consume'", space.name);
        Ok(bench.clickhouse(&sql)?.parse()?)
    };
    let load = Load {
        address,
        key: bench.admin_key.clone(),
        batch: 100,
        accounts: ACCOUNTS,
        connections: 32,
        rate: Some(RATE),
        duration: Duration::from_secs(seconds),
        run: 1,
    };
    let begun = Instant::now();
    let outcome = load::send(&load).await?;
    let sent = Instant::now();
    let memory = [ingest.rss_mib(), meter.rss_mib()];
    while rows()? < outcome.acknowledged {
        if sent.elapsed() > LANDED_WAIT {
            bail!("{} of {} rows landed within {LANDED_WAIT:?}", rows()?, outcome.acknowledged);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lag = sent.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let sustained = outcome.acknowledged as f64 / begun.elapsed().as_secs_f64();
    if !space.verify()? {
        bail!("path: the run does not verify, so there is no figure");
    }
    let held = if lag <= LAG_SECONDS_MAX { "held" } else { "NOT held" };
    let conditions = format!(
        "{held}: {RATE:.0}/s offered for {seconds} s, {:.0}/s acknowledged, last row {lag:.1} s after the last 202, ack p50 {:.1} ms p99 {:.1} ms, verified",
        outcome.rate(),
        outcome.latency_ms(0.5),
        outcome.latency_ms(0.99)
    );
    report.add("path_sustained", "events/s", &[sustained], conditions);
    let conditions = |rest: f64| format!("after {seconds} s at {RATE:.0} events/s; at rest {rest:.0} MiB");
    report.add("rss_ingest", "MiB", &[memory[0]], conditions(rest[0]));
    report.add(
        "rss_meter",
        "MiB",
        &[memory[1]],
        format!("{}, {} operation ids held", conditions(rest[1]), outcome.acknowledged),
    );
    ingest.stop();
    meter.stop();
    Ok(())
}
