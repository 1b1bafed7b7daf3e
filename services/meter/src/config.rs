//! What an operator can set, with the defaults.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection, ServiceConfig, Shared, TopicsSection, TracesSection};
use tollbooth_ledger::Limits;
use tollbooth_schemas::topics::TopicSet;

/// Settings of `tollbooth-meter run`, `sink` and `verify`; variables are `TOLLBOOTH_METER__<KEY>`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
    /// Memory for records that are fetched ahead, whole process, in MiB; each partition gets its share, 1 MiB at least
    /// for each of its two inputs. What it holds is rarely more than two batches of each. Default 1024.
    pub read_ahead_mib_max: u32,
    /// Memory for what is written and not acknowledged yet, whole process, in MiB; each partition gets its share, 4 MiB
    /// at least. Default 512.
    pub produce_mib_max: u32,
    /// A price book that was not read to its end for this long stops usage. Default 300; below the lead that ingest gives
    /// a price book (`price_book_lead_ms`), which this service does not see.
    pub price_book_stale_seconds: u64,
    /// How long a partition's worker may make no turn while the brokers answer; then it hangs, and the process ends with a
    /// non-zero status, to be started again. Default 300; 0: for ever.
    pub worker_stuck_seconds: u64,
    /// Whether `run` also runs the sink. Default true.
    pub sink_enabled: bool,
    /// The state on this machine's disk.
    pub store: crate::store::StoreConfig,
    /// Traces of records.
    pub traces: TracesSection,
    /// How rows land.
    pub sink: crate::sink::SinkConfig,
}

/// Bounds of one transaction of one partition.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Most usage records. Default 20,000.
    pub usage_records_max: usize,
    /// Most bytes of usage. Default 16 MiB.
    pub usage_bytes_max: usize,
    /// Most commands, ahead of usage. Default 500.
    pub command_records_max: usize,
    /// How long usage waits for company, in ms, unless a command comes; every transaction costs the broker about the same,
    /// however small. While transactions take long, twice as long as the last one took, up to four times this. Default 30.
    pub linger_ms: u64,
}

/// What one partition may hold in librdkafka's queues, in kbytes, and how many records it reads ahead of what it works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueShares {
    /// Usage that is fetched ahead.
    pub usage: u32,
    /// Records of usage: two batches.
    pub usage_records: u32,
    /// Commands that are fetched ahead: an eighth of the partition's share.
    pub commands: u32,
    /// Records of commands: two batches.
    pub commands_records: u32,
    /// Records that are not acknowledged.
    pub produce: u32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { usage_records_max: 20_000, usage_bytes_max: 16 * 1024 * 1024, command_records_max: 500, linger_ms: 30 }
    }
}

/// Usage waits this many times as long as the last transaction took, where that is more than the configured time: a broker
/// that takes long is busy, and fewer transactions are less for it to do.
const LINGER_PER_TRANSACTION: u32 = 2;
/// But never more than this many times the configured time.
const LINGER_GROWS_MAX: u32 = 4;

impl BatchConfig {
    /// How long usage waits for company behind a transaction that took so long.
    #[must_use]
    pub fn linger(&self, took: Duration) -> Duration {
        let configured = Duration::from_millis(self.linger_ms);
        took.saturating_mul(LINGER_PER_TRANSACTION).clamp(configured, configured.saturating_mul(LINGER_GROWS_MAX))
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
            read_ahead_mib_max: 1024,
            produce_mib_max: 512,
            price_book_stale_seconds: 300,
            worker_stuck_seconds: 300,
            sink_enabled: true,
            store: crate::store::StoreConfig::default(),
            traces: TracesSection::default(),
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
    /// The static member's name in the group. Of another generation it is another member: a broker gives one that comes back
    /// soon what it had, and asks nobody for which topics it comes.
    #[must_use]
    pub fn instance_id(&self) -> String {
        match self.input_generation {
            0 => self.member_id.clone(),
            generation => format!("{}-generation-{generation}", self.member_id),
        }
    }

    /// Names and partition count of the topics.
    #[must_use]
    pub fn topic_set(&self) -> TopicSet {
        TopicSet { prefix: self.kafka.topic_prefix.clone(), partitions: self.topics.partitions }
    }

    /// The process's queue memory, divided: one process may come to own every partition.
    #[must_use]
    pub fn queue_shares(&self) -> QueueShares {
        let partitions = u32::try_from(self.topics.partitions).unwrap_or_default().max(1);
        let share = |mib: u32, eighths: u32, least_mib: u32| {
            // librdkafka takes no more than 2,097,151 kbytes.
            (mib.saturating_mul(128).saturating_mul(eighths) / partitions).clamp(least_mib << 10, (1 << 21) - 1)
        };
        // The largest that librdkafka takes.
        let two_batches =
            |records: usize| u32::try_from(records.saturating_mul(2)).unwrap_or(u32::MAX).clamp(1, 10_000_000);
        QueueShares {
            usage: share(self.read_ahead_mib_max, 7, 1),
            usage_records: two_batches(self.batch.usage_records_max),
            commands: share(self.read_ahead_mib_max, 1, 1),
            commands_records: two_batches(self.batch.command_records_max),
            produce: share(self.produce_mib_max, 8, 4),
        }
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

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};
    use tollbooth_chassis::config::reference;

    use super::*;

    fn with_partitions(partitions: i32) -> MeterConfig {
        MeterConfig { topics: TopicsSection { partitions, ..TopicsSection::default() }, ..MeterConfig::default() }
    }

    #[test]
    fn the_reference_is_what_the_code_says() {
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let config = MeterConfig { member_id: "the host's name".to_owned(), ..MeterConfig::default() };
        reference::keep(&document, "meter", &reference::section(&config).unwrap()).unwrap();
        let verify = crate::verify::VerifyArgs::augment_args(Command::new("tollbooth-meter verify"));
        reference::keep(&document, "verify", &reference::flags(&verify)).unwrap();
    }

    #[test]
    fn queue_memory_is_bounded_by_the_process_whatever_the_number_of_partitions() {
        for partitions in [1, 8, 64, 128] {
            let (config, count) = (with_partitions(partitions), u32::try_from(partitions).unwrap());
            let shares = config.queue_shares();
            assert!((shares.usage + shares.commands) * count <= config.read_ahead_mib_max << 10, "{shares:?}");
            assert!(shares.produce * count <= config.produce_mib_max << 10, "{shares:?}");
        }
        // With very many of them the least that each needs counts.
        let least = QueueShares {
            usage: 1 << 10,
            usage_records: 40_000,
            commands: 1 << 10,
            commands_records: 1_000,
            produce: 4 << 10,
        };
        assert_eq!(with_partitions(1024).queue_shares(), least);
        let eight = QueueShares { usage: 112 << 10, commands: 16 << 10, produce: 64 << 10, ..least };
        assert_eq!(with_partitions(8).queue_shares(), eight);
        let none = MeterConfig { read_ahead_mib_max: 0, produce_mib_max: 0, ..with_partitions(0) };
        assert_eq!(none.queue_shares(), least);
    }

    #[test]
    fn an_age_limit_beyond_the_ids_retention_is_refused_at_start() {
        let config = MeterConfig { age_limit_days: 91, operation_retention_days: 90, ..MeterConfig::default() };
        // Before anything is connected to, or listened on.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let error = runtime.block_on(crate::run::run(config.clone())).unwrap_err().to_string();
        assert!(error.contains("age_limit_days (91)") && error.contains("operation_retention_days (90)"), "{error}");
        let equal = MeterConfig { age_limit_days: 90, ..config };
        assert_eq!(equal.limits().unwrap().age_max_ms, 90 * 86_400_000);
    }

    #[test]
    fn usage_waits_longer_while_transactions_take_long_up_to_a_bound() {
        let batch = BatchConfig { linger_ms: 30, ..BatchConfig::default() };
        for (took_ms, linger_ms) in [(0, 30), (15, 30), (16, 32), (50, 100), (60, 120), (9_000, 120)] {
            assert_eq!(batch.linger(Duration::from_millis(took_ms)), Duration::from_millis(linger_ms));
        }
        // Who wants no wait has none.
        let at_once = BatchConfig { linger_ms: 0, ..batch };
        assert_eq!(at_once.linger(Duration::from_secs(9)), Duration::ZERO);
    }
}
