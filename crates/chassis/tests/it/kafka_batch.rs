//! Reading in batches: nothing lost, nothing doubled, nothing freed too early.

use std::ops::Range;
use std::time::{Duration, Instant};

use prometheus::{Registry, TextEncoder};
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::config::KafkaSection;
use tollbooth_chassis::kafka::batch::{Batch, BatchLimit, BatchReader, TimestampKind};
use tollbooth_chassis::kafka::{ClientKind, KafkaClients, KafkaStatistics, ReaderTuning};

use crate::support::{Mock, PATIENCE, eventually, mock_cluster, produce};

const ALL: BatchLimit = BatchLimit { records: 100_000, bytes: 1 << 30 };
const SHORT: Duration = Duration::from_millis(50);

pub(crate) fn assign_from_start(reader: &mut BatchReader, topic: &str, partitions: Range<i32>) {
    assign(reader, topic, partitions, 0);
}

fn assign(reader: &mut BatchReader, topic: &str, partitions: Range<i32>, offset: i64) {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    }
    reader.assign(&list).unwrap();
}

/// A topic of `partitions` with `each` numbered records in every one, and a reader at its start, which tells its
/// statistics all the time: they come between the records, and must take none away.
fn given(partitions: i32, each: usize) -> (Mock, BatchReader) {
    watched(partitions, each, &Registry::new())
}

fn watched(partitions: i32, each: usize, registry: &Registry) -> (Mock, BatchReader) {
    let (mock, clients) = mock_cluster();
    let section = KafkaSection { statistics_interval_ms: 10, ..clients.section().clone() };
    let clients = KafkaClients::new(section).with_statistics(KafkaStatistics::register(registry).unwrap());
    mock.create_topic("ledger", partitions, 1).unwrap();
    for partition in 0..partitions {
        let records = (0..each).map(|n| (format!("acc_{n}"), format!("{partition}/{n}")));
        produce(&clients, "ledger", Some(partition), records);
    }
    let mut config = clients.reader("g", ReaderTuning::default());
    let watch = clients.watch(ClientKind::UsageReader, &mut config);
    let mut reader = BatchReader::watched(config, watch).unwrap();
    assign_from_start(&mut reader, "ledger", 0..partitions);
    (mock, reader)
}

fn read_until(reader: &mut BatchReader, limit: BatchLimit, total: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    eventually("all records", || {
        batches.push(reader.read(limit, SHORT).unwrap());
        batches.iter().map(Batch::len).sum::<usize>() >= total
    });
    batches
}

#[test]
fn what_lies_unread_in_a_reader_shows_and_goes_with_it() {
    // given a reader of which little is asked
    let registry = Registry::new();
    let (_mock, mut reader) = watched(1, 3000, &registry);
    let gauge = |name: &str| {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let name = format!("{name}{{client=\"usage_reader\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok())
    };
    // when it tells its statistics
    eventually("records that were fetched and not read", || {
        reader.read(BatchLimit { records: 1, bytes: 1 << 20 }, SHORT).unwrap();
        gauge("tollbooth_kafka_fetch_queue_records").is_some_and(|records| records > 0.0)
    });
    // then they are one client's, and gone once it is
    assert_eq!(gauge("tollbooth_kafka_clients"), Some(1.0));
    drop(reader);
    assert_eq!(gauge("tollbooth_kafka_clients"), None);
}

#[test]
fn every_record_arrives_once_and_in_order() {
    // given
    let (_mock, mut reader) = given(2, 3000);
    assert_eq!(reader.position("ledger", 1).unwrap(), Some(0));
    // when
    let batches = read_until(&mut reader, ALL, 6000);
    // then
    let mut next = [0_i64; 2];
    for record in batches.iter().flat_map(Batch::iter) {
        let expected = &mut next[usize::try_from(record.partition()).unwrap()];
        assert_eq!(record.topic(), "ledger");
        assert_eq!(record.offset(), *expected);
        assert_eq!(record.key().unwrap(), format!("acc_{expected}").as_bytes());
        assert_eq!(record.payload().unwrap(), format!("{}/{expected}", record.partition()).as_bytes());
        assert_eq!(record.header("ce_id"), record.key());
        assert_eq!(record.header("missing"), None);
        let timestamp = record.timestamp().unwrap();
        assert!(timestamp.kind == TimestampKind::CreateTime && timestamp.millis > 1_600_000_000_000);
        *expected += 1;
    }
    assert_eq!(next, [3000, 3000]);
    let (_, high) = reader.watermarks("ledger", 0, PATIENCE).unwrap();
    assert_eq!(reader.position("ledger", 0).unwrap(), Some(high));
    assert_eq!(reader.position("ledger", 1).unwrap(), Some(3000));
}

#[test]
fn the_limits_hold() {
    let (_mock, mut reader) = given(1, 2000);
    for batch in read_until(&mut reader, BatchLimit { records: 300, ..ALL }, 900) {
        assert!(batch.len() <= 300);
    }
    // Bytes are looked at every 256 records.
    for batch in read_until(&mut reader, BatchLimit { bytes: 1, ..ALL }, 900) {
        assert!(batch.len() <= 257, "{}", batch.len());
        let bytes: usize = batch.iter().map(|r| r.key().unwrap().len() + r.payload().unwrap().len()).sum();
        assert_eq!(batch.bytes(), bytes);
    }
}

#[test]
fn an_empty_topic_costs_no_more_than_the_wait() {
    let (_mock, mut reader) = given(1, 0);
    let started = Instant::now();
    assert!(reader.read(ALL, SHORT).unwrap().is_empty());
    assert!(reader.fill(ALL, SHORT).unwrap().is_empty());
    assert!(started.elapsed() >= SHORT);
    assert_eq!(reader.position("ledger", 0).unwrap(), Some(0));
}

#[test]
fn filling_waits_for_company() {
    let (_mock, mut reader) = given(1, 500);
    let mut total = 0;
    eventually("a full batch", || {
        let batch = reader.fill(BatchLimit { records: 500 - total, ..ALL }, Duration::from_secs(5)).unwrap();
        total += batch.len();
        total == 500
    });
}

#[test]
fn a_batch_outlives_its_reader() {
    let (_mock, mut reader) = given(1, 100);
    let batches = read_until(&mut reader, ALL, 100);
    drop(reader);
    let payloads = std::thread::spawn(move || {
        batches.iter().flat_map(Batch::iter).map(|r| r.payload().unwrap().len()).sum::<usize>()
    });
    assert_eq!(payloads.join().unwrap(), (0..100).map(|n| format!("0/{n}").len()).sum::<usize>());
}

#[test]
fn an_offset_that_is_gone_is_an_error_not_a_jump() {
    let (_mock, mut reader) = given(1, 10);
    assign(&mut reader, "ledger", 0..1, 1_000_000);
    let mut error = None;
    eventually("the error", || {
        match reader.read(ALL, SHORT) {
            Ok(batch) => assert!(batch.is_empty()),
            Err(found) => error = Some(found),
        }
        error.is_some()
    });
    let code = error.unwrap().rdkafka_error_code();
    assert_eq!(code, Some(rdkafka::error::RDKafkaErrorCode::AutoOffsetReset));
    // and the reader can be put right
    assign(&mut reader, "ledger", 0..1, 4);
    assert_eq!(read_until(&mut reader, ALL, 6).iter().map(Batch::len).sum::<usize>(), 6);
}

#[test]
fn a_broker_that_comes_back_is_read_on() {
    let (mock, mut reader) = given(1, 10);
    read_until(&mut reader, BatchLimit { records: 5, ..ALL }, 5);
    mock.broker_down(-1).unwrap();
    assert!(reader.read(ALL, SHORT).is_ok());
    mock.broker_up(-1).unwrap();
    eventually("the end", || {
        reader.read(ALL, SHORT).unwrap();
        reader.position("ledger", 0).unwrap() == Some(10)
    });
}
