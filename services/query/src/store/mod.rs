//! Questions to ClickHouse: bound parameters only, each with limits of time, rows and memory, a bounded number at once.

mod activity;
mod alerts;
mod balances;
mod charges;
mod cube;
mod drift;
mod entry;
mod error;
mod packed_rows;
mod pages;
mod pages_together;
mod parties;
mod projection;
mod purse;
mod recharge;
mod together;
mod usage;
mod usage_sql;
mod usage_together;
mod windows;
mod words;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clickhouse::query::Query;
use clickhouse::{Client, RowOwned, RowRead};
use prometheus::IntGauge;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tollbooth_chassis::config::ClickHouseSection;
use tollbooth_chassis::ops::Component;

pub use activity::Below;
pub use alerts::{AlertRow, Back};
pub use balances::Accounts;
use cube::CubesTogether;
pub use cube::{CELL_SEPARATOR, CubeOf};
pub use drift::DriftRow;
pub use error::StoreError;
use pages::Pages;
use pages_together::PagesTogether;
pub use parties::{PartiesQuery, Party, PartyKind};
use projection::Ends;
pub use projection::{Behind, Projection};
pub use recharge::RechargeRow;
pub use usage::{EVER, GroupBy, Keep, Kinds, Measure, REST_KEY, Scope, UsageFilter, UsageQuery, UsageRow};
use usage_together::UsageTogether;
pub use windows::Posted;
use words::{KeptNames, kept_names};

use crate::budget::Budget;
use crate::config::StoreSection;
use crate::metrics::{ClickHouseMetrics, PagesMetrics};
use crate::prices::Prices;

/// What the client waits beyond the server's own time limit.
const GRACE: Duration = Duration::from_secs(1);

/// The projection in ClickHouse.
pub struct Store {
    client: Client,
    permits: Semaphore,
    metrics: ClickHouseMetrics,
    settings: StoreSection,
    pages: Pages,
    names: KeptNames,
    together: UsageTogether,
    cubes_together: CubesTogether,
    pages_together: PagesTogether,
    component: Component,
    prices: Arc<Prices>,
    answered: AtomicBool,
    was_ready: AtomicBool,
    expected: OnceLock<Projection>,
    first_ends: OnceCell<Vec<(i32, i64)>>,
    /// Up to where the sink had begun to insert, and when that was asked for last.
    last_ends: Mutex<Option<(Instant, Ends)>>,
    /// Whether the database was seen to show the expected ledger.
    is_bound: AtomicBool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Store {
    /// A store that is asked nothing yet. `component` follows whether ClickHouse answers.
    #[must_use]
    pub fn new(
        section: &ClickHouseSection,
        settings: StoreSection,
        metrics: ClickHouseMetrics,
        pages: PagesMetrics,
        component: Component,
        prices: Arc<Prices>,
    ) -> Self {
        let client = tollbooth_chassis::clickhouse::client(section)
            .with_product_info("tollbooth-query", env!("CARGO_PKG_VERSION"))
            // A query whose client has gone is ended: the connection is closed when nobody waits for the answer any more.
            .with_setting("readonly", "2")
            .with_setting("cancel_http_readonly_queries_on_client_close", "1")
            .with_setting("max_execution_time", settings.execution_time_s_max.to_string())
            .with_setting("max_memory_usage", settings.memory_bytes_max.to_string())
            .with_setting("max_threads", settings.threads_max.to_string());
        let under_way = || Arc::new(Semaphore::new(settings.together_concurrent_max.max(1)));
        // Both are of the same tables.
        let sums_under_way = under_way();
        let (members_max, waited) = (settings.together_max, &metrics.wait_together);
        Self {
            client,
            permits: Semaphore::new(settings.concurrent_max),
            settings,
            pages: Pages::new(settings.pages_bytes_max, Duration::from_millis(settings.queue_wait_ms), pages),
            names: kept_names(settings.names_bytes_max),
            together: UsageTogether::new(members_max, Arc::clone(&sums_under_way), waited.clone()),
            cubes_together: CubesTogether::new(members_max, sums_under_way, waited.clone()),
            pages_together: PagesTogether::new(members_max, under_way(), waited.clone()),
            metrics,
            component,
            prices,
            answered: AtomicBool::new(false),
            was_ready: AtomicBool::new(false),
            expected: OnceLock::new(),
            first_ends: OnceCell::new(),
            last_ends: Mutex::default(),
            is_bound: AtomicBool::new(false),
        }
    }

    /// The same, where all questions go to one server: then pages that several questions tell are kept as well.
    #[must_use]
    pub const fn of_one_server(mut self) -> Self {
        self.pages.of_one_server();
        self
    }

    fn query(&self, sql: &str) -> Query {
        self.client.query(sql)
    }

    /// What a request may spend.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        Budget::new(self.execution_time_max(), self.settings.rows_to_read_max)
    }

    /// How long a question waits for its turn.
    const fn queue_wait(&self) -> Duration {
        Duration::from_millis(self.settings.queue_wait_ms)
    }

    fn execution_time_max(&self) -> Duration {
        Duration::from_secs(self.settings.execution_time_s_max)
    }

    /// A query that may read at most as many rows as are left to the request. Not for pages: their bound is their limit, and
    /// the rows that lie between the hits of a narrow filter are read only as far as needed.
    fn bounded_query(&self, sql: &str) -> Query {
        let rows_left = Budget::current().map_or(self.settings.rows_to_read_max, |budget| budget.rows_left());
        // To ClickHouse 0 is no bound.
        self.query(sql).with_setting("max_rows_to_read", rows_left.max(1).to_string())
    }

    /// Runs a query about history, once the database is known to show the ledger.
    async fn rows<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        if !self.is_bound.load(Ordering::Relaxed) {
            self.bind().await?;
        }
        self.ask(query).await
    }

    async fn bind(&self) -> Result<(), StoreError> {
        let outcome = self.check_projection().await;
        self.is_bound.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    }

    /// Runs a query when its turn comes.
    async fn ask<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        let budget = Budget::current();
        let has_waited = self.permits.available_permits() == 0;
        // Where it is not reached, dropping it observes: who is refused, and who goes away, has waited as well.
        let waiting = self.metrics.wait_place.start_timer();
        let turn = tokio::time::timeout(self.queue_wait(), self.permits.acquire());
        let Ok(Ok(_permit)) = turn.await else { return Err(StoreError::Busy) };
        waiting.observe_duration();
        let _inflight = Inflight::begin(&self.metrics.inflight);
        if let Some(budget) = budget.as_ref().filter(|_| has_waited || self.is_full()) {
            budget.crowd();
        }
        let answer = self.answer(query, budget.as_ref()).await;
        let is_crowded = self.is_full() || budget.is_some_and(|budget| budget.is_crowded());
        answer.map_err(|error| if is_crowded { error.in_a_crowd() } else { error })
    }

    /// Whether this question shares the server with as many others as may be under way.
    fn is_full(&self) -> bool {
        self.settings.concurrent_max > 1 && self.permits.available_permits() == 0
    }

    async fn answer<T: RowOwned + RowRead>(
        &self,
        query: Query,
        budget: Option<&Arc<Budget>>,
    ) -> Result<Vec<T>, StoreError> {
        let time_left = budget.map_or(self.execution_time_max(), |budget| budget.time_left());
        if time_left.is_zero() {
            return Err(StoreError::OverTime);
        }
        // The server says so itself where the question takes longer than that. Who says nothing at all is not there.
        let query = match budget {
            Some(_) => query.with_setting("max_execution_time", time_left.as_secs_f64().to_string()),
            None => query,
        };
        let mut read = Read { rows: 0, started: Instant::now(), budget: budget.cloned() };
        let answer = tokio::time::timeout(time_left + GRACE, all_rows(query, &mut read)).await;
        Ok(answer.map_err(|_| clickhouse::error::Error::TimedOut)??)
    }

    /// Asks for nothing, to see whether ClickHouse answers, shows the ledger and has the tables; the component says what
    /// was seen. Returns whether it was all that.
    ///
    /// Balances are answered without ClickHouse, so its absence must not take every replica out of service: once it has
    /// answered, the component stays ready, and is degraded. The database of another ledger is a
    /// mistake that nobody should be shown the answers of, at any time.
    pub async fn ping(&self) -> bool {
        match self.look().await {
            Ok(()) => {
                if !self.answered.swap(true, Ordering::Relaxed) {
                    tracing::info!("ClickHouse answers");
                }
                self.was_ready.store(true, Ordering::Relaxed);
                self.component.ready();
                true
            }
            Err(error) => {
                let had_answered = self.answered.swap(false, Ordering::Relaxed);
                if had_answered {
                    tracing::warn!(%error, "history is not available");
                }
                if matches!(error, StoreError::OtherLedger { .. }) || !self.was_ready.load(Ordering::Relaxed) {
                    self.component.not_ready(error.to_string());
                } else {
                    self.component.degraded(format!("no history: {error}"));
                }
                false
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        match self.check_projection().await {
            Ok(()) => self.is_bound.store(true, Ordering::Relaxed),
            Err(error) => {
                // What cannot be seen at the moment is what it was; what was seen to be another is not asked again.
                if matches!(error, StoreError::OtherLedger { .. }) {
                    self.is_bound.store(false, Ordering::Relaxed);
                }
                return Err(error);
            }
        }
        let query = self.query("SELECT seq FROM ledger WHERE account_id = '' LIMIT 1");
        self.ask::<u64>(query).await?;
        Ok(())
    }
}

/// What a question takes, which the request has spent however it ends.
struct Read {
    rows: u64,
    started: Instant,
    budget: Option<Arc<Budget>>,
}

impl Drop for Read {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.spend(self.started.elapsed(), self.rows);
        }
    }
}

async fn all_rows<T: RowOwned + RowRead>(query: Query, read: &mut Read) -> clickhouse::error::Result<Vec<T>> {
    let mut cursor = query.fetch::<T>()?;
    let mut rows = Vec::new();
    while let Some(row) = cursor.next().await? {
        rows.push(row);
    }
    // As far as ClickHouse was when it began to answer: of sums that is all of it.
    read.rows = cursor.summary().and_then(|summary| summary.read_rows()).unwrap_or_default();
    Ok(rows)
}

struct Inflight<'a>(&'a IntGauge);

impl<'a> Inflight<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tollbooth_chassis::ops::Health;

    use super::*;

    #[tokio::test]
    async fn who_is_refused_a_place_has_waited_for_it() {
        // given a store without a place
        let settings = StoreSection { concurrent_max: 0, queue_wait_ms: 20, ..StoreSection::default() };
        let metrics = ClickHouseMetrics::register(&Registry::new()).unwrap();
        let pages = PagesMetrics::register(&Registry::new()).unwrap();
        let component = Health::new().component("clickhouse");
        let section = ClickHouseSection::default();
        let store = Store::new(&section, settings, metrics.clone(), pages, component, Arc::default());

        // when it is asked
        let outcome = store.ask::<u64>(store.query("SELECT 1")).await;

        // then that is refused, and how long it waited is counted
        assert!(matches!(outcome, Err(StoreError::Busy)), "{outcome:?}");
        assert_eq!(metrics.wait_place.get_sample_count(), 1);
        assert!(metrics.wait_place.get_sample_sum() >= 0.02);
    }

    #[tokio::test]
    async fn time_says_how_large_a_question_is_only_where_it_had_the_server_for_itself() {
        // given a store of two places, and a request that has no time left
        let settings = StoreSection { concurrent_max: 2, ..StoreSection::default() };
        let metrics = ClickHouseMetrics::register(&Registry::new()).unwrap();
        let pages = PagesMetrics::register(&Registry::new()).unwrap();
        let component = Health::new().component("clickhouse");
        let store = Store::new(&ClickHouseSection::default(), settings, metrics, pages, component, Arc::default());
        let ask = async |budget: &Arc<Budget>| {
            Arc::clone(budget).spent_by(store.ask::<u64>(store.query("SELECT 1"))).await.unwrap_err()
        };
        let without_time = || Budget::new(Duration::ZERO, 1);

        // when it asks while one other question is under way, and after it had to wait for two of them
        let other = store.permits.acquire().await.unwrap();
        assert!(matches!(ask(&without_time()).await, StoreError::Busy));
        let second = store.permits.acquire().await.unwrap();
        let crowded = without_time();
        let mut waits = std::pin::pin!(ask(&crowded));
        assert!(tokio::time::timeout(Duration::from_millis(20), waits.as_mut()).await.is_err());
        drop((other, second));

        // then it is not said to ask for too much, nor is it for what it asks afterwards
        assert!(matches!(waits.await, StoreError::Busy));
        assert!(matches!(ask(&crowded).await, StoreError::Busy));
        // and who asks alone is
        assert!(matches!(ask(&without_time()).await, StoreError::OverTime));
    }
}
