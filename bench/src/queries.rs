//! What dashboards ask, over a year of many accounts: how long an answer takes the first time, and asked again.

use std::{sync::Arc, time::Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;

use crate::{
    dataset::{self, LARGEST, LARGEST_EVENT},
    feed::account_id,
    load::Connection,
    report::Report,
    schedule::Schedule,
    stack::{Bench, Space},
};

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
    /// Below `/v1/accounts/`; each number gives another one. Beside it, the operations that are looked for.
    path: fn(usize, &[String]) -> String,
}

/// A bound that leaves nothing out and makes another question of each number: what was read for one is kept. Some quarter of
/// an hour, as a person asks.
fn since(number: usize) -> String {
    format!("from=2020-01-{:02}T{:02}:{:02}:00Z", 1 + number / 96, number / 4 % 24, number % 4 * 15)
}

/// The first day of the month eleven months ago, or of the one before.
fn eleven_months_ago() -> String {
    (chrono::Utc::now() - chrono::Duration::days(330)).format("%Y-%m-01").to_string()
}

const QUESTIONS: [Question; 11] = [
    Question {
        ids: ["query_balance_p50", "query_balance_p99"],
        again: Some(["query_balance_again_p50", "query_balance_again_p99"]),
        what: "the balance of another account each time",
        path: |number, _| format!("{}/balance", account_id(number)),
    },
    Question {
        ids: ["query_newest_p50", "query_newest_p99"],
        again: Some(["query_newest_again_p50", "query_newest_again_p99"]),
        what: "the newest 50 transactions of another account each time, the largest first",
        path: |number, _| format!("{}/transactions?limit=50", account_id(number)),
    },
    Question {
        ids: ["query_newest_small_p50", "query_newest_small_p99"],
        again: None,
        what: "the newest 50 transactions of another small account each time",
        path: |number, _| format!("{}/transactions?limit=50", account_id(9_000 + number)),
    },
    Question {
        ids: ["query_word_p50", "query_word_p99"],
        again: None,
        what: "a search of the largest account for a word in a quarter of its rows",
        path: |number, _| format!("{LARGEST}/transactions?q=sms&{}", since(number)),
    },
    Question {
        ids: ["query_id_p50", "query_id_p99"],
        again: None,
        what: "a search of the largest account for the id of one operation",
        path: |number, operations| format!("{LARGEST}/transactions?q={}", operations[number % operations.len()]),
    },
    Question {
        ids: ["query_none_p50", "query_none_p99"],
        again: None,
        what: "a search of the largest account for a word in no row",
        path: |number, _| format!("{LARGEST}/transactions?q=nothing{number}"),
    },
    Question {
        ids: ["query_never_meet_p50", "query_never_meet_p99"],
        again: None,
        what: "a search of the largest account for two frequent words that never meet",
        path: |number, _| format!("{LARGEST}/transactions?q=sms%20background_removal&{}", since(number)),
    },
    Question {
        ids: ["query_month_p50", "query_month_p99"],
        again: Some(["query_month_again_p50", "query_month_again_p99"]),
        what: "this month by day and engine, another account each time",
        path: |number, _| format!("{}/usage?bucket=day&group_by=engine", account_id(number)),
    },
    Question {
        ids: ["query_year_p50", "query_year_p99"],
        again: Some(["query_year_again_p50", "query_year_again_p99"]),
        what: "the last twelve months by month in New York, another account each time",
        path: |number, _| {
            let from = eleven_months_ago();
            format!("{}/usage?bucket=month&tz=America/New_York&from={from}", account_id(number))
        },
    },
    Question {
        ids: ["query_event_p50", "query_event_p99"],
        again: Some(["query_event_again_p50", "query_event_again_p99"]),
        what: "an event's credits by engine, another account each time",
        path: |number, _| format!("{}/events/evt_{number}_1/usage", account_id(number)),
    },
    Question {
        ids: ["query_large_event_p50", "query_large_event_p99"],
        again: None,
        what: "the credits by engine of the event with the most rows, from another instant each time",
        path: |number, _| format!("{LARGEST}/events/{LARGEST_EVENT}/usage?{}", since(number)),
    },
];

/// `only` these questions, or all where none is named.
pub(crate) async fn run(bench: &Bench, report: &mut Report, rows: usize, only: &[String]) -> anyhow::Result<()> {
    let is_wanted = |id: &str| only.is_empty() || only.iter().any(|name| id == format!("query_{name}_p50"));
    let space = bench.space(dataset::SPACE)?;
    let data = dataset::make(&space, Some(report), rows)?;
    let meter = space.meter()?;
    dataset::settled(&space)?;
    let (query, address) = space.query()?;
    let (operations, data) = (operations(&space)?, data.what);
    for question in QUESTIONS.iter().filter(|question| is_wanted(question.ids[0])) {
        let paths: Vec<String> = (0..FIRST_REQUESTS).map(|number| (question.path)(number, &operations)).collect();
        let first = ask(&address, &bench.admin_key, &paths, FIRST_REQUESTS, FIRST_RATE).await?;
        figures(report, question.ids, &first, FIRST_RATE, &format!("{}; first time; {data}", question.what));
        if let Some(ids) = question.again {
            let again = ask(&address, &bench.admin_key, &paths, AGAIN_REQUESTS, AGAIN_RATE).await?;
            figures(report, ids, &again, AGAIN_RATE, &format!("{}; asked again; {data}", question.what));
        }
    }
    if is_wanted("query_deep_p50") {
        let (deep, reached) = deep(&address, &bench.admin_key).await?;
        let what =
            format!("pages of {PAGE} by cursor behind {reached} rows of one service of the largest account; {data}");
        figures(report, ["query_deep_p50", "query_deep_p99"], &deep, 0.0, &what);
    }
    query.stop();
    meter.stop();
    Ok(())
}

/// Asks one question by its name, as `newest`, for the first time; microseconds.
pub(crate) async fn first_time(
    space: &Space<'_>,
    address: &str,
    name: &str,
    requests: usize,
) -> anyhow::Result<Histogram<u64>> {
    let id = format!("query_{name}_p50");
    let question = QUESTIONS.iter().find(|question| question.ids[0] == id).context("no such question")?;
    let operations = operations(space)?;
    let paths: Vec<String> = (0..requests).map(|number| (question.path)(number, &operations)).collect();
    ask(address, &space.bench.admin_key, &paths, requests, FIRST_RATE).await
}

/// Ids of operations of the largest account, from all over its time.
fn operations(space: &Space<'_>) -> anyhow::Result<Vec<String>> {
    let sql = format!(
        "SELECT operation_id FROM {}.ledger WHERE account_id = '{LARGEST}' AND type = 'consume' \
         ORDER BY operation_id LIMIT {FIRST_REQUESTS}",
        space.name
    );
    let ids: Vec<String> = space.bench.clickhouse(&sql)?.lines().map(str::to_owned).collect();
    ensure!(!ids.is_empty(), "the largest account has no operations");
    Ok(ids)
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
    let schedule = Schedule::at_rate(rate, count, CONNECTIONS);
    let paths: Arc<[String]> = paths.into();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (address, key) = (address.to_owned(), key.to_owned());
        let (schedule, paths) = (Arc::clone(&schedule), Arc::clone(&paths));
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(&address, &key).await?;
            let mut asked = Histogram::<u64>::new(3)?;
            while let Some((number, due)) = schedule.next().await {
                get(&mut connection, &paths[number % paths.len()]).await?;
                asked.record(u64::try_from(due.elapsed().as_micros())?)?;
            }
            anyhow::Ok(asked)
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

/// Pages of the largest account's work of one service, from [`DEEP`] rows on; and how many rows were passed by.
async fn deep(address: &str, key: &str) -> anyhow::Result<(Histogram<u64>, usize)> {
    let mut connection = Connection::open(address, key).await?;
    let mut asked = Histogram::new(3)?;
    let (mut cursor, mut passed) = (String::new(), 0);
    while asked.len() < FIRST_REQUESTS as u64 {
        let is_deep = passed >= DEEP;
        let limit = if is_deep { PAGE } else { 200 };
        let path = format!("{LARGEST}/transactions?service=ai_modify&limit={limit}{cursor}");
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
    ensure!(!asked.is_empty(), "the largest account is not deep enough for a page behind {DEEP} rows: more --rows");
    Ok((asked, passed))
}
