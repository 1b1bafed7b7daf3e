//! A meter's reply as an HTTP answer.

use axum::Json;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1::{self, reply::Outcome};
use tollbooth_schemas::{AccountId, Amount, Money};

use super::LATE_RETRY_AFTER_S;
use super::refusal::problem;

/// The answer to a command that was carried out.
#[derive(Debug, Serialize)]
struct Carried {
    account_id: String,
    seq: u64,
    entry_id: String,
    amount: Amount,
    balance: Amount,
    held: Amount,
    available: Amount,
    posted_at: String,
    replayed: bool,
}

#[derive(Debug, Serialize)]
struct Pending<'a> {
    account_id: &'a AccountId,
    status: &'static str,
}

/// A [`Carried`] and what else there is to say.
#[derive(Debug, Serialize)]
struct Answer<T> {
    #[serde(flatten)]
    carried: Carried,
    #[serde(flatten)]
    more: T,
}

/// Nothing else.
#[derive(Debug, Serialize)]
struct Nothing {}

/// The answer to a reply, or to none in time; `success` is the status of a command that was carried out.
pub(super) fn answer(
    account_id: &AccountId,
    reply: Option<v1::Reply>,
    success: StatusCode,
) -> Result<Response<Body>, Problem> {
    answer_with(account_id, reply, success, |_| Some(Nothing {}))
}

/// As [`answer`], with more to say of a command that was carried out; `None`: the reply cannot be.
pub(super) fn answer_with<T: Serialize>(
    account_id: &AccountId,
    reply: Option<v1::Reply>,
    success: StatusCode,
    more: impl FnOnce(&v1::Accepted) -> Option<T>,
) -> Result<Response<Body>, Problem> {
    match reply {
        Some(reply) => carried_out(account_id, &accepted(reply)?, success, more),
        None => Ok(late(&Pending { account_id, status: "pending" })),
    }
}

/// The answer to a command that was carried out.
pub(super) fn carried_out<T: Serialize>(
    account_id: &AccountId,
    accepted: &v1::Accepted,
    success: StatusCode,
    more: impl FnOnce(&v1::Accepted) -> Option<T>,
) -> Result<Response<Body>, Problem> {
    let parts = carried(account_id.to_string(), accepted).zip(more(accepted));
    let (carried, more) = parts.ok_or_else(|| Problem::internal("money out of range"))?;
    Ok((success, Json(Answer { carried, more })).into_response())
}

/// What the meter carried out, or why it did not.
pub(super) fn accepted(reply: v1::Reply) -> Result<v1::Accepted, Problem> {
    match reply.outcome {
        Some(Outcome::Accepted(accepted)) => Ok(accepted),
        Some(Outcome::Rejected(rejected)) => Err(problem(&rejected)),
        None => Err(Problem::internal("the reply has no outcome")),
    }
}

/// The answer where nothing more came in time: what is asked for is durable and will be carried out.
pub(super) fn late(pending: &impl Serialize) -> Response<Body> {
    let headers = [("retry-after", LATE_RETRY_AFTER_S.to_string())];
    (StatusCode::ACCEPTED, headers, Json(pending)).into_response()
}

/// An amount in the currency of who was answered.
pub(super) fn money(accepted: &v1::Accepted, micros: i64) -> Option<Amount> {
    Some(Amount { amount: Money::from_micros(micros)?, currency: accepted.currency.clone() })
}

fn carried(account_id: String, accepted: &v1::Accepted) -> Option<Carried> {
    let money = |micros| money(accepted, micros);
    Some(Carried {
        entry_id: entry_id(&account_id, accepted.seq),
        account_id,
        seq: accepted.seq,
        amount: money(accepted.amount_micros)?,
        balance: money(accepted.balance_micros)?,
        held: money(accepted.held_micros)?,
        available: money(accepted.balance_micros.checked_sub(accepted.held_micros)?)?,
        posted_at: rfc3339(accepted.posted_at_ms),
        replayed: accepted.replayed,
    })
}
