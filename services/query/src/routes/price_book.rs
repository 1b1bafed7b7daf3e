//! `GET /v1/price-books/current`: public, no key.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use tollbooth_chassis::problem::Problem;

use super::{Api, Timer, answer};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::params::Params;

pub(super) async fn current(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::PriceBook);
    Params::parse(&uri, &[])?;
    let (book, fresh_s) =
        api.prices.current(now_ms()).ok_or_else(|| Problem::not_found("no price book is in force yet"))?;
    timer.done(None, book.prices.len());
    let cache_control = format!("public, max-age={fresh_s}, stale-while-revalidate={}", fresh_s * 12);
    answer(&book, HeaderValue::try_from(cache_control).map_err(Problem::internal)?)
}
