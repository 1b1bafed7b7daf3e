//! From assignment to serving: fence, fold the ledger, find where to read on.

use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::kafka::{
    ReaderTuning,
    batch::{BatchLimit, BatchReader},
    txn,
};
use tollbooth_schemas::v1::{LedgerRecord, SourceTopic};

use super::{
    Worker, WorkerError,
    keep::Begin,
    lag::Lag,
    position::{Known, Misplaced, next_offset},
    producer::Producer,
    serve::{Held, Hold},
};
use crate::{
    member::Epoch,
    metrics::Restored,
    store::{Bounds, StoreError},
};

/// How long a broker may take to answer; a restart of it fits in.
const BROKER_WAIT: Duration = Duration::from_secs(30);
/// How long fencing is tried.
const FENCE_WAIT: Duration = Duration::from_secs(60);
const FOLD_LIMIT: BatchLimit = BatchLimit { records: 10_000, bytes: 32 * 1024 * 1024 };
const FOLD_WAIT: Duration = Duration::from_millis(100);
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How long a broker may hold a fetch while there is nothing new. Nobody asks anything else over a reader's connections,
/// and a record that comes ends the wait.
const FETCH_WAIT_MS: u32 = 500;
/// Most bytes of one fetch.
const FETCH_KBYTES_MAX: u32 = 4 * 1024;

/// A partition that is fenced, restored and positioned.
pub(super) struct Ready {
    pub(super) producer: Producer,
    pub(super) usage: BatchReader,
    pub(super) commands: BatchReader,
    /// Next offsets of usage and commands.
    pub(super) next: [i64; 2],
    /// Usage that was read and comes next.
    pub(super) held: Option<Held>,
    /// Why it waits; until the next usage is committed.
    pub(super) hold: Option<Hold>,
    /// Until when plan fees wait because the price books could not be read to their end.
    pub(super) fees_wait: Option<Instant>,
    pub(super) lag: Lag,
}

impl Worker {
    /// `None`: the partition was withdrawn meanwhile.
    pub(super) fn prepare(&mut self, epoch: Epoch) -> Result<Option<Ready>, WorkerError> {
        let started = Instant::now();
        let lag = Lag::new(chrono::Utc::now().timestamp_millis());
        let warm = self.ledger_position.is_some();
        let ledger = self.context.topics.ledger();
        let context = &self.context;
        let errors = context.metrics.produce_errors.clone();
        let producer = Producer::new(&context.clients, &ledger, self.partition, context.queues.produce, errors)
            .map_err(WorkerError::kafka("cannot make the producer"))?;
        // Asked before every try: a zombie that fences late would throw out the rightful owner.
        if !txn::init_while(&producer.inner, FENCE_WAIT, || self.owned(epoch))? {
            return Ok(None);
        }
        let folded = match self.fold_ledger(epoch, &ledger, Begin::WithCopies) {
            Err(error) if self.is_restored() && error.is_contradiction() => {
                self.give_up_store(&StoreError::Contradiction(error.to_string()));
                self.fold_ledger(epoch, &ledger, Begin::WithLedger)
            }
            folded => folded,
        };
        if !folded? {
            return Ok(None);
        }
        let source = if warm { Restored::Warm } else { self.restored_from() };
        let [(usage, usage_next), (commands, commands_next)] =
            [self.input(SourceTopic::Usage)?, self.input(SourceTopic::Commands)?];
        let (accounts, operations, answers) = self.state.sizes();
        let elapsed = started.elapsed();
        self.context.metrics.restored(&self.label, source, elapsed);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            partition = self.partition,
            source = source.code(),
            elapsed_ms,
            accounts,
            operations,
            answers,
            usage_next,
            commands_next,
            "partition restored"
        );
        let next = [usage_next, commands_next];
        Ok(Some(Ready { producer, usage, commands, next, held: None, hold: None, fees_wait: None, lag }))
    }

    fn reader(&self, queued_kbytes_max: u32) -> Result<BatchReader, WorkerError> {
        let tuning = ReaderTuning {
            partition_fetch_bytes_max: queued_kbytes_max.min(FETCH_KBYTES_MAX) * 1024,
            queued_kbytes_max,
            fetch_wait_ms: FETCH_WAIT_MS,
            ..ReaderTuning::default()
        };
        let config = self.context.clients.reader(&self.context.group, tuning);
        BatchReader::new(&config).map_err(WorkerError::kafka("cannot make a reader"))
    }

    /// Folds the ledger to its end; `false`: withdrawn meanwhile.
    fn fold_ledger(&mut self, epoch: Epoch, ledger: &str, begin: Begin) -> Result<bool, WorkerError> {
        // The inputs' readers do not exist yet: their share is free.
        let mut reader = self.reader(self.context.queues.usage)?;
        // The end is read after fencing: the old owner can no longer commit, so nothing below it can still appear.
        let (low, high) = self
            .context
            .watermarks
            .ask(ledger, self.partition, BROKER_WAIT)
            .map_err(WorkerError::kafka("cannot ask for the ledger's end"))?;
        self.open_store(epoch, Bounds { low, end: high }, begin);
        let mut position = self.ledger_position.unwrap_or(0);
        if position < low {
            return Err(WorkerError::Lost { topic: ledger.to_owned(), low, next: position });
        }
        if position > high {
            return Err(WorkerError::Shortened { end: high, folded: position });
        }
        if !self.wait_until_stable(epoch, &reader, ledger, high)? {
            return Ok(false);
        }
        reader.assign(&at(ledger, self.partition, position)).map_err(WorkerError::kafka("cannot read the ledger"))?;
        let mut told = Instant::now();
        while position < high {
            if !self.owned(epoch) {
                return Ok(false);
            }
            let batch = reader.read(FOLD_LIMIT, FOLD_WAIT).map_err(WorkerError::kafka("cannot read the ledger"))?;
            for record in batch.iter() {
                let offset = record.offset();
                let record = LedgerRecord::decode(record.payload().unwrap_or_default())
                    .map_err(|source| WorkerError::Decode { offset, source })?;
                self.recall_for(&record)?;
                self.state.fold(&record)?;
                self.ledger_position = Some(offset + 1);
            }
            // Position, not the last record: the tail may be markers.
            position = reader
                .position(ledger, self.partition)
                .map_err(WorkerError::kafka("cannot tell the position in the ledger"))?
                .unwrap_or(position);
            self.keep(false)?;
            self.check_memory()?;
            if told.elapsed() > PROGRESS_EVERY {
                told = Instant::now();
                self.context.metrics.restoring(&self.label, high - position);
                tracing::info!(partition = self.partition, position, high, "folding the ledger");
            }
        }
        self.ledger_position = Some(position.max(high));
        self.state.drop_expired();
        // What the fold checks entry by entry is summed up once more before anybody is served from it.
        self.state.audit()?;
        Ok(true)
    }

    /// Waits until no transaction is open below the ledger's end; `false`: withdrawn meanwhile. The fence has ended every
    /// transaction of a meter; folding up to somebody else's would miss what lies behind it.
    fn wait_until_stable(
        &self,
        epoch: Epoch,
        reader: &BatchReader,
        ledger: &str,
        end: i64,
    ) -> Result<bool, WorkerError> {
        let deadline = Instant::now() + BROKER_WAIT;
        while self.owned(epoch) {
            // The reader's own word, which ends at the first open transaction. It is not assigned yet.
            let (_, stable) = reader
                .watermarks(ledger, self.partition, BROKER_WAIT)
                .map_err(WorkerError::kafka("cannot ask for the ledger's end"))?;
            if stable >= end {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Err(WorkerError::OpenTransaction { stable, end });
            }
            std::thread::park_timeout(FOLD_WAIT);
        }
        Ok(false)
    }

    /// The limit is the process's: states of partitions that were given back stay warm and count.
    pub(super) fn check_memory(&self) -> Result<(), WorkerError> {
        Ok(self.context.memory.note(self.partition, self.operation_bytes())?)
    }

    /// A reader of an input topic, and the offset it begins at.
    fn input(&self, source: SourceTopic) -> Result<(BatchReader, i64), WorkerError> {
        let (topics, queues) = (&self.context.topics, &self.context.queues);
        let (topic, queued_kbytes_max) = match source {
            SourceTopic::Commands => (topics.commands(), queues.commands),
            _ => (topics.usage(), queues.usage),
        };
        let mut reader = self.reader(queued_kbytes_max)?;
        let (low, end) = self
            .context
            .watermarks
            .ask(&topic, self.partition, BROKER_WAIT)
            .map_err(WorkerError::kafka("cannot ask for an input's begin and end"))?;
        let committed = self.committed_offset(&reader, &topic)?;
        let folded = self.state.folded_offset(self.context.input_generation, source);
        let next = match next_offset(Known { committed, folded, low, end }) {
            Ok(next) => next,
            Err(Misplaced::Lost { next }) => return Err(WorkerError::Lost { topic, low, next }),
            Err(Misplaced::Unclaimed) => return Err(WorkerError::Unclaimed { topic, low }),
            Err(Misplaced::Beyond { next }) => return Err(WorkerError::Beyond { topic, end, next }),
        };
        reader.assign(&at(&topic, self.partition, next)).map_err(WorkerError::kafka("cannot read an input"))?;
        Ok((reader, next))
    }

    fn committed_offset(&self, reader: &BatchReader, topic: &str) -> Result<Option<i64>, WorkerError> {
        const WHAT: &str = "cannot ask for the committed offset";
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, self.partition);
        let committed = reader.committed(asked, BROKER_WAIT).map_err(WorkerError::kafka(WHAT))?;
        let Some(element) = committed.find_partition(topic, self.partition) else { return Ok(None) };
        element.error().map_err(WorkerError::kafka(WHAT))?;
        Ok(match element.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        })
    }
}

fn at(topic: &str, partition: i32, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    // Refuses logical offsets of unknown numbers only.
    drop(list.add_partition_offset(topic, partition, Offset::Offset(offset)));
    list
}
