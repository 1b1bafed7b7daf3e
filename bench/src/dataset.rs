//! A long life's ledger in minutes: rows are generated inside ClickHouse, through the tables and views that the sink fills.
//!
//! The log gets an entry of the same `seq` for each of them, without content, so that a meter goes on where the rows end; the
//! first one after the credit carries what was spent. The rows are told to be sunk, so that the sink goes on there, too.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use prost::Message as _;
use tollbooth_chassis::kafka::Watermarks;
use tollbooth_schemas::{
    clickhouse::MIGRATIONS,
    v1::{AccountOpened, Adjustment, Entry, LedgerRecord, SourceTopic, entry::Kind},
};

use crate::{
    feed::{self, Feed, account_id},
    report::Report,
    rows::{self, Slice},
    stack::{PARTITIONS, Space},
};

/// Account `n` has a share of the rows as 1 / (n + 1): the first about a tenth.
pub(crate) const ACCOUNTS: usize = 10_000;
/// The account with the most rows.
pub(crate) const LARGEST: &str = "acc_bench00000";
/// The event with the most rows, of [`LARGEST`]: a tenth of them.
pub(crate) const LARGEST_EVENT: &str = rows::LARGEST_EVENT;

const AGE_MS: i64 = 360 * 86_400_000;
const CREDIT_MICROS: i64 = 10_000_000_000_000;
/// Of one statement: as many as the server's memory holds at once, beside those of the other thread.
const ROWS_A_STATEMENT_MAX: usize = 1_000_000;
const THREADS: usize = 2;
/// What a record may hold at most.
const ENTRIES_A_RECORD: u64 = 1_000;
const TABLES_WAIT: Duration = Duration::from_secs(120);
const SETTLED_WAIT: Duration = Duration::from_secs(120);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
const BROKER_WAIT: Duration = Duration::from_secs(30);

/// Topics and database of the set.
pub(crate) const SPACE: &str = "queries";

/// What lies there.
pub(crate) struct DataSet {
    /// In words, for the conditions of a figure.
    pub(crate) what: String,
}

/// Makes the set, unless this folder has it from before. How fast that was is a figure, where there is a report for it.
pub(crate) fn make(space: &Space<'_>, report: Option<&mut Report>, rows: usize) -> anyhow::Result<DataSet> {
    let marker = marker(space, rows);
    if let Ok(what) = std::fs::read_to_string(&marker) {
        println!("  from before: {what}");
        space.merge_rollups()?;
        return Ok(DataSet { what });
    }
    ensure!(!has_rows(space)?, "another set of rows is there; use another --dir");
    feed::prepare(space, 0)?;
    let end_ms = chrono::Utc::now().timestamp_millis();
    make_tables(space)?;
    open_accounts(space, end_ms - AGE_MS)?;
    let loaded_in = generate(space, rows, end_ms)?;
    let begun = Instant::now();
    space.merge_closed_months()?;
    space.merge_rollups()?;
    println!("  closed months and rollups merged in {:.0} s", begun.elapsed().as_secs_f64());
    let what = check(space)?;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let rate = rows as f64 / loaded_in.as_secs_f64();
    let conditions = format!("{what}; {THREADS} statements at a time, merges beside them");
    match report {
        Some(report) => {
            report.add("dataset_rows_per_s", "rows/s", &[rate], conditions);
            tell_size(space, report)?;
        }
        None => println!("  {rate:.0} rows/s, {conditions}"),
    }
    write_log(space, end_ms)?;
    std::fs::write(&marker, &what)?;
    Ok(DataSet { what })
}

/// Says that the rows are there, for a later run over the same folder.
fn marker(space: &Space<'_>, rows: usize) -> PathBuf {
    space.path(&format!("{}-{rows}-rows", space.name))
}

/// Deletes the set.
pub(crate) fn remove(space: Space<'_>, rows: usize) -> anyhow::Result<()> {
    std::fs::remove_file(marker(&space, rows))?;
    space.remove()
}

fn has_rows(space: &Space<'_>) -> anyhow::Result<bool> {
    Ok(space.charges_landed()? > 0)
}

/// A meter and its sink over an empty log make the tables. They have posted nothing by the end: the accounts come later.
fn make_tables(space: &Space<'_>) -> anyhow::Result<()> {
    let meter = space.meter()?;
    let begun = Instant::now();
    let exists = format!("EXISTS TABLE {}.schema_migrations", space.name);
    let made = format!("SELECT uniqExact(version) FROM {}.schema_migrations WHERE version > 0", space.name);
    while space.bench.clickhouse(&exists)? != "1" || space.bench.clickhouse(&made)?.parse::<usize>()? < MIGRATIONS.len()
    {
        ensure!(begun.elapsed() < TABLES_WAIT, "the tables are not there within {TABLES_WAIT:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    meter.stop();
    Ok(())
}

/// Openings and credit.
fn open_accounts(space: &Space<'_>, at_ms: i64) -> anyhow::Result<()> {
    let (first_id, id_begin) = (account_id(0), account_id(0).len() - 4);
    let prefix = first_id.get(..id_begin - 1).context("a prefix")?;
    space.bench.clickhouse(&format!(
        "INSERT INTO {}.ledger (account_id, seq, type, plan, currency, amount, balance_after, posted_at, occurred_at, \
         account_name, time_zone, source_topic) SELECT concat('{prefix}', leftPad(toString(number), 5, '0')), seq, \
         if(seq = 1, 'account_opened', 'adjustment'), if(seq = 1, 'basic', ''), if(seq = 1, 'USD', ''), \
         reinterpret(toInt64(if(seq = 1, 0, {CREDIT_MICROS})), 'Decimal(18, 6)') AS credit, credit, \
         fromUnixTimestamp64Milli(toInt64({at_ms}), 'UTC') AS at, at, if(seq = 1, 'Bench', ''), \
         if(seq = 1, 'America/New_York', ''), 'tick' FROM numbers({ACCOUNTS}) ARRAY JOIN [1, 2] AS seq \
         SETTINGS async_insert = 0, optimize_on_insert = 0",
        space.name
    ))?;
    Ok(())
}

/// The month's fees, which a meter posts as soon as it runs, are rows.
pub(crate) fn settled(space: &Space<'_>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let sql = format!(
        "SELECT uniqExact(account_id) FROM {}.ledger WHERE type IN ('plan_fee', 'no_plan_fee') AND account_id LIKE '{}%'",
        space.name,
        account_id(0).trim_end_matches('0')
    );
    while space.bench.clickhouse(&sql)?.parse::<usize>()? < ACCOUNTS {
        ensure!(begun.elapsed() < SETTLED_WAIT, "the fees are not there within {SETTLED_WAIT:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

fn opening(at_ms: i64) -> Entry {
    let opened = AccountOpened {
        name: "Bench".to_owned(),
        plan: "basic".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "America/New_York".to_owned(),
    };
    let kind = Some(Kind::AccountOpened(opened));
    Entry { seq: 1, occurred_at_ms: at_ms, source_topic: SourceTopic::Tick.into(), kind, ..Entry::default() }
}

fn adjustment(seq: u64, amount_micros: i64, balance_after_micros: i64) -> Entry {
    Entry {
        seq,
        amount_micros,
        balance_after_micros,
        source_topic: SourceTopic::Tick.into(),
        kind: Some(Kind::Adjustment(Adjustment::default())),
        ..Entry::default()
    }
}

/// Fills the tables, month after month of a range of accounts at a time, and says how far it is.
fn generate(space: &Space<'_>, rows: usize, end_ms: i64) -> anyhow::Result<Duration> {
    let (begun, start_ms) = (Instant::now(), end_ms - AGE_MS);
    let months = months(start_ms, end_ms)?;
    let ranges = ranges(rows, months.len());
    let (next, is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let fill = || -> anyhow::Result<()> {
        while let Some(&(first, end)) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
            for &(from_ms, to_ms) in &months {
                let slice = Slice { rows, accounts: ACCOUNTS, first, end, from_ms, to_ms, start_ms, age_ms: AGE_MS };
                space.bench.clickhouse(&slice.insert(&space.name))?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(fill)).collect();
        let progress = scope.spawn(|| tell_progress(space, rows, begun, &is_done));
        let outcomes: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_done.store(true, Ordering::Relaxed);
        progress.thread().unpark();
        outcomes.into_iter().try_for_each(|outcome| outcome.map_err(|_| anyhow::anyhow!("a thread panicked"))?)
    })?;
    Ok(begun.elapsed())
}

fn tell_progress(space: &Space<'_>, rows: usize, begun: Instant, is_done: &AtomicBool) {
    let sql =
        format!("SELECT sum(rows) FROM system.parts WHERE active AND database = '{}' AND table = 'ledger'", space.name);
    while !is_done.load(Ordering::Relaxed) {
        std::thread::park_timeout(PROGRESS_INTERVAL);
        let Some(there) = space.bench.clickhouse(&sql).ok().and_then(|text| text.parse::<usize>().ok()) else {
            continue;
        };
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        let (rate, left) = (there as f64 / begun.elapsed().as_secs_f64(), rows.saturating_sub(there) as f64);
        println!("  {there} of {rows} rows, {rate:.0}/s, {:.0} s to go", left / rate.max(1.0));
    }
}

/// Of posting, as the table is partitioned.
fn months(start_ms: i64, end_ms: i64) -> anyhow::Result<Vec<(i64, i64)>> {
    use chrono::Datelike as _;
    let mut months = Vec::new();
    let mut from_ms = start_ms;
    while from_ms < end_ms {
        let at = chrono::DateTime::from_timestamp_millis(from_ms).context("a moment")?.date_naive();
        let next = at.with_day(1).and_then(|first| first.checked_add_months(chrono::Months::new(1)));
        let next_ms = next.context("a month")?.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
        months.push((from_ms, next_ms.min(end_ms)));
        from_ms = next_ms;
    }
    Ok(months)
}

/// Ranges of accounts whose months have about as many rows as a statement may, and at least one for each thread.
fn ranges(rows: usize, months: usize) -> Vec<(usize, usize)> {
    let a_month = (rows / months / THREADS).clamp(1, ROWS_A_STATEMENT_MAX);
    let (mut ranges, mut first, mut sum) = (Vec::new(), 0, 0);
    for number in 0..ACCOUNTS {
        sum += rows::of_account(rows, ACCOUNTS, number) / months;
        if sum >= a_month || number + 1 == ACCOUNTS {
            ranges.push((first, number + 1));
            (first, sum) = (number + 1, 0);
        }
    }
    ranges
}

/// What the log has to say of the rows, see above.
fn write_log(space: &Space<'_>, at_ms: i64) -> anyhow::Result<()> {
    let sql = format!(
        "SELECT account_id, max(latest).1, reinterpret(max(latest).2, 'Int64') FROM {}.account_balances GROUP BY account_id",
        space.name
    );
    let (feed, ledger) = (Feed::new(space)?, space.topics.ledger());
    let send = |account_id: &str, posted_at_ms: i64, entries: Vec<Entry>| {
        let record = LedgerRecord { account_id: account_id.to_owned(), posted_at_ms, input_generation: 0, entries };
        feed.send(&ledger, account_id, &record.encode_to_vec(), false)
    };
    let opened_at_ms = at_ms - AGE_MS;
    for number in 0..ACCOUNTS {
        let entries = vec![opening(opened_at_ms), adjustment(2, CREDIT_MICROS, CREDIT_MICROS)];
        send(&account_id(number), opened_at_ms, entries)?;
    }
    for line in space.bench.clickhouse(&sql)?.lines() {
        let mut fields = line.split('\t');
        let mut field = || fields.next().context("a field");
        let (account_id, newest_seq, balance_micros) = (field()?, field()?.parse::<u64>()?, field()?.parse::<i64>()?);
        for first in (3..=newest_seq).step_by(usize::try_from(ENTRIES_A_RECORD)?) {
            let last = newest_seq.min(first + ENTRIES_A_RECORD - 1);
            let amount = |seq| if seq == 3 { balance_micros - CREDIT_MICROS } else { 0 };
            send(account_id, at_ms, (first..=last).map(|seq| adjustment(seq, amount(seq), balance_micros)).collect())?;
        }
    }
    feed.flush()?;
    tell_sunk(space, &ledger)
}

fn tell_sunk(space: &Space<'_>, ledger: &str) -> anyhow::Result<()> {
    let watermarks = Watermarks::new(&space.clients)?;
    let ends: Vec<i64> = (0..PARTITIONS)
        .map(|partition| watermarks.ask(ledger, partition, BROKER_WAIT).map(|(_, end)| end))
        .collect::<Result<_, _>>()?;
    let ranges: Vec<String> = (0..).zip(&ends).map(|(partition, end)| format!("({partition}, {end}, {end})")).collect();
    let (position, ranges) = (ends.iter().sum::<i64>(), ranges.join(", "));
    space.bench.clickhouse(&format!(
        "INSERT INTO {}.sunk_ranges (position, token, ranges, rows) VALUES ({position}, 'generated', [{ranges}], 0)",
        space.name
    ))?;
    Ok(())
}

/// The tables must say the same: the chain of every account, and the rollups' sums.
fn check(space: &Space<'_>) -> anyhow::Result<String> {
    let database = &space.name;
    let one = |sql: &str| space.bench.clickhouse(sql);
    let sums = |table: &str, condition: &str| {
        one(&format!("SELECT sum(count), sum(amount), sum(quantity) FROM {database}.{table} WHERE {condition}"))
    };
    let entries =
        one(&format!("SELECT count(), sum(amount), sum(quantity) FROM {database}.ledger WHERE type = 'consume'"))?;
    for table in ["usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth"] {
        let rolled_up = sums(table, "type = 'consume'")?;
        ensure!(rolled_up == entries, "{table} sums up to {rolled_up}, the ledger to {entries}");
    }
    let broken = one(&format!(
        "SELECT count() FROM (SELECT account_id, count() AS entries, max(seq) AS newest, sum(amount) AS balance, \
         argMax(balance_after, seq) AS told FROM {database}.ledger GROUP BY account_id \
         HAVING entries != newest OR balance != told)"
    ))?;
    if broken != "0" {
        bail!("{broken} accounts are not what their entries make");
    }
    let largest = one(&format!("SELECT count() FROM {database}.ledger WHERE account_id = '{LARGEST}'"))?;
    let event = one(&format!(
        "SELECT sum(count) FROM {database}.usage_15m_by_event WHERE account_id = '{LARGEST}' AND event_id = '{LARGEST_EVENT}'"
    ))?;
    let parts = one(&format!("SELECT count() FROM system.parts WHERE active AND database = '{database}'"))?;
    let count = entries.split('\t').next().unwrap_or_default();
    Ok(format!(
        "{count} rows of {ACCOUNTS} accounts over a year, {largest} of the largest, {event} of the largest event, closed \
         months and rollups merged, {parts} parts"
    ))
}

/// What a row takes on the disk, and what each column has of it.
fn tell_size(space: &Space<'_>, report: &mut Report) -> anyhow::Result<()> {
    let database = &space.name;
    let active = format!("active AND database = '{database}' AND table = 'ledger'");
    let rows = format!("(SELECT sum(rows) FROM system.parts WHERE {active})");
    let columns = space.bench.clickhouse(&format!(
        "SELECT column || ' ' || toString(round(sum(column_bytes_on_disk) / {rows}, 2)) FROM system.parts_columns \
         WHERE {active} GROUP BY column ORDER BY sum(column_bytes_on_disk) DESC"
    ))?;
    let indexes = space.bench.clickhouse(&format!(
        "SELECT name || ' ' || toString(round(data_compressed_bytes / {rows}, 2)) FROM system.data_skipping_indices \
         WHERE database = '{database}' AND table = 'ledger'"
    ))?;
    let others = space.bench.clickhouse(&format!(
        "SELECT table || ' ' || toString(round(sum(bytes_on_disk) / {rows}, 2)) FROM system.parts WHERE active \
         AND database = '{database}' AND table LIKE 'usage_%' GROUP BY table ORDER BY table"
    ))?;
    let list = |lines: &str| lines.lines().collect::<Vec<_>>().join(", ");
    let size =
        space.bench.clickhouse(&format!("SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE {active}"))?;
    let conditions = format!(
        "bytes a row of ledger: {}; its indexes: {}; rollups, for each row of ledger: {}",
        list(&columns),
        list(&indexes),
        list(&others)
    );
    report.add("dataset_row_bytes", "bytes", &[size.parse()?], conditions);
    Ok(())
}

/// How often an account is drawn: as its share of the rows.
#[derive(Debug, Clone)]
pub(crate) struct Shares(std::sync::Arc<[f64]>);

impl Shares {
    pub(crate) fn new() -> Self {
        let mut sum = 0.0;
        #[allow(clippy::cast_precision_loss)] // Ten thousand.
        let sums: Vec<f64> = (0..ACCOUNTS)
            .map(|number| {
                sum += 1.0 / (number + 1) as f64;
                sum
            })
            .collect();
        Self(sums.into_iter().map(|part| part / sum).collect())
    }

    /// The account of a draw.
    pub(crate) fn account(&self, draw: u64) -> usize {
        #[allow(clippy::cast_precision_loss)] // A share of one.
        let point = (feed::mixed(draw) >> 11) as f64 / (1_u64 << 53) as f64;
        self.0.partition_point(|share| *share <= point).min(ACCOUNTS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_months_leave_nothing_out() {
        for rows in [20_000, 2_000_000, 100_000_000] {
            let ranges = ranges(rows, 13);
            assert!(ranges.len() >= THREADS, "{ranges:?}");
            assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (0, ACCOUNTS));
            assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ranges:?}");
        }
        let (from, to) = (1_764_115_200_000, 1_795_219_200_000);
        let months = months(from, to).unwrap();
        assert_eq!((months[0].0, months[months.len() - 1].1, months.len()), (from, to, 13));
        assert!(months.windows(2).all(|pair| pair[0].1 == pair[1].0), "{months:?}");
    }

    #[test]
    fn a_tenth_of_the_draws_is_of_the_largest() {
        let shares = Shares::new();
        let largest = (0..100_000).filter(|draw| shares.account(*draw) == 0).count();
        assert!((9_000..12_000).contains(&largest), "{largest}");
    }
}
