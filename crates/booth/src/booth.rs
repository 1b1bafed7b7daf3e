//! The client: a durable queue in front of ingest.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};

use crate::{
    backoff::{Backoff, BackoffConfig},
    outbox::{self, Delivery, Item, OutboxConfig, OutboxError, Parked},
    report::UsageReport,
    transport::{AddressError, HttpTransport, Problem, Reply, Transport},
    writer::{Write, write_all},
};

/// Most `enqueue` calls that wait for the disk at once; further ones wait to be let in.
const WRITES_WAITING_MAX: usize = 1024;
/// Ingest takes 4 MiB unpacked; a batch stays below.
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Settings of a [`Booth`].
#[derive(Debug, Clone)]
pub struct BoothConfig {
    /// `http://127.0.0.1:8080`. Not `https://`: see [`AddressError::Https`].
    pub ingest_url: String,
    /// A booth key; an admin key for a gateway that carries booths of several accounts.
    pub api_key: String,
    /// Most events in a request, 1 to 1,000.
    pub batch_events_max: usize,
    /// Compress requests.
    pub gzip: bool,
    /// A request that takes longer is repeated.
    pub request_timeout: Duration,
    /// Waits after failures.
    pub backoff: BackoffConfig,
    /// Limits of the queue on disk.
    pub outbox: OutboxConfig,
    /// Shared connections, where several booths live in one process.
    pub client: Option<reqwest::Client>,
}

impl BoothConfig {
    /// The defaults: batches of 100, no compression, 30 s for a request.
    #[must_use]
    pub fn new(ingest_url: &str, api_key: &str) -> Self {
        Self {
            ingest_url: ingest_url.to_owned(),
            api_key: api_key.to_owned(),
            batch_events_max: 100,
            gzip: false,
            request_timeout: Duration::from_secs(30),
            backoff: BackoffConfig::default(),
            outbox: OutboxConfig::default(),
            client: None,
        }
    }
}

/// A booth cannot be opened or cannot go on sending.
#[derive(Debug, thiserror::Error)]
pub enum BoothError {
    /// The queue on disk.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// Ingest's address cannot be used. Nothing was opened.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The operating system gave no thread.
    #[error("the outbox writer cannot be started: {0}")]
    Writer(#[source] std::io::Error),
}

/// A report was not taken, or nobody knows whether it was: then enqueue it again with the same ids, and it is charged
/// once.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// Too much waits already. Nothing of this call was kept.
    #[error("the outbox is full: {pending_bytes} of {bytes_max} bytes wait for ingest")]
    Full {
        /// Bytes that wait.
        pending_bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The event is larger than 64 KiB. Nothing of this call was kept.
    #[error("the event is larger than {} bytes", tollbooth_schemas::usage::EVENT_BYTES_MAX)]
    TooLarge,
    /// It cannot be written as JSON. Nothing of this call was kept.
    #[error("the event cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// An event that came encoded is not JSON: no request that carries it could be read. Nothing of this call was kept.
    #[error("the event {id:?} is not JSON: {source}")]
    NotJson {
        /// Its CloudEvents `id`.
        id: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The write or its sync failed. Whether the reports of this call were kept is unknown: what the kernel had taken
    /// may reach the disk and be sent. Repeat it with the same ids; where [`OutboxError::Poisoned`] follows, after
    /// opening the booth again.
    #[error("whether the report was kept is unknown, repeat it with the same ids: {0}")]
    Disk(#[source] Arc<OutboxError>),
    /// The thread that writes has ended. Unknown, as with [`EnqueueError::Disk`].
    #[error("the outbox is closed; whether the report was kept is unknown, repeat it with the same ids")]
    Closed,
}

/// Where a booth stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Taken by `enqueue` since opening.
    pub enqueued: u64,
    /// Acknowledged by ingest since opening.
    pub acknowledged: u64,
    /// Refused items in the parked file.
    pub parked: u64,
    /// Items that wait.
    pub pending: u64,
    /// Their bytes on disk.
    pub pending_bytes: u64,
    /// Requests that have to be repeated, since opening.
    pub retries: u64,
    /// Bytes that a crash tore off the log's end, set aside at opening.
    pub torn_bytes: u64,
    /// Why the newest try failed; `None` after a success.
    pub last_error: Option<String>,
}

/// Is told what ingest answered, before the queue forgets it. After a crash in between it is told again.
pub trait Observer: Send + Sync {
    /// These are durable at ingest.
    fn acknowledged(&self, items: &[Item]);
    /// This one is parked.
    fn parked(&self, item: &Item, problem: &Problem);
    /// Whether ingest has these is unknown: they are about to be sent once more.
    fn unanswered(&self, _items: &[Item]) {}
}

struct Ignore;

impl Observer for Ignore {
    fn acknowledged(&self, _: &[Item]) {}
    fn parked(&self, _: &Item, _: &Problem) {}
}

#[derive(Default)]
pub(crate) struct Shared {
    /// Everything below is on disk.
    pub(crate) durable_seq: AtomicU64,
    cursor: AtomicU64,
    pub(crate) pending_bytes: AtomicU64,
    pub(crate) enqueued: AtomicU64,
    acknowledged: AtomicU64,
    parked: AtomicU64,
    retries: AtomicU64,
    last_error: Mutex<Option<String>>,
    pub(crate) work: Notify,
}

/// A queue of reports and the sender behind it. Share it by `Arc`; dropping it loses nothing.
pub struct Booth {
    shared: Arc<Shared>,
    // `None` only while it is dropped.
    writes: Option<mpsc::Sender<Write>>,
    writer: Option<std::thread::JoinHandle<()>>,
    delivery: Arc<Mutex<Delivery>>,
    transport: Box<dyn Transport>,
    observer: Box<dyn Observer>,
    // One sender at a time: two batches under way could overtake each other.
    sender: AsyncMutex<Sender>,
    batch_events_max: usize,
    torn_bytes: u64,
}

struct Sender {
    backoff: Backoff,
    /// How many items of the batch in hand are sent at once; shrinks to find the one a whole request is refused for.
    window: usize,
}

impl Booth {
    /// Opens the queue in `dir` (made if missing) and what an earlier run left in it.
    ///
    /// # Errors
    /// If ingest's address is no `http://` one, another process has the queue open, or it cannot be read.
    pub async fn open(dir: impl AsRef<Path>, config: BoothConfig) -> Result<Self, BoothError> {
        let client = config.client.clone().unwrap_or_default();
        let transport =
            HttpTransport::new(client, &config.ingest_url, &config.api_key, config.gzip, config.request_timeout)?;
        Self::open_with(dir, config, Box::new(transport), None).await
    }

    /// The same with another way to ingest, which has its own idea of an address, and somebody who is told of answers.
    ///
    /// # Errors
    /// If another process has the queue open, or it cannot be read.
    pub async fn open_with(
        dir: impl AsRef<Path>,
        config: BoothConfig,
        transport: Box<dyn Transport>,
        observer: Option<Box<dyn Observer>>,
    ) -> Result<Self, BoothError> {
        let dir = dir.as_ref().to_owned();
        let outbox_config = config.outbox.clone();
        let opened = tokio::task::spawn_blocking(move || outbox::open(&dir, &outbox_config)).await;
        let (writer, delivery, recovered) = opened.map_err(|error| BoothError::Writer(error.into()))??;
        let shared = Arc::new(Shared::default());
        shared.durable_seq.store(writer.next_seq(), Relaxed);
        shared.cursor.store(delivery.cursor(), Relaxed);
        shared.pending_bytes.store(recovered.pending_bytes, Relaxed);
        shared.parked.store(delivery.parked_count(), Relaxed);
        let (writes, requests) = mpsc::channel(WRITES_WAITING_MAX);
        let for_writer = Arc::clone(&shared);
        let bytes_max = config.outbox.pending_bytes_max;
        let writer = std::thread::Builder::new()
            .name("booth-outbox".to_owned())
            .spawn(move || write_all(writer, requests, &for_writer, bytes_max))
            .map_err(BoothError::Writer)?;
        let batch_events_max = config.batch_events_max.clamp(1, 1_000);
        Ok(Self {
            shared,
            writes: Some(writes),
            writer: Some(writer),
            delivery: Arc::new(Mutex::new(delivery)),
            transport,
            observer: observer.unwrap_or_else(|| Box::new(Ignore)),
            sender: AsyncMutex::new(Sender { backoff: Backoff::new(config.backoff), window: batch_events_max }),
            batch_events_max,
            torn_bytes: recovered.torn_bytes,
        })
    }

    /// Takes a report. When this returns it is on disk and will be sent, whatever happens to the process or the power.
    /// If the future is dropped before, it may have been taken or not.
    ///
    /// # Errors
    /// If it was not taken, or that is unknown; see [`EnqueueError`].
    pub async fn enqueue(&self, report: &UsageReport) -> Result<(), EnqueueError> {
        self.write([payload(&report.id, &report.encode()?)?].into()).await
    }

    /// Takes several reports in order.
    ///
    /// # Errors
    /// As [`Booth::enqueue`]. Where it is known that they were not taken, none was.
    pub async fn enqueue_all(&self, reports: &[UsageReport]) -> Result<(), EnqueueError> {
        let mut payloads = Vec::with_capacity(reports.len());
        for report in reports {
            payloads.push(payload(&report.id, &report.encode()?)?);
        }
        self.write(payloads).await
    }

    /// Takes events that are encoded as JSON already, each with its CloudEvents `id`.
    ///
    /// # Errors
    /// As [`Booth::enqueue_all`], and if one of them is no JSON.
    pub async fn enqueue_encoded<Id: AsRef<str>, Event: AsRef<[u8]>>(
        &self,
        events: impl IntoIterator<Item = (Id, Event)>,
    ) -> Result<(), EnqueueError> {
        let mut payloads = Vec::new();
        for (id, event) in events {
            let (id, event) = (id.as_ref(), event.as_ref());
            payloads.push(payload(id, event)?);
            if let Err(source) = serde_json::from_slice::<&RawValue>(event) {
                return Err(EnqueueError::NotJson { id: id.to_owned(), source });
            }
        }
        self.write(payloads).await
    }

    async fn write(&self, payloads: Vec<Bytes>) -> Result<(), EnqueueError> {
        if payloads.is_empty() {
            return Ok(());
        }
        let (done, answer) = oneshot::channel();
        let writes = self.writes.as_ref().ok_or(EnqueueError::Closed)?;
        writes.send(Write { payloads, done }).await.map_err(|_| EnqueueError::Closed)?;
        answer.await.map_err(|_| EnqueueError::Closed)?
    }

    /// Sends what is queued and what comes, until the future is dropped. Cancel it at any time: what was under way is
    /// sent again with the same ids.
    ///
    /// # Errors
    /// If the queue on disk fails; ingest's failures are waited out.
    pub async fn run(&self) -> Result<(), BoothError> {
        loop {
            let work = self.shared.work.notified();
            if !self.send_next().await? {
                work.await;
            }
        }
    }

    /// Returns once nothing waits. Give it a time limit of your own.
    ///
    /// # Errors
    /// As [`Booth::run`].
    pub async fn flush(&self) -> Result<(), BoothError> {
        while self.send_next().await? {}
        Ok(())
    }

    /// Where it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let cursor = shared.cursor.load(Relaxed);
        Stats {
            enqueued: shared.enqueued.load(Relaxed),
            acknowledged: shared.acknowledged.load(Relaxed),
            parked: shared.parked.load(Relaxed),
            pending: shared.durable_seq.load(Relaxed).saturating_sub(cursor),
            pending_bytes: shared.pending_bytes.load(Relaxed),
            retries: shared.retries.load(Relaxed),
            torn_bytes: self.torn_bytes,
            last_error: shared.last_error.lock().clone(),
        }
    }

    /// What ingest refused, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn parked(&self) -> Result<Vec<Parked>, OutboxError> {
        self.delivery.lock().parked()
    }

    /// One request and what follows from its answer. `false` when nothing waits.
    async fn send_next(&self) -> Result<bool, BoothError> {
        let mut sender = self.sender.lock().await;
        let until = self.shared.durable_seq.load(Relaxed);
        let items_max = self.batch_events_max;
        let items = self.on_disk(move |delivery| delivery.batch(until, items_max, BATCH_BYTES_MAX)).await?;
        let window = items.len().min(sender.window);
        let Some(sent) = items.get(..window).filter(|sent| !sent.is_empty()) else { return Ok(false) };
        match self.transport.send(sent).await {
            Reply::Settled { rejected } => {
                sender.window = sender.window.saturating_mul(2).min(self.batch_events_max);
                let wait = self.settle(sent, rejected).await?;
                if wait {
                    self.wait(&mut sender, None, "ingest was busy for a part of the batch").await;
                } else {
                    sender.backoff.reset();
                }
            }
            Reply::Refused(problem) if sent.len() > 1 => {
                tracing::debug!(items = sent.len(), status = problem.status, "batch refused, tried in parts");
                sender.window = sent.len() / 2;
            }
            Reply::Refused(problem) => {
                sender.backoff.reset();
                self.settle(sent, vec![crate::transport::Rejected { index: 0, problem }]).await?;
            }
            Reply::Later { retry_after, cause } => {
                self.observer.unanswered(sent);
                self.wait(&mut sender, retry_after, &cause).await;
            }
        }
        Ok(true)
    }

    /// Takes the answers for items; `true` if some of them have to be sent again after a wait.
    async fn settle(&self, sent: &[Item], rejected: Vec<crate::transport::Rejected>) -> Result<bool, BoothError> {
        let mut verdicts: Vec<Option<Problem>> = vec![None; sent.len()];
        for one in rejected {
            if let Some(verdict) = verdicts.get_mut(one.index) {
                *verdict = Some(one.problem);
            }
        }
        let (mut delivered, mut refused, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for (item, verdict) in sent.iter().zip(verdicts) {
            match verdict {
                None => delivered.push(item.clone()),
                Some(problem) if is_refusal(problem.status) => refused.push((item.clone(), problem)),
                Some(_) => unanswered.push(item.clone()),
            }
        }
        let again = !unanswered.is_empty();
        if again {
            self.observer.unanswered(&unanswered);
        }
        self.observer.acknowledged(&delivered);
        for (item, problem) in &refused {
            tracing::warn!(id = item.id, status = problem.status, code = problem.code, "report parked");
            self.observer.parked(item, problem);
        }
        let progress = !delivered.is_empty();
        let delivered: Vec<u64> = delivered.iter().map(|item| item.seq).collect();
        let delivered_count = delivered.len() as u64;
        let now_ms = chrono::Utc::now().timestamp_millis();
        let (freed, cursor, parked) = self
            .on_disk(move |delivery| {
                let freed = delivery.settle(&delivered, &refused, now_ms)?;
                Ok((freed, delivery.cursor(), delivery.parked_count()))
            })
            .await
            // They stay in the queue, whatever their answers were.
            .inspect_err(|_| self.observer.unanswered(sent))?;
        self.shared.acknowledged.fetch_add(delivered_count, Relaxed);
        self.shared.pending_bytes.fetch_sub(freed, Relaxed);
        self.shared.cursor.store(cursor, Relaxed);
        self.shared.parked.store(parked, Relaxed);
        if progress {
            *self.shared.last_error.lock() = None;
        }
        Ok(again)
    }

    async fn wait(&self, sender: &mut Sender, retry_after: Option<Duration>, cause: &str) {
        let wait = sender.backoff.next(retry_after);
        self.shared.retries.fetch_add(1, Relaxed);
        *self.shared.last_error.lock() = Some(cause.to_owned());
        tracing::debug!(cause, wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "sent again later");
        tokio::time::sleep(wait).await;
    }

    /// Runs file work off the runtime's threads. It goes on when the caller is cancelled, so that memory and disk agree.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Delivery) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, BoothError> {
        let delivery = Arc::clone(&self.delivery);
        let result = tokio::task::spawn_blocking(move || work(&mut delivery.lock())).await;
        Ok(result.map_err(|error| OutboxError::Io(error.into()))??)
    }
}

impl Drop for Booth {
    fn drop(&mut self) {
        // The directory is free for the next opening only when the writer has gone.
        self.writes = None;
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

/// As it stands in the log.
fn payload(id: &str, event: &[u8]) -> Result<Bytes, EnqueueError> {
    if event.len() > tollbooth_schemas::usage::EVENT_BYTES_MAX {
        return Err(EnqueueError::TooLarge);
    }
    outbox::encode_payload(id, event).ok_or(EnqueueError::TooLarge)
}

/// What a booth parks: the item itself is at fault. Of the 4xx only these ask for another try.
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 425 | 429)
}
