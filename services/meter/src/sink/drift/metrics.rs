//! What the drift watch shows.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounter, IntGaugeVec, Opts, Registry};

use super::figures::{Drift, Kind};
use crate::sink::metrics::now_seconds;

/// Handles. The gauges come and go with the activity of this sink: what a standby knew grows stale.
#[derive(Debug, Clone)]
pub(in crate::sink) struct DriftMetrics {
    accounts: IntGaugeVec,
    dollars: GaugeVec,
    last_success: GaugeVec,
    last_pass: GaugeVec,
    looked_at: IntCounter,
    duration: Histogram,
    topic_entries: IntGaugeVec,
    topic_dollars: GaugeVec,
    topic_compared: GaugeVec,
    topic_went_on: GaugeVec,
    topic_left: IntGaugeVec,
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl DriftMetrics {
    pub(in crate::sink) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauges =
            |name: &str, help: &str, labels: &[&str]| register(registry, GaugeVec::new(Opts::new(name, help), labels)?);
        let int_gauges = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let accounts = Opts::new(
            "tollbooth_balance_drift_accounts",
            "Accounts whose figures in ClickHouse contradict each other, by where; anything but 0 is a defect.",
        );
        let duration = HistogramOpts::new(
            "tollbooth_reconciliation_duration_seconds",
            "Time that one turn of the drift watch took.",
        )
        .buckets(prometheus::exponential_buckets(0.005, 2.0, 12)?);
        Ok(Self {
            accounts: register(registry, IntGaugeVec::new(accounts, &["kind"])?)?,
            dollars: gauges(
                "tollbooth_balance_drift_dollars",
                "How far those accounts are off, absolute amounts summed; 0 where only counts differ.",
                &["kind"],
            )?,
            last_success: gauges(
                "tollbooth_reconciliation_last_success_timestamp_seconds",
                "When the drift watch of the active sink last finished a turn.",
                &[],
            )?,
            last_pass: gauges(
                "tollbooth_reconciliation_last_pass_timestamp_seconds",
                "When the drift watch had last looked at every account.",
                &[],
            )?,
            looked_at: register(
                registry,
                IntCounter::new("tollbooth_reconciliation_accounts_total", "Accounts that the drift watch looked at.")?,
            )?,
            duration: register(registry, Histogram::with_opts(duration)?)?,
            topic_entries: int_gauges(
                "tollbooth_ledger_drift_entries",
                "Entries by which ClickHouse is not what the ledger topic is, without sign; anything but 0 is a defect.",
                &["partition"],
            )?,
            topic_dollars: gauges(
                "tollbooth_ledger_drift_dollars",
                "How far balances in ClickHouse are from what the amounts in the ledger topic sum to, without sign.",
                &["partition"],
            )?,
            topic_compared: gauges(
                "tollbooth_reconciliation_topic_timestamp_seconds",
                "When ClickHouse was last held against the ledger topic; absent until the topic was read to its end once.",
                &[],
            )?,
            topic_went_on: gauges(
                "tollbooth_reconciliation_topic_turn_timestamp_seconds",
                "When the watch of the ledger topic last got on with reading, or had all of it; at first when it began.",
                &[],
            )?,
            topic_left: int_gauges(
                "tollbooth_reconciliation_topic_left_records",
                "Ledger offsets that are still to be read before the two can be held against each other.",
                &[],
            )?,
        })
    }

    /// A turn is done.
    pub(super) fn looked(&self, elapsed: Duration) {
        self.duration.observe(elapsed.as_secs_f64());
        self.last_success.with_label_values::<&str>(&[]).set(now_seconds());
    }

    /// Every account was looked at.
    pub(in crate::sink) fn passed(&self) {
        self.last_pass.with_label_values::<&str>(&[]).set(now_seconds());
    }

    /// What a turn found.
    #[allow(clippy::cast_precision_loss)] // For people and alerts; the exact figures stand in the log.
    pub(in crate::sink) fn counted(&self, looked_at: usize, known: &BTreeMap<String, Drift>) {
        self.looked_at.inc_by(looked_at as u64);
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let off: Vec<u128> = known.values().filter_map(|drift| drift.0[index]).collect();
            let micros = off.iter().fold(0_u128, |sum, micros| sum.saturating_add(*micros));
            self.accounts.with_label_values(&[kind.code()]).set(i64::try_from(off.len()).unwrap_or(i64::MAX));
            self.dollars.with_label_values(&[kind.code()]).set(micros as f64 / 1e6);
        }
    }

    /// The watch of the ledger topic begins, has read on, or has nothing left to read.
    pub(super) fn topic_went_on(&self) {
        self.topic_went_on.with_label_values::<&str>(&[]).set(now_seconds());
    }

    /// How far the ledger topic is still to be read.
    pub(in crate::sink) fn topic_left(&self, offsets: i64) {
        self.topic_left.with_label_values::<&str>(&[]).set(offsets);
    }

    /// By partition, how far the tables and the ledger topic are apart: entries, and millionths.
    #[allow(clippy::cast_precision_loss)] // For people and alerts; the exact figures stand in the log.
    pub(in crate::sink) fn compared(&self, apart: &[(u64, u128)]) {
        for (partition, (entries, micros)) in apart.iter().enumerate() {
            let partition = partition.to_string();
            let entries = i64::try_from(*entries).unwrap_or(i64::MAX);
            self.topic_entries.with_label_values(&[partition.as_str()]).set(entries);
            self.topic_dollars.with_label_values(&[partition.as_str()]).set(*micros as f64 / 1e6);
        }
        self.topic_compared.with_label_values::<&str>(&[]).set(now_seconds());
    }

    /// Another sink is active: its figures stand beside these.
    pub(in crate::sink) fn stand_by(&self) {
        self.accounts.reset();
        self.dollars.reset();
        self.last_success.reset();
        self.last_pass.reset();
        self.topic_entries.reset();
        self.topic_dollars.reset();
        self.topic_compared.reset();
        self.topic_went_on.reset();
        self.topic_left.reset();
    }

    /// Gives every metric a sample.
    #[cfg(test)]
    pub(in crate::sink) fn exercise(&self) {
        self.counted(0, &BTreeMap::new());
        self.looked(Duration::ZERO);
        self.passed();
        self.topic_left(0);
        self.topic_went_on();
        self.compared(&[(0, 0)]);
    }
}
