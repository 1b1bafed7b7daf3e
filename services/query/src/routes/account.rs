//! `GET /v1/accounts/{account_id}`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::serde_rfc3339;
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::clock::now_ms;
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};

parameters! {
    /// Of this route.
    AccountParams = AWAIT
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountBody {
    account_id: String,
    name: String,
    /// ISO 4217; an account never changes it.
    currency: String,
    /// IANA zone, in which dates are meant and buckets are cut where a request names none.
    time_zone: String,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opened_at: i64,
    /// The plan that was decided last.
    plan: PlanBody,
    /// The newest entry.
    seq: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountPlan)]
struct PlanBody {
    code: String,
    /// As people read it.
    name: String,
    /// From this instant on its prices are paid.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    effective_from: i64,
    /// Whether that instant has come.
    in_force: bool,
}

/// The account itself
///
/// From memory, a moment behind the ledger.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}",
    operation_id = "get_account",
    tag = "Accounts",
    params(AccountPath, AccountParams),
    responses((status = 200, description = "The account", body = AccountBody), AccountProblems),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Account);
    let params = Params::parse(&uri, AccountParams::GROUPS)?;
    api.open(&headers, &account_id, &params).await?;
    let (balance, facts) = api.view.account(&account_id).ok_or_else(|| api.missing(&account_id))?;
    let effective_from = facts.plan.effective_from_ms.max(facts.opened_at_ms);
    let body = AccountBody {
        account_id,
        name: facts.name,
        currency: balance.profile.currency.clone(),
        time_zone: balance.profile.time_zone.clone(),
        opened_at: facts.opened_at_ms,
        plan: PlanBody {
            name: api.prices.names().plan(&facts.plan.code).to_owned(),
            code: facts.plan.code,
            effective_from,
            in_force: effective_from <= now_ms(),
        },
        seq: balance.seq,
    };
    timer.done(1);
    private(&body)
}
