//! Reading many records with one call into librdkafka.
//!
//! The binding's `poll` costs an event, an `Arc` and a trip through the queue's lock for each record.
//! `rd_kafka_consume_batch_queue` takes what lies in the queue at once and hands out plain message pointers. That call
//! sits below the safe API, so this is the crate's one module of `unsafe` code, and it owns its consumer for a reason:
//!
//! - The call *serves* what else comes through the queue. A rebalance or a commit's outcome would be swallowed, or end in
//!   an assertion inside librdkafka. So there is no `subscribe` and no `commit` here: partitions come by
//!   [`assign`](BatchReader::assign), offsets leave through a producer's transaction.
//! - It counts the offset in a "partition end" event as consumed, which puts `position` one past the end. So those events
//!   are off, and the end is known by comparing [`position`](BatchReader::position) with the high watermark.
//! - Log lines, client errors and statistics have no event here. They are led into a queue of their own and from there to
//!   `tracing` and to the metrics.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings as ffi;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::clients::{LogContext, log_error, log_line};
use super::failover::ends;
use super::statistics::Watch;

/// Records taken between two looks at the byte limit.
const CHUNK_RECORDS: usize = 256;
/// Log lines and statistics passed on per read, so that a storm of them does not hold up the data.
const ASIDES_MAX: usize = 32;

/// Bounds of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimit {
    /// Most records.
    pub records: usize,
    /// Bytes of keys and payloads after which no more records are taken; overshoots by at most 256 records.
    pub bytes: usize,
}

/// What a record's timestamp means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampKind {
    /// Set by the producer.
    CreateTime,
    /// Set by the broker on append.
    LogAppendTime,
}

/// A record's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordTimestamp {
    /// Milliseconds since the epoch.
    pub millis: i64,
    /// Whose clock.
    pub kind: TimestampKind,
}

/// The consumer with its two queues.
struct Inner {
    consumer_queue: NonNull<ffi::rd_kafka_queue_t>,
    log_queue: NonNull<ffi::rd_kafka_queue_t>,
    /// Whether the client's main queue is led there, too.
    is_watched: bool,
    watch: Watch,
    consumer: BaseConsumer<LogContext>,
}

// SAFETY: librdkafka's client and queue handles may be used from any thread; the pointers are only freed in `drop`, which
// runs once, after the last `Arc`.
unsafe impl Send for Inner {}
// SAFETY: as above; all calls through a shared `Inner` are thread-safe in librdkafka.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: both queues are live references made in `BatchReader::new`, given back here exactly once and before the
        // client, which is the field dropped after this. Log lines go back to the main queue first, and that one to the
        // consumer's, so that nothing is led into a destroyed one while the client closes.
        unsafe {
            let client = self.consumer.client().native_ptr();
            ffi::rd_kafka_set_log_queue(client, std::ptr::null_mut());
            if self.is_watched {
                ffi::rd_kafka_poll_set_consumer(client);
            }
            ffi::rd_kafka_queue_destroy(self.log_queue.as_ptr());
            ffi::rd_kafka_queue_destroy(self.consumer_queue.as_ptr());
        }
    }
}

/// An assign-only consumer that reads in batches. One thread reads; batches may travel.
pub struct BatchReader {
    inner: Arc<Inner>,
    config: ClientConfig,
    /// Where each assigned partition was told to begin: the position until a first record arrives.
    starts: Vec<(String, i32, i64)>,
    /// An error that arrived behind good records; returned by the next read.
    pending: Option<KafkaError>,
}

impl std::fmt::Debug for BatchReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReader").field("starts", &self.starts).finish_non_exhaustive()
    }
}

impl BatchReader {
    /// A reader from the configuration of [`super::KafkaClients::reader`]. SASL/OAUTHBEARER with token call-backs is not
    /// supported: its refresh is an event, too.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let mut config = config.clone();
        config.set("statistics.interval.ms", "0");
        Self::build(config, None)
    }

    /// As [`new`](Self::new), and its statistics go to `watch`: see [`super::KafkaClients::watch`].
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn watched(config: ClientConfig, watch: Watch) -> Result<Self, KafkaError> {
        Self::build(config, Some(watch))
    }

    fn build(mut config: ClientConfig, watch: Option<Watch>) -> Result<Self, KafkaError> {
        config.set("enable.partition.eof", "false");
        let consumer = BaseConsumer::from_config_and_context(&config, LogContext)?;
        let client = consumer.client().native_ptr();
        // SAFETY: `client` is the live consumer above. Both calls return a new reference to a queue, or null for a client
        // without a group; the references are given back in `Inner::drop`.
        let queues = unsafe {
            let consumer_queue = NonNull::new(ffi::rd_kafka_queue_get_consumer(client))
                .ok_or_else(|| KafkaError::ClientCreation("a reader needs a group.id".to_owned()))?;
            (consumer_queue, NonNull::new(ffi::rd_kafka_queue_new(client)))
        };
        let (consumer_queue, Some(log_queue)) = queues else {
            return Err(KafkaError::ClientCreation("no log queue".to_owned()));
        };
        // SAFETY: both are live; librdkafka takes a reference of its own to the queue.
        unsafe { ffi::rd_kafka_set_log_queue(client, log_queue.as_ptr()) };
        let is_watched = watch.is_some();
        if is_watched {
            // Statistics and client-wide errors come through the main queue, which the binding led into the consumer's.
            // SAFETY: all three are live. `get_main` gives a reference that is given back here; librdkafka takes one of its
            // own to the queue that is led to.
            unsafe {
                let main = ffi::rd_kafka_queue_get_main(client);
                ffi::rd_kafka_queue_forward(main, log_queue.as_ptr());
                ffi::rd_kafka_queue_destroy(main);
            }
        }
        let watch = watch.unwrap_or_default();
        let inner = Arc::new(Inner { consumer_queue, log_queue, is_watched, watch, consumer });
        Ok(Self { inner, config, starts: Vec::new(), pending: None })
    }

    /// Replaces the assignment. Every partition carries the offset to begin at.
    ///
    /// # Errors
    /// When librdkafka refuses the list.
    pub fn assign(&mut self, partitions: &TopicPartitionList) -> Result<(), KafkaError> {
        self.inner.consumer.assign(partitions)?;
        self.pending = None;
        self.starts.clear();
        // The binding's `elements` panics on a list without capacity.
        if partitions.count() > 0 {
            for element in partitions.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    self.starts.push((element.topic().to_owned(), element.partition(), offset));
                }
            }
        }
        Ok(())
    }

    /// The next offset to be read of a partition, markers and aborted records at its tail included. `None` before the
    /// first record when the partition was not assigned at a number.
    ///
    /// # Errors
    /// When librdkafka does not know the partition.
    pub fn position(&self, topic: &str, partition: i32) -> Result<Option<i64>, KafkaError> {
        let positions = self.inner.consumer.position()?;
        let known = positions.find_partition(topic, partition).map(|element| element.offset());
        if let Some(Offset::Offset(offset)) = known {
            return Ok(Some(offset));
        }
        let start = self.starts.iter().find(|(name, number, _)| name == topic && *number == partition);
        Ok(start.map(|(_, _, offset)| *offset))
    }

    /// Low and high watermark, asked from the broker. Under read committed "high" is the last stable offset. Once the
    /// reader is assigned the answer waits behind its fetches: ask [`super::Watermarks`] then.
    ///
    /// # Errors
    /// When the broker does not answer within `timeout`.
    pub fn watermarks(&self, topic: &str, partition: i32, timeout: Duration) -> Result<(i64, i64), KafkaError> {
        ends(&self.inner.consumer, topic, partition, timeout)
    }

    /// Offsets (and their metadata) that the reader's group has committed for these partitions.
    ///
    /// A committed reader waits here until no transaction with offsets of the group is open, which is right: the offset
    /// may be about to move. But a commit that a broker's crash left hanging in the group was seen to hold up that wait
    /// for good; after a part of `timeout` the question is asked without it. Whoever has fenced the other writers knows
    /// that nothing open is theirs, and the answer is at worst an older offset.
    ///
    /// # Errors
    /// When the coordinator does not answer within `timeout`.
    pub fn committed(&self, of: TopicPartitionList, timeout: Duration) -> Result<TopicPartitionList, KafkaError> {
        let settled = self.inner.consumer.committed_offsets(of.clone(), timeout / 3);
        match settled {
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)) => {
                tracing::warn!("a transaction's offsets are pending in the group: asked past them");
                self.unbound()?.committed_offsets(of, timeout)
            }
            other => other,
        }
    }

    /// A client for questions that open transactions shall not hold up.
    fn unbound(&self) -> Result<BaseConsumer<LogContext>, KafkaError> {
        let mut config = self.config.clone();
        config.set("isolation.level", "read_uncommitted").set("statistics.interval.ms", "0");
        BaseConsumer::from_config_and_context(&config, LogContext)
    }

    /// The group's metadata for `send_offsets`. A reader is no member, so this fences nobody: the transactional id does.
    #[must_use]
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.inner.consumer.group_metadata()
    }

    /// Waits up to `wait` for a first record, then takes what is there, within `limit`. Empty after `wait`.
    ///
    /// # Errors
    /// A consumer error, such as an offset out of range. Records that arrived before it are returned first.
    pub fn read(&mut self, limit: BatchLimit, wait: Duration) -> Result<Batch, KafkaError> {
        self.pass_on_asides();
        let mut batch = self.start_batch()?;
        self.take(&mut batch, 1.min(limit.records), wait);
        if !batch.is_empty() {
            self.top_up(&mut batch, limit, Duration::ZERO);
        }
        self.finish(batch)
    }

    /// Waits up to `wait` for as many records as `limit` allows: company for a batch that may be late by `wait`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn fill(&mut self, limit: BatchLimit, wait: Duration) -> Result<Batch, KafkaError> {
        self.pass_on_asides();
        let mut batch = self.start_batch()?;
        self.top_up(&mut batch, limit, wait);
        self.finish(batch)
    }

    /// Passes on log lines and statistics, which a read does by itself: for whoever does not read for a while, since they wait
    /// in memory without a bound.
    pub fn attend(&self) {
        self.pass_on_asides();
    }

    fn start_batch(&mut self) -> Result<Batch, KafkaError> {
        match self.pending.take() {
            Some(error) => Err(error),
            None => Ok(Batch { messages: Vec::new(), bytes: 0, inner: Arc::clone(&self.inner) }),
        }
    }

    fn finish(&mut self, batch: Batch) -> Result<Batch, KafkaError> {
        if batch.is_empty() { self.pending.take().map_or(Ok(batch), Err) } else { Ok(batch) }
    }

    fn top_up(&mut self, batch: &mut Batch, limit: BatchLimit, wait: Duration) {
        let deadline = Instant::now() + wait;
        while self.pending.is_none() && batch.len() < limit.records && batch.bytes < limit.bytes {
            let wanted = CHUNK_RECORDS.min(limit.records - batch.len());
            let before = batch.len();
            self.take(batch, wanted, deadline.saturating_duration_since(Instant::now()));
            if batch.len() - before < wanted {
                // Fewer than asked for: the queue is empty and the time is up.
                break;
            }
        }
    }

    /// Takes up to `wanted` messages; returns early only with fewer than `wanted` at the end of `wait`.
    fn take(&mut self, batch: &mut Batch, wanted: usize, wait: Duration) {
        batch.messages.reserve(wanted);
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        let first = batch.messages.len();
        // SAFETY: the queue is live (`inner`). The vector has room for `wanted` pointers behind its length, and librdkafka
        // writes at most that many, each a valid message that now belongs to us. A `NonNull<T>` has the layout of `*mut T`.
        // `set_len` covers exactly what was written; a negative count (an error) covers nothing.
        unsafe {
            let room = batch.messages.as_mut_ptr().add(first).cast::<*mut ffi::rd_kafka_message_t>();
            let taken = ffi::rd_kafka_consume_batch_queue(self.inner.consumer_queue.as_ptr(), wait_ms, room, wanted);
            batch.messages.set_len(first + usize::try_from(taken).unwrap_or(0).min(wanted));
        }
        self.sort_out_errors(batch, first);
    }

    /// Takes error messages out of what was read from `first` on, keeps the first error, adds up the bytes of the rest.
    fn sort_out_errors(&mut self, batch: &mut Batch, first: usize) {
        let Batch { messages, bytes, .. } = batch;
        let mut index = first;
        while let Some(message) = messages.get(index).copied() {
            // SAFETY: a message that librdkafka gave us and that is not destroyed yet.
            let (code, size) =
                unsafe { ((*message.as_ptr()).err, (*message.as_ptr()).len + (*message.as_ptr()).key_len) };
            if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                *bytes += size;
                index += 1;
                continue;
            }
            messages.remove(index);
            let error = consumer_error(message);
            // SAFETY: the message is ours, is no longer in the list, and is not used after this.
            unsafe { ffi::rd_kafka_message_destroy(message.as_ptr()) };
            self.pending.get_or_insert(error);
        }
    }

    /// Log lines to the log, statistics to whom they are for.
    fn pass_on_asides(&self) {
        for _ in 0..ASIDES_MAX {
            // SAFETY: the queue is live. A non-null event is ours; the strings it lends live until it is destroyed, which
            // is after their last use.
            unsafe {
                let event = ffi::rd_kafka_queue_poll(self.inner.log_queue.as_ptr(), 0);
                if event.is_null() {
                    return;
                }
                let lossy = |text: *const std::ffi::c_char| {
                    if text.is_null() { "".into() } else { CStr::from_ptr(text).to_string_lossy() }
                };
                match ffi::rd_kafka_event_type(event) {
                    ffi::RD_KAFKA_EVENT_LOG => {
                        let (mut facility, mut text, mut level) = (std::ptr::null(), std::ptr::null(), 0);
                        if ffi::rd_kafka_event_log(event, &raw mut facility, &raw mut text, &raw mut level) == 0 {
                            log_line(log_level(level), lossy(facility).trim(), lossy(text).trim());
                        }
                    }
                    ffi::RD_KAFKA_EVENT_STATS => {
                        let document = ffi::rd_kafka_event_stats(event);
                        if !document.is_null() {
                            self.inner.watch.take(CStr::from_ptr(document).to_bytes());
                        }
                    }
                    ffi::RD_KAFKA_EVENT_ERROR => {
                        let error = KafkaError::Global(ffi::rd_kafka_event_error(event).into());
                        log_error(&error, &lossy(ffi::rd_kafka_event_error_string(event)));
                    }
                    _ => {}
                }
                ffi::rd_kafka_event_destroy(event);
            }
        }
    }
}

/// Syslog severities, as librdkafka counts them.
fn log_level(level: i32) -> RDKafkaLogLevel {
    match level {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        7.. => RDKafkaLogLevel::Debug,
    }
}

/// Names the error of an error message and logs the text that it carries.
fn consumer_error(message: NonNull<ffi::rd_kafka_message_t>) -> KafkaError {
    // SAFETY: a live message with `err` set; its payload is then a text of `len` bytes, or null.
    let (code, text) = unsafe {
        let raw = message.as_ref();
        let text = bytes_of(raw.payload, raw.len).map(|text| String::from_utf8_lossy(text).into_owned());
        (raw.err, text.unwrap_or_default())
    };
    let code = RDKafkaErrorCode::from(code);
    tracing::warn!(target: "librdkafka", %code, "{text}");
    if code == RDKafkaErrorCode::Fatal {
        KafkaError::MessageConsumptionFatal(code)
    } else {
        KafkaError::MessageConsumption(code)
    }
}

/// # Safety
/// `data` is null or points to `len` bytes that live and do not change for `'a`.
unsafe fn bytes_of<'a>(data: *const std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; a non-null pointer of librdkafka is valid for an empty slice, too.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// Records of one read, in order per partition. The memory is librdkafka's and is given back on drop; the reader may
/// read on, or be dropped, meanwhile.
pub struct Batch {
    messages: Vec<NonNull<ffi::rd_kafka_message_t>>,
    bytes: usize,
    // Behind the messages on purpose: a client may only be destroyed after all of its messages.
    inner: Arc<Inner>,
}

// SAFETY: a message is plain memory plus atomic reference counts; librdkafka allows to read and destroy it on any thread.
// It is not `Sync`: the first look at its headers writes.
unsafe impl Send for Batch {}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("records", &self.messages.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        debug_assert!(Arc::strong_count(&self.inner) > 0);
        for message in self.messages.drain(..) {
            // SAFETY: each message is ours, destroyed once, and the client is still alive through `inner`.
            unsafe { ffi::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

impl Batch {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of all keys and payloads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> + Clone {
        self.messages.iter().map(|message| Record { raw: *message, batch: PhantomData })
    }

    /// One record.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.messages.get(index).map(|message| Record { raw: *message, batch: PhantomData })
    }
}

/// A header's name and value.
pub type Header<'b> = (&'b str, Option<&'b [u8]>);

/// One record, borrowed from its batch.
#[derive(Clone, Copy)]
pub struct Record<'b> {
    raw: NonNull<ffi::rd_kafka_message_t>,
    batch: PhantomData<&'b Batch>,
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

impl<'b> Record<'b> {
    /// Topic name.
    #[must_use]
    pub fn topic(&self) -> &'b str {
        // SAFETY: the message lives for `'b` and holds a reference to its topic; the name is a C string that lives as long.
        let name = unsafe {
            let topic = (*self.raw.as_ptr()).rkt;
            if topic.is_null() { c"" } else { CStr::from_ptr(ffi::rd_kafka_topic_name(topic)) }
        };
        // Kafka's topic names are ASCII.
        name.to_str().unwrap_or_default()
    }

    /// Partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        // SAFETY: the message lives for `'b`.
        unsafe { (*self.raw.as_ptr()).partition }
    }

    /// Offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        // SAFETY: the message lives for `'b`.
        unsafe { (*self.raw.as_ptr()).offset }
    }

    /// Key; `None` for a record without one.
    #[must_use]
    pub fn key(&self) -> Option<&'b [u8]> {
        // SAFETY: the message lives for `'b` and nobody writes its key.
        unsafe { bytes_of((*self.raw.as_ptr()).key, (*self.raw.as_ptr()).key_len) }
    }

    /// Payload; `None` for a tombstone.
    #[must_use]
    pub fn payload(&self) -> Option<&'b [u8]> {
        // SAFETY: the message lives for `'b` and nobody writes its payload.
        unsafe { bytes_of((*self.raw.as_ptr()).payload, (*self.raw.as_ptr()).len) }
    }

    /// Timestamp, if the record has one.
    #[must_use]
    pub fn timestamp(&self) -> Option<RecordTimestamp> {
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives for `'b`; `kind` is a place for the answer.
        let millis = unsafe { ffi::rd_kafka_message_timestamp(self.raw.as_ptr(), &raw mut kind) };
        let kind = match kind {
            ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampKind::CreateTime,
            ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimestampKind::LogAppendTime,
            ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => return None,
        };
        Some(RecordTimestamp { millis, kind })
    }

    /// All headers, in order. A name that is not UTF-8 is left out.
    pub fn headers(&self) -> impl Iterator<Item = Header<'b>> + use<'b> {
        let mut list = std::ptr::null_mut();
        // SAFETY: the message lives for `'b`. The first call parses the headers into the message; `Batch` is not `Sync`
        // and `Record` is not `Send`, so no other thread does so now. The list belongs to the message.
        let code = unsafe { ffi::rd_kafka_message_headers(self.raw.as_ptr(), &raw mut list) };
        let has_headers = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && !list.is_null();
        (0..).map_while(move |index| has_headers.then(|| header_at(list, index)).flatten()).flatten()
    }

    /// The last header of that name, as Kafka's own `lastHeader`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.headers().filter(|(found, _)| *found == name).last().and_then(|(_, value)| value)
    }
}

/// The header at an index; the outer `None` is the end of the list.
#[allow(clippy::option_option)]
fn header_at<'b>(list: *const ffi::rd_kafka_headers_t, index: usize) -> Option<Option<Header<'b>>> {
    let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
    // SAFETY: only `Record::headers` calls this, with a list that belongs to a message alive for `'b`; an index beyond the
    // end is answered with an error. Name and value live as long as the list.
    unsafe {
        let code = ffi::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size);
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return None;
        }
        Some(CStr::from_ptr(name).to_str().ok().map(|name| (name, bytes_of(value, size))))
    }
}
