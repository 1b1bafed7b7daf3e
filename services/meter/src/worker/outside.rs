//! What a worker asks of the world, so that the same loop runs over Kafka and inside the simulation.
//!
//! The loop is `async` for one reason: each `.await` is an effect, a place where a process may die, stand still or be
//! overtaken. Over [Kafka](super::kafka) every one of them blocks and is ready at once, so that a worker stays a thread
//! that runs from top to bottom; the simulation interleaves the workers of several meters at these places, and drops one
//! where its process dies. What is not `async` here is local to the process.

use std::time::{Duration, Instant};

use rdkafka::{error::KafkaError, message::OwnedHeaders};
use tollbooth_chassis::kafka::{
    batch::{self, BatchLimit},
    txn::TxnError,
};
use tollbooth_ledger::PriceBooks;

use crate::{member::Epoch, price_books::NotPriced};

/// A record of an input, borrowed from its batch.
pub(crate) trait SourceRecord<'b>: Copy {
    /// Topic name.
    fn topic(self) -> &'b str;
    /// Partition.
    fn partition(self) -> i32;
    /// Offset.
    fn offset(self) -> i64;
    /// Key; `None` for a record without one.
    fn key(self) -> Option<&'b [u8]>;
    /// Payload; `None` for a tombstone.
    fn payload(self) -> Option<&'b [u8]>;
    /// When the broker appended it, in ms since the epoch.
    fn appended_ms(self) -> Option<i64>;
    /// All headers, in order.
    fn headers(self) -> impl Iterator<Item = batch::Header<'b>>;

    /// The last header of that name.
    fn header(self, name: &str) -> Option<&'b [u8]> {
        self.headers().filter(|(found, _)| *found == name).last().and_then(|(_, value)| value)
    }
}

/// Records of one read, in order; whoever holds them may read on meanwhile.
pub(crate) trait Batch {
    /// One of them.
    type Record<'b>: SourceRecord<'b>
    where
        Self: 'b;

    /// Number of records.
    fn len(&self) -> usize;
    /// One record.
    fn get(&self, index: usize) -> Option<Self::Record<'_>>;
    /// The records.
    fn iter(&self) -> impl Iterator<Item = Self::Record<'_>>;

    /// Whether nothing arrived.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads one partition, committed records only.
pub(crate) trait Reader {
    /// What a read gives.
    type Batch: Batch;

    /// Where to read on.
    fn assign(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), KafkaError>;
    /// Waits up to `wait` for a first record, then takes what is there.
    async fn read(&mut self, limit: BatchLimit, wait: Duration) -> Result<Self::Batch, KafkaError>;
    /// Waits up to `wait` for as many as the limit allows.
    async fn fill(&mut self, limit: BatchLimit, wait: Duration) -> Result<Self::Batch, KafkaError>;
    /// Looks after what waits beside records, where nothing is read for a while.
    fn attend(&self) {}
    /// The next offset to be read, markers included.
    fn position(&self, topic: &str, partition: i32) -> Result<Option<i64>, KafkaError>;
    /// The offset below which no transaction is open. Asked before the reader is assigned.
    async fn stable(&self, topic: &str, partition: i32, wait: Duration) -> Result<i64, KafkaError>;
    /// The group's next offset.
    async fn committed(&self, topic: &str, partition: i32, wait: Duration) -> Result<Option<i64>, KafkaError>;
}

/// Writes in transactions, under the id of one partition. Errors are told by their class.
pub(crate) trait Producer {
    /// Throws out every older producer of the id and ends its open transaction. `allowed` is asked before every try;
    /// `false` comes back where it said no.
    async fn fence(&self, limit: Duration, allowed: impl Fn() -> bool) -> Result<bool, TxnError>;
    /// Begins a transaction.
    fn begin(&self) -> Result<(), TxnError>;
    /// Queues a record of the open transaction.
    fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        payload: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> Result<(), TxnError>;
    /// The offset after the highest ledger record that was acknowledged.
    fn ledger_end(&self) -> Option<i64>;
    /// Whether there are records whose outcome was not looked at.
    fn has_unreported(&self) -> bool;
    /// Hears what the client has to say while nothing is written: log lines and statistics wait in its queue.
    fn attend(&self) {}
    /// Waits until every record was acknowledged or has failed.
    async fn drain(&self);
    /// Drains, and commits.
    async fn commit(&self) -> Result<(), TxnError>;
    /// Takes back what was queued and ends the transaction.
    async fn abort(&self) -> Result<(), TxnError>;
}

/// What somebody reads, and how much of it he may fetch ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Usage; or the ledger before it, whose share is then free.
    Usage,
    /// Commands.
    Commands,
}

/// The world: the log, the group, the clocks, the prices.
pub(crate) trait Outside {
    /// Reads its partitions.
    type Reader: Reader;
    /// Writes to them.
    type Producer: Producer;

    /// The wall clock, as milliseconds since the epoch. It may jump.
    fn now_ms(&self) -> i64;
    /// The clock that does not.
    fn instant(&self) -> Instant;
    /// Lets time pass.
    async fn pause(&self, wait: Duration);

    /// Whether the partition is still this assignment's, as far as this process has heard.
    fn owns(&self, partition: i32, epoch: Epoch) -> bool;
    /// Waits until it is not.
    async fn until_withdrawn(&self, partition: i32, epoch: Epoch);
    /// A partition was lost to a fence: the group is asked again who owns what.
    fn ask_group(&self);
    /// Something that nobody understands happened: the process is to leave.
    fn end_process(&self, why: String);

    /// A reader that is not assigned yet.
    fn reader(&self, reads: Reads) -> Result<Self::Reader, KafkaError>;
    /// A producer of a partition, which has fenced nobody yet.
    fn producer(&self, partition: i32) -> Result<Self::Producer, KafkaError>;
    /// Adds the group's next offsets to the open transaction, as the member that this process is right now.
    async fn send_offsets(
        &self,
        producer: &Self::Producer,
        partition: i32,
        next: &[(String, i64)],
    ) -> Result<(), TxnError>;
    /// The first offset of a partition, and the one after its newest record or marker, open transactions included.
    async fn ends(&self, topic: &str, partition: i32, wait: Duration) -> Result<(i64, i64), KafkaError>;

    /// The prices that are known.
    fn books(&self) -> PriceBooks;
    /// Whether usage may be priced by them.
    fn ensure_books_usable(&self) -> Result<(), NotPriced>;
    /// Waits until every price book was read that was published before.
    async fn books_to_end(&self, deadline: Instant) -> Result<(), NotPriced>;
}

/// What a world's readers give.
pub(crate) type BatchOf<O> = <<O as Outside>::Reader as Reader>::Batch;
