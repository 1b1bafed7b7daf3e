//! `GET /v1/accounts/{account_id}/transactions`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::EventId;
use utoipa::ToSchema;

use super::{AWAIT, Api, Awaited, Reader, Timer, private};
use crate::activity::{
    ActivityFilter, ActivityRow, Cursor, EVENT_FILTER_PARAMS, FILTER_PARAMS, LIMIT_DEFAULT, LIMIT_MAX, Page, Reach,
    Seam, Transaction, plan, upper_of_stored,
};
use crate::live::Recent;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems, EventPath};
use crate::params::ParameterKind::{Number, Text};
use crate::params::{Parameter, Params, parameters};
use crate::store::{Below, Posted};

/// Which page.
const PAGE: &[Parameter] = &[
    Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
    Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same filters." },
];

parameters! {
    /// Of an account's transactions.
    TransactionsParams = FILTER_PARAMS, PAGE, AWAIT
}

parameters! {
    /// Of an event's transactions.
    EventTransactionsParams = EVENT_FILTER_PARAMS, PAGE, AWAIT
}

/// A page of entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Transactions)]
struct TransactionsBody {
    data: Vec<Transaction>,
    /// Whether older entries follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
    /// Only where the page shows the account as of this entry and not the newest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    as_of_seq: Option<u64>,
}

/// Transactions, newest first
///
/// The newest entries come from memory, older ones from ClickHouse, without a gap in between; a page that cannot join on to
/// the one before is a 503 with `Retry-After`.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/transactions",
    operation_id = "list_transactions",
    tag = "Activity",
    params(AccountPath, TransactionsParams),
    responses((status = 200, description = "A page", body = TransactionsBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Transactions);
    let params = Params::parse(&uri, TransactionsParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    answer(&api, timer, &account_id, None, &params, reader).await
}

/// An event's transactions, newest first
///
/// As the account's, narrowed to the event; the balance is the account's.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/events/{event_id}/transactions",
    operation_id = "list_event_transactions",
    tag = "Events",
    params(EventPath, EventTransactionsParams),
    responses((status = 200, description = "A page", body = TransactionsBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn list_of_event(
    State(api): State<Arc<Api>>,
    Path((account_id, event_id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::EventTransactions);
    let params = Params::parse(&uri, EventTransactionsParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    // Rows show the account's balance: nothing for a token of one event.
    let event_id = event_id.parse::<EventId>().map_err(|_| Problem::not_found("no such event"))?;
    answer(&api, timer, &account_id, Some(&event_id), &params, reader).await
}

async fn answer(
    api: &Api,
    timer: Timer<'_>,
    account_id: &str,
    event_id: Option<&EventId>,
    params: &Params,
    reader: Reader,
) -> Result<Response, Problem> {
    let recent = api.view.recent(account_id).ok_or_else(|| api.missing(account_id))?;
    let mut filter = ActivityFilter::parse(params, &recent.balance.profile.time_zone)?;
    if let Some(event_id) = event_id {
        filter.event_ids = vec![event_id.as_str().to_owned()];
    }
    let limit = params.number("limit", 1..=LIMIT_MAX as u64)?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT);
    let fingerprint = filter.fingerprint(account_id);
    let cursor = match params.one("cursor")? {
        None => None,
        Some(text) => Some(Cursor::decode(text, fingerprint).map_err(|error| Problem::bad_cursor(error.to_string()))?),
    };
    let before = cursor.map(|cursor| Before { seq: cursor.before_seq, posted_at_ms: cursor.posted_at_ms });
    let asked = Asked { account_id, filter: &filter, before, limit, awaited: reader.awaited };
    let Page { mut rows, as_of_seq } = page(api, &recent, asked).await?.ok_or_else(behind)?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows
        .last()
        .filter(|_| has_more)
        .map(|row| Cursor { before_seq: row.seq, posted_at_ms: row.posted_at_ms, fingerprint }.encode());
    let count = rows.len();
    let currency = &recent.balance.profile.currency;
    let names = api.prices.names();
    let data = rows.into_iter().map(|row| Transaction::of_row(account_id, currency, &names, row)).collect();
    timer.done(count);
    private(&TransactionsBody { data, has_more, next_cursor, as_of_seq })
}

/// The entry that a page lies below.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) seq: u64,
    pub(super) posted_at_ms: i64,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) account_id: &'a str,
    pub(super) filter: &'a ActivityFilter,
    pub(super) before: Option<Before>,
    pub(super) limit: usize,
    pub(super) awaited: Option<Awaited>,
}

/// History is not as far as the page before.
pub(super) fn behind() -> Problem {
    Problem::unavailable(1).with_detail("history is a moment behind; ask again")
}

/// One page: the newest entries from memory, what is older from ClickHouse. `None`: neither has all that lies directly below
/// the page before.
pub(super) async fn page(api: &Api, recent: &Recent, asked: Asked<'_>) -> Result<Option<Page>, Problem> {
    let Asked { account_id, filter, before, limit, awaited } = asked;
    let before_seq = before.map(|before| before.seq);
    let newest_seq = recent.balance.seq;
    let reach = Reach { newest_seq, oldest_seq: recent.oldest_seq() };
    let (mut rows, seam) = plan(reach, newest_first(recent), filter, before_seq, limit);
    let upper_seq = match seam {
        Seam::Full => return Ok(Some(Page { rows, as_of_seq: None })),
        Seam::Behind => return Ok(None),
        Seam::Continue { upper_seq } => upper_seq,
    };
    let mut posted = recent.posted_before();
    if let Some(before) = before {
        posted.by_ms = posted.by_ms.min(before.posted_at_ms);
    }
    let below = |seq: u64| {
        let posted = Posted { entries: seq, ..posted };
        Below { account_id, filter, seq, lower_seq: 0, posted, account_entries: newest_seq }
    };
    let mut stored_seq = stored_seq(api, account_id, upper_seq).await?;
    if stored_seq < upper_seq && awaited.is_some_and(|awaited| awaited.seq > stored_seq) {
        // The page would show the account as of an entry before the one that it must show.
        api.wait_until_sunk(account_id, awaited).await?;
        stored_seq = self::stored_seq(api, account_id, upper_seq).await?;
    }
    if upper_seq <= stored_seq {
        if let Some(older) = api.store.activity(below(upper_seq), limit + 1 - rows.len()).await? {
            rows.extend(older);
            return Ok(Some(Page { rows, as_of_seq: None }));
        }
        // Of several servers the one that was asked is behind the one that the sink writes to.
        stored_seq = api.newest_stored_seq(account_id).await?;
    }
    // Memory does not reach down to ClickHouse: a page that joined the two would hide a gap.
    let Some(upper_seq) = upper_of_stored(stored_seq, before_seq) else { return Ok(None) };
    let rows = api.store.activity(below(upper_seq), limit + 1).await?.ok_or_else(behind)?;
    Ok(Some(Page { rows, as_of_seq: Some(stored_seq) }))
}

/// An entry of the account up to which ClickHouse has all of them, `wanted_seq` or beyond where it can be known.
///
/// The sink's offsets tell it at no cost to ClickHouse; where they do not, its newest row does: entries reach it in order.
async fn stored_seq(api: &Api, account_id: &str, wanted_seq: u64) -> Result<u64, Problem> {
    match api.sunk.sunk_seq(account_id, wanted_seq).await {
        Some(seq) => Ok(seq),
        None => api.newest_stored_seq(account_id).await,
    }
}

/// The entries in memory, decoded record by record as they are asked for.
fn newest_first(recent: &Recent) -> impl Iterator<Item = ActivityRow> {
    recent.records.iter().rev().filter_map(|record| record.decode()).flat_map(|record| {
        let rows: Vec<ActivityRow> =
            record.entries.iter().rev().filter_map(|entry| ActivityRow::of_entry(&record, entry)).collect();
        rows
    })
}
