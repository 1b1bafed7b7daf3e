//! `GET /v1/accounts/{account_id}/transactions.csv`

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono_tz::Tz;
use futures_util::stream;
use tollbooth_chassis::problem::Problem;

use super::transactions::{Asked, Before, behind, page};
use super::usage::zone;
use super::{AWAIT, Api, Awaited, Timer};
use crate::activity::csv::{CsvFormat, HEADER};
use crate::activity::{ActivityFilter, FILTER_PARAMS, Page};
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};

/// Rows of one piece: what is in memory of a file at a time, whatever its length.
const PIECE_ROWS: usize = 2_000;
const AS_OF_SEQ: HeaderName = HeaderName::from_static("tollbooth-as-of-seq");

parameters! {
    /// Of this route.
    CsvParams = FILTER_PARAMS, AWAIT
}

/// Transactions as CSV, newest first
///
/// All that pass the filters, of any number, in pieces as they are read. Times stand in UTC and in `tz`. A text that a
/// spreadsheet would take for a formula begins with `'`. Where the history fails in between, or stays behind what the
/// file has already, the connection breaks off: a file that ended well is whole. The header `Tollbooth-As-Of-Seq` names
/// the entry the file begins at where it is not the newest one.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/transactions.csv",
    operation_id = "export_transactions",
    tag = "Activity",
    params(AccountPath, CsvParams),
    responses((status = 200, description = "The file", body = String, content_type = "text/csv"), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Csv);
    let params = Params::parse(&uri, CsvParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let mut export = Export {
        filter: ActivityFilter::parse(&params, &profile.time_zone)?,
        zone: zone(&params, &profile.time_zone)?,
        account_id,
        before: None,
        ended: false,
        api: Arc::clone(&api),
    };
    // The first piece is read before the head goes out: what is refused is a problem, not a broken file.
    let (first, as_of_seq, rows) = export.piece(reader.awaited).await?;
    timer.done(rows);
    let disposition = format!("attachment; filename=\"transactions-{}.csv\"", export.account_id);
    let first = Bytes::from(HEADER.to_owned() + &first);
    let rest = stream::try_unfold(export, async |mut export| {
        if export.ended {
            return Ok(None);
        }
        let piece = export.piece(None).await.map_err(|problem| io::Error::other(problem.code()))?;
        Ok(Some((Bytes::from(piece.0), export)))
    });
    let body = stream::StreamExt::chain(stream::iter([Ok::<_, io::Error>(first)]), rest);
    let mut response = Body::from_stream(body).into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    head.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(disposition).map_err(Problem::internal)?);
    if let Some(seq) = as_of_seq {
        head.insert(AS_OF_SEQ, HeaderValue::from(seq));
    }
    Ok(response)
}

/// A file under way.
struct Export {
    api: Arc<Api>,
    account_id: String,
    filter: ActivityFilter,
    zone: Tz,
    /// What was written last; the next piece holds what is older.
    before: Option<Before>,
    ended: bool,
}

impl Export {
    /// The next lines, which entry they begin at where it is not the newest, and how many they are.
    async fn piece(&mut self, awaited: Option<Awaited>) -> Result<(String, Option<u64>, usize), Problem> {
        let Self { api, account_id, filter, zone, before, .. } = self;
        let recent = api.view.recent(account_id).ok_or_else(|| api.missing(account_id))?;
        let asked = Asked { account_id, filter, before: *before, limit: PIECE_ROWS, awaited };
        let mut found = page(api, &recent, asked).await?;
        if found.is_none() {
            // The file is further up already than ClickHouse reaches, and memory does not reach down to it.
            let seq = before.map_or(0, |before| before.seq.saturating_sub(1));
            let until = Instant::now() + Duration::from_millis(api.config.live.min_seq_wait_ms);
            api.wait_until_sunk(account_id, Some(Awaited { seq, until })).await?;
            found = page(api, &recent, asked).await?;
        }
        let Page { mut rows, as_of_seq } = found.ok_or_else(behind)?;
        self.ended = rows.len() <= PIECE_ROWS;
        rows.truncate(PIECE_ROWS);
        *before = rows.last().map(|row| Before { seq: row.seq, posted_at_ms: row.posted_at_ms });
        let names = api.prices.names();
        let format = CsvFormat { account_id, currency: &recent.balance.profile.currency, zone: *zone, names: &names };
        let mut text = String::new();
        for row in &rows {
            format.write(row, &mut text);
        }
        Ok((text, as_of_seq, rows.len()))
    }
}
