//! Half an hour of the whole path at a third of what it carries, with ten million accounts: nothing may grow.
//!
//! HTTP to ingest, the meter with its store, ClickHouse, and query, which is asked for balances meanwhile. Every ten seconds
//! there is a sample; at the end the second half is judged, and everything is verified.

mod judge;
mod sample;

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    curve, feed,
    load::{self, Load, Recent},
    report::Report,
    stack::{Bench, Service, Space},
    visible::{self, Probing, Seen},
};
use judge::Verdict;
use sample::{SERIES, Sample};

const SAMPLE_EVERY: Duration = Duration::from_secs(10);
const BATCH: usize = 100;
const CONNECTIONS: usize = 16;
/// Balances waited for, a second, each of an account that has none under way.
const PROBES_RATE: f64 = 5.0;
const PROBE_ACCOUNTS: usize = 200;
const LOAD_RUN: u32 = 1;
const PROBE_RUN: u32 = 2;
/// Until all accounts are opened, and their openings are rows.
const OPENED_WAIT: Duration = Duration::from_secs(3_600);
const OPENED_LOOK_EVERY: Duration = Duration::from_secs(2);
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// Characters of a series in the report.
const SPARKLINE_WIDTH: usize = 60;

/// What it is to be like.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Plan {
    pub(crate) minutes: f64,
    /// Events a second.
    pub(crate) rate: f64,
    pub(crate) accounts: usize,
}

/// What it was like.
#[derive(Debug, Serialize)]
pub(crate) struct Soak {
    plan: Plan,
    opened_in_s: f64,
    events: u64,
    verdicts: Vec<Verdict>,
    samples: Vec<Sample>,
}

impl Soak {
    /// What was not as it must be.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.verdicts.iter().filter(|verdict| !verdict.met).map(|verdict| format!("soak: {}", verdict.text()))
    }

    /// A line for each series over time, and one for each verdict.
    pub(crate) fn text(&self) -> String {
        let Plan { minutes, rate, accounts } = self.plan;
        let mut text = format!(
            "soak: {} events in {minutes} min, {} a second offered, {} accounts (opened in {:.0} s), a sample each {} s\n",
            curve::number(curve::float(self.events)),
            curve::number(rate),
            curve::number(curve::float(accounts as u64)),
            self.opened_in_s,
            SAMPLE_EVERY.as_secs()
        );
        for (name, unit, value) in SERIES {
            let values: Vec<Option<f64>> = self.samples.iter().map(value).collect();
            let there = || values.iter().flatten().copied();
            let (least, most) = (there().fold(f64::INFINITY, f64::min), there().fold(f64::NEG_INFINITY, f64::max));
            let range = if least <= most {
                format!("{} to {} {unit}", curve::number(least), curve::number(most))
            } else {
                "not told".to_owned()
            };
            text += &format!("{name:<22} {} {range}\n", curve::sparkline(&values, SPARKLINE_WIDTH));
        }
        for verdict in &self.verdicts {
            text += &format!("{:<6} {}\n", if verdict.met { "met" } else { "MISSED" }, verdict.text());
        }
        text
    }
}

/// The services under load.
struct Services {
    ingest: Service,
    meter: Service,
    query: Service,
}

pub(crate) async fn run(bench: &Bench, report: &mut Report, plan: Plan) -> anyhow::Result<()> {
    ensure!(plan.accounts > PROBE_ACCOUNTS, "the soak needs more than {PROBE_ACCOUNTS} accounts");
    let space = bench.space("soak")?;
    feed::prepare_without_credit(&space, plan.accounts)?;
    let store = space.path("soak-store").display().to_string();
    let meter = space.meter_with(&[("TOLLBOOTH_METER__STORE__DIR", store)])?;
    let opened_in_s = opened(&space, plan.accounts).await?;
    let (ingest, ingest_address) = space.ingest()?;
    let (query, query_address) = space.query()?;
    let services = Services { ingest, meter, query };
    let duration = Duration::from_secs_f64(plan.minutes * 60.0);
    let probing = Probing {
        ingest: ingest_address.clone(),
        query: query_address,
        key: bench.admin_key.clone(),
        rate: PROBES_RATE,
        duration,
        first_account: plan.accounts - PROBE_ACCOUNTS,
        accounts: PROBE_ACCOUNTS,
        run: PROBE_RUN,
    };
    visible::known(&probing).await?;
    let recent = Recent::new()?;
    let load = Load {
        address: ingest_address,
        key: bench.admin_key.clone(),
        batch: BATCH,
        accounts: plan.accounts - PROBE_ACCOUNTS,
        connections: CONNECTIONS,
        rate: Some(plan.rate),
        duration,
        run: LOAD_RUN,
        recent: Some(recent.clone()),
    };
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let load = tokio::spawn(async move { load::send(&load).await });
    let probes = tokio::spawn(visible::probe(probing, tell));
    let is_over = || load.is_finished() || probes.is_finished();
    let samples = watch(bench, &services, &recent, told, duration, is_over).await?;
    // The one that has ended first is the one that may have failed.
    let outcome = if probes.is_finished() {
        probes.await?.context("a probe")?;
        load.await?.context("the load")?
    } else {
        let outcome = load.await?.context("the load")?;
        probes.await?.context("a probe")?;
        outcome
    };
    let enough = judge::SAMPLES_MIN;
    ensure!(samples.len() >= enough, "{} samples are too few to judge: more --soak-minutes", samples.len());
    let mut verdicts = judge::judged(&samples);
    verdicts.push(judge::rate_held(outcome.rate(), plan.rate));
    verdicts.push(judge::none("dead letters", services.meter.metric("tollbooth_dlq_records_total", "")));
    verdicts.push(match space.verified() {
        Ok(()) => judge::none("drift that `verify` found", 0.0),
        Err(error) => Verdict::failed("verify", &error),
    });
    let Services { ingest, meter, query } = services;
    query.stop();
    ingest.stop();
    meter.stop();
    let soak = Soak { plan, opened_in_s, events: outcome.acknowledged, verdicts, samples };
    report.soaked(soak);
    Ok(())
}

/// Waits until the openings are rows, which is the end of what they take anywhere. How long it took.
async fn opened(space: &Space<'_>, accounts: usize) -> anyhow::Result<f64> {
    let (begun, mut told) = (Instant::now(), Instant::now());
    let sql = format!("SELECT count() FROM {}.ledger WHERE type = 'account_opened'", space.name);
    loop {
        let is_made = space.bench.clickhouse(&format!("EXISTS TABLE {}.ledger", space.name))? == "1";
        let there = if is_made { space.bench.clickhouse(&sql)?.parse::<usize>()? } else { 0 };
        if there >= accounts {
            return Ok(begun.elapsed().as_secs_f64());
        }
        if told.elapsed() > PROGRESS_EVERY {
            println!("  {there} of {accounts} accounts are opened after {:.0} s", begun.elapsed().as_secs_f64());
            told = Instant::now();
        }
        if begun.elapsed() > OPENED_WAIT {
            bail!("{there} of {accounts} accounts are opened within {OPENED_WAIT:?}");
        }
        tokio::time::sleep(OPENED_LOOK_EVERY).await;
    }
}

/// A sample each ten seconds, as long as it lasts and nothing `is_over` before.
async fn watch(
    bench: &Bench,
    services: &Services,
    recent: &Recent,
    mut told: UnboundedReceiver<Seen>,
    duration: Duration,
    is_over: impl Fn() -> bool,
) -> anyhow::Result<Vec<Sample>> {
    let (begun, mut samples, mut next) = (Instant::now(), Vec::<Sample>::new(), SAMPLE_EVERY);
    while next <= duration {
        tokio::time::sleep_until((begun + next).into()).await;
        if is_over() && next + SAMPLE_EVERY < duration {
            break;
        }
        let mut visible = Histogram::new(3)?;
        while let Ok(seen) = told.try_recv() {
            visible.record(seen.visible_us)?;
        }
        let sample = Sample::take(bench, services, begun.elapsed(), &recent.take()?, &visible);
        if samples.len().is_multiple_of(6) {
            println!("  {}", sample.line());
        }
        samples.push(sample);
        next += SAMPLE_EVERY;
    }
    Ok(samples)
}
