//! One ingest over one mock cluster.

use std::time::{Duration, Instant};

use prometheus::Registry;
use prost::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{Offset, TopicPartitionList};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tollbooth_chassis::config::Secret;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_ingest::{Ingest, IngestConfig};
use tollbooth_schemas::keys::{ApiKey, KeyKind};
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::topics::TopicSet;
use tollbooth_schemas::v1;

pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// A broker's answer that is not there yet while a test looks at what is under way. Far longer than any look takes, also
/// on a busy machine, and shorter than the delivery timeout.
pub(crate) const SLOW: Duration = Duration::from_secs(4);

pub(crate) struct Stand {
    pub(crate) mock: &'static MockCluster<'static, DefaultProducerContext>,
    pub(crate) topics: TopicSet,
    pub(crate) client: Client,
    pub(crate) address: String,
    pub(crate) root: String,
    pub(crate) registry: Registry,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
    pub(crate) served: JoinHandle<bool>,
}

/// A record as it lies in a topic.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Record {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Stand {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut IngestConfig)) -> Self {
        let stand = Self::start_before_ready(|_| {}, adjust).await;
        stand.until("ready", || stand.health.readiness().is_ok()).await;
        stand
    }

    /// Does not wait for readiness; `prepare` meets the cluster before the service does.
    pub(crate) async fn start_before_ready(
        prepare: impl FnOnce(&MockCluster<'static, DefaultProducerContext>),
        adjust: impl FnOnce(&mut IngestConfig),
    ) -> Self {
        // Never ended: clients that lose their broker take seconds to end.
        let mock: &'static MockCluster<'static, _> = Box::leak(Box::new(MockCluster::new(1).unwrap()));
        let mut config = IngestConfig::default();
        adjust(&mut config);
        config.topics.partitions = PARTITIONS;
        for spec in config.topic_set().specs() {
            mock.create_topic(&spec.name, spec.partitions, 1).unwrap();
        }
        prepare(mock);
        Self::launch(mock, config).await
    }

    /// Another process of the same installation.
    pub(crate) async fn beside(&self) -> Self {
        self.beside_with(|_| {}).await
    }

    pub(crate) async fn beside_with(&self, adjust: impl FnOnce(&mut IngestConfig)) -> Self {
        let mut config = IngestConfig::default();
        adjust(&mut config);
        config.topics.partitions = PARTITIONS;
        let stand = Self::launch(self.mock, config).await;
        stand.until("ready", || stand.health.readiness().is_ok()).await;
        stand
    }

    async fn launch(mock: &'static MockCluster<'static, DefaultProducerContext>, mut config: IngestConfig) -> Self {
        let root = ApiKey::generate(KeyKind::Admin, false, &[9; 64]).unwrap().reveal().to_owned();
        config.admin_key = Secret::new(&*root);
        config.kafka.bootstrap = mock.bootstrap_servers();
        let topics = config.topic_set();
        let (registry, health, shutdown) = (Registry::new(), Health::new(), Shutdown::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let ingest = Ingest::start(config, &registry, health.clone(), shutdown.clone()).unwrap();
        let served = tokio::spawn(ingest.serve(listener));
        let client = Client::builder().build().unwrap();
        Self { mock, topics, client, address, root, registry, health, shutdown, served }
    }

    /// Waits for a condition, at most [`DEADLINE`].
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !holds() {
            assert!(Instant::now() < end, "{what}: {:?}", self.health.readiness());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address)).bearer_auth(key)
    }

    pub(crate) fn post(&self, path: &str, key: &str) -> RequestBuilder {
        self.request(Method::POST, path, key)
    }

    /// Sends a command with a key.
    pub(crate) async fn command(
        &self,
        method: Method,
        path: &str,
        key: &str,
        idempotency_key: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let request = self.request(method, path, key).header("idempotency-key", idempotency_key).json(body);
        read(request.send().await.unwrap()).await
    }

    /// What lies in `commands`, oldest first in each partition.
    pub(crate) fn commands(&self) -> Vec<v1::Command> {
        let records = self.records(&self.topics.commands());
        records.iter().map(|record| v1::Command::decode(&*record.payload).unwrap()).collect()
    }

    /// Makes a key for `acc_luna`, or an admin key.
    pub(crate) async fn key(&self, kind: &str) -> (String, String) {
        let mut body = json!({"kind": kind});
        if kind != "admin" {
            body["account_id"] = json!("acc_luna");
        }
        let answer = self.post("/v1/keys", &self.root).json(&body).send().await.unwrap();
        let (status, made) = read(answer).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        (made["key_id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn booth_key(&self) -> String {
        self.key("booth").await.1
    }

    /// Sends one structured event.
    pub(crate) async fn send_event(&self, key: &str, event: &Value) -> (StatusCode, Value) {
        self.send_text(key, "application/cloudevents+json", event.to_string()).await
    }

    /// Sends a batch.
    pub(crate) async fn send_batch(&self, key: &str, events: &[Value]) -> (StatusCode, Value) {
        let body = serde_json::to_string(events).unwrap();
        self.send_text(key, "application/cloudevents-batch+json", body).await
    }

    pub(crate) async fn send_text(
        &self,
        key: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let request = self.post("/v1/events", key).header("content-type", content_type).body(body);
        read(request.send().await.unwrap()).await
    }

    /// Everything that lies in a topic now.
    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", "test")
            .create()
            .unwrap();
        let partitions = self.topics.specs().into_iter().find(|spec| spec.name == topic).unwrap().partitions;
        let mut list = TopicPartitionList::new();
        let mut expected = 0;
        for partition in 0..partitions {
            let (_, high) = consumer.fetch_watermarks(topic, partition, DEADLINE).unwrap();
            expected += high;
            list.add_partition_offset(topic, partition, Offset::Offset(0)).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut records = Vec::new();
        let end = Instant::now() + DEADLINE;
        while i64::try_from(records.len()).unwrap() < expected {
            assert!(Instant::now() < end, "{} of {expected} records", records.len());
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.unwrap();
            let headers = message.headers().map(|headers| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
            });
            records.push(Record {
                partition: message.partition(),
                key: String::from_utf8(message.key().unwrap_or_default().to_vec()).unwrap(),
                payload: message.payload().unwrap_or_default().to_vec(),
                headers: headers.unwrap_or_default(),
            });
        }
        records
    }

    /// Writes a record to a topic of one partition.
    pub(crate) fn put(&self, topic: &str, key: &str, payload: &[u8]) {
        let mut config = ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", self.mock.bootstrap_servers()).create().unwrap();
        producer.send(BaseRecord::to(topic).key(key).payload(payload)).map_err(|(error, _)| error).unwrap();
        producer.flush(DEADLINE).unwrap();
    }

    /// Writes a record with headers to a topic of one partition.
    pub(crate) fn put_with(&self, topic: &str, key: &str, payload: &[u8], headers: &[(&str, String)]) {
        let mut config = ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", self.mock.bootstrap_servers()).create().unwrap();
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_str()) })
        });
        let record = BaseRecord::to(topic).key(key).payload(payload).headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(DEADLINE).unwrap();
    }

    /// How long the broker takes for an answer; what it is asked already takes as long as was said before.
    pub(crate) fn round_trip(&self, time: Duration) {
        self.mock.broker_round_trip_time(1, time).unwrap();
    }

    pub(crate) fn usage(&self) -> Vec<Record> {
        self.records(&self.topics.usage())
    }

    /// The value of one metric line, by its name with labels.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{line} is not in\n{text}")).parse().unwrap()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // The readers' threads outlive the runtime otherwise.
        self.shutdown.trigger("the test is over");
    }
}

/// Status and JSON body.
pub(crate) async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let is_problem = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let request_id = response.headers().get("x-request-id").map(|value| value.to_str().unwrap().to_owned());
    let bytes = response.bytes().await.unwrap();
    let body: Value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    if is_problem {
        // Holds for every error of every route, so it is checked wherever one is read.
        assert_eq!(content_type.as_deref(), Some("application/problem+json"), "{status} {body}");
        assert_eq!(body["request_id"].as_str(), request_id.as_deref(), "{body}");
        assert_eq!(body["status"], json!(status.as_u16()));
    }
    (status, body)
}

/// A good event of `acc_luna`, just now.
pub(crate) fn event(id: &str) -> Value {
    event_at(id, chrono::Utc::now().timestamp_millis())
}

pub(crate) fn event_at(id: &str, occurred_at_ms: i64) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
           "subject": "acc_luna", "time": rfc3339(occurred_at_ms), "datacontenttype": "application/json",
           "data": {"operation_id": format!("op_{id}"), "attempt": 1, "event_id": "evt_gala", "booth_id": "bth_17",
                    "service": "ai_modify", "engine": "nano_banana_2", "variant": "1k", "unit": "image",
                    "quantity": "1", "status": "success", "provider_cost": "0.067"}})
}

/// The event with one member changed; `pointer` as in JSON Pointer.
pub(crate) fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[member] = value;
    event
}

pub(crate) fn without(mut event: Value, member: &str) -> Value {
    event.as_object_mut().unwrap().remove(member).unwrap();
    event
}
