//! An HTTP load generator that costs little itself: keep-alive connections, bodies written by hand, and for an open
//! loop a schedule that does not wait for answers: a late answer counts from when its request was due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::feed;

/// Of an offered rate, below which it was not held.
const HELD_SHARE_MIN: f64 = 0.97;

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// `host:port` of ingest.
    pub(crate) address: String,
    /// Admin key: writes any account.
    pub(crate) key: String,
    /// Events a request; 1 is structured mode.
    pub(crate) batch: usize,
    /// Spread over so many accounts.
    pub(crate) accounts: usize,
    /// Connections.
    pub(crate) connections: usize,
    /// Events a second; `None`: a closed loop, as fast as answers come.
    pub(crate) rate: Option<f64>,
    /// How long.
    pub(crate) duration: Duration,
    /// Keeps operation ids of two loads apart.
    pub(crate) run: u32,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Events acknowledged.
    pub(crate) acknowledged: u64,
    /// From begin to the last answer.
    pub(crate) seconds: f64,
    /// Microseconds from when a request was due to its answer.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    pub(crate) fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.seconds
    }

    /// Whether the offered rate was held: all that was due was acknowledged in time, or nearly so. The last answers come
    /// after the end, and a short run has more of them in proportion.
    pub(crate) fn held(&self, rate: f64) -> bool {
        self.rate() >= rate * HELD_SHARE_MIN
    }

    #[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// Sends a load and waits for its last answer. An answer but 202 with everything accepted ends it.
pub(crate) async fn send(load: &Load) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> =
        (0..load.connections).map(|_| tokio::spawn(connection(load.clone(), Arc::clone(&next), started))).collect();
    let mut latency = Histogram::new(3)?;
    let mut acknowledged = 0;
    for task in tasks {
        let (count, own) = task.await??;
        acknowledged += count;
        latency.add(own)?;
    }
    Ok(Outcome { acknowledged, seconds: started.elapsed().as_secs_f64(), latency })
}

async fn connection(load: Load, next: Arc<AtomicU64>, started: Instant) -> anyhow::Result<(u64, Histogram<u64>)> {
    let mut connection = Connection::open(&load.address, &load.key).await?;
    let mut latency = Histogram::new(3)?;
    let mut acknowledged = 0;
    let mut body = String::new();
    let ids: Vec<String> = (0..load.accounts).map(feed::account_id).collect();
    loop {
        let request = next.fetch_add(1, Ordering::Relaxed);
        let due = match load.rate {
            Some(rate) => {
                #[allow(clippy::cast_precision_loss)] // Far below 2^52.
                let after = (request * load.batch as u64) as f64 / rate;
                let due = started + Duration::from_secs_f64(after);
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        if due.duration_since(started) >= load.duration {
            return Ok((acknowledged, latency));
        }
        render(&mut body, &load, &ids, request);
        let content_type =
            if load.batch == 1 { "application/cloudevents+json" } else { "application/cloudevents-batch+json" };
        let answer = connection.post("/v1/events", content_type, body.as_bytes()).await?;
        if !answer.contains(&format!("\"accepted\":{}", load.batch)) {
            bail!("not accepted: {}", answer.chars().take(500).collect::<String>());
        }
        acknowledged += load.batch as u64;
        latency.record(u64::try_from(due.elapsed().as_micros())?)?;
    }
}

fn render(body: &mut String, load: &Load, ids: &[String], request: u64) {
    let now_ms = chrono::Utc::now().timestamp_millis();
    body.clear();
    let first = usize::try_from(request).unwrap_or_default() * load.batch;
    if load.batch > 1 {
        body.push('[');
    }
    for number in first..first + load.batch {
        if number > first {
            body.push(',');
        }
        feed::usage_event(body, &ids[number.wrapping_mul(7919) % ids.len()], load.run, number, now_ms);
    }
    if load.batch > 1 {
        body.push(']');
    }
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    head: String,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str, key: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        let head = format!("Host: {address}\r\nAuthorization: Bearer {key}\r\n");
        Ok(Self { stream, head, buffer: Vec::with_capacity(4096) })
    }

    pub(crate) async fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> anyhow::Result<String> {
        self.post_with(path, &format!("Content-Type: {content_type}\r\n"), body).await
    }

    /// With header lines of the caller's, each with its end.
    pub(crate) async fn post_with(&mut self, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<String> {
        let head = format!("POST {path} HTTP/1.1\r\n{}{headers}Content-Length: {}\r\n\r\n", self.head, body.len());
        let mut request = Vec::with_capacity(head.len() + body.len());
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.answer().await
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head);
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Status line and body of an answer with a `Content-Length`.
    async fn answer(&mut self) -> anyhow::Result<String> {
        self.buffer.clear();
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.context("an answer without Content-Length")?.trim().parse()?;
                while self.buffer.len() < end + 4 + length {
                    self.more().await?;
                }
                let status = head.lines().next().unwrap_or_default();
                return Ok(format!("{status}\n{}", String::from_utf8_lossy(&self.buffer[end + 4..])));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        Ok(())
    }
}
