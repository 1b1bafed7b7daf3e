//! How long a booth waits for money to be set aside, while 1,000 events/s go through.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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
const EVENTS_RATE: f64 = 1_000.0;
/// Holds a second, by a schedule: a late answer counts from when its request was due.
const HOLDS_RATE: f64 = 50.0;
const CONNECTIONS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(10);

struct Round {
    /// Due to answered, microseconds.
    latency: Histogram<u64>,
    events_held: bool,
    holds_held: bool,
}

/// `rounds` of a share of the seconds each.
pub(crate) async fn run(bench: &Bench, report: &mut Report, rounds: u32, seconds: u64) -> anyhow::Result<()> {
    let space = bench.space("holds")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, address) = space.ingest()?;
    let duration = Duration::from_secs((seconds / u64::from(rounds.max(1))).max(1));
    // The first commands wait for connections and for code that is not compiled yet: that is no booth's everyday.
    measure(&address, &bench.admin_key, rounds, WARM_UP).await?;
    let mut done = Vec::new();
    for round in 0..rounds {
        done.push(measure(&address, &bench.admin_key, round, duration).await?);
    }
    space.verified()?;
    let placed: u64 = done.iter().map(|round| round.latency.len()).sum();
    let held = done.iter().all(|round| round.events_held && round.holds_held);
    let conditions = format!(
        "{placed} holds, {HOLDS_RATE:.0}/s by a schedule, beside {EVENTS_RATE:.0} events/s in batches of 10, {duration:?}, verified"
    );
    for (id, quantile) in [("hold_p50", 0.5), ("hold_p99", 0.99)] {
        #[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
        let values: Vec<f64> =
            done.iter().map(|round| round.latency.value_at_quantile(quantile) as f64 / 1000.0).collect();
        report.add_at_rate(id, "ms", &values, held, conditions.clone());
    }
    ingest.stop();
    meter.stop();
    Ok(())
}

async fn measure(address: &str, key: &str, round: u32, duration: Duration) -> anyhow::Result<Round> {
    let load = Load {
        address: address.to_owned(),
        key: key.to_owned(),
        batch: 10,
        accounts: ACCOUNTS,
        connections: 16,
        rate: Some(EVENTS_RATE),
        duration,
        run: round,
        recent: None,
    };
    let background = tokio::spawn(async move { load::send(&load).await });
    let (next, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let booths: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (address, key, next) = (address.to_owned(), key.to_owned(), Arc::clone(&next));
            tokio::spawn(async move { hold(&address, &key, round, &next, started, duration).await })
        })
        .collect();
    let mut latency = Histogram::new(3)?;
    for booth in booths {
        latency.add(booth.await??)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let holds = load::Outcome { acknowledged: latency.len(), refused: 0, seconds, latency };
    let events = background.await??;
    Ok(Round { events_held: events.held(EVENTS_RATE), holds_held: holds.held(HOLDS_RATE), latency: holds.latency })
}

/// Places holds as they fall due.
async fn hold(
    address: &str,
    key: &str,
    round: u32,
    next: &AtomicU64,
    started: Instant,
    duration: Duration,
) -> anyhow::Result<Histogram<u64>> {
    let mut connection = Connection::open(address, key).await?;
    let mut latency = Histogram::new(3)?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        let due = started + Duration::from_secs_f64(number as f64 / HOLDS_RATE);
        tokio::time::sleep_until(due.into()).await;
        if due.duration_since(started) >= duration {
            return Ok(latency);
        }
        let account = feed::account_id(usize::try_from(number)?.wrapping_mul(7919) % ACCOUNTS);
        let body = r#"{"service":"ai_modify","engine":"nano_banana_2","unit":"image","quantity":"1","timeout_s":600}"#;
        let headers = format!("Content-Type: application/json\r\nIdempotency-Key: \"hold-{round}-{number}\"\r\n");
        let answer = connection.post_with(&format!("/v1/accounts/{account}/holds"), &headers, body.as_bytes()).await?;
        // A hold whose answer was late (202) is no hold that the booth can begin to work with.
        if !answer.starts_with("http/1.1 200") && !answer.starts_with("http/1.1 201") {
            bail!("no hold: {}", answer.chars().take(500).collect::<String>());
        }
        latency.record(u64::try_from(due.elapsed().as_micros())?)?;
    }
}
