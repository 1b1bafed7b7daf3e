//! What an operator can set, with the defaults.

use serde::{Deserialize, Serialize};
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection, ServiceConfig, Shared, TopicsSection};
use tollbooth_ledger::Limits;
use tollbooth_schemas::topics::TopicSet;

/// Settings of `tollbooth-meter run`, `sink` and `verify`; variables are `TOLLBOOTH_METER__<KEY>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeterConfig {
    /// Where the log is.
    pub kafka: KafkaSection,
    /// Where rows land.
    pub clickhouse: ClickHouseSection,
    /// What topics that are missing are created with.
    pub topics: TopicsSection,
    /// Operations listener of the meter.
    pub ops_listen: String,
    /// Operations listener of the sink.
    pub sink_ops_listen: String,
    /// Consumer group; the fence does not depend on it.
    pub group: String,
    /// Static member id, unique in the group and kept over restarts. Default: the host's name.
    pub member_id: String,
    /// Raised by one when the ledger goes on over new input topics. Default 0.
    pub input_generation: u32,
    /// Usage older than this at its receipt is a dead letter `too_old`. Default 35.
    pub age_limit_days: u16,
    /// Usage further ahead of its receipt than this is a dead letter `in_future`. Default 60.
    pub future_limit_minutes: u16,
    /// How long operation ids and command answers are kept. Default 90; not below `age_limit_days`.
    pub operation_retention_days: u16,
    /// Memory the operation ids of one process may take, in MiB; a partition that needs more is not served. Default 8192.
    pub operations_mib_max: usize,
    /// Bounds of a transaction.
    pub batch: BatchConfig,
    /// A price book that was not read to its end for this long stops usage. Default 300.
    pub price_book_stale_seconds: u64,
    /// Whether `run` also runs the sink. Default true.
    pub sink_enabled: bool,
    /// How rows land.
    pub sink: crate::sink::SinkConfig,
}

/// Bounds of one transaction of one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Most usage records. Default 20,000.
    pub usage_records_max: usize,
    /// Most bytes of usage. Default 16 MiB.
    pub usage_bytes_max: usize,
    /// Most commands, ahead of usage. Default 500.
    pub command_records_max: usize,
    /// How long usage waits for company, in ms. Default 15.
    pub linger_ms: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { usage_records_max: 20_000, usage_bytes_max: 16 * 1024 * 1024, command_records_max: 500, linger_ms: 15 }
    }
}

impl Default for MeterConfig {
    fn default() -> Self {
        Self {
            kafka: KafkaSection::default(),
            clickhouse: ClickHouseSection::default(),
            topics: TopicsSection::default(),
            ops_listen: "127.0.0.1:9111".to_owned(),
            sink_ops_listen: "127.0.0.1:9113".to_owned(),
            group: tollbooth_schemas::topics::METER_GROUP.to_owned(),
            member_id: host_name(),
            input_generation: 0,
            age_limit_days: 35,
            future_limit_minutes: 60,
            operation_retention_days: 90,
            operations_mib_max: 8192,
            batch: BatchConfig::default(),
            price_book_stale_seconds: 300,
            sink_enabled: true,
            sink: crate::sink::SinkConfig::default(),
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "meter".to_owned() } else { name.to_owned() }
}

impl ServiceConfig for MeterConfig {
    const SERVICE: &'static str = "meter";
    const SHARED: &'static [Shared] = &[Shared::Kafka, Shared::ClickHouse];
}

/// A setting that contradicts another.
#[derive(Debug, thiserror::Error)]
#[error(
    "age_limit_days ({age_days}) is beyond operation_retention_days ({retention_days}): an operation could be charged twice after its id is forgotten; lower the first or raise the second"
)]
pub struct AgeBeyondRetention {
    age_days: u16,
    retention_days: u16,
}

impl MeterConfig {
    /// Names and partition count of the topics.
    #[must_use]
    pub fn topic_set(&self) -> TopicSet {
        TopicSet { prefix: self.kafka.topic_prefix.clone(), partitions: self.topics.partitions }
    }

    /// What the core accepts and keeps.
    ///
    /// # Errors
    /// Where ids would be forgotten while events that carry them are still accepted.
    pub fn limits(&self) -> Result<Limits, AgeBeyondRetention> {
        let future_max_ms = i64::from(self.future_limit_minutes) * 60_000;
        Limits::from_days(self.age_limit_days, future_max_ms, self.operation_retention_days)
            .ok_or(AgeBeyondRetention { age_days: self.age_limit_days, retention_days: self.operation_retention_days })
    }
}
