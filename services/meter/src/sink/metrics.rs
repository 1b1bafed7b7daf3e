//! Metrics of the sink.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

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
    pub(super) watermark: Gauge,
    pub(super) group: GroupMetrics,
    topic: String,
}

/// What is measured of any consumer group, here of the sink's.
///
/// Another group's reader in the same process has metrics of these names, too. So this is a collector that announces no
/// descriptions: the registry then does not insist that a name has one owner, and merges the families when it gathers.
#[derive(Debug, Clone)]
pub(super) struct GroupMetrics {
    pub(super) last_commit: Gauge,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
}

impl Collector for GroupMetrics {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.last_commit.collect();
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
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl GroupMetrics {
    fn register(registry: &Registry, group: &str) -> Result<Self, prometheus::Error> {
        let of_group = |name: &str, help: &str| {
            Opts::new(name, help).const_labels(HashMap::from([("group".to_owned(), group.to_owned())]))
        };
        let of_partition = ["topic", "partition"];
        let metrics = Self {
            last_commit: Gauge::with_opts(of_group(
                "tollbooth_consumer_last_commit_timestamp_seconds",
                "When the group last committed.",
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
    /// Registers everything; `group` and `topic` are labels.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry, group: &str, topic: &str) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help)?);
        let insert_duration = HistogramOpts::new(
            "tollbooth_sink_insert_duration_seconds",
            "Time from a block's intent to its rows being in every table, repeats included.",
        )
        .buckets(prometheus::exponential_buckets(0.005, 2.0, 14)?);
        let active = IntGauge::new("tollbooth_sink_active", "1 while this process is the active sink.")?;
        let watermark = Gauge::new(
            "tollbooth_rollup_watermark_timestamp_seconds",
            "Everything posted before this instant is in the rollups.",
        )?;
        Ok(Self {
            rows: counter("tollbooth_sink_rows_inserted_total", "Rows acknowledged by ClickHouse.")?,
            blocks: counter("tollbooth_sink_blocks_inserted_total", "Blocks acknowledged by ClickHouse.")?,
            bytes: counter("tollbooth_sink_bytes_inserted_total", "Bytes of those blocks before compression.")?,
            repeated_blocks: counter(
                "tollbooth_sink_repeated_blocks_total",
                "Blocks inserted again after a start because their end was unknown.",
            )?,
            insert_retries: counter(
                "tollbooth_sink_insert_retries_total",
                "Inserts that failed and were tried again.",
            )?,
            insert_duration: register(registry, Histogram::with_opts(insert_duration)?)?,
            active: register(registry, active)?,
            watermark: register(registry, watermark)?,
            group: GroupMetrics::register(registry, group)?,
            topic: topic.to_owned(),
        })
    }

    pub(super) fn lag_of(&self, partition: i32) -> PartitionLag {
        let labels = [self.topic.as_str(), &partition.to_string()];
        PartitionLag {
            records: self.group.lag_records.with_label_values(&labels),
            seconds: self.group.lag_seconds.with_label_values(&labels),
        }
    }

    /// A standby shows no lag: the active one's numbers would be stale here.
    pub(super) fn forget_lag(&self) {
        self.group.lag_records.reset();
        self.group.lag_seconds.reset();
        self.active.set(0);
    }
}

/// Seconds since the epoch.
pub(super) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
