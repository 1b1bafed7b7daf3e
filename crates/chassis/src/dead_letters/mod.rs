//! The dead letters, and what became of those that were driven again or dismissed: an index in memory over the topic.
//!
//! The topic holds letters and, behind them, words about them, each naming its letter. Whoever must know which
//! letters are open has to have read both: a thread of its own follows the topic from its beginning and keeps, of every
//! letter, where it lies, why, since when, and its newest outcome; the bytes stay where they are, and are
//! [fetched](DeadLetters::fetch) by offset. A meter that was set back may write a letter once more: it is the same one.

mod fetch;
mod index;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{Offset, TopicPartitionList, error::KafkaError};
use tollbooth_schemas::dead_letter::{LetterId, Reason};

use crate::{
    kafka::{
        ClientKind, KafkaClients, ReaderTuning,
        batch::{BatchLimit, BatchReader},
    },
    shutdown::Shutdown,
};

pub use fetch::Whole;
use index::Index;
pub use index::{LETTERS_MAX, Letter, Open, Selection, Word};

const PARTITION: i32 = 0;
const READ_LIMIT: BatchLimit = BatchLimit { records: 1_000, bytes: 8 * 1024 * 1024 };
const READ_WAIT: Duration = Duration::from_millis(200);
const WATERMARK_WAIT: Duration = Duration::from_secs(2);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const REACHED_EVERY: Duration = Duration::from_millis(5);

/// The index, and the way to the bytes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    clients: KafkaClients,
    topic: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    index: Mutex<Index>,
    /// Everything that was there when following began has been read.
    is_complete: AtomicBool,
    /// Offset behind everything that has been read.
    next: AtomicI64,
}

impl DeadLetters {
    /// Follows `topic` (full name) until `shutdown`. A broker that is away, or a topic that is not there yet, is waited
    /// for; nobody's readiness hangs on it.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn follow(clients: &KafkaClients, topic: &str, shutdown: Shutdown) -> std::io::Result<(Self, JoinHandle<()>)> {
        let this = Self { clients: clients.clone(), topic: topic.to_owned(), shared: Arc::default() };
        let follower = this.clone();
        let thread = std::thread::Builder::new().name("dead-letters".to_owned());
        let thread = thread.spawn(move || {
            let mut next = None;
            while !shutdown.is_triggered() {
                if let Err(error) = follower.read(&mut next, &shutdown) {
                    tracing::debug!(%error, "the dead letters cannot be read");
                    if shutdown.wait_blocking(RETRY_EVERY) {
                        break;
                    }
                }
            }
        })?;
        Ok((this, thread))
    }

    /// Reads on from `next` until the shutdown, or an error.
    fn read(&self, next: &mut Option<i64>, shutdown: &Shutdown) -> Result<(), KafkaError> {
        let tuning = ReaderTuning {
            partition_fetch_bytes_max: 1024 * 1024,
            queued_kbytes_max: 8 * 1024,
            ..ReaderTuning::default()
        };
        // The group exists in name only: nothing is committed.
        let mut config = self.clients.reader(&format!("{}-index", self.topic), tuning);
        let watch = self.clients.watch(ClientKind::DeadLettersReader, &mut config);
        let mut reader = BatchReader::watched(config, watch)?;
        let (low, end) = reader.watermarks(&self.topic, PARTITION, WATERMARK_WAIT)?;
        if next.is_some_and(|next| next > end) {
            // Another topic of the same name: what was read says nothing of it.
            *self.shared.index.lock() = Index::default();
            *next = None;
        }
        let from = next.unwrap_or(low).max(low);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, PARTITION, Offset::Offset(from))?;
        reader.assign(&list)?;
        self.shared.index.lock().forget_below(low);
        while !shutdown.is_triggered() {
            let batch = reader.read(READ_LIMIT, READ_WAIT)?;
            {
                let mut index = self.shared.index.lock();
                for record in batch.iter() {
                    index.apply(&record);
                    *next = Some(record.offset() + 1);
                }
            }
            if batch.is_empty() {
                // The tail may be markers, which are no records.
                *next = reader.position(&self.topic, PARTITION)?.max(*next);
            }
            self.shared.next.store(next.unwrap_or(from), Ordering::Release);
            if next.unwrap_or(from) >= end {
                self.shared.is_complete.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Whether everything that was there at the start has been read. Before that nothing is known about a letter.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.shared.is_complete.load(Ordering::Acquire)
    }

    /// A letter by its id.
    #[must_use]
    pub fn letter(&self, id: &LetterId) -> Option<Letter> {
        self.shared.index.lock().letter(id)
    }

    /// The newest word about a letter that was driven again or dismissed.
    #[must_use]
    pub fn word(&self, id: &LetterId) -> Option<Word> {
        self.letter(id)?.word
    }

    /// Waits until the record at `offset` has been read; `false`: it was not within `patience`.
    pub async fn reached(&self, offset: i64, patience: Duration) -> bool {
        let has_read = async {
            while self.shared.next.load(Ordering::Acquire) <= offset {
                tokio::time::sleep(REACHED_EVERY).await;
            }
        };
        tokio::time::timeout(patience, has_read).await.is_ok()
    }

    /// Open letters, oldest first, and how many there are.
    #[must_use]
    pub fn open(&self, selection: &Selection) -> (Vec<Letter>, usize) {
        self.shared.index.lock().open(selection)
    }

    /// How many letters are open for each reason, and since when.
    #[must_use]
    pub fn open_by_reason(&self) -> Vec<(Reason, Open)> {
        self.shared.index.lock().open_by_reason()
    }

    /// The records at these offsets, in the order of the offsets; one that is gone is left out. Blocks.
    ///
    /// # Errors
    /// When the broker does not give them within `patience`.
    pub fn fetch(&self, offsets: &[i64], patience: Duration) -> Result<Vec<Whole>, KafkaError> {
        fetch::fetch(&self.clients, &self.topic, offsets, Instant::now() + patience)
    }
}
