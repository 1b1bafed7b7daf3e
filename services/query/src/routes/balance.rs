//! `GET /v1/accounts/{account_id}/balance`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::{serde_rfc3339, serde_rfc3339_option};
use utoipa::ToSchema;

use super::{AWAIT, Api, Timer, private};
use crate::amount::AmountBody;
use crate::live::{Balance, Purse};
use crate::metrics::Endpoint;
use crate::openapi::{AccountPath, AccountProblems};
use crate::params::{Params, parameters};

/// How long the parts are waited for; the balance itself does not need it.
const PURSE_PATIENCE: Duration = Duration::from_millis(500);

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
    /// How far below zero a hold may reach.
    credit_limit: Option<AmountBody>,
    /// What the balance is made of: purchased credit, which never expires and is below zero where something is owed, then
    /// bonuses in the order they are used up. Null, as the credit limit is, while it cannot be told.
    parts: Option<Vec<PartBody>>,
    /// The newest entry.
    seq: u64,
    /// Every entry committed before this moment is in the balance.
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    as_of: i64,
}

/// A part of a balance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BalancePart)]
struct PartBody {
    kind: PartKind,
    amount: AmountBody,
    /// Then what is left of it is gone; null: never.
    #[serde(with = "serde_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<i64>,
    /// The entry that granted it; null for what was purchased.
    seq: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BalancePartKind)]
enum PartKind {
    Purchased,
    Bonus,
}

fn parts(balance_micros: i64, purse: &Purse, currency: &str) -> Vec<PartBody> {
    let purchased = PartBody {
        kind: PartKind::Purchased,
        amount: AmountBody::new(i128::from(balance_micros) - purse.bonus_micros(), currency),
        expires_at: None,
        seq: None,
    };
    let bonuses = purse.lots.iter().map(|lot| PartBody {
        kind: PartKind::Bonus,
        amount: AmountBody::new(lot.remaining_micros, currency),
        expires_at: lot.expires_at_ms,
        seq: Some(lot.granted_seq),
    });
    std::iter::once(purchased).chain(bonuses).collect()
}

/// Balance and purse as of one entry. What memory does not know of a purse yet is asked of ClickHouse, once; a history that
/// is away takes nothing but the parts from the answer.
async fn found(api: &Api, account_id: &str) -> Result<(Balance, Option<Purse>), Problem> {
    let now = || api.view.balance_and_purse(account_id).ok_or_else(|| api.missing(account_id));
    if let found @ (_, Some(_)) = now()? {
        return Ok(found);
    }
    let posted_by_ms = api.view.posted_at_ms(account_id).unwrap_or(i64::MAX);
    match tokio::time::timeout(PURSE_PATIENCE, api.store.purse(account_id, posted_by_ms)).await {
        Ok(Ok((seq, purse))) => {
            api.view.put_purse(account_id, seq, purse);
        }
        Ok(Err(error)) => tracing::debug!(%error, "the parts of a balance cannot be told"),
        Err(_) => tracing::debug!("the parts of a balance were not told in time"),
    }
    now()
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
    let (found, purse) = found(&api, &account_id).await?;
    let money = |micros: i128| AmountBody::new(micros, &found.profile.currency);
    let body = BalanceBody {
        balance: money(found.balance_micros.into()),
        held: money(found.held_micros.into()),
        available: money(i128::from(found.balance_micros) - i128::from(found.held_micros)),
        credit_limit: purse.as_ref().map(|purse| money(purse.credit_limit_micros.into())),
        parts: purse.as_ref().map(|purse| parts(found.balance_micros, purse, &found.profile.currency)),
        seq: found.seq,
        as_of: found.as_of_ms,
        account_id,
    };
    timer.done(1);
    private(&body)
}
