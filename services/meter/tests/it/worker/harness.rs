//! A meter in this process, on topics of its own, and what goes in and comes out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use prometheus::{Registry, TextEncoder};
use prost::Message as _;
use rdkafka::admin::AdminClient;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::config::{KafkaSection, TopicsSection};
use tollbooth_chassis::kafka::batch::{BatchLimit, BatchReader};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning, Watermarks, partition_for, txn};
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_meter::config::MeterConfig;
use tollbooth_meter::run::{Ended, Meter, prepare_topics};
use tollbooth_meter::verify::{self, VerifyArgs};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::topics::TopicSet;
use tollbooth_schemas::usage::STRUCTURED_CONTENT_TYPE;
use tollbooth_schemas::v1::{
    Command, Entry, LedgerRecord, OpenAccount, OutboxRecord, PostAdjustment, Reply, command::Body,
};

use crate::sink::harness::engines;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition`, at most [`PATIENCE`].
pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Topics, a group, and what a meter is told.
pub(super) struct World {
    pub(super) config: MeterConfig,
    pub(super) clients: KafkaClients,
    pub(super) topics: TopicSet,
    pub(super) runtime: tokio::runtime::Runtime,
    producer: BaseProducer<LogContext>,
}

impl World {
    /// With topics and one price book.
    pub(super) fn new(name: &str, partitions: i32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let config = MeterConfig {
            kafka: KafkaSection {
                bootstrap: engines().kafka.bootstrap().to_owned(),
                topic_prefix: format!("{name}."),
                ..KafkaSection::default()
            },
            topics: TopicsSection { partitions, replication: 1 },
            group: format!("{name}-meter"),
            member_id: "meter-0".to_owned(),
            sink_enabled: false,
            ..MeterConfig::default()
        };
        let clients = KafkaClients::new(config.kafka.clone());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(prepare_topics(&config, &clients)).unwrap();
        let edge = clients.edge_producer(64 * 1024, PATIENCE);
        let producer = BaseProducer::from_config_and_context(&edge, LogContext).unwrap();
        let world = Self { topics: config.topic_set(), config, clients, runtime, producer };
        world.publish("1", &price_book(1, &["basic"], &["nano"]));
        world
    }

    /// The same topics and group for another process, as it were.
    pub(super) fn again(&self) -> Self {
        let edge = self.clients.edge_producer(64 * 1024, PATIENCE);
        Self {
            config: self.config.clone(),
            clients: KafkaClients::new(self.config.kafka.clone()),
            topics: self.topics.clone(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
            producer: BaseProducer::from_config_and_context(&edge, LogContext).unwrap(),
        }
    }

    /// Where a backup of it goes: topics that nobody has made yet, of the next input generation.
    pub(super) fn beside(&self, partitions: i32) -> Self {
        let mut beside = self.again();
        beside.config.kafka.topic_prefix = format!("{}beside.", self.topics.prefix);
        beside.config.topics.partitions = partitions;
        beside.config.input_generation = self.config.input_generation + 1;
        Self { topics: beside.config.topic_set(), clients: KafkaClients::new(beside.config.kafka.clone()), ..beside }
    }

    /// Appends a record and waits for the broker's word.
    pub(super) fn append(&self, topic: &str, partition: i32, key: &str, payload: &[u8]) {
        self.append_all(topic, partition, key, &[payload.to_vec()]);
    }

    pub(super) fn append_all(&self, topic: &str, partition: i32, key: &str, payloads: &[Vec<u8>]) {
        for payload in payloads {
            let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(payload.as_slice());
            if topic == self.topics.usage() {
                let structured = Header { key: "content-type", value: Some(STRUCTURED_CONTENT_TYPE) };
                record = record.headers(OwnedHeaders::new().insert(structured));
            }
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    pub(super) fn publish(&self, key: &str, document: &str) {
        self.append(&self.topics.price_book(), 0, key, document.as_bytes());
    }

    pub(super) fn partition_of(&self, account_id: &str) -> i32 {
        partition_for(account_id.as_bytes(), self.topics.partitions).unwrap()
    }

    /// Some account that belongs to the partition.
    pub(super) fn account_in(&self, partition: i32) -> String {
        (0..).map(|number| format!("acc_{number}")).find(|id| self.partition_of(id) == partition).unwrap()
    }

    pub(super) fn commands(&self, account_id: &str, commands: &[Command]) {
        let payloads: Vec<Vec<u8>> = commands.iter().map(prost::Message::encode_to_vec).collect();
        self.append_all(&self.topics.commands(), self.partition_of(account_id), account_id, &payloads);
    }

    pub(super) fn usage(&self, account_id: &str, events: &[Vec<u8>]) {
        self.append_all(&self.topics.usage(), self.partition_of(account_id), account_id, events);
    }

    /// The audit of the ledger against its inputs.
    pub(super) fn verify(&self) -> verify::Report {
        let args = VerifyArgs { no_clickhouse: true, ..VerifyArgs::default() };
        verify::run(&self.config, args).unwrap()
    }

    /// A producer whose transactions a test leaves open for a while.
    pub(super) fn transactional(&self) -> BaseProducer<LogContext> {
        let config = self.clients.transactional_producer(&format!("{}test", self.topics.prefix));
        let producer = BaseProducer::from_config_and_context(&config, LogContext).unwrap();
        txn::init(&producer, PATIENCE).unwrap();
        producer
    }

    pub(super) fn end_of(&self, topic: &str, partition: i32) -> i64 {
        Watermarks::new(&self.clients).unwrap().ask(topic, partition, PATIENCE).unwrap().1
    }

    /// Deletes the beginning of a partition.
    pub(super) fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let admin = AdminClient::from_config_and_context(&self.clients.base(), LogContext).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        let deleted = self.runtime.block_on(admin.delete_records(&list, &rdkafka::admin::AdminOptions::new()));
        deleted.unwrap().find_partition(topic, partition).unwrap().error().unwrap();
    }

    /// Every committed record of a partition, with `of` applied.
    pub(super) fn read<T>(
        &self,
        topic: &str,
        partition: i32,
        mut of: impl FnMut(tollbooth_chassis::kafka::batch::Record<'_>) -> T,
    ) -> Vec<T> {
        let mut reader = BatchReader::new(&self.clients.reader("test", ReaderTuning::default())).unwrap();
        let (low, end) = reader.watermarks(topic, partition, PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(low)).unwrap();
        reader.assign(&list).unwrap();
        let (mut all, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        while reader.position(topic, partition).unwrap().unwrap() < end {
            assert!(Instant::now() < deadline, "{topic} is read to its end");
            let limit = BatchLimit { records: 10_000, bytes: 1 << 24 };
            all.extend(reader.read(limit, Duration::from_millis(20)).unwrap().iter().map(&mut of));
        }
        all
    }

    /// Entries of an account, in order.
    pub(super) fn entries(&self, account_id: &str) -> Vec<Entry> {
        let records = self.read(&self.topics.ledger(), self.partition_of(account_id), |record| {
            LedgerRecord::decode(record.payload().unwrap()).unwrap()
        });
        records.into_iter().filter(|record| record.account_id == account_id).flat_map(|record| record.entries).collect()
    }

    /// Reasons of the dead letters.
    /// What was decided for somebody else to carry out, of an account.
    pub(super) fn outbox(&self, account_id: &str) -> Vec<OutboxRecord> {
        let partition = self.partition_of(account_id);
        let all = self.read(&self.topics.outbox(), partition, |record| {
            assert_eq!(record.key(), Some(account_id.as_bytes()));
            OutboxRecord::decode(record.payload().unwrap()).unwrap()
        });
        all.into_iter().filter(|record| record.account_id == account_id).collect()
    }

    pub(super) fn dead_letters(&self) -> Vec<String> {
        self.read(&self.topics.dead_letter(), 0, |record| {
            String::from_utf8(record.header(header::REASON).unwrap().to_vec()).unwrap()
        })
    }

    /// Codes of what was rejected, and empty for what was accepted, by the command's correlation id.
    pub(super) fn replies(&self) -> BTreeMap<String, String> {
        use tollbooth_schemas::v1::reply::Outcome;
        let replies = self.read(&self.topics.replies(), 0, |record| Reply::decode(record.payload().unwrap()).unwrap());
        let code = |reply: &Reply| match reply.outcome.as_ref().unwrap() {
            Outcome::Accepted(_) => String::new(),
            Outcome::Rejected(why) => why.code.clone(),
        };
        replies.into_iter().map(|reply| (reply.correlation_id.clone(), code(&reply))).collect()
    }

    /// What was missing where a hold was refused, in micro-units.
    pub(super) fn missing(&self) -> Vec<i64> {
        use tollbooth_schemas::v1::reply::Outcome;
        let replies = self.read(&self.topics.replies(), 0, |record| Reply::decode(record.payload().unwrap()).unwrap());
        let missing = |reply: Reply| match reply.outcome {
            Some(Outcome::Rejected(why)) => Some(why.missing_micros).filter(|missing| *missing != 0),
            _ => None,
        };
        replies.into_iter().filter_map(missing).collect()
    }

    pub(super) fn start(&self) -> Running {
        let (registry, health, shutdown) = (Registry::new(), Health::new(), Shutdown::new());
        let meter = self.runtime.block_on(Meter::prepare(&self.config, &registry, &health)).unwrap();
        let ended = meter.start(&shutdown).unwrap();
        Running { meter, ended, registry, health, shutdown }
    }

    /// Runs a meter until `condition`.
    pub(super) fn run_until(&self, what: &str, condition: impl FnMut() -> bool) {
        let running = self.start();
        wait_until(what, condition);
        running.stop();
    }
}

/// A meter at work.
pub(super) struct Running {
    meter: Meter,
    ended: Ended,
    registry: Registry,
    health: Health,
    pub(super) shutdown: Shutdown,
}

impl Running {
    /// What `/readyz` says about a component; `None` where there is none.
    pub(super) fn component(&self, name: &str) -> Option<String> {
        self.health.readiness().components.get(name).cloned()
    }

    /// Whether `/metrics` has that line.
    pub(super) fn shows(&self, line: &str) -> bool {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        text.lines().any(|found| found == line)
    }

    /// Whether `/metrics` has a line of that metric with so high a value.
    pub(super) fn is_at_least(&self, name: &str, least: i64) -> bool {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
        values.filter_map(|(_, value)| value.parse::<i64>().ok()).any(|value| value >= least)
    }

    /// Ends it in order.
    pub(super) fn stop(self) {
        self.shutdown.trigger("test");
        self.ended.wait().unwrap();
        self.meter.close();
    }
}

/// A price of 0.20 for an image of each engine on each plan.
pub(super) fn price_book(version: u32, plans: &[&str], engines: &[&str]) -> String {
    let of_plans: BTreeMap<&str, &str> = plans.iter().map(|plan| (*plan, "0.20")).collect();
    let price = |engine: &&str| {
        serde_json::json!({"service": "ai_modify", "engine": engine, "unit": "image", "model": "per_unit",
                           "plans": of_plans})
    };
    let named = |code: &&str| serde_json::json!({"code": code, "name": code});
    let plan = |code: &&str| serde_json::json!({"code": code, "name": code, "monthly_fee": "0"});
    serde_json::json!({
        "version": version, "currency": "USD", "effective_from": "2020-01-01T00:00:00Z",
        "plans": plans.iter().map(plan).collect::<Vec<_>>(),
        "services": [{"code": "ai_modify", "name": "AI Modify"}],
        "engines": engines.iter().map(named).collect::<Vec<_>>(),
        "prices": engines.iter().map(price).collect::<Vec<_>>()
    })
    .to_string()
}

/// One image, successful, done now.
pub(super) fn image(account_id: &str, operation: &str, engine: &str) -> Vec<u8> {
    image_of(account_id, operation, engine, None, None)
}

/// The same, for an event and with a hold.
pub(super) fn image_of(
    account_id: &str,
    operation: &str,
    engine: &str,
    event_id: Option<&str>,
    hold_id: Option<&str>,
) -> Vec<u8> {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let event = serde_json::json!({
        "specversion": "1.0", "id": operation, "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
        "subject": account_id, "time": rfc3339(i64::try_from(now_ms).unwrap()),
        "data": {"operation_id": operation, "attempt": 1, "booth_id": "bth_17", "service": "ai_modify",
                 "engine": engine, "unit": "image", "quantity": "1", "status": "success", "event_id": event_id,
                 "hold_id": hold_id}
    });
    event.to_string().into_bytes()
}

pub(super) fn command(account_id: &str, key: &str, body: Body) -> Command {
    Command {
        account_id: account_id.to_owned(),
        idempotency_key: key.to_owned(),
        actor: "key_root".to_owned(),
        reply_to: "ingest-0".to_owned(),
        correlation_id: key.to_owned(),
        body: Some(body),
        ..Command::default()
    }
}

pub(super) fn open(account_id: &str, key: &str, plan: &str) -> Command {
    let opening = OpenAccount {
        name: account_id.to_owned(),
        plan: plan.to_owned(),
        currency: "USD".to_owned(),
        time_zone: "UTC".to_owned(),
        occurred_at_ms: None,
    };
    command(account_id, key, Body::OpenAccount(opening))
}

pub(super) fn credit(account_id: &str, key: &str) -> Command {
    let adjustment = PostAdjustment {
        amount_micros: 1_000_000,
        reason: "top_up".to_owned(),
        note: String::new(),
        occurred_at_ms: None,
    };
    command(account_id, key, Body::PostAdjustment(adjustment))
}
