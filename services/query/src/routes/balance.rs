//! `GET /v1/accounts/{account_id}/balance`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::time::serde_rfc3339;

use super::amount::AmountBody;
use super::{Api, Timer, private};
use crate::metrics::Endpoint;
use crate::params::Params;

#[derive(Debug, Serialize)]
struct BalanceBody {
    account_id: String,
    balance: AmountBody,
    held: AmountBody,
    available: AmountBody,
    seq: u64,
    #[serde(with = "serde_rfc3339")]
    as_of: i64,
}

pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(account_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::Balance);
    let params = Params::parse(&uri, &["min_seq"])?;
    api.open(&headers, &account_id, &params).await?;
    let found = api.view.balance(&account_id).ok_or_else(|| api.missing(&account_id))?;
    let money = |micros| AmountBody::new(micros, &found.profile.currency);
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
