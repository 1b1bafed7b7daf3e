//! The partition's store, beside its state: opened before the ledger is folded, written after what it says is committed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tollbooth_ledger::looked_up;
use tollbooth_schemas::v1::LedgerRecord;

use super::{Worker, WorkerError, outside::Outside};
use crate::{
    member::Epoch,
    metrics::Restored,
    store::{self, Bounds, CheckpointError, FAN_IN, Folded, Store, StoreError, StoreSettings, Target},
};

/// While usage does not stop coming, runs are merged only when there are this many times as many as it takes.
const BUSY_FACTOR: usize = 4;

/// How often bytes of a checkpoint that is read are told.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// So many failures of the disk in one assignment, and it is done without.
const STORE_ERRORS_MAX: u32 = 2;

/// What a partition of which nothing is in memory may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Its store, or a checkpoint.
    WithCopies,
    /// The ledger alone: a copy contradicted it.
    WithLedger,
}

/// A store at work.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) store: Store,
    written_at: Instant,
    /// Rows written since the last checkpoint was begun.
    rows: usize,
    checkpoint_at: Instant,
    /// Where its rows came from when it was opened; [`Restored::Cold`]: it was empty.
    source: Restored,
    /// Whether they were found to be of the ledger that is read.
    is_compared: bool,
}

impl Kept {
    fn new(store: Store, source: Restored) -> Self {
        let now = Instant::now();
        // What an earlier process wrote may stand in no checkpoint.
        let rows = usize::from(source != Restored::Checkpoint);
        let is_compared = source == Restored::Cold;
        Self { store, written_at: now, rows, checkpoint_at: now, source, is_compared }
    }
}

impl<O: Outside> Worker<O> {
    /// For a partition of which nothing is in memory: its store, a checkpoint, or an empty store where neither can be used
    /// or is to be. Where the disk refuses that, too, the state is in memory only.
    pub(super) fn open_store(&mut self, epoch: Epoch, ledger: Bounds, begin: Begin) {
        let context = Arc::clone(&self.context);
        let Some(settings) = context.store.as_ref().filter(|_| self.ledger_position.is_none()) else { return };
        // An empty one, where nothing was folded at the last try.
        drop(self.kept.take());
        if self.store_errors >= STORE_ERRORS_MAX {
            tracing::error!(partition = self.partition, "the disk fails again and again: the state is in memory only");
            return;
        }
        if begin == Begin::WithCopies && !self.open_copies(epoch, settings, ledger) {
            return;
        }
        if self.kept.is_none() {
            let (dir, identity) = (settings.dir_of(self.partition), settings.identity_of(self.partition));
            match Store::create(&dir, settings.cache_bytes, &identity) {
                Ok(store) => self.kept = Some(Kept::new(store, Restored::Cold)),
                Err(error) => {
                    tracing::error!(partition = self.partition, %error, "no store: the state is in memory only");
                    return;
                }
            }
        }
        self.state.keep_changes();
    }

    /// The store on this machine, or a checkpoint; `false`: the place is another process's.
    fn open_copies(&mut self, epoch: Epoch, settings: &StoreSettings, ledger: Bounds) -> bool {
        let limits = self.context.limits;
        let (dir, identity) = (settings.dir_of(self.partition), settings.identity_of(self.partition));
        let opening = Instant::now();
        match Store::open(&dir, settings.cache_bytes, &identity, &limits, ledger) {
            Ok(Some((store, state))) => {
                self.state = state;
                self.begin_at(store.folded());
                let (accounts, _, _) = self.state.sizes();
                tracing::info!(
                    partition = self.partition,
                    elapsed_ms = opening.elapsed().as_millis(),
                    accounts,
                    operations = store.sizes().operations,
                    next_offset = store.next_offset(),
                    ledger_end = ledger.end,
                    "store opened"
                );
                self.kept = Some(Kept::new(store, Restored::Store));
            }
            Ok(None) => {}
            Err(error) => {
                self.give_up_store(&error);
                if matches!(error, StoreError::Locked) {
                    return false;
                }
            }
        }
        if self.kept.is_none() {
            self.fetch_checkpoint(epoch, ledger);
        }
        true
    }

    fn begin_at(&mut self, folded: Folded) {
        (self.ledger_position, self.last_record) = (Some(folded.next_offset), folded.last);
    }

    /// Tells why a store is not used and removes it, with the state that hangs on it.
    pub(super) fn give_up_store(&mut self, error: &StoreError) {
        self.context.metrics.store_discarded(error.code());
        tracing::warn!(partition = self.partition, reason = error.code(), %error, "store discarded");
        // Memory may have let go of what only the store has.
        drop(self.replace(None));
        let Some(settings) = &self.context.store else { return };
        if matches!(error, StoreError::Locked) {
            return;
        }
        if let Err(error) = store::remove(&settings.dir_of(self.partition)) {
            tracing::error!(partition = self.partition, %error, "the discarded store cannot be removed");
        }
    }

    /// Whether what is in memory is this ledger's. A copy that was opened is not yet: a start may end before it is compared.
    pub(super) fn is_warm(&self) -> bool {
        self.ledger_position.is_some() && self.kept.as_ref().is_none_or(|kept| kept.is_compared)
    }

    /// The ledger has what the copy says.
    pub(super) fn compared(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.is_compared = true;
        }
    }

    /// What the state was made of, before the ledger's tail.
    pub(super) fn restored_from(&self) -> Restored {
        self.kept.as_ref().map_or(Restored::Cold, |kept| kept.source)
    }

    /// The newest checkpoint that can be used, into an empty store. Where there is none, or none can be asked for, the
    /// whole ledger is folded: it has everything.
    fn fetch_checkpoint(&mut self, epoch: Epoch, ledger: Bounds) {
        let context = Arc::clone(&self.context);
        let (Some(settings), Some(checkpoints)) = (&context.store, &context.checkpoints) else { return };
        let (partition, fetching) = (self.partition, Instant::now());
        let (dir, identity) = (settings.dir_of(partition), settings.identity_of(partition));
        let refused = |name: &str, error: &CheckpointError| {
            context.metrics.checkpoint_refused(error.code());
            tracing::warn!(partition, name, reason = error.code(), %error, "checkpoint not used");
        };
        let mut told = Instant::now();
        let progress = |read: u64, all: u64| {
            if told.elapsed() > PROGRESS_EVERY {
                told = Instant::now();
                tracing::info!(partition, read, all, "reading a checkpoint");
            }
            self.owned(epoch)
        };
        let target = Target {
            dir: &dir,
            cache_bytes: settings.cache_bytes,
            identity: &identity,
            limits: &context.limits,
            ledger,
        };
        match checkpoints.restore(&target, refused, progress) {
            Ok(Some((store, state))) => {
                let elapsed_ms = fetching.elapsed().as_millis();
                tracing::info!(partition, elapsed_ms, next_offset = store.next_offset(), "checkpoint read");
                self.state = state;
                self.begin_at(store.folded());
                self.kept = Some(Kept::new(store, Restored::Checkpoint));
            }
            Ok(None) => {}
            Err(error) => {
                context.metrics.checkpoint_refused(error.code());
                tracing::warn!(partition, %error, "no checkpoint can be asked for: the whole ledger is folded");
            }
        }
    }

    /// Begins a checkpoint where one is due, on a thread of its own.
    fn checkpoint(&mut self) {
        let context = Arc::clone(&self.context);
        let (Some(settings), Some(checkpoints), Some(kept)) = (&context.store, &context.checkpoints, &mut self.kept)
        else {
            return;
        };
        let is_late = kept.checkpoint_at.elapsed() >= checkpoints.every;
        if kept.rows == 0 || kept.store.is_empty() || !(is_late || kept.rows >= checkpoints.rows) {
            return;
        }
        let (partition, label, metrics) = (self.partition, self.label.clone(), context.metrics.clone());
        let begun = Instant::now();
        let done = move |outcome: Result<i64, CheckpointError>| {
            metrics.checkpoint(&label, outcome.as_ref().ok().copied());
            let elapsed_ms = begun.elapsed().as_millis();
            match outcome {
                Ok(next_offset) => tracing::info!(partition, next_offset, elapsed_ms, "checkpoint made"),
                Err(error) => tracing::error!(partition, %error, elapsed_ms, "no checkpoint was made"),
            }
        };
        match checkpoints.begin(settings.identity_of(partition), &kept.store, done) {
            Ok(true) => (kept.rows, kept.checkpoint_at) = (0, begun),
            // Another partition's is being made: this one's turn comes.
            Ok(false) => {}
            Err(error) => tracing::error!(partition, %error, "no checkpoint was begun"),
        }
    }

    /// Fetches what folding a record looks up.
    pub(super) fn recall_for(&mut self, record: &LedgerRecord) -> Result<(), StoreError> {
        let Some(Kept { store, .. }) = &self.kept else { return Ok(()) };
        for key in record.entries.iter().flat_map(|entry| looked_up(&record.account_id, entry)) {
            if store.may_have(&key)
                && !self.state.knows(&key)
                && let Some(row) = store.remembered(&key)?
            {
                self.state.recall(key.digest(), row);
            }
        }
        Ok(())
    }

    /// Writes what changed, where it is time to; `at_once`: whether it is or not.
    pub(super) fn keep(&mut self, at_once: bool) -> Result<(), WorkerError> {
        let context = Arc::clone(&self.context);
        let (Some(settings), Some(kept), Some(position)) = (&context.store, &mut self.kept, self.ledger_position)
        else {
            return Ok(());
        };
        let is_due =
            self.state.pending_rows() >= settings.write_rows || kept.written_at.elapsed() >= settings.write_every;
        if !(is_due || at_once) {
            return Ok(());
        }
        let writing = Instant::now();
        if self.state.has_changes() {
            kept.rows += self.state.pending_rows().max(1);
            let folded = Folded { next_offset: position, last: self.last_record };
            kept.store.write(&self.state.changes(), folded, self.state.first_kept_week())?;
            self.state.settle(settings.recent_rows);
            context.metrics.store_write_duration.observe(writing.elapsed().as_secs_f64());
        }
        kept.written_at = Instant::now();
        kept.store.merge_runs(FAN_IN * BUSY_FACTOR)?;
        self.checkpoint();
        Ok(())
    }

    /// What can wait until nothing else does.
    pub(super) fn tidy_store(&mut self) -> Result<(), WorkerError> {
        if let Some(kept) = &mut self.kept {
            kept.store.merge_runs(FAN_IN)?;
        }
        Ok(())
    }

    /// Memory that operations take: tables, and the filters of those on disk.
    pub(super) fn operation_bytes(&self) -> usize {
        let filters = self.kept.as_ref().map_or(0, |kept| kept.store.filter_bytes());
        self.state.operation_bytes() + filters
    }
}
