//! What being watched costs: how long a scrape takes beside a load, and how much of a core scrapes and statistics use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;

use crate::{
    feed,
    load::{self, Load},
    report::Report,
    stack::{Bench, Service},
};

const ACCOUNTS: usize = 1_000;
const RATE: f64 = 10_000.0;
const SECONDS_MAX: u64 = 30;
/// Between two scrapes of one process while it is under load: far more often than anybody would.
const PAUSE: Duration = Duration::from_millis(100);
/// Scrapes, one after the other, whose CPU is measured.
const SCRAPES: u32 = 300;
/// How often Prometheus scrapes, for the share of a core.
const SCRAPE_EVERY_S: f64 = 5.0;
/// What a client tells its statistics by default, and how often it does here, so that the cost is seen.
const STATISTICS_EVERY_S: f64 = 10.0;
const STATISTICS_TOLD_EVERY_MS: u64 = 500;
const AT_REST: Duration = Duration::from_secs(15);

const NAMES: [&str; 3] = ["ingest", "meter", "query"];
const P99_IDS: [&str; 3] = ["scrape_ingest_p99", "scrape_meter_p99", "scrape_query_p99"];

pub(crate) async fn run(bench: &Bench, report: &mut Report, runs: u32, seconds: u64) -> anyhow::Result<()> {
    let space = bench.space("scrape")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, address) = space.ingest()?;
    let (query, _) = space.query()?;
    let services = Arc::new([ingest, meter, query]);
    let duration = Duration::from_secs(seconds.min(SECONDS_MAX));
    let (mut p99, mut cpu) = ([const { Vec::new() }; 3], Vec::new());
    let mut series = [0; 3];
    for run in 1..=runs {
        let load = Load {
            address: address.clone(),
            key: bench.admin_key.clone(),
            batch: 100,
            accounts: ACCOUNTS,
            connections: 16,
            rate: Some(RATE),
            duration,
            run,
            recent: None,
        };
        let over = Arc::new(AtomicBool::new(false));
        let (watched, until) = (Arc::clone(&services), Arc::clone(&over));
        let watching = tokio::task::spawn_blocking(move || watch(&watched, &until));
        let sent = load::send(&load).await;
        over.store(true, Ordering::Release);
        let seen = watching.await??;
        sent?;
        for (index, (latency, count)) in seen.into_iter().enumerate() {
            p99[index].push(milliseconds(&latency, 0.99));
            series[index] = count;
        }
        let measured = Arc::clone(&services);
        cpu.push(tokio::task::spawn_blocking(move || scrape_cpu(&measured)).await??);
    }
    for (index, id) in P99_IDS.into_iter().enumerate() {
        let conditions =
            format!("/metrics of {}, {} series, each {PAUSE:?} beside {RATE:.0} events/s", NAMES[index], series[index]);
        report.add(id, "ms", &p99[index], conditions);
    }
    report.add(
        "scrape_cpu",
        "% of a core",
        &cpu,
        format!("one scrape of ingest, meter and query each {SCRAPE_EVERY_S} s, measured over {SCRAPES} at rest"),
    );
    let services = Arc::try_unwrap(services).ok().context("a scrape is still under way")?;
    services.into_iter().for_each(Service::stop);
    space.verified()?;
    statistics(bench, report)
}

type Seen = [(Histogram<u64>, usize); 3];

/// Scrapes all of them until it is over; how long each took, in microseconds, and how many series it has.
fn watch(services: &[Service; 3], over: &AtomicBool) -> anyhow::Result<Seen> {
    let new = || Histogram::new(3).map(|histogram| (histogram, 0));
    let mut seen = [new()?, new()?, new()?];
    while !over.load(Ordering::Acquire) {
        for (service, (latency, series)) in services.iter().zip(&mut seen) {
            let begun = Instant::now();
            let text = service.exposition()?;
            latency.record(u64::try_from(begun.elapsed().as_micros())?)?;
            *series = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).count();
        }
        std::thread::sleep(PAUSE);
    }
    Ok(seen)
}

/// Per cent of a core that scraping them all every five seconds takes. What they do at rest is not counted.
fn scrape_cpu(services: &[Service; 3]) -> anyhow::Result<f64> {
    let used = || services.iter().map(Service::cpu_seconds).sum::<f64>();
    let (begun, before) = (Instant::now(), used());
    for _ in 0..SCRAPES {
        for service in services {
            service.exposition()?;
        }
    }
    let (took, busy) = (begun.elapsed(), used() - before);
    let before = used();
    std::thread::sleep(took);
    let idle = used() - before;
    Ok((busy - idle).max(0.0) / f64::from(SCRAPES) / SCRAPE_EVERY_S * 100.0)
}

/// The meter has the most clients. One that tells their statistics twenty times as often as by default, against one that
/// tells none.
fn statistics(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let mut used = Vec::new();
    for (name, every_ms) in [("told", STATISTICS_TOLD_EVERY_MS), ("untold", 0)] {
        let space = bench.space(name)?;
        feed::prepare(&space, 1)?;
        let meter = space.meter_with(&[("TOLLBOOTH_METER__KAFKA__STATISTICS_INTERVAL_MS", every_ms.to_string())])?;
        let before = meter.cpu_seconds();
        std::thread::sleep(AT_REST);
        used.push((meter.cpu_seconds() - before) / AT_REST.as_secs_f64());
        meter.stop();
    }
    #[allow(clippy::cast_precision_loss)] // Half a thousand.
    let times = STATISTICS_EVERY_S / (STATISTICS_TOLD_EVERY_MS as f64 / 1_000.0);
    let percent = (used[0] - used[1]).max(0.0) / times * 100.0;
    let conditions = format!(
        "statistics of a meter's clients each {STATISTICS_EVERY_S} s, from {:.2} % told each {STATISTICS_TOLD_EVERY_MS} ms less {:.2} % told never",
        used[0] * 100.0,
        used[1] * 100.0
    );
    report.add("statistics_cpu", "% of a core", &[percent], conditions);
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Microseconds of a scrape.
fn milliseconds(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1_000.0
}
