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
use serde_json::Value;
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection, Secret};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning, TopicSpec, ensure_topics, partition_for};
use tollbooth_local::Engines;
use tollbooth_query::config::{AnswersSection, QueryConfig};
use tollbooth_schemas::account_state::AccountState;
use tollbooth_schemas::clickhouse::{BOOKKEEPING, MIGRATIONS, Migration};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::keys::{ApiKey, KeyDocument, KeyKind, registry_key};
use tollbooth_schemas::topics::{SINK_OFFSETS_GROUP, TopicSet};
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{
    AccountOpened, Adjustment, BudgetRule, Entry, LedgerRecord, RechargeSet, Usage, UsageStatus, recharge_set::Size,
};

pub(crate) use crate::query::Query;

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
        create_topics(
            &admin,
            &topics,
            &[topics.ledger(), topics.registry(), topics.price_book(), topics.audit(), topics.key_usage()],
        )
        .await;
        engines.clickhouse.create_database(&database).unwrap();
        let clickhouse = Client::default().with_url(engines.clickhouse.url()).with_database(&database);
        for statement in statements() {
            clickhouse.query_raw(&statement).execute().await.unwrap();
        }
        let metadata = clients.reader("metadata", ReaderTuning::default());
        let metadata: BaseConsumer<LogContext> = BaseConsumer::from_config_and_context(&metadata, LogContext).unwrap();
        let cluster_id = metadata.client().fetch_cluster_id(DEADLINE).unwrap();
        let mut producer = clients.edge_producer(64 * 1024, DEADLINE);
        producer.set("linger.ms", "0");
        let producer = ThreadedProducer::from_config_and_context(&producer, LogContext).unwrap();
        let admin_key = ApiKey::generate(KeyKind::Admin, false, &[9; 64]).unwrap();
        let stand = Self { topics, database, admin_key, cluster_id, clients, producer, clickhouse };
        stand.bind(&stand.cluster_id, &stand.topics.ledger()).await;
        stand
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
            answers: AnswersSection { fresh_ms: 0, ..AnswersSection::default() },
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

    /// What became of it when it was driven again.
    pub(crate) fn redriven(&self, offset: i64, outcome: &str, reason: &str) {
        let own = [
            (header::OUTCOME, outcome),
            (header::REASON, reason),
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

fn statements() -> Vec<String> {
    std::iter::once(&BOOKKEEPING).chain(MIGRATIONS).flat_map(Migration::statements).collect()
}

fn decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micros.abs() / 1_000_000, micros.abs() % 1_000_000)
}

fn row(record: &LedgerRecord, entry: &Entry) -> Value {
    let mut row = serde_json::json!({
        "account_id": record.account_id, "seq": entry.seq, "type": entry.entry_type().unwrap().code(),
        "amount": decimal(entry.amount_micros), "balance_after": decimal(entry.balance_after_micros),
        "held_after": decimal(entry.held_after_micros),
        "posted_at": tollbooth_schemas::time::rfc3339(record.posted_at_ms).trim_end_matches('Z').replace('T', " "),
        "occurred_at": tollbooth_schemas::time::rfc3339(entry.occurred_at_ms).trim_end_matches('Z').replace('T', " "),
    });
    let more = match entry.kind.as_ref().unwrap() {
        Kind::AccountOpened(opened) => serde_json::json!({
            "currency": opened.currency, "time_zone": opened.time_zone, "plan": opened.plan, "account_name": opened.name,
        }),
        Kind::Usage(usage) => serde_json::json!({
            "status": if entry.is_failed() { "failed" } else { "success" }, "service": usage.service,
            "engine": usage.engine, "variant": usage.variant, "unit": usage.unit, "plan": usage.plan,
            "quantity": decimal(usage.quantity_micros), "event_id": usage.event_id, "booth_id": usage.booth_id,
            "operation_id": usage.operation_id, "price_version": usage.price_version, "reason": usage.error_code,
            "attempt": usage.attempt, "country": usage.country, "unit_price": decimal(usage.unit_price_micros),
            "detail": usage.pricing.as_deref().map(tollbooth_schemas::pricing::text).unwrap_or_default(),
            "price_model": (["", "per_unit", "flat", "package", "graduated", "volume"][usize::try_from(usage.price_model).unwrap()]),
            "provider_cost": decimal(usage.provider_cost_micros.unwrap_or_default()),
            "has_provider_cost": usage.provider_cost_micros.is_some(),
            "receipt_lag_ms": record.posted_at_ms - usage.received_at_ms,
            "capture_lag_ms": usage.captured_at_ms.map_or(0, |at_ms| entry.occurred_at_ms - at_ms),
            "has_captured_at": usage.captured_at_ms.is_some(), "hold_id": usage.hold_id, "test_mode": usage.test_mode,
        }),
        Kind::Adjustment(adjustment) => serde_json::json!({"reason": adjustment.reason, "note": adjustment.note}),
        Kind::EventDefined(defined) => serde_json::json!({
            "event_id": defined.event_id, "note": defined.name,
            "account_state": AccountState::EventDefined {
                starts_at_ms: defined.starts_at_ms,
                ends_at_ms: defined.ends_at_ms,
                time_zone: defined.time_zone.as_str().into(),
                budget_micros: defined.budget_micros,
                refuses_holds: defined.on_exceeded() == BudgetRule::RefuseHolds,
            }
            .text(),
        }),
        Kind::BoothSet(set) => serde_json::json!({
            "booth_id": set.booth_id, "note": set.name, "reason": if set.paused { "paused" } else { "" },
        }),
        Kind::BonusGranted(granted) => serde_json::json!({
            "account_state": AccountState::BonusGranted { expires_at_ms: granted.expires_at_ms }.text(),
        }),
        Kind::Reversal(reversal) => serde_json::json!({
            "service": reversal.service, "engine": reversal.engine, "variant": reversal.variant, "unit": reversal.unit,
            "plan": reversal.plan, "quantity": decimal(reversal.quantity_micros), "original_seq": reversal.original_seq,
            "operation_id": reversal.operation_id, "event_id": reversal.event_id, "booth_id": reversal.booth_id,
            "reason": reversal.reason, "note": reversal.note, "attempt": reversal.attempt,
            "price_version": reversal.price_version, "test_mode": reversal.test_mode,
        }),
        Kind::BonusExpired(expired) => serde_json::json!({"original_seq": expired.granted_seq}),
        Kind::CreditLimitSet(set) => serde_json::json!({
            "account_state": AccountState::CreditLimitSet { credit_limit_micros: set.credit_limit_micros }.text(),
        }),
        Kind::RechargeSet(set) => serde_json::json!({"detail": rule(set).to_string()}),
        Kind::RechargeRequested(requested) => serde_json::json!({
            "note": requested.recharge_id,
            "detail": serde_json::json!({
                "amount_micros": requested.amount_micros, "day_ends_at_ms": requested.day_ends_at_ms,
                "month_ends_at_ms": requested.month_ends_at_ms,
            }).to_string(),
        }),
        Kind::RechargeFailed(failed) => serde_json::json!({
            "note": failed.recharge_id, "reason": failed.reason,
            "detail": serde_json::json!({"failures": failed.failures, "retry_at_ms": failed.retry_at_ms}).to_string(),
        }),
        Kind::AlertsSet(set) => serde_json::json!({
            "detail": serde_json::json!({
                "balance_below_micros": set.balance_below_micros, "below_top_up_percents": set.below_top_up_percents,
                "event_budget_percents": set.event_budget_percents, "recharge_failed": set.recharge_failed,
                "empty_in_hours": set.empty_in_hours,
                "booth_spike": set.booth_spike.as_ref().map(|spike| {
                    serde_json::json!({"times": spike.times, "at_least_micros": spike.at_least_micros})
                }),
            }).to_string(),
        }),
        Kind::AlertRaised(alert) => serde_json::json!({
            "note": alert.recharge_id, "event_id": alert.event_id, "booth_id": alert.booth_id,
            "reason": (["", "balance_below", "below_top_up_percent", "event_budget", "recharge_failed", "empty_soon",
                        "booth_spike"][usize::try_from(alert.kind).unwrap()]),
            "detail": serde_json::json!({
                "number": alert.number, "balance_micros": alert.balance_micros, "crossed_at_ms": alert.crossed_at_ms,
                "crossed_seq": alert.crossed_seq, "failure": alert.reason, "hours": alert.hours,
                "percent": alert.percent, "spent_micros": alert.spent_micros,
                "threshold_micros": alert.threshold_micros, "hour_at_ms": alert.hour_at_ms,
                "usual_micros": alert.usual_micros, "times": alert.times,
            }).to_string(),
        }),
        _ => serde_json::json!({}),
    };
    row["from_bonus"] = decimal(entry.from_bonus_micros).into();
    if let Some(Kind::PlanChanged(changed)) = &entry.kind {
        row["plan"] = changed.plan.as_str().into();
        row["plan_effective_at_ms"] = changed.effective_at_ms.into();
    }
    row["source_topic"] = ["", "usage", "commands"][usize::try_from(entry.source_topic).unwrap()].into();
    row["source_offset"] = entry.source_offset.into();
    row["source_partition"] = partition_of(&record.account_id).into();
    row["actor"] = entry.command.as_ref().map(|command| command.actor.clone()).unwrap_or_default().into();
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

/// What is set of a rule.
fn rule(set: &RechargeSet) -> Value {
    let mut rule = serde_json::json!({
        "enabled": set.enabled, "threshold_micros": set.threshold_micros, "daily_cap_micros": set.daily_cap_micros,
        "monthly_cap_micros": set.monthly_cap_micros,
        "amount_max_micros": set.amount_max_micros,
    });
    match set.size {
        Some(Size::AmountMicros(micros)) => rule["amount_micros"] = micros.into(),
        Some(Size::TargetMicros(micros)) => rule["target_micros"] = micros.into(),
        None => {}
    }
    rule
}

/// An account under construction: a gapless ledger with a running balance.
pub(crate) struct Ledger {
    pub(crate) account: String,
    pub(crate) records: Vec<LedgerRecord>,
    balance_micros: i64,
    seq: u64,
}

impl Ledger {
    /// Opened in New York with 1,000 dollars: entries 1 and 2.
    pub(crate) fn open(account: &str) -> Self {
        Self::open_in(account, "America/New_York")
    }

    /// The same elsewhere.
    pub(crate) fn open_in(account: &str, time_zone: &str) -> Self {
        Self::open_as(account, time_zone, "USD")
    }

    /// The same in another currency.
    pub(crate) fn open_as(account: &str, time_zone: &str, currency: &str) -> Self {
        let mut ledger = Self { account: account.to_owned(), records: Vec::new(), balance_micros: 0, seq: 0 };
        let opened = AccountOpened {
            name: "Luna".to_owned(),
            plan: "basic".to_owned(),
            currency: currency.to_owned(),
            time_zone: time_zone.to_owned(),
        };
        let credit = Adjustment { reason: "import".to_owned(), note: String::new() };
        ledger
            .push(vec![(Kind::AccountOpened(opened), 0, BASE_MS), (Kind::Adjustment(credit), 1_000_000_000, BASE_MS)]);
        ledger
    }

    /// One record with these entries.
    pub(crate) fn push(&mut self, entries: Vec<(Kind, i64, i64)>) -> &LedgerRecord {
        let entries = entries.into_iter().map(|(kind, amount_micros, occurred_at_ms)| {
            self.seq += 1;
            self.balance_micros += amount_micros;
            Entry {
                seq: self.seq,
                amount_micros,
                balance_after_micros: self.balance_micros,
                held_after_micros: 0,
                occurred_at_ms,
                kind: Some(kind),
                ..Entry::default()
            }
        });
        let entries: Vec<Entry> = entries.collect();
        // Never before what was posted, however late the work is told.
        let posted_ms = self.records.last().map_or(i64::MIN, |record| record.posted_at_ms);
        let posted_at_ms = posted_ms.max(entries.iter().map(|entry| entry.occurred_at_ms).max().unwrap() + 1_000);
        self.records.push(LedgerRecord {
            account_id: self.account.clone(),
            posted_at_ms,
            input_generation: 0,
            entries,
        });
        self.records.last().unwrap()
    }

    /// One charge a record, of 1 cent each.
    pub(crate) fn charge(&mut self, count: usize) {
        for _ in 0..count {
            let at_ms = BASE_MS + i64::try_from(self.seq).unwrap() * 60_000;
            let kind = usage("ai_modify", "nano_banana_2", UsageStatus::Success, self.seq);
            self.push(vec![(kind, -10_000, at_ms)]);
        }
    }
}

pub(crate) fn usage(service: &str, engine: &str, status: UsageStatus, number: u64) -> Kind {
    Kind::Usage(Usage {
        status: status.into(),
        operation_id: format!("op_{number}"),
        attempt: 1,
        service: service.to_owned(),
        engine: engine.to_owned(),
        variant: "1k".to_owned(),
        unit: "image".to_owned(),
        quantity_micros: 1_000_000,
        event_id: "evt_gala".to_owned(),
        booth_id: "bth_17".to_owned(),
        plan: "basic".to_owned(),
        price_version: 1,
        error_code: if status == UsageStatus::Failed { "timeout".to_owned() } else { String::new() },
        ..Usage::default()
    })
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
