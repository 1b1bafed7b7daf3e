//! The thread that fills the view: start from what ClickHouse has, then the ledger's tail.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prost::Message;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::kafka::batch::{Batch, BatchLimit, BatchReader, Record};
use tollbooth_chassis::kafka::{ClientKind, KafkaClients, LogContext, ReaderTuning, partition_for};
use tollbooth_chassis::ops::Component;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1::LedgerRecord;

use super::confirm::{self, Ends};
use super::{FoldError, Folded, LiveView, Place, STALE_AFTER_MS};
use crate::clock::now_ms;
use crate::config::LiveSection;
use crate::metrics::{LagMetrics, LiveMetrics};
use crate::store::{Projection, Store, StoreError};

const CLUSTER_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How long one read waits for a first record; also how often confirmations are looked at.
const READ_WAIT: Duration = Duration::from_millis(50);
const READ_LIMIT: BatchLimit = BatchLimit { records: 2_000, bytes: 8 * 1024 * 1024 };
/// Accounts put in at once, so that a large start does not hold the lock for long.
const LOAD_CHUNK: usize = 4_096;
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Why the view cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The cluster does not answer, or refuses.
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The topic is not there yet.
    #[error("topic {0} does not exist")]
    NoTopic(String),
    /// The brokers do not say which cluster they are.
    #[error("the id of the Kafka cluster is not known")]
    NoClusterId,
    /// Balances are in ClickHouse, which does not answer, or which shows something else.
    #[error("clickhouse: {0}")]
    Store(#[from] StoreError),
    /// A record that is no ledger record.
    #[error("ledger partition {partition}, offset {offset}: {reason}")]
    Record {
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// A thread cannot be started.
    #[error("thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The process is ending.
    #[error("shutting down")]
    Shutdown,
}

/// What the tail works with.
pub struct Tail {
    /// Client configurations.
    pub clients: KafkaClients,
    /// Full name of the ledger topic.
    pub topic: String,
    /// Filled by the tail.
    pub view: Arc<LiveView>,
    /// Where balances are read at the start.
    pub store: Arc<Store>,
    /// Settings.
    pub settings: LiveSection,
    /// Metrics.
    pub metrics: LiveMetrics,
    /// Ready once the view has been read to the end.
    pub component: Component,
    /// Ends the thread.
    pub shutdown: Shutdown,
}

/// The running thread.
#[derive(Debug)]
pub struct Following {
    /// Ends with the shutdown.
    pub thread: JoinHandle<()>,
    /// Why it ended before.
    pub failure: Arc<Mutex<Option<TailError>>>,
}

impl Tail {
    /// Starts the thread. If the ledger cannot be followed any further, the thread leaves the reason in
    /// [`Following::failure`] and fails its component, which ends the process.
    ///
    /// # Errors
    /// When the system has no thread to give. Must be called inside the runtime that the store's queries run on.
    pub fn spawn(self) -> std::io::Result<Following> {
        let failure = Arc::new(Mutex::new(None));
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("live-tail".to_owned()).spawn({
            let failure = Arc::clone(&failure);
            move || {
                let component = self.component.clone();
                match self.run(&runtime) {
                    Ok(()) | Err(TailError::Shutdown) => {}
                    Err(error) => {
                        tracing::error!(%error, "the ledger cannot be followed any further");
                        let why = error.to_string();
                        *failure.lock() = Some(error);
                        component.failed(why);
                    }
                }
            }
        })?;
        Ok(Following { thread, failure })
    }

    fn run(self, runtime: &tokio::runtime::Handle) -> Result<(), TailError> {
        let (mut reader, begins) = self.start(runtime)?;
        let partitions = begins.len();
        self.view.begin_at(&begins);
        let ends = Ends::new(partitions);
        let interval = Duration::from_millis(self.settings.confirm_interval_ms);
        let asker =
            confirm::spawn(self.consumer()?, self.topic.clone(), ends.clone(), interval, self.shutdown.clone())?;
        let lag = self.metrics.lag(&self.topic, partitions);
        self.component.not_ready("reading the ledger");
        self.component.expect_beats(STUCK_AFTER);
        let mut incomplete = Incomplete::default();
        let mut posted_ms = vec![now_ms(); partitions];
        while !self.shutdown.is_triggered() {
            self.component.beat();
            match reader.read(READ_LIMIT, READ_WAIT) {
                Ok(batch) => self.fold(&batch, &mut incomplete, &mut posted_ms)?,
                Err(error) if ends_following(&error) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "reading the ledger");
                    if self.shutdown.wait_blocking(RETRY_EVERY) {
                        break;
                    }
                }
            }
            self.confirm(&reader, &ends, &lag, &posted_ms);
            incomplete.complete(&self, runtime);
        }
        self.component.end_beats();
        if asker.join().is_err() {
            tracing::error!("the confirming thread panicked");
        }
        Ok(())
    }

    fn consumer(&self) -> Result<BaseConsumer<LogContext>, KafkaError> {
        let config = self.clients.reader(&self.settings.offsets_group, ReaderTuning::default());
        BaseConsumer::from_config_and_context(&config, LogContext)
    }

    /// Waits for the cluster (and for ClickHouse, if it holds anything), and starts reading.
    fn start(&self, runtime: &tokio::runtime::Handle) -> Result<(BatchReader, Vec<i64>), TailError> {
        let mut said = String::new();
        loop {
            let why = match self.try_start(runtime) {
                Ok(started) => return Ok(started),
                Err(TailError::Shutdown) => return Err(TailError::Shutdown),
                Err(error) => error.to_string(),
            };
            if why != said {
                tracing::warn!(why, "the live view waits");
                self.component.not_ready(why.clone());
                said = why;
            }
            if self.shutdown.wait_blocking(RETRY_EVERY) {
                return Err(TailError::Shutdown);
            }
        }
    }

    /// The reader, and at which offset it begins each partition.
    fn try_start(&self, runtime: &tokio::runtime::Handle) -> Result<(BatchReader, Vec<i64>), TailError> {
        let partitions = self.partition_count()?;
        let tuning = ReaderTuning { fetch_wait_ms: self.settings.fetch_wait_ms, ..ReaderTuning::default() };
        let mut config = self.clients.reader(&self.settings.offsets_group, tuning);
        let watch = self.clients.watch(ClientKind::LedgerTail, &mut config);
        let mut reader = BatchReader::watched(config, watch)?;
        let mut wanted = TopicPartitionList::with_capacity(partitions);
        for (number, _) in (0_i32..).zip(0..partitions) {
            wanted.add_partition(&self.topic, number);
        }
        // Read before the balances: what the sink inserts in between is then read twice, and skipped by its `seq`.
        // Metadata `pending:e` of an offset means that more is on its way; everything below the offset is there.
        let committed = reader.committed(wanted, CLUSTER_TIMEOUT)?;
        let mut begin = TopicPartitionList::with_capacity(partitions);
        let (mut sunk, mut begins) = (Vec::with_capacity(partitions), Vec::with_capacity(partitions));
        for (number, _) in (0_i32..).zip(0..partitions) {
            let element = committed.find_partition(&self.topic, number);
            if let Some(element) = &element {
                element.error()?;
            }
            let offset = match element.map(|element| element.offset()) {
                Some(Offset::Offset(offset)) => {
                    sunk.push((number, offset));
                    offset
                }
                // Nothing was sunk, or Kafka forgot it: the ledger is kept for ever, and says everything from its start.
                _ => reader.watermarks(&self.topic, number, CLUSTER_TIMEOUT)?.0,
            };
            begin.add_partition_offset(&self.topic, number, Offset::Offset(offset))?;
            begins.push(offset);
        }
        if !sunk.is_empty() {
            let loaded = runtime.block_on(async {
                tokio::select! {
                    loaded = self.load_balances(&sunk, partitions) => loaded.map_err(TailError::from),
                    () = self.shutdown.triggered() => Err(TailError::Shutdown),
                }
            })?;
            tracing::info!(accounts = loaded, "balances loaded");
        }
        reader.assign(&begin)?;
        Ok((reader, begins))
    }

    /// Asks for the ledger, and tells the store what its database must show.
    fn partition_count(&self) -> Result<usize, TailError> {
        let consumer = self.consumer()?;
        let metadata = consumer.fetch_metadata(Some(&self.topic), CLUSTER_TIMEOUT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let count = topic.map_or(0, |topic| topic.partitions().len());
        let partitions = i32::try_from(count).unwrap_or(i32::MAX);
        if partitions == 0 {
            return Err(TailError::NoTopic(self.topic.clone()));
        }
        let cluster_id = consumer.client().fetch_cluster_id(CLUSTER_TIMEOUT).ok_or(TailError::NoClusterId)?;
        self.store.expect(Projection { cluster_id, ledger_topic: self.topic.clone(), partitions });
        Ok(count)
    }

    /// Takes the balances over, provided that the database is the ledger's and has what was committed: what lies below
    /// the offsets is not read again, so that nobody would notice what it lacks.
    async fn load_balances(&self, sunk: &[(i32, i64)], partitions: usize) -> Result<usize, StoreError> {
        self.store.check_projection().await?;
        self.store.check_reach(sunk).await?;
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        let mut rows = self.store.accounts()?;
        let mut loaded = 0;
        loop {
            let chunk = rows.next_chunk(LOAD_CHUNK).await?;
            if chunk.is_empty() {
                return Ok(loaded);
            }
            loaded += chunk.len();
            self.view.load(chunk.into_iter().map(|account| {
                let partition = partition_for(account.account_id.as_bytes(), partitions).unwrap_or_default();
                (u32::try_from(partition).unwrap_or_default(), account)
            }));
        }
    }

    /// Folds what was read; `posted_ms` keeps, by partition, when the newest record read was posted.
    fn fold(&self, batch: &Batch, incomplete: &mut Incomplete, posted_ms: &mut [i64]) -> Result<(), TailError> {
        if batch.is_empty() {
            return Ok(());
        }
        let is_live = self.view.is_confirmed();
        for record in batch.iter() {
            let wrong =
                |reason: String| TailError::Record { partition: record.partition(), offset: record.offset(), reason };
            let bytes = record.payload().unwrap_or_default();
            let decoded = LedgerRecord::decode(bytes).map_err(|error| wrong(error.to_string()))?;
            let partition = u32::try_from(record.partition()).unwrap_or_default();
            if let Some(posted_ms) = posted_ms.get_mut(partition as usize) {
                *posted_ms = decoded.posted_at_ms;
            }
            let place = Place { partition, offset: record.offset() };
            let folded = self.view.fold(place, &decoded, bytes).map_err(|error: FoldError| wrong(error.to_string()))?;
            match folded {
                Folded::Applied => {}
                Folded::Known => continue,
                Folded::Jumped => {
                    log_jump(&record, &decoded.account_id);
                    self.metrics.reloads.inc();
                    incomplete.check(&self.view, &decoded.account_id);
                }
            }
            if is_live {
                let age_ms = now_ms().saturating_sub(decoded.posted_at_ms).max(0);
                // A duration for a histogram, no money: the loss of precision is nothing.
                self.metrics.ledger_to_view.observe(age_ms as f64 / 1_000.0);
            }
        }
        self.view.announce();
        let (accounts, recent_bytes) = self.view.size();
        self.metrics.accounts.set(i64::try_from(accounts).unwrap_or(i64::MAX));
        self.metrics.recent_bytes.set(i64::try_from(recent_bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    fn confirm(&self, reader: &BatchReader, ends: &Ends, lag: &LagMetrics, posted_ms: &[i64]) {
        let was_confirmed = self.view.is_confirmed();
        for (partition, ((number, end), posted_ms)) in (0_u32..).zip((0_i32..).zip(ends.get()).zip(posted_ms)) {
            let seen_to_ms = match self.view.confirmed_at_ms(partition) {
                0 => *posted_ms,
                confirmed_ms => confirmed_ms,
            };
            lag.set_age_ms(partition as usize, now_ms().saturating_sub(seen_to_ms));
            let Some((high, asked_at_ms)) = end.goal else { continue };
            let Ok(Some(position)) = reader.position(&self.topic, number) else { continue };
            lag.set(partition as usize, end.high.saturating_sub(position));
            if position >= high {
                self.view.confirm(partition, asked_at_ms);
                ends.reached(partition as usize);
            }
        }
        if !self.view.is_confirmed() {
            return;
        }
        if !was_confirmed {
            tracing::info!(accounts = self.view.size().0, "the live view has read the ledger to its end");
        }
        let partitions = u32::try_from(posted_ms.len()).unwrap_or_default();
        let oldest_ms = (0..partitions).map(|partition| self.view.confirmed_at_ms(partition)).min().unwrap_or_default();
        if now_ms() - oldest_ms > STALE_AFTER_MS {
            self.component.degraded(format!("the ledger's end was last reached at {}", rfc3339(oldest_ms)));
        } else {
            self.component.ready();
        }
    }
}

fn log_jump(record: &Record<'_>, account_id: &str) {
    let (partition, offset) = (record.partition(), record.offset());
    tracing::warn!(account_id, partition, offset, "entries of the account are missing before this record");
}

/// Accounts whose opening was jumped over: their currency and zone are asked of ClickHouse.
#[derive(Debug, Default)]
struct Incomplete {
    accounts: Vec<String>,
    ask_at: Option<Instant>,
}

impl Incomplete {
    fn check(&mut self, view: &LiveView, account_id: &str) {
        if view.is_incomplete(account_id) && !self.accounts.iter().any(|known| known == account_id) {
            self.accounts.push(account_id.to_owned());
        }
    }

    fn complete(&mut self, tail: &Tail, runtime: &tokio::runtime::Handle) {
        if self.accounts.is_empty() || self.ask_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.ask_at = Some(Instant::now() + Duration::from_secs(2));
        for account_id in self.accounts.clone() {
            let (view, store) = (Arc::clone(&tail.view), Arc::clone(&tail.store));
            runtime.spawn(async move {
                match store.account(&account_id).await {
                    // The partition is that of the entries folded before.
                    Ok(Some(known)) => view.load([(0, known)]),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(account_id, %error, "the account cannot be reloaded yet"),
                }
            });
        }
        self.accounts.retain(|account_id| tail.view.is_incomplete(account_id));
    }
}

/// Errors after which the view is no longer what the ledger says.
fn ends_following(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        )
}
