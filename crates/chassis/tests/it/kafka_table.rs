//! A small topic followed into memory.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;

use crate::support::{PATIENCE, eventually, mock_cluster, produce};

const TOPIC: &str = "tollbooth.registry";

type Seen = Arc<Mutex<Vec<(i64, String, Option<String>)>>>;

fn spawn(clients: &KafkaClients, health: &Health, shutdown: &Shutdown) -> (TopicTable, Seen) {
    let seen = Seen::default();
    let table = TopicTable::spawn(clients, TOPIC, health.component("registry"), shutdown.clone(), {
        let seen = Arc::clone(&seen);
        move |record| {
            assert!(record.timestamp_ms.is_some());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let payload = record.payload.map(text);
            assert!(payload.as_deref() != Some("poison"), "a handler that cannot go on");
            seen.lock().push((record.offset, text(record.key.unwrap()), payload));
        }
    });
    (table.unwrap(), seen)
}

fn record(key: &str, payload: &str) -> [(String, String); 1] {
    [(key.to_owned(), payload.to_owned())]
}

#[test]
fn it_reads_to_the_end_and_follows() {
    // given a topic with two records
    let (mock, clients) = mock_cluster();
    mock.create_topic(TOPIC, 1, 1).unwrap();
    produce(&clients, TOPIC, Some(0), [record("a", "1"), record("b", "2")].concat());
    let (health, shutdown) = (Health::new(), Shutdown::new());
    // when it is followed
    let (mut table, seen) = spawn(&clients, &health, &shutdown);
    assert!(!health.readiness().is_ok());
    assert!(table.wait_caught_up(PATIENCE));
    // then both were handled and readiness follows
    let expected = [(0, "a".to_owned(), Some("1".to_owned())), (1, "b".to_owned(), Some("2".to_owned()))];
    assert_eq!(*seen.lock(), expected);
    assert!(health.readiness().is_ok());
    // and what comes later arrives, too
    produce(&clients, TOPIC, Some(0), record("a", "3"));
    assert!(table.wait_for_offset(2, PATIENCE));
    assert_eq!(seen.lock().len(), 3);
    assert_eq!(table.position(), 3);
    // and it ends when asked to
    shutdown.trigger("test");
    table.take_thread().unwrap().join().unwrap();
    assert_eq!(table.failure(), None);
}

#[test]
fn an_empty_topic_is_read_to_its_end() {
    let (mock, clients) = mock_cluster();
    mock.create_topic(TOPIC, 1, 1).unwrap();
    let (table, _seen) = spawn(&clients, &Health::new(), &Shutdown::new());
    assert!(table.wait_caught_up(PATIENCE));
    assert_eq!(table.position(), 0);
}

#[test]
fn the_age_grows_while_the_broker_is_away_and_falls_when_it_is_back() {
    let (mock, clients) = mock_cluster();
    mock.create_topic(TOPIC, 1, 1).unwrap();
    let (table, seen) = spawn(&clients, &Health::new(), &Shutdown::new());
    assert!(table.wait_caught_up(PATIENCE));

    mock.broker_down(-1).unwrap();
    eventually("knowledge gets old", || table.age_since_read_to_end() > Duration::from_millis(2500));
    mock.broker_up(-1).unwrap();
    eventually("knowledge is fresh", || table.age_since_read_to_end() < Duration::from_millis(1000));

    produce(&clients, TOPIC, Some(0), record("a", "1"));
    assert!(table.wait_for_offset(0, PATIENCE));
    assert_eq!(seen.lock().len(), 1);
}

#[test]
fn a_handler_that_panics_is_a_failure_that_everybody_sees() {
    let (mock, clients) = mock_cluster();
    mock.create_topic(TOPIC, 1, 1).unwrap();
    produce(&clients, TOPIC, Some(0), record("a", "poison"));
    let health = Health::new();
    let (table, _seen) = spawn(&clients, &health, &Shutdown::new());
    assert!(!table.wait_caught_up(PATIENCE));
    assert!(table.failure().is_some());
    assert!(!health.liveness().is_ok());
}
