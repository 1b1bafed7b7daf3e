//! What several tests need.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use tollbooth_chassis::config::KafkaSection;
use tollbooth_chassis::kafka::{KafkaClients, LogContext};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition; panics with `what` when it does not come true.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not seen in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) type Mock = MockCluster<'static, DefaultProducerContext>;

/// An in-process stand-in for a cluster, and clients for it.
pub(crate) fn mock_cluster() -> (Mock, KafkaClients) {
    let mock = MockCluster::new(1).unwrap();
    let clients = KafkaClients::new(KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() });
    (mock, clients)
}

pub(crate) fn producer(config: &ClientConfig) -> BaseProducer<LogContext> {
    BaseProducer::from_config_and_context(config, LogContext).unwrap()
}

/// Produces `key`/`payload` pairs and waits until they are acknowledged.
pub(crate) fn produce(
    clients: &KafkaClients,
    topic: &str,
    partition: Option<i32>,
    records: impl IntoIterator<Item = (String, String)>,
) {
    let producer = producer(&clients.edge_producer(65_536, PATIENCE));
    for (key, payload) in records {
        let headers = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some(key.as_bytes()) });
        let mut record = BaseRecord::to(topic).key(&key).payload(&payload).headers(headers);
        record.partition = partition;
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}
