//! `GET /v1/accounts/{account_id}/transactions/{entry_id}`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ids::parse_entry_id;

use super::{AWAIT, Api, Timer, private};
use crate::activity::{EntryDetail, TransactionDetailBody};
use crate::live::Recent;
use crate::metrics::Endpoint;
use crate::openapi::{AccountProblems, EntryPath};
use crate::params::{Params, parameters};

parameters! {
    /// Of this route.
    EntryParams = AWAIT
}

/// One transaction, explained
///
/// Which price version, unit price and quantity it came from, on which plan, from which record.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/transactions/{entry_id}",
    operation_id = "get_transaction",
    tag = "Activity",
    params(EntryPath, EntryParams),
    responses((status = 200, description = "The entry", body = TransactionDetailBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path((account_id, entry_id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Transaction);
    let params = Params::parse(&uri, EntryParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let recent = api.view.recent(&account_id).ok_or_else(|| api.missing(&account_id))?;
    let no_entry = || Problem::not_found("no such transaction");
    // An id of another account is as good as none: whose it is is never looked up.
    let (_, seq) = parse_entry_id(&entry_id).filter(|(owner, _)| owner.as_str() == account_id).ok_or_else(no_entry)?;
    if seq > recent.balance.seq {
        return Err(no_entry());
    }
    let detail = match in_memory(&recent, seq) {
        Some(detail) => detail,
        None => match api.store.entry(&account_id, seq).await? {
            Some(detail) => detail,
            // The ledger has it: `seq` is gapless.
            None => return Err(Problem::unavailable(1).with_detail("the transaction is on its way to the history")),
        },
    };
    timer.done(1);
    let names = api.prices.names();
    let currency = &recent.balance.profile.currency;
    private(&TransactionDetailBody::new(&account_id, currency, &names, detail, reader.is_admin))
}

fn in_memory(recent: &Recent, seq: u64) -> Option<EntryDetail> {
    let record = recent.record_of(seq)?;
    let entry = record.entries.iter().find(|entry| entry.seq == seq)?;
    EntryDetail::of_entry(recent.partition, &record, entry)
}
