//! The API, one resource a file.

mod account;
mod balance;
mod csv;
mod document;
mod entry;
mod event_usage;
mod fleet;
mod price_book;
mod recharge;
mod services;
mod stream;
mod summary;
mod timeline;
mod transactions;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use prometheus::IntGauge;
use serde::Serialize;
use tokio::sync::Semaphore;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::AccountId;

use crate::access::{Access, no_account};
use crate::calendar::Bucket;
use crate::config::QueryConfig;
use crate::live::{LiveView, SunkOffsets};
use crate::metrics::{Endpoint, Metrics};
use crate::params::{Parameter, ParameterKind, Params};
use crate::prices::Prices;
use crate::store::Store;

/// What every route works with.
#[derive(Debug)]
pub struct Api {
    /// Settings.
    pub config: QueryConfig,
    /// Keys.
    pub access: Arc<Access>,
    /// Balances and newest entries.
    pub view: Arc<LiveView>,
    /// History.
    pub store: Arc<Store>,
    /// How far the sink is.
    pub sunk: SunkOffsets,
    /// Price books.
    pub prices: Arc<Prices>,
    /// Feeds `prices`.
    pub price_table: TopicTable,
    /// Metrics.
    pub metrics: Metrics,
    /// Places of streams.
    pub stream_places: Arc<Semaphore>,
    /// Triggered when the listener is to drain: ends the streams.
    pub ending: Shutdown,
}

pub(crate) use document::description;

/// Read your own write.
const AWAIT: &[Parameter] = &[Parameter {
    name: "min_seq",
    kind: ParameterKind::Number(1, u64::MAX),
    about: "Waits until the answer can show this entry, the `seq` of a command's answer; then 503 `seq_not_reached`.",
}];

type Route = MethodRouter<Arc<Api>>;

/// What answers where. The OpenAPI document lists the same paths, and a test holds the two together.
fn table() -> Vec<(&'static str, Route)> {
    vec![
        ("/v1/accounts/{account_id}", get(account::get)),
        ("/v1/accounts/{account_id}/balance", get(balance::get)),
        ("/v1/accounts/{account_id}/recharge", get(recharge::get)),
        ("/v1/accounts/{account_id}/summary", get(summary::get)),
        ("/v1/accounts/{account_id}/transactions", get(transactions::list)),
        ("/v1/accounts/{account_id}/transactions.csv", get(csv::get)),
        ("/v1/accounts/{account_id}/transactions/{entry_id}", get(entry::get)),
        ("/v1/accounts/{account_id}/usage", get(usage::get)),
        ("/v1/accounts/{account_id}/events/{event_id}/transactions", get(transactions::list_of_event)),
        ("/v1/accounts/{account_id}/events/{event_id}/usage", get(event_usage::get)),
        ("/v1/accounts/{account_id}/stream", get(stream::get)),
        ("/v1/fleet/usage", get(fleet::usage)),
        ("/v1/price-books", get(price_book::list)),
        ("/v1/price-books/current", get(price_book::current)),
        ("/v1/price-books/{version}", get(price_book::version)),
        ("/v1/services", get(services::list)),
        ("/openapi.json", get(document::json)),
        ("/docs", get(document::html)),
    ]
}

/// All routes, each with its metrics.
pub fn router(api: Arc<Api>) -> Router {
    let http = api.metrics.http.clone();
    let add = |router: Router<Arc<Api>>, (path, route): (&'static str, Route)| {
        router.route(path, route.layer(http.route(path)))
    };
    table().into_iter().fold(Router::new(), add).with_state(api)
}

impl Api {
    /// Checks key and account of a request, and waits for the entry that `min_seq` names.
    ///
    /// A read that names a `seq` (from the answer to a command) sees at least that entry, or is told to come back: 503
    /// `seq_not_reached` after [`crate::config::LiveSection::min_seq_wait_ms`]. Here that is true of memory; an answer
    /// from ClickHouse waits for it once more, see [`Api::wait_until_sunk`].
    async fn open(&self, headers: &HeaderMap, account_id: &str, params: &Params) -> Result<Reader, Problem> {
        let is_admin = self.access.read_account(headers, account_id)?.is_admin();
        if account_id.parse::<AccountId>().is_err() {
            return Err(no_account());
        }
        if !self.view.is_confirmed_for(account_id) {
            return Err(Problem::unavailable(1).with_detail("balances are being read"));
        }
        let Some(seq) = params.number("min_seq", 1..=u64::MAX)? else { return Ok(Reader { awaited: None, is_admin }) };
        let _waiting = Waiting::begin(&self.metrics.waiting_reads);
        let patience = Duration::from_millis(self.config.live.min_seq_wait_ms);
        let awaited = Awaited { seq, until: Instant::now() + patience };
        if self.view.wait_for_seq(account_id, seq, patience).await {
            Ok(Reader { awaited: Some(awaited), is_admin })
        } else {
            Err(awaited.missing())
        }
    }

    /// Waits until ClickHouse has the entry that a request named, in every table, for what is left of the time.
    async fn wait_until_sunk(&self, account_id: &str, awaited: Option<Awaited>) -> Result<(), Problem> {
        let Some(awaited) = awaited else { return Ok(()) };
        let _waiting = Waiting::begin(&self.metrics.waiting_reads);
        let place = self.view.place_after(account_id, awaited.seq).ok_or_else(|| awaited.missing())?;
        let patience = awaited.until.saturating_duration_since(Instant::now());
        // The offsets say that the sink's server has it; of several the one that is asked here may be behind.
        if self.sunk.wait_for(place, patience).await && self.store.newest_seq(account_id).await? >= awaited.seq {
            return Ok(());
        }
        Err(awaited.missing())
    }

    /// Whether all price books were read once.
    ///
    /// Before, what is known is an old book, or none. Later on an old reading will do: a book is published well before it
    /// begins.
    fn ensure_prices(&self) -> Result<(), Problem> {
        let current = self.price_table.ensure_current(Duration::MAX);
        current.map_err(|_| Problem::unavailable(1).with_detail("prices are being read"))
    }

    /// The problem of an account without a balance.
    fn missing(&self, account_id: &str) -> Problem {
        if self.view.is_incomplete(account_id) {
            Problem::unavailable(2).with_detail("the account is being reloaded")
        } else {
            no_account()
        }
    }
}

/// Who reads, and what the answer must show.
#[derive(Debug, Clone, Copy)]
struct Reader {
    awaited: Option<Awaited>,
    /// Whether what only an admin may know is in the answer.
    is_admin: bool,
}

/// The entry that an answer must show, and until when it is waited for.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    seq: u64,
    until: Instant,
}

impl Awaited {
    fn missing(self) -> Problem {
        Problem::new("seq_not_reached", StatusCode::SERVICE_UNAVAILABLE, "The entry is not visible yet")
            .with_detail(format!("entry {} is not there yet", self.seq))
            .with_retry_after(1)
    }
}

/// Counts a request while it waits.
struct Waiting<'a>(&'a IntGauge);

impl<'a> Waiting<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Measures one request, whatever becomes of it.
struct Timer<'a> {
    metrics: &'a Metrics,
    endpoint: Endpoint,
    bucket: Option<Bucket>,
    started: Instant,
}

impl<'a> Timer<'a> {
    fn start(metrics: &'a Metrics, endpoint: Endpoint) -> Self {
        Self { metrics, endpoint, bucket: None, started: Instant::now() }
    }

    fn bucket(&mut self, bucket: Bucket) {
        self.bucket = Some(bucket);
    }

    fn done(self, rows: usize) {
        self.metrics.answered(self.endpoint, self.bucket, rows);
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.metrics.ended(self.endpoint, self.bucket, self.started.elapsed().as_secs_f64());
    }
}

/// A JSON answer about an account: for its reader alone, and asked anew each time.
fn private(body: &impl Serialize) -> Result<Response, Problem> {
    answer(body, HeaderValue::from_static("private, no-cache"))
}

fn answer(body: &impl Serialize, cache_control: HeaderValue) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), (header::CACHE_CONTROL, cache_control)];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::table;
    use crate::openapi::DOCUMENT;

    #[test]
    fn what_is_served_is_documented_and_the_other_way_round() {
        let served: BTreeSet<&str> = table().into_iter().map(|(path, _)| path).collect();
        let documented: BTreeSet<&str> = DOCUMENT.operations().map(|(path, _)| path).collect();
        assert_eq!(served, documented);
    }
}
