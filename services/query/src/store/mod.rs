//! Questions to ClickHouse: bound parameters only, each with limits of time, rows and memory, a bounded number at once.

mod activity;
mod balances;
mod usage;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, RowOwned, RowRead};
use prometheus::IntGauge;
use tokio::sync::Semaphore;
use tollbooth_chassis::config::ClickHouseSection;
use tollbooth_chassis::ops::Component;
use tollbooth_chassis::problem::Problem;

pub use balances::Accounts;
pub use usage::{GroupBy, UsageFilter, UsageQuery, UsageRow};

use crate::config::StoreSection;

/// Seconds a client is asked to wait when ClickHouse is away.
const RETRY_AFTER_S: u32 = 2;
/// What the client waits beyond the server's own time limit.
const GRACE: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// ClickHouse is away, not migrated yet, or too slow.
    #[error("clickhouse: {0}")]
    Unavailable(#[source] clickhouse::error::Error),
    /// Too many questions at once.
    #[error("too many queries under way")]
    Busy,
    /// The question is larger than its limits.
    #[error("the query exceeds its limits: {0}")]
    TooLarge(#[source] clickhouse::error::Error),
    /// A row is not what the schema says.
    #[error("a row is not as expected: {0}")]
    Row(String),
}

impl From<clickhouse::error::Error> for StoreError {
    fn from(error: clickhouse::error::Error) -> Self {
        let text = match &error {
            clickhouse::error::Error::BadResponse(text) => text.as_str(),
            clickhouse::error::Error::SchemaMismatch(text) => return Self::Row(text.clone()),
            _ => return Self::Unavailable(error),
        };
        // TOO_MANY_ROWS, MEMORY_LIMIT_EXCEEDED, TOO_MANY_ROWS_OR_BYTES
        if ["Code: 158.", "Code: 241.", "Code: 396."].iter().any(|code| text.contains(code)) {
            Self::TooLarge(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::unavailable(1).with_detail("too many queries at once"),
            StoreError::Unavailable(source) => {
                tracing::warn!(error = %source, "ClickHouse gives no answer");
                Self::unavailable(RETRY_AFTER_S).with_detail("history is not available at the moment; balances are")
            }
            StoreError::TooLarge(source) => {
                tracing::warn!(error = %source, "a query exceeds its limits");
                Self::new("query_too_large", axum::http::StatusCode::BAD_REQUEST, "The request asks for too much")
                    .with_detail("narrow the range or the filters")
            }
            StoreError::Row(detail) => Self::internal(detail),
        }
    }
}

/// The projection in ClickHouse.
pub struct Store {
    client: Client,
    permits: Semaphore,
    inflight: IntGauge,
    settings: StoreSection,
    component: Component,
    answered: AtomicBool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Store {
    /// A store that is asked nothing yet. `component` follows whether ClickHouse answers.
    #[must_use]
    pub fn new(section: &ClickHouseSection, settings: StoreSection, inflight: IntGauge, component: Component) -> Self {
        let client = Client::default()
            .with_url(&section.url)
            .with_database(&section.database)
            .with_user(&section.user)
            .with_password(section.password.expose())
            .with_product_info("tollbooth-query", env!("CARGO_PKG_VERSION"))
            .with_setting("max_execution_time", settings.execution_time_s_max.to_string())
            .with_setting("max_memory_usage", settings.memory_bytes_max.to_string())
            .with_setting("max_threads", settings.threads_max.to_string());
        Self {
            client,
            permits: Semaphore::new(settings.concurrent_max),
            inflight,
            settings,
            component,
            answered: AtomicBool::new(false),
        }
    }

    fn query(&self, sql: &str) -> Query {
        self.client.query(sql)
    }

    /// A query that may read at most so many rows. Not for pages: their bound is their limit, and the rows that lie
    /// between the hits of a narrow filter are read only as far as needed.
    fn bounded_query(&self, sql: &str) -> Query {
        self.query(sql).with_setting("max_rows_to_read", self.settings.rows_to_read_max.to_string())
    }

    /// Runs a query when its turn comes.
    async fn rows<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        let turn = tokio::time::timeout(Duration::from_millis(self.settings.queue_wait_ms), self.permits.acquire());
        let Ok(Ok(_permit)) = turn.await else { return Err(StoreError::Busy) };
        let _inflight = Inflight::begin(&self.inflight);
        let patience = Duration::from_secs(self.settings.execution_time_s_max) + GRACE;
        let outcome = tokio::time::timeout(patience, query.fetch_all()).await;
        outcome.unwrap_or(Err(clickhouse::error::Error::TimedOut)).map_err(StoreError::from)
    }

    /// Asks for nothing, to see whether ClickHouse answers and has the tables; the component says what was seen.
    ///
    /// Balances are answered without ClickHouse, so its absence must not take every replica out of service: once it has
    /// answered, the component stays ready and says in the log what is wrong.
    pub async fn ping(&self) {
        let query = self.query("SELECT seq FROM ledger WHERE account_id = '' LIMIT 1");
        match self.rows::<u64>(query).await {
            Ok(_) => {
                if !self.answered.swap(true, Ordering::Relaxed) {
                    tracing::info!("ClickHouse answers");
                }
                self.component.ready();
            }
            Err(error) => {
                if self.answered.swap(false, Ordering::Relaxed) {
                    tracing::warn!(%error, "ClickHouse does not answer; history is not available");
                }
            }
        }
    }
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
