//! Engines, a service under test, and the hands of meter and sink.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clickhouse::Client;
use prost::Message;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection, Secret};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning, TopicSpec, ensure_topics, partition_for};
use tollbooth_local::Engines;
use tollbooth_query::config::{AnswersSection, QueryConfig};
use tollbooth_schemas::clickhouse::{BOOKKEEPING, MIGRATIONS, Migration};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::keys::{ApiKey, KeyDocument, KeyKind, registry_key};
use tollbooth_schemas::topics::{SINK_OFFSETS_GROUP, TopicSet};
use tollbooth_schemas::v1::LedgerRecord;

pub(crate) use crate::ledger::{Ledger, usage};
pub(crate) use crate::query::Query;
use crate::rows::row;

pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// 2026-10-20T00:00:00Z
pub(crate) const BASE_MS: i64 = 1_792_454_400_000;

fn engines() -> &'static Engines {
    static ENGINES: OnceLock<(Engines, tempfile::TempDir)> = OnceLock::new();
    &ENGINES
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            (Engines::start(dir.path()).unwrap(), dir)
        })
        .0
}

/// One test's world.
pub(crate) struct Stand {
    pub(crate) topics: TopicSet,
    pub(crate) database: String,
    pub(crate) admin_key: ApiKey,
    pub(crate) cluster_id: String,
    clients: KafkaClients,
    producer: ThreadedProducer<LogContext>,
    pub(crate) clickhouse: Client,
}

impl Stand {
    /// Topics and tables, both empty.
    pub(crate) async fn new() -> Self {
        Self::with_schema(u32::MAX).await
    }

    /// The same, with tables as they were after this migration.
    pub(crate) async fn with_schema(newest: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let engines = tokio::task::spawn_blocking(engines).await.unwrap();
        let prefix = format!("q{}x{number}.", std::process::id());
        let database = format!("q{}x{number}", std::process::id());
        let section = KafkaSection {
            bootstrap: engines.kafka.bootstrap().to_owned(),
            topic_prefix: prefix.clone(),
            ..KafkaSection::default()
        };
        let clients = KafkaClients::new(section);
        let topics = TopicSet { prefix, partitions: PARTITIONS };
        let admin = AdminClient::from_config_and_context(&clients.base(), LogContext).unwrap();
        let names = [
            topics.ledger(),
            topics.registry(),
            topics.price_book(),
            topics.audit(),
            topics.key_usage(),
            topics.ended_sessions(),
        ];
        create_topics(&admin, &topics, &names).await;
        engines.clickhouse.create_database(&database).unwrap();
        let clickhouse = Client::default().with_url(engines.clickhouse.url()).with_database(&database);
        let metadata = clients.reader("metadata", ReaderTuning::default());
        let metadata: BaseConsumer<LogContext> = BaseConsumer::from_config_and_context(&metadata, LogContext).unwrap();
        let cluster_id = metadata.client().fetch_cluster_id(DEADLINE).unwrap();
        let mut producer = clients.edge_producer(64 * 1024, DEADLINE);
        producer.set("linger.ms", "0");
        let producer = ThreadedProducer::from_config_and_context(&producer, LogContext).unwrap();
        let admin_key = ApiKey::generate(KeyKind::Admin, false, &[9; 64]).unwrap();
        let stand = Self { topics, database, admin_key, cluster_id, clients, producer, clickhouse };
        stand.migrate(&[BOOKKEEPING]).await;
        stand.migrate(known(|version| version <= newest)).await;
        stand.bind(&stand.cluster_id, &stand.topics.ledger()).await;
        stand
    }

    /// Applies migrations, and writes down that they were, as the sink does.
    pub(crate) async fn migrate(&self, migrations: &[Migration]) {
        for migration in migrations {
            for statement in migration.statements() {
                self.clickhouse.query_raw(&statement).execute().await.unwrap();
            }
            let Migration { version, name, .. } = migration;
            let row = format!("INSERT INTO schema_migrations (version, name) VALUES ({version}, '{name}')");
            self.clickhouse.query_raw(&row).execute().await.unwrap();
        }
    }

    /// Binds the database to a ledger, as the sink does.
    pub(crate) async fn bind(&self, cluster_id: &str, ledger_topic: &str) {
        for sql in [
            "TRUNCATE TABLE projection".to_owned(),
            format!(
                "INSERT INTO projection (kafka_cluster_id, ledger_topic, partitions) \
                 VALUES ('{cluster_id}', '{ledger_topic}', {PARTITIONS})"
            ),
        ] {
            self.clickhouse.query_raw(&sql).execute().await.unwrap();
        }
    }

    /// Something for every route to answer: two accounts, one of which was charged, a dead letter, and prices.
    pub(crate) async fn furnish(&self) {
        let mut luna = Ledger::open("acc_luna");
        luna.charge(1);
        self.post(&luna.records);
        self.sink(&luna.records).await;
        self.post(&Ledger::open("acc_sol").records);
        self.create_topics(&[self.topics.dead_letter()]).await;
        self.letter(7, "no_price", b"{}");
        self.publish(&self.topics.price_book(), "1", include_bytes!("../../../../deploy/local/price-book.json"));
    }

    /// For what is done to topics.
    pub(crate) fn admin(&self) -> AdminClient<LogContext> {
        AdminClient::from_config_and_context(&self.clients.base(), LogContext).unwrap()
    }

    /// Creates those of the usual topics that have one of these names.
    pub(crate) async fn create_topics(&self, names: &[String]) {
        create_topics(&self.admin(), &self.topics, names).await;
    }

    /// Deletes a topic, and waits until it is gone.
    pub(crate) async fn delete_topic(&self, name: &str) {
        let admin = self.admin();
        admin.delete_topics(&[name], &AdminOptions::new()).await.unwrap();
        let gone = async || {
            let metadata = admin.inner().fetch_metadata(Some(name), DEADLINE).unwrap();
            metadata.topics().iter().all(|topic| topic.partitions().is_empty())
        };
        until("the topic is gone", gone).await;
    }

    pub(crate) fn config(&self) -> QueryConfig {
        QueryConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ops_listen: "127.0.0.1:0".parse().unwrap(),
            admin_key: Secret::new(self.admin_key.reveal()),
            kafka: self.clients.section().clone(),
            clickhouse: ClickHouseSection {
                url: engines().clickhouse.url().to_owned(),
                database: self.database.clone(),
                ..ClickHouseSection::default()
            },
            // A test says itself what is kept: rows appear in its tables without a word of the sink.
            answers: AnswersSection {
                fresh_ms: 0,
                fleet_fresh_ms: 0,
                ahead_accounts_max: 0,
                ..AnswersSection::default()
            },
            ..QueryConfig::default()
        }
    }

    /// A service with the usual settings, once it is ready.
    pub(crate) async fn query(&self) -> Query {
        Query::start(self.config(), &self.admin_key).await
    }

    /// Puts records on the ledger as the meter does, and waits until the brokers have them.
    pub(crate) fn post(&self, records: &[LedgerRecord]) {
        let topic = self.topics.ledger();
        for record in records {
            let bytes = record.encode_to_vec();
            let message = BaseRecord::to(&topic).key(&record.account_id).payload(&bytes);
            self.producer.send(message).map_err(|(error, _)| error).unwrap();
        }
        self.drain();
    }

    /// The binding's own flush waits in steps of 100 ms.
    fn drain(&self) {
        let started = Instant::now();
        while self.producer.in_flight_count() > 0 {
            assert!(started.elapsed() < DEADLINE, "the brokers do not acknowledge");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The same with headers.
    pub(crate) fn publish_with(&self, topic: &str, key: &str, payload: &[u8], headers: OwnedHeaders) {
        let record = BaseRecord::to(topic).key(key).payload(payload).headers(headers);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.drain();
    }

    /// A dead letter of `tollbooth.usage` 0/`offset`.
    pub(crate) fn letter(&self, offset: i64, reason: &str, payload: &[u8]) {
        let own = [
            ("content-type", "application/cloudevents+json"),
            (header::REASON, reason),
            (header::STEP, "apply"),
            (header::DETAIL, "what is wrong"),
            (header::RECEIVED_AT, "2026-11-21T20:15:03.398Z"),
            (header::DEAD_AT, "2026-11-21T20:15:03.410Z"),
        ];
        self.of_letter(offset, payload, &own);
    }

    /// What became of it when it was driven again, or dismissed: then `reason` is the note.
    pub(crate) fn redriven(&self, offset: i64, outcome: &str, reason: &str) {
        let own = [
            (header::OUTCOME, outcome),
            (header::REASON, if outcome == "dismissed" { "" } else { reason }),
            (header::DETAIL, reason),
            (header::REDRIVEN_BY, "key_root"),
            (header::REDRIVEN_AT, "2026-11-22T09:00:03.120Z"),
            (header::ENTRY, if outcome == "posted" { "ent_acc_luna_9" } else { "" }),
        ];
        self.of_letter(offset, b"", &own);
    }

    fn of_letter(&self, offset: i64, payload: &[u8], own: &[(&str, &str)]) {
        let offset = offset.to_string();
        let source = [
            (header::SOURCE_TOPIC, "tollbooth.usage"),
            (header::SOURCE_PARTITION, "0"),
            (header::SOURCE_OFFSET, offset.as_str()),
        ];
        let headers = own
            .iter()
            .chain(&source)
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        self.publish_with(&self.topics.dead_letter(), "acc_luna", payload, headers);
    }

    /// Puts a document on a topic with one partition.
    pub(crate) fn publish(&self, topic: &str, key: &str, payload: &[u8]) {
        self.producer.send(BaseRecord::to(topic).key(key).payload(payload)).map_err(|(error, _)| error).unwrap();
        self.drain();
    }

    /// A key of the registry.
    pub(crate) fn issue(&self, kind: KeyKind, account: &str, seed: u8) -> ApiKey {
        self.publish_key(kind, account, seed, None)
    }

    /// Revokes the key that [`issue`](Self::issue) made of the same arguments.
    pub(crate) fn revoke(&self, kind: KeyKind, account: &str, seed: u8) {
        self.publish_key(kind, account, seed, Some(BASE_MS));
    }

    fn publish_key(&self, kind: KeyKind, account: &str, seed: u8, revoked_at: Option<i64>) -> ApiKey {
        self.issue_with(kind, account, seed, |document| document.revoked_at = revoked_at)
    }

    /// As [`issue`](Self::issue), with a document that is changed before.
    pub(crate) fn issue_with(
        &self,
        kind: KeyKind,
        account: &str,
        seed: u8,
        adjust: impl FnOnce(&mut KeyDocument),
    ) -> ApiKey {
        let key = ApiKey::generate(kind, false, &[seed; 64]).unwrap();
        let (prefix, last_four) = key.hint();
        let mut document = KeyDocument {
            key_id: format!("key_{seed}").parse().unwrap(),
            kind,
            hash: key.hash(),
            prefix,
            last_four,
            account_id: Some(account.parse().unwrap()),
            booth_id: None,
            label: None,
            created_at: BASE_MS,
            revoked_at: None,
            expires_at: None,
            scopes: Vec::new(),
            replaced_by: None,
            replaces: None,
            first_key_id: None,
        };
        adjust(&mut document);
        let payload = serde_json::to_vec(&document).unwrap();
        self.publish(&self.topics.registry(), &registry_key(&document.key_id), &payload);
        key
    }

    /// Puts rows into ClickHouse as the sink does.
    pub(crate) async fn sink(&self, records: &[LedgerRecord]) {
        let rows: Vec<String> = records
            .iter()
            .flat_map(|record| record.entries.iter().map(move |entry| row(record, entry).to_string()))
            .collect();
        for chunk in rows.chunks(5_000) {
            let sql = format!("INSERT INTO ledger FORMAT JSONEachRow\n{}", chunk.join("\n"));
            self.clickhouse.query_raw(&sql).execute().await.unwrap();
        }
    }

    /// Writes down and commits the sink's offsets: everything on the ledger now is sunk.
    pub(crate) async fn commit_all(&self) {
        self.write_ranges(0).await;
        self.commit_offsets(SINK_OFFSETS_GROUP);
    }

    /// Writes a row of `sunk_ranges` that ends `short` offsets before the end of every partition that has as many.
    pub(crate) async fn write_ranges(&self, short: i64) {
        let ends = self.ends().into_iter().map(|end| (end - short).max(0));
        let ranges: Vec<String> =
            (0..PARTITIONS).zip(ends).map(|(number, end)| format!("({number}, 0, {end})")).collect();
        let sql = format!(
            "INSERT INTO sunk_ranges (position, token, ranges, rows) \
             SELECT (SELECT max(position) + 1 FROM sunk_ranges), 'token', [{}], 0",
            ranges.join(", ")
        );
        self.clickhouse.query_raw(&sql).execute().await.unwrap();
    }

    fn ends(&self) -> Vec<i64> {
        let config = self.clients.reader("metadata", ReaderTuning::default());
        let consumer: BaseConsumer<LogContext> = BaseConsumer::from_config_and_context(&config, LogContext).unwrap();
        let topic = self.topics.ledger();
        (0..PARTITIONS).map(|number| consumer.fetch_watermarks(&topic, number, DEADLINE).unwrap().1).collect()
    }

    /// Commits the end of every partition as `group`.
    pub(crate) fn commit_offsets(&self, group: &str) {
        let config = self.clients.reader(group, ReaderTuning::default());
        let consumer: BaseConsumer<LogContext> = BaseConsumer::from_config_and_context(&config, LogContext).unwrap();
        let mut offsets = TopicPartitionList::new();
        let topic = self.topics.ledger();
        for (partition, high) in (0..PARTITIONS).zip(self.ends()) {
            let mut element = offsets.add_partition(&topic, partition);
            element.set_offset(Offset::Offset(high)).unwrap();
            element.set_metadata(format!("pending:{}", high + 5));
        }
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    }
}

async fn create_topics(admin: &AdminClient<LogContext>, topics: &TopicSet, names: &[String]) {
    let wanted = topics.specs().into_iter().filter(|spec| names.contains(&spec.name));
    let specs: Vec<TopicSpec> = wanted
        .map(|spec| TopicSpec {
            name: spec.name,
            partitions: spec.partitions,
            replication: 1,
            config: spec.config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        })
        .collect();
    ensure_topics(admin, &specs).await.unwrap();
}

/// The migrations of these numbers, which follow each other.
pub(crate) fn known(is_among: impl Fn(u32) -> bool) -> &'static [Migration] {
    let begin = MIGRATIONS.iter().position(|migration| is_among(migration.version)).unwrap_or(MIGRATIONS.len());
    let rest = &MIGRATIONS[begin..];
    &rest[..rest.iter().take_while(|migration| is_among(migration.version)).count()]
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < DEADLINE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn partition_of(account: &str) -> i32 {
    partition_for(account.as_bytes(), PARTITIONS).unwrap()
}
