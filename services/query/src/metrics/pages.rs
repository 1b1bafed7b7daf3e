//! Where pages of transactions come from.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Where one came from; the label `source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSource {
    /// It was kept.
    Memory,
    /// ClickHouse was asked.
    ClickHouse,
}

/// Pages that are kept.
#[derive(Debug, Clone)]
pub struct PagesMetrics {
    /// Bytes of all that are kept.
    pub bytes: IntGauge,
    memory: IntCounter,
    clickhouse: IntCounter,
}

impl PagesMetrics {
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let bytes = IntGauge::new("tollbooth_query_pages_bytes", "Bytes of pages of transactions that are kept.")?;
        let help = "Pages of older transactions by where they came from.";
        let counters = IntCounterVec::new(Opts::new("tollbooth_query_pages_total", help), &["source"])?;
        registry.register(Box::new(bytes.clone()))?;
        registry.register(Box::new(counters.clone()))?;
        let counter = |source| counters.with_label_values(&[source]);
        Ok(Self { bytes, memory: counter("memory"), clickhouse: counter("clickhouse") })
    }

    /// Counts one.
    pub fn count(&self, source: PageSource) {
        match source {
            PageSource::Memory => self.memory.inc(),
            PageSource::ClickHouse => self.clickhouse.inc(),
        }
    }
}
