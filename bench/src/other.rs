//! Any other product, named in a small file: events to an endpoint that takes CloudEvents, questions over HTTP or in SQL.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio_postgres::NoTls;

use crate::{feed, load::Outcome, report::Report};

/// Stands for an account's id in a URL or in SQL.
const ACCOUNT: &str = "{account}";

/// What is measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Accounts that events and questions are spread over.
    #[serde(default = "accounts")]
    accounts: usize,
    events: Option<Events>,
    #[serde(default)]
    queries: Vec<Query>,
}

fn accounts() -> usize {
    1_000
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Events a request; 1 is structured mode.
    batch: usize,
    connections: usize,
    /// Events a second; without it a closed loop.
    rate: Option<f64>,
    seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Of its figures, with `_p50` and `_p99` behind.
    id: String,
    /// For HTTP.
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// For SQL: how to reach a PostgreSQL, as `host=127.0.0.1 user=u dbname=d`.
    postgres: Option<String>,
    sql: Option<String>,
    connections: usize,
    /// Requests a second, by a schedule.
    rate: f64,
    requests: u64,
}

/// Measures what a file names. An answer that is no success ends it.
pub(crate) async fn run(report: &mut Report, file: &Path, runs: u32) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("read {}", file.display()))?;
    ensure!(file.accounts > 0, "no accounts");
    if let Some(events) = &file.events {
        measure_events(report, events, file.accounts, runs).await?;
    }
    for query in &file.queries {
        measure_query(report, query, file.accounts, runs).await?;
    }
    Ok(())
}

async fn measure_events(report: &mut Report, events: &Events, accounts: usize, runs: u32) -> anyhow::Result<()> {
    ensure!(events.batch > 0 && events.connections > 0, "events: neither batch nor connections may be 0");
    let mut outcomes = Vec::new();
    for run in 0..runs {
        outcomes.push(send_events(events, accounts, run).await?);
    }
    let loop_of =
        events.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("open loop at {rate:.0} events/s"));
    let conditions = format!(
        "{}, {} event(s) a request, {} connections, {loop_of}, {} s, {accounts} accounts",
        events.url, events.batch, events.connections, events.seconds
    );
    let held = events.rate.is_none_or(|rate| outcomes.iter().all(|outcome| outcome.held(rate)));
    let rates: Vec<f64> = outcomes.iter().map(Outcome::rate).collect();
    report.add_at_rate("other_events", "events/s", &rates, held, conditions.clone());
    for (id, quantile) in [("other_events_p50", 0.5), ("other_events_p99", 0.99)] {
        let values: Vec<f64> = outcomes.iter().map(|outcome| outcome.latency_ms(quantile)).collect();
        report.add_at_rate(id, "ms", &values, held, conditions.clone());
    }
    Ok(())
}

async fn send_events(events: &Events, accounts: usize, run: u32) -> anyhow::Result<Outcome> {
    let client = client(&events.headers)?;
    let content_type =
        if events.batch == 1 { "application/cloudevents+json" } else { "application/cloudevents-batch+json" };
    let per_second = events.rate.map(|rate| rate / as_f64(events.batch as u64));
    let schedule = Schedule::new(per_second, Limit::Time(Duration::from_secs(events.seconds)));
    let ask = async |request: u64| {
        let body = body(events.batch, accounts, run, request);
        let sent = client.post(&events.url).header(CONTENT_TYPE, content_type).body(body).send().await?;
        success(sent).await
    };
    let (requests, latency) = schedule.drive(events.connections, ask).await?;
    Ok(Outcome {
        acknowledged: requests * events.batch as u64,
        refused: 0,
        seconds: schedule.started.elapsed().as_secs_f64(),
        latency,
    })
}

fn body(batch: usize, accounts: usize, run: u32, request: u64) -> String {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let first = usize::try_from(request).unwrap_or_default() * batch;
    let mut body = String::with_capacity(batch * 400);
    for number in first..first + batch {
        body.push_str(if number > first { "," } else { "" });
        feed::usage_event(&mut body, &feed::account_id(number.wrapping_mul(7919) % accounts), run, number, now_ms);
    }
    if batch > 1 { format!("[{body}]") } else { body }
}

async fn measure_query(report: &mut Report, query: &Query, accounts: usize, runs: u32) -> anyhow::Result<()> {
    ensure!(query.connections > 0 && query.requests > 0 && query.rate > 0.0, "{}: nothing is asked", query.id);
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let schedule = Schedule::new(Some(query.rate), Limit::Requests(query.requests));
        let latency = match (&query.url, &query.postgres, &query.sql) {
            (Some(url), None, None) => {
                let client = client(&query.headers)?;
                let ask = async |request: u64| success(client.get(named(url, accounts, request)).send().await?).await;
                schedule.drive(query.connections, ask).await?.1
            }
            (None, Some(postgres), Some(sql)) => {
                let mut clients = Vec::new();
                for _ in 0..query.connections {
                    let (client, connection) = tokio_postgres::connect(postgres, NoTls).await?;
                    tokio::spawn(connection);
                    clients.push(client);
                }
                let ask = async |request: u64| {
                    // Several questions on one connection would wait for each other.
                    let client = &clients[usize::try_from(request)? % clients.len()];
                    client.simple_query(&named(sql, accounts, request)).await?;
                    anyhow::Ok(())
                };
                schedule.drive(query.connections, ask).await?.1
            }
            _ => bail!("{}: either url, or postgres and sql", query.id),
        };
        #[allow(clippy::cast_precision_loss)] // Microseconds of a run.
        let quantile = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
        medians.push(quantile(0.5));
        tails.push(quantile(0.99));
    }
    let asked = query.url.as_ref().or(query.sql.as_ref()).map_or("", String::as_str);
    let conditions =
        format!("{} requests at {}/s by a schedule, {accounts} accounts: {asked}", query.requests, query.rate);
    for (end, values) in [("p50", &medians), ("p99", &tails)] {
        // As long as the report, which ends with the program.
        let id: &'static str = format!("other_{}_{end}", query.id).leak();
        report.add(id, "ms", values, conditions.clone());
    }
    Ok(())
}

fn named(text: &str, accounts: usize, request: u64) -> String {
    let number = usize::try_from(request).unwrap_or_default().wrapping_mul(7919) % accounts;
    text.replace(ACCOUNT, &feed::account_id(number))
}

fn client(headers: &BTreeMap<String, String>) -> anyhow::Result<reqwest::Client> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::try_from(name.as_str())?, HeaderValue::try_from(value.as_str())?);
    }
    Ok(reqwest::Client::builder().default_headers(map).tcp_nodelay(true).build()?)
}

/// Reads the answer to its end.
async fn success(answer: reqwest::Response) -> anyhow::Result<()> {
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&body).chars().take(500).collect::<String>());
    }
    Ok(())
}

/// When it ends.
enum Limit {
    Time(Duration),
    Requests(u64),
}

/// When each request is due, whatever became of those before.
struct Schedule {
    started: Instant,
    rate: Option<f64>,
    limit: Limit,
    next: Arc<AtomicU64>,
}

impl Schedule {
    fn new(rate: Option<f64>, limit: Limit) -> Self {
        Self { started: Instant::now(), rate, limit, next: Arc::default() }
    }

    /// Asks until the end over so many connections; gives back how many were answered, and microseconds from when each
    /// was due to its answer.
    async fn drive(
        &self,
        connections: usize,
        ask: impl AsyncFn(u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<(u64, Histogram<u64>)> {
        let ask = &ask;
        let each = (0..connections).map(|_| async move {
            let mut latency = Histogram::<u64>::new(3)?;
            while let Some((request, due)) = self.due().await {
                ask(request).await?;
                latency.record(u64::try_from(due.elapsed().as_micros())?)?;
            }
            anyhow::Ok(latency)
        });
        let mut all = Histogram::new(3)?;
        for latency in futures_util::future::try_join_all(each).await? {
            all.add(latency)?;
        }
        Ok((all.len(), all))
    }

    async fn due(&self) -> Option<(u64, Instant)> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.rate {
            Some(rate) => {
                let due = self.started + Duration::from_secs_f64(as_f64(request) / rate);
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        let goes_on = match self.limit {
            Limit::Time(duration) => due.duration_since(self.started) < duration,
            Limit::Requests(requests) => request < requests,
        };
        goes_on.then_some((request, due))
    }
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Bytes,
        extract::State,
        http::{HeaderMap, StatusCode, Uri},
        routing::{get, post},
    };
    use parking_lot::Mutex;

    use super::*;

    type Seen = Arc<Mutex<Vec<(String, usize)>>>;

    async fn take(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let items: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let count = items.as_array().map_or(usize::from(items.is_object()), Vec::len);
        seen.lock().push((format!("{} {}", of("content-type"), of("x-key")), count));
        StatusCode::NO_CONTENT
    }

    async fn answer(State(seen): State<Seen>, uri: Uri) {
        seen.lock().push((uri.to_string(), 0));
    }

    async fn listen(seen: Seen) -> String {
        let router = Router::new().route("/events", post(take)).route("/usage", get(answer)).with_state(seen);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn write(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[tokio::test]
    async fn what_a_file_names_is_asked_as_often_as_it_says() {
        // given an endpoint that takes CloudEvents and answers questions, and a file that names it
        let seen = Seen::default();
        let server = listen(seen.clone()).await;
        let file = write(&format!(
            "[events]\nurl = \"{server}/events\"\nheaders = {{ X-Key = \"k\" }}\nbatch = 10\nconnections = 2\nrate = 1000.0\n\
             seconds = 1\n[[queries]]\nid = \"usage\"\nurl = \"{server}/usage?subject={{account}}\"\nconnections = 3\n\
             rate = 500.0\nrequests = 50\n"
        ));
        // when it is measured
        let mut report = Report::new(Path::new("/"));
        run(&mut report, file.path(), 1).await.unwrap();
        // then a second's worth of events came in batches, each question once for another account, and there are figures
        let seen = seen.lock();
        let batches: Vec<_> = seen.iter().filter(|(what, _)| what.contains("cloudevents")).collect();
        assert_eq!(batches.len(), 100);
        assert!(batches.iter().all(|(what, count)| what == "application/cloudevents-batch+json k" && *count == 10));
        let asked: std::collections::BTreeSet<_> =
            seen.iter().filter(|(what, _)| what.starts_with("/usage?subject=acc_bench")).collect();
        assert_eq!(asked.len(), 50);
        let json = serde_json::to_value(&report).unwrap();
        let ids: Vec<&str> = json["figures"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(ids, ["other_events", "other_events_p50", "other_events_p99", "other_usage_p50", "other_usage_p99"]);
    }

    #[tokio::test]
    async fn a_refused_request_and_an_unknown_key_end_it() {
        let server = listen(Seen::default()).await;
        let mut report = Report::new(Path::new("/"));
        let refused =
            write(&format!("[events]\nurl = \"{server}/nowhere\"\nbatch = 1\nconnections = 1\nseconds = 1\n"));
        let error = run(&mut report, refused.path(), 1).await.unwrap_err();
        assert!(error.to_string().contains("404"), "{error:#}");
        let unknown = write("[events]\nurl = \"x\"\nbatch = 1\nconnections = 1\nseconds = 1\nspeed = 3\n");
        let error = run(&mut report, unknown.path(), 1).await.unwrap_err();
        assert!(format!("{error:#}").contains("speed"), "{error:#}");
    }
}
