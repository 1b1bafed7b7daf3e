//! Questions to ClickHouse.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, Registry};

/// Of the process's questions.
#[derive(Debug, Clone)]
pub struct ClickHouseMetrics {
    /// Under way.
    pub inflight: IntGauge,
    /// What a question waited to go together with others of its kind; the first of the two things that it may wait for.
    pub wait_together: Histogram,
    /// What it waited for one of `store.concurrent_max` places.
    pub wait_place: Histogram,
}

impl ClickHouseMetrics {
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let inflight = IntGauge::new("tollbooth_clickhouse_inflight_queries", "Queries to ClickHouse under way.")?;
        let help = "How long questions to ClickHouse waited, those that were refused or given up among them. together: to go with \
                    others of their kind; place: for one of store.concurrent_max.";
        // Who waits for `store.queue_wait_ms` (2 s by default) is refused.
        let buckets = vec![0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let options = HistogramOpts::new("tollbooth_clickhouse_wait_seconds", help).buckets(buckets);
        let waits = HistogramVec::new(options, &["stage"])?;
        registry.register(Box::new(inflight.clone()))?;
        registry.register(Box::new(waits.clone()))?;
        let wait = |stage| waits.with_label_values(&[stage]);
        Ok(Self { inflight, wait_together: wait("together"), wait_place: wait("place") })
    }
}
