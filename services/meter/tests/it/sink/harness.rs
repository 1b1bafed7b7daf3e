//! One Kafka and one ClickHouse for all tests; each test has topics, groups and a database of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus::Registry;
use prost::Message;
use rdkafka::admin::AdminClient;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{BaseProducer, BaseRecord};
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning, TopicSpec, batch, ensure_topics, txn};
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_local::{ClickHouseOptions, Engines, KafkaOptions};
use tollbooth_meter::sink::block::{Block, BlockLimits, Queue, Range};
use tollbooth_meter::sink::store::Store;
use tollbooth_meter::sink::{self, Binding, SinkConfig, SinkError, SinkOptions};
use tollbooth_schemas::topics::TopicSet;
use tollbooth_schemas::v1;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-11-21T20:15:00Z.
pub(super) const NOON: i64 = 1_795_292_100_000;

static ENGINES: OnceLock<Engines> = OnceLock::new();

pub(crate) fn engines() -> &'static Engines {
    ENGINES.get_or_init(|| {
        // Shown for a failed test only; a second subscriber is refused, which is fine.
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_test_writer().try_init().ok();
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // A static is never dropped: what earlier runs left is removed here.
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix("meter-it-").map(|pid| PathBuf::from(format!("/proc/{pid}")));
            if owner.is_some_and(|process| !process.exists()) {
                fs::remove_dir_all(entry.path()).ok();
            }
        }
        let dir = base.join(format!("meter-it-{}", std::process::id()));
        let kafka = KafkaOptions { heap_mb: 384, ..KafkaOptions::new(dir.join("kafka")) };
        Engines::start_with(kafka, ClickHouseOptions::new(dir.join("clickhouse"))).unwrap()
    })
}

/// Waits until `condition`, at most [`PATIENCE`].
pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Topics, groups and a database.
pub(super) struct World {
    pub(super) options: SinkOptions,
    pub(super) clients: KafkaClients,
    pub(super) binding: Binding,
    pub(super) runtime: tokio::runtime::Runtime,
    producer: BaseProducer<LogContext>,
}

impl World {
    /// With `partitions` of the ledger; nothing is migrated or written yet.
    pub(super) fn new(name: &str, partitions: i32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let kafka = KafkaSection {
            bootstrap: engines().kafka.bootstrap().to_owned(),
            topic_prefix: format!("{name}."),
            ..KafkaSection::default()
        };
        let clients = KafkaClients::new(kafka.clone());
        let topics = TopicSet { prefix: kafka.topic_prefix.clone(), partitions };
        let specs: Vec<TopicSpec> = topics
            .specs()
            .into_iter()
            .filter(|spec| [topics.ledger(), topics.sink_lease()].contains(&spec.name))
            .map(|spec| TopicSpec {
                name: spec.name,
                partitions: spec.partitions,
                replication: 1,
                config: spec.config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            })
            .collect();
        let admin = AdminClient::from_config_and_context(&clients.base(), LogContext).unwrap();
        runtime.block_on(ensure_topics(&admin, &specs)).unwrap();
        let sink = SinkConfig {
            lease_group: format!("{name}-lease"),
            offsets_group: format!("{name}-offsets"),
            block_interval_ms: 100,
            retry_pause_max_ms: 200,
            ..SinkConfig::default()
        };
        let clickhouse = ClickHouseSection {
            url: engines().clickhouse.url().to_owned(),
            database: name.clone(),
            ..ClickHouseSection::default()
        };
        let mut config = clients.transactional_producer(&format!("{name}-test"));
        config.set("linger.ms", "0");
        let producer = BaseProducer::from_config_and_context(&config, LogContext).unwrap();
        txn::init(&producer, PATIENCE).unwrap();
        let binding = sink::binding(&clients, &topics.ledger()).unwrap();
        Self {
            options: SinkOptions { sink, kafka, clickhouse, instance_id: "sink-0".to_owned() },
            clients,
            binding,
            runtime,
            producer,
        }
    }

    pub(super) fn database(&self) -> &str {
        &self.options.clickhouse.database
    }

    pub(super) fn store(&self) -> Store {
        Store::new(&self.options.clickhouse, &self.options.sink)
    }

    pub(super) fn migrate(&self) {
        let store = self.store();
        self.runtime.block_on(sink::migrate::migrate(store.client(), self.database(), &self.binding)).unwrap();
    }

    /// Keeps old rows of `sunk_ranges` from being replaced, for a test that looks at them.
    pub(super) fn keep_all_ranges(&self) {
        self.query("SYSTEM STOP MERGES {db}.sunk_ranges");
    }

    /// Runs a statement against the test's database; `{db}` stands for its name.
    pub(super) fn query(&self, sql: &str) -> String {
        engines().clickhouse.query(&sql.replace("{db}", self.database())).unwrap().trim().to_owned()
    }

    pub(super) fn count(&self, sql: &str) -> u64 {
        self.query(sql).parse().unwrap()
    }

    /// Writes records into partitions in one transaction.
    pub(super) fn write(&self, records: &[(i32, Vec<u8>)], is_committed: bool) {
        txn::begin(&self.producer).unwrap();
        for (partition, bytes) in records {
            let record = BaseRecord::<(), [u8]>::to(&self.binding.ledger_topic).partition(*partition).payload(bytes);
            self.producer.send(record).unwrap();
        }
        // Also what is aborted must be in the log, or there would be nothing to skip.
        txn::drain(&self.producer);
        if is_committed { txn::commit(&self.producer).unwrap() } else { txn::abort(&self.producer).unwrap() }
    }

    /// Writes `records`, committed, and before and behind them records that are aborted.
    pub(super) fn write_between_aborted(&self, records: &[v1::LedgerRecord]) {
        let placed: Vec<(i32, Vec<u8>)> =
            records.iter().map(|record| (self.partition_of(record), record.encode_to_vec())).collect();
        self.write(&placed, false);
        self.write(&placed, true);
        self.write(&placed[..1], false);
    }

    fn partition_of(&self, record: &v1::LedgerRecord) -> i32 {
        tollbooth_chassis::kafka::partition_for(record.account_id.as_bytes(), self.binding.partitions).unwrap()
    }

    /// What the log holds from `begins` on, as one block: what the sink would do, by hand.
    pub(super) fn read_block(&self, begins: &[i64], records: usize) -> Block {
        let mut queue = Queue::new(&self.binding.cluster_id, &self.binding.ledger_topic, begins);
        let mut reader =
            batch::BatchReader::new(&self.clients.reader(&self.options.sink.offsets_group, ReaderTuning::default()))
                .unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        for (partition, begin) in (0..).zip(begins) {
            let offset = rdkafka::Offset::Offset(*begin);
            list.add_partition_offset(&self.binding.ledger_topic, partition, offset).unwrap();
        }
        reader.assign(&list).unwrap();
        let mut read = 0;
        wait_until("records arrive", || {
            let limit = batch::BatchLimit { records: records - read, bytes: usize::MAX };
            for record in reader.read(limit, Duration::from_millis(20)).unwrap().iter() {
                queue.push(record.partition(), record.offset(), record.payload().unwrap()).unwrap();
                read += 1;
            }
            read == records
        });
        queue.cut(BlockLimits { rows: 100_000, bytes: 32 << 20 }).unwrap().unwrap()
    }

    /// Commits offsets and intents as the sink does; whoever did before is fenced.
    pub(super) fn commit(&self, ranges: &[Range]) {
        self.commit_by(&self.fence(), ranges).unwrap();
    }

    /// The producer that a sink commits with, and which fences the one before.
    pub(super) fn fence(&self) -> BaseProducer<LogContext> {
        let transactional_id = self.options.sink.transactional_id(&self.binding.ledger_topic);
        let config = self.clients.transactional_producer(&transactional_id);
        let producer = BaseProducer::from_config_and_context(&config, LogContext).unwrap();
        txn::init(&producer, PATIENCE).unwrap();
        producer
    }

    pub(super) fn commit_by(&self, producer: &BaseProducer<LogContext>, ranges: &[Range]) -> Result<(), SinkError> {
        let group = self.reader().group_metadata().unwrap();
        sink::offsets::commit(producer, &group, &self.binding.ledger_topic, ranges)
    }

    pub(super) fn committed(&self) -> Option<Vec<Range>> {
        sink::offsets::committed(&self.reader(), &self.binding.ledger_topic, self.binding.partitions).unwrap()
    }

    fn reader(&self) -> batch::BatchReader {
        let config = self.clients.reader(&self.options.sink.offsets_group, ReaderTuning::default());
        batch::BatchReader::new(&config).unwrap()
    }

    pub(super) fn forget_offsets(&self) {
        let admin = AdminClient::from_config_and_context(&self.clients.base(), LogContext).unwrap();
        let group = self.options.sink.offsets_group.as_str();
        let options = rdkafka::admin::AdminOptions::new();
        let outcome = self.runtime.block_on(admin.delete_groups(&[group], &options)).unwrap();
        outcome[0].as_ref().unwrap();
    }

    /// Starts the sink on a thread.
    pub(super) fn start(&self) -> Running {
        Self::start_with(self.options.clone())
    }

    /// Starts another one of this world.
    pub(super) fn start_with(options: SinkOptions) -> Running {
        let (registry, shutdown) = (Registry::new(), Shutdown::new());
        let (thread_registry, thread_shutdown) = (registry.clone(), shutdown.clone());
        let thread =
            std::thread::spawn(move || sink::run(&options, &thread_registry, &Health::new(), &thread_shutdown));
        Running { registry, shutdown, thread }
    }

    /// Runs the sink until the ledger table has `rows`, then stops it.
    pub(super) fn sink_until(&self, rows: u64) {
        let running = self.start();
        self.wait_for_rows(rows);
        running.stop().unwrap();
    }

    pub(super) fn wait_for_rows(&self, rows: u64) {
        let exists = "SELECT count() FROM system.tables WHERE database = '{db}' AND name = 'sunk_ranges'";
        wait_until("the tables exist", || self.count(exists) == 1);
        wait_until(&format!("{rows} rows arrive"), || self.count("SELECT count() FROM {db}.ledger") >= rows);
    }

    /// Every table says what the ledger's records say: `rows` of them, none twice, and all rollups their sums.
    pub(super) fn assert_exact(&self, rows: u64) {
        assert_eq!(self.count("SELECT count() FROM {db}.ledger"), rows, "rows of ledger");
        assert_eq!(self.count("SELECT uniqExact(account_id, seq) FROM {db}.ledger"), rows, "distinct entries");
        for (table, key, filter) in [
            ("usage_15m_by_account", "account_id", "1"),
            ("usage_15m_by_event", "account_id, event_id", "event_id != ''"),
            ("usage_15m_by_booth", "account_id, booth_id", "booth_id != ''"),
        ] {
            let differing = self.query(&rollup_difference(table, key, filter));
            assert_eq!(differing, "0", "rows of {table} that differ from the ledger");
        }
        let balances = "SELECT count() FROM (
            SELECT account_id, max(latest).seq, max(latest).balance, max(latest).held FROM {db}.account_balances GROUP BY 1
            EXCEPT SELECT account_id, max(seq), argMax(balance_after, seq), argMax(held_after, seq) FROM {db}.ledger GROUP BY 1)";
        assert_eq!(self.query(balances), "0", "rows of account_balances that differ from the ledger");
        let accounts = "SELECT uniqExact(account_id) FROM {db}.";
        assert_eq!(self.count(&format!("{accounts}account_balances")), self.count(&format!("{accounts}ledger")));
    }
}

/// Rows that stand on one side only, or differ in a sum. The ledger is added up in 256 bits, independently of the views.
fn rollup_difference(table: &str, key: &str, filter: &str) -> String {
    let keys = format!("{key}, bucket, type, service, engine, variant, plan, status");
    format!(
        "WITH
            rollup AS (SELECT {keys}, toInt64(sum(count)) AS c, toInt64(sum(failed)) AS f, toString(sum(t.quantity)) AS q,
                              toString(sum(t.amount)) AS a, toString(sum(t.provider_cost)) AS p
                       FROM {{db}}.{table} AS t GROUP BY {keys}),
            entries AS (SELECT {keys}, toInt64(countIf(status != 'failed')) AS c, toInt64(countIf(status = 'failed')) AS f,
                              toString(sum(toDecimal256(l.quantity, 6))) AS q, toString(sum(toDecimal256(l.amount, 6))) AS a,
                              toString(sum(toDecimal256(l.provider_cost, 6))) AS p
                       FROM (SELECT *, toDateTime(intDiv(toUnixTimestamp64Milli(occurred_at), 900000) * 900, 'UTC') AS bucket
                             FROM {{db}}.ledger WHERE {filter} AND type NOT IN ('account_opened', 'plan_changed')) AS l
                       GROUP BY {keys})
         SELECT (SELECT count() FROM (SELECT * FROM rollup EXCEPT SELECT * FROM entries))
              + (SELECT count() FROM (SELECT * FROM entries EXCEPT SELECT * FROM rollup))"
    )
}

/// A sink at work.
pub(super) struct Running {
    registry: Registry,
    shutdown: Shutdown,
    pub(super) thread: JoinHandle<Result<(), SinkError>>,
}

impl Running {
    /// The sum of a metric over its labels; 0 where it is not there yet.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let value =
            |metric: &prometheus::proto::Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
        family.map_or(0.0, |family| family.get_metric().iter().map(value).sum())
    }

    /// Whether it holds itself for the active one.
    pub(super) fn is_active(&self) -> bool {
        self.metric("tollbooth_sink_active") > 0.0
    }

    /// Whether a metric is there at all.
    pub(super) fn tells(&self, name: &str) -> bool {
        self.registry.gather().iter().any(|family| family.name() == name)
    }

    /// Its metrics, also for when it has ended.
    pub(super) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Ends it in order.
    pub(super) fn stop(self) -> Result<(), SinkError> {
        self.shutdown.trigger("test");
        self.thread.join().unwrap()
    }
}

/// Entries of one account: opened, then usage of every colour.
pub(super) fn account(id: &str, posted_at_ms: i64, usages: u64) -> v1::LedgerRecord {
    let mut entries = vec![opened(id)];
    let mut balance = 0;
    for index in 0..usages {
        let entry = usage(index + 2, &mut balance, posted_at_ms - 900_000 + i64::try_from(index).unwrap() * 7_000);
        entries.push(entry);
    }
    v1::LedgerRecord { account_id: id.to_owned(), posted_at_ms, input_generation: 1, entries }
}

pub(super) fn opened(name: &str) -> v1::Entry {
    v1::Entry {
        seq: 1,
        occurred_at_ms: NOON,
        source_topic: v1::SourceTopic::Commands.into(),
        command: Some(v1::CommandRef {
            idempotency_key: "open".to_owned(),
            body_hash: vec![1; 16],
            actor: "key_a".to_owned(),
        }),
        kind: Some(v1::entry::Kind::AccountOpened(v1::AccountOpened {
            name: name.to_owned(),
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
        })),
        ..v1::Entry::default()
    }
}

pub(super) fn usage(seq: u64, balance: &mut i64, occurred_at_ms: i64) -> v1::Entry {
    let failed = seq.is_multiple_of(5);
    let amount_micros = if failed { 0 } else { -240_000 };
    *balance += amount_micros;
    let status = if failed { v1::UsageStatus::Failed } else { v1::UsageStatus::Success };
    v1::Entry {
        seq,
        amount_micros,
        balance_after_micros: *balance,
        held_after_micros: 0,
        from_bonus_micros: 0,
        occurred_at_ms,
        source_topic: v1::SourceTopic::Usage.into(),
        source_offset: i64::try_from(seq).unwrap(),
        command: None,
        kind: Some(v1::entry::Kind::Usage(v1::Usage {
            status: status.into(),
            operation_id: format!("op_{seq:08}"),
            attempt: 1,
            service: "ai_modify".to_owned(),
            engine: if seq.is_multiple_of(3) { "grok_imagine" } else { "nano_banana_2" }.to_owned(),
            unit: "image".to_owned(),
            quantity_micros: 1_000_000,
            event_id: if seq.is_multiple_of(7) { String::new() } else { format!("evt_{}", seq % 2) },
            booth_id: format!("bth_{}", seq % 3),
            plan: "basic".to_owned(),
            price_version: if failed { 0 } else { 1 },
            price_model: v1::PriceModel::PerUnit.into(),
            unit_price_micros: 240_000,
            provider_cost_micros: seq.is_multiple_of(2).then_some(67_000),
            error_code: if failed { "provider_timeout".to_owned() } else { String::new() },
            received_at_ms: occurred_at_ms + 400,
            captured_at_ms: seq.is_multiple_of(4).then_some(occurred_at_ms - 5_000),
            ..v1::Usage::default()
        })),
    }
}
