//! A backlog of usage, drained exactly once: many accounts over all partitions, and one hot account.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{
    copy, feed,
    report::Report,
    stack::{Bench, Service, Space},
};

const DRAIN_WAIT: Duration = Duration::from_secs(300);
const SIZES_WAIT: Duration = Duration::from_secs(30);
pub(crate) const MANY: usize = 10_000;

/// One backlog, drained and verified.
struct Drained {
    /// Debits a second.
    rate: f64,
    /// Charges that were no rows in ClickHouse yet when the last one was committed.
    sink_behind: f64,
    /// Of the meter, right after it.
    rss_mib: f64,
    /// What an operation id takes in the meter's memory.
    id_bytes: f64,
}

/// What the runs gave so far.
#[derive(Default)]
struct Measured {
    record_bytes: usize,
    copies: Vec<f64>,
    many: Vec<Drained>,
    hot: Vec<Drained>,
    row_bytes: Vec<f64>,
}

/// Copy and debits, measured over the same engines, in one run. Where a run fails, the figures of those before it stay.
pub(crate) fn run(bench: &Bench, report: &mut Report, records: usize, runs: u32, debits: bool) -> anyhow::Result<()> {
    let mut measured = Measured::default();
    let outcome = (0..runs).try_for_each(|run| measure(bench, &mut measured, records, run, debits));
    figures(report, &measured, records);
    outcome
}

fn measure(bench: &Bench, measured: &mut Measured, records: usize, run: u32, debits: bool) -> anyhow::Result<()> {
    let space = bench.space(&format!("hot{run}"))?;
    feed::prepare(&space, 1)?;
    measured.record_bytes = feed::backlog(&space, 1, records, run)? / records;
    let partition = tollbooth_chassis::kafka::partition_for(feed::account_id(0).as_bytes(), crate::stack::PARTITIONS);
    let (copied, seconds) = copy::run(&space, partition.unwrap_or_default(), records)?;
    let rate = per_second(copied, seconds);
    println!("  copy_bare run {run}: {rate:.0}/s, {} bytes a record", measured.record_bytes);
    measured.copies.push(rate);
    if debits {
        measured.hot.push(drain(&space, records)?);
        let space = bench.space(&format!("many{run}"))?;
        feed::prepare(&space, MANY)?;
        feed::backlog(&space, MANY, records, run)?;
        measured.many.push(drain(&space, records)?);
        measured.row_bytes.push(bytes_a_row(&space)?);
    }
    Ok(())
}

fn figures(report: &mut Report, measured: &Measured, records: usize) {
    let Measured { record_bytes, copies, many, hot, row_bytes } = measured;
    let conditions = format!(
        "one partition, {record_bytes}-byte records in, 100-byte records out, 20,000 a transaction, nothing else"
    );
    report.add("copy_bare", "records/s", copies, conditions);
    let values = |runs: &[Drained], value: fn(&Drained) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
    let backlog = format!("{records} structured JSON records of {record_bytes} bytes, distinct operation ids");
    for (id, runs, accounts) in [("debits_many", many, MANY), ("debits_hot", hot, 1)] {
        let behind = values(runs, |run| run.sink_behind).into_iter().fold(0.0, f64::max);
        let conditions = format!(
            "{backlog}, {accounts} account(s), 8 partitions, sink on and at most {behind:.0} rows behind at the end of the drain, verified"
        );
        report.add(id, "debits/s", &values(runs, |run| run.rate), conditions);
    }
    let conditions = format!("{backlog}, {MANY} accounts, all ids held");
    report.add("operation_id_bytes", "bytes", &values(many, |run| run.id_bytes), conditions.clone());
    report.add("rss_meter_backlog", "MiB", &values(many, |run| run.rss_mib), format!("{conditions}, just drained"));
    report.add("ledger_row_bytes", "bytes", row_bytes, format!("{backlog}, on disk, indexes included, one part"));
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
pub(crate) fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Starts a meter on a backlog and times it from the first debit to the last.
fn drain(space: &Space<'_>, records: usize) -> anyhow::Result<Drained> {
    let meter = space.meter()?;
    let what = &space.name;
    let deadline = Instant::now() + DRAIN_WAIT;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let all = records as f64;
    let mut first: Option<(Instant, f64)> = None;
    loop {
        let done = meter.metric("tollbooth_meter_operations_total", "charged");
        if done > 0.0 && first.is_none() {
            first = Some((Instant::now(), done));
        }
        if done >= all {
            break;
        }
        if Instant::now() > deadline {
            bail!("{what}: {done} of {all} drained within {DRAIN_WAIT:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let (since, before) = first.unwrap_or((Instant::now(), 0.0));
    if before >= all {
        bail!("{what}: all of {all} were drained before the first look: a larger backlog can be timed");
    }
    let seconds = since.elapsed().as_secs_f64();
    let rate = (all - before) / seconds;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let landed = space.charges_landed()? as f64;
    let (sink_behind, rss_mib) = ((all - landed).max(0.0), meter.rss_mib());
    println!(
        "  {what}: {rate:.0}/s over {seconds:.1} s ({before} before the first look), sink {sink_behind:.0} rows behind, meter cpu {:.1} s, rss {rss_mib:.0} MiB",
        meter.cpu_seconds(),
    );
    let id_bytes = id_bytes(&meter, all)?;
    space.verified()?;
    meter.stop();
    Ok(Drained { rate, sink_behind, rss_mib, id_bytes })
}

/// The meter looks at its sizes every few seconds only: not before it says that it holds all ids.
fn id_bytes(meter: &Service, all: f64) -> anyhow::Result<f64> {
    let deadline = Instant::now() + SIZES_WAIT;
    loop {
        let held = meter.metric("tollbooth_meter_operation_ids", "");
        if held >= all {
            return Ok(meter.metric("tollbooth_meter_operation_id_bytes", "") / held);
        }
        if Instant::now() > deadline {
            bail!("the meter says that it holds {held} operation ids of {all}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn bytes_a_row(space: &Space<'_>) -> anyhow::Result<f64> {
    let name = &space.name;
    space.bench.clickhouse(&format!("OPTIMIZE TABLE {name}.ledger FINAL"))?;
    let sql = format!(
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND database = '{name}' AND table = 'ledger'"
    );
    Ok(space.bench.clickhouse(&sql)?.parse()?)
}
