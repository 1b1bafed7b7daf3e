//! The active sink: one turn after the other of read, insert, commit.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::BaseProducer;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::AbortHandle;
use tollbooth_chassis::causes::Causes;
use tollbooth_chassis::crashpoint;
use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader};
use tollbooth_chassis::kafka::{ClientKind, ReaderTuning, WatchedContext, Watermarks, txn};
use tollbooth_chassis::shutdown::Shutdown;

use super::Context;
use super::block::{Block, BlockLimits, Queue, Range};
use super::error::SinkError;
use super::lease::Lease;
use super::metrics::{PartitionLag, now_seconds};
use super::migrate::migrate;
use super::offsets::{self, Resume, Source};
use super::store::Store;
use super::witness::Standing;

/// How long fencing may take while the coordinator moves.
const FENCING_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait of one turn, so that lease, shutdown and a finished insert are seen soon.
const TURN: Duration = Duration::from_millis(50);
const TURN_WHILE_INSERTING: Duration = Duration::from_millis(2);
const READ: BatchLimit = BatchLimit { records: 10_000, bytes: 8 * 1024 * 1024 };
/// How often every partition's lag is looked at.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
const LAG_TIMEOUT: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// How often a block is repeated that stands nowhere, or not everywhere, afterwards: where several servers answer, one
/// may be a moment behind.
const REPEATS_MAX: u32 = 4;
/// Longest wait for an insert under way when the process is to end; it is repeated by the next start anyway.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Why an activation ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The process is to end.
    Shutdown,
    /// Another one is active now.
    LeaseLost,
}

/// A block whose insert has not been acknowledged yet. Dropping it ends the tries.
struct Underway {
    block: Arc<Block>,
    started: Instant,
    report: mpsc::Receiver<Result<(), SinkError>>,
    is_done: bool,
    task: AbortHandle,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Active<'a> {
    context: &'a Context,
    lease: &'a Lease,
    shutdown: &'a Shutdown,
    reader: BatchReader,
    producer: BaseProducer<WatchedContext>,
    queue: Queue,
    underway: Option<Underway>,
    /// The block after it, where it is full already: made while the insert runs.
    prepared: Option<Block>,
    last_cut: Option<Instant>,
    /// Asks for the end of the log, open transactions included.
    ends: Watermarks,
    lag: Vec<PartitionLag>,
    lag_next: i32,
    lag_looked_at: Instant,
}

impl<'a> Active<'a> {
    /// Fences the sink before, finds out where it stood, and repeats what it may have left half done. `None` when the
    /// lease went away meanwhile.
    pub(super) fn start(
        context: &'a Context,
        lease: &'a Lease,
        shutdown: &'a Shutdown,
    ) -> Result<Option<Self>, SinkError> {
        context.runtime.block_on(migrate(context.store.client(), context.store.database(), &context.binding))?;
        context.runtime.block_on(context.store.set_filling(context.config.is_filling))?;
        let created = |source| SinkError::Kafka { doing: "set up the sink's clients", source };
        let mut config = context.clients.transactional_producer(&context.transactional_id());
        let watched = WatchedContext::new(context.clients.watch(ClientKind::SinkProducer, &mut config));
        let producer = BaseProducer::from_config_and_context(&config, watched).map_err(created)?;
        // A stale sink that fences late would fence the rightful one: the lease is looked at right before.
        if !lease.poll(Duration::ZERO)? {
            return Ok(None);
        }
        txn::init(&producer, FENCING_LIMIT)?;
        let tuning = ReaderTuning {
            queued_kbytes_max: u32::try_from(context.config.read_ahead_bytes_max / 1024).unwrap_or(u32::MAX),
            ..ReaderTuning::default()
        };
        let mut config = context.clients.reader(&context.config.offsets_group, tuning);
        let watch = context.clients.watch(ClientKind::SinkReader, &mut config);
        let reader = BatchReader::watched(config, watch).map_err(created)?;
        // Only now: the sink before can commit nothing any more.
        let resume = find_out(context, &reader)?;
        let begins: Vec<i64> = resume.ranges.iter().map(|range| range.begin).collect();
        let mut active = Self {
            queue: Queue::new(&context.binding.cluster_id, &context.binding.ledger_topic, &begins),
            lag: (0..context.binding.partitions).map(|partition| context.metrics.lag_of(partition)).collect(),
            ends: Watermarks::new(&context.clients).map_err(created)?,
            context,
            lease,
            shutdown,
            reader,
            producer,
            underway: None,
            prepared: None,
            last_cut: None,
            lag_next: 0,
            lag_looked_at: Instant::now(),
        };
        if !active.repeat(&resume)? {
            return Ok(None);
        }
        context.metrics.active.set(1);
        Ok(Some(active))
    }

    /// Works until the lease is lost or the process is to end.
    pub(super) fn run(mut self) -> Result<Ended, SinkError> {
        self.context.component.ready();
        loop {
            if self.shutdown.is_triggered() {
                return self.finish();
            }
            if !self.lease.poll(Duration::ZERO)? {
                return Ok(Ended::LeaseLost);
            }
            self.read()?;
            self.advance()?;
            self.look_at_lag();
            // Log lines and statistics wait in its queue while nothing is committed.
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Repeats the block that the sink before intended: the same ranges, hence the same records, rows and token. False
    /// when the lease went away, or the process is to end, before it could be read.
    fn repeat(&mut self, resume: &Resume) -> Result<bool, SinkError> {
        // What this process knew when it was active before: another one may have inserted since.
        *self.context.inserts.blocking_lock() = None;
        if resume.ranges.iter().any(|range| !range.is_empty()) {
            self.assign(
                resume.ranges.iter().filter(|range| !range.is_empty()).map(|range| (range.partition, range.begin)),
            )?;
            if !self.read_exactly(&resume.ranges)? {
                return Ok(false);
            }
            let block = self.queue.cut_exactly(&resume.ranges)?;
            if let Some(rows) = resume.rows.filter(|rows| *rows != block.rows) {
                let why = format!("the ranges {:?} had {rows} rows and have {} now", block.ranges, block.rows);
                return Err(SinkError::Contradiction(why));
            }
            self.context.metrics.repeated_blocks.inc();
            tracing::info!(rows = block.rows, token = block.token, "settling the block that was intended last");
            self.intend(Some(block))?;
        } else {
            // Says where the sink stands before anything was read: the live view starts from these offsets.
            self.intend(None)?;
            *self.context.inserts.blocking_lock() = Some(resume.ranges.iter().map(|range| range.end).collect());
        }
        self.assign(resume.ranges.iter().map(|range| (range.partition, range.end)))?;
        Ok(true)
    }

    /// Reads until all of `ranges` is in the queue, and nothing beyond. False when the lease went away or
    /// the process is to end before.
    fn read_exactly(&mut self, ranges: &[Range]) -> Result<bool, SinkError> {
        loop {
            if self.shutdown.is_triggered() || !self.lease.poll(Duration::ZERO)? {
                return Ok(false);
            }
            let mut is_complete = true;
            for range in ranges.iter().filter(|range| !range.is_empty()) {
                let last = self.queue.last_offset(range.partition).unwrap_or(range.begin - 1);
                let position = self.position(range.partition)?.unwrap_or(range.begin);
                is_complete &= last + 1 >= range.end || position >= range.end;
            }
            if is_complete {
                return Ok(true);
            }
            for record in self.reader.read(READ, TURN).map_err(reading)?.iter() {
                let end =
                    ranges.get(usize::try_from(record.partition()).unwrap_or(usize::MAX)).map_or(0, |range| range.end);
                if record.offset() < end {
                    self.queue.push(record.partition(), record.offset(), record.payload().unwrap_or_default())?;
                }
            }
        }
    }

    fn assign(&mut self, begins: impl Iterator<Item = (i32, i64)>) -> Result<(), SinkError> {
        let failed = |source| SinkError::Kafka { doing: "begin to read the ledger", source };
        let mut list = TopicPartitionList::new();
        for (partition, begin) in begins {
            let topic = &self.context.binding.ledger_topic;
            list.add_partition_offset(topic, partition, Offset::Offset(begin)).map_err(failed)?;
        }
        self.reader.assign(&list).map_err(failed)
    }

    fn position(&self, partition: i32) -> Result<Option<i64>, SinkError> {
        self.reader.position(&self.context.binding.ledger_topic, partition).map_err(reading)
    }

    /// Takes in what is there, unless enough waits already.
    fn read(&mut self) -> Result<(), SinkError> {
        if self.queue.bytes() >= self.context.config.read_ahead_bytes_max {
            // Bounded: the rest stays with the broker until the insert is through.
            self.reader.attend();
            self.wait_for_insert(TURN)?;
            return Ok(());
        }
        let wait = if self.underway.is_some() { TURN_WHILE_INSERTING } else { self.until_due().min(TURN) };
        for record in self.reader.read(READ, wait).map_err(reading)?.iter() {
            self.queue.push(record.partition(), record.offset(), record.payload().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Time until a block is cut of what waits; [`TURN`] when nothing does.
    fn until_due(&self) -> Duration {
        if self.queue.is_empty() {
            return TURN;
        }
        let Some(last_cut) = self.last_cut else { return Duration::ZERO };
        self.context.config.until_due(self.queue.rows(), self.queue.bytes(), last_cut.elapsed())
    }

    /// Commits what is done and begins what is due.
    fn advance(&mut self) -> Result<(), SinkError> {
        let is_done = self.wait_for_insert(Duration::ZERO)?;
        if self.underway.is_some() && !is_done {
            if self.prepared.is_none() && self.is_full() {
                self.prepared = self.cut()?;
            }
            return Ok(());
        }
        if is_done {
            crashpoint::hit("sink.after_insert");
            self.account_for_done();
        }
        let next = match self.prepared.take() {
            Some(prepared) => Some(prepared),
            None if !self.queue.is_empty() && self.until_due().is_zero() => self.cut()?,
            None => None,
        };
        if is_done || next.is_some() {
            self.intend(next)?;
        }
        Ok(())
    }

    /// Whether more than a block waits.
    fn is_full(&self) -> bool {
        let config = &self.context.config;
        self.queue.rows() >= config.block_rows_max || self.queue.bytes() >= config.block_bytes_max
    }

    fn cut(&mut self) -> Result<Option<Block>, SinkError> {
        self.last_cut = Some(Instant::now());
        let config = &self.context.config;
        let limits = BlockLimits { rows: config.block_rows_max, bytes: config.block_bytes_max };
        if config.is_filling { self.queue.cut_fullest(limits) } else { self.queue.cut(limits) }
    }

    /// Where everything begins that is in no block which was intended.
    fn ranges_done(&self) -> Vec<Range> {
        let Some(prepared) = &self.prepared else { return self.queue.ranges_done() };
        prepared.ranges.iter().map(|range| Range { end: range.begin, ..*range }).collect()
    }

    /// One commit: what came before is done, and `next` is about to be inserted. Begins the insert after it.
    fn intend(&mut self, next: Option<Block>) -> Result<(), SinkError> {
        let ranges = next.as_ref().map_or_else(|| self.ranges_done(), |block| block.ranges.clone());
        let no_group = || SinkError::Contradiction("the reader has no group".to_owned());
        let group = self.reader.group_metadata().ok_or_else(no_group)?;
        offsets::commit(&self.producer, &group, &self.context.binding.ledger_topic, &ranges)?;
        self.context.metrics.committed();
        if let Some(block) = next {
            crashpoint::hit("sink.before_insert");
            self.underway = Some(self.begin_insert(block));
        }
        Ok(())
    }

    fn begin_insert(&self, block: Block) -> Underway {
        let block = Arc::new(block);
        let (sender, report) = mpsc::channel();
        let (store, context, shared) = (self.context.store.clone(), self.context.clone(), Arc::clone(&block));
        let task = self.context.runtime.spawn(async move {
            let outcome = insert_until_done(&store, &shared, &context).await;
            // Nobody listens any more: the lease was lost.
            sender.send(outcome).ok();
        });
        Underway { block, started: Instant::now(), report, is_done: false, task: task.abort_handle() }
    }

    /// Whether the insert under way is through, after at most `wait`.
    fn wait_for_insert(&mut self, wait: Duration) -> Result<bool, SinkError> {
        let Some(underway) = &mut self.underway else { return Ok(false) };
        if underway.is_done {
            return Ok(true);
        }
        match underway.report.recv_timeout(wait) {
            Ok(outcome) => {
                outcome?;
                underway.is_done = true;
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            // The task ends by reporting; a panic in it would be a defect. Begin it anew: the token makes it one insert.
            Err(RecvTimeoutError::Disconnected) => {
                tracing::error!("the insert ended without a word and is begun anew");
                let block = Block { is_repeat: true, ..Block::clone(&underway.block) };
                self.underway = Some(self.begin_insert(block));
                Ok(false)
            }
        }
    }

    fn account_for_done(&mut self) {
        let Some(underway) = self.underway.take() else { return };
        let metrics = &self.context.metrics;
        metrics.rows.inc_by(underway.block.rows);
        metrics.blocks.inc();
        metrics.bytes.inc_by(underway.block.body.len() as u64);
        metrics.insert_duration.observe(underway.started.elapsed().as_secs_f64());
        metrics.set_watermark(self.watermark_seconds(None));
        self.context.component.ready();
        tracing::debug!(
            rows = underway.block.rows,
            elapsed_ms = underway.started.elapsed().as_millis(),
            "block inserted"
        );
    }

    /// Everything posted before this is in the rollups: the oldest record not yet there, or now where there is none.
    fn watermark_seconds(&self, underway: Option<i64>) -> f64 {
        let waiting =
            (0..self.context.binding.partitions).filter_map(|partition| self.queue.oldest_posted_at_ms(partition));
        let prepared = self.prepared.as_ref().map(|block| block.oldest_posted_at_ms);
        waiting.chain(prepared).chain(underway).min().map_or_else(now_seconds, seconds)
    }

    /// Looks at one partition a turn, so that a slow broker costs little, and at each of them every few seconds.
    fn look_at_lag(&mut self) {
        let pause = LAG_INTERVAL / u32::try_from(self.lag.len().max(1)).unwrap_or(1);
        if self.lag_looked_at.elapsed() < pause {
            return;
        }
        self.lag_looked_at = Instant::now();
        let partition = self.lag_next;
        self.lag_next = (partition + 1) % self.context.binding.partitions.max(1);
        let Some(lag) = usize::try_from(partition).ok().and_then(|index| self.lag.get(index)) else { return };
        let topic = &self.context.binding.ledger_topic;
        let Ok((_, high)) = self.reader.watermarks(topic, partition, LAG_TIMEOUT) else { return };
        // The reader sees up to the last stable offset only.
        if let Ok((_, end)) = self.ends.ask(topic, partition, LAG_TIMEOUT) {
            lag.open_transaction.set((end - high).max(0));
        }
        lag.stable_offset.set(high);
        let underway = self.underway.as_ref().map(|underway| &*underway.block);
        // In order: the first of them that has something of this partition has its oldest.
        let in_block = underway.into_iter().chain(&self.prepared).find_map(|block| {
            let range = block.ranges.iter().find(|range| range.partition == partition && !range.is_empty())?;
            Some((range.begin, block.oldest_posted_at_ms))
        });
        let first_open = in_block
            .map(|(begin, _)| begin)
            .or_else(|| self.queue.first_waiting_offset(partition))
            .or_else(|| self.position(partition).ok().flatten());
        let records = first_open.map_or(0, |open| (high - open).max(0));
        lag.records.set(records);
        let oldest = in_block.map(|(_, oldest)| oldest).or_else(|| self.queue.oldest_posted_at_ms(partition));
        match oldest {
            Some(posted_at_ms) => lag.seconds.set((now_seconds() - seconds(posted_at_ms)).max(0.0)),
            None if records == 0 => lag.seconds.set(0.0),
            // Not read yet: the age is unknown and can only have grown.
            None => lag.seconds.set(lag.seconds.get() + LAG_INTERVAL.as_secs_f64()),
        }
        self.context.metrics.set_watermark(self.watermark_seconds(underway.map(|block| block.oldest_posted_at_ms)));
    }

    /// Waits for the insert under way, within a bound, and commits it.
    fn finish(mut self) -> Result<Ended, SinkError> {
        if self.underway.is_some() && self.wait_for_insert(SHUTDOWN_PATIENCE)? {
            self.account_for_done();
            self.intend(None)?;
        }
        Ok(Ended::Shutdown)
    }
}

fn reading(source: rdkafka::error::KafkaError) -> SinkError {
    SinkError::Kafka { doing: "read the ledger", source }
}

#[allow(clippy::cast_precision_loss)] // For people; a double holds milliseconds exactly for 285,000 years.
fn seconds(posted_at_ms: i64) -> f64 {
    posted_at_ms as f64 / 1000.0
}

fn find_out(context: &Context, reader: &BatchReader) -> Result<Resume, SinkError> {
    let committed = offsets::committed(reader, &context.binding.ledger_topic, context.binding.partitions)?;
    let newest = context.runtime.block_on(context.store.newest_ranges())?;
    let is_empty = context.runtime.block_on(context.store.is_empty())?;
    let resume = offsets::resume(context.binding.partitions, committed, newest, is_empty)?;
    match resume.from {
        Source::Beginning => tracing::info!("the ledger is sunk from its beginning"),
        Source::Committed => tracing::info!(ranges = ?resume.ranges, "going on from the committed offsets"),
        Source::SunkRanges => tracing::warn!(ranges = ?resume.ranges, "going on from the table sunk_ranges"),
    }
    Ok(resume)
}

/// Inserts the block, however often it takes. The bytes and the token are the same every time, so that only one of the
/// tries counts; a block is never skipped. After the first try it may be there, so it is looked for before and behind
/// each further one.
///
/// An error only where a repeated block does not stand in every table once: the server lost its memory of the token.
async fn insert_until_done(store: &Store, block: &Block, context: &Context) -> Result<(), SinkError> {
    let mut pause = RETRY_PAUSE_MIN;
    let (mut is_repeat, mut repeats) = (block.is_repeat, 0);
    loop {
        let mut standing = context.inserts.lock().await;
        // A try that is given up may still come through: until a later one says so, nobody knows.
        *standing = None;
        let outcome = insert(store, block, is_repeat).await;
        if matches!(outcome, Ok(Standing::Whole)) {
            *standing = Some(block.ranges.iter().map(|range| range.end).collect());
        }
        drop(standing);
        match outcome {
            Ok(Standing::Whole) => return Ok(()),
            Ok(Standing::Lacking(tables)) if repeats < REPEATS_MAX => {
                repeats += 1;
                tracing::warn!(?tables, token = block.token, "a repeated block is not in every table yet");
            }
            Ok(standing) => return Err(SinkError::Contradiction(not_whole(block, &standing))),
            Err(error) => {
                let error = Causes(&error);
                context.component.not_ready(format!("ClickHouse does not take a block: {error}"));
                let pause_ms = pause.as_millis();
                tracing::warn!(%error, rows = block.rows, token = block.token, pause_ms, "insert failed");
            }
        }
        is_repeat = true;
        context.metrics.insert_retries.inc();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(context.config.retry_pause_max_ms));
    }
}

/// One try.
async fn insert(store: &Store, block: &Block, is_repeat: bool) -> Result<Standing, clickhouse::error::Error> {
    // The token alone is not the whole defence: who looks first does not insert again, whatever the token is.
    let is_repeat = is_repeat && !cfg!(feature = "planted-insert-token-per-attempt");
    if is_repeat {
        let standing = store.standing(&block.witnesses).await?;
        if !matches!(standing, Standing::Lacking(_)) {
            tracing::info!(?standing, token = block.token, "the block was inserted before");
            return Ok(standing);
        }
    }
    store.record_ranges(block).await?;
    store.insert_block(&block.token, block.body.clone()).await?;
    if is_repeat { store.standing(&block.witnesses).await } else { Ok(Standing::Whole) }
}

fn not_whole(block: &Block, standing: &Standing) -> String {
    let what = match standing {
        Standing::Lacking(tables) => format!("does not stand in {} as it should", tables.join(", ")),
        _ => "stands in ledger twice".to_owned(),
    };
    format!(
        "the block {} of {} rows was repeated and {what}: ClickHouse does not remember it rightly, as after a loss of \
         power; drop the database, and it is filled again",
        block.token, block.rows
    )
}
