//! `GET /v1/price-books/current`: public, no key.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use tollbooth_chassis::problem::Problem;

use super::{Api, Timer, answer};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{PriceBookSchema, PublicProblems};
use crate::params::{Params, parameters};
use crate::prices::Freshness;

parameters! {
    /// Of this route: none.
    PriceBookParams = &[]
}

/// The price book in force
///
/// As it was published. Needs no key.
#[utoipa::path(
    get,
    path = "/v1/price-books/current",
    operation_id = "get_current_price_book",
    tag = "Prices",
    params(PriceBookParams),
    responses(
        (status = 200, description = "The price book", body = PriceBookSchema),
        PublicProblems
    )
)]
pub(super) async fn current(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::PriceBook);
    Params::parse(&uri, PriceBookParams::GROUPS)?;
    // Before the end, what is known is an old book, or none. Later on an old reading will do: a book is published well
    // before it begins.
    if api.price_table.ensure_current(Duration::MAX).is_err() {
        return Err(Problem::unavailable(1).with_detail("prices are being read"));
    }
    let (book, Freshness { fresh_s, stale_s }) =
        api.prices.current(now_ms()).ok_or_else(|| Problem::not_found("no price book is in force yet"))?;
    timer.done(book.prices.len());
    let cache_control = match stale_s {
        0 => format!("public, max-age={fresh_s}"),
        stale_s => format!("public, max-age={fresh_s}, stale-while-revalidate={stale_s}"),
    };
    answer(&book, HeaderValue::try_from(cache_control).map_err(Problem::internal)?)
}
