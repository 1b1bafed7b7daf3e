//! Failed tries to sign in, by address.
//!
//! A key has some 178 bits of chance: nobody guesses one. The bound makes who tries a list of keys visible, and tells an
//! integration with an old key to wait. A right key is looked up before and never waits: behind a proxy everybody has one
//! address, and one visitor's mistakes must not keep the others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tollbooth_chassis::problem::{Problem, Quota};

const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; beyond it those whose minute is over are forgotten, then all.
const ADDRESSES_MAX: usize = 10_000;

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: usize,
}

/// How often which address failed in its minute.
#[derive(Debug)]
pub struct Attempts {
    max: usize,
    by_address: Mutex<HashMap<IpAddr, Failures>>,
}

impl Attempts {
    /// At most `max` failures of one address in a minute.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, by_address: Mutex::default() }
    }

    /// A try of this address failed.
    ///
    /// # Errors
    /// Where as many failed in its minute already as may: 429 with `Retry-After`, and the try is not counted.
    pub fn failed(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        let mut by_address = self.by_address.lock();
        let address = network(address);
        let is_over = |failures: &Failures| now.saturating_duration_since(failures.since) >= WINDOW;
        if by_address.len() >= ADDRESSES_MAX && !by_address.contains_key(&address) {
            by_address.retain(|_, failures| !is_over(failures));
            if by_address.len() >= ADDRESSES_MAX {
                by_address.clear();
            }
        }
        let failures = by_address.entry(address).or_insert(Failures { since: now, count: 0 });
        if is_over(failures) {
            *failures = Failures { since: now, count: 0 };
        }
        if failures.count < self.max {
            failures.count += 1;
            return Ok(());
        }
        let left = WINDOW.saturating_sub(now.saturating_duration_since(failures.since));
        let quota = Quota { policy: "sign-in", limit: self.max, unit: "requests" };
        let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Err(Problem::rate_limited(seconds).with_detail("too many failed tries to sign in").with_quota(quota))
    }
}

/// One subscriber has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits_out_its_minute() {
        let attempts = Attempts::new(2);
        let start = Instant::now();
        let (one, other): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let half = start + WINDOW / 2;
        assert!(attempts.failed(one, start).is_ok() && attempts.failed(one, half).is_ok());
        assert_eq!(attempts.failed(one, half).unwrap_err().status().as_u16(), 429);
        assert!(attempts.failed(other, half).is_ok());
        // A new minute begins at none.
        let next = start + WINDOW;
        assert!(attempts.failed(one, next).is_ok() && attempts.failed(one, next).is_ok());
        assert!(attempts.failed(one, next).is_err());
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let attempts = Attempts::new(1);
        let now = Instant::now();
        assert!(attempts.failed("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(attempts.failed("2001:db8::ffff:2".parse().unwrap(), now).is_err());
        assert!(attempts.failed("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
        assert!(attempts.failed("::ffff:10.0.0.1".parse().unwrap(), now).is_ok());
        assert!(attempts.failed("10.0.0.1".parse().unwrap(), now).is_err());
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let attempts = Attempts::new(1);
        let now = Instant::now();
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 10 {
            assert!(attempts.failed(std::net::Ipv4Addr::from(number).into(), now).is_ok());
        }
        assert!(attempts.by_address.lock().len() <= ADDRESSES_MAX);
    }
}
