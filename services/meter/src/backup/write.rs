//! Writing a backup's records into topics, exactly once.
//!
//! How many of the stream's records were written is committed as an offset in the transaction that writes them. Whoever
//! goes on after an interruption skips that many: nothing is missing, nothing is doubled.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord},
};
use tollbooth_chassis::{
    crashpoint,
    kafka::{KafkaClients, LogContext, ReaderTuning, batch::BatchReader, txn},
};
use tollbooth_schemas::topics::TopicSet;

use super::segment::Stored;
use crate::generation::Mark;

/// Group in whose name the progress stands; it has no members.
const GROUP: &str = "tollbooth-restore";
const DONE: &str = "done:";
const BROKER_WAIT: Duration = Duration::from_secs(30);
const FENCE_WAIT: Duration = Duration::from_secs(60);
const RECORDS_MAX: u64 = 20_000;
const BYTES_MAX: usize = 16 << 20;

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was written.
    New,
    /// So many records were.
    Written(u64),
    /// All of it was.
    Done,
}

/// A transactional producer of its own, and what it has written.
pub(super) struct Writer<'a> {
    producer: BaseProducer<LogContext>,
    restore: BatchReader,
    meter: BatchReader,
    topics: &'a TopicSet,
    id: String,
    /// Of the stream, in transactions that are committed.
    committed: u64,
    open: Option<(u64, usize)>,
}

impl<'a> Writer<'a> {
    /// Fences an earlier one. Progress that is read afterwards is final.
    pub(super) fn new(clients: &KafkaClients, group: &str, topics: &'a TopicSet, id: &str) -> anyhow::Result<Self> {
        let config = clients.transactional_producer(&format!("{}-restore", topics.ledger()));
        let producer = BaseProducer::from_config_and_context(&config, LogContext)?;
        txn::init(&producer, FENCE_WAIT)?;
        let reader = |group: &str| BatchReader::new(&clients.reader(group, ReaderTuning::default()));
        let id = format!("{id}/{}", topics.partitions);
        Ok(Self { producer, restore: reader(GROUP)?, meter: reader(group)?, topics, id, committed: 0, open: None })
    }

    /// What an earlier run has written of this very stream.
    pub(super) fn progress(&mut self) -> anyhow::Result<Progress> {
        let ledger = self.topics.ledger();
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&ledger, 0);
        let answer = self.restore.committed(asked, BROKER_WAIT)?;
        let Some(element) = answer.find_partition(&ledger, 0) else { return Ok(Progress::New) };
        let Offset::Offset(written) = element.offset() else { return Ok(Progress::New) };
        let (is_done, id) = match element.metadata().strip_prefix(DONE) {
            Some(id) => (true, id),
            None => (false, element.metadata()),
        };
        ensure!(id == self.id, "these topics hold the backup {id} (id and partitions), not {}", self.id);
        self.committed = u64::try_from(written)?;
        Ok(if is_done { Progress::Done } else { Progress::Written(self.committed) })
    }

    /// Keeps meters from starting until [`finish`](Self::finish).
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        let mark = Mark::Restoring(self.id.clone());
        self.commit_with(Some(&mark), "")
    }

    /// The next record of the stream, to a partition.
    pub(super) fn write(&mut self, topic: &str, partition: i32, stored: &Stored) -> anyhow::Result<()> {
        if self.open.is_none() {
            txn::begin(&self.producer)?;
            self.open = Some((0, 0));
        }
        self.send(topic, partition, stored)?;
        let size = stored.payload.as_ref().map_or(0, Vec::len) + stored.key.as_ref().map_or(0, Vec::len);
        let (records, bytes) = self.open.map_or((1, size), |(records, bytes)| (records + 1, bytes + size));
        self.open = Some((records, bytes));
        if records >= RECORDS_MAX || bytes >= BYTES_MAX { self.commit() } else { Ok(()) }
    }

    /// Commits what is left, and lets meters of this input generation start.
    pub(super) fn finish(&mut self, generation: u32) -> anyhow::Result<u64> {
        self.commit()?;
        self.commit_with(Some(&Mark::Generation(generation)), DONE)?;
        Ok(self.committed)
    }

    fn send(&self, topic: &str, partition: i32, stored: &Stored) -> anyhow::Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
        record.key = stored.key.as_deref();
        record.payload = stored.payload.as_deref();
        record.timestamp = stored.timestamp_ms;
        if !stored.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(stored.headers.len());
            for header in &stored.headers {
                headers = headers.insert(Header { key: &header.name, value: header.value.as_deref() });
            }
            record = record.headers(headers);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    txn::serve_reports(&self.producer);
                    record = back;
                }
                Err((error, _)) => bail!(txn::classify_send(&self.producer, &error)),
            }
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        if self.open.is_some() { self.commit_with(None, "") } else { Ok(()) }
    }

    fn commit_with(&mut self, mark: Option<&Mark>, state: &str) -> anyhow::Result<()> {
        let records = match self.open.take() {
            Some((records, _)) => records,
            None => {
                txn::begin(&self.producer)?;
                0
            }
        };
        let written = self.committed + records;
        crashpoint::hit("restore.in_transaction");
        let mut progress = TopicPartitionList::new();
        let mut element = progress.add_partition(&self.topics.ledger(), 0);
        element.set_offset(Offset::Offset(i64::try_from(written)?))?;
        element.set_metadata(format!("{state}{}", self.id));
        send_offsets(&self.producer, &progress, &self.restore)?;
        if let Some(mark) = mark {
            let mut marks = TopicPartitionList::new();
            for topic in [self.topics.usage(), self.topics.commands()] {
                for partition in 0..self.topics.partitions {
                    let mut element = marks.add_partition(&topic, partition);
                    element.set_offset(Offset::Offset(0))?;
                    element.set_metadata(mark.text());
                }
            }
            send_offsets(&self.producer, &marks, &self.meter)?;
        }
        txn::commit(&self.producer).context("the transaction did not end; run the restore again, it goes on")?;
        self.committed = written;
        Ok(())
    }
}

fn send_offsets(
    producer: &BaseProducer<LogContext>,
    offsets: &TopicPartitionList,
    group: &BatchReader,
) -> anyhow::Result<()> {
    let group = group.group_metadata().context("the reader has no group")?;
    Ok(txn::send_offsets(producer, offsets, &group)?)
}
