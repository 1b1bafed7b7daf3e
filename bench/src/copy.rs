//! The bare loop that debits are compared with: read, write something smaller, commit; nothing else.

use std::time::{Duration, Instant};

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

/// Copies what lies in one partition of `usage`, 20,000 records a transaction, one 100-byte record out for each in.
/// Gives back records and seconds.
pub(crate) fn run(space: &Space<'_>, partition: i32, records_max: usize) -> anyhow::Result<(usize, f64)> {
    let topic = space.topics.usage();
    let out = space.topics.outbox();
    let mut reader = BatchReader::new(&space.clients.reader("bench-copy", ReaderTuning::default()))?;
    let mut begin = TopicPartitionList::new();
    begin.add_partition_offset(&topic, partition, Offset::Offset(0))?;
    let (_, end) = reader.watermarks(&topic, partition, Duration::from_secs(10))?;
    let producer: BaseProducer<LogContext> =
        BaseProducer::from_config_and_context(&space.clients.transactional_producer("bench-copy"), LogContext)?;
    txn::init(&producer, Duration::from_secs(30))?;
    reader.assign(&begin)?;
    let (mut copied, mut next) = (0, 0);
    let started = Instant::now();
    while next < end && copied < records_max {
        let batch = reader.fill(BATCH, Duration::from_millis(50))?;
        let Some(last) = batch.len().checked_sub(1).and_then(|index| batch.get(index)) else { continue };
        next = last.offset() + 1;
        txn::begin(&producer)?;
        for record in batch.iter() {
            let key = record.key().unwrap_or_default();
            let record = BaseRecord::<[u8], [u8]>::to(&out).partition(partition).key(key).payload(&PAYLOAD);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&topic, partition, Offset::Offset(next))?;
        let group = reader.group_metadata().ok_or_else(|| anyhow::anyhow!("no group"))?;
        txn::send_offsets(&producer, &offsets, &group)?;
        txn::commit(&producer)?;
        copied += batch.len();
    }
    Ok((copied, started.elapsed().as_secs_f64()))
}
