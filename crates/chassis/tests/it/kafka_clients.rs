//! Partitioner and topics.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use tollbooth_chassis::config::KafkaSection;
use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader};
use tollbooth_chassis::kafka::{
    KafkaClients, ReaderTuning, TopicError, TopicSpec, Watermarks, ensure_topics, partition_for,
};

use crate::kafka_batch::assign_from_start;
use crate::support::{PATIENCE, eventually, mock_cluster, produce};

#[test]
fn our_partition_is_the_one_that_librdkafka_chooses() {
    // given keys of every length modulo the hash's word, some with a negative hash
    const PARTITIONS: i32 = 7;
    let (mock, clients) = mock_cluster();
    mock.create_topic("usage", PARTITIONS, 1).unwrap();
    let keys: Vec<String> = (0..200).map(|n| format!("acc_{}", "x".repeat(n % 9) + &n.to_string())).collect();
    produce(&clients, "usage", None, keys.iter().map(|key| (key.clone(), String::new())));
    // when they are read back
    let mut reader = BatchReader::new(&clients.reader("g", ReaderTuning::default())).unwrap();
    assign_from_start(&mut reader, "usage", 0..PARTITIONS);
    let mut found = BTreeMap::new();
    eventually("all records", || {
        let batch = reader.read(BatchLimit { records: 1000, bytes: 1 << 20 }, Duration::from_millis(100)).unwrap();
        found.extend(batch.iter().map(|record| (record.key().unwrap().to_vec(), record.partition())));
        found.len() == keys.len()
    });
    // then each lies where we say
    for (key, partition) in found {
        assert_eq!(partition_for(&key, PARTITIONS), Some(partition), "{key:?}");
    }
}

#[test]
fn what_a_promise_hangs_on_cannot_be_overridden() {
    let settings = [("enable_idempotence", "false"), ("isolation.level", "read_uncommitted"), ("acks", "1")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let clients = KafkaClients::new(KafkaSection {
        settings: settings.into_iter().chain([("socket_timeout_ms".to_owned(), "1234".to_owned())]).collect(),
        ..KafkaSection::default()
    });
    let producer = clients.transactional_producer("t");
    assert_eq!((producer.get("enable.idempotence"), producer.get("acks")), (Some("true"), Some("all")));
    assert_eq!(producer.get("socket.timeout.ms"), Some("1234"));
    let member = clients.member_consumer("g", "i");
    assert_eq!(member.get("isolation.level"), Some("read_committed"));
    assert_eq!(member.get("partition.assignment.strategy"), Some("range"));
}

#[test]
fn every_role_is_a_configuration_that_librdkafka_takes() {
    let clients = KafkaClients::new(KafkaSection::default());
    clients.edge_producer(1024, PATIENCE).create_native_config().unwrap();
    rdkafka::producer::BaseProducer::from_config(&clients.transactional_producer("t")).map(drop).unwrap();
    rdkafka::producer::BaseProducer::from_config(&clients.edge_producer(65_536, PATIENCE)).map(drop).unwrap();
    rdkafka::consumer::BaseConsumer::from_config(&clients.member_consumer("g", "i")).map(drop).unwrap();
    BatchReader::new(&clients.reader("g", ReaderTuning::default())).map(drop).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_another_number_of_partitions_is_refused() {
    let (mock, clients) = mock_cluster();
    mock.create_topic("usage", 8, 1).unwrap();
    let admin: AdminClient<DefaultClientContext> = AdminClient::from_config(&clients.base()).unwrap();
    let spec = |partitions| TopicSpec { name: "usage".into(), partitions, replication: 1, config: vec![] };

    ensure_topics(&admin, &[spec(8)]).await.unwrap();
    let error = ensure_topics(&admin, &[spec(64)]).await.unwrap_err();
    assert!(matches!(error, TopicError::PartitionCount { expected: 64, actual: 8, .. }), "{error}");
}

#[test]
fn the_end_is_told_while_a_fetch_waits_for_new_records() {
    // given a reader whose fetch the broker may hold for longer than anybody waits here
    let (mock, clients) = mock_cluster();
    mock.create_topic("usage", 1, 1).unwrap();
    produce(&clients, "usage", Some(0), [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    let tuning = ReaderTuning { fetch_wait_ms: 300_000, ..ReaderTuning::default() };
    let mut config = clients.reader("g", tuning);
    config.set("socket.timeout.ms", "300000").set("fetch.min.bytes", "1000000");
    let mut reader = BatchReader::new(&config).unwrap();
    assign_from_start(&mut reader, "usage", 0..1);
    let limit = BatchLimit { records: 10, bytes: 1 << 20 };
    assert!(reader.read(limit, Duration::from_millis(200)).is_ok());
    // when the end is asked for from several threads at once
    let watermarks = Watermarks::new(&clients).unwrap();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| watermarks.ask("usage", 0, PATIENCE))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    // then every one of them is told
    assert!(answers.iter().all(|answer| *answer == Ok((0, 2))), "{answers:?}");
}
