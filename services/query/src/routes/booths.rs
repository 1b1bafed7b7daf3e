//! `GET /v1/accounts/{account_id}/booths`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::serde_rfc3339_option;
use utoipa::ToSchema;

use super::parties::{PAGE, Paged, instant, page};
use super::{AWAIT, Api, Timer, private};
use crate::amount::AmountBody;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};
use crate::store::PartyKind;

parameters! {
    /// Of this route.
    BoothsParams = PAGE, AWAIT
}

/// A page of booths.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Booths)]
struct BoothsBody {
    data: Vec<BoothBody>,
    /// Whether others follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// A booth. One that was only named by usage has no name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Booth)]
struct BoothBody {
    booth_id: String,
    name: Option<String>,
    /// Its holds are refused; its usage posts all the same.
    paused: bool,
    /// Successful operations net of reversals.
    count: i64,
    /// Failed operations.
    failed: i64,
    /// Spent, positive, net of what was given back.
    amount: AmountBody,
    /// Start of the quarter of an hour of the newest activity.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_activity_at: Option<i64>,
}

/// Booths, those with the newest activity first
///
/// One that was named or paused counts as active then.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/booths",
    operation_id = "list_booths",
    tag = "Accounts",
    params(AccountPath, BoothsParams),
    responses((status = 200, description = "A page", body = BoothsBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Booths);
    let params = Params::parse(&uri, BoothsParams::GROUPS)?;
    let reader = api.open(&headers, &account_id, &params).await?;
    let profile = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?.profile;
    let Paged { rows, next_cursor } = page(&api, &account_id, PartyKind::Booth, &params, reader).await?;
    let data = rows.into_iter().map(|party| BoothBody {
        name: Some(party.name).filter(|name| !name.is_empty()),
        paused: party.reason == "paused",
        count: party.succeeded,
        failed: party.failures,
        amount: AmountBody::new(party.spent_micros, &profile.currency),
        last_activity_at: instant(party.last_ms),
        booth_id: party.id,
    });
    let data: Vec<BoothBody> = data.collect();
    timer.done(data.len());
    private(&BoothsBody { data, has_more: next_cursor.is_some(), next_cursor })
}
