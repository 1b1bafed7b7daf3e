//! How many messages of its own choice an account may have sent in an hour: pings and mail addresses that are added, and
//! what is dead and replayed.
//!
//! Whoever holds a key of an account names the addresses. A mail address is asked whether it wants anything; the bound keeps an
//! installation's mail server from asking somebody again and again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tollbooth_chassis::problem::{Problem, Quota};
use tollbooth_schemas::AccountId;

const WINDOW: Duration = Duration::from_secs(3_600);
/// Accounts that are remembered; beyond it those whose hour is over are forgotten.
const ACCOUNTS_MAX: usize = 10_000;

#[derive(Debug)]
struct Hour {
    since: Instant,
    count: usize,
}

/// What this process has let through, by account.
#[derive(Debug)]
pub(super) struct Pace {
    max: usize,
    /// Of what, for people.
    what: &'static str,
    by_account: Mutex<HashMap<AccountId, Hour>>,
}

impl Pace {
    /// At most `max` of one account in an hour.
    pub(super) fn new(max: usize, what: &'static str) -> Self {
        Self { max, what, by_account: Mutex::default() }
    }

    /// Counts one more.
    ///
    /// # Errors
    /// 429 with `Retry-After` where the account has had its share of the hour, or too many accounts ask at once.
    pub(super) fn take(&self, account_id: &AccountId, now: Instant) -> Result<(), Problem> {
        self.take_some(account_id, 1, now).map(|_| ())
    }

    /// Counts so many more, or as many of them as the hour has left: how many, and at least one of one or more.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn take_some(&self, account_id: &AccountId, wanted: usize, now: Instant) -> Result<usize, Problem> {
        let mut by_account = self.by_account.lock();
        let is_over = |hour: &Hour| now.saturating_duration_since(hour.since) >= WINDOW;
        if by_account.len() >= ACCOUNTS_MAX && !by_account.contains_key(account_id) {
            by_account.retain(|_, hour| !is_over(hour));
            if by_account.len() >= ACCOUNTS_MAX {
                return Err(self.refused(WINDOW));
            }
        }
        let hour = by_account.entry(account_id.clone()).or_insert(Hour { since: now, count: 0 });
        if is_over(hour) {
            *hour = Hour { since: now, count: 0 };
        }
        if hour.count >= self.max && wanted > 0 {
            return Err(self.refused(WINDOW.saturating_sub(now.saturating_duration_since(hour.since))));
        }
        let taken = wanted.min(self.max.saturating_sub(hour.count));
        hour.count = hour.count.saturating_add(taken);
        Ok(taken)
    }

    fn refused(&self, left: Duration) -> Problem {
        let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let detail = format!("{} {} of an account in an hour are sent", self.max, self.what);
        let quota = Quota { policy: "webhook-messages", limit: self.max, unit: "requests" };
        Problem::rate_limited(seconds).with_detail(detail).with_quota(quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_share_of_each_hour_and_no_other_account_s() {
        let pace = Pace::new(2, "pings");
        let start = Instant::now();
        let (luna, sol): (AccountId, AccountId) = ("acc_luna".parse().unwrap(), "acc_sol".parse().unwrap());
        let late = start + WINDOW / 2;
        assert!(pace.take(&luna, start).is_ok() && pace.take(&luna, late).is_ok());
        assert_eq!(pace.take(&luna, late).unwrap_err().status().as_u16(), 429);
        assert!(pace.take(&sol, late).is_ok());
        assert!(pace.take_some(&luna, 0, late).is_ok() && pace.take_some(&luna, 1, late).is_err());
        let next = start + WINDOW;
        assert!(pace.take(&luna, next).is_ok() && pace.take(&luna, next).is_ok());
        assert!(pace.take(&luna, next).is_err());
        assert_eq!(pace.take_some(&sol, 5, next).ok(), Some(1), "what is left of its own hour");
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_comes_free_again() {
        let pace = Pace::new(1, "pings");
        let start = Instant::now();
        let account = |number: usize| format!("acc_{number}").parse::<AccountId>().unwrap();
        for number in 0..ACCOUNTS_MAX {
            assert!(pace.take(&account(number), start).is_ok());
        }
        assert!(pace.take(&account(ACCOUNTS_MAX), start).is_err());
        assert!(pace.take(&account(ACCOUNTS_MAX), start + WINDOW).is_ok());
        assert_eq!(pace.by_account.lock().len(), 1);
    }
}
