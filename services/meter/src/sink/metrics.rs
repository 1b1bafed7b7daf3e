//! Metrics of the sink.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use tollbooth_chassis::kafka::KafkaStatistics;

use super::drift::metrics::DriftMetrics;

/// Handles, bound once.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    pub(super) rows: IntCounter,
    pub(super) blocks: IntCounter,
    pub(super) bytes: IntCounter,
    pub(super) repeated_blocks: IntCounter,
    pub(super) insert_retries: IntCounter,
    pub(super) insert_duration: Histogram,
    pub(super) active: IntGauge,
    /// Without labels; a vector because its one gauge comes and goes.
    watermark: GaugeVec,
    group: GroupMetrics,
    /// How far each partition may be read.
    stable_offsets: IntGaugeVec,
    /// Offsets behind the last stable one, by partition.
    open_transactions: IntGaugeVec,
    /// What the drift watch shows.
    pub(super) drift: DriftMetrics,
    /// What the sink's Kafka clients say of themselves.
    pub(super) statistics: KafkaStatistics,
    topic: String,
}

/// What is measured of any consumer group, here of the sink's.
///
/// Another group's reader in the same process has metrics of these names, too. So this is a collector that announces no
/// descriptions: the registry then does not insist that a name has one owner, and merges the families when it gathers.
#[derive(Debug, Clone)]
struct GroupMetrics {
    last_commit: GaugeVec,
    /// Of the lease's group: it is the one with members.
    rebalances: IntCounter,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
}

impl Collector for GroupMetrics {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.last_commit.collect();
        families.extend(self.rebalances.collect());
        families.extend(self.lag_records.collect());
        families.extend(self.lag_seconds.collect());
        families
    }
}

/// The lag of one partition.
#[derive(Debug, Clone)]
pub(super) struct PartitionLag {
    pub(super) records: IntGauge,
    pub(super) seconds: Gauge,
    pub(super) stable_offset: IntGauge,
    pub(super) open_transaction: IntGauge,
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl GroupMetrics {
    fn register(registry: &Registry, group: &str, lease_group: &str) -> Result<Self, prometheus::Error> {
        let of = |group: &str, name: &str, help: &str| {
            Opts::new(name, help).const_labels(HashMap::from([("group".to_owned(), group.to_owned())]))
        };
        let of_group = |name: &str, help: &str| of(group, name, help);
        let of_partition = ["topic", "partition"];
        let metrics = Self {
            last_commit: GaugeVec::new(
                of_group("tollbooth_consumer_last_commit_timestamp_seconds", "When the group last committed."),
                &[],
            )?,
            rebalances: IntCounter::with_opts(of(
                lease_group,
                "tollbooth_consumer_rebalances_total",
                "Rebalances of the group.",
            ))?,
            lag_records: IntGaugeVec::new(
                of_group("tollbooth_consumer_lag_records", "Offsets between the group and the partition's end."),
                &of_partition,
            )?,
            lag_seconds: GaugeVec::new(
                of_group("tollbooth_consumer_lag_seconds", "Age of the oldest record not done by the group."),
                &of_partition,
            )?,
        };
        register(registry, metrics)
    }
}

impl SinkMetrics {
    /// Registers everything; the groups and `topic` are labels.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(
        registry: &Registry,
        group: &str,
        lease_group: &str,
        topic: &str,
    ) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help)?);
        let insert_duration = HistogramOpts::new(
            "tollbooth_sink_insert_duration_seconds",
            "Time from a block's intent to its rows being in every table, repeats included.",
        )
        .buckets(prometheus::exponential_buckets(0.005, 2.0, 14)?);
        let active = IntGauge::new("tollbooth_sink_active", "1 while this process is the active sink.")?;
        let watermark = Opts::new(
            "tollbooth_rollup_watermark_timestamp_seconds",
            "Everything posted before this instant is in the rollups, as the active sink knows it.",
        );
        let stable_offsets = Opts::new(
            "tollbooth_ledger_stable_offset",
            "Last stable offset: what lies before it may be read. Stands still while a transaction stays open.",
        );
        let open_transactions = Opts::new(
            "tollbooth_ledger_open_transaction_records",
            "Offsets that wait for a transaction to end before anybody may read them: end of the log less last stable offset.",
        );
        Ok(Self {
            rows: counter("tollbooth_sink_rows_inserted_total", "Rows acknowledged by ClickHouse.")?,
            blocks: counter("tollbooth_sink_blocks_inserted_total", "Blocks acknowledged by ClickHouse.")?,
            bytes: counter("tollbooth_sink_bytes_inserted_total", "Bytes of those blocks before compression.")?,
            repeated_blocks: counter(
                "tollbooth_sink_repeated_blocks_total",
                "Blocks that a start found intended, and looked for or inserted again.",
            )?,
            insert_retries: counter(
                "tollbooth_sink_insert_retries_total",
                "Inserts that failed and were tried again.",
            )?,
            insert_duration: register(registry, Histogram::with_opts(insert_duration)?)?,
            active: register(registry, active)?,
            watermark: register(registry, GaugeVec::new(watermark, &[])?)?,
            group: GroupMetrics::register(registry, group, lease_group)?,
            stable_offsets: register(registry, IntGaugeVec::new(stable_offsets, &["topic", "partition"])?)?,
            open_transactions: register(registry, IntGaugeVec::new(open_transactions, &["topic", "partition"])?)?,
            statistics: KafkaStatistics::register(registry)?,
            drift: DriftMetrics::register(registry)?,
            topic: topic.to_owned(),
        })
    }

    pub(super) fn lag_of(&self, partition: i32) -> PartitionLag {
        let labels = [self.topic.as_str(), &partition.to_string()];
        PartitionLag {
            records: self.group.lag_records.with_label_values(&labels),
            seconds: self.group.lag_seconds.with_label_values(&labels),
            stable_offset: self.stable_offsets.with_label_values(&labels),
            open_transaction: self.open_transactions.with_label_values(&labels),
        }
    }

    /// Everything posted before `seconds` is in the rollups.
    pub(super) fn set_watermark(&self, seconds: f64) {
        self.watermark.with_label_values::<&str>(&[]).set(seconds);
    }

    /// The group has committed now.
    pub(super) fn committed(&self) {
        self.group.last_commit.with_label_values::<&str>(&[]).set(now_seconds());
    }

    pub(super) fn rebalances(&self) -> &IntCounter {
        &self.group.rebalances
    }

    /// Gives every metric a sample.
    #[cfg(test)]
    pub(crate) fn exercise(&self) {
        drop(self.lag_of(0));
        self.set_watermark(0.0);
        self.committed();
        self.drift.exercise();
    }

    /// A standby shows neither lag nor watermark nor commits: what it knew as the active one grows stale, and the numbers
    /// of the one that is active now stand beside it.
    pub(super) fn stand_by(&self) {
        self.group.lag_records.reset();
        self.group.lag_seconds.reset();
        self.group.last_commit.reset();
        self.stable_offsets.reset();
        self.open_transactions.reset();
        self.drift.stand_by();
        self.watermark.reset();
        self.active.set(0);
    }
}

/// Seconds since the epoch.
pub(super) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
