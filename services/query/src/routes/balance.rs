//! `GET /v1/accounts/{account_id}/balance`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::serde_rfc3339;
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::amount::AmountBody;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};

parameters! {
    /// Of this route.
    BalanceParams = AWAIT
}

/// A balance at an entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
struct BalanceBody {
    account_id: String,
    /// What the account has.
    balance: AmountBody,
    /// What of it is set aside for work under way.
    held: AmountBody,
    /// `balance` less `held`.
    available: AmountBody,
    /// The newest entry.
    seq: u64,
    /// Every entry committed before this moment is in the balance.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    as_of: i64,
}

/// The balance
///
/// From memory, a moment behind the ledger, also while history cannot be read.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/balance",
    operation_id = "get_balance",
    tag = "Accounts",
    params(AccountPath, BalanceParams),
    responses((status = 200, description = "The balance at its newest entry", body = BalanceBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Balance);
    let params = Params::parse(&uri, BalanceParams::GROUPS)?;
    api.open(&headers, &account_id, &params).await?;
    let found = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?;
    let money = |micros: i128| AmountBody::new(micros, &found.profile.currency);
    let body = BalanceBody {
        balance: money(found.balance_micros.into()),
        held: money(found.held_micros.into()),
        available: money(i128::from(found.balance_micros) - i128::from(found.held_micros)),
        seq: found.seq,
        as_of: found.as_of_ms,
        account_id,
    };
    timer.done(1);
    private(&body)
}
