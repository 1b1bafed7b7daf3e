//! A backlog of usage, drained exactly once: many accounts over all partitions, and one hot account.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::{
    copy, feed,
    report::Report,
    stack::{Bench, PARTITIONS, Service, Space},
};

const DRAIN_WAIT: Duration = Duration::from_secs(300);
/// Among how many loops the partitions of the bare copy are divided; the best of them is the figure.
const COPY_LOOPS: [usize; 3] = [1, 2, 8];
/// Between two looks at a meter's metrics: each takes a millisecond or two of the processors that are being measured.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SIZES_WAIT: Duration = Duration::from_secs(30);
pub(crate) const MANY: usize = 10_000;

/// One backlog, drained and verified.
pub(crate) struct Drained {
    /// Debits a second.
    pub(crate) rate: f64,
    /// Of the meter's processor, microseconds a debit, its start included.
    pub(crate) cpu_us: f64,
    /// Charges that were no rows in ClickHouse yet when the last one was committed.
    sink_behind: f64,
    /// Of the meter, right after it.
    pub(crate) rss_mib: f64,
    /// What an operation id takes in the meter's memory.
    id_bytes: f64,
}

/// What the runs gave so far.
#[derive(Default)]
struct Measured {
    record_bytes: usize,
    copies: Vec<f64>,
    /// Over all partitions, by the number of loops.
    copies_many: [Vec<f64>; COPY_LOOPS.len()],
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
    let partition = tollbooth_chassis::kafka::partition_for(feed::account_id(0).as_bytes(), PARTITIONS);
    let rate = copied(&space, &[partition.unwrap_or_default()], 1, records)?;
    println!("  copy_bare run {run}: {rate:.0}/s, {} bytes a record", measured.record_bytes);
    measured.copies.push(rate);
    if debits {
        measured.hot.push(drain(&space, records)?);
    }
    let space = bench.space(&format!("many{run}"))?;
    feed::prepare(&space, MANY)?;
    feed::backlog(&space, MANY, records, run)?;
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    for (loops, rates) in COPY_LOOPS.into_iter().zip(&mut measured.copies_many) {
        let rate = copied(&space, &partitions, loops, records)?;
        println!("  copy_bare_many run {run}, {loops} loop(s): {rate:.0}/s");
        rates.push(rate);
    }
    if debits {
        measured.many.push(drain(&space, records)?);
        measured.row_bytes.push(bytes_a_row(&space)?);
    }
    Ok(())
}

fn copied(space: &Space<'_>, partitions: &[i32], loops: usize, records: usize) -> anyhow::Result<f64> {
    let (copied, seconds) = copy::run(space, partitions, loops)?;
    ensure!(copied == records, "{copied} of {records} records were copied");
    Ok(per_second(copied, seconds))
}

/// The copy over all partitions: the loops that were best, and what the others gave.
fn copy_many(report: &mut Report, measured: &Measured) {
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let by_loops = COPY_LOOPS.iter().zip(&measured.copies_many);
    let Some((loops, rates)) = by_loops.clone().max_by(|one, other| best(one.1).total_cmp(&best(other.1))) else {
        return;
    };
    let others: Vec<String> = by_loops.map(|(loops, rates)| format!("{loops}: {:.0}", best(rates))).collect();
    let conditions = format!(
        "8 partitions, {}-byte records in, 100-byte records out, 20,000 a transaction, nothing else; divided among {loops} \
         loop(s), the best by number of loops: {}",
        measured.record_bytes,
        others.join(", ")
    );
    report.add("copy_bare_many", "records/s", rates, conditions);
}

fn figures(report: &mut Report, measured: &Measured, records: usize) {
    let Measured { record_bytes, copies, many, hot, row_bytes, .. } = measured;
    let conditions = format!(
        "one partition, {record_bytes}-byte records in, 100-byte records out, 20,000 a transaction, nothing else"
    );
    report.add("copy_bare", "records/s", copies, conditions);
    copy_many(report, measured);
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
pub(crate) fn drain(space: &Space<'_>, records: usize) -> anyhow::Result<Drained> {
    let meter = space.meter()?;
    let what = &space.name;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let all = records as f64;
    let Timed { rate, seconds, before } = timed(&meter, what, "charged", all)?;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let landed = space.charges_landed()? as f64;
    let (sink_behind, rss_mib) = ((all - landed).max(0.0), meter.rss_mib());
    let cpu_seconds = meter.cpu_seconds();
    println!(
        "  {what}: {rate:.0}/s over {seconds:.1} s ({before} before the first look), sink {sink_behind:.0} rows behind, meter cpu {cpu_seconds:.1} s, rss {rss_mib:.0} MiB",
    );
    let id_bytes = id_bytes(&meter, all)?;
    space.verified()?;
    meter.stop();
    Ok(Drained { rate, cpu_us: cpu_seconds * 1e6 / all, sink_behind, rss_mib, id_bytes })
}

/// From the first look to the last of so many reports.
pub(crate) struct Timed {
    /// Reports a second.
    pub(crate) rate: f64,
    seconds: f64,
    /// Done before the first look.
    before: f64,
}

/// Times a meter over a backlog, of whose reports `all` come to this outcome.
pub(crate) fn timed(meter: &Service, what: &str, outcome: &str, all: f64) -> anyhow::Result<Timed> {
    let deadline = Instant::now() + DRAIN_WAIT;
    let mut first: Option<(Instant, f64)> = None;
    loop {
        let done = meter.metric("tollbooth_meter_operations_total", outcome);
        if done > 0.0 && first.is_none() {
            first = Some((Instant::now(), done));
        }
        if done >= all {
            break;
        }
        if Instant::now() > deadline {
            bail!("{what}: {done} of {all} drained within {DRAIN_WAIT:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let (since, before) = first.unwrap_or((Instant::now(), 0.0));
    if before >= all {
        bail!("{what}: all of {all} were drained before the first look: a larger backlog can be timed");
    }
    let seconds = since.elapsed().as_secs_f64();
    Ok(Timed { rate: (all - before) / seconds, seconds, before })
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
