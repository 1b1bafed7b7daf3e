//! `PUT /v1/price-books/{version}`: whole documents, checked, published ahead of their time.
//!
//! The topic decides: the first record of a version wins. A publication is answered only after this process has read
//! its own record back, so that of two that publish the same version at once one learns that it lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use parking_lot::Mutex;
use tollbooth_chassis::kafka::table::{TableRecord, TopicTable};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::price_book::{DOCUMENT_BYTES_MAX, PriceBook, PriceBookError};
use tollbooth_schemas::time::rfc3339;

use crate::app::{App, now_ms, parse_json};
use crate::commands::request_id;
use crate::produce::{RETRY_AFTER_S, Topic};

/// How long a publication may take to come back through the topic.
const READ_BACK: Duration = Duration::from_secs(10);

/// Every version that was published.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<BTreeMap<u32, Arc<PriceBook>>>>);

impl Shelf {
    /// Takes one record of the topic; the first of a version wins.
    pub(crate) fn apply(&self, record: TableRecord<'_>) {
        let parsed = record.payload.map(serde_json::from_slice::<PriceBook>);
        match parsed {
            Some(Ok(book)) => {
                self.0.lock().entry(book.version).or_insert_with(|| Arc::new(book));
            }
            Some(Err(error)) => tracing::error!(offset = record.offset, %error, "a record is not a price book"),
            None => tracing::error!(offset = record.offset, "a price book record is empty"),
        }
    }

    pub(crate) fn get(&self, version: u32) -> Option<Arc<PriceBook>> {
        self.0.lock().get(&version).cloned()
    }

    fn latest_version(&self) -> Option<u32> {
        self.0.lock().last_key_value().map(|(version, _)| *version)
    }

    /// The book of a currency that takes effect last: one of another currency says nothing about its prices.
    fn newest(&self, currency: &str) -> Option<Arc<PriceBook>> {
        let books = self.0.lock();
        let of_currency = books.values().filter(|book| book.currency == currency);
        of_currency.max_by_key(|book| (book.effective_from, book.version)).cloned()
    }
}

/// The shelf and the reader that fills it.
#[derive(Debug)]
pub(crate) struct PriceBooks {
    pub(crate) shelf: Shelf,
    pub(crate) table: Arc<TopicTable>,
    /// Publications of one process go one after the other: each is judged by what the one before it left.
    publishing: tokio::sync::Mutex<()>,
}

impl PriceBooks {
    pub(crate) fn new(shelf: Shelf, table: Arc<TopicTable>) -> Self {
        Self { shelf, table, publishing: tokio::sync::Mutex::new(()) }
    }

    /// Judged by a part of what was published, a book would look like the first one.
    pub(crate) fn ensure_complete(&self) -> Result<(), Problem> {
        if self.table.caught_up() && self.table.failure().is_none() {
            return Ok(());
        }
        Err(Problem::unavailable(RETRY_AFTER_S).with_detail("price books are being read"))
    }
}

#[derive(Debug, serde::Serialize)]
struct Published {
    version: u32,
    effective_from: String,
    replayed: bool,
}

/// `PUT /v1/price-books/{version}`
pub(crate) async fn publish(
    State(app): State<Arc<App>>,
    Path(version): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::Prices)?;
    let request_id = request_id(&request);
    let version: u32 = version.parse().map_err(|_| Problem::not_found("a version is a whole number from 1 on"))?;
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    if body.len() > DOCUMENT_BYTES_MAX {
        return Err(Problem::too_large(format!("a price book may have {DOCUMENT_BYTES_MAX} bytes")));
    }
    let book: PriceBook = parse_json(&headers, &body)?;
    let mut errors = book.check();
    if book.version != version {
        errors.push(PriceBookError {
            pointer: "/version".to_owned(),
            detail: format!("must be {version}, as the path says"),
        });
    }
    refuse(errors)?;
    let _one_at_a_time = app.price_books.publishing.lock().await;
    app.price_books.ensure_complete()?;
    if let Some(known) = app.price_books.shelf.get(version) {
        return published(&known, &book, true);
    }
    judge(&app, &book)?;
    let action = Action::new(&admin, &request_id, "publish_price_book").resource(Some(&version.to_string()));
    let tell = |answer: &Response<Body>| Told::by_status(answer.status().as_u16());
    app.trail.around(action, put_on_shelf(&app, &book), tell).await
}

/// Sends a book that may follow, and reads it back.
async fn put_on_shelf(app: &App, book: &PriceBook) -> Result<Response<Body>, Problem> {
    let version = book.version;
    let payload = serde_json::to_vec(book).map_err(Problem::internal)?;
    let offset = app.producer.send_one(Topic::PriceBook, version.to_string().as_bytes(), &payload).await?;
    let table = Arc::clone(&app.price_books.table);
    let read_back = tokio::task::spawn_blocking(move || table.wait_for_offset(offset, READ_BACK));
    let read_back = read_back.await.map_err(Problem::internal)?;
    match app.price_books.shelf.get(version) {
        Some(known) if read_back => published(&known, book, false),
        _ => Err(Problem::unavailable(RETRY_AFTER_S)
            .with_detail("the price book was sent, but could not be read back: send it again")),
    }
}

/// Whether the book may follow what was published before.
fn judge(app: &App, book: &PriceBook) -> Result<(), Problem> {
    let shelf = &app.price_books.shelf;
    if let Some(latest) = shelf.latest_version().filter(|latest| *latest >= book.version) {
        return Err(Problem::conflict(format!("version {latest} is published: the next one must be higher")));
    }
    match book.check_lead(shelf.newest(&book.currency).as_deref(), now_ms(), app.config.price_book_lead_ms) {
        Ok(()) => Ok(()),
        Err(error) => refuse(vec![error]),
    }
}

fn refuse(errors: Vec<PriceBookError>) -> Result<(), Problem> {
    if errors.is_empty() {
        return Ok(());
    }
    let problem = Problem::invalid(format!("the price book has {} errors", errors.len()));
    Err(errors.into_iter().fold(problem, |problem, error| problem.with_error(error.pointer, error.detail)))
}

fn published(known: &PriceBook, sent: &PriceBook, replayed: bool) -> Result<Response<Body>, Problem> {
    if known != sent {
        return Err(Problem::conflict(format!("version {} is published with another content", known.version)));
    }
    let status = if replayed { StatusCode::OK } else { StatusCode::CREATED };
    let view = Published { version: known.version, effective_from: rfc3339(known.effective_from), replayed };
    Ok((status, Json(view)).into_response())
}
