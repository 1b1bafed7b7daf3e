//! Metrics of server-sent events.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What is sent; the label `event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEvent {
    /// `ready`
    Ready,
    /// `balance`
    Balance,
    /// `transaction`
    Transaction,
    /// `usage`
    Usage,
    /// `alert`
    Alert,
    /// `resync`
    Resync,
    /// `stale`
    Stale,
}

impl StreamEvent {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Ready, "ready"),
        (Self::Balance, "balance"),
        (Self::Transaction, "transaction"),
        (Self::Usage, "usage"),
        (Self::Alert, "alert"),
        (Self::Resync, "resync"),
        (Self::Stale, "stale"),
    ];
}

/// Why a client is told to load anew; the label `reason`.
const REASONS: [&str; 4] = ["too_far_behind", "history_unavailable", "gap", "ahead"];

/// Bound handles.
#[derive(Debug, Clone)]
pub struct StreamMetrics {
    /// Open streams.
    pub connections: IntGauge,
    /// Posting to sent.
    pub ledger_to_sse: Histogram,
    /// Cut off, since nobody read them.
    pub dropped: IntCounter,
    events: [(StreamEvent, IntCounter); 7],
    resyncs: [(&'static str, IntCounter); 4],
}

impl StreamMetrics {
    pub(super) fn register(registry: &Registry, e2e: &HistogramVec) -> Result<Self, prometheus::Error> {
        let connections = IntGauge::new("tollbooth_sse_connections", "Open streams.")?;
        let events =
            IntCounterVec::new(Opts::new("tollbooth_sse_events_total", "Events sent to streams."), &["event"])?;
        let help = "Streams that were closed because their client did not read on for http.write_timeout_ms. Clients that went \
                    away are not among them.";
        let dropped = IntCounter::new("tollbooth_sse_dropped_total", help)?;
        let help = "Streams whose client was told to load anew, by why.";
        let resyncs = IntCounterVec::new(Opts::new("tollbooth_sse_resyncs_total", help), &["reason"])?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(events.clone()))?;
        registry.register(Box::new(dropped.clone()))?;
        registry.register(Box::new(resyncs.clone()))?;
        Ok(Self {
            connections,
            ledger_to_sse: e2e.with_label_values(&["ledger_to_sse"]),
            dropped,
            events: StreamEvent::ALL.map(|(event, code)| (event, events.with_label_values(&[code]))),
            resyncs: REASONS.map(|reason| (reason, resyncs.with_label_values(&[reason]))),
        })
    }

    /// An event goes out.
    pub fn sent(&self, event: StreamEvent) {
        if let Some((_, counter)) = self.events.iter().find(|(known, _)| *known == event) {
            counter.inc();
        }
    }

    /// A client is told to load anew.
    pub fn resynced(&self, reason: &str) {
        if let Some((_, counter)) = self.resyncs.iter().find(|(known, _)| *known == reason) {
            counter.inc();
        }
    }
}
