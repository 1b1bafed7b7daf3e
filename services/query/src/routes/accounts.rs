//! `GET /v1/accounts`: all accounts, for an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use utoipa::ToSchema;

use super::parties::limit;
use super::{Api, Timer, private};
use crate::activity::LIMIT_MAX;
use crate::amount::AmountBody;
use crate::cursor::List;
use crate::live::AccountListed;
use crate::metrics::Endpoint;
use crate::openapi::AdminProblems;
use crate::params::ParameterKind::{Number, Text};
use crate::params::{Parameter, Params, parameters};

parameters! {
    /// Of this route.
    AccountsParams = &[
        Parameter { name: "q", kind: Text, about: "Part of id or name; ASCII letters in any case." },
        Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
        Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same `q`." },
    ]
}

/// A page of accounts, by id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accounts)]
struct AccountsBody {
    data: Vec<RowBody>,
    /// Whether others follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountListed)]
struct RowBody {
    account_id: String,
    name: String,
    /// Code of the plan that was decided last.
    plan: String,
    /// ISO 4217.
    currency: String,
    balance: AmountBody,
    /// `balance` less what is held.
    available: AmountBody,
    /// IANA zone.
    time_zone: String,
}

impl From<AccountListed> for RowBody {
    fn from(AccountListed { account_id, balance, facts }: AccountListed) -> Self {
        let profile = balance.profile;
        let money = |micros: i128| AmountBody::new(micros, &profile.currency);
        Self {
            account_id: account_id.to_string(),
            name: facts.name,
            plan: facts.plan.code,
            balance: money(balance.balance_micros.into()),
            available: money(i128::from(balance.balance_micros) - i128::from(balance.held_micros)),
            currency: profile.currency.clone(),
            time_zone: profile.time_zone.clone(),
        }
    }
}

/// All accounts, by id
///
/// From memory, a moment behind the ledger.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    operation_id = "list_accounts",
    tag = "Fleet",
    params(AccountsParams),
    responses((status = 200, description = "A page", body = AccountsBody), AdminProblems),
    security(("key" = []))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Accounts);
    let params = Params::parse(&uri, AccountsParams::GROUPS)?;
    api.access.read_all(&headers)?;
    if !api.view.is_confirmed() {
        return Err(Problem::unavailable(1).with_detail("balances are being read"));
    }
    let limit = limit(&params)?;
    let text = params.one("q")?.unwrap_or_default().to_ascii_lowercase();
    let list = List::of(&["accounts", &text]);
    let after = params.one("cursor")?.map(|cursor| list.position(cursor)).transpose()?.unwrap_or_default();
    let view = Arc::clone(&api.view);
    // Of a million accounts each is looked at: not on a thread that answers others.
    let looked = tokio::task::spawn_blocking(move || {
        let holds = |own: &str| own.to_ascii_lowercase().contains(&text);
        view.list(&after, limit + 1, |account_id, facts| text.is_empty() || holds(account_id) || holds(&facts.name))
    });
    let mut rows = looked.await.map_err(Problem::internal)?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(|last| list.cursor(&last.account_id));
    let data: Vec<RowBody> = rows.into_iter().map(RowBody::from).collect();
    timer.done(data.len());
    private(&AccountsBody { data, has_more, next_cursor })
}
