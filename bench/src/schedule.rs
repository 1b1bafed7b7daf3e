//! When requests of an open loop fall due.
//!
//! The runtime's own timers are a millisecond coarse, which is as long as an answer takes: what they are late would count as
//! the service's. So a thread that sleeps by the system's clock lets each request go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// Requests by their numbers, each with the instant from which it counts.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Requests a second; `None`: each is due when it is asked for.
    rate: Option<f64>,
    count: usize,
    started: Instant,
    next: AtomicUsize,
    due: Semaphore,
}

impl Schedule {
    /// `count` requests at a rate, taken by so many askers.
    pub(crate) fn at_rate(rate: f64, count: usize, askers: usize) -> Arc<Self> {
        let schedule = Arc::new(Self::of(Some(rate), count));
        let releasing = Arc::clone(&schedule);
        std::thread::spawn(move || {
            for number in 0..count {
                std::thread::sleep(releasing.due_at(number).saturating_duration_since(Instant::now()));
                releasing.due.add_permits(1);
            }
            // Who asks for one more is told that there is none.
            releasing.due.add_permits(askers);
        });
        schedule
    }

    /// As fast as they are asked for.
    pub(crate) fn at_once() -> Arc<Self> {
        Arc::new(Self::of(None, usize::MAX))
    }

    fn of(rate: Option<f64>, count: usize) -> Self {
        Self { rate, count, started: Instant::now(), next: AtomicUsize::new(0), due: Semaphore::new(0) }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The next request, when it is due; `None` behind the last.
    pub(crate) async fn next(&self) -> Option<(usize, Instant)> {
        if self.rate.is_some() {
            self.due.acquire().await.ok()?.forget();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = if self.rate.is_some() { self.due_at(number) } else { Instant::now() };
        (number < self.count).then_some((number, due))
    }

    fn due_at(&self, number: usize) -> Instant {
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        let after = self.rate.map_or(0.0, |rate| number as f64 / rate);
        self.started + Duration::from_secs_f64(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_is_given_once_and_not_before_it_is_due() {
        // given two who ask for a hundred requests at a thousand a second
        let schedule = Schedule::at_rate(1_000.0, 100, 2);
        let asks = || async {
            let mut numbers = Vec::new();
            while let Some((number, due)) = schedule.next().await {
                assert!(due <= Instant::now(), "{number}");
                numbers.push(number);
            }
            numbers
        };
        // when both have taken what there is
        let (mut all, mut others) = tokio::join!(asks(), asks());
        // then each number went to one of them, in the time that they take
        all.append(&mut others);
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert!(schedule.started().elapsed() >= Duration::from_millis(99));
    }
}
