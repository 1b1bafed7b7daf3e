//! From assignment to serving: fence, fold the ledger, find where to read on.

use std::time::{Duration, Instant};

use prost::Message as _;
use tollbooth_chassis::kafka::batch::BatchLimit;
use tollbooth_schemas::v1::{LedgerRecord, SourceTopic};

use super::{
    Worker, WorkerError,
    keep::Begin,
    lag::Lag,
    outside::{Batch as _, BatchOf, Outside, Producer as _, Reader as _, Reads, SourceRecord as _},
    position::{Known, next_offset},
    serve::{Held, Hold, last_of},
    tail::{Meaning, Misfit, Reached, Tail},
};
use crate::{
    member::Epoch,
    metrics::Restored,
    store::{Bounds, LastRecord, Mismatch, StoreError},
};

/// How long a broker may take to answer; a restart of it fits in.
const BROKER_WAIT: Duration = Duration::from_secs(30);
/// How long fencing is tried.
const FENCE_WAIT: Duration = Duration::from_secs(60);
const FOLD_LIMIT: BatchLimit = BatchLimit { records: 10_000, bytes: 32 * 1024 * 1024 };
const FOLD_WAIT: Duration = Duration::from_millis(100);
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// A partition that is fenced, restored and positioned.
pub(super) struct Ready<O: Outside> {
    pub(super) producer: O::Producer,
    pub(super) usage: O::Reader,
    pub(super) commands: O::Reader,
    /// Next offsets of usage and commands.
    pub(super) next: [i64; 2],
    /// Usage that was read and comes next.
    pub(super) held: Option<Held<BatchOf<O>>>,
    /// Why it waits; until the next usage is committed.
    pub(super) hold: Option<Hold>,
    /// Until when plan fees wait because the price books could not be read to their end.
    pub(super) fees_wait: Option<Instant>,
    /// Whether the last usage filled a good part of a batch: more is on its way.
    pub(super) is_behind: bool,
    /// How long the last transaction took, with what was tried again.
    pub(super) took: Duration,
    pub(super) lag: Lag,
}

impl<O: Outside> Worker<O> {
    /// `None`: the partition was withdrawn meanwhile.
    pub(super) async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Ready<O>>, WorkerError> {
        let outside = &self.context.outside;
        let started = outside.instant();
        let lag = Lag::new(outside.now_ms(), started);
        let warm = self.is_warm();
        let ledger = self.context.topics.ledger();
        let producer = outside.producer(self.partition).map_err(WorkerError::kafka("cannot make the producer"))?;
        // Asked before every try: a zombie that fences late would throw out the rightful owner.
        if !producer.fence(FENCE_WAIT, || self.owned(epoch)).await? {
            return Ok(None);
        }
        let folded = match self.fold_ledger(epoch, &ledger, Begin::WithCopies).await {
            Err(error) => match blame_on_copy(self.restored_from(), warm, &error) {
                Some(blame) => {
                    if self.restored_from() == Restored::Checkpoint && matches!(blame, StoreError::Mismatch(_)) {
                        self.context.metrics.checkpoint_refused("mismatch");
                    }
                    self.give_up_store(&blame);
                    self.fold_ledger(epoch, &ledger, Begin::WithLedger).await
                }
                None => Err(error),
            },
            folded => folded,
        };
        if !folded? {
            return Ok(None);
        }
        let source = if warm { Restored::Warm } else { self.restored_from() };
        let [(usage, usage_next), (commands, commands_next)] =
            [self.input(SourceTopic::Usage).await?, self.input(SourceTopic::Commands).await?];
        let (accounts, operations, answers) = self.state.sizes();
        let elapsed = self.context.outside.instant().saturating_duration_since(started);
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
        Ok(Some(Ready {
            producer,
            usage,
            commands,
            next,
            held: None,
            hold: None,
            fees_wait: None,
            is_behind: false,
            took: Duration::ZERO,
            lag,
        }))
    }

    fn reader(&self, reads: Reads) -> Result<O::Reader, WorkerError> {
        self.context.outside.reader(reads).map_err(WorkerError::kafka("cannot make a reader"))
    }

    /// Up to where the ledger is folded.
    pub(super) const fn folded(&self) -> Reached {
        Reached { position: self.ledger_position, last: self.last_record }
    }

    /// The ledger is folded up to there.
    pub(super) const fn set_folded(&mut self, folded: Reached) {
        (self.ledger_position, self.last_record) = (folded.position, folded.last);
    }

    /// Folds the ledger to its end; `false`: withdrawn meanwhile.
    async fn fold_ledger(&mut self, epoch: Epoch, ledger: &str, begin: Begin) -> Result<bool, WorkerError> {
        // A checkpoint may be read before the first record is.
        self.takes_its_time();
        // The inputs' readers do not exist yet: their share is free.
        let mut reader = self.reader(Reads::Usage)?;
        // The end is read after fencing: the old owner can no longer commit, so nothing below it can still appear.
        let ends = self.context.outside.ends(ledger, self.partition, BROKER_WAIT).await;
        let (low, high) = ends.map_err(WorkerError::kafka("cannot ask for the ledger's end"))?;
        self.open_store(epoch, Bounds { low, end: high }, begin);
        let misfit = |misfit: Misfit| misfit.error(ledger);
        let mut tail = Tail::new(self.folded(), Bounds { low, end: high }).map_err(misfit)?;
        // Told before the first wait: a transaction that stays open would hold the restore up unseen.
        self.context.metrics.restoring(&self.label, high - tail.position());
        if !self.wait_until_stable(epoch, &reader, ledger, &tail).await? {
            return Ok(false);
        }
        reader.assign(ledger, self.partition, tail.position()).map_err(WorkerError::kafka("cannot read the ledger"))?;
        let mut told = self.now();
        while !tail.is_read() {
            if !self.owned(epoch) {
                return Ok(false);
            }
            self.turned();
            let read = reader.read(FOLD_LIMIT, FOLD_WAIT).await;
            let batch = read.map_err(WorkerError::kafka("cannot read the ledger"))?;
            for record in batch.iter() {
                let offset = record.offset();
                if tail.record(offset, record.payload().unwrap_or_default()).map_err(misfit)? == Meaning::Known {
                    self.compared();
                    continue;
                }
                let record = LedgerRecord::decode(record.payload().unwrap_or_default())
                    .map_err(|source| WorkerError::Decode { offset, source })?;
                self.recall_for(&record)?;
                self.state.fold(&record)?;
                self.ledger_position = Some(offset + 1);
            }
            if let Some(last) = last_of(&batch) {
                self.last_record = Some(LastRecord::of(last.offset(), last.payload().unwrap_or_default()));
            }
            let position = reader.position(ledger, self.partition);
            let position = position.map_err(WorkerError::kafka("cannot tell the position in the ledger"))?;
            tail.read_to(position.unwrap_or(tail.position()));
            self.keep(false)?;
            self.check_memory()?;
            if self.now().saturating_duration_since(told) > PROGRESS_EVERY {
                told = self.now();
                let (position, high) = (tail.position(), tail.end());
                self.context.metrics.restoring(&self.label, high - position);
                tracing::info!(partition = self.partition, position, high, "folding the ledger");
            }
        }
        let position = tail.finish().map_err(misfit)?;
        self.compared();
        self.ledger_position = Some(position);
        self.state.drop_expired();
        // What the fold checks entry by entry is summed up once more before anybody is served from it.
        self.state.audit()?;
        Ok(true)
    }

    /// Waits until no transaction is open below the ledger's end; `false`: withdrawn meanwhile. The fence has ended every
    /// transaction of a meter; folding up to somebody else's would miss what lies behind it.
    async fn wait_until_stable(
        &self,
        epoch: Epoch,
        reader: &O::Reader,
        ledger: &str,
        tail: &Tail,
    ) -> Result<bool, WorkerError> {
        let deadline = self.now() + BROKER_WAIT;
        while self.owned(epoch) {
            // The reader's own word, which ends at the first open transaction. It is not assigned yet.
            let stable = reader
                .stable(ledger, self.partition, BROKER_WAIT)
                .await
                .map_err(WorkerError::kafka("cannot ask for the ledger's end"))?;
            if tail.is_stable(stable) {
                return Ok(true);
            }
            if self.now() > deadline {
                return Err(WorkerError::OpenTransaction { stable, end: tail.end() });
            }
            self.context.outside.pause(FOLD_WAIT).await;
        }
        Ok(false)
    }

    /// The limit is the process's: states of partitions that were given back stay warm and count.
    pub(super) fn check_memory(&self) -> Result<(), WorkerError> {
        Ok(self.context.memory.note(self.partition, self.operation_bytes())?)
    }

    /// A reader of an input topic, and the offset it begins at.
    async fn input(&self, source: SourceTopic) -> Result<(O::Reader, i64), WorkerError> {
        let topics = &self.context.topics;
        let (topic, reads) = match source {
            SourceTopic::Commands => (topics.commands(), Reads::Commands),
            _ => (topics.usage(), Reads::Usage),
        };
        let mut reader = self.reader(reads)?;
        // The group first: whoever has taken over meanwhile goes on consuming, and beside an older end his offset would look
        // like one of a topic that was replaced.
        let committed = reader.committed(&topic, self.partition, BROKER_WAIT).await;
        let committed = committed.map_err(WorkerError::kafka("cannot ask for the committed offset"))?;
        let ends = self.context.outside.ends(&topic, self.partition, BROKER_WAIT).await;
        let (low, end) = ends.map_err(WorkerError::kafka("cannot ask for an input's begin and end"))?;
        let folded = self.state.folded_offset(self.context.input_generation, source);
        let known = Known { committed, folded, low, end };
        let next = match next_offset(known) {
            Ok(next) => next,
            Err(misplaced) => return Err(misplaced.error(topic, known)),
        };
        reader.assign(&topic, self.partition, next).map_err(WorkerError::kafka("cannot read an input"))?;
        Ok((reader, next))
    }
}

/// What a copy is given up for that does not fit the ledger; `None`: it is not the copy's fault. Where the state was in
/// memory, this process has seen the ledger change: for a person.
pub(super) fn blame_on_copy(source: Restored, warm: bool, error: &WorkerError) -> Option<StoreError> {
    if source == Restored::Cold {
        return None;
    }
    match *error {
        WorkerError::Replaced { offset } if !warm => Some(Mismatch::Replaced { offset }.into()),
        WorkerError::Shortened { end, folded } if !warm => Some(Mismatch::Future { next: folded, end }.into()),
        WorkerError::Lost { low, next, .. } if !warm => Some(Mismatch::Past { next, low }.into()),
        _ => error.is_contradiction().then(|| StoreError::Contradiction(error.to_string())),
    }
}
