//! A topic with one partition, followed into memory from its beginning.
//!
//! For the small topics that everybody knows by heart: price book and registry. A thread of its own reads, calls the
//! handler for every record in order, and keeps account of how old the knowledge is.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::clients::{KafkaClients, ReaderTuning};
use super::failover::ends;
use super::statistics::{ClientKind, WatchedContext};
use crate::ops::Component;
use crate::shutdown::Shutdown;

const PARTITION: i32 = 0;
const POLL: Duration = Duration::from_millis(50);
/// How often "still read to the end" is confirmed.
/// So long after the end was last reached the component says so.
const DEGRADED_AFTER: Duration = Duration::from_secs(10);
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
const RETRY_EVERY: Duration = Duration::from_millis(200);
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(2);

/// One record of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRecord<'a> {
    /// Offset.
    pub offset: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Milliseconds since the epoch, create or append time as the topic is configured.
    pub timestamp_ms: Option<i64>,
}

/// Why a table could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// librdkafka refuses the configuration.
    #[error("cannot create the reader: {0}")]
    Client(#[from] KafkaError),
    /// The system has no thread to give.
    #[error("cannot start the reader's thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why what was read of a topic is not enough to decide by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCurrent {
    /// The end has not been reached yet.
    #[error("is being read")]
    Reading,
    /// Following ended.
    #[error("cannot be followed any more: {0}")]
    Failed(String),
    /// The end was last reached too long ago.
    #[error("was last read to its end {} s ago", .0.as_secs())]
    Stale(Duration),
}

#[derive(Debug)]
struct Progress {
    /// Next offset to be handled.
    position: i64,
    /// When the end was asked for that has been reached since; the start until then.
    read_to_end_at: Instant,
    caught_up: bool,
    failed: Option<String>,
}

#[derive(Debug)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// A followed topic. Dropping it leaves the thread running until the shutdown it was given.
#[derive(Debug)]
pub struct TopicTable {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl TopicTable {
    /// Follows partition 0 of `topic` (full name) until `shutdown`. `component` becomes ready once the end has been
    /// reached, and fails when the topic cannot be followed any more (its offsets are gone, the handler panicked). A
    /// broker that is away, or a topic that is not there yet, is waited for.
    ///
    /// # Errors
    /// [`TableError`] when client or thread cannot be made.
    pub fn spawn(
        clients: &KafkaClients,
        topic: &str,
        component: Component,
        shutdown: Shutdown,
        handler: impl FnMut(TableRecord<'_>) + Send + 'static,
    ) -> Result<Self, TableError> {
        let tuning = ReaderTuning { queued_kbytes_max: 8 * 1024, ..ReaderTuning::default() };
        // The group exists in name only: nothing is committed.
        let mut config = clients.reader(&format!("{topic}-table"), tuning);
        let context = WatchedContext::new(clients.watch(ClientKind::TableReader, &mut config));
        let consumer: BaseConsumer<WatchedContext> = BaseConsumer::from_config_and_context(&config, context)?;
        let progress = Progress { position: 0, read_to_end_at: Instant::now(), caught_up: false, failed: None };
        let shared = Arc::new(Shared { progress: Mutex::new(progress), changed: Condvar::new() });
        component.not_ready("reading the topic");
        let follower =
            Follower { topic: topic.to_owned(), consumer, component, shutdown, shared: Arc::clone(&shared), handler };
        let thread = std::thread::Builder::new().name(format!("table-{topic}")).spawn(move || follower.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether the end of the topic has been reached at least once.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.shared.progress.lock().caught_up
    }

    /// Blocks until [`caught_up`](Self::caught_up), at most `timeout`.
    #[must_use]
    pub fn wait_caught_up(&self, timeout: Duration) -> bool {
        self.wait(timeout, |progress| progress.caught_up)
    }

    /// Blocks until the record at `offset` was handled, at most `timeout`: read what you wrote.
    #[must_use]
    pub fn wait_for_offset(&self, offset: i64, timeout: Duration) -> bool {
        self.wait(timeout, |progress| progress.position > offset)
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&Progress) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut progress = self.shared.progress.lock();
        while !done(&progress) && progress.failed.is_none() {
            if self.shared.changed.wait_until(&mut progress, deadline).timed_out() {
                break;
            }
        }
        done(&progress)
    }

    /// How old the knowledge may be: the time since an end of the topic was asked for that has been reached. Grows while
    /// the broker does not answer. Before the first time: since the start.
    #[must_use]
    pub fn age_since_read_to_end(&self) -> Duration {
        self.shared.progress.lock().read_to_end_at.elapsed()
    }

    /// Whether what was read is everything that was there not longer than `age_max` ago.
    ///
    /// # Errors
    /// Why not.
    pub fn ensure_current(&self, age_max: Duration) -> Result<(), NotCurrent> {
        let progress = self.shared.progress.lock();
        if let Some(why) = &progress.failed {
            return Err(NotCurrent::Failed(why.clone()));
        }
        if !progress.caught_up {
            return Err(NotCurrent::Reading);
        }
        let age = progress.read_to_end_at.elapsed();
        if age > age_max { Err(NotCurrent::Stale(age)) } else { Ok(()) }
    }

    /// The next offset to be handled.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.shared.progress.lock().position
    }

    /// Why following ended, if it did before a shutdown.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.progress.lock().failed.clone()
    }

    /// The thread, for the drain at the end.
    pub fn take_thread(&mut self) -> Option<JoinHandle<()>> {
        self.thread.take()
    }
}

struct Follower<H> {
    topic: String,
    consumer: BaseConsumer<WatchedContext>,
    component: Component,
    shutdown: Shutdown,
    shared: Arc<Shared>,
    handler: H,
}

/// Tells everybody who waits when the thread ends without having been asked to.
struct EndGuard {
    shared: Arc<Shared>,
    component: Component,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            fail(&self.shared, &self.component, "the handler panicked".to_owned());
        }
    }
}

fn fail(shared: &Shared, component: &Component, why: String) {
    component.failed(why.clone());
    shared.progress.lock().failed = Some(why);
    shared.changed.notify_all();
}

impl<H: FnMut(TableRecord<'_>)> Follower<H> {
    fn run(mut self) {
        let _guard = EndGuard { shared: Arc::clone(&self.shared), component: self.component.clone() };
        if let Err(error) = self.follow() {
            tracing::error!(topic = %self.topic, %error, "cannot follow the topic any more");
            fail(&self.shared, &self.component, error.to_string());
        }
    }

    fn follow(&mut self) -> Result<(), KafkaError> {
        let mut assigned = false;
        let mut goal: Option<(i64, Instant)> = None;
        let mut ask_at = Instant::now();
        while !self.shutdown.is_triggered() {
            if goal.is_none() && Instant::now() >= ask_at {
                // Taken before asking: what the age promises must hold for the moment of the question.
                let asked_at = Instant::now();
                match ends(&self.consumer, &self.topic, PARTITION, WATERMARK_TIMEOUT) {
                    Ok((low, high)) => {
                        if !assigned {
                            self.assign(low)?;
                            assigned = true;
                        }
                        goal = Some((high, asked_at));
                        ask_at = asked_at + CONFIRM_EVERY;
                    }
                    Err(error) => {
                        tracing::debug!(topic = %self.topic, %error, "end of the topic is not known");
                        ask_at = Instant::now() + RETRY_EVERY;
                    }
                }
            }
            if assigned {
                self.poll()?;
                goal = goal.filter(|(high, asked_at)| !self.confirm(*high, *asked_at));
                self.tell_age();
            } else if self.shutdown.wait_blocking(RETRY_EVERY) {
                break;
            }
        }
        Ok(())
    }

    fn assign(&self, low: i64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, PARTITION, Offset::Offset(low))?;
        self.consumer.assign(&list)?;
        self.shared.progress.lock().position = low;
        Ok(())
    }

    /// Handles what is there; waits a moment if nothing is.
    fn poll(&mut self) -> Result<(), KafkaError> {
        let mut wait = POLL;
        let mut handled = 0_u32;
        let mut position = None;
        // Bounded, so that a long topic does not keep the thread from its other duties.
        while handled < 10_000 {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    (self.handler)(TableRecord {
                        offset: message.offset(),
                        key: message.key(),
                        payload: message.payload(),
                        timestamp_ms: message.timestamp().to_millis(),
                    });
                    position = Some(message.offset() + 1);
                }
                Some(Err(error)) if ends_following(&error) => return Err(error),
                Some(Err(error)) => {
                    tracing::warn!(topic = %self.topic, %error, "reading the topic");
                    break;
                }
            }
            handled += 1;
            wait = Duration::ZERO;
        }
        if let Some(position) = position {
            self.shared.progress.lock().position = position;
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// Says that what is in the topic by now is not known.
    fn tell_age(&self) {
        let progress = self.shared.progress.lock();
        let age = progress.read_to_end_at.elapsed();
        if progress.caught_up && age > DEGRADED_AFTER {
            self.component.degraded(format!("not read to its end for {} s", age.as_secs()));
        }
    }

    /// Whether the end that was asked for has been reached; keeps account of it.
    fn confirm(&self, high: i64, asked_at: Instant) -> bool {
        // The consumer's own position also counts markers at the tail, which never reach the handler.
        let native = self.consumer.position().ok().and_then(|list| {
            match list.find_partition(&self.topic, PARTITION)?.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            }
        });
        let mut progress = self.shared.progress.lock();
        progress.position = progress.position.max(native.unwrap_or(0));
        if progress.position < high {
            return false;
        }
        progress.read_to_end_at = asked_at;
        let first_time = !std::mem::replace(&mut progress.caught_up, true);
        drop(progress);
        if first_time {
            tracing::info!(topic = %self.topic, high, "topic read to its end");
        }
        self.component.ready();
        self.shared.changed.notify_all();
        true
    }
}

/// Errors after which the records read so far are no longer what the topic says.
fn ends_following(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        )
}
