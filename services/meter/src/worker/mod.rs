//! One partition's worker: an OS thread that owns the partition while the group says so.
//!
//! Assignment: check ownership, fence (`init_transactions`), restore the state from the ledger, read the committed
//! offsets, and only then consume. Loop: take what is there, commands first, decide on an overlay, write everything
//! with the offsets in one transaction, commit, and only then merge the overlay.

mod decide;
mod decode;
mod producer;
mod records;
mod restore;
mod serve;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tollbooth_chassis::{
    kafka::{KafkaClients, txn::TxnError},
    ops::{Component, Health},
};
use tollbooth_ledger::{FoldError, Limits, State};
use tollbooth_schemas::topics::TopicSet;

use crate::{
    config::BatchConfig,
    member::{Epoch, Member},
    metrics::Metrics,
    price_books::PriceBookView,
};

/// Pause after a partition could not be taken, before the group is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What all workers of a process share.
#[derive(Debug)]
pub struct Context {
    /// Makes clients.
    pub clients: KafkaClients,
    /// Topic names.
    pub topics: TopicSet,
    /// Consumer group of the input offsets.
    pub group: String,
    /// What is accepted and kept.
    pub limits: Limits,
    /// Bounds of a transaction.
    pub batch: BatchConfig,
    /// Stands in every ledger record.
    pub input_generation: u32,
    /// Memory for operation ids, whole process, in bytes.
    pub operation_bytes_max: usize,
    /// What each partition's operation ids take, in bytes.
    pub operation_bytes: Vec<AtomicUsize>,
    /// Prices.
    pub books: PriceBookView,
    /// Who owns what.
    pub member: Member,
    /// Handles.
    pub metrics: Metrics,
    /// Readiness, one component a partition.
    pub health: Health,
}

impl Context {
    /// Notes what a partition's operation ids take; gives back the sum over all of the process.
    fn note_operation_bytes(&self, partition: i32, bytes: usize) -> usize {
        if let Some(noted) = usize::try_from(partition).ok().and_then(|index| self.operation_bytes.get(index)) {
            noted.store(bytes, Ordering::Relaxed);
        }
        self.operation_bytes.iter().map(|noted| noted.load(Ordering::Relaxed)).sum()
    }
}

/// Why a worker stopped serving before it was told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// A transactional call failed in a way that aborting does not mend.
    #[error(transparent)]
    Transaction(#[from] TxnError),
    /// Reading, or asking the broker, failed.
    #[error("{what}: {source}")]
    Kafka { what: &'static str, source: rdkafka::error::KafkaError },
    /// The ledger contradicts itself.
    #[error("the ledger of this partition cannot be folded: {0}")]
    Fold(#[from] FoldError),
    /// A ledger record is not one.
    #[error("ledger offset {offset} is not a ledger record: {source}")]
    Decode { offset: i64, source: prost::DecodeError },
    /// More operation ids than memory is set aside for.
    #[error("operation ids take {used} MiB, more than operations_mib_max ({limit}): raise it, or run more meters")]
    Memory { used: usize, limit: usize },
    /// A defect of ours; where it happened stands in the log. The state may be half changed.
    #[error("the worker panicked")]
    Panicked,
    /// Another writer holds a transaction open on the ledger.
    #[error("a transaction of another writer is open on the ledger: stable up to {stable}, written up to {end}")]
    OpenTransaction { stable: i64, end: i64 },
    /// Input was deleted before it was consumed.
    #[error(
        "{topic} begins at offset {low}, but {committed} is the next one to be consumed: records were deleted unread"
    )]
    Lost { topic: String, low: i64, committed: i64 },
}

impl WorkerError {
    fn kafka(what: &'static str) -> impl FnOnce(rdkafka::error::KafkaError) -> Self {
        move |source| Self::Kafka { what, source }
    }

    const fn remedy(&self) -> Remedy {
        match self {
            Self::Kafka { .. } | Self::OpenTransaction { .. } => Remedy::Again,
            Self::Transaction(TxnError::Fenced(_) | TxnError::GroupLost(_) | TxnError::Retriable(_)) => {
                Remedy::AskGroup
            }
            _ => Remedy::Leave,
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
    /// Nobody understands it: leave with a non-zero status.
    Leave,
}

/// A partition's worker with what it keeps between assignments.
pub(crate) struct Worker {
    context: Arc<Context>,
    partition: i32,
    /// The partition's number as a metric label.
    label: String,
    state: State,
    /// The ledger is folded up to here, exclusive.
    ledger_position: Option<i64>,
    component: Option<Component>,
    /// Usage waits for the price book.
    is_paused: bool,
}

/// Starts the worker of a partition; it ends when the member closes its slot.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn(context: Arc<Context>, partition: i32) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("worker-{partition}")).spawn(move || {
        let label = partition.to_string();
        let state = State::new();
        Worker { context, partition, label, state, ledger_position: None, component: None, is_paused: false }.run();
    })
}

impl Worker {
    fn run(mut self) {
        let context = Arc::clone(&self.context);
        let Some(slot) = context.member.slot(self.partition) else { return };
        while let Some(epoch) = slot.next() {
            while self.serve_once(epoch) == Remedy::Again && self.owned(epoch) {
                // What the broker refuses now it may refuse for a while.
                std::thread::park_timeout(RETRY_PAUSE);
            }
            slot.done(epoch);
        }
    }

    /// Serves until the partition is withdrawn, which asks for nothing, or until something goes wrong.
    fn serve_once(&mut self, epoch: Epoch) -> Remedy {
        let context = Arc::clone(&self.context);
        let (partition, name) = (self.partition, format!("partition-{}", self.partition));
        let component = context.health.component(name.as_str());
        component.not_ready("restoring");
        self.component = Some(component);
        self.is_paused = false;
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve(epoch))).unwrap_or(Err(WorkerError::Panicked));
        context.metrics.given_up(&self.label);
        context.health.remove(&name);
        let Err(error) = outcome else { return Remedy::AskGroup };
        let remedy = error.remedy();
        match remedy {
            Remedy::Again => tracing::warn!(partition, %error, "partition is taken again"),
            Remedy::AskGroup => {
                tracing::warn!(partition, %error, "partition given up");
                if self.owned(epoch) {
                    context.member.request_rejoin();
                }
            }
            Remedy::Leave => {
                tracing::error!(partition, %error, "partition cannot be served");
                context.member.request_end(format!("partition {partition}: {error}"));
            }
        }
        remedy
    }

    pub(crate) fn owned(&self, epoch: Epoch) -> bool {
        self.context.member.slot(self.partition).is_some_and(|slot| slot.owned(epoch))
    }
}
