//! A partition with many entries is taken: from the ledger, from the store on this machine, and from a checkpoint.
//!
//! The ledger is written straight to its topic, in the shape the meter gives it: feeding usage for so many entries would
//! take longer than everything that is measured here.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use prost::Message as _;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::v1::{AccountOpened, Entry, LedgerRecord, SourceTopic, Usage, UsageStatus, entry::Kind};

use crate::{
    feed::{self, Feed},
    report::Report,
    stack::{Bench, PARTITIONS, Service, Space},
};

pub(crate) const ACCOUNTS: usize = 1_000;
/// Of one ledger record: an account's share of a large transaction.
const ENTRIES_A_RECORD: usize = 200;
pub(crate) const PARTITION: i32 = 0;
const PRICE_MICROS: i64 = 200_000;
/// The ledger's age: everything in it is still remembered.
const AGE_MS: i64 = 80 * 86_400_000;
const WAIT: Duration = Duration::from_secs(3_600);

/// Seconds from the assignment to serving.
#[derive(Default)]
struct Measured {
    cold: f64,
    store: f64,
    checkpoint: f64,
    disk_bytes: f64,
    memory_bytes: f64,
    rss_mib: f64,
}

pub(crate) fn run(bench: &Bench, report: &mut Report, entries: usize) -> anyhow::Result<()> {
    let space = bench.space("restart")?;
    feed::prepare(&space, 0)?;
    let (written, seconds) = write_ledger(&space, entries)?;
    println!("  ledger of {written} entries written in {seconds:.0} s");
    let measured = measure(&space, written)?;
    let conditions = format!(
        "one partition of {written} entries of {ACCOUNTS} accounts over 80 days, from assignment to serving, state audited, all ids known; one run"
    );
    for (id, value) in [
        ("restart_cold", measured.cold),
        ("restart_store", measured.store),
        ("restart_checkpoint", measured.checkpoint),
    ] {
        report.add(id, "s", &[value], conditions.clone());
    }
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let million = written as f64 / 1e6;
    report.add("store_disk_mb_per_million", "MB", &[measured.disk_bytes / 1e6 / million], conditions.clone());
    report.add("store_memory_mb_per_million", "MB", &[measured.memory_bytes / 1e6 / million], conditions.clone());
    report.add("rss_meter_restored", "MiB", &[measured.rss_mib], conditions);
    Ok(())
}

/// Accounts of the partition.
pub(crate) fn accounts() -> Vec<String> {
    let all = (0..).map(|number| format!("acc_restart{number}"));
    all.filter(|id| partition_for(id.as_bytes(), PARTITIONS) == Some(PARTITION)).take(ACCOUNTS).collect()
}

fn opening() -> Entry {
    let opened = AccountOpened {
        name: "Bench".to_owned(),
        plan: "basic".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "UTC".to_owned(),
    };
    Entry {
        seq: 1,
        source_topic: SourceTopic::Tick.into(),
        kind: Some(Kind::AccountOpened(opened)),
        ..Entry::default()
    }
}

/// The charge that an account has as `seq`; its operation is numbered over all accounts.
fn charge(account: usize, seq: u64, number: usize, at_ms: i64) -> Entry {
    let charged = i64::try_from(seq - 1).unwrap_or_default();
    let mut usage = Usage {
        status: UsageStatus::Success.into(),
        attempt: 1,
        service: "ai_modify".to_owned(),
        engine: "nano_banana_2".to_owned(),
        unit: "image".to_owned(),
        quantity_micros: 1_000_000,
        event_id: format!("evt_{account}_{}", number % 6),
        booth_id: format!("bth_{account}_{}", number % 12),
        plan: "basic".to_owned(),
        price_version: 1,
        unit_price_micros: PRICE_MICROS,
        received_at_ms: at_ms,
        ..Usage::default()
    };
    usage.operation_id = operation_id(number);
    Entry {
        seq,
        amount_micros: -PRICE_MICROS,
        balance_after_micros: -PRICE_MICROS * charged,
        occurred_at_ms: at_ms,
        source_topic: SourceTopic::Tick.into(),
        kind: Some(Kind::Usage(usage)),
        ..Entry::default()
    }
}

/// The id of a charge by its number.
pub(crate) fn operation_id(number: usize) -> String {
    format!("op_{:016x}{number:016x}", feed::mixed(number as u64))
}

/// Which of the accounts it is of.
pub(crate) fn account_of(number: usize) -> usize {
    number / ENTRIES_A_RECORD % ACCOUNTS
}

/// Writes so many entries, or a few more, to the partition's ledger; gives back how many, and the seconds that it took.
pub(crate) fn write_ledger(space: &Space<'_>, entries: usize) -> anyhow::Result<(usize, f64)> {
    let (feed, ledger, accounts) = (Feed::new(space)?, space.topics.ledger(), accounts());
    let (begun, now_ms) = (Instant::now(), chrono::Utc::now().timestamp_millis());
    let send = |account_id: &str, posted_at_ms: i64, entries: Vec<Entry>| {
        let account_id = account_id.to_owned();
        let record = LedgerRecord { account_id, posted_at_ms, input_generation: 0, entries };
        feed.send(&ledger, &record.account_id, &record.encode_to_vec(), false)
    };
    for account_id in &accounts {
        send(account_id, now_ms - AGE_MS, vec![opening()])?;
    }
    let (mut written, mut seq) = (0, 2_u64);
    while written < entries {
        for (index, account_id) in accounts.iter().enumerate() {
            let part = i64::try_from(written * 1_000 / entries).unwrap_or_default();
            let at_ms = now_ms - AGE_MS + AGE_MS / 1_000 * part.min(999);
            let charge = |number: usize| charge(index, seq + number as u64, written + number, at_ms);
            send(account_id, at_ms, (0..ENTRIES_A_RECORD).map(charge).collect())?;
            written += ENTRIES_A_RECORD;
        }
        seq += ENTRIES_A_RECORD as u64;
    }
    feed.flush()?;
    Ok((written, begun.elapsed().as_secs_f64()))
}

fn measure(space: &Space<'_>, entries: usize) -> anyhow::Result<Measured> {
    let (store, checkpoints) = (space.path("restart-store"), space.path("restart-checkpoints"));
    let variables = [
        ("TOLLBOOTH_METER__SINK_ENABLED", "false".to_owned()),
        ("TOLLBOOTH_METER__STORE__DIR", store.display().to_string()),
        // At once: one is made of what the store has when it is opened.
        ("TOLLBOOTH_METER__STORE__CHECKPOINT__SECONDS", "0".to_owned()),
        ("TOLLBOOTH_METER__STORE__CHECKPOINT__URL", format!("file://{}", checkpoints.display())),
    ];
    let mut measured = Measured::default();
    for state in ["cold", "store", "checkpoint"] {
        // The whole ledger is folded without anything beside it.
        let variables = if state == "cold" { &variables[..2] } else { &variables[..] };
        let meter = space.meter_with(variables)?;
        let seconds = restored(&meter, state, entries)?;
        println!("  {state}: {seconds:.2} s");
        match state {
            "cold" => measured.cold = seconds,
            "store" => {
                measured.store = seconds;
                let label = format!("partition=\"{PARTITION}\"");
                measured.disk_bytes = meter.metric("tollbooth_meter_store_bytes", &label);
                measured.memory_bytes = meter.metric("tollbooth_meter_operation_id_bytes", &label);
                measured.rss_mib = meter.rss_mib();
                whole_checkpoint(&meter, entries)?;
            }
            _ => measured.checkpoint = seconds,
        }
        meter.stop();
        if state == "store" {
            std::fs::remove_dir_all(&store).context("the store")?;
        }
    }
    Ok(measured)
}

/// Waits until the partition is served with all its ids, and gives back how long it took.
pub(crate) fn restored(meter: &Service, state: &str, entries: usize) -> anyhow::Result<f64> {
    let (deadline, label) = (Instant::now() + WAIT, format!("partition=\"{PARTITION}\""));
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let all = entries as f64;
    while meter.metric("tollbooth_meter_operation_ids", &label) < all {
        if Instant::now() > deadline {
            bail!("partition {PARTITION} is not served with all its ids within {WAIT:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // Of the empty partitions as well, which take no time to speak of; without any of this state it was another one.
    let seconds = meter.metric("tollbooth_meter_restore_seconds_sum", &format!("state=\"{state}\""));
    if seconds == 0.0 {
        bail!("the partition was restored from something else than {state}");
    }
    Ok(seconds)
}

/// Waits for a checkpoint that goes up to the ledger's end.
fn whole_checkpoint(meter: &Service, entries: usize) -> anyhow::Result<()> {
    let (deadline, label) = (Instant::now() + WAIT, format!("partition=\"{PARTITION}\""));
    let records = (ACCOUNTS + entries / ENTRIES_A_RECORD) as u64;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    while meter.metric("tollbooth_meter_checkpoint_offset", &label) < records as f64 {
        if Instant::now() > deadline {
            bail!("no checkpoint of the whole ledger within {WAIT:?}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
