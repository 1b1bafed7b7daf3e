//! What one request may spend on questions to ClickHouse, all of them together.
//!
//! It goes with the task that answers the request, and with a question that several requests wait for: there it is the
//! budget of the one that began it. What belongs to no request, such as the reading of purses, has none, and a file or a
//! stream that is sent on for longer than its handler runs is bounded question by question.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

tokio::task_local! {
    static BUDGET: Arc<Budget>;
}

/// What is left.
#[derive(Debug)]
pub struct Budget {
    time_us: AtomicU64,
    rows: AtomicU64,
    is_crowded: AtomicBool,
}

impl Budget {
    /// All of it.
    #[must_use]
    pub fn new(time: Duration, rows: u64) -> Arc<Self> {
        Arc::new(Self {
            time_us: AtomicU64::new(micros(time)),
            rows: AtomicU64::new(rows),
            is_crowded: AtomicBool::new(false),
        })
    }

    /// That of this task; `None` where it answers no request.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        BUDGET.try_with(Arc::clone).ok()
    }

    /// Runs on this budget.
    pub async fn spent_by<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        BUDGET.scope(self, work).await
    }

    /// Time that questions may still take.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        Duration::from_micros(self.time_us.load(Ordering::Relaxed))
    }

    /// Rows that questions may still read.
    #[must_use]
    pub fn rows_left(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// One of its questions shares the server with as many as may be under way: the time that it takes is theirs as well.
    pub fn crowd(&self) {
        self.is_crowded.store(true, Ordering::Relaxed);
    }

    /// Whether one did.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.is_crowded.load(Ordering::Relaxed)
    }

    /// A question took this long and read so many rows.
    pub fn spend(&self, time: Duration, rows: u64) {
        for (left, spent) in [(&self.time_us, micros(time)), (&self.rows, rows)] {
            left.update(Ordering::Relaxed, Ordering::Relaxed, |left| left.saturating_sub(spent));
        }
    }
}

/// Runs on the budget of this task in another one.
pub fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let budget = Budget::current();
    async move {
        match budget {
            Some(budget) => budget.spent_by(work).await,
            None => work.await,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tollbooth_chassis::config::ClickHouseSection;
    use tollbooth_chassis::ops::Health;

    use super::*;
    use crate::config::StoreSection;
    use crate::metrics::{ClickHouseMetrics, PagesMetrics};
    use crate::store::{Projection, Store, StoreError};

    #[tokio::test]
    async fn questions_of_a_request_and_of_what_it_began_spend_one_budget() {
        // given a request, which asks here and in a task of its own
        let budget = Budget::new(Duration::from_secs(10), 100);
        let request = Arc::clone(&budget).spent_by(async {
            Budget::current().unwrap().spend(Duration::from_secs(4), 30);
            let other = async { Budget::current().unwrap().spend(Duration::from_secs(3), 50) };
            tokio::spawn(inherited(other)).await.unwrap();
        });
        // when
        request.await;

        // then both have spent the same, and nothing is below nothing
        assert_eq!((budget.time_left(), budget.rows_left()), (Duration::from_secs(3), 20));
        budget.spend(Duration::from_secs(9), 21);
        assert_eq!((budget.time_left(), budget.rows_left()), (Duration::ZERO, 0));
    }

    #[tokio::test]
    async fn a_request_that_has_no_time_left_asks_nothing() {
        // given a store whose ClickHouse is not there
        let section = ClickHouseSection { url: "http://127.0.0.1:1".to_owned(), ..ClickHouseSection::default() };
        let metrics = ClickHouseMetrics::register(&Registry::new()).unwrap();
        let pages = PagesMetrics::register(&Registry::new()).unwrap();
        let component = Health::new().component("clickhouse");
        let store = Store::new(&section, StoreSection::default(), metrics, pages, component, Arc::default());
        let topic = "tollbooth.ledger".to_owned();
        store.expect(Projection { cluster_id: "here".to_owned(), ledger_topic: topic, partitions: 8 });
        let asked_with = async |left: Duration| Budget::new(left, 1).spent_by(store.check_projection()).await;
        // when and then
        assert!(matches!(asked_with(Duration::ZERO).await, Err(StoreError::OverTime)));
        assert!(matches!(asked_with(Duration::from_micros(1)).await, Err(StoreError::Unavailable(_))));
    }

    #[tokio::test]
    async fn who_answers_no_request_has_none() {
        assert!(Budget::current().is_none());
        assert_eq!(inherited(async { 7 }).await, 7);
    }
}
