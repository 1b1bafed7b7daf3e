//! Every error of a transaction in its class.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::config::KafkaSection;
use tollbooth_chassis::kafka::txn::{self, TxnError};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning};

use crate::support::{Mock, PATIENCE, mock_cluster, producer};

fn given() -> (Mock, KafkaClients, BaseProducer<LogContext>) {
    let (mock, clients) = mock_cluster();
    mock.create_topic("ledger", 1, 1).unwrap();
    mock.create_topic("usage", 1, 1).unwrap();
    let producer = producer(&clients.transactional_producer("ledger-0"));
    txn::init(&producer, PATIENCE).unwrap();
    (mock, clients, producer)
}

fn send(producer: &BaseProducer<LogContext>) {
    let record = BaseRecord::<str, str>::to("ledger").partition(0).key("acc_a").payload("entry");
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

fn group(clients: &KafkaClients) -> (ConsumerGroupMetadata, TopicPartitionList) {
    let consumer = BaseConsumer::from_config(&clients.reader("meter", ReaderTuning::default())).unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("usage", 0, Offset::Offset(42)).unwrap();
    (consumer.group_metadata().unwrap(), offsets)
}

#[test]
fn a_transaction_commits_with_its_offsets() {
    let (_mock, clients, producer) = given();
    let (metadata, offsets) = group(&clients);
    for _ in 0..3 {
        txn::begin(&producer).unwrap();
        send(&producer);
        txn::send_offsets(&producer, &offsets, &metadata).unwrap();
        txn::commit(&producer).unwrap();
    }
    let consumer: BaseConsumer = BaseConsumer::from_config(&clients.reader("meter", ReaderTuning::default())).unwrap();
    // The stand-in keeps neither markers nor transactional offsets: only the records can be looked at.
    assert_eq!(consumer.fetch_watermarks("ledger", 0, PATIENCE).unwrap(), (0, 3));
}

#[test]
fn offsets_find_their_way_when_the_groups_coordinator_is_lost() {
    // given a group whose coordinator this producer knows
    let mock: Mock = MockCluster::new(3).unwrap();
    let clients = KafkaClients::new(KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() });
    for topic in ["ledger", "usage"] {
        mock.create_topic(topic, 1, 3).unwrap();
        mock.partition_leader(topic, 0, Some(2)).unwrap();
    }
    mock.coordinator(MockCoordinator::Transaction("ledger-0".to_owned()), 2).unwrap();
    mock.coordinator(MockCoordinator::Group("meter".to_owned()), 1).unwrap();
    let producer = producer(&clients.transactional_producer("ledger-0"));
    txn::init(&producer, PATIENCE).unwrap();
    let (metadata, offsets) = group(&clients);
    txn::begin(&producer).unwrap();
    send(&producer);
    txn::send_offsets(&producer, &offsets, &metadata).unwrap();
    txn::commit(&producer).unwrap();

    // when it is lost, and another broker is the coordinator
    mock.broker_down(1).unwrap();
    mock.coordinator(MockCoordinator::Group("meter".to_owned()), 3).unwrap();
    // What every client is told of a broker that is gone: it is in no list any more.
    producer.client().fetch_metadata(None, PATIENCE).unwrap();

    // then the next offsets arrive there. On a thread of its own: there is no time limit that librdkafka keeps to
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        txn::begin(&producer).unwrap();
        send(&producer);
        tell.send(txn::send_offsets(&producer, &offsets, &metadata)).unwrap();
    });
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(())));
}

#[test]
fn an_abort_does_not_wait_for_reports_that_nobody_reads() {
    let (_mock, _clients, producer) = given();
    for _ in 0..3 {
        txn::begin(&producer).unwrap();
        // given records whose reports nobody has read
        send(&producer);
        send(&producer);
        // then the abort comes back all the same
        txn::abort(&producer).unwrap();
    }
    assert_eq!(producer.in_flight_count(), 0);
}

#[test]
fn a_passing_error_is_answered_by_the_same_call_again() {
    let (mock, _clients, producer) = given();
    txn::begin(&producer).unwrap();
    send(&producer);
    let passing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
    mock.request_errors(RDKafkaApiKey::EndTxn, &[passing; 3]);
    txn::commit(&producer).unwrap();
}

#[test]
fn an_abortable_error_leads_to_an_abort_and_a_new_try() {
    let (mock, _clients, producer) = given();
    txn::begin(&producer).unwrap();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[refused]);
    send(&producer);
    let error = txn::commit(&producer).unwrap_err();
    assert!(matches!(error, TxnError::Abortable(_)), "{error}");
    txn::abort(&producer).unwrap();

    txn::begin(&producer).unwrap();
    send(&producer);
    txn::commit(&producer).unwrap();
}

#[test]
fn the_groups_refusals_say_that_the_partition_is_lost() {
    for refusal in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
    ] {
        let (mock, clients, producer) = given();
        let (metadata, offsets) = group(&clients);
        txn::begin(&producer).unwrap();
        send(&producer);
        mock.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[refusal]);
        let error = txn::send_offsets(&producer, &offsets, &metadata).unwrap_err();
        assert!(matches!(error, TxnError::GroupLost(_)), "{refusal:?}: {error}");
        txn::abort(&producer).unwrap();
    }
}

#[test]
fn a_fenced_producer_learns_it_on_every_path() {
    for fence in
        [RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH]
    {
        let (mock, _clients, producer) = given();
        txn::begin(&producer).unwrap();
        send(&producer);
        txn::drain(&producer);
        mock.request_errors(RDKafkaApiKey::EndTxn, &[fence]);
        let error = txn::commit(&producer).unwrap_err();
        assert!(matches!(error, TxnError::Fenced(_)), "{fence:?}: {error}");
        // The calls after it say the same, `send` included.
        assert!(matches!(txn::begin(&producer).unwrap_err(), TxnError::Fenced(_)));
        let record = BaseRecord::<str, str>::to("ledger").payload("late");
        let (error, _) = producer.send(record).unwrap_err();
        let class = txn::classify_send(&producer, &error);
        assert!(matches!(class, TxnError::Fenced(_)), "{class}");
    }
}

#[test]
fn an_error_that_nobody_knows_is_fatal() {
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};
    let unknown = KafkaError::Global(RDKafkaErrorCode::Unknown);
    assert_eq!(txn::classify(&unknown).code(), "fatal");
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    assert_eq!(txn::classify(&full).code(), "retriable");
}

#[test]
fn a_coordinator_that_is_away_is_waited_for_within_the_limit() {
    let (mock, clients) = mock_cluster();
    mock.broker_down(-1).unwrap();
    let mut config = clients.transactional_producer("ledger-0");
    // The call itself waits twice the transaction's timeout.
    config.set("transaction.timeout.ms", "1000").set("delivery.timeout.ms", "1000");
    let producer = producer(&config);
    let error = txn::init(&producer, Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, TxnError::Retriable(_)), "{error}");
    mock.broker_up(-1).unwrap();
    txn::init(&producer, PATIENCE).unwrap();
}

#[test]
fn whoever_lost_the_partition_while_fencing_was_tried_fences_nobody() {
    // given a coordinator that is away, so that fencing is tried again
    let (mock, clients) = mock_cluster();
    let mut config = clients.transactional_producer("ledger-0");
    config.set("transaction.timeout.ms", "1000").set("delivery.timeout.ms", "1000");
    let producer = producer(&config);
    mock.broker_down(-1).unwrap();
    // when the partition is withdrawn after the first try, and the coordinator comes back
    let tries = Cell::new(0);
    let fenced = txn::init_while(&producer, PATIENCE, || {
        tries.set(tries.get() + 1);
        if tries.get() == 2 {
            mock.broker_up(-1).unwrap();
        }
        tries.get() == 1
    });
    // then the second try does not happen
    assert_eq!(fenced, Ok(false));
    assert_eq!(tries.get(), 2);
    assert!(txn::begin(&producer).is_err(), "a producer that was not initialized");
}
