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
use tollbooth_schemas::{Amount, Money};

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
    account_id: &'a str,
    status: &'static str,
}

/// The answer to a reply; `success` is the status of a command that was carried out.
pub(crate) fn answer(reply: v1::Reply, success: StatusCode) -> Result<Response<Body>, Problem> {
    match reply.outcome {
        Some(Outcome::Accepted(accepted)) => {
            let carried =
                carried(reply.account_id, &accepted).ok_or_else(|| Problem::internal("money out of range"))?;
            Ok((success, Json(carried)).into_response())
        }
        Some(Outcome::Rejected(rejected)) => Err(problem(&rejected)),
        None => Err(Problem::internal("the reply has no outcome")),
    }
}

/// The answer where no reply came in time: the command is durable and will be carried out.
pub(crate) fn late(account_id: &str, retry_after_s: u32) -> Response<Body> {
    let headers = [("retry-after", retry_after_s.to_string())];
    (StatusCode::ACCEPTED, headers, Json(Pending { account_id, status: "pending" })).into_response()
}

fn carried(account_id: String, accepted: &v1::Accepted) -> Option<Carried> {
    let money = |micros| {
        let amount = Money::from_micros(micros)?;
        Some(Amount { amount, currency: accepted.currency.clone() })
    };
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

fn problem(rejected: &v1::Rejected) -> Problem {
    let detail = rejected.detail.clone();
    let own = |code, status, title| Problem::new(code, status, title).with_detail(detail.clone());
    // Codes the meter gives; an unknown one of a newer meter falls back to what its status says.
    match rejected.code.as_str() {
        "idempotency_mismatch" => Problem::idempotency_mismatch(detail),
        "unknown_account" => own("unknown_account", StatusCode::NOT_FOUND, "There is no such account"),
        "account_exists" => own("account_exists", StatusCode::CONFLICT, "The account exists"),
        "unknown_plan" => own("unknown_plan", StatusCode::UNPROCESSABLE_ENTITY, "There is no such plan"),
        "out_of_range" => Problem::out_of_range(detail),
        _ => match rejected.status {
            402 => Problem::insufficient_balance(detail),
            404 => Problem::not_found(detail),
            409 => Problem::conflict(detail),
            503 => Problem::unavailable(1).with_detail(detail),
            500.. => Problem::internal(detail),
            _ => Problem::invalid(detail),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_meter_could_not_decide_is_not_called_the_clients_fault() {
        let status = |status, code: &str| {
            problem(&v1::Rejected {
                status,
                code: code.to_owned(),
                detail: "why".to_owned(),
                ..v1::Rejected::default()
            })
            .status()
            .as_u16()
        };
        assert_eq!(status(500, "internal"), 500);
        assert_eq!(status(503, "price_book_unavailable"), 503);
        // What a newer meter says keeps its status where there is one for it.
        assert_eq!((status(402, "new"), status(409, "new"), status(418, "new")), (402, 409, 422));
        assert_eq!(status(422, "unknown_plan"), 422);
    }
}
