//! What operation ids take in a store, and how long one is looked up, by how many there are.
//!
//! The ledger is written straight to its topic, as for a restart. Then reports of operations that are in the store come once
//! more: each is looked up on the disk and found to be a duplicate. Reports of new operations are told by the filters.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use tollbooth_schemas::time::rfc3339;

use super::{count, measured};
use crate::{
    debits,
    feed::{self, Feed},
    report::Report,
    restart::{self, ACCOUNTS, PARTITION},
    stack::{Bench, Space},
};

const LOOK_UP: &str = "growth_ids_look_up";
const NEW: &str = "growth_ids_new";
const MEMORY: &str = "growth_ids_memory";
const DISK: &str = "growth_ids_disk";
pub(super) const CURVES: [&str; 4] = [LOOK_UP, NEW, MEMORY, DISK];

/// Reports of each kind.
const REPORTS: usize = 300_000;

pub(super) fn run(bench: &Bench, report: &mut Report, sizes: &[usize]) -> anyhow::Result<()> {
    for ids in sizes.iter().copied() {
        let space = bench.space(&format!("growth_ids_{ids}"))?;
        feed::prepare(&space, 0)?;
        let (written, seconds) = restart::write_ledger(&space, ids)?;
        println!("  ledger of {written} entries written in {seconds:.0} s");
        let measured = measure(&space, written)?;
        std::fs::remove_dir_all(space.path(&format!("{}-store", space.name))).context("the store")?;
        space.remove()?;
        points(report, ids, written, &measured);
    }
    Ok(())
}

/// Of one size.
struct Measured {
    look_up_us: f64,
    new_us: f64,
    memory_bytes: f64,
    disk_bytes: f64,
    rss_mib: f64,
    cold_seconds: f64,
    /// Look-ups that went to the disk for each repeated report.
    reads: f64,
}

fn points(report: &mut Report, ids: usize, written: usize, of: &Measured) {
    let x = (ids, "operation ids");
    let about = format!(
        "{written} ids of {ACCOUNTS} accounts in one partition with a store, folded from the ledger in {:.0} s, meter {:.0} MiB",
        of.cold_seconds, of.rss_mib
    );
    let look_up = format!(
        "a report of an operation drawn from all of them, from a backlog of {REPORTS}, {:.2} reads of the store each; {about}",
        of.reads
    );
    report.point(measured(LOOK_UP, x, (of.look_up_us, "us"), look_up));
    let new = format!("a report of an operation that is new, from a backlog of {REPORTS}, no sink; {about}");
    report.point(measured(NEW, x, (of.new_us, "us"), new));
    report.point(measured(
        MEMORY,
        x,
        (of.memory_bytes / 1e6, "MB"),
        format!("of the meter's memory for the ids; {about}"),
    ));
    report.point(measured(
        DISK,
        x,
        (of.disk_bytes / 1e6, "MB"),
        format!("of the store on the disk, not compacted; {about}"),
    ));
}

fn measure(space: &Space<'_>, written: usize) -> anyhow::Result<Measured> {
    let store = space.path(&format!("{}-store", space.name));
    let variables = [
        ("TOLLBOOTH_METER__SINK_ENABLED", "false".to_owned()),
        ("TOLLBOOTH_METER__STORE__DIR", store.display().to_string()),
    ];
    let meter = space.meter_with(&variables)?;
    let cold_seconds = restart::restored(&meter, "cold", written)?;
    println!("  folded in {cold_seconds:.1} s");
    meter.stop();

    // With nothing in memory but what a start brings, so that a look-up is one of the store.
    repeat(space, written)?;
    let meter = space.meter_with(&variables)?;
    let repeated = debits::timed(&meter, &space.name, "duplicate", count(REPORTS))?;
    let reads = meter.metric("tollbooth_meter_store_reads_total", "") / count(REPORTS);
    let charged = meter.metric("tollbooth_meter_operations_total", "\"charged\"");
    ensure!(charged == 0.0, "{charged} operations were charged that had been before");
    let label = format!("partition=\"{PARTITION}\"");
    let [memory_bytes, disk_bytes] =
        ["tollbooth_meter_operation_id_bytes", "tollbooth_meter_store_bytes"].map(|name| meter.metric(name, &label));
    let rss_mib = meter.rss_mib();
    meter.stop();

    charge(space, written)?;
    let meter = space.meter_with(&variables)?;
    let new = debits::timed(&meter, &space.name, "charged", count(REPORTS))?;
    let dead = meter.metric("tollbooth_dlq_records_total", "");
    ensure!(dead == 0.0, "{dead} reports became dead letters");
    meter.stop();
    let microseconds = |rate: f64| 1e6 / rate;
    Ok(Measured {
        look_up_us: microseconds(repeated.rate),
        new_us: microseconds(new.rate),
        memory_bytes,
        disk_bytes,
        rss_mib,
        cold_seconds,
        reads,
    })
}

/// Reports of operations that are in the ledger, drawn from all over it.
fn repeat(space: &Space<'_>, written: usize) -> anyhow::Result<()> {
    let number = |report: usize| usize::try_from(feed::mixed(report as u64) % written as u64).unwrap_or_default();
    reports(space, |report| (restart::account_of(number(report)), restart::operation_id(number(report))))
}

/// Reports of operations with the numbers behind those in the ledger.
fn charge(space: &Space<'_>, written: usize) -> anyhow::Result<()> {
    reports(space, |report| (report % ACCOUNTS, restart::operation_id(written + report)))
}

fn reports(space: &Space<'_>, of: impl Fn(usize) -> (usize, String)) -> anyhow::Result<()> {
    let (feed, topic, accounts) = (Feed::new(space)?, space.topics.usage(), restart::accounts());
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let time = rfc3339(now_ms - 60_000);
    for report in 0..REPORTS {
        let (account, operation_id) = of(report);
        let account_id = &accounts[account];
        feed.send(&topic, account_id, event(account_id, &operation_id, report, &time).as_bytes(), true)?;
    }
    feed.flush()
}

/// In the words of the entries that are in the ledger.
fn event(account_id: &str, operation_id: &str, number: usize, time: &str) -> String {
    let booth = number % 12;
    format!(
        r#"{{"specversion":"1.0","id":"r{number:07}","source":"/booths/bth_{booth}","type":"tollbooth.usage.v1","subject":"{account_id}","time":"{time}","data":{{"operation_id":"{operation_id}","attempt":1,"event_id":"evt_{}","booth_id":"bth_{booth}","service":"ai_modify","engine":"nano_banana_2","unit":"image","quantity":"1","status":"success"}}}}"#,
        number % 6
    )
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::usage::parse_structured;

    use super::*;

    #[test]
    fn a_report_is_of_the_operation_and_the_content_that_the_ledger_has() {
        let text = event("acc_restart7", &restart::operation_id(4_711), 1, "2026-11-21T20:15:03.120Z");
        let event = parse_structured(text.as_bytes()).unwrap();
        assert_eq!(event.operation_id.0, restart::operation_id(4_711));
        assert_eq!(event.quantity.micros(), 1_000_000);
        assert_eq!(event.account_id.to_string(), "acc_restart7");
    }
}
