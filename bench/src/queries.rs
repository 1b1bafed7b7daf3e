//! What dashboards ask, over a year of many accounts: how long an answer takes the first time, and asked again.
//!
//! The ledger is written straight to its topic, and the sink makes the rows: what is asked is what a long life leaves.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use prost::Message as _;
use tollbooth_schemas::v1::{AccountOpened, Entry, LedgerRecord, SourceTopic, Usage, UsageStatus, entry::Kind};

use crate::{
    feed::{self, Feed},
    load::Connection,
    report::Report,
    stack::{Bench, Space},
};

/// Account `n` has a share of the rows as 1 / (n + 1): the first about a tenth.
const ACCOUNTS: usize = 10_000;
/// Of one account.
const EVENTS: u64 = 6;
const BOOTHS: u64 = 12;
const ENTRIES_A_RECORD: usize = 20;
const UNIT_PRICE_MICROS: i64 = 200_000;
const AGE_MS: i64 = 360 * 86_400_000;
const LANDED_WAIT: Duration = Duration::from_secs(1_800);
/// Requests a second, by a schedule.
const FIRST_RATE: f64 = 20.0;
const AGAIN_RATE: f64 = 200.0;
const FIRST_REQUESTS: usize = 200;
const AGAIN_REQUESTS: usize = 1_000;
const CONNECTIONS: usize = 16;
/// Rows that a cursor has gone over before a page counts as deep.
const DEEP: usize = 10_000;
const PAGE: usize = 50;

/// One kind of question.
struct Question {
    ids: [&'static str; 2],
    again: Option<[&'static str; 2]>,
    what: &'static str,
    /// Below `/v1/accounts/`; each number gives another one.
    path: fn(usize) -> String,
}

fn account(number: usize) -> String {
    format!("acc_query{number:05}")
}

/// The account with the most rows, whatever the number.
const LARGE: &str = "acc_query00000";

const QUESTIONS: [Question; 9] = [
    Question {
        ids: ["query_balance_p50", "query_balance_p99"],
        again: Some(["query_balance_again_p50", "query_balance_again_p99"]),
        what: "the balance of another account each time",
        path: |number| format!("{}/balance", account(number)),
    },
    Question {
        ids: ["query_newest_p50", "query_newest_p99"],
        again: Some(["query_newest_again_p50", "query_newest_again_p99"]),
        what: "the newest 50 transactions of another account each time",
        path: |number| format!("{}/transactions?limit=50", account(number)),
    },
    Question {
        ids: ["query_word_p50", "query_word_p99"],
        again: None,
        what: "a search of the large account for a word in a quarter of its rows",
        path: |number| format!("{LARGE}/transactions?q=sms&limit={}", PAGE + number % PAGE),
    },
    Question {
        ids: ["query_id_p50", "query_id_p99"],
        again: None,
        what: "a search of the large account for the id of one operation",
        path: |number| format!("{LARGE}/transactions?q={}", operation_id(0, number as u64)),
    },
    Question {
        ids: ["query_none_p50", "query_none_p99"],
        again: None,
        what: "a search of the large account for a word in no row",
        path: |number| format!("{LARGE}/transactions?q=nothing{number}"),
    },
    Question {
        ids: ["query_never_meet_p50", "query_never_meet_p99"],
        again: None,
        what: "a search of the large account for two frequent words that never meet",
        path: |number| format!("{LARGE}/transactions?q=sms%20background_removal&limit={}", PAGE + number % PAGE),
    },
    Question {
        ids: ["query_month_p50", "query_month_p99"],
        again: Some(["query_month_again_p50", "query_month_again_p99"]),
        what: "this month by day and engine, another account each time",
        path: |number| format!("{}/usage?bucket=day&group_by=engine", account(number)),
    },
    Question {
        ids: ["query_year_p50", "query_year_p99"],
        again: Some(["query_year_again_p50", "query_year_again_p99"]),
        what: "the last twelve months by month in New York, another account each time",
        path: |number| {
            let begin = chrono::Utc::now() - chrono::Duration::days(330);
            let from = begin.format("%Y-%m-01");
            format!("{}/usage?bucket=month&tz=America/New_York&from={from}", account(number))
        },
    },
    Question {
        ids: ["query_event_p50", "query_event_p99"],
        again: Some(["query_event_again_p50", "query_event_again_p99"]),
        what: "an event's credits by engine, another account each time",
        path: |number| format!("{}/events/evt_{number}_0/usage", account(number)),
    },
];

pub(crate) async fn run(bench: &Bench, report: &mut Report, rows: usize) -> anyhow::Result<()> {
    let space = bench.space("queries")?;
    feed::prepare(&space, 0)?;
    let written = write_ledger(&space, rows)?;
    let meter = space.meter()?;
    let loaded_in = landed(&space, written.charges)?;
    space.merge_closed_months()?;
    let (query, address) = space.query()?;
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let rate = written.charges as f64 / loaded_in.as_secs_f64();
    let data = format!(
        "{} rows of {ACCOUNTS} accounts over a year, {} of the largest, loaded at {rate:.0}/s, closed months merged",
        written.charges, written.of_the_largest
    );
    println!("  {data}");
    for question in &QUESTIONS {
        let paths: Vec<String> = (0..FIRST_REQUESTS).map(question.path).collect();
        let first = ask(&address, &bench.admin_key, &paths, FIRST_REQUESTS, FIRST_RATE).await?;
        figures(report, question.ids, &first, FIRST_RATE, &format!("{}; first time; {data}", question.what));
        if let Some(ids) = question.again {
            let again = ask(&address, &bench.admin_key, &paths, AGAIN_REQUESTS, AGAIN_RATE).await?;
            figures(report, ids, &again, AGAIN_RATE, &format!("{}; asked again; {data}", question.what));
        }
    }
    let (deep, reached) = deep(&address, &bench.admin_key).await?;
    let what = format!("pages of {PAGE} by cursor behind {reached} rows of one service of the large account; {data}");
    figures(report, ["query_deep_p50", "query_deep_p99"], &deep, 0.0, &what);
    query.stop();
    meter.stop();
    Ok(())
}

fn figures(report: &mut Report, ids: [&'static str; 2], asked: &Histogram<u64>, rate: f64, what: &str) {
    let pace =
        if rate > 0.0 { format!("{rate:.0} requests/s by a schedule") } else { "one after the other".to_owned() };
    let conditions = format!("{} requests, {pace}, {what}", asked.len());
    for (id, quantile) in ids.into_iter().zip([0.5, 0.99]) {
        #[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
        let value = asked.value_at_quantile(quantile) as f64 / 1000.0;
        report.add(id, "ms", &[value], conditions.clone());
    }
}

/// Asks as requests fall due; microseconds from then to the answer, each of which must be 200.
async fn ask(address: &str, key: &str, paths: &[String], count: usize, rate: f64) -> anyhow::Result<Histogram<u64>> {
    let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let paths: Arc<[String]> = paths.into();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (address, key) = (address.to_owned(), key.to_owned());
        let (next, paths) = (Arc::clone(&next), Arc::clone(&paths));
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(&address, &key).await?;
            let mut asked = Histogram::<u64>::new(3)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(asked);
                }
                #[allow(clippy::cast_precision_loss)] // Far below 2^52.
                let due = started + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
                let path = &paths[number % paths.len()];
                get(&mut connection, path).await?;
                asked.record(u64::try_from(due.elapsed().as_micros())?)?;
            }
        }));
    }
    let mut asked = Histogram::new(3)?;
    for task in tasks {
        asked.add(task.await??)?;
    }
    Ok(asked)
}

async fn get(connection: &mut Connection, path: &str) -> anyhow::Result<String> {
    let answer = connection.get(&format!("/v1/accounts/{path}")).await?;
    if !answer.starts_with("http/1.1 200") {
        bail!("{path}: {}", answer.chars().take(300).collect::<String>());
    }
    Ok(answer)
}

/// Pages of the large account's work of one service, from [`DEEP`] rows on; and how many rows were passed by.
async fn deep(address: &str, key: &str) -> anyhow::Result<(Histogram<u64>, usize)> {
    let mut connection = Connection::open(address, key).await?;
    let mut asked = Histogram::new(3)?;
    let (mut cursor, mut passed) = (String::new(), 0);
    while asked.len() < FIRST_REQUESTS as u64 {
        let is_deep = passed >= DEEP;
        let limit = if is_deep { PAGE } else { 200 };
        let path = format!("{LARGE}/transactions?service=ai_modify&limit={limit}{cursor}");
        let begun = Instant::now();
        let answer = get(&mut connection, &path).await?;
        if is_deep {
            asked.record(u64::try_from(begun.elapsed().as_micros())?)?;
        } else {
            passed += limit;
        }
        let body: serde_json::Value = serde_json::from_str(answer.get(answer.find('{').unwrap_or(0)..).unwrap_or(""))?;
        let Some(next) = body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    ensure!(!asked.is_empty(), "the large account is not deep enough for a page behind {DEEP} rows: more --rows");
    Ok((asked, passed))
}

pub(crate) struct Written {
    pub(crate) charges: usize,
    of_the_largest: usize,
}

/// What an account has so far.
#[derive(Default)]
struct Account {
    seq: u64,
    balance_micros: i64,
    waiting: Vec<Entry>,
}

/// Which account the row `number` is of: drawn, so that the share of account `n` is as 1 / (n + 1).
fn shares() -> Vec<f64> {
    let mut sum = 0.0;
    #[allow(clippy::cast_precision_loss)] // Ten thousand.
    let sums: Vec<f64> = (0..ACCOUNTS)
        .map(|number| {
            sum += 1.0 / (number + 1) as f64;
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

fn drawn(shares: &[f64], number: usize) -> usize {
    #[allow(clippy::cast_precision_loss)] // A share of one.
    let point = (feed::mixed(number as u64) >> 11) as f64 / (1_u64 << 53) as f64;
    shares.partition_point(|share| *share <= point).min(ACCOUNTS - 1)
}

fn operation_id(account: usize, charge: u64) -> String {
    format!("op_{:016x}{charge:016x}", feed::mixed(((account as u64) << 40) | charge))
}

pub(crate) fn write_ledger(space: &Space<'_>, rows: usize) -> anyhow::Result<Written> {
    let (feed, ledger, shares) = (Feed::new(space)?, space.topics.ledger(), shares());
    let now_ms = chrono::Utc::now().timestamp_millis();
    let send = |number: usize, posted_at_ms: i64, entries: Vec<Entry>| {
        let record = LedgerRecord { account_id: account(number), posted_at_ms, input_generation: 0, entries };
        feed.send(&ledger, &record.account_id, &record.encode_to_vec(), false)
    };
    let mut accounts: HashMap<usize, Account> = HashMap::new();
    for number in 0..ACCOUNTS {
        send(number, now_ms - AGE_MS, vec![opening()])?;
        accounts.insert(number, Account { seq: 1, ..Account::default() });
    }
    let mut of_the_largest = 0;
    for row in 0..rows {
        let at_ms = now_ms - AGE_MS + i64::try_from(row as u128 * u128::try_from(AGE_MS)? / rows as u128)?;
        let number = drawn(&shares, row);
        of_the_largest += usize::from(number == 0);
        let account = accounts.get_mut(&number).context("an account")?;
        account.seq += 1;
        let entry = charge(number, account, row, at_ms);
        account.balance_micros += entry.amount_micros;
        account.waiting.push(Entry { balance_after_micros: account.balance_micros, ..entry });
        if account.waiting.len() >= ENTRIES_A_RECORD {
            send(number, at_ms, std::mem::take(&mut account.waiting))?;
        }
    }
    for (number, account) in accounts.iter_mut().filter(|(_, account)| !account.waiting.is_empty()) {
        send(*number, now_ms, std::mem::take(&mut account.waiting))?;
    }
    feed.flush()?;
    Ok(Written { charges: rows, of_the_largest })
}

fn opening() -> Entry {
    let opened = AccountOpened {
        name: "Bench".to_owned(),
        plan: "basic".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "America/New_York".to_owned(),
    };
    let kind = Some(Kind::AccountOpened(opened));
    Entry { seq: 1, source_topic: SourceTopic::Tick.into(), kind, ..Entry::default() }
}

fn charge(number: usize, account: &Account, row: usize, at_ms: i64) -> Entry {
    let draw = |what: u64, of: u64| feed::mixed((row as u64).wrapping_mul(31).wrapping_add(what)) % of;
    let (service, engine, variant, unit) = feed::work(draw(1, 100));
    let quantity: i64 = if feed::quantity(unit, draw(2, 100)) == "2" { 2 } else { 1 };
    let usage = Usage {
        status: UsageStatus::Success.into(),
        attempt: 1,
        operation_id: operation_id(number, account.seq),
        service: service.to_owned(),
        engine: engine.to_owned(),
        variant: variant.unwrap_or_default().to_owned(),
        unit: unit.to_owned(),
        quantity_micros: quantity * 1_000_000,
        event_id: format!("evt_{number}_{}", draw(3, EVENTS)),
        booth_id: format!("bth_{number}_{}", draw(4, BOOTHS)),
        plan: "basic".to_owned(),
        price_version: 1,
        unit_price_micros: UNIT_PRICE_MICROS,
        received_at_ms: at_ms,
        ..Usage::default()
    };
    Entry {
        seq: account.seq,
        amount_micros: -UNIT_PRICE_MICROS * quantity,
        occurred_at_ms: at_ms - i64::try_from(draw(5, 120_000)).unwrap_or_default(),
        source_topic: SourceTopic::Tick.into(),
        kind: Some(Kind::Usage(usage)),
        ..Entry::default()
    }
}

/// Waits until every charge is a row; how long that took.
fn landed(space: &Space<'_>, charges: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    while space.charges_landed()? < charges as u64 {
        if begun.elapsed() > LANDED_WAIT {
            bail!("{} of {charges} rows landed within {LANDED_WAIT:?}", space.charges_landed()?);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(begun.elapsed())
}
