//! Sections that more than one service has.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

const HIDDEN: &str = "[hidden]";

/// A value that is never printed: not by `Debug`, not by `--check-config`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty string, which stands for "not given".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret()" } else { "Secret([hidden])" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { HIDDEN })
    }
}

/// `[kafka]`: where the cluster is and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSection {
    /// Comma-separated `host:port` list. Default `127.0.0.1:9092`.
    pub bootstrap: String,
    /// Put in front of every topic name. Default `tollbooth.`.
    pub topic_prefix: String,
    /// Client id shown in the broker's logs and quotas. Default `tollbooth`.
    pub client_id: String,
    /// How often each client tells what it sees of the brokers and what waits in it (`tollbooth_kafka_*`). 0: never.
    /// Default 10,000.
    pub statistics_interval_ms: u32,
    /// Further librdkafka properties for every client of the service (security, sockets). Underscores stand for the
    /// dots of the property's name, so that a variable can carry it: `security_protocol`, `sasl_password`. What a promise
    /// relies on (acks, idempotence, isolation, commits) is refused here. Only what is known to be harmless is printed.
    #[serde(serialize_with = "settings_hidden", deserialize_with = "settings_allowed")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub settings: BTreeMap<String, String>,
}

impl Default for KafkaSection {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            topic_prefix: "tollbooth.".to_owned(),
            client_id: "tollbooth".to_owned(),
            statistics_interval_ms: 10_000,
            settings: BTreeMap::new(),
        }
    }
}

impl KafkaSection {
    /// Full name of a topic: `topic_prefix` + `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.topic_prefix)
    }
}

/// Properties that every client is given by what it is for, and why nobody else may choose them.
const FIXED: &[(&[&str], &str)] = &[
    (&["acks", "request.required.acks"], "is always \"all\": a 2xx promises that every in-sync replica has the record"),
    (
        &["enable.idempotence", "enable.gapless.guarantee", "max.in.flight", "max.in.flight.requests.per.connection"],
        "is fixed: a producer that repeats a request without idempotence writes a record twice, or out of order",
    ),
    (&["isolation.level"], "is always \"read_committed\": what an aborted transaction wrote is not true"),
    (
        &["enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms", "enable.auto.offset.store"],
        "is fixed: offsets are committed with what was made of the records, never on their own",
    ),
    (&["auto.offset.reset"], "is always \"error\": a missing offset is to be looked at, never jumped over"),
    (
        &["partitioner", "partition.assignment.strategy"],
        "is fixed: an account's usage, commands and entries lie in partitions of one number, with one meter",
    ),
    (
        &["transactional.id", "transaction.timeout.ms", "group.id", "group.instance.id", "group.protocol"],
        "is fixed: one meter at a time writes for an account, and the next one fences it by these",
    ),
    (&["bootstrap.servers", "metadata.broker.list"], "is not for here: set kafka.bootstrap"),
    (&["client.id"], "is not for here: set kafka.client_id"),
    (&["statistics.interval.ms"], "is not for here: set kafka.statistics_interval_ms"),
    (
        &["allow.auto.create.topics"],
        "is always \"false\": a topic that was not created on purpose has the wrong partition count",
    ),
];

/// The name of a property that an operator may choose.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Allowed(String);

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let property = name.replace('_', ".");
        match FIXED.iter().find(|(fixed, _)| fixed.contains(&property.as_str())) {
            Some((_, reason)) => Err(serde::de::Error::custom(format!("{reason}. Leave it out"))),
            None => Ok(Self(name)),
        }
    }
}

fn settings_allowed<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let settings = BTreeMap::<Allowed, String>::deserialize(deserializer)?;
    Ok(settings.into_iter().map(|(Allowed(name), value)| (name, value)).collect())
}

fn settings_hidden<S: Serializer>(settings: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    // Only what is known to be harmless is shown: a property added to librdkafka tomorrow may carry a credential.
    let shown = |key: &str| {
        let key = key.replace('_', ".");
        ["security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "ssl.ca.location"]
            .contains(&key.as_str())
            || key.ends_with(".ms")
            || key.starts_with("socket.")
    };
    serializer.collect_map(settings.iter().map(|(k, v)| (k, if shown(k) { v.as_str() } else { HIDDEN })))
}

/// `[clickhouse]`: the HTTP interface of the read store, over TLS where the address says `https`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseSection {
    /// Base URL, `http` or `https`. Default `http://127.0.0.1:8123`.
    pub url: String,
    /// Database. Default `tollbooth`.
    pub database: String,
    /// User. Default `default`.
    pub user: String,
    /// Password; empty means none.
    pub password: Secret,
    /// PEM file of the certificates to trust with `https`. Empty (default): those that the system trusts.
    pub ca_location: String,
}

impl Default for ClickHouseSection {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "tollbooth".to_owned(),
            user: "default".to_owned(),
            password: Secret::default(),
            ca_location: String::new(),
        }
    }
}

/// `[topics]`: what topics that are missing are created with; checked where they exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsSection {
    /// Partitions of the keyed topics; chosen once, the same for every service. Default 64.
    pub partitions: i32,
    /// Copies of every record. Default 3; 1 is for trial on one machine. With more than one, start-up also refuses one
    /// replica of `__transaction_state` or `__consumer_offsets`, where it may see them.
    pub replication: i32,
}

impl Default for TopicsSection {
    fn default() -> Self {
        Self { partitions: tollbooth_schemas::topics::PARTITIONS_DEFAULT, replication: 3 }
    }
}

/// `[traces]`: spans by OpenTelemetry, sent as OTLP over HTTP. Off unless an endpoint is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TracesSection {
    /// Where spans are sent, the path included: `http://collector:4318/v1/traces`, or `https`. Empty (default): no spans
    /// are made, and nothing of a trace is written to Kafka.
    pub endpoint: String,
    /// What the collector asks for in `Authorization`, such as `Bearer ...`. Empty (default): nothing.
    pub authorization: Secret,
    /// Of requests that come without a trace, one in so many begins one; 0: none does. One that comes with a trace
    /// (`traceparent`) is followed where it says that it is sampled. Default 1,000.
    pub sample_one_in: u32,
    /// Spans made in a second, whatever clients ask for by their own traces; beyond it they are dropped and counted. Default
    /// 1,000.
    pub spans_per_second_max: u32,
    /// Spans that wait to be sent; beyond it they are dropped and counted. Default 4,096.
    pub queue_spans_max: usize,
    /// How long the collector may take; then those spans are dropped. Default 5,000.
    pub timeout_ms: u64,
}

impl Default for TracesSection {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            authorization: Secret::default(),
            sample_one_in: 1_000,
            spans_per_second_max: 1_000,
            queue_spans_max: 4_096,
            timeout_ms: 5_000,
        }
    }
}
