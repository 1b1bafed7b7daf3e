//! Metric handles, bound once. Labels come from enums, never from input.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};
use tollbooth_chassis::http::HttpMetrics;
use tollbooth_chassis::trail::TrailMetrics;

use crate::events::Reason;
use crate::payments::PaymentMetrics;
use crate::produce::Topic;

/// An event later than this was kept back by a booth without a network, not by the network.
const OFFLINE_MS: i64 = 5 * 60_000;

/// All metrics of ingest.
#[derive(Debug, Clone)]
pub(crate) struct IngestMetrics {
    pub(crate) http: HttpMetrics,
    pub(crate) batch_events: Histogram,
    pub(crate) inflight_requests: IntGauge,
    pub(crate) inflight_bytes: IntGauge,
    pub(crate) producer_queue_records: IntGauge,
    pub(crate) replies_late: IntCounter,
    pub(crate) trail: TrailMetrics,
    pub(crate) payments: PaymentMetrics,
    accepted: IntCounter,
    rejected: [IntCounter; Reason::ALL.len()],
    lateness_live: Histogram,
    lateness_offline: Histogram,
    clock_skew: Histogram,
    produce_duration: [Histogram; Topic::ALL.len()],
    produce_errors: [IntCounter; Topic::ALL.len()],
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl IngestMetrics {
    pub(crate) fn register(
        registry: &Registry,
        topic_name: impl Fn(Topic) -> String,
    ) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let histograms = |name: &str, help: &str, buckets: &[f64], labels: &[&str]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(registry, HistogramVec::new(opts, labels)?)
        };
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let events = counters(
            "tollbooth_ingest_events_total",
            "Usage events by result; accepted is acknowledged by the brokers. A request refused as a whole is one.",
            &["result", "reason"],
        )?;
        let lateness = histograms(
            "tollbooth_ingest_event_lateness_seconds",
            "Time from an event's occurrence to its receipt; offline: more than 5 minutes.",
            &[1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 21_600.0, 86_400.0, 259_200.0, 864_000.0, 2_592_000.0],
            &["source"],
        )?;
        let duration = histograms(
            "tollbooth_broker_produce_duration_seconds",
            "Time from sending a request's records to the last acknowledgement.",
            &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            &["topic"],
        )?;
        let errors =
            counters("tollbooth_broker_produce_errors_total", "Records that were not acknowledged.", &["topic"])?;
        let replies = counters(
            "tollbooth_ingest_replies_late_total",
            "Commands answered with 202 because the meter's reply did not come in time.",
            &[],
        )?;
        let names = Topic::ALL.map(topic_name);
        Ok(Self {
            http: HttpMetrics::register(registry, "ingest")?,
            batch_events: histograms(
                "tollbooth_ingest_batch_events",
                "Events in a request; 1 where it was refused before they were told apart.",
                &[0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0],
                &[],
            )?
            .with_label_values::<&str>(&[]),
            inflight_requests: gauge("tollbooth_ingest_inflight_requests", "Requests being answered.")?,
            inflight_bytes: gauge("tollbooth_ingest_inflight_bytes", "Bytes of bodies of requests being answered.")?,
            producer_queue_records: gauge(
                "tollbooth_ingest_producer_queue_records",
                "Records that wait for the broker or its acknowledgement.",
            )?,
            trail: TrailMetrics::register(registry)?,
            payments: PaymentMetrics::register(registry)?,
            replies_late: replies.with_label_values::<&str>(&[]),
            accepted: events.with_label_values(&["accepted", "none"]),
            rejected: Reason::ALL.map(|reason| events.with_label_values(&["rejected", reason.label()])),
            lateness_live: lateness.with_label_values(&["live"]),
            lateness_offline: lateness.with_label_values(&["offline"]),
            clock_skew: histograms(
                "tollbooth_ingest_clock_skew_seconds",
                "How far ahead of our clock an event's time lies, for those that do.",
                &[0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 86_400.0],
                &[],
            )?
            .with_label_values::<&str>(&[]),
            produce_duration: names.each_ref().map(|name| duration.with_label_values(&[name])),
            produce_errors: names.each_ref().map(|name| errors.with_label_values(&[name])),
        })
    }

    pub(crate) fn accepted(&self, events: usize) {
        self.accepted.inc_by(events as u64);
    }

    pub(crate) fn rejected(&self, reason: Reason) {
        self.rejected[reason as usize].inc();
    }

    /// Notes how late an event is, or how far ahead of our clock.
    pub(crate) fn occurred(&self, occurred_at_ms: i64, now_ms: i64) {
        let late_ms = now_ms.saturating_sub(occurred_at_ms);
        let late_s = Duration::from_millis(late_ms.unsigned_abs()).as_secs_f64();
        if late_ms < 0 {
            self.clock_skew.observe(late_s);
        } else if late_ms <= OFFLINE_MS {
            self.lateness_live.observe(late_s);
        } else {
            self.lateness_offline.observe(late_s);
        }
    }

    pub(crate) fn produced(&self, topic: Topic, elapsed: Duration, failures: usize) {
        self.produce_duration[topic as usize].observe(elapsed.as_secs_f64());
        if failures > 0 {
            self.produce_errors[topic as usize].inc_by(failures as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tollbooth_chassis::{metric_table, telemetry};
    use tollbooth_schemas::topics::TopicSet;

    use super::*;

    #[tokio::test]
    async fn every_metric_is_documented_and_has_bounded_labels() {
        let topics = TopicSet { prefix: "tollbooth.".to_owned(), partitions: 1 };
        let registry = telemetry::registry("ingest", "0").unwrap();
        let metrics = IngestMetrics::register(&registry, |topic| topic.name(&topics)).unwrap();
        drop(metrics.http.route("/v1/events"));
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        let rows = metric_table::section(&registry, |name| !metric_table::is_common(name)).unwrap();
        metric_table::keep(&document, "ingest", &rows).unwrap();

        // The effects produce, too, but take no events.
        let registry = telemetry::registry("effects", "0").unwrap();
        crate::effects::register_metrics(&registry).unwrap();
        let rows = metric_table::section(&registry, |name| !metric_table::is_common(name)).unwrap();
        metric_table::keep(&document, "effects", &rows).unwrap();
    }
}
