//! What many dashboards ask at once, while their accounts are charged: a rate by a schedule, and what of it ClickHouse sees.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    dataset::{self, ACCOUNTS, Shares},
    feed::{self, account_id},
    goal::Offered,
    load::{self, Connection, Load},
    report::Report,
    schedule::Schedule,
    stack::{Bench, Service},
};

/// Requests a second, by a schedule.
const RATE: f64 = 500.0;
/// Events a second meanwhile, over the same accounts.
const EVENT_RATE: f64 = 500.0;
/// Below what query lets ask ClickHouse at once, or what waits for a turn would count as late.
const CONNECTIONS: usize = 64;
/// As fast as answers come, where nothing is kept.
const UNKEPT_CONNECTIONS: usize = 8;
/// How long reading ahead may take.
const AHEAD_WAIT: Duration = Duration::from_secs(900);
const UNKEPT: Duration = Duration::from_secs(30);
/// Nothing that was asked of ClickHouse is kept.
const KEEP_NOTHING: [(&str, &str); 4] = [
    ("TOLLBOOTH_QUERY__ANSWERS__BYTES_MAX", "0"),
    ("TOLLBOOTH_QUERY__ANSWERS__CUBES_BYTES_MAX", "0"),
    ("TOLLBOOTH_QUERY__ANSWERS__PARTIES_BYTES_MAX", "0"),
    ("TOLLBOOTH_QUERY__STORE__PAGES_BYTES_MAX", "0"),
];
/// Answers of a kind asked one after the other to see what one costs.
const COST_TURNS: u64 = 100;
const COST_SALT: u64 = 8;
const HELD_SHARE_MIN: f64 = 0.97;
/// Salts of the minutes before; below it those of what is measured.
const FIRST_WARM_UP_SALT: u64 = 16;

/// How long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm_up_s: u64,
    pub(crate) measured_s: u64,
}

/// A kind of request: percent, name, and what is asked of account `number`.
type Kind = (u64, &'static str, fn(usize) -> String);

const KINDS: [Kind; 10] = [
    (25, "balance", |number| format!("{}/balance", account_id(number))),
    (20, "newest", |number| format!("{}/transactions?limit=50", account_id(number))),
    (15, "month", |number| format!("{}/usage?bucket=day&group_by=engine&compare=previous", account_id(number))),
    (10, "summary", |number| format!("{}/summary", account_id(number))),
    (8, "year", |number| format!("{}/usage?bucket=month&tz=America/New_York&from=2026-01-01", account_id(number))),
    (10, "event", |number| format!("{}/events/evt_{number}_1/usage", account_id(number))),
    (6, "filtered", |number| format!("{}/transactions?service=ai_modify&limit=50", account_id(number))),
    (3, "forecast", |number| format!("{}/forecast", account_id(number))),
    (2, "events", |number| format!("{}/events", account_id(number))),
    (1, "search", |number| format!("{}/transactions?q=sms&limit=50", account_id(number))),
];

fn kind(percentile: u64) -> &'static Kind {
    let mut end = 0;
    KINDS
        .iter()
        .find(|(percent, ..)| {
            end += percent;
            percentile < end
        })
        .unwrap_or(&KINDS[0])
}

/// What came of the requests.
#[derive(Default)]
struct Outcome {
    /// Microseconds from when a request was due, by kind.
    latency: BTreeMap<&'static str, Histogram<u64>>,
    errors: u64,
    first_error: Option<String>,
    seconds: f64,
}

impl Outcome {
    fn count(&self) -> u64 {
        self.latency.values().map(Histogram::len).sum()
    }

    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    fn rate(&self) -> f64 {
        self.count() as f64 / self.seconds
    }

    fn all(&self) -> anyhow::Result<Histogram<u64>> {
        let mut all = Histogram::new(3)?;
        self.latency.values().try_for_each(|one| all.add(one))?;
        Ok(all)
    }

    fn take(&mut self, other: Self) -> anyhow::Result<()> {
        for (kind, histogram) in other.latency {
            match self.latency.entry(kind) {
                std::collections::btree_map::Entry::Vacant(vacant) => drop(vacant.insert(histogram)),
                std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().add(histogram)?,
            }
        }
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        Ok(())
    }
}

/// Who asks whom, how.
#[derive(Clone)]
struct Asking {
    address: String,
    key: String,
    shares: Shares,
    /// Keeps the draws of two loads apart.
    salt: u64,
    rate: Option<f64>,
    duration: Duration,
}

pub(crate) async fn run(bench: &Bench, report: &mut Report, rows: usize, times: Times) -> anyhow::Result<()> {
    let space = bench.space(dataset::SPACE)?;
    let data = dataset::make(&space, Some(report), rows)?.what;
    let meter = space.meter()?;
    dataset::settled(&space)?;
    let (ingest, ingest_address) = space.ingest()?;
    // As by default.
    let (query, address) = space.query_with(&[("TOLLBOOTH_QUERY__ANSWERS__AHEAD_ACCOUNTS_MAX", "10000")])?;
    read_ahead(&query).await?;
    let events = Load {
        address: ingest_address,
        key: bench.admin_key.clone(),
        batch: 10,
        accounts: ACCOUNTS,
        connections: 8,
        rate: Some(EVENT_RATE),
        duration: Duration::from_secs(times.warm_up_s + times.measured_s) + 2 * UNKEPT,
        run: u32::try_from(chrono::Utc::now().timestamp() & 0xFFFF)?,
        recent: None,
    };
    let events = tokio::spawn(async move { load::send(&events).await });
    let asking = |address: &str, salt, rate, duration| Asking {
        address: address.to_owned(),
        key: bench.admin_key.clone(),
        shares: Shares::new(),
        salt,
        rate,
        duration,
    };
    warm_up(times.warm_up_s, &query, |salt, seconds| asking(&address, salt, Some(RATE), Duration::from_secs(seconds)))
        .await?;
    let (counted, selects) = (Counted::of(&query), selects(bench)?);
    let measured = ask(asking(&address, 2, Some(RATE), Duration::from_secs(times.measured_s)), CONNECTIONS).await?;
    let (counted, selects) = (Counted::of(&query).since(&counted), self::selects(bench)? - selects);
    let memory = query.rss_mib();
    query.stop();

    let (query, address) = space.query_with(&KEEP_NOTHING)?;
    let unkept = ask(asking(&address, 3, None, UNKEPT), UNKEPT_CONNECTIONS).await?;
    let events = events.await??;
    costs(bench, &address).await?;
    query.stop();
    ingest.stop();
    meter.stop();

    let load = format!(
        "{RATE:.0} requests/s offered, {} came, Zipf over {ACCOUNTS} accounts, {} s behind {} s of the same, beside {:.0} \
         events/s of {EVENT_RATE:.0} offered; {data}",
        measured.count(),
        times.measured_s,
        times.warm_up_s,
        events.rate()
    );
    figures(report, &measured, &counted, selects, &load)?;
    report.add("mixed_rss_query", "MiB", &[memory], load);
    let conditions = format!(
        "{UNKEPT_CONNECTIONS} connections, as fast as answers come, nothing kept of what ClickHouse told, {} errors; {data}",
        unkept.errors
    );
    report.add("mixed_unkept_rate", "requests/s", &[unkept.rate()], conditions);
    Ok(())
}

/// Waits until the process has read what it reads before anybody asks.
async fn read_ahead(query: &Service) -> anyhow::Result<()> {
    let begun = Instant::now();
    while query.metric("tollbooth_query_read_ahead_running", "") > 0.0 {
        anyhow::ensure!(begun.elapsed() < AHEAD_WAIT, "it reads ahead for more than {AHEAD_WAIT:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let accounts = query.metric("tollbooth_query_read_ahead_accounts", "");
    println!("  read ahead: {accounts:.0} accounts in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Asks as it will be measured, and tells minute by minute how what is kept grows.
async fn warm_up(seconds: u64, query: &Service, asking: impl Fn(u64, u64) -> Asking) -> anyhow::Result<()> {
    for (turn, begin) in (0..seconds).step_by(60).enumerate() {
        let counted = Counted::of(query);
        let salt = FIRST_WARM_UP_SALT + turn as u64;
        let before = ask(asking(salt, (seconds - begin).min(60)), CONNECTIONS).await?;
        let share = Counted::of(query).since(&counted).share_without_clickhouse(&before);
        let (rate, errors, first) = (before.rate(), before.errors, before.first_error);
        println!(
            "  before, from {begin} s: {rate:.0} requests/s, {share:.0} % without ClickHouse, {errors} errors {first:?}"
        );
    }
    Ok(())
}

/// What an answer of each kind takes of ClickHouse's processors, where nothing is kept and nobody else asks.
async fn costs(bench: &Bench, address: &str) -> anyhow::Result<()> {
    let shares = Shares::new();
    let mut connection = Connection::open(address, &bench.admin_key).await?;
    for (number, (_, name, path)) in KINDS.iter().enumerate() {
        let (before_us, begun) = (clickhouse_cpu_us(bench)?, Instant::now());
        for turn in 0..COST_TURNS {
            let account = shares.account(turn | ((number as u64) << 16) | (COST_SALT << 40));
            let answer = connection.get(&format!("/v1/accounts/{}", path(account))).await?;
            anyhow::ensure!(answer.starts_with("http/1.1 200"), "{name}: {answer}");
        }
        let wall = begun.elapsed();
        let us = (clickhouse_cpu_us(bench)? - before_us) / f64::from(u32::try_from(COST_TURNS)?);
        let wall_ms = wall.as_secs_f64() * 1000.0 / f64::from(u32::try_from(COST_TURNS)?);
        println!(
            "  alone, {name:<10} {:.1} ms of ClickHouse's processors an answer, {wall_ms:.1} ms until it came",
            us / 1000.0
        );
    }
    Ok(())
}

/// Microseconds of processors that the server has taken so far.
fn clickhouse_cpu_us(bench: &Bench) -> anyhow::Result<f64> {
    let sql = "SELECT value FROM system.events WHERE event = 'OSCPUVirtualTimeMicroseconds'";
    Ok(bench.clickhouse(sql)?.parse()?)
}

fn figures(report: &mut Report, measured: &Outcome, counted: &Counted, selects: f64, load: &str) -> anyhow::Result<()> {
    for (kind, latency) in &measured.latency {
        let [p50, p99] = [0.5, 0.99].map(|quantile| ms(latency, quantile));
        println!("  {kind:<10} {:>7} requests, p50 {p50:.1} ms, p99 {p99:.1} ms", latency.len());
    }
    let held = measured.errors == 0 && measured.rate() >= RATE * HELD_SHARE_MIN;
    let all = measured.all()?;
    report.add_offered("mixed_rate", "requests/s", &[measured.rate()], Offered { rate: RATE, held }, load);
    report.add_at_rate("mixed_p50", "ms", &[ms(&all, 0.5)], held, load);
    report.add_at_rate("mixed_p99", "ms", &[ms(&all, 0.99)], held, load);
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let errors = measured.errors as f64;
    let first = measured.first_error.clone().unwrap_or_default();
    report.add("mixed_errors", "requests", &[errors], format!("{first} {load}"));
    let share = counted.share_without_clickhouse(measured);
    let conditions = format!(
        "sums {:.0} as they were, {:.0} carried, {:.0} of cubes, {:.0} shared, {:.0} asked; pages {:.0} kept, {:.0} asked; the server counted \
         {selects:.0} SELECTs of all kinds; {load}",
        counted.memory,
        counted.carried,
        counted.cubes,
        counted.joined,
        counted.sums_asked,
        counted.pages_kept,
        counted.pages_asked
    );
    report.add("mixed_without_clickhouse", "%", &[share], conditions);
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

/// Where query says its answers came from.
#[derive(Debug, Clone, Copy)]
struct Counted {
    memory: f64,
    carried: f64,
    /// Made of all sums of their account or event.
    cubes: f64,
    joined: f64,
    sums_asked: f64,
    pages_kept: f64,
    pages_asked: f64,
    /// Requests that asked.
    of_clickhouse: f64,
}

impl Counted {
    fn of(query: &Service) -> Self {
        let sums = |source: &str| query.metric("tollbooth_query_answers_total", &format!("\"{source}\""));
        let pages = |source: &str| query.metric("tollbooth_query_pages_total", &format!("\"{source}\""));
        let (sums_asked, pages_asked) = (sums("clickhouse"), pages("clickhouse"));
        Self {
            memory: sums("memory"),
            carried: sums("carried"),
            cubes: sums("cube"),
            joined: sums("joined"),
            sums_asked,
            pages_kept: pages("memory"),
            pages_asked,
            of_clickhouse: sums_asked + sums("joined") + pages_asked,
        }
    }

    /// Percent of the requests.
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    fn share_without_clickhouse(&self, outcome: &Outcome) -> f64 {
        100.0 * (1.0 - self.of_clickhouse / outcome.count() as f64)
    }

    fn since(self, before: &Self) -> Self {
        Self {
            memory: self.memory - before.memory,
            carried: self.carried - before.carried,
            cubes: self.cubes - before.cubes,
            joined: self.joined - before.joined,
            sums_asked: self.sums_asked - before.sums_asked,
            pages_kept: self.pages_kept - before.pages_kept,
            pages_asked: self.pages_asked - before.pages_asked,
            of_clickhouse: self.of_clickhouse - before.of_clickhouse,
        }
    }
}

/// Questions that the server has been asked so far, whoever asked.
fn selects(bench: &Bench) -> anyhow::Result<f64> {
    Ok(bench.clickhouse("SELECT value FROM system.events WHERE event = 'SelectQuery'")?.parse()?)
}

async fn ask(asking: Asking, connections: usize) -> anyhow::Result<Outcome> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some ten thousand.
    let schedule = match asking.rate {
        Some(rate) => Schedule::at_rate(rate, (rate * asking.duration.as_secs_f64()) as usize, connections),
        None => Schedule::at_once(),
    };
    let tasks: Vec<_> =
        (0..connections).map(|_| tokio::spawn(connection(asking.clone(), Arc::clone(&schedule)))).collect();
    let mut all = Outcome::default();
    for task in tasks {
        all.take(task.await??)?;
    }
    all.seconds = schedule.started().elapsed().as_secs_f64();
    Ok(all)
}

async fn connection(asking: Asking, schedule: Arc<Schedule>) -> anyhow::Result<Outcome> {
    let mut connection = Connection::open(&asking.address, &asking.key).await?;
    let mut outcome = Outcome::default();
    while let Some((number, due)) = schedule.next().await {
        // Where answers come too slowly, what was due is given up at the end, not asked late.
        if due.duration_since(schedule.started()) >= asking.duration || schedule.started().elapsed() >= asking.duration
        {
            break;
        }
        let draw = (number as u64) | (asking.salt << 40);
        let (_, name, path) = kind(feed::mixed(draw ^ 0x5EED) % 100);
        let path = path(asking.shares.account(draw));
        let answer = connection.get(&format!("/v1/accounts/{path}")).await?;
        if answer.starts_with("http/1.1 200") {
            let latency = outcome.latency.entry(name).or_insert(Histogram::new(3)?);
            latency.record(u64::try_from(due.elapsed().as_micros())?)?;
        } else {
            outcome.errors += 1;
            outcome.first_error.get_or_insert_with(|| answer.chars().take(200).collect());
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_percentile_is_of_a_kind() {
        assert_eq!(KINDS.iter().map(|(percent, ..)| percent).sum::<u64>(), 100);
        assert_eq!([kind(0).1, kind(24).1, kind(25).1, kind(99).1], ["balance", "balance", "newest", "search"]);
    }
}
