//! `/v1/repricings`: charges of a past period are priced by another price book. Previewed, applied as it was seen, and
//! taken back.
//!
//! The preview is a document in `registry`: which accounts, which period, which book, up to which entry, and a digest of
//! what comes of it. Whoever applies it works the same out again from the same entries, which never change, and sends a
//! command for each charge, under a key that only the re-pricing and the charge decide. Nothing else is remembered: a run
//! that was interrupted anywhere is run again.

mod answers;
mod kept;
mod place;
mod plan;
mod read;
mod run;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use rand::RngExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::repricing::{RepricedAccount, RepricingDocument, RepricingState};
use tollbooth_schemas::time::serde_rfc3339;

use super::check::Check;
use super::{LATE_RETRY_AFTER_S, request_id};
use crate::app::{App, now_ms, parse_json};
use crate::produce::Topic;
use kept::Cursor;
pub(crate) use kept::Repricings;

use answers::{AccountBody, ListBody, PreviewBody, ShownBody};
use plan::{Book, Lines, Plan, hex};
use read::{Period, Reader};

/// Most accounts of one re-pricing.
const ACCOUNTS_MAX: usize = 200;
/// Most entries about charges of an account in the period: they are in memory together, of one account at a time.
const ENTRIES_MAX: usize = 50_000;
/// Most lines of a preview, over all its accounts: it passes through query to a browser, 4 MiB at most.
const LINES_MAX: usize = 10_000;
/// Re-pricings of a page of the list.
const LISTED_MAX: usize = 100;
const LISTED_DEFAULT: usize = 50;
/// What is left of a request's time for its answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Longest period: beyond it charges are forgotten, and cannot be made anew.
const PERIOD_MS_MAX: i64 = 92 * tollbooth_schemas::time::DAY_MS;

/// `POST /v1/repricings`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Absent: every account with charges of the period.
    #[serde(default)]
    accounts: Option<Vec<AccountId>>,
    #[serde(with = "serde_rfc3339")]
    from: i64,
    #[serde(with = "serde_rfc3339")]
    to: i64,
    price_version: u32,
}

impl Asked {
    fn check(&self) -> Result<Period, Problem> {
        let mut check = Check::default();
        check.in_range(Some(self.from), "/from");
        check.in_range(Some(self.to), "/to");
        check.that(self.from < self.to, "/to", "must lie after from");
        check.that(self.to.saturating_sub(self.from) <= PERIOD_MS_MAX, "/to", "must lie at most 92 days after from");
        let count = self.accounts.as_ref().map_or(1, Vec::len);
        let holds = (1..=ACCOUNTS_MAX).contains(&count);
        check.that(holds, "/accounts", &format!("must be 1 to {ACCOUNTS_MAX} accounts, or left out for all"));
        check.conclude(Period { from_ms: self.from, to_ms: self.to })
    }
}

/// `POST /v1/repricings`: posts nothing.
pub(crate) async fn preview(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::Money)?;
    let request_id = request_id(&request);
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let asked: Asked = parse_json(&headers, &body)?;
    let period = asked.check()?;
    let (books, currency) = book(&app, asked.price_version)?;
    let book = Book { books: &books, version: asked.price_version, currency: &currency };
    let _turn = app.repricings.turn()?;
    // One that takes longer is answered all the same, with what to do.
    let patience = Duration::from_millis(app.config.http.request_timeout_ms).saturating_sub(ANSWER);
    let looked = tokio::time::timeout(patience, look_at(&app, &asked, period, book)).await;
    let too_much = || {
        let detail = "there is too much to look at in one request: name fewer accounts, or cut the period";
        Problem::invalid(detail).with_error("/accounts", detail)
    };
    let accounts = looked.map_err(|_| too_much())??;
    let document = document(&admin, &asked, &accounts);
    let action = Action::new(&admin, &request_id, "preview_repricing").resource(Some(&document.repricing_id));
    let keep = async {
        if let Some(forgotten) = app.repricings.makes_room(now_ms())? {
            app.producer.forget(Topic::Registry, forgotten.registry_key().as_bytes()).await?;
            app.repricings.apply(forgotten.registry_key().as_bytes(), None);
        }
        publish(&app, &document).await
    };
    app.trail.around(action, keep, |()| Told::by_status(201)).await?;
    let answer =
        PreviewBody::of(&document, accounts.into_iter().map(|(account, lines)| AccountBody::of(&account, lines)));
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The book, and its currency.
fn book(app: &App, version: u32) -> Result<(PriceBooks, String), Problem> {
    app.price_books.ensure_complete()?;
    let book = app.price_books.shelf.get(version);
    let book = book.ok_or_else(|| Problem::not_found(format!("there is no price book of version {version}")))?;
    let currency = book.currency.clone();
    let mut books = PriceBooks::default();
    books.publish((*book).clone());
    Ok((books, currency))
}

async fn look_at(
    app: &App,
    asked: &Asked,
    period: Period,
    book: Book<'_>,
) -> Result<Vec<(RepricedAccount, Lines)>, Problem> {
    let reader = Reader(&app.charges);
    let named = asked.accounts.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    let ids = match &named {
        Some(ids) => ids.clone(),
        None => reader.with_charges(period, ACCOUNTS_MAX + 1).await?,
    };
    if ids.len() > ACCOUNTS_MAX {
        let detail = format!("more than {ACCOUNTS_MAX} accounts have charges of the period: name some");
        return Err(Problem::invalid(detail.clone()).with_error("/accounts", detail));
    }
    let known = reader.accounts(&ids).await?;
    if let Some(unknown) = named.iter().flatten().find(|id| !known.iter().any(|row| row.account_id == **id)) {
        return Err(Problem::not_found(format!("{unknown} has no entry yet")));
    }
    let (mut accounts, mut lines) = (Vec::with_capacity(known.len()), 0);
    for row in known {
        // One of another currency has no price in the book.
        if row.currency != book.currency {
            if named.is_some() {
                let detail = format!("{} pays in {}, the book is in {}", row.account_id, row.currency, book.currency);
                return Err(Problem::invalid(detail.clone()).with_error("/accounts", detail));
            }
            continue;
        }
        let plan = plan_of(app, &row.account_id, period, row.as_of_seq, book).await?;
        let sums = plan.sums();
        let (Ok(was_micros), Ok(would_be_micros)) = (i64::try_from(sums.0), i64::try_from(sums.1)) else {
            return Err(Problem::invalid(format!("the charges of {} are beyond every bound", row.account_id)));
        };
        let account = RepricedAccount {
            account_id: row.account_id.parse().map_err(Problem::internal)?,
            currency: row.currency,
            as_of_seq: row.as_of_seq,
            changes: u64::try_from(plan.changes.len()).unwrap_or(u64::MAX),
            was_micros,
            would_be_micros,
            digest: plan.digest(),
        };
        lines += plan.lines.len();
        if lines > LINES_MAX {
            let detail = format!("more than {LINES_MAX} lines (event, service, engine) to show: name fewer accounts");
            return Err(Problem::invalid(detail.clone()).with_error("/accounts", detail));
        }
        accounts.push((account, plan.lines));
    }
    Ok(accounts)
}

async fn plan_of(app: &App, account_id: &str, period: Period, as_of_seq: u64, book: Book<'_>) -> Result<Plan, Problem> {
    let entries = Reader(&app.charges).entries(account_id, period, as_of_seq, ENTRIES_MAX + 1).await?;
    if entries.len() > ENTRIES_MAX {
        let detail = format!("{account_id} has more than {ENTRIES_MAX} entries about charges of the period: cut it");
        return Err(Problem::invalid(detail.clone()).with_error("/to", detail));
    }
    Ok(Plan::of(&entries, book))
}

fn document(admin: &Principal, asked: &Asked, accounts: &[(RepricedAccount, Lines)]) -> RepricingDocument {
    let chance: u128 = rand::rng().random();
    let mut digest = Sha256::new();
    for (account, _) in accounts {
        digest.update(account.account_id.as_str());
        digest.update(account.as_of_seq.to_be_bytes());
        digest.update(&account.digest);
    }
    RepricingDocument {
        repricing_id: format!("rpr_{:020x}", chance >> 48),
        price_version: asked.price_version,
        from_ms: asked.from,
        to_ms: asked.to,
        state: RepricingState::Previewed,
        reached: None,
        reason: None,
        undo_reason: None,
        actor: admin.key_id.to_string(),
        created_at_ms: now_ms(),
        digest: hex(&digest.finalize()),
        accounts: accounts.iter().map(|(account, _)| account.clone()).collect(),
    }
}

/// Writes the document; everybody else follows the topic.
async fn publish(app: &App, document: &RepricingDocument) -> Result<(), Problem> {
    let payload = serde_json::to_vec(document).map_err(Problem::internal)?;
    app.producer.send_one(Topic::Registry, document.registry_key().as_bytes(), &payload).await?;
    app.repricings.insert(document.clone());
    Ok(())
}

fn found(app: &App, repricing_id: &str) -> Result<Arc<RepricingDocument>, Problem> {
    app.gate.ensure_current()?;
    let document = app.repricings.get(repricing_id);
    document.ok_or_else(|| Problem::not_found("there is no re-pricing of this id"))
}

/// `GET /v1/repricings`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    #[serde(default)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    #[serde(default)]
    cursor: Option<String>,
}

/// `GET /v1/repricings`, newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    query: Result<Query<Listed>, QueryRejection>,
) -> Result<Response<Body>, Problem> {
    app.admin(&headers, Scope::Read)?;
    app.gate.ensure_current()?;
    let Query(asked) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    let mut check = Check::default();
    let limit = asked.limit.unwrap_or(LISTED_DEFAULT);
    check.that((1..=LISTED_MAX).contains(&limit), "limit", &format!("must be 1 to {LISTED_MAX}"));
    let before = asked.cursor.as_ref().map(|text| text.parse::<Cursor>().ok());
    check.that(before != Some(None), "cursor", "must be next_cursor of the answer before");
    let (limit, before) = check.conclude((limit, before.flatten()))?;
    let mut documents = app.repricings.newest(before.as_ref(), limit.saturating_add(1));
    let has_more = documents.len() > limit;
    documents.truncate(limit);
    Ok(Json(ListBody::of(&documents, has_more)).into_response())
}

/// `GET /v1/repricings/{repricing_id}`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(repricing_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    app.admin(&headers, Scope::Read)?;
    let document = found(&app, &repricing_id)?;
    let ids: Vec<String> = document.accounts.iter().map(|account| account.account_id.to_string()).collect();
    let posted = Reader(&app.charges).posted(&repricing_id, &ids).await?;
    Ok(Json(ShownBody::of(&document, &posted)).into_response())
}

/// `POST /v1/repricings/{repricing_id}/apply`
pub(crate) async fn apply(
    State(app): State<Arc<App>>,
    Path(repricing_id): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    run::run(&app, &repricing_id, request, RepricingState::Applying).await
}

/// `POST /v1/repricings/{repricing_id}/undo`
pub(crate) async fn undo(
    State(app): State<Arc<App>>,
    Path(repricing_id): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    run::run(&app, &repricing_id, request, RepricingState::Undoing).await
}
