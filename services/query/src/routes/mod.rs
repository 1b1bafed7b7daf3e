//! The API, one resource a file.

mod balance;
mod event_usage;
mod price_book;
mod transactions;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::{AccountId, Amount, Money};

use crate::access::{Access, no_account};
use crate::calendar::Bucket;
use crate::config::QueryConfig;
use crate::live::LiveView;
use crate::metrics::{Endpoint, Metrics};
use crate::params::Params;
use crate::prices::Prices;
use crate::store::Store;

/// What every route works with.
#[derive(Debug)]
pub struct Api {
    /// Settings.
    pub config: QueryConfig,
    /// Keys.
    pub access: Access,
    /// Balances and newest entries.
    pub view: Arc<LiveView>,
    /// History.
    pub store: Arc<Store>,
    /// Price books.
    pub prices: Arc<Prices>,
    /// Metrics.
    pub metrics: Metrics,
}

/// All routes.
pub fn router(api: Arc<Api>) -> Router {
    let http = api.metrics.http.clone();
    macro_rules! measured {
        ($handler:expr, $route:literal) => {
            ($route, get($handler).layer(http.route($route)))
        };
    }
    let routes = [
        measured!(balance::get, "/v1/accounts/{account_id}/balance"),
        measured!(transactions::list, "/v1/accounts/{account_id}/transactions"),
        measured!(usage::get, "/v1/accounts/{account_id}/usage"),
        measured!(event_usage::get, "/v1/accounts/{account_id}/events/{event_id}/usage"),
        measured!(price_book::current, "/v1/price-books/current"),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route)).with_state(api)
}

impl Api {
    /// Checks key and account of a request, and waits for the entry that `min_seq` names.
    ///
    /// A read that names a `seq` (from the answer to a command) sees at least that entry, or is told to come back: 503
    /// `seq_not_reached` after [`crate::config::LiveSection::min_seq_wait_ms`].
    async fn open(&self, headers: &HeaderMap, account_id: &str, params: &Params) -> Result<(), Problem> {
        self.access.read_account(headers, account_id)?;
        if account_id.parse::<AccountId>().is_err() {
            return Err(no_account());
        }
        if !self.view.is_confirmed() {
            return Err(Problem::unavailable(1).with_detail("balances are being read"));
        }
        if let Some(min_seq) = params.number("min_seq", 1..=u64::MAX)? {
            let patience = Duration::from_millis(self.config.live.min_seq_wait_ms);
            if !self.view.wait_for_seq(account_id, min_seq, patience).await {
                let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
                return Err(Problem::new("seq_not_reached", status, "The entry is not visible yet")
                    .with_detail(format!("entry {min_seq} is not there yet"))
                    .with_retry_after(1));
            }
        }
        Ok(())
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

/// Measures one answer.
struct Timer<'a> {
    metrics: &'a Metrics,
    endpoint: Endpoint,
    started: Instant,
}

impl<'a> Timer<'a> {
    fn start(metrics: &'a Metrics, endpoint: Endpoint) -> Self {
        Self { metrics, endpoint, started: Instant::now() }
    }

    fn done(self, bucket: Option<Bucket>, rows: usize) {
        self.metrics.answered(self.endpoint, bucket, self.started.elapsed().as_secs_f64(), rows);
    }
}

/// Money of an account. The ledger keeps every amount within the bound; beyond it is a defect of ours.
fn amount(micros: i128, currency: &str) -> Result<Amount, Problem> {
    let money = i64::try_from(micros).ok().and_then(Money::from_micros);
    let amount = money.ok_or_else(|| Problem::internal("an amount is out of range"))?;
    Ok(Amount { amount, currency: currency.to_owned() })
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
