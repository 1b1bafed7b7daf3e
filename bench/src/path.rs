//! The whole path: HTTP batches, ledger, ClickHouse, at a rate that is held.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{
    curve, feed,
    goal::Offered,
    load::{self, Load, Outcome},
    report::Report,
    stack::Bench,
};

const ACCOUNTS: usize = 1_000;
/// What may be under way at any moment: linger, a transaction, a block. More is a lag.
const LAG_SECONDS_MAX: f64 = 3.0;
const LANDED_WAIT: Duration = Duration::from_secs(120);

/// One minute of it.
struct Minute {
    outcome: Outcome,
    /// Events a second up to the last row.
    sustained: f64,
    /// From the last 202 to the last row.
    lag_seconds: f64,
    /// Of ingest and the meter, at rest and under load.
    rss_mib: [[f64; 2]; 2],
}

/// Offers `rate` events a second.
pub(crate) async fn run(bench: &Bench, report: &mut Report, rate: f64, runs: u32, seconds: u64) -> anyhow::Result<()> {
    let mut minutes = Vec::new();
    for run in 0..runs {
        minutes.push(minute(bench, &format!("path{run}"), rate, seconds).await?);
    }
    let worst = |value: fn(&Minute) -> f64| minutes.iter().map(value).fold(0.0, f64::max);
    let held = minutes.iter().all(|minute| minute.outcome.held(rate) && minute.lag_seconds <= LAG_SECONDS_MAX);
    let conditions = format!(
        "{rate:.0}/s offered for {seconds} s, {} acknowledged a second, {} turned away (503), last row {:.1} s after the last 202 (at most {LAG_SECONDS_MAX} s is held), ack p50 {:.1} ms p99 {:.1} ms, the worst of all runs; the figure is to the last row; verified",
        curve::number(minutes.iter().map(|minute| minute.outcome.rate()).fold(f64::INFINITY, f64::min)),
        minutes.iter().map(|minute| minute.outcome.refused).max().unwrap_or_default(),
        worst(|minute| minute.lag_seconds),
        worst(|minute| minute.outcome.latency_ms(0.5)),
        worst(|minute| minute.outcome.latency_ms(0.99)),
    );
    let sustained: Vec<f64> = minutes.iter().map(|minute| minute.sustained).collect();
    report.add_offered("path_sustained", "events/s", &sustained, Offered { rate, held }, conditions);
    for (index, id) in ["rss_ingest", "rss_meter"].into_iter().enumerate() {
        let [rest, loaded] = [0, 1]
            .map(|state: usize| -> Vec<f64> { minutes.iter().map(|minute| minute.rss_mib[state][index]).collect() });
        let rest = rest.iter().copied().fold(0.0, f64::max);
        let events = minutes.iter().map(|minute| minute.outcome.acknowledged).max().unwrap_or_default();
        let conditions = format!("after {events} events in {seconds} s; at rest {rest:.0} MiB");
        report.add(id, "MiB", &loaded, conditions);
    }
    Ok(())
}

async fn minute(bench: &Bench, name: &str, rate: f64, seconds: u64) -> anyhow::Result<Minute> {
    let space = bench.space(name)?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, address) = space.ingest()?;
    let memory = || [ingest.rss_mib(), meter.rss_mib()];
    let rest = memory();
    let load = Load {
        address,
        key: bench.admin_key.clone(),
        batch: 100,
        accounts: ACCOUNTS,
        connections: 32,
        rate: Some(rate),
        duration: Duration::from_secs(seconds),
        run: 1,
        recent: None,
    };
    let begun = Instant::now();
    let outcome = load::send(&load).await?;
    let sent = Instant::now();
    let rss_mib = [rest, memory()];
    while space.charges_landed()? < outcome.acknowledged {
        if sent.elapsed() > LANDED_WAIT {
            let landed = space.charges_landed()?;
            bail!("{landed} of {} rows landed within {LANDED_WAIT:?}", outcome.acknowledged);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lag_seconds = sent.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let sustained = outcome.acknowledged as f64 / begun.elapsed().as_secs_f64();
    space.verified()?;
    ingest.stop();
    meter.stop();
    Ok(Minute { outcome, sustained, lag_seconds, rss_mib })
}
