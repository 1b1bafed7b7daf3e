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

use super::{Worker, WorkerError, producer::Producer};
use crate::member::Epoch;

/// How long a broker may take to answer; a restart of it fits in.
pub(super) const BROKER_WAIT: Duration = Duration::from_secs(30);
/// How long fencing is tried.
const FENCE_WAIT: Duration = Duration::from_secs(60);
const FOLD_LIMIT: BatchLimit = BatchLimit { records: 10_000, bytes: 32 * 1024 * 1024 };
const FOLD_WAIT: Duration = Duration::from_millis(100);
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// A partition that is fenced, restored and positioned.
pub(super) struct Ready {
    pub(super) producer: Producer,
    pub(super) usage: BatchReader,
    pub(super) commands: BatchReader,
    /// Next offsets of usage and commands.
    pub(super) next: [i64; 2],
}

impl Worker {
    /// `None`: the partition was withdrawn meanwhile.
    pub(super) fn prepare(&mut self, epoch: Epoch) -> Result<Option<Ready>, WorkerError> {
        let started = Instant::now();
        let warm = self.ledger_position.is_some();
        let ledger = self.context.topics.ledger();
        let producer = Producer::new(&self.context.clients, &ledger, self.partition)
            .map_err(WorkerError::kafka("cannot make the producer"))?;
        // A zombie that fences late would throw out the rightful owner.
        if !self.owned(epoch) {
            return Ok(None);
        }
        txn::init(&producer.inner, FENCE_WAIT)?;
        if !self.fold_ledger(epoch, &ledger)? {
            return Ok(None);
        }
        let [(usage, usage_next), (commands, commands_next)] =
            [self.input(SourceTopic::Usage)?, self.input(SourceTopic::Commands)?];
        let (accounts, operations, answers) = self.state.sizes();
        let elapsed = started.elapsed();
        self.context.metrics.restored(&self.label, warm, elapsed);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            partition = self.partition,
            warm,
            elapsed_ms,
            accounts,
            operations,
            answers,
            usage_next,
            commands_next,
            "partition restored"
        );
        Ok(Some(Ready { producer, usage, commands, next: [usage_next, commands_next] }))
    }

    fn reader(&self) -> Result<BatchReader, WorkerError> {
        let config = self
            .context
            .clients
            .reader(&self.context.group, ReaderTuning { fetch_wait_ms: 500, ..ReaderTuning::default() });
        BatchReader::new(&config).map_err(WorkerError::kafka("cannot make a reader"))
    }

    /// Folds the ledger to its end; `false`: withdrawn meanwhile.
    fn fold_ledger(&mut self, epoch: Epoch, ledger: &str) -> Result<bool, WorkerError> {
        let mut reader = self.reader()?;
        // The end is read after fencing: the old owner can no longer commit, so nothing below it can still appear.
        let high = reader
            .log_end(ledger, self.partition, BROKER_WAIT)
            .map_err(WorkerError::kafka("cannot ask for the ledger's end"))?;
        let Some(low) = self.wait_until_stable(epoch, &reader, ledger, high)? else { return Ok(false) };
        let mut position = self.ledger_position.unwrap_or(low);
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
                self.state.fold(&record)?;
                self.ledger_position = Some(offset + 1);
            }
            // Position, not the last record: the tail may be markers.
            position = reader
                .position(ledger, self.partition)
                .map_err(WorkerError::kafka("cannot tell the position in the ledger"))?
                .unwrap_or(position);
            self.check_memory()?;
            if told.elapsed() > PROGRESS_EVERY {
                told = Instant::now();
                self.context.metrics.restoring(&self.label, high - position);
                tracing::info!(partition = self.partition, position, high, "folding the ledger");
            }
        }
        self.ledger_position = Some(position.max(high));
        self.state.drop_expired(&self.context.limits);
        Ok(true)
    }

    /// Waits until no transaction is open below the ledger's end, and gives back its begin; `None`: withdrawn meanwhile.
    /// The fence has ended every transaction of a meter; folding up to somebody else's would miss what lies behind it.
    fn wait_until_stable(
        &self,
        epoch: Epoch,
        reader: &BatchReader,
        ledger: &str,
        end: i64,
    ) -> Result<Option<i64>, WorkerError> {
        let deadline = Instant::now() + BROKER_WAIT;
        while self.owned(epoch) {
            let (low, stable) = reader
                .watermarks(ledger, self.partition, BROKER_WAIT)
                .map_err(WorkerError::kafka("cannot ask for the ledger's end"))?;
            if stable >= end {
                return Ok(Some(low));
            }
            if Instant::now() > deadline {
                return Err(WorkerError::OpenTransaction { stable, end });
            }
            std::thread::park_timeout(FOLD_WAIT);
        }
        Ok(None)
    }

    pub(super) fn check_memory(&self) -> Result<(), WorkerError> {
        let own = self.state.operation_bytes();
        let limit = self.context.operation_bytes_max;
        // The limit is the process's: states of partitions that were given back stay warm and count.
        let used = self.context.note_operation_bytes(self.partition, own);
        if used > limit {
            return Err(WorkerError::Memory { used: used >> 20, limit: limit >> 20 });
        }
        Ok(())
    }

    /// A reader of an input topic, and the next offset: the group's, else the one after what was folded.
    fn input(&self, source: SourceTopic) -> Result<(BatchReader, i64), WorkerError> {
        let topic = match source {
            SourceTopic::Commands => self.context.topics.commands(),
            _ => self.context.topics.usage(),
        };
        let mut reader = self.reader()?;
        let (low, _) = reader
            .watermarks(&topic, self.partition, BROKER_WAIT)
            .map_err(WorkerError::kafka("cannot ask for an input's begin"))?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&topic, self.partition);
        let committed =
            reader.committed(asked, BROKER_WAIT).map_err(WorkerError::kafka("cannot ask for the committed offset"))?;
        let folded = self.state.folded_offset(self.context.input_generation, source);
        let element = committed.find_partition(&topic, self.partition);
        if let Some(Err(source)) = element.as_ref().map(|element| element.error()) {
            return Err(WorkerError::Kafka { what: "cannot ask for the committed offset", source });
        }
        let next = match element.map(|element| element.offset()) {
            Some(Offset::Offset(next)) if next < low => {
                return Err(WorkerError::Lost { topic, low, committed: next });
            }
            // What made an entry was consumed, whatever an older answer of the group says.
            Some(Offset::Offset(next)) => folded.map_or(next, |folded| next.max(folded + 1)),
            _ => folded.map_or(low, |folded| low.max(folded + 1)),
        };
        reader.assign(&at(&topic, self.partition, next)).map_err(WorkerError::kafka("cannot read an input"))?;
        Ok((reader, next))
    }
}

fn at(topic: &str, partition: i32, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    // Refuses logical offsets of unknown numbers only.
    drop(list.add_partition_offset(topic, partition, Offset::Offset(offset)));
    list
}
