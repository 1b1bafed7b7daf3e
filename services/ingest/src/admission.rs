//! How much may be under way at once: requests, and bytes of their bodies. Beyond it the answer is 503 at once, so that
//! a crowd of booths coming back meets a short no instead of a long silence. Of both, one key has a share at most;
//! beyond that the answer is 429, to that key alone.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tollbooth_chassis::http::Room;
use tollbooth_chassis::problem::{Problem, Quota};
use tollbooth_schemas::ids::KeyId;

use crate::config::AdmissionSection;
use crate::metrics::IngestMetrics;
use crate::produce::RETRY_AFTER_S;

/// The bounds and what is in use of them.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: AdmissionSection,
    used: Mutex<Used>,
    metrics: IngestMetrics,
}

#[derive(Debug, Default)]
struct Used {
    all: Share,
    /// Keys with a request under way: never more than there are requests.
    keys: HashMap<KeyId, Share>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    requests: usize,
    bytes: usize,
}

/// A place that a request holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Admission,
    key_id: KeyId,
    /// What is taken for the body.
    bytes: usize,
    /// What came of the body.
    arrived: usize,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionSection, metrics: IngestMetrics) -> Self {
        Self(Arc::new(Inner { limits, used: Mutex::default(), metrics }))
    }

    /// Takes a place for a request of `key_id` with a body of `bytes` to begin with.
    ///
    /// # Errors
    /// 429 where the key has its share, 503 where nobody may have more.
    pub(crate) fn admit(&self, key_id: &KeyId, bytes: usize) -> Result<Admitted, Problem> {
        self.take(key_id, Share { requests: 1, bytes })?;
        Ok(Admitted { admission: self.clone(), key_id: key_id.clone(), bytes, arrived: 0 })
    }

    fn take(&self, key_id: &KeyId, more: Share) -> Result<(), Problem> {
        let Inner { limits, used, metrics } = &*self.0;
        let mut used = used.lock();
        let key = used.keys.get(key_id).copied().unwrap_or_default();
        if key.requests + more.requests > limits.key_requests_max {
            let quota = Quota { policy: "requests", limit: limits.key_requests_max, unit: "concurrent-requests" };
            return Err(over_share(quota));
        }
        if key.bytes.saturating_add(more.bytes) > limits.key_bytes_max {
            return Err(over_share(Quota { policy: "bytes", limit: limits.key_bytes_max, unit: "content-bytes" }));
        }
        let all = used.all;
        if all.requests + more.requests > limits.requests_max || all.bytes.saturating_add(more.bytes) > limits.bytes_max
        {
            return Err(Problem::unavailable(RETRY_AFTER_S).with_detail("too many requests are under way"));
        }
        used.all.add(more);
        match used.keys.get_mut(key_id) {
            Some(share) => share.add(more),
            None => drop(used.keys.insert(key_id.clone(), more)),
        }
        show(metrics, used.all);
        Ok(())
    }

    fn give_back(&self, key_id: &KeyId, less: Share) {
        let mut used = self.0.used.lock();
        used.all.subtract(less);
        if let Some(share) = used.keys.get_mut(key_id) {
            share.subtract(less);
            if share.requests == 0 {
                used.keys.remove(key_id);
            }
        }
        show(&self.0.metrics, used.all);
    }
}

impl Share {
    fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.bytes += more.bytes;
    }

    fn subtract(&mut self, less: Self) {
        self.requests -= less.requests;
        self.bytes -= less.bytes;
    }
}

fn show(metrics: &IngestMetrics, used: Share) {
    let shown = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    metrics.inflight_requests.set(shown(used.requests));
    metrics.inflight_bytes.set(shown(used.bytes));
}

fn over_share(quota: Quota) -> Problem {
    let detail = format!("the key has its share of this process: {} {} under way", quota.limit, quota.policy);
    Problem::rate_limited(RETRY_AFTER_S).with_detail(detail).with_quota(quota)
}

impl Admitted {
    /// Gives back what the body did not need after all.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.admission.give_back(&self.key_id, Share { requests: 0, bytes: surplus });
        self.bytes -= surplus;
    }
}

/// A declared body was taken for as a whole; what nobody declared is taken as it comes.
impl Room for Admitted {
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        self.arrived += bytes;
        let more = self.arrived.saturating_sub(self.bytes);
        if more > 0 {
            self.admission.take(&self.key_id, Share { requests: 0, bytes: more })?;
            self.bytes += more;
        }
        Ok(())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.give_back(&self.key_id, Share { requests: 1, bytes: self.bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: AdmissionSection) -> Admission {
        let metrics = IngestMetrics::register(&prometheus::Registry::new(), |topic| format!("{topic:?}")).unwrap();
        Admission::new(limits, metrics)
    }

    fn key(name: &str) -> KeyId {
        name.parse().unwrap()
    }

    fn status(outcome: Result<Admitted, Problem>) -> u16 {
        outcome.map_or_else(|problem| problem.status().as_u16(), |_| 200)
    }

    #[test]
    fn both_bounds_hold_and_places_come_back() {
        let limits = AdmissionSection { requests_max: 2, bytes_max: 100, key_requests_max: 2, key_bytes_max: 100 };
        let admission = admission(limits);
        let (one, other) = (key("key_1"), key("key_2"));
        let mut first = admission.admit(&one, 80).unwrap();
        assert_eq!(status(admission.admit(&other, 21)), 503, "bytes");
        first.shrink(10);
        let second = admission.admit(&other, 90).unwrap();
        assert_eq!(status(admission.admit(&key("key_3"), 0)), 503, "requests");
        drop((first, second));
        assert_eq!(status(admission.admit(&one, 100)), 200);
        assert!(admission.0.used.lock().keys.is_empty(), "nobody is remembered who has nothing under way");
    }

    #[test]
    fn one_key_has_its_share_and_leaves_the_rest_to_the_others() {
        let limits = AdmissionSection { requests_max: 9, bytes_max: 100, key_requests_max: 2, key_bytes_max: 50 };
        let admission = admission(limits);
        let (greedy, other) = (key("key_1"), key("key_2"));
        let first = admission.admit(&greedy, 50).unwrap();
        assert_eq!(status(admission.admit(&greedy, 1)), 429, "bytes");
        let _second = admission.admit(&greedy, 0).unwrap();
        assert_eq!(status(admission.admit(&greedy, 0)), 429, "requests");
        let _others = admission.admit(&other, 50).unwrap();
        drop(first);
        assert_eq!(status(admission.admit(&greedy, 50)), 200);
    }

    #[test]
    fn what_nobody_declared_is_taken_as_it_comes() {
        let limits = AdmissionSection { requests_max: 9, bytes_max: 100, key_requests_max: 9, key_bytes_max: 60 };
        let admission = admission(limits);
        let in_use = || admission.0.used.lock().all.bytes;
        // given a body of 10 declared bytes that unfolds
        let mut packed = admission.admit(&key("key_1"), 10).unwrap();
        packed.take(10).unwrap();
        assert_eq!(in_use(), 10, "the declared part is taken once");
        packed.take(50).unwrap();
        assert_eq!(in_use(), 60);
        // when it wants more than its share, then it is refused and what it has stays counted until it is gone
        assert_eq!(packed.take(1).unwrap_err().status().as_u16(), 429);
        assert_eq!(in_use(), 60);
        drop(packed);
        assert_eq!(in_use(), 0);
    }
}
