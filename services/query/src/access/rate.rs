//! How many requests a key may send.
//!
//! A bucket of `burst` requests for each key, filled at an even rate (the generic cell rate algorithm). The sessions of a
//! key share its bucket, its portal tokens have one of their own: a crowd on a customer's page keeps nobody out of the
//! dashboard. Who is not known has none, for a refusal costs next to nothing, and so the buckets are bounded by the
//! registry of keys. Each process counts for itself.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota as Refill, RateLimiter};
use tollbooth_chassis::problem::{Problem, Quota};

use super::Visitor;
use crate::config::RateSection;

/// Name of the policy in the headers.
const POLICY: &str = "requests";

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Holder {
    key_id: String,
    by_portal: bool,
}

type Limiter = RateLimiter<Holder, DashMapStateStore<Holder>, DefaultClock, StateInformationMiddleware>;

/// The buckets.
#[derive(Debug)]
pub struct Rate(Option<Buckets>);

#[derive(Debug)]
struct Buckets {
    limiter: Limiter,
    clock: DefaultClock,
    burst: NonZeroU32,
    per_second: NonZeroU32,
}

/// What is left in a bucket after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    requests: u32,
    burst: NonZeroU32,
    per_second: NonZeroU32,
}

impl Rate {
    /// Full buckets; none where requests are not counted.
    #[must_use]
    pub fn new(settings: &RateSection) -> Self {
        Self(NonZeroU32::new(settings.requests_per_second).map(|per_second| {
            let burst = NonZeroU32::new(settings.burst).unwrap_or(per_second);
            let limiter = RateLimiter::dashmap(Refill::per_second(per_second).allow_burst(burst));
            Buckets { limiter: limiter.with_middleware(), clock: DefaultClock::default(), burst, per_second }
        }))
    }

    /// A request of `visitor`; `None` where requests are not counted.
    ///
    /// # Errors
    /// 429 with `Retry-After` where the bucket is empty; such a request takes nothing out of it.
    pub fn take(&self, visitor: &Visitor) -> Result<Option<Left>, Problem> {
        let Some(buckets) = &self.0 else { return Ok(None) };
        let Buckets { burst, per_second, .. } = *buckets;
        let key_id = visitor.principal.key_id.as_str().to_owned();
        match buckets.limiter.check_key(&Holder { key_id, by_portal: visitor.portal.is_some() }) {
            Ok(state) => {
                Ok(Some(Left { requests: StateSnapshot::remaining_burst_capacity(&state), burst, per_second }))
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(buckets.clock.now());
                let limit = usize::try_from(burst.get()).unwrap_or(usize::MAX);
                let quota = Quota { policy: POLICY, limit, unit: "requests" };
                let detail = format!("a key may send {per_second} requests a second, and {burst} at once");
                Err(Problem::rate_limited(seconds(wait)).with_detail(detail).with_quota(quota))
            }
        }
    }
}

impl Left {
    /// Says it as `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): `t` is when the bucket is full
    /// again.
    pub fn tell(self, headers: &mut HeaderMap) {
        let Self { requests, burst, per_second } = self;
        let filled_in = |requests: u32| requests.div_ceil(per_second.get());
        let window = filled_in(burst.get());
        let lines = [
            ("ratelimit-policy", format!("\"{POLICY}\";q={burst};qu=\"requests\";w={window}")),
            ("ratelimit", format!("\"{POLICY}\";r={requests};t={}", filled_in(burst.get().saturating_sub(requests)))),
        ];
        for (name, line) in lines {
            headers.extend(HeaderValue::try_from(line).map(|value| (HeaderName::from_static(name), value)));
        }
    }
}

/// Whole seconds, never less than needed.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(u32::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_the_terms_of_the_standard() {
        let left = |requests, burst, per_second| Left {
            requests,
            burst: NonZeroU32::new(burst).unwrap(),
            per_second: NonZeroU32::new(per_second).unwrap(),
        };
        for (left, policy, state) in [
            (left(999, 1_000, 500), "q=1000;qu=\"requests\";w=2", "r=999;t=1"),
            (left(1_000, 1_000, 500), "q=1000;qu=\"requests\";w=2", "r=1000;t=0"),
            (left(0, 1_000, 300), "q=1000;qu=\"requests\";w=4", "r=0;t=4"),
        ] {
            let mut headers = HeaderMap::new();
            left.tell(&mut headers);
            assert_eq!(headers["ratelimit-policy"], format!("\"requests\";{policy}"));
            assert_eq!(headers["ratelimit"], format!("\"requests\";{state}"));
        }
    }

    #[test]
    fn who_comes_back_when_told_to_is_not_early() {
        for (wait_ms, told) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(seconds(Duration::from_millis(wait_ms)), told);
        }
    }
}
