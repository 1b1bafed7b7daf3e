//! What could not be charged, read from the end of the dead-letter topic.
//!
//! What became of letters that were driven again or dismissed stands behind them in the topic, and is known from an index
//! that is followed in memory. The letters themselves are no table: they are read backwards in windows of offsets, each from
//! its beginning to its end, until the page is full or so much has been looked at that the answer would take too long. A page
//! may therefore be short, or empty, and still have more behind it; its cursor says where the search goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Semaphore;
use tollbooth_chassis::dead_letters::{DeadLetters as Index, Whole, Word};
use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader, Record};
use tollbooth_chassis::kafka::{KafkaClients, ReaderTuning};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::dead_letter::{LetterId, Reason, header};

const PARTITION: i32 = 0;
/// Offsets of one window.
const WINDOW: i64 = 500;
/// Offsets that one page looks at.
const LOOKED_AT_MAX: i64 = 20_000;
/// Bytes of a payload that are shown.
pub const SHOWN_BYTES_MAX: usize = 16 * 1024;
/// Pages under way at once: each is a connection and up to 8 MiB.
const CONCURRENT_MAX: usize = 2;
const TURN_PATIENCE: Duration = Duration::from_secs(2);
const READ_PATIENCE: Duration = Duration::from_secs(5);
const READ_WAIT: Duration = Duration::from_millis(100);
const READ_LIMIT: BatchLimit = BatchLimit { records: 64, bytes: 4 * 1024 * 1024 };
const RETRY_AFTER_S: u32 = 2;

/// A record that could not be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it lies.
    pub offset: i64,
    /// Why, by code.
    pub reason: String,
    /// Where it was found.
    pub step: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// Topic of the record.
    pub source_topic: String,
    /// Partition of the record.
    pub source_partition: i64,
    /// Offset of the record.
    pub source_offset: i64,
    /// When it was put there, RFC 3339.
    pub dead_at: String,
    /// The record's key, as text.
    pub key: String,
    /// The record's bytes, up to [`SHOWN_BYTES_MAX`].
    pub payload: Vec<u8>,
    /// How many bytes the record has.
    pub payload_bytes: u64,
    /// What became of it when it was last driven again or dismissed.
    pub word: Option<Word>,
}

impl DeadLetter {
    /// Whether something is left to be done about it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.word.as_ref().is_none_or(|word| !word.outcome.is_final())
    }
}

/// Which letters a page shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// Put there for this reason.
    pub reason: Option<Reason>,
    /// Open ones, or the others.
    pub is_open: Option<bool>,
}

impl Shown {
    fn has(self, letter: &DeadLetter) -> bool {
        self.reason.is_none_or(|reason| letter.reason == reason.code())
            && self.is_open.is_none_or(|is_open| letter.is_open() == is_open)
    }
}

/// A page, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Rows.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins: below this offset. `None`: there is none.
    pub below: Option<i64>,
}

/// Reads the topic.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    clients: KafkaClients,
    topic: String,
    turns: Arc<Semaphore>,
    index: Index,
}

impl DeadLetters {
    /// Connects when it is asked; `index` follows the same topic.
    #[must_use]
    pub fn new(clients: KafkaClients, index: Index) -> Self {
        let topic = clients.section().topic("dead-letter");
        Self { clients, topic, turns: Arc::new(Semaphore::new(CONCURRENT_MAX)), index }
    }

    /// The newest letters below an offset, at most `limit`.
    ///
    /// # Errors
    /// 503 where the brokers do not answer, or too many ask.
    pub async fn page(&self, shown: Shown, below: Option<i64>, limit: usize) -> Result<Page, Problem> {
        self.in_turn(move |this| this.read(shown, below, limit)).await
    }

    /// One letter with all its bytes and headers; `None`: there is none, or no more.
    ///
    /// # Errors
    /// As of [`Self::page`].
    pub async fn letter(&self, id: LetterId) -> Result<Option<(DeadLetter, Whole)>, Problem> {
        self.in_turn(move |this| {
            this.wait_for_index()?;
            let Some(known) = this.index.letter(&id) else { return Ok(None) };
            let whole = this.index.fetch(&[known.offset], READ_PATIENCE)?.into_iter().next();
            Ok(whole.map(|whole| (letter_of_whole(&whole, known.word), whole)))
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, Problem> {
        let unavailable = |detail: &'static str| Problem::unavailable(RETRY_AFTER_S).with_detail(detail);
        let turn = tokio::time::timeout(TURN_PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(unavailable("too many ask for dead letters")) };
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let found = read(&this);
            drop(turn);
            found
        });
        read.await.map_err(Problem::internal)?.map_err(|error| {
            tracing::warn!(%error, "dead letters cannot be read");
            unavailable("dead letters cannot be read at the moment")
        })
    }

    /// Half read, the index would call letters open that are not.
    fn wait_for_index(&self) -> Result<(), KafkaError> {
        let deadline = Instant::now() + READ_PATIENCE;
        while !self.index.is_complete() {
            if Instant::now() > deadline {
                return Err(KafkaError::Global(rdkafka::error::RDKafkaErrorCode::OperationTimedOut));
            }
            std::thread::park_timeout(READ_WAIT);
        }
        Ok(())
    }

    fn read(&self, shown: Shown, below: Option<i64>, limit: usize) -> Result<Page, KafkaError> {
        self.wait_for_index()?;
        let tuning = ReaderTuning {
            partition_fetch_bytes_max: 1024 * 1024,
            queued_kbytes_max: 8 * 1024,
            ..ReaderTuning::default()
        };
        // The group exists in name only: nothing is committed.
        let mut reader = BatchReader::new(&self.clients.reader(&format!("{}-page", self.topic), tuning))?;
        let deadline = Instant::now() + READ_PATIENCE;
        let (low, end) = reader.watermarks(&self.topic, PARTITION, READ_PATIENCE)?;
        let mut upper = below.unwrap_or(end).min(end);
        let floor = low.max(upper.saturating_sub(LOOKED_AT_MAX));
        let mut page = Page::default();
        while upper > floor && page.letters.len() <= limit {
            let from = floor.max(upper - WINDOW);
            let mut window = self.window(&mut reader, from, upper, deadline)?;
            window.retain(|letter| shown.has(letter));
            page.letters.extend(window.into_iter().rev());
            upper = from;
        }
        page.below = (upper > low).then_some(upper);
        if page.letters.len() > limit {
            page.letters.truncate(limit);
            page.below = page.letters.last().map(|last| last.offset);
        }
        Ok(page)
    }

    /// All letters of `[from, to)`, oldest first.
    fn window(
        &self,
        reader: &mut BatchReader,
        from: i64,
        to: i64,
        deadline: Instant,
    ) -> Result<Vec<DeadLetter>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, PARTITION, Offset::Offset(from))?;
        reader.assign(&list)?;
        let mut letters = Vec::new();
        loop {
            let batch = reader.read(READ_LIMIT, READ_WAIT)?;
            let within = batch.iter().filter(|record| record.offset() < to);
            let within = within.filter(|record| record.header(header::OUTCOME).is_none());
            letters.extend(within.map(|record| self.with_outcome(letter_of(&record))));
            let is_past = batch.iter().last().is_some_and(|record| record.offset() + 1 >= to);
            if is_past || reader.position(&self.topic, PARTITION)?.is_some_and(|position| position >= to) {
                return Ok(letters);
            }
            if Instant::now() > deadline {
                return Err(KafkaError::Global(rdkafka::error::RDKafkaErrorCode::OperationTimedOut));
            }
        }
    }
    fn with_outcome(&self, mut letter: DeadLetter) -> DeadLetter {
        let partition = i32::try_from(letter.source_partition).unwrap_or(-1);
        let id = LetterId { topic: letter.source_topic.clone(), partition, offset: letter.source_offset };
        letter.word = self.index.word(&id);
        letter
    }
}

fn letter_of(record: &Record<'_>) -> DeadLetter {
    let text = |name: &str| String::from_utf8_lossy(record.header(name).unwrap_or_default()).into_owned();
    let payload = record.payload().unwrap_or_default();
    let shown = payload.get(..SHOWN_BYTES_MAX).unwrap_or(payload).to_vec();
    let key = record.key().unwrap_or_default();
    DeadLetter { payload: shown, ..read_letter(record.offset(), text, key, payload.len()) }
}

fn letter_of_whole(whole: &Whole, word: Option<Word>) -> DeadLetter {
    let text = |name: &str| whole.header(name).unwrap_or_default().to_owned();
    let letter = read_letter(whole.offset, text, &whole.key, whole.payload.len());
    DeadLetter { payload: whole.payload.clone(), word, ..letter }
}

fn read_letter(offset: i64, text: impl Fn(&str) -> String, key: &[u8], bytes: usize) -> DeadLetter {
    let number = |name| text(name).parse().unwrap_or(-1);
    DeadLetter {
        offset,
        reason: text(header::REASON),
        step: text(header::STEP),
        detail: text(header::DETAIL),
        source_topic: text(header::SOURCE_TOPIC),
        source_partition: number(header::SOURCE_PARTITION),
        source_offset: number(header::SOURCE_OFFSET),
        dead_at: text(header::DEAD_AT),
        key: String::from_utf8_lossy(key).into_owned(),
        payload: Vec::new(),
        payload_bytes: text(header::ORIGINAL_BYTES).parse().unwrap_or(u64::try_from(bytes).unwrap_or(u64::MAX)),
        word: None,
    }
}
