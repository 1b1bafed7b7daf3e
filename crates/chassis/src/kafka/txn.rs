//! Transactions on a `BaseProducer`, with every error of librdkafka in one of five classes.
//!
//! All calls block; use a thread of its own. Each waits without a timeout of its own: librdkafka ends a transaction's
//! calls by `transaction.timeout.ms`, and a shorter one leaves its state machine a step ahead of the caller. A retriable
//! error is answered inside by the same call again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::util::Timeout;

/// Pause between two tries of the same call.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long a call is tried again while librdkafka says that trying helps.
const RETRY_LIMIT: Duration = Duration::from_secs(60);
/// So long after offsets were sent, and again, the client is made to look for the group's coordinator. Longer than a
/// connection may be idle, so that asking for metadata opens one.
const NUDGE_EVERY: Duration = Duration::from_secs(8);
const NUDGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two looks at the delivery reports; not felt beside a commit's round trips.
const REPORT_PAUSE: Duration = Duration::from_millis(1);

/// What a failed transactional call means for its caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// The same call again. Comes out of this module only when trying for a minute did not help, and from
    /// [`classify`] for a full queue: poll, then send again.
    #[error("retriable: {0}")]
    Retriable(KafkaError),
    /// Abort, drop what the batch changed, apply it again.
    #[error("transaction must be aborted: {0}")]
    Abortable(KafkaError),
    /// Another producer with this transactional id took over: this worker ends, and writes nothing more.
    #[error("fenced: {0}")]
    Fenced(KafkaError),
    /// The group gave the partition to somebody else: abort and give it up.
    #[error("no longer a member of the group: {0}")]
    GroupLost(KafkaError),
    /// The client cannot be used any more, or nobody knows what the error means: leave with a non-zero status.
    #[error("fatal: {0}")]
    Fatal(KafkaError),
}

impl TxnError {
    /// Stable machine-readable code, for logs and metric labels.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Retriable(_) => "retriable",
            Self::Abortable(_) => "abortable",
            Self::Fenced(_) => "fenced",
            Self::GroupLost(_) => "group_lost",
            Self::Fatal(_) => "fatal",
        }
    }

    /// The error as librdkafka gave it.
    #[must_use]
    pub fn cause(&self) -> &KafkaError {
        match self {
            Self::Retriable(e) | Self::Abortable(e) | Self::Fenced(e) | Self::GroupLost(e) | Self::Fatal(e) => e,
        }
    }
}

/// The class of an error of a transactional call or of `send` inside a transaction.
#[must_use]
pub fn classify(error: &KafkaError) -> TxnError {
    let code = error.rdkafka_error_code();
    match code {
        Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch) => {
            return TxnError::Fenced(error.clone());
        }
        Some(
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::FencedInstanceId,
        ) => return TxnError::GroupLost(error.clone()),
        _ => {}
    }
    match error {
        // Fatal is asked first: a fatal error may carry the abort flag as well, and aborting cannot help it.
        KafkaError::Transaction(inner) if inner.is_fatal() => TxnError::Fatal(error.clone()),
        KafkaError::Transaction(inner) if inner.txn_requires_abort() => TxnError::Abortable(error.clone()),
        KafkaError::Transaction(inner) if inner.is_retriable() => TxnError::Retriable(error.clone()),
        KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => TxnError::Retriable(error.clone()),
        // `send` inside a transaction that has already failed: commit would say "abort", so does this.
        KafkaError::MessageProduction(RDKafkaErrorCode::State) => TxnError::Abortable(error.clone()),
        _ => TxnError::Fatal(error.clone()),
    }
}

/// As [`classify`], for errors of `send`: there a fenced producer only says "fatal", and the client knows why.
#[must_use]
pub fn classify_send<C: ProducerContext>(producer: &BaseProducer<C>, error: &KafkaError) -> TxnError {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
        && let Some((code, _)) = producer.client().fatal_error()
    {
        return classify(&KafkaError::Global(code));
    }
    classify(error)
}

/// Fences every older producer of this transactional id and ends its open transaction. When it returns, all markers of
/// that transaction are written. Tried for `limit`.
///
/// # Errors
/// [`TxnError::Retriable`] after `limit`, else as classified.
pub fn init<C: ProducerContext>(producer: &BaseProducer<C>, limit: Duration) -> Result<(), TxnError> {
    init_while(producer, limit, || true).map(drop)
}

/// As [`init`], as long as the caller may: `allowed` is asked before every try, and `false` comes back where it said no.
/// A fence that comes late throws out whoever took over meanwhile.
///
/// # Errors
/// As [`init`].
pub fn init_while<C: ProducerContext>(
    producer: &BaseProducer<C>,
    limit: Duration,
    allowed: impl Fn() -> bool,
) -> Result<bool, TxnError> {
    let mut is_allowed = false;
    retrying(limit, || {
        is_allowed = allowed();
        if is_allowed { producer.init_transactions(Timeout::Never) } else { Ok(()) }
    })?;
    Ok(is_allowed)
}

/// Begins a transaction. Local; no round trip.
///
/// # Errors
/// As classified.
pub fn begin<C: ProducerContext>(producer: &BaseProducer<C>) -> Result<(), TxnError> {
    producer.begin_transaction().map_err(|error| classify(&error))
}

/// Adds input offsets (the *next* ones) to the transaction. `group` is fetched from the consumer after its latest
/// rebalance, each time.
///
/// # Errors
/// As classified; [`TxnError::GroupLost`] is the one that says who owns the partition.
pub fn send_offsets<C: ProducerContext>(
    producer: &BaseProducer<C>,
    offsets: &TopicPartitionList,
    group: &ConsumerGroupMetadata,
) -> Result<(), TxnError> {
    let (over, waiting) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || nudge(producer, &waiting));
        let sent = retrying(RETRY_LIMIT, || producer.send_offsets_to_transaction(offsets, group, Timeout::Never));
        drop(over);
        sent
    })
}

/// Asks for metadata now and then until who waits is served. librdkafka looks for a group's coordinator only when a
/// connection of the client opens or closes. That an idle one closes is such a moment; where what it finds out then is of
/// no use, and all are closed by then, there would be no other.
fn nudge<C: ProducerContext>(producer: &BaseProducer<C>, over: &mpsc::Receiver<()>) {
    while over.recv_timeout(NUDGE_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
        if let Err(error) = producer.client().fetch_metadata(None, NUDGE_TIMEOUT) {
            tracing::debug!(%error, "offsets wait for the group's coordinator");
        }
    }
}

/// Drains the queue and commits.
///
/// # Errors
/// As classified. After [`TxnError::Abortable`] nothing of the transaction is visible.
pub fn commit<C: ProducerContext>(producer: &BaseProducer<C>) -> Result<(), TxnError> {
    drain(producer);
    retrying(RETRY_LIMIT, || producer.commit_transaction(Timeout::Never))
}

/// Aborts: purges what is queued and ends the transaction.
///
/// # Errors
/// As classified; [`TxnError::Abortable`] does not occur.
pub fn abort<C: ProducerContext>(producer: &BaseProducer<C>) -> Result<(), TxnError> {
    let ended = AtomicBool::new(false);
    // The call waits until every delivery report was served, and nobody but us serves them: without a second thread that
    // polls, it waits for ever on the first report that is still in the queue.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                serve_reports(producer);
            }
        });
        let outcome = retrying(RETRY_LIMIT, || producer.abort_transaction(Timeout::Never));
        ended.store(true, Ordering::Release);
        outcome
    })
}

/// Waits until every record was acknowledged or failed. The binding's own flush sleeps in steps of 100 ms, which was
/// measured as the whole latency of a commit; steps of 1 ms are not felt.
pub fn drain<C: ProducerContext>(producer: &BaseProducer<C>) {
    // Ends by itself: a record that is never acknowledged fails after `delivery.timeout.ms`.
    while producer.in_flight_count() > 0 {
        serve_reports(producer);
    }
}

/// Gives the core away for a moment, then hands out the delivery reports that are there. The binding's `poll` with a wait
/// of a millisecond does not sleep at all: it rounds what is left down to 0 and asks again until the time is over.
pub fn serve_reports<C: ProducerContext>(producer: &BaseProducer<C>) {
    std::thread::sleep(REPORT_PAUSE);
    producer.poll(Duration::ZERO);
}

fn retrying(limit: Duration, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), TxnError> {
    let deadline = Instant::now() + limit;
    loop {
        let error = match call() {
            Ok(()) => return Ok(()),
            Err(error) => classify(&error),
        };
        if !matches!(error, TxnError::Retriable(_)) || Instant::now() >= deadline {
            return Err(error);
        }
        tracing::debug!(%error, "transactional call is tried again");
        std::thread::sleep(RETRY_PAUSE);
    }
}
