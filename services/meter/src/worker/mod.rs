//! One partition's worker: an OS thread that owns the partition while the group says so.
//!
//! Assignment: check ownership, fence (`init_transactions`), restore the state from the ledger, read the committed
//! offsets, and only then consume. Loop: take what is there, commands first, decide on an overlay, write everything
//! with the offsets in one transaction, commit, and only then merge the overlay.
//!
//! A partition that cannot be served is refused: it stays assigned and stands still, `/readyz` and a gauge say so, and
//! the others go on.

mod dead_letter;
mod decide;
mod decode;
#[cfg(test)]
mod handover;
mod housekeeping;
mod kafka;
mod keep;
mod lag;
mod look_up;
mod outside;
mod position;
mod producer;
mod records;
mod restore;
mod serve;
#[cfg(test)]
mod simulation;
mod tail;
mod trace;
mod transaction;
mod warm;

use std::{panic::AssertUnwindSafe, sync::Arc, thread::JoinHandle, time::Duration};

use futures_util::FutureExt as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tollbooth_chassis::{
    kafka::txn::TxnError,
    ops::{Component, Health},
    traces::Traces,
};
use tollbooth_ledger::{AuditError, FoldError, Limits, State};
use tollbooth_schemas::topics::TopicSet;

use crate::{
    config::BatchConfig,
    member::Epoch,
    metrics::Metrics,
    store::{Checkpoints, LastRecord, StoreError, StoreSettings},
};
pub use kafka::Kafka;
use keep::Kept;
use outside::Outside;
pub use warm::StateMemory;
use warm::{OverLimit, Warm};

/// Pause after a partition could not be taken, before the group is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What all workers of a process share.
#[derive(Debug)]
pub struct Context<O = Kafka> {
    /// Topic names.
    pub topics: TopicSet,
    /// What is accepted and kept.
    pub limits: Limits,
    /// Bounds of a transaction.
    pub batch: BatchConfig,
    /// Stands in every ledger record.
    pub input_generation: u32,
    /// States of partitions that are not served here at the moment, and the memory that all may take.
    pub memory: StateMemory,
    /// Where states are kept on disk; `None`: in memory only.
    pub store: Option<StoreSettings>,
    /// Copies of stores elsewhere; `None`: there are none.
    pub checkpoints: Option<Arc<Checkpoints>>,
    /// Handles.
    pub metrics: Metrics,
    /// Spans of records that came with a trace.
    pub traces: Traces,
    /// Readiness, one component a partition.
    pub health: Health,
    /// The world around it.
    pub outside: O,
}

/// Why a worker stopped serving before it was told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// A transactional call failed in a way that aborting does not mend.
    #[error(transparent)]
    Transaction(#[from] TxnError),
    /// Reading, or asking the broker, failed.
    #[error("{what}: {source}")]
    Kafka { what: &'static str, source: KafkaError },
    /// The ledger contradicts itself.
    #[error("the ledger of this partition cannot be folded: {0}")]
    Fold(#[from] FoldError),
    /// The store on disk cannot be read or written any more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was folded does not sum up: a defect of ours.
    #[error("the state folded from the ledger contradicts itself: {0}")]
    Audit(#[from] AuditError),
    /// A ledger record is not one.
    #[error("ledger offset {offset} is not a ledger record: {source}")]
    Decode { offset: i64, source: prost::DecodeError },
    /// The ledger is not what was folded before.
    #[error("the ledger ends at offset {end}, but it was folded up to {folded}: its newest records are gone")]
    Shortened { end: i64, folded: i64 },
    /// The same, where it has grown again since.
    #[error(
        "the ledger's record at offset {offset} is not the one that was folded: the topic was replaced, or lost its newest \
         records and was written on"
    )]
    Replaced { offset: i64 },
    /// More operation ids than memory is set aside for.
    #[error("operation ids take {used} MiB, more than operations_mib_max ({limit}): raise it, or run more meters")]
    Memory { used: usize, limit: usize },
    /// A defect of ours; where it happened stands in the log. The state may be half changed.
    #[error("the worker panicked")]
    Panicked,
    /// Another writer holds a transaction open on the ledger.
    #[error("a transaction of another writer is open on the ledger: stable up to {stable}, written up to {end}")]
    OpenTransaction { stable: i64, end: i64 },
    /// Records were deleted before they were read.
    #[error("{topic} begins at offset {low}, but {next} is the next one to be read: records were deleted unread")]
    Lost { topic: String, low: i64, next: i64 },
    /// A topic without its beginning, and nothing that says how far it was consumed.
    #[error(
        "{topic} begins at offset {low}, the group has committed no offset, and the ledger has no entry of it: records \
         may have been deleted unread; commit the offset to begin at by hand"
    )]
    Unclaimed { topic: String, low: i64 },
    /// A topic that is shorter than what was consumed of it.
    #[error(
        "{topic} ends at offset {end}, but {next} is the next one to be read: the topic was replaced, or lost its \
         newest records; a ledger that goes on over new topics needs input_generation raised by one"
    )]
    Beyond { topic: String, end: i64, next: i64 },
}

impl From<OverLimit> for WorkerError {
    fn from(OverLimit { used, limit }: OverLimit) -> Self {
        Self::Memory { used: used >> 20, limit: limit >> 20 }
    }
}

impl WorkerError {
    fn kafka(what: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { what, source }
    }

    /// Whether a state and a ledger do not fit together.
    const fn is_contradiction(&self) -> bool {
        matches!(self, Self::Fold(_) | Self::Audit(_))
    }

    /// Whether a reader stands where its topic has no record.
    fn is_out_of_range(&self) -> bool {
        let Self::Kafka { source, .. } = self else { return false };
        matches!(
            source.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        )
    }

    const fn remedy(&self) -> Remedy {
        match self {
            Self::Kafka { .. } | Self::OpenTransaction { .. } | Self::Store(_) => Remedy::Again,
            Self::Transaction(TxnError::Fenced(_) | TxnError::GroupLost(_) | TxnError::Retriable(_)) => {
                Remedy::AskGroup
            }
            Self::Fold(_)
            | Self::Audit(_)
            | Self::Decode { .. }
            | Self::Shortened { .. }
            | Self::Replaced { .. }
            | Self::Memory { .. }
            | Self::Lost { .. }
            | Self::Unclaimed { .. }
            | Self::Beyond { .. } => Remedy::Refuse,
            Self::Transaction(TxnError::Abortable(_) | TxnError::Fatal(_)) | Self::Panicked => Remedy::Leave,
        }
    }
}

/// What to do about a partition that could not be served on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// The broker did not answer: fence and restore again, while the partition is ours.
    Again,
    /// Somebody else may own it.
    AskGroup,
    /// Serving it would make things worse, here and elsewhere: it stays assigned and stands still until a person has
    /// looked, and the others go on.
    Refuse,
    /// Nobody understands it: leave with a non-zero status.
    Leave,
}

/// A partition's worker.
pub(crate) struct Worker<O> {
    context: Arc<Context<O>>,
    partition: i32,
    /// The partition's number as a metric label.
    label: String,
    state: State,
    /// The ledger is folded up to here, exclusive.
    ledger_position: Option<i64>,
    /// The record that was folded last.
    last_record: Option<LastRecord>,
    kept: Option<Kept>,
    /// Failures of the store in this assignment.
    store_errors: u32,
    component: Option<Component>,
    /// Why usage waits, as it was told.
    paused: Option<String>,
}

/// Starts the worker of a partition; it ends when the member closes its slot.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn(context: Arc<Context>, partition: i32) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("worker-{partition}")).spawn(move || {
        let mut worker = Worker::new(Arc::clone(&context), partition);
        let Some(slot) = context.outside.member.slot(partition) else { return };
        while let Some(epoch) = slot.next() {
            kafka::run(worker.serve_assignment(epoch));
            slot.done(epoch);
        }
    })
}

impl<O: Outside> Worker<O> {
    fn new(context: Arc<Context<O>>, partition: i32) -> Self {
        let Warm { state, ledger_position, last_record, kept } = Warm::cold(&context.limits);
        Self {
            context,
            partition,
            label: partition.to_string(),
            state,
            ledger_position,
            last_record,
            kept,
            store_errors: 0,
            component: None,
            paused: None,
        }
    }

    /// From the assignment of the partition until it is withdrawn, or given up.
    async fn serve_assignment(&mut self, epoch: Epoch) {
        let context = Arc::clone(&self.context);
        self.replace(context.memory.take(self.partition));
        self.store_errors = 0;
        let mut was_out_of_range = false;
        let remedy = loop {
            match self.serve_once(epoch, &mut was_out_of_range).await {
                // What the broker refuses now it may refuse for a while.
                Remedy::Again if self.owned(epoch) => context.outside.pause(RETRY_PAUSE).await,
                remedy => break remedy,
            }
        };
        let warm = self.replace(None);
        if remedy == Remedy::Leave {
            // Nobody knows what state it is in: the partition may come back before the process has left.
            drop(warm);
            context.memory.forget(self.partition);
        } else {
            context.memory.park(self.partition, warm);
        }
    }

    /// Exchanges the state; `None`: nothing folded yet.
    fn replace(&mut self, warm: Option<Warm>) -> Warm {
        let Warm { state, ledger_position, last_record, kept } =
            warm.unwrap_or_else(|| Warm::cold(&self.context.limits));
        Warm {
            state: std::mem::replace(&mut self.state, state),
            ledger_position: std::mem::replace(&mut self.ledger_position, ledger_position),
            last_record: std::mem::replace(&mut self.last_record, last_record),
            kept: std::mem::replace(&mut self.kept, kept),
        }
    }

    /// Serves until the partition is withdrawn, which asks for nothing, or until something goes wrong.
    async fn serve_once(&mut self, epoch: Epoch, was_out_of_range: &mut bool) -> Remedy {
        let context = Arc::clone(&self.context);
        let (partition, name) = (self.partition, format!("partition-{}", self.partition));
        let component = context.health.component(name.as_str());
        component.not_ready("restoring");
        self.component = Some(component);
        self.paused = None;
        let outcome = AssertUnwindSafe(self.serve(epoch)).catch_unwind().await.unwrap_or(Err(WorkerError::Panicked));
        context.metrics.given_up(&self.label);
        if let Err(WorkerError::Store(error)) = &outcome {
            self.store_errors += 1;
            self.give_up_store(error);
        }
        let remedy = match &outcome {
            Ok(()) => Remedy::AskGroup,
            // Once, the next restore looks where the topics begin and end, and refuses with the reason. Where it finds
            // none, trying for ever does not help.
            Err(error) if error.is_out_of_range() && std::mem::replace(was_out_of_range, true) => Remedy::Refuse,
            Err(error) => error.remedy(),
        };
        if remedy != Remedy::Again {
            // Nothing is restored here any more. What is tried again goes on being restored.
            context.metrics.restoring(&self.label, 0);
        }
        if let Err(error) = outcome {
            match remedy {
                Remedy::Again => tracing::warn!(partition, %error, "partition is taken again"),
                Remedy::AskGroup => {
                    tracing::warn!(partition, %error, "partition given up");
                    if self.owned(epoch) {
                        context.outside.ask_group();
                    }
                }
                Remedy::Refuse => self.refuse(epoch, &error).await,
                Remedy::Leave => {
                    tracing::error!(partition, %error, "partition cannot be served");
                    context.outside.end_process(format!("partition {partition}: {error}"));
                }
            }
        }
        context.health.remove(&name);
        remedy
    }

    /// Stands still, and says why, until the partition is withdrawn; the next assignment tries again from nothing.
    async fn refuse(&mut self, epoch: Epoch, error: &WorkerError) {
        let (context, partition) = (Arc::clone(&self.context), self.partition);
        tracing::error!(partition, %error, "partition refused: it is not served, the others go on");
        // It may be half folded, and nobody is served from it.
        drop(self.replace(None));
        context.memory.forget(partition);
        if let Some(component) = &self.component {
            component.not_ready(format!("refused: {error}"));
            component.end_beats();
        }
        context.metrics.refused(&self.label, true);
        context.outside.until_withdrawn(partition, epoch).await;
        context.metrics.refused(&self.label, false);
    }

    /// A turn was made, and another one is coming soon: see [`crate::watchdog`].
    fn turned(&self) {
        if let Some(component) = &self.component {
            component.beat();
        }
    }

    /// What follows takes as long as it takes.
    fn takes_its_time(&self) {
        if let Some(component) = &self.component {
            component.end_beats();
        }
    }

    pub(crate) fn owned(&self, epoch: Epoch) -> bool {
        self.context.outside.owns(self.partition, epoch)
    }
}
