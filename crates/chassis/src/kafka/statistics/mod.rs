//! librdkafka's own statistics as metrics: what a client sees of the brokers, and what waits inside it.
//!
//! Every client that lives as long as its process is watched. There may be hundreds (three for each partition of a meter),
//! so a metric is one of what a client is *for*: sums of what waits, the worst of what is late. Nothing here is a label that
//! grows: kinds are an enum, brokers are the cluster's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use serde::Deserialize;

use super::clients::{log_error, log_line};

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientKind {
    /// The producer behind HTTP requests.
    EdgeProducer,
    /// The producer of the audit trail and of the use of keys.
    NotesProducer,
    /// Reads the meter's answers.
    RepliesReader,
    /// The member of the group that carries out the outbox.
    OutboxMember,
    /// Follows a small topic into memory.
    TableReader,
    /// Asks where partitions end.
    Watermarks,
    /// The meter's membership in its group.
    MeterMember,
    /// Reads a partition of usage, and before that its ledger.
    UsageReader,
    /// Reads a partition of commands.
    CommandsReader,
    /// Writes a partition's transactions.
    MeterProducer,
    /// Reads the ledger for ClickHouse.
    SinkReader,
    /// Commits the sink's offsets.
    SinkProducer,
    /// The membership that says who is the active sink.
    SinkLease,
    /// Follows the ledger for the live view.
    LedgerTail,
    /// Follows the dead letters.
    DeadLettersReader,
}

impl ClientKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::EdgeProducer,
        Self::NotesProducer,
        Self::RepliesReader,
        Self::OutboxMember,
        Self::TableReader,
        Self::Watermarks,
        Self::MeterMember,
        Self::UsageReader,
        Self::CommandsReader,
        Self::MeterProducer,
        Self::SinkReader,
        Self::SinkProducer,
        Self::SinkLease,
        Self::LedgerTail,
        Self::DeadLettersReader,
    ];

    const fn code(self) -> &'static str {
        match self {
            Self::EdgeProducer => "edge_producer",
            Self::NotesProducer => "notes_producer",
            Self::RepliesReader => "replies_reader",
            Self::OutboxMember => "outbox_member",
            Self::TableReader => "table_reader",
            Self::Watermarks => "watermarks",
            Self::MeterMember => "meter_member",
            Self::UsageReader => "usage_reader",
            Self::CommandsReader => "commands_reader",
            Self::MeterProducer => "meter_producer",
            Self::SinkReader => "sink_reader",
            Self::SinkProducer => "sink_producer",
            Self::SinkLease => "sink_lease",
            Self::LedgerTail => "ledger_tail",
            Self::DeadLettersReader => "dead_letters_reader",
        }
    }
}

/// One statistics document of librdkafka, as far as it is looked at. All else is skipped unread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    msg_cnt: i64,
    msg_size: i64,
    brokers: BTreeMap<String, BrokerPart>,
    topics: BTreeMap<String, TopicPart>,
    cgrp: Option<GroupPart>,
    eos: Option<TransactionPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BrokerPart {
    nodeid: i32,
    state: String,
    outbuf_cnt: i64,
    waitresp_cnt: i64,
    txerrs: u64,
    txretries: u64,
    rxerrs: u64,
    req_timeouts: u64,
    disconnects: u64,
    rtt: WindowPart,
    throttle: WindowPart,
}

/// A rolling window: times are in microseconds, throttling in milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WindowPart {
    max: i64,
    p99: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TopicPart {
    partitions: BTreeMap<String, PartitionPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PartitionPart {
    fetchq_cnt: i64,
    fetchq_size: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupPart {
    join_state: String,
    /// In ms.
    rebalance_age: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TransactionPart {
    txn_state: String,
    /// In ms.
    txn_stateage: i64,
}

/// librdkafka's twelve states of a transactional producer, in the seven that differ for an operator.
fn transaction_state(state: &str) -> &'static str {
    match state {
        "Init" | "WaitPID" | "ReadyNotAcked" => "starting",
        "Ready" => "ready",
        "InTransaction" => "open",
        "BeginCommit" | "CommittingTransaction" | "CommitNotAcked" => "committing",
        "BeginAbort" | "AbortingTransaction" | "AbortedNotAcked" => "aborting",
        "AbortableError" => "failed",
        "FatalError" => "fatal",
        _ => "other",
    }
}

/// What goes wrong between a client and a broker, as [`BrokerPart`] counts it.
const TROUBLES: [&str; 5] = ["send", "receive", "timeout", "retry", "disconnect"];

impl BrokerPart {
    fn troubles(&self) -> [u64; TROUBLES.len()] {
        [self.txerrs, self.rxerrs, self.req_timeouts, self.txretries, self.disconnects]
    }
}

/// The newest document of one client.
#[derive(Debug)]
struct Seen {
    kind: ClientKind,
    at: Instant,
    document: Document,
}

#[derive(Debug, Default)]
struct Clients {
    next: u64,
    /// By a number of our own; a client that was made and has told nothing yet is not in it.
    seen: BTreeMap<u64, Seen>,
}

#[derive(Debug)]
struct Shared {
    clients: Mutex<Clients>,
    troubles: IntCounterVec,
}

/// Where the statistics of a process's clients come together. The default takes none.
#[derive(Debug, Clone, Default)]
pub struct KafkaStatistics(Option<Arc<Shared>>);

impl KafkaStatistics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let troubles = IntCounterVec::new(
            Opts::new(
                "tollbooth_kafka_client_errors_total",
                "What went wrong between the clients of a kind and the brokers; retry: requests that were sent again.",
            ),
            &["client", "kind"],
        )?;
        registry.register(Box::new(troubles.clone()))?;
        let shared = Arc::new(Shared { clients: Mutex::default(), troubles });
        registry.register(Box::new(Gauges::new(Arc::clone(&shared))?))?;
        Ok(Self(Some(shared)))
    }

    /// A place for the statistics of one client; `None` where none are taken.
    #[must_use]
    pub(super) fn watch(&self, kind: ClientKind) -> Watch {
        Watch(self.0.as_ref().map(|shared| {
            let mut clients = shared.clients.lock();
            clients.next += 1;
            for trouble in TROUBLES {
                // There from the start: an increase from nothing is not seen as one.
                shared.troubles.with_label_values(&[kind.code(), trouble]);
            }
            Watched { shared: Arc::clone(shared), kind, number: clients.next }
        }))
    }

    /// Whether anybody takes them.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug)]
struct Watched {
    shared: Arc<Shared>,
    kind: ClientKind,
    number: u64,
}

/// Takes the statistics of one client; what they said goes with it.
#[derive(Debug, Default)]
pub struct Watch(Option<Watched>);

impl Watch {
    /// Takes a document; call it from `ClientContext::stats_raw`.
    pub fn take(&self, statistics: &[u8]) {
        let Some(Watched { shared, kind, number }) = &self.0 else { return };
        let document: Document = match serde_json::from_slice(statistics) {
            Ok(document) => document,
            Err(error) => return tracing::debug!(%error, "statistics of librdkafka cannot be read"),
        };
        let mut clients = shared.clients.lock();
        let before = clients.seen.get(number).map(|seen| &seen.document.brokers);
        let mut more = [0_u64; TROUBLES.len()];
        for (name, broker) in &document.brokers {
            let known = before.and_then(|brokers| brokers.get(name)).map(BrokerPart::troubles).unwrap_or_default();
            for ((more, now), known) in more.iter_mut().zip(broker.troubles()).zip(known) {
                *more += now.saturating_sub(known);
            }
        }
        for (trouble, more) in TROUBLES.into_iter().zip(more) {
            shared.troubles.with_label_values(&[kind.code(), trouble]).inc_by(more);
        }
        clients.seen.insert(*number, Seen { kind: *kind, at: Instant::now(), document });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(Watched { shared, number, .. }) = &self.0 {
            shared.clients.lock().seen.remove(number);
        }
    }
}

/// What is computed from the newest documents when somebody asks.
struct Gauges {
    shared: Arc<Shared>,
    clients: IntGaugeVec,
    age: GaugeVec,
    rtt: GaugeVec,
    connections: IntGaugeVec,
    unsent: IntGaugeVec,
    unanswered: IntGaugeVec,
    throttle: GaugeVec,
    produce_records: IntGaugeVec,
    produce_bytes: IntGaugeVec,
    fetch_records: IntGaugeVec,
    fetch_bytes: IntGaugeVec,
    transactions: IntGaugeVec,
    transaction_age: GaugeVec,
    joined: IntGaugeVec,
    rebalance_age: GaugeVec,
}

impl Gauges {
    fn new(shared: Arc<Shared>) -> Result<Self, prometheus::Error> {
        const BY_CLIENT: &[&str] = &["client"];
        const BY_BROKER: &[&str] = &["client", "broker"];
        let count = |name: &str, help: &str, labels| IntGaugeVec::new(Opts::new(name, help), labels);
        let seconds = |name: &str, help: &str, labels| GaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            shared,
            clients: count(
                "tollbooth_kafka_clients",
                "Kafka clients that told statistics, by what they are for.",
                BY_CLIENT,
            )?,
            age: seconds(
                "tollbooth_kafka_statistics_age_seconds",
                "Age of the oldest statistics among them; grows where nobody polls a client.",
                BY_CLIENT,
            )?,
            rtt: seconds(
                "tollbooth_kafka_broker_rtt_p99_seconds",
                "99th percentile of a broker's answering time, of the client that waits longest. A fetch that waits for new \
                 records is among them.",
                BY_BROKER,
            )?,
            connections: count(
                "tollbooth_kafka_broker_connections",
                "Clients that are connected to the broker.",
                BY_BROKER,
            )?,
            unsent: count("tollbooth_kafka_unsent_requests", "Requests that wait for a connection.", BY_CLIENT)?,
            unanswered: count(
                "tollbooth_kafka_unanswered_requests",
                "Requests that wait for a broker's answer.",
                BY_CLIENT,
            )?,
            throttle: seconds(
                "tollbooth_kafka_throttle_seconds",
                "How long a broker made a client wait because of a quota, the longest.",
                BY_CLIENT,
            )?,
            produce_records: count(
                "tollbooth_kafka_produce_queue_records",
                "Records in producers, not acknowledged.",
                BY_CLIENT,
            )?,
            produce_bytes: count("tollbooth_kafka_produce_queue_bytes", "Bytes of those records.", BY_CLIENT)?,
            fetch_records: count(
                "tollbooth_kafka_fetch_queue_records",
                "Records that are fetched and not read.",
                BY_CLIENT,
            )?,
            fetch_bytes: count("tollbooth_kafka_fetch_queue_bytes", "Bytes of those records.", BY_CLIENT)?,
            transactions: count(
                "tollbooth_kafka_transactional_producers",
                "Transactional producers by the state of their transaction.",
                &["client", "state"],
            )?,
            transaction_age: seconds(
                "tollbooth_kafka_transaction_state_age_seconds",
                "How long a producer has been in a state other than ready, the longest; 0: none is.",
                BY_CLIENT,
            )?,
            joined: count("tollbooth_kafka_group_members_joined", "Members that have their assignment.", BY_CLIENT)?,
            rebalance_age: seconds(
                "tollbooth_kafka_rebalance_age_seconds",
                "Time since a member was last rebalanced, the shortest.",
                BY_CLIENT,
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 15] {
        [
            &self.clients,
            &self.age,
            &self.rtt,
            &self.connections,
            &self.unsent,
            &self.unanswered,
            &self.throttle,
            &self.produce_records,
            &self.produce_bytes,
            &self.fetch_records,
            &self.fetch_bytes,
            &self.transactions,
            &self.transaction_age,
            &self.joined,
            &self.rebalance_age,
        ]
    }

    fn clear(&self) {
        for gauges in [
            &self.clients,
            &self.connections,
            &self.unsent,
            &self.unanswered,
            &self.produce_records,
            &self.produce_bytes,
            &self.fetch_records,
            &self.fetch_bytes,
            &self.transactions,
            &self.joined,
        ] {
            gauges.reset();
        }
        for gauges in [&self.age, &self.rtt, &self.throttle, &self.transaction_age, &self.rebalance_age] {
            gauges.reset();
        }
    }

    fn add(&self, seen: &Seen) {
        let (client, document) = (seen.kind.code(), &seen.document);
        let by_client: &[&str] = &[client];
        self.clients.with_label_values(by_client).inc();
        raise(&self.age, by_client, seen.at.elapsed().as_secs_f64());
        for broker in document.brokers.values() {
            self.unsent.with_label_values(by_client).add(broker.outbuf_cnt);
            self.unanswered.with_label_values(by_client).add(broker.waitresp_cnt);
            raise(&self.throttle, by_client, seconds(broker.throttle.max, 1_000.0));
            // An address that was only asked who the brokers are has no number.
            if broker.nodeid >= 0 {
                let broker_id = broker.nodeid.to_string();
                let by_broker: &[&str] = &[client, &broker_id];
                raise(&self.rtt, by_broker, seconds(broker.rtt.p99, 1_000_000.0));
                self.connections.with_label_values(by_broker).add(i64::from(broker.state == "UP"));
            }
        }
        self.produce_records.with_label_values(by_client).add(document.msg_cnt);
        self.produce_bytes.with_label_values(by_client).add(document.msg_size);
        let partitions = document.topics.values().flat_map(|topic| topic.partitions.values());
        let (records, bytes) = partitions.fold((0, 0), |(records, bytes), partition| {
            (records + partition.fetchq_cnt, bytes + partition.fetchq_size)
        });
        self.fetch_records.with_label_values(by_client).add(records);
        self.fetch_bytes.with_label_values(by_client).add(bytes);
        self.add_memberships(by_client, document);
    }

    fn add_memberships(&self, by_client: &[&str], document: &Document) {
        // A producer without an id has the part, too, and never leaves its first state.
        if let Some(eos) = document.eos.as_ref().filter(|eos| !eos.txn_state.is_empty()) {
            let state = transaction_state(&eos.txn_state);
            self.transactions.with_label_values(&[by_client[0], state]).inc();
            let age = if state == "ready" { 0.0 } else { seconds(eos.txn_stateage, 1_000.0) };
            raise(&self.transaction_age, by_client, age);
        }
        // A reader that is assigned by hand has the part, too, and joins nothing.
        if let Some(group) = document.cgrp.as_ref().filter(|group| !matches!(group.join_state.as_str(), "" | "init")) {
            self.joined.with_label_values(by_client).add(i64::from(group.join_state == "steady"));
            let age = seconds(group.rebalance_age, 1_000.0);
            let gauge = self.rebalance_age.with_label_values(by_client);
            let known = gauge.get();
            gauge.set(if known == 0.0 { age } else { known.min(age) });
        }
    }
}

fn raise(gauges: &GaugeVec, labels: &[&str], value: f64) {
    let gauge = gauges.with_label_values(labels);
    gauge.set(gauge.get().max(value));
}

#[allow(clippy::cast_precision_loss)] // Ages and times, far below 2^53.
fn seconds(value: i64, per_second: f64) -> f64 {
    value.max(0) as f64 / per_second
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end, so that two who ask at once do not see each other's half.
        let clients = self.shared.clients.lock();
        self.clear();
        clients.seen.values().for_each(|seen| self.add(seen));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

/// A client context that logs through `tracing`, takes statistics, and does nothing else.
#[derive(Debug, Default)]
pub struct WatchedContext(Watch);

impl WatchedContext {
    /// For a client whose statistics go there.
    #[must_use]
    pub fn new(watch: Watch) -> Self {
        Self(watch)
    }
}

impl ClientContext for WatchedContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.take(statistics);
    }
}

impl ConsumerContext for WatchedContext {}

impl ProducerContext for WatchedContext {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

#[cfg(test)]
mod tests;
