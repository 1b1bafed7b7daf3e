//! Debits a second by partitions and by accounts.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::measured;
use crate::{
    debits::{self, Drained, MANY},
    feed,
    report::Report,
    stack::{Bench, PARTITIONS, Space},
};

pub(super) const BY_PARTITIONS: &str = "growth_debits_partitions";
pub(super) const BY_ACCOUNTS: &str = "growth_debits_accounts";
pub(super) const RSS_BY_ACCOUNTS: &str = "growth_rss_meter_accounts";
pub(super) const PARTITIONS_BEYOND: [f64; 2] = [32.0, 64.0];

const PARTITION_COUNTS: [i32; 5] = [1, 2, 4, 8, 16];
/// Of one point: five seconds of work.
const BACKLOG_MAX: usize = 1_000_000;
/// Until all accounts are opened, and their openings are rows.
const OPENED_WAIT: Duration = Duration::from_secs(1_800);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) fn by_partitions(bench: &Bench, report: &mut Report, backlog: usize) -> anyhow::Result<()> {
    let records = backlog.min(BACKLOG_MAX);
    for partitions in PARTITION_COUNTS {
        let space = bench.space_of(&format!("growth_partitions_{partitions}"), partitions)?;
        feed::prepare(&space, MANY)?;
        feed::backlog(&space, MANY, records, 1)?;
        let drained = debits::drain(&space, records)?;
        space.remove()?;
        let conditions = format!("{}, {MANY} accounts", conditions(records, &drained));
        let x = (usize::try_from(partitions)?, "partitions");
        report.point(measured(BY_PARTITIONS, x, (drained.rate, "debits/s"), conditions));
    }
    Ok(())
}

pub(super) fn by_accounts(bench: &Bench, report: &mut Report, backlog: usize, sizes: &[usize]) -> anyhow::Result<()> {
    let records = backlog.min(BACKLOG_MAX);
    for accounts in sizes.iter().copied() {
        let space = bench.space(&format!("growth_accounts_{accounts}"))?;
        feed::prepare(&space, accounts)?;
        let opened_in = opened(&space, accounts)?;
        feed::backlog(&space, accounts, records, 1)?;
        let drained = debits::drain(&space, records)?;
        space.remove()?;
        let conditions = format!(
            "{}, {PARTITIONS} partitions, opened and credited in {opened_in:.0} s before",
            conditions(records, &drained)
        );
        let x = (accounts, "accounts");
        report.point(measured(BY_ACCOUNTS, x, (drained.rate, "debits/s"), conditions.clone()));
        report.point(measured(RSS_BY_ACCOUNTS, x, (drained.rss_mib, "MiB"), conditions));
    }
    Ok(())
}

fn conditions(records: usize, drained: &Drained) -> String {
    format!(
        "{records} records drained, {:.1} us of the meter's processor each with its start and the sink, sink on, verified",
        drained.cpu_us
    )
}

/// Lets a meter open the accounts, so that nothing but usage waits for the one that is timed. How long it took.
fn opened(space: &Space<'_>, accounts: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let meter = space.meter()?;
    // The second command of the last account comes behind all openings.
    let credits = format!("SELECT count() FROM {}.ledger WHERE type = 'adjustment'", space.name);
    loop {
        let is_made = space.bench.clickhouse(&format!("EXISTS TABLE {}.ledger", space.name))? == "1";
        if is_made && space.bench.clickhouse(&credits)?.parse::<usize>()? >= accounts {
            break;
        }
        ensure!(begun.elapsed() < OPENED_WAIT, "{accounts} accounts are not opened within {OPENED_WAIT:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
    meter.stop();
    Ok(begun.elapsed().as_secs_f64())
}
