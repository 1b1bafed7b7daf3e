//! How much may be under way at once: requests, and bytes of their bodies. Beyond it the answer is 503 at once, so that
//! a crowd of booths coming back meets a short no instead of a long silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::AdmissionSection;
use crate::metrics::IngestMetrics;

/// The two bounds and what is in use of them.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: AdmissionSection,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    metrics: IngestMetrics,
}

/// A place that a request holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Admission,
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionSection, metrics: IngestMetrics) -> Self {
        let inner = Inner { limits, requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0), metrics };
        Self(Arc::new(inner))
    }

    /// Takes a place for a request with a body of at most `bytes`; `None` where there is none.
    pub(crate) fn try_admit(&self, bytes: usize) -> Option<Admitted> {
        let inner = &self.0;
        if !reserve(&inner.requests, 1, inner.limits.requests_max) {
            return None;
        }
        if !reserve(&inner.bytes, bytes, inner.limits.bytes_max) {
            inner.requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.show();
        Some(Admitted { admission: self.clone(), bytes })
    }

    fn show(&self) {
        let shown = |value: &AtomicUsize| i64::try_from(value.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        self.0.metrics.inflight_requests.set(shown(&self.0.requests));
        self.0.metrics.inflight_bytes.set(shown(&self.0.bytes));
    }
}

fn reserve(used: &AtomicUsize, more: usize, max: usize) -> bool {
    let sum = |used: usize| used.checked_add(more).filter(|sum| *sum <= max);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
}

impl Admitted {
    /// Gives back what the body did not need after all.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.admission.0.bytes.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.admission.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.admission.show();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_places_come_back() {
        let metrics = IngestMetrics::register(&prometheus::Registry::new(), |topic| format!("{topic:?}")).unwrap();
        let admission = Admission::new(AdmissionSection { requests_max: 2, bytes_max: 100 }, metrics);
        let mut first = admission.try_admit(80).unwrap();
        assert!(admission.try_admit(21).is_none(), "bytes");
        first.shrink(10);
        let second = admission.try_admit(90).unwrap();
        assert!(admission.try_admit(0).is_none(), "requests");
        drop((first, second));
        assert!(admission.try_admit(100).is_some());
    }
}
