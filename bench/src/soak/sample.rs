//! What is looked at every ten seconds.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Services;
use crate::{load::Window, stack::Bench};

/// One look.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Sample {
    /// Since the load began, seconds.
    pub(crate) at_s: f64,
    /// Acknowledged since the sample before.
    pub(crate) events: u64,
    /// Request due to 202.
    pub(crate) ack_p50_ms: Option<f64>,
    pub(crate) ack_p99_ms: Option<f64>,
    /// 202 to a changed balance.
    pub(crate) visible_p50_ms: Option<f64>,
    pub(crate) visible_p99_ms: Option<f64>,
    pub(crate) rss_ingest_mib: f64,
    pub(crate) rss_meter_mib: f64,
    pub(crate) rss_query_mib: f64,
    pub(crate) rss_kafka_mib: f64,
    pub(crate) rss_clickhouse_mib: f64,
    /// Of the meter's memory: what the operation ids take.
    pub(crate) operation_ids_mib: f64,
    /// Usage that the meter has not done yet.
    pub(crate) meter_lag_records: f64,
    pub(crate) meter_lag_s: f64,
    /// Age of the oldest ledger record that is not in ClickHouse.
    pub(crate) sink_lag_s: f64,
    /// What the drift watch of the sink found. None where it did not tell.
    pub(crate) drift_accounts: Option<f64>,
}

/// A series of the samples: name, unit, value.
pub(crate) type Series = (&'static str, &'static str, fn(&Sample) -> Option<f64>);

pub(crate) const SERIES: [Series; 15] = [
    ("events", "each 10 s", |sample| Some(crate::curve::float(sample.events))),
    ("ack p50", "ms", |sample| sample.ack_p50_ms),
    ("ack p99", "ms", |sample| sample.ack_p99_ms),
    ("balance visible p50", "ms", |sample| sample.visible_p50_ms),
    ("balance visible p99", "ms", |sample| sample.visible_p99_ms),
    ("memory of ingest", "MiB", |sample| Some(sample.rss_ingest_mib)),
    ("memory of meter", "MiB", |sample| Some(sample.rss_meter_mib)),
    ("of it operation ids", "MiB", |sample| Some(sample.operation_ids_mib)),
    ("memory of query", "MiB", |sample| Some(sample.rss_query_mib)),
    ("memory of Kafka", "MiB", |sample| Some(sample.rss_kafka_mib)),
    ("memory of ClickHouse", "MiB", |sample| Some(sample.rss_clickhouse_mib)),
    ("lag of the meter", "records", |sample| Some(sample.meter_lag_records)),
    ("lag of the meter", "s", |sample| Some(sample.meter_lag_s)),
    ("lag of the sink", "s", |sample| Some(sample.sink_lag_s)),
    ("accounts that drift", "", |sample| sample.drift_accounts),
];

impl Sample {
    pub(super) fn take(
        bench: &Bench,
        services: &Services,
        at: Duration,
        window: &Window,
        visible: &Histogram<u64>,
    ) -> Self {
        let Services { ingest, meter, query } = services;
        let usage = "topic=\"soak.usage\"";
        let largest = |values: Vec<f64>| values.into_iter().fold(0.0, f64::max);
        let drift = meter.sink_metrics("tollbooth_balance_drift_accounts", "");
        let [kafka, clickhouse] = bench.engines_rss_mib();
        Self {
            at_s: at.as_secs_f64(),
            events: window.acknowledged,
            ack_p50_ms: milliseconds(&window.latency, 0.5),
            ack_p99_ms: milliseconds(&window.latency, 0.99),
            visible_p50_ms: milliseconds(visible, 0.5),
            visible_p99_ms: milliseconds(visible, 0.99),
            rss_ingest_mib: ingest.rss_mib(),
            rss_meter_mib: meter.rss_mib(),
            rss_query_mib: query.rss_mib(),
            rss_kafka_mib: kafka,
            rss_clickhouse_mib: clickhouse,
            operation_ids_mib: meter.metric("tollbooth_meter_operation_id_bytes", "") / 1_048_576.0,
            meter_lag_records: meter.metric("tollbooth_consumer_lag_records", usage),
            meter_lag_s: largest(meter.metrics("tollbooth_consumer_lag_seconds", usage)),
            sink_lag_s: largest(meter.sink_metrics("tollbooth_consumer_lag_seconds", "")),
            drift_accounts: (!drift.is_empty()).then(|| drift.into_iter().sum()),
        }
    }

    /// For who looks on.
    pub(super) fn line(&self) -> String {
        format!(
            "{:.0} s: {} events, ack p99 {:.1} ms, balance visible p99 {:.1} ms, MiB of ingest {:.0} meter {:.0} query {:.0}, lag {:.0} and {:.1} s",
            self.at_s,
            self.events,
            self.ack_p99_ms.unwrap_or_default(),
            self.visible_p99_ms.unwrap_or_default(),
            self.rss_ingest_mib,
            self.rss_meter_mib,
            self.rss_query_mib,
            self.meter_lag_s,
            self.sink_lag_s
        )
    }
}

#[allow(clippy::cast_precision_loss)] // Microseconds of a minute.
fn milliseconds(latency: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!latency.is_empty()).then(|| latency.value_at_quantile(quantile) as f64 / 1_000.0)
}
