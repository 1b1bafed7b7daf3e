//! How far the sink is: the offsets it has committed.
//!
//! Everything below them is complete in every table of ClickHouse. The rows of `ledger` alone would not tell: the rollups
//! are filled by views of it, a moment later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex as Lock;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Mutex;
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning};

use super::{LiveView, Place};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two questions while somebody waits; nothing is asked while nobody does.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// An answer so young is not asked for again by a page.
const AGE_MAX: Duration = Duration::from_millis(50);
/// How long a page waits for a younger one: the broker may be away, and history must not be slow for it.
const PAGE_PATIENCE: Duration = Duration::from_millis(50);
/// Events looked at before a question: librdkafka's log lines wait in a queue that nobody else empties.
const EVENTS_MAX: usize = 8;

/// The sink's committed offsets, asked for while a request waits for them.
#[derive(Clone)]
pub struct SunkOffsets(Arc<Inner>);

struct Inner {
    consumer: BaseConsumer<LogContext>,
    topic: String,
    view: Arc<LiveView>,
    /// By partition, as last told.
    known: Lock<Vec<i64>>,
    /// When the question was put last, whatever came of it.
    asked_at: Lock<Option<Instant>>,
    /// Held by the one request that asks; the others take its answer.
    turn: Arc<Mutex<()>>,
}

impl std::fmt::Debug for SunkOffsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SunkOffsets")
            .field("topic", &self.0.topic)
            .field("known", &self.0.known)
            .finish_non_exhaustive()
    }
}

impl SunkOffsets {
    /// The offsets of `group` on the ledger `topic` (full name). `view` knows how many partitions it has.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(clients: &KafkaClients, topic: String, group: &str, view: Arc<LiveView>) -> Result<Self, KafkaError> {
        let mut config = clients.reader(group, ReaderTuning::default());
        // The sink commits in transactions, one after the other: a committed reader would wait for the open one. What
        // is told here is at worst an older offset.
        config.set("isolation.level", "read_uncommitted");
        let consumer = BaseConsumer::from_config_and_context(&config, LogContext)?;
        Ok(Self(Arc::new(Inner {
            consumer,
            topic,
            view,
            known: Lock::default(),
            asked_at: Lock::default(),
            turn: Arc::default(),
        })))
    }

    /// Whether the sink is known to have committed everything below `place`; nobody is asked.
    #[must_use]
    pub fn is_known(&self, place: Place) -> bool {
        self.0.reaches(place)
    }

    /// Whether the sink is known to have committed everything below `ends`, `(partition, offset)` each; nobody is asked.
    #[must_use]
    pub fn has_passed(&self, ends: &[(i32, i64)]) -> bool {
        let end_of = |partition: i32| u32::try_from(partition).map_or(0, |partition| self.0.end_of(partition));
        ends.iter().all(|(partition, end)| end_of(*partition) >= *end)
    }

    /// Asks once how far the sink is, unless somebody is asking.
    pub async fn look(&self) {
        let Ok(turn) = Arc::clone(&self.0.turn).try_lock_owned() else { return };
        let inner = Arc::clone(&self.0);
        let asked = tokio::task::spawn_blocking(move || {
            inner.ask();
            drop(turn);
        });
        if asked.await.is_err() {
            tracing::error!("asking for the sink's offsets panicked");
        }
    }

    /// Waits until everything below `place` is in ClickHouse, at most `patience`. Returns whether it is.
    pub async fn wait_for(&self, place: Place, patience: Duration) -> bool {
        let waiting = async {
            while !self.0.reaches(place) {
                self.ask_unless(|inner| inner.reaches(place)).await;
                if !self.0.reaches(place) {
                    tokio::time::sleep(ASK_EVERY).await;
                }
            }
        };
        // Looked at once without any patience: what is known to be there needs no wait.
        self.0.reaches(place) || tokio::time::timeout(patience, waiting).await.is_ok()
    }

    /// An entry of the account up to which ClickHouse has all of them: the newest one that the sink's offsets tell of,
    /// asked for again only where `wanted_seq` lies beyond what is known. `None` where they tell nothing.
    pub async fn sunk_seq(&self, account_id: &str, wanted_seq: u64) -> Option<u64> {
        self.known(wanted_seq, || self.0.view.sunk_seq(account_id, |partition| self.0.end_of(partition))).await
    }

    /// An entry of the account up to which every table of ClickHouse has all of them; there may be some beyond it. 0: none is
    /// for certain.
    pub async fn sure_seq(&self, account_id: &str, wanted_seq: u64) -> Option<u64> {
        self.known(wanted_seq, || self.0.view.sure_seq(account_id, |partition| self.0.end_of(partition))).await
    }

    async fn known(&self, wanted_seq: u64, known: impl Fn() -> Option<u64>) -> Option<u64> {
        let is_enough = |seq: Option<u64>| seq.is_some_and(|seq| seq >= wanted_seq);
        if !is_enough(known()) {
            let asked = self.ask_unless(|inner| inner.is_young());
            // Late, the answer serves the next page; this one does with what is known.
            drop(tokio::time::timeout(PAGE_PATIENCE, asked).await);
        }
        known()
    }

    /// Asks when its turn comes, unless `is_enough` then.
    async fn ask_unless(&self, is_enough: impl Fn(&Inner) -> bool) {
        if is_enough(&self.0) {
            return;
        }
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        if is_enough(&self.0) {
            return;
        }
        let inner = Arc::clone(&self.0);
        // The turn goes along: given up by its request, the question is still the only one under way.
        let asked = tokio::task::spawn_blocking(move || {
            inner.ask();
            *inner.asked_at.lock() = Some(Instant::now());
            drop(turn);
        });
        if asked.await.is_err() {
            tracing::error!("asking for the sink's offsets panicked");
        }
    }
}

impl Inner {
    fn reaches(&self, place: Place) -> bool {
        place.offset == 0 || self.end_of(place.partition) >= place.offset
    }

    /// Offset below which ClickHouse has the partition; 0 where it is not known.
    fn end_of(&self, partition: u32) -> i64 {
        self.known.lock().get(partition as usize).copied().unwrap_or(0)
    }

    fn is_young(&self) -> bool {
        self.asked_at.lock().is_some_and(|asked_at| asked_at.elapsed() < AGE_MAX)
    }

    fn ask(&self) {
        for _ in 0..EVENTS_MAX {
            drop(self.consumer.poll(Duration::ZERO));
        }
        let partitions = self.view.partitions();
        let mut wanted = TopicPartitionList::with_capacity(partitions);
        for (number, _) in (0_i32..).zip(0..partitions) {
            wanted.add_partition(&self.topic, number);
        }
        match self.consumer.committed_offsets(wanted, ANSWER_TIMEOUT) {
            Ok(told) => {
                let offset = |number| match told.find_partition(&self.topic, number)?.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                *self.known.lock() =
                    (0_i32..).zip(0..partitions).map(|(number, _)| offset(number).unwrap_or(0)).collect();
            }
            Err(error) => tracing::debug!(%error, "the sink's offsets are not known"),
        }
    }
}
