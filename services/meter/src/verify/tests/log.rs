//! A broker is lost under the reader's eyes.

use std::time::Duration;

use rdkafka::{
    config::FromClientConfigAndContext as _,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tollbooth_chassis::{
    config::KafkaSection,
    kafka::{KafkaClients, LogContext},
};

use super::super::log::{Log, Span};

const TOPIC: &str = "ledger";
const RECORDS: usize = 500;
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(2);

/// Three brokers, and a topic with two partitions of so many records, led by the first and the second.
fn given(patience: Duration) -> (MockCluster<'static, DefaultProducerContext>, Log) {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic(TOPIC, 2, 3).unwrap();
    let clients = KafkaClients::new(KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() });
    let producer = BaseProducer::from_config_and_context(&clients.edge_producer(64 * 1024, LONG), LogContext).unwrap();
    for (partition, leader) in [(0, 1), (1, 2)] {
        mock.partition_leader(TOPIC, partition, Some(leader)).unwrap();
        for number in 0..RECORDS {
            let key = number.to_string();
            producer.send(BaseRecord::to(TOPIC).partition(partition).key(&key).payload(&key)).unwrap();
        }
        producer.flush(LONG).unwrap();
    }
    (mock, Log::with_patience(clients, patience).unwrap())
}

fn spans() -> Vec<Span> {
    let to = i64::try_from(RECORDS).unwrap();
    vec![Span { partition: 0, from: 0, to }, Span { partition: 1, from: 0, to }]
}

/// Offsets read of each partition, with `at_first` done at the first record.
fn read(log: &Log, at_first: impl FnOnce()) -> anyhow::Result<[Vec<i64>; 2]> {
    let (mut offsets, mut at_first) = ([Vec::new(), Vec::new()], Some(at_first));
    log.read(TOPIC, &spans(), |record| {
        if let Some(act) = at_first.take() {
            act();
        }
        offsets[usize::try_from(record.partition).unwrap()].push(record.offset);
    })?;
    Ok(offsets)
}

fn all() -> [Vec<i64>; 2] {
    let offsets: Vec<i64> = (0..i64::try_from(RECORDS).unwrap()).collect();
    [offsets.clone(), offsets]
}

#[test]
fn ends_are_asked_for_again_while_a_partition_changes_hands() {
    // given brokers that send whoever asks away, a few times
    let (mock, log) = given(LONG);
    let answers = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    ];
    mock.request_errors(RDKafkaApiKey::ListOffsets, &answers);
    // when the ends are asked for, then they are had
    assert_eq!(log.spans(TOPIC, 2).unwrap(), spans());
}

#[test]
fn ends_are_waited_for_while_a_partition_has_no_leader() {
    // given a partition whose leader is lost, and another one half a second later
    let (mock, log) = given(LONG);
    mock.partition_leader(TOPIC, 0, None).unwrap();
    mock.broker_down(1).unwrap();
    let answer = std::thread::scope(|scope| {
        // when the ends are asked for
        let asking = scope.spawn(|| log.spans(TOPIC, 2));
        // The length of the outage: nothing is waited for.
        std::thread::sleep(Duration::from_millis(500));
        mock.partition_leader(TOPIC, 0, Some(3)).unwrap();
        asking.join().unwrap()
    });
    // then they are had
    assert_eq!(answer.unwrap(), spans());
}

#[test]
fn a_leader_that_does_not_come_is_told_after_a_while() {
    // given a partition that nobody leads any more, and a short patience
    let (mock, log) = given(SHORT);
    mock.partition_leader(TOPIC, 1, None).unwrap();
    // when the ends are asked for
    let error = log.spans(TOPIC, 2).unwrap_err();
    // then the end says of what, how often, for how long and why
    let text = format!("{error:#}");
    assert!(text.starts_with("cannot ask for the ends of ledger/1: tried "), "{text}");
    assert!(text.contains(" times in ") && text.contains("the last time: "), "{text}");
}

#[test]
fn a_scan_goes_on_at_the_next_leader() {
    // given a scan at its first record
    let (mock, log) = given(LONG);
    let read = read(&log, || {
        // when the brokers that lead both partitions are lost
        for (partition, broker) in [(0, 1), (1, 2)] {
            mock.partition_leader(TOPIC, partition, Some(3)).unwrap();
            mock.broker_down(broker).unwrap();
        }
    });
    // then every record was read once and in order
    assert_eq!(read.unwrap(), all());
}

#[test]
fn a_scan_survives_what_passes_and_no_more() {
    // given brokers that fail some fetches with what the client passes on
    let (mock, log) = given(SHORT);
    mock.request_errors(
        RDKafkaApiKey::Fetch,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        ],
    );
    // when read, then nothing is missing
    assert_eq!(read(&log, || {}).unwrap(), all());

    // and a right that is missing is told at once
    mock.request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 4]);
    let text = format!("{:#}", read(&log, || {}).unwrap_err());
    assert!(text.starts_with("cannot read ledger: ") && text.contains("TopicAuthorizationFailed"), "{text}");
}

#[test]
fn a_scan_that_stands_still_says_why() {
    // given a topic whose leaders are lost for good
    let (mock, log) = given(SHORT);
    for partition in 0..2 {
        mock.partition_leader(TOPIC, partition, None).unwrap();
    }
    // when read, then the end says where
    let text = read(&log, || {}).unwrap_err().to_string();
    assert!(text.starts_with("ledger/0 stands still at 0 of 500 for 2 s"), "{text}");
}

#[test]
fn offsets_of_a_group_are_waited_for_while_its_coordinator_moves() {
    // given a coordinator that is not ready, a few times
    let (mock, log) = given(LONG);
    let answers = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    ];
    mock.request_errors(RDKafkaApiKey::OffsetFetch, &answers);
    // when asked for the offsets of a group that has none, then that is the answer
    assert_eq!(log.committed("meter", TOPIC, 2).unwrap(), [None, None]);
}
