//! An HTTP load generator that costs little itself: keep-alive connections, bodies written by hand, and for an open
//! loop a schedule that does not wait for answers: a late answer counts from when its request was due.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
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
    /// Where somebody looks on while it runs.
    pub(crate) recent: Option<Recent>,
}

/// What was answered since somebody last looked.
#[derive(Debug, Clone)]
pub(crate) struct Recent(Arc<Mutex<Window>>);

/// A part of a load.
#[derive(Debug)]
pub(crate) struct Window {
    /// Events acknowledged.
    pub(crate) acknowledged: u64,
    /// Microseconds from when a request was due to its answer.
    pub(crate) latency: Histogram<u64>,
}

impl Window {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { acknowledged: 0, latency: Histogram::new(3)? })
    }
}

impl Recent {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Window::new()?))))
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> anyhow::Result<Window> {
        let empty = Window::new()?;
        Ok(std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), empty))
    }

    fn answered(&self, events: u64, latency_us: u64) -> anyhow::Result<()> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.acknowledged += events;
        window.latency.record(latency_us)?;
        Ok(())
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Events acknowledged.
    pub(crate) acknowledged: u64,
    /// Events that were turned away with 503, and not sent again.
    pub(crate) refused: u64,
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

/// Sends a load and waits for its last answer. What is turned away because too much comes (503) is counted; any other answer
/// but 202 with everything accepted ends it.
pub(crate) async fn send(load: &Load) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> =
        (0..load.connections).map(|_| tokio::spawn(connection(load.clone(), Arc::clone(&next), started))).collect();
    let mut all = Outcome { acknowledged: 0, refused: 0, seconds: 0.0, latency: Histogram::new(3)? };
    for task in tasks {
        let own = task.await??;
        all.acknowledged += own.acknowledged;
        all.refused += own.refused;
        all.latency.add(own.latency)?;
    }
    if all.refused > 0 {
        println!("  {} events were turned away with 503", all.refused);
    }
    // By a schedule the last request is due a little before the end: that is no higher rate.
    let least = if load.rate.is_some() { load.duration } else { Duration::ZERO };
    all.seconds = started.elapsed().max(least).as_secs_f64();
    Ok(all)
}

async fn connection(load: Load, next: Arc<AtomicU64>, started: Instant) -> anyhow::Result<Outcome> {
    let mut connection = Connection::open(&load.address, &load.key).await?;
    let mut own = Outcome { acknowledged: 0, refused: 0, seconds: 0.0, latency: Histogram::new(3)? };
    let mut body = String::new();
    loop {
        let request = next.fetch_add(1, Ordering::Relaxed);
        let due = match load.rate {
            Some(rate) => {
                #[allow(clippy::cast_precision_loss)] // Far below 2^52.
                let after = (request * load.batch as u64) as f64 / rate;
                started + Duration::from_secs_f64(after)
            }
            None => Instant::now(),
        };
        // Before the wait: what is due behind the end would only make the load seem to last longer.
        if due.duration_since(started) >= load.duration {
            return Ok(own);
        }
        // A closed loop does not meet the timer, which is a millisecond coarse.
        if load.rate.is_some() {
            tokio::time::sleep_until(due.into()).await;
        }
        render(&mut body, &load, request);
        let content_type =
            if load.batch == 1 { "application/cloudevents+json" } else { "application/cloudevents-batch+json" };
        let answer = connection.post("/v1/events", content_type, body.as_bytes()).await?;
        let events = load.batch as u64;
        if answer.starts_with("http/1.1 503") {
            own.refused += events;
            continue;
        }
        if !answer.contains(&format!("\"accepted\":{}", load.batch)) {
            bail!("not accepted: {}", answer.chars().take(500).collect::<String>());
        }
        let latency_us = u64::try_from(due.elapsed().as_micros())?;
        own.acknowledged += events;
        own.latency.record(latency_us)?;
        if let Some(recent) = &load.recent {
            recent.answered(events, latency_us)?;
        }
    }
}

fn render(body: &mut String, load: &Load, request: u64) {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let mut account_id = String::with_capacity(32);
    body.clear();
    let first = usize::try_from(request).unwrap_or_default() * load.batch;
    if load.batch > 1 {
        body.push('[');
    }
    for number in first..first + load.batch {
        if number > first {
            body.push(',');
        }
        // Written anew each time: with ten million accounts a list for each connection would be what fills the memory.
        account_id.clear();
        feed::write_account_id(&mut account_id, number.wrapping_mul(7919) % load.accounts);
        feed::usage_event(body, &account_id, load.run, number, now_ms);
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
