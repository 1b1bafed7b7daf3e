//! `GET /v1/price-books`, `/current` and `/{version}`: public, no key.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::{serde_rfc3339, serde_rfc3339_option};
use utoipa::ToSchema;

use super::{Api, Timer, answer};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{BookPath, PriceBookSchema, PublicProblems};
use crate::params::ParameterKind::Text;
use crate::params::{Parameter, Params, bad_parameter, parameters};
use crate::prices::Freshness;

/// How long a list may be shown: shorter than the notice that a book is published with.
const LIST_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");
/// The first document of a version stays it.
const VERSION_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=86400, immutable");

parameters! {
    /// Of the book in force.
    CurrentParams = &[Parameter {
        name: "currency",
        kind: Text,
        about: "ISO 4217: an account is charged by the books of its currency; by default the book that began last.",
    }]
}

parameters! {
    /// Of the other routes: none.
    NoParams = &[]
}

/// All price books, the one that begins last first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceBooks)]
struct BooksBody {
    data: Vec<BookBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceBookListed)]
struct BookBody {
    version: u32,
    currency: String,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    effective_from: i64,
    /// Where the next book of the currency begins; null: none is known.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_to: Option<i64>,
    in_force: bool,
    /// How many rows it has.
    prices: usize,
}

/// The history of price books
///
/// Those that have yet to begin as well. Needs no key.
#[utoipa::path(
    get,
    path = "/v1/price-books",
    operation_id = "list_price_books",
    tag = "Prices",
    params(NoParams),
    responses((status = 200, description = "All versions", body = BooksBody), PublicProblems)
)]
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::PriceBook);
    Params::parse(&uri, NoParams::GROUPS)?;
    api.ensure_prices()?;
    let now_ms = now_ms();
    let data = api.prices.history().into_iter().map(|book| BookBody {
        version: book.version,
        currency: book.currency,
        effective_from: book.effective_from_ms,
        effective_to: book.effective_to_ms,
        in_force: book.effective_from_ms <= now_ms && book.effective_to_ms.is_none_or(|to_ms| now_ms < to_ms),
        prices: book.prices,
    });
    let body = BooksBody { data: data.collect() };
    timer.done(body.data.len());
    answer(&body, LIST_CACHE)
}

/// The price book in force
///
/// As it was published. Needs no key.
#[utoipa::path(
    get,
    path = "/v1/price-books/current",
    operation_id = "get_current_price_book",
    tag = "Prices",
    params(CurrentParams),
    responses((status = 200, description = "The price book", body = PriceBookSchema), PublicProblems)
)]
pub(super) async fn current(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::PriceBook);
    let params = Params::parse(&uri, CurrentParams::GROUPS)?;
    let currency = currency(&params)?;
    api.ensure_prices()?;
    let found = api.prices.current(now_ms(), currency);
    let (book, Freshness { fresh_s, stale_s }) =
        found.ok_or_else(|| Problem::not_found("no price book is in force yet"))?;
    timer.done(book.prices.len());
    let cache_control = match stale_s {
        0 => format!("public, max-age={fresh_s}"),
        stale_s => format!("public, max-age={fresh_s}, stale-while-revalidate={stale_s}"),
    };
    answer(&book, HeaderValue::try_from(cache_control).map_err(Problem::internal)?)
}

/// One version of the price book
///
/// As it was published; it never changes. Needs no key.
#[utoipa::path(
    get,
    path = "/v1/price-books/{version}",
    operation_id = "get_price_book",
    tag = "Prices",
    params(BookPath, NoParams),
    responses((status = 200, description = "The price book", body = PriceBookSchema), PublicProblems)
)]
pub(super) async fn version(
    State(api): State<Arc<Api>>,
    Path(version): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::PriceBook);
    Params::parse(&uri, NoParams::GROUPS)?;
    api.ensure_prices()?;
    let book = version.parse().ok().and_then(|version| api.prices.version(version));
    let book = book.ok_or_else(|| Problem::not_found("no such price book"))?;
    timer.done(book.prices.len());
    answer(&book, VERSION_CACHE)
}

/// An ISO 4217 code.
pub(super) fn currency(params: &Params) -> Result<Option<&str>, Problem> {
    let currency = params.one("currency")?;
    match currency {
        Some(code) if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Err(bad_parameter("currency", "must be an ISO 4217 code, like USD"))
        }
        currency => Ok(currency),
    }
}
