//! The world as it is: Kafka, the group's member, the clocks of the machine. Every effect blocks its thread.

use std::{
    pin::pin,
    task::{Context as TaskContext, Poll, Waker},
    time::{Duration, Instant},
};

use prometheus::IntCounter;
use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};
use tollbooth_chassis::kafka::{
    ClientKind, KafkaClients, ReaderTuning, Watermarks,
    batch::{self, BatchLimit, BatchReader},
    txn::{self, TxnError},
};
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::topics::TopicSet;

use super::{
    outside::{Batch, Outside, Reader, Reads, SourceRecord},
    producer::KafkaProducer,
};
use crate::{
    config::QueueShares,
    generation::Mark,
    member::{Epoch, Member},
    price_books::{NotPriced, PriceBookView},
};

/// How long a broker may hold a fetch while there is nothing new. Nobody asks anything else over a reader's connections,
/// and a record that comes ends the wait.
const FETCH_WAIT_MS: u32 = 500;
/// Most bytes of one fetch.
const FETCH_KBYTES_MAX: u32 = 4 * 1024;

/// Runs a worker over this world on the calling thread. Its effects block and are ready then, so that one poll is all.
pub(super) fn run<T>(worker: impl Future<Output = T>) -> T {
    let mut worker = pin!(worker);
    loop {
        if let Poll::Ready(output) = worker.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// What all workers of a process share of the world.
#[derive(Debug)]
pub struct Kafka {
    /// Makes clients.
    pub clients: KafkaClients,
    /// Topic names.
    pub topics: TopicSet,
    /// Consumer group of the input offsets.
    pub group: String,
    /// What a partition may hold in queues.
    pub queues: QueueShares,
    /// Stands beside every offset that is committed.
    pub input_generation: u32,
    /// Where partitions begin and end; shared, because the workers' readers answer late.
    pub watermarks: Watermarks,
    /// Prices.
    pub books: PriceBookView,
    /// Who owns what.
    pub member: Member,
    /// Counts what was not acknowledged, by topic.
    pub produce_errors: Vec<(String, IntCounter)>,
}

impl Outside for Kafka {
    type Reader = BatchReader;
    type Producer = KafkaProducer;

    fn now_ms(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    async fn pause(&self, wait: Duration) {
        std::thread::park_timeout(wait);
    }

    fn owns(&self, partition: i32, epoch: Epoch) -> bool {
        self.member.slot(partition).is_some_and(|slot| slot.owned(epoch))
    }

    async fn until_withdrawn(&self, partition: i32, epoch: Epoch) {
        if let Some(slot) = self.member.slot(partition) {
            slot.wait_withdrawn(epoch);
        }
    }

    fn ask_group(&self) {
        self.member.request_rejoin();
    }

    fn end_process(&self, why: String) {
        self.member.request_end(why);
    }

    fn reader(&self, reads: Reads) -> Result<BatchReader, KafkaError> {
        let QueueShares { usage, usage_records, commands, commands_records, .. } = self.queues;
        let (queued_kbytes_max, queued_records_min, kind) = match reads {
            Reads::Usage => (usage, usage_records, ClientKind::UsageReader),
            Reads::Commands => (commands, commands_records, ClientKind::CommandsReader),
        };
        let tuning = ReaderTuning {
            partition_fetch_bytes_max: queued_kbytes_max.min(FETCH_KBYTES_MAX) * 1024,
            queued_kbytes_max,
            queued_records_min,
            fetch_wait_ms: FETCH_WAIT_MS,
            ..ReaderTuning::default()
        };
        let mut config = self.clients.reader(&self.group, tuning);
        let watch = self.clients.watch(kind, &mut config);
        BatchReader::watched(config, watch)
    }

    fn producer(&self, partition: i32) -> Result<KafkaProducer, KafkaError> {
        let (ledger, errors) = (self.topics.ledger(), self.produce_errors.clone());
        KafkaProducer::new(&self.clients, &ledger, partition, self.queues.produce, errors)
    }

    async fn send_offsets(
        &self,
        producer: &KafkaProducer,
        partition: i32,
        next: &[(String, i64)],
    ) -> Result<(), TxnError> {
        let mut offsets = TopicPartitionList::new();
        for (topic, next) in next {
            let mut element = offsets.add_partition(topic, partition);
            element.set_offset(Offset::Offset(*next)).map_err(|error| txn::classify(&error))?;
            element.set_metadata(Mark::Generation(self.input_generation).text());
        }
        let unknown = KafkaError::Global(RDKafkaErrorCode::UnknownMemberId);
        let group = self.member.group_metadata().ok_or(TxnError::GroupLost(unknown))?;
        txn::send_offsets(&producer.inner, &offsets, &group)
    }

    async fn ends(&self, topic: &str, partition: i32, wait: Duration) -> Result<(i64, i64), KafkaError> {
        self.watermarks.ask(topic, partition, wait)
    }

    fn books(&self) -> PriceBooks {
        self.books.snapshot()
    }

    fn ensure_books_usable(&self) -> Result<(), NotPriced> {
        self.books.ensure_usable()
    }

    async fn books_to_end(&self, deadline: Instant) -> Result<(), NotPriced> {
        self.books.wait_for_end(&self.watermarks, deadline)
    }
}

impl Reader for BatchReader {
    type Batch = batch::Batch;

    fn assign(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        Self::assign(self, &list)
    }

    async fn read(&mut self, limit: BatchLimit, wait: Duration) -> Result<batch::Batch, KafkaError> {
        Self::read(self, limit, wait)
    }

    async fn fill(&mut self, limit: BatchLimit, wait: Duration) -> Result<batch::Batch, KafkaError> {
        Self::fill(self, limit, wait)
    }

    fn attend(&self) {
        Self::attend(self);
    }

    fn position(&self, topic: &str, partition: i32) -> Result<Option<i64>, KafkaError> {
        Self::position(self, topic, partition)
    }

    async fn stable(&self, topic: &str, partition: i32, wait: Duration) -> Result<i64, KafkaError> {
        self.watermarks(topic, partition, wait).map(|(_, stable)| stable)
    }

    async fn committed(&self, topic: &str, partition: i32, wait: Duration) -> Result<Option<i64>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, partition);
        let committed = Self::committed(self, asked, wait)?;
        let Some(element) = committed.find_partition(topic, partition) else { return Ok(None) };
        element.error()?;
        Ok(match element.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        })
    }
}

impl Batch for batch::Batch {
    type Record<'b> = batch::Record<'b>;

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn get(&self, index: usize) -> Option<batch::Record<'_>> {
        Self::get(self, index)
    }

    fn iter(&self) -> impl Iterator<Item = batch::Record<'_>> {
        Self::iter(self)
    }
}

impl<'b> SourceRecord<'b> for batch::Record<'b> {
    fn topic(self) -> &'b str {
        Self::topic(&self)
    }

    fn partition(self) -> i32 {
        Self::partition(&self)
    }

    fn offset(self) -> i64 {
        Self::offset(&self)
    }

    fn key(self) -> Option<&'b [u8]> {
        Self::key(&self)
    }

    fn payload(self) -> Option<&'b [u8]> {
        Self::payload(&self)
    }

    fn appended_ms(self) -> Option<i64> {
        self.timestamp().map(|timestamp| timestamp.millis)
    }

    fn headers(self) -> impl Iterator<Item = batch::Header<'b>> {
        Self::headers(&self)
    }
}
