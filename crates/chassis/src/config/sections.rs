//! Sections that more than one service has.

use std::collections::BTreeMap;
use std::fmt;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSection {
    /// Comma-separated `host:port` list. Default `127.0.0.1:9092`.
    pub bootstrap: String,
    /// Put in front of every topic name. Default `tollbooth.`.
    pub topic_prefix: String,
    /// Client id shown in the broker's logs and quotas. Default `tollbooth`.
    pub client_id: String,
    /// Further librdkafka properties for every client of the service (security, sockets). Underscores stand for the
    /// dots of the property's name, so that a variable can carry it: `security_protocol`, `sasl_password`. What the
    /// exactly-once path relies on (acks, idempotence, isolation, commits) cannot be overridden here.
    #[serde(serialize_with = "settings_hidden")]
    pub settings: BTreeMap<String, String>,
}

impl Default for KafkaSection {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            topic_prefix: "tollbooth.".to_owned(),
            client_id: "tollbooth".to_owned(),
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

/// `[clickhouse]`: the HTTP interface of the read store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseSection {
    /// Base URL. Default `http://127.0.0.1:8123`.
    pub url: String,
    /// Database. Default `tollbooth`.
    pub database: String,
    /// User. Default `default`.
    pub user: String,
    /// Password; empty means none.
    pub password: Secret,
}

impl Default for ClickHouseSection {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "tollbooth".to_owned(),
            user: "default".to_owned(),
            password: Secret::default(),
        }
    }
}

/// `[topics]`: what topics that are missing are created with; checked where they exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsSection {
    /// Partitions of the keyed topics; chosen once, the same for every service. Default 64.
    pub partitions: i32,
    /// Copies of every record. Default 3; 1 is for trial on one machine.
    pub replication: i32,
}

impl Default for TopicsSection {
    fn default() -> Self {
        Self { partitions: tollbooth_schemas::topics::PARTITIONS_DEFAULT, replication: 3 }
    }
}
