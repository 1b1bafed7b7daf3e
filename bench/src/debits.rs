//! A backlog of usage, drained exactly once: many accounts over all partitions, and one hot account.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{
    copy, feed,
    report::Report,
    stack::{Bench, Service, Space},
};

const DRAIN_WAIT: Duration = Duration::from_secs(300);
const MANY: usize = 10_000;

/// The `what`s that are measured over the same engines, in one run.
pub(crate) fn run(bench: &Bench, report: &mut Report, records: usize, runs: usize, debits: bool) -> anyhow::Result<()> {
    let mut copies = Vec::new();
    let (mut many, mut hot) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let run = u32::try_from(run)?;
        let space = bench.space(&format!("hot{run}"))?;
        feed::prepare(&space, 1)?;
        let bytes = feed::backlog(&space, 1, records, run)? / records;
        let partition =
            tollbooth_chassis::kafka::partition_for(feed::account_id(0).as_bytes(), crate::stack::PARTITIONS);
        let (copied, seconds) = copy::run(&space, partition.unwrap_or_default(), records)?;
        copies.push(rate(copied, seconds));
        println!("  copy_bare run {run}: {:.0}/s, {bytes} bytes a record", rate(copied, seconds));
        if !debits {
            continue;
        }
        hot.push(drain(&space, report, records, 1, "hot")?);
        let space = bench.space(&format!("many{run}"))?;
        feed::prepare(&space, MANY)?;
        feed::backlog(&space, MANY, records, run)?;
        many.push(drain(&space, report, records, MANY, "many")?);
        if run + 1 == u32::try_from(runs)? {
            row_bytes(&space, report)?;
        }
    }
    let conditions = "one partition, 350-byte records in, 100-byte records out, 20,000 a transaction, nothing else";
    report.add("copy_bare", "records/s", &copies, conditions);
    if debits {
        let conditions = |accounts: usize| {
            format!(
                "{records} structured JSON records, distinct operation ids, {accounts} account(s), 8 partitions, sink on, verified"
            )
        };
        report.add("debits_many", "debits/s", &many, conditions(MANY));
        report.add("debits_hot", "debits/s", &hot, conditions(1));
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn rate(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Starts a meter on a backlog and times it from the first debit to the last.
fn drain(space: &Space<'_>, report: &mut Report, records: usize, accounts: usize, what: &str) -> anyhow::Result<f64> {
    let meter = space.meter()?;
    let charged = |meter: &Service| meter.metric("tollbooth_meter_operations_total", "charged");
    let deadline = Instant::now() + DRAIN_WAIT;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let all = records as f64;
    let mut first: Option<(Instant, f64)> = None;
    loop {
        let done = charged(&meter);
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
    let seconds = since.elapsed().as_secs_f64();
    let rate = (all - before) / seconds;
    let bytes = meter.metric("tollbooth_meter_operation_id_bytes", "");
    println!(
        "  debits {what}: {rate:.0}/s over {seconds:.1} s ({before} before the first look), meter cpu {:.1} s, rss {:.0} MiB, {:.1} MB a million operation ids",
        meter.cpu_seconds(),
        meter.rss_mib(),
        bytes / all,
    );
    if what == "many" {
        report.add(
            "rss_meter_backlog",
            "MiB",
            &[meter.rss_mib()],
            format!("{records} operation ids held, {accounts} accounts, just drained"),
        );
    }
    let verified = space.verify()?;
    meter.stop();
    if !verified {
        bail!("{what}: the run does not verify, so there is no figure");
    }
    Ok(rate)
}

fn row_bytes(space: &Space<'_>, report: &mut Report) -> anyhow::Result<()> {
    let name = &space.name;
    space.bench.clickhouse(&format!("OPTIMIZE TABLE {name}.ledger FINAL"))?;
    let sql = format!(
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND database = '{name}' AND table = 'ledger'"
    );
    let bytes: f64 = space.bench.clickhouse(&sql)?.parse()?;
    report.add("ledger_row_bytes", "bytes", &[bytes], "on disk, indexes included, merged to one part");
    Ok(())
}
