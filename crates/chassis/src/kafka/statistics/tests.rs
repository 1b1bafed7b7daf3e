//! What documents of librdkafka become.

use prometheus::TextEncoder;

use super::*;

const METER: &str = r#"{"msg_cnt": 3, "msg_size": 700, "unknown": [1, {"x": 2}],
    "brokers": {
        "b:9092/1": {"nodeid": 1, "state": "UP", "outbuf_cnt": 1, "waitresp_cnt": 2, "txerrs": 4, "rtt": {"p99": 2500}},
        "b:9092/bootstrap": {"nodeid": -1, "state": "DOWN", "disconnects": 1, "rtt": {"p99": 9000000}}},
    "topics": {"ledger": {"partitions": {"0": {"fetchq_cnt": 5, "fetchq_size": 50}, "1": {"fetchq_cnt": 2}}}},
    "cgrp": {"join_state": "steady", "rebalance_age": 12000},
    "eos": {"txn_state": "InTransaction", "txn_stateage": 40}}"#;

fn shown(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

fn given() -> (Registry, KafkaStatistics) {
    let registry = Registry::new();
    let statistics = KafkaStatistics::register(&registry).unwrap();
    (registry, statistics)
}

#[test]
fn what_waits_is_summed_and_what_is_late_is_the_worst_of_a_kind() {
    // given two clients of one kind, one of them slower
    let (registry, statistics) = given();
    let clients = [(); 2].map(|()| statistics.watch(ClientKind::MeterProducer));
    clients[0].take(METER.as_bytes());
    clients[1].take(METER.replace("2500", "80000").replace("InTransaction", "Ready").as_bytes());
    // then
    let text = shown(&registry);
    for line in [
        r#"tollbooth_kafka_clients{client="meter_producer"} 2"#,
        r#"tollbooth_kafka_broker_rtt_p99_seconds{broker="1",client="meter_producer"} 0.08"#,
        r#"tollbooth_kafka_broker_connections{broker="1",client="meter_producer"} 2"#,
        r#"tollbooth_kafka_unanswered_requests{client="meter_producer"} 4"#,
        r#"tollbooth_kafka_produce_queue_bytes{client="meter_producer"} 1400"#,
        r#"tollbooth_kafka_fetch_queue_records{client="meter_producer"} 14"#,
        r#"tollbooth_kafka_transactional_producers{client="meter_producer",state="open"} 1"#,
        r#"tollbooth_kafka_transactional_producers{client="meter_producer",state="ready"} 1"#,
        r#"tollbooth_kafka_transaction_state_age_seconds{client="meter_producer"} 0.04"#,
        r#"tollbooth_kafka_rebalance_age_seconds{client="meter_producer"} 12"#,
        r#"tollbooth_kafka_client_errors_total{client="meter_producer",kind="send"} 8"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // An address has no number, so it is no broker.
    assert!(!text.contains(r#"broker="-1""#));
}

#[test]
fn what_a_client_said_goes_with_it_and_what_went_wrong_stays_counted() {
    // given a client that tells twice, then another one in its place
    let (registry, statistics) = given();
    let client = statistics.watch(ClientKind::SinkReader);
    client.take(METER.as_bytes());
    client.take(METER.replace("\"txerrs\": 4", "\"txerrs\": 6").as_bytes());
    drop(client);
    let text = shown(&registry);
    assert!(!text.contains("tollbooth_kafka_clients"), "{text}");
    statistics.watch(ClientKind::SinkReader).take(METER.as_bytes());
    // then
    let line = r#"tollbooth_kafka_client_errors_total{client="sink_reader",kind="send"} 10"#;
    assert!(shown(&registry).lines().any(|found| found == line));
}

#[test]
fn what_is_no_document_changes_nothing() {
    let (registry, statistics) = given();
    let client = statistics.watch(ClientKind::Watermarks);
    client.take(b"{\"msg_cnt\": \"many\"}");
    client.take(b"");
    assert!(!shown(&registry).contains("tollbooth_kafka_clients"));
    // Nobody takes these.
    KafkaStatistics::default().watch(ClientKind::Watermarks).take(METER.as_bytes());
}

#[test]
fn every_metric_of_it_is_documented() {
    // given a client of each kind, each transaction state among them
    let (registry, statistics) = given();
    let states =
        ["Init", "Ready", "InTransaction", "BeginCommit", "AbortingTransaction", "AbortableError", "FatalError", "new"];
    let clients: Vec<Watch> = ClientKind::ALL.into_iter().map(|kind| statistics.watch(kind)).collect();
    for (client, state) in clients.iter().zip(states.into_iter().cycle()) {
        client.take(METER.replace("InTransaction", state).as_bytes());
    }
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let rows = crate::metric_table::section(&registry, crate::metric_table::is_common).unwrap();
    crate::metric_table::keep(&document, "Kafka clients", &rows).unwrap();
}

#[test]
fn kinds_are_told_apart() {
    let codes: std::collections::BTreeSet<&str> = ClientKind::ALL.into_iter().map(ClientKind::code).collect();
    assert_eq!(codes.len(), ClientKind::ALL.len());
}
