//! The bare loop that debits are compared with: read, write something smaller, commit; nothing else.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    producer::{BaseProducer, BaseRecord},
};
use tollbooth_chassis::kafka::{
    LogContext, ReaderTuning,
    batch::{BatchLimit, BatchReader},
    txn,
};

use crate::stack::Space;

const BATCH: BatchLimit = BatchLimit { records: 20_000, bytes: 16 * 1024 * 1024 };
const PAYLOAD: [u8; 100] = [7; 100];
/// How long the watermarks of a partition are asked for.
const ASK: Duration = Duration::from_secs(10);

/// Copies what lies in these partitions of `usage`, 20,000 records a transaction, one 100-byte record out for each in. They
/// are divided among `loops`, a thread with a reader and a producer each. Gives back records and seconds.
pub(crate) fn run(space: &Space<'_>, partitions: &[i32], loops: usize) -> anyhow::Result<(usize, f64)> {
    let ready = Barrier::new(loops);
    let outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..loops)
            .map(|number| {
                let own: Vec<i32> = partitions.iter().copied().skip(number).step_by(loops).collect();
                let ready = &ready;
                scope.spawn(move || copy(space, &own, &format!("bench-copy-{loops}-{number}"), ready))
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<Copied>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a copying thread panicked"))?
        };
        threads.into_iter().map(join).collect::<anyhow::Result<Vec<Copied>>>()
    })?;
    let records = outcomes.iter().map(|copied| copied.records).sum();
    let begun = outcomes.iter().map(|copied| copied.begun).min();
    let ended = outcomes.iter().map(|copied| copied.ended).max();
    let seconds = begun.zip(ended).map_or(0.0, |(begun, ended)| ended.duration_since(begun).as_secs_f64());
    Ok((records, seconds))
}

/// What one loop did.
struct Copied {
    records: usize,
    begun: Instant,
    ended: Instant,
}

fn copy(space: &Space<'_>, partitions: &[i32], name: &str, ready: &Barrier) -> anyhow::Result<Copied> {
    let prepared = Loop::prepare(space, partitions, name);
    // Also where it failed, or the others would wait for ever.
    ready.wait();
    prepared?.run(space)
}

struct Loop {
    reader: BatchReader,
    producer: BaseProducer<LogContext>,
    begin: TopicPartitionList,
    /// Of each partition: the next offset and the end.
    positions: Vec<(i32, i64, i64)>,
}

impl Loop {
    fn prepare(space: &Space<'_>, partitions: &[i32], name: &str) -> anyhow::Result<Self> {
        let topic = space.topics.usage();
        let reader = BatchReader::new(&space.clients.reader(name, ReaderTuning::default()))?;
        let (mut begin, mut positions) = (TopicPartitionList::new(), Vec::new());
        for partition in partitions {
            begin.add_partition_offset(&topic, *partition, Offset::Offset(0))?;
            let (_, end) = reader.watermarks(&topic, *partition, ASK)?;
            positions.push((*partition, 0, end));
        }
        let producer = BaseProducer::from_config_and_context(&space.clients.transactional_producer(name), LogContext)?;
        txn::init(&producer, Duration::from_secs(30))?;
        Ok(Self { reader, producer, begin, positions })
    }

    fn run(mut self, space: &Space<'_>) -> anyhow::Result<Copied> {
        let (topic, out) = (space.topics.usage(), space.topics.outbox());
        self.reader.assign(&self.begin)?;
        let begun = Instant::now();
        let mut records = 0;
        while self.positions.iter().any(|(_, next, end)| next < end) {
            let batch = self.reader.fill(BATCH, Duration::from_millis(50))?;
            if batch.is_empty() {
                continue;
            }
            txn::begin(&self.producer)?;
            for record in batch.iter() {
                let (partition, key) = (record.partition(), record.key().unwrap_or_default());
                let copied = BaseRecord::<[u8], [u8]>::to(&out).partition(partition).key(key).payload(&PAYLOAD);
                self.producer.send(copied).map_err(|(error, _)| error)?;
                if let Some((_, next, _)) = self.positions.iter_mut().find(|(known, ..)| *known == partition) {
                    *next = record.offset() + 1;
                }
            }
            let mut offsets = TopicPartitionList::new();
            for (partition, next, _) in &self.positions {
                offsets.add_partition_offset(&topic, *partition, Offset::Offset(*next))?;
            }
            let group = self.reader.group_metadata().ok_or_else(|| anyhow::anyhow!("no group"))?;
            txn::send_offsets(&self.producer, &offsets, &group)?;
            txn::commit(&self.producer)?;
            records += batch.len();
        }
        Ok(Copied { records, begun, ended: Instant::now() })
    }
}
