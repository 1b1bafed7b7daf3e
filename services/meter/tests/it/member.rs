//! Membership over a stand-in for a cluster: what a fence does to a member, and what it does not.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus::Registry;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tollbooth_chassis::config::KafkaSection;
use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_meter::member::Member;
use tollbooth_meter::metrics::Metrics;
use tollbooth_schemas::topics::TopicSet;

const PARTITIONS: i32 = 2;

struct Given {
    mock: MockCluster<'static, DefaultProducerContext>,
    member: Arc<Member>,
    health: Health,
    shutdown: Shutdown,
    thread: JoinHandle<Result<(), String>>,
}

/// A member that serves its group.
fn given() -> Given {
    let mock = MockCluster::new(1).unwrap();
    let topics = TopicSet { prefix: String::new(), partitions: PARTITIONS };
    let inputs = [topics.usage(), topics.commands()];
    for topic in &inputs {
        mock.create_topic(topic, PARTITIONS, 1).unwrap();
    }
    let clients = KafkaClients::new(KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() });
    let metrics = Metrics::new(&Registry::new(), "g", &topics).unwrap();
    let (health, shutdown) = (Health::new(), Shutdown::new());
    let member = Member::new(&clients, "g", "meter-0", inputs, PARTITIONS, metrics, health.component("group")).unwrap();
    let member = Arc::new(member);
    let (runs, until) = (Arc::clone(&member), shutdown.clone());
    let thread = std::thread::spawn(move || runs.run(&until));
    Given { mock, member, health, shutdown, thread }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

impl Given {
    /// Takes the partition as its worker would; gives back which assignment it is.
    fn take(&self, partition: i32) -> u64 {
        self.member.slot(partition).unwrap().next().unwrap()
    }

    fn fence(&self) {
        let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
        self.mock.request_errors(RDKafkaApiKey::Heartbeat, &[fenced]);
    }

    /// Waits until the partition is withdrawn, and lets go of it.
    fn let_go(&self, partition: i32, epoch: u64) {
        let slot = self.member.slot(partition).unwrap();
        slot.wait_withdrawn(epoch);
        slot.done(epoch);
    }
}

#[test]
fn a_fenced_member_gives_its_partitions_up_and_joins_again() {
    let given = given();
    let epochs = [given.take(0), given.take(1)];
    wait_until("it is ready", || given.health.readiness().is_ok());
    // when the group fences it
    given.fence();
    // then everything is withdrawn before any worker has let go, and it waits until they have
    for (partition, epoch) in (0..).zip(epochs) {
        given.member.slot(partition).unwrap().wait_withdrawn(epoch);
    }
    given.let_go(0, epochs[0]);
    given.let_go(1, epochs[1]);
    // and it is a member again, with new assignments
    let again = [given.take(0), given.take(1)];
    assert!(again[0] > epochs[0] && again[1] > epochs[1], "{again:?} after {epochs:?}");
    wait_until("it is ready again", || given.health.readiness().is_ok());
    assert!(given.member.group_metadata().is_some());
    given.member.slot(0).unwrap().done(again[0]);
    given.member.slot(1).unwrap().done(again[1]);
    given.shutdown.trigger("test");
    assert_eq!(given.thread.join().unwrap(), Ok(()));
}

#[test]
fn a_member_that_is_fenced_again_at_once_leaves() {
    let given = given();
    for _ in 0..2 {
        let epochs = [given.take(0), given.take(1)];
        given.fence();
        given.let_go(0, epochs[0]);
        given.let_go(1, epochs[1]);
    }
    let why = given.thread.join().unwrap().unwrap_err();
    assert!(why.contains("member_id"), "{why}");
}
