//! Kafka comes back after a kill.

use std::net::TcpStream;

use tollbooth_local::{Kafka, KafkaOptions, LocalError};

#[test]
fn a_node_comes_back_on_its_port_after_a_sigkill_and_ends_in_order() {
    // given a node
    let dir = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(KafkaOptions { heap_mb: 256, ..KafkaOptions::new(dir.path()) }).unwrap();
    let address = kafka.bootstrap().to_owned();
    TcpStream::connect(&address).unwrap();
    let cluster = std::fs::read_to_string(dir.path().join("log/meta.properties")).unwrap();

    // when it is killed
    kafka.kill().unwrap();
    assert!(!kafka.is_running());
    assert!(TcpStream::connect(&address).is_err());
    kafka.restart().unwrap();

    // then it is the same cluster on the same port
    TcpStream::connect(&address).unwrap();
    assert_eq!(kafka.bootstrap(), address);
    assert_eq!(std::fs::read_to_string(dir.path().join("log/meta.properties")).unwrap(), cluster);
    kafka.stop().unwrap();
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_taken_port_is_an_error_that_quotes_the_log() {
    // given a port that something listens on
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();

    // when Kafka is to start there
    let options =
        KafkaOptions { port: Some(taken.local_addr().unwrap().port()), heap_mb: 256, ..KafkaOptions::new(dir.path()) };
    let error = Kafka::start(options).unwrap_err();

    // then
    assert!(matches!(error, LocalError::Exited { .. }), "{error}");
    assert!(error.to_string().contains("Address already in use"), "{error}");
}

#[test]
fn a_node_given_from_outside_is_left_alone() {
    let kafka = Kafka::external("kafka.example:9092");
    assert_eq!(kafka.bootstrap(), "kafka.example:9092");
    assert_eq!(kafka.pid(), None);
    assert!(matches!(kafka.kill(), Err(LocalError::External { .. })));
    assert!(matches!(kafka.restart(), Err(LocalError::External { .. })));
}
