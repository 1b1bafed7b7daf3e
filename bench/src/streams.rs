//! Ten thousand open streams on one query service: its memory, and how soon a charge is told on each of them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::mpsc,
};

use crate::{
    feed,
    load::Connection,
    report::Report,
    stack::{Bench, Service},
};

const STREAMS: usize = 10_000;
const ACCOUNTS: usize = 1_000;
/// Accounts that are charged by one request.
const BATCH: usize = 100;
/// Streams that are opened at a time.
const OPENING: usize = 200;
const OPEN_WAIT: Duration = Duration::from_secs(60);
const TOLD_WAIT: Duration = Duration::from_secs(60);

/// What a stream has said.
enum Said {
    Ready,
    Transaction { account: usize, at: Instant },
    Ended(String),
}

pub(crate) async fn run(bench: &Bench, report: &mut Report, rounds: u32) -> anyhow::Result<()> {
    let space = bench.space("streams")?;
    feed::prepare(&space, ACCOUNTS)?;
    let meter = space.meter()?;
    let (ingest, ingest_address) = space.ingest()?;
    let (query, query_address) = space.query()?;
    let mut ingest_connection = Connection::open(&ingest_address, &bench.admin_key).await?;
    // Everything opened and credited is known before the first stream, which begins at the newest entry.
    charge(&mut ingest_connection, 0).await?;
    wait_known(&query_address, &bench.admin_key).await?;

    let rest = query.rss_mib();
    let (say, mut said) = mpsc::unbounded_channel();
    let begun = Instant::now();
    for first in (0..STREAMS).step_by(OPENING) {
        for number in first..first + OPENING {
            let (address, key, say) = (query_address.clone(), bench.admin_key.clone(), say.clone());
            tokio::spawn(async move {
                let ended = listen(&address, &key, number % ACCOUNTS, &say).await;
                // Nobody listens any more at the end of the run.
                drop(say.send(Said::Ended(ended.map_or_else(|error| format!("{error:#}"), |()| "closed".to_owned()))));
            });
        }
        ready(&mut said, OPENING).await?;
    }
    let (opened_in, open) = (begun.elapsed(), query.rss_mib());

    let mut told = Vec::new();
    for round in 1..=rounds.max(1) {
        told.push(one_round(&mut ingest_connection, &mut said, round).await?);
    }
    figures(report, &told, &query, [rest, open], opened_in);
    query.stop();
    ingest.stop();
    meter.stop();
    Ok(())
}

fn figures(report: &mut Report, told: &[Histogram<u64>], query: &Service, [rest, open]: [f64; 2], opened_in: Duration) {
    let conditions = format!(
        "{STREAMS} streams over {ACCOUNTS} accounts, opened in {:.1} s, load generator on the same cores",
        opened_in.as_secs_f64()
    );
    let memory = format!("{conditions}; at rest {rest:.0} MiB, streams just opened {open:.0} MiB");
    report.add("rss_query_streams", "MiB", &[query.rss_mib()], memory);
    for (id, quantile) in [("stream_told_p50", 0.5), ("stream_told_p99", 0.99)] {
        #[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
        let values: Vec<f64> = told.iter().map(|told| told.value_at_quantile(quantile) as f64 / 1000.0).collect();
        let what = "202 of a batch -> entry on the stream, every account charged once, every stream told exactly once";
        report.add(id, "ms", &values, format!("{conditions}; {what}"));
    }
}

/// Charges every account once and waits until every stream has been told so.
async fn one_round(
    ingest: &mut Connection,
    said: &mut mpsc::UnboundedReceiver<Said>,
    round: u32,
) -> anyhow::Result<Histogram<u64>> {
    let acknowledged = charge(ingest, round).await?;
    let deadline = tokio::time::Instant::now() + TOLD_WAIT;
    let mut told = Histogram::new(3)?;
    let mut by_account = vec![0; ACCOUNTS];
    while told.len() < STREAMS as u64 {
        let next = tokio::time::timeout_at(deadline, said.recv()).await;
        let next = next.with_context(|| format!("{} of {STREAMS} streams told within {TOLD_WAIT:?}", told.len()))?;
        match next.context("all streams have ended")? {
            Said::Transaction { account, at } => {
                by_account[account] += 1;
                let since = at.saturating_duration_since(acknowledged[account / BATCH]);
                told.record(u64::try_from(since.as_micros())?)?;
            }
            Said::Ready => {}
            Said::Ended(why) => bail!("a stream has ended: {why}"),
        }
    }
    ensure!(by_account.iter().all(|count| *count == STREAMS / ACCOUNTS), "a stream was told twice, another not at all");
    Ok(told)
}

/// When the request of each batch was acknowledged.
async fn charge(ingest: &mut Connection, round: u32) -> anyhow::Result<Vec<Instant>> {
    let mut acknowledged = Vec::new();
    let mut body = String::new();
    for first in (0..ACCOUNTS).step_by(BATCH) {
        body.clear();
        for account in first..first + BATCH {
            body.push(if account == first { '[' } else { ',' });
            let now_ms = chrono::Utc::now().timestamp_millis();
            feed::usage_event(&mut body, &feed::account_id(account), round, account, now_ms);
        }
        body.push(']');
        let answer = ingest.post("/v1/events", "application/cloudevents-batch+json", body.as_bytes()).await?;
        ensure!(answer.contains(&format!("\"accepted\":{BATCH}")), "not accepted: {answer}");
        acknowledged.push(Instant::now());
    }
    Ok(acknowledged)
}

/// Waits until the query service knows the first charge of every account: the third entry.
async fn wait_known(query: &str, key: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(query, key).await?;
    for account in 0..ACCOUNTS {
        let path = format!("/v1/accounts/{}/balance", feed::account_id(account));
        let begun = Instant::now();
        loop {
            let answer = connection.get(&path).await?;
            let body: Option<serde_json::Value> =
                answer.find('{').and_then(|at| serde_json::from_str(answer.get(at..)?).ok());
            if body.is_some_and(|body| body["seq"].as_u64() >= Some(3)) {
                break;
            }
            ensure!(begun.elapsed() < OPEN_WAIT, "{path} does not show the first charge: {answer}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

async fn ready(said: &mut mpsc::UnboundedReceiver<Said>, count: usize) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + OPEN_WAIT;
    for _ in 0..count {
        match tokio::time::timeout_at(deadline, said.recv()).await.context("streams do not open")? {
            Some(Said::Ready) => {}
            Some(Said::Transaction { account, .. }) => bail!("account {account} was told of nothing that happened"),
            Some(Said::Ended(why)) => bail!("a stream has ended: {why}"),
            None => bail!("all streams have ended"),
        }
    }
    Ok(())
}

/// One stream, until it ends. Reads line by line: what frames the chunks is a line of its own and passes by.
async fn listen(address: &str, key: &str, account: usize, say: &mpsc::UnboundedSender<Said>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let path = format!("/v1/accounts/{}/stream?topics=transactions,balance", feed::account_id(account));
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut stream = BufReader::with_capacity(1024, stream);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let event = line.strip_prefix("event:").map(str::trim);
        let news = match event {
            Some("ready") => Said::Ready,
            Some("transaction") => Said::Transaction { account, at: Instant::now() },
            Some("resync") => bail!("it was told to load anew"),
            _ if line.starts_with("HTTP/1.1 ") && !line.contains(" 200 ") => bail!("refused: {}", line.trim()),
            _ => continue,
        };
        say.send(news).context("the run has ended")?;
    }
}
