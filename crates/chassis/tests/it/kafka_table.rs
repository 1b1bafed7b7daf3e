//! A small topic followed into memory.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tollbooth_chassis::auth::{Gate, KeyRing};
use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_chassis::kafka::table::{NotCurrent, TopicTable};
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::keys::{ApiKey, KeyKind};

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

    let age_max = Duration::from_millis(2500);
    mock.broker_down(-1).unwrap();
    eventually("knowledge gets old", || table.age_since_read_to_end() > age_max);
    assert!(matches!(table.ensure_current(age_max), Err(NotCurrent::Stale(age)) if age > age_max));
    mock.broker_up(-1).unwrap();
    eventually("knowledge is fresh", || table.age_since_read_to_end() < Duration::from_millis(1000));
    eventually("and counts again", || table.ensure_current(age_max).is_ok());

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
    assert!(matches!(table.ensure_current(PATIENCE), Err(NotCurrent::Failed(_))));
    assert!(!health.liveness().is_ok());
}

#[test]
fn a_gate_opens_for_the_first_key_always_and_for_others_while_the_registry_is_current() {
    // given a registry with one key, behind a broker that is away
    let (mock, clients) = mock_cluster();
    mock.create_topic(TOPIC, 1, 1).unwrap();
    let key = |kind, seed| ApiKey::generate(kind, false, &[seed; 64]).unwrap();
    let (root, admin) = (key(KeyKind::Admin, 1), key(KeyKind::Admin, 2));
    let document = json!({
        "key_id": "key_a", "kind": "admin", "hash": admin.hash(), "prefix": admin.hint().0, "last_four": admin.hint().1,
        "created_at": "2026-01-01T00:00:00Z",
    });
    produce(&clients, TOPIC, Some(0), record("key:key_a", &document.to_string()));
    mock.broker_down(-1).unwrap();
    let ring = KeyRing::new(root.reveal()).unwrap();
    let table = TopicTable::spawn(&clients, TOPIC, Health::new().component("registry"), Shutdown::new(), {
        let ring = ring.clone();
        move |record| assert!(ring.apply(record.key.unwrap(), record.payload).unwrap())
    });
    let gate = Gate::new(ring, table.unwrap(), Duration::from_millis(2500));
    let ask = |key: &str| {
        let bearer = format!("Bearer {key}").parse().unwrap();
        let headers = [(axum::http::header::AUTHORIZATION, bearer)].into_iter().collect();
        gate.authenticate(&headers).map_or_else(|problem| problem.status().as_u16(), |_| 200)
    };
    // then while nothing is read only the first key is known, and what is none is told so
    assert_eq!([ask(root.reveal()), ask(admin.reveal()), ask("nonsense")], [200, 503, 401]);
    // when it is read, then the other one is known
    mock.broker_up(-1).unwrap();
    eventually("the registry is read", || ask(admin.reveal()) == 200);
    // when it is too old, then it could be revoked by now
    mock.broker_down(-1).unwrap();
    eventually("the registry is old", || ask(admin.reveal()) == 503);
    assert_eq!(ask(root.reveal()), 200);
    mock.broker_up(-1).unwrap();
    eventually("the registry is read again", || ask(admin.reveal()) == 200);
    assert_eq!(ask(key(KeyKind::Admin, 3).reveal()), 401);
}
