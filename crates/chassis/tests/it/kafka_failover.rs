//! A partition without a leader, and with another one.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use tollbooth_chassis::config::KafkaSection;
use tollbooth_chassis::kafka::{KafkaClients, Watermarks};

use crate::support::{Mock, PATIENCE, mock_cluster, produce};

#[test]
fn the_ends_of_a_partition_are_known_again_as_soon_as_it_has_a_leader_again() {
    // given a client that was told that nobody leads the partition
    let (mock, clients) = mock_cluster();
    mock.create_topic("ledger", 1, 1).unwrap();
    produce(&clients, "ledger", Some(0), (0..3).map(|n| (format!("acc_{n}"), "x".to_owned())));
    let watermarks = Watermarks::new(&clients).unwrap();
    mock.partition_leader("ledger", 0, None).unwrap();
    watermarks.ask("ledger", 0, Duration::from_secs(1)).unwrap_err();
    // when somebody does
    mock.partition_leader("ledger", 0, Some(1)).unwrap();
    // then the next question has an answer: what the client remembers is no answer
    assert_eq!(watermarks.ask("ledger", 0, PATIENCE), Ok((0, 3)));
}

#[test]
fn a_leader_that_is_lost_is_not_asked_for_ever() {
    // given a client that knows who leads the partition
    let mock: Mock = MockCluster::new(3).unwrap();
    let clients = KafkaClients::new(KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() });
    mock.create_topic("ledger", 1, 3).unwrap();
    mock.partition_leader("ledger", 0, Some(1)).unwrap();
    produce(&clients, "ledger", Some(0), (0..3).map(|n| (format!("acc_{n}"), "x".to_owned())));
    let watermarks = Watermarks::new(&clients).unwrap();
    assert_eq!(watermarks.ask("ledger", 0, PATIENCE), Ok((0, 3)));
    // when that one is lost, and another one leads
    mock.broker_down(1).unwrap();
    mock.partition_leader("ledger", 0, Some(2)).unwrap();
    // then it is asked, within the time of one question
    assert_eq!(watermarks.ask("ledger", 0, Duration::from_secs(6)), Ok((0, 3)));
}
