//! Why the meter did not carry a command out, as a problem with the ledger's own code.

use axum::http::StatusCode;
use serde_json::json;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::v1;
use tollbooth_schemas::{Amount, Money};

/// Codes that the ledger gives, and what they mean. The status stands in the reply.
const CODES: &[(&str, &str)] = &[
    ("account_exists", "The account exists"),
    ("booth_paused", "The booth is paused"),
    ("charge_mismatch", "The charge was posted with other facts"),
    ("engine_retired", "The engine's price has ended"),
    ("event_budget_exceeded", "The event's budget is not enough"),
    ("fee_posted", "The plan fee is posted"),
    ("hold_ended", "The hold has ended"),
    ("hold_exists", "The hold exists"),
    ("idempotency_mismatch", "The Idempotency-Key was used with another request"),
    ("insufficient_balance", "The balance is not enough"),
    ("invalid_alerts", "The alert rules are not valid"),
    ("invalid_booth", "The booth is not valid"),
    ("invalid_event", "The event is not valid"),
    ("invalid_expiry", "The expiry is not valid"),
    ("invalid_hold", "The hold is not valid"),
    ("invalid_period", "The period is not a month"),
    ("invalid_profile", "The profile is not valid"),
    ("invalid_purchase", "The purchase is not valid"),
    ("invalid_recharge", "The recharge rule is not valid"),
    ("invalid_timeout", "The time-out is not valid"),
    ("no_fee", "The plan has no fee"),
    ("no_price", "There is no price"),
    ("nothing_to_refund", "Nothing is left of the charge"),
    ("out_of_range", "A value is out of range"),
    ("recharge_not_under_way", "The recharge is not under way"),
    ("refund_exceeds_charge", "More than is left of the charge"),
    ("too_many_bonuses", "The account has too many bonuses"),
    ("too_many_booths", "The account has too many paused booths"),
    ("too_many_events", "The account has too many events"),
    ("too_many_holds", "The account has too many open holds"),
    ("unit_mismatch", "The engine is priced by another unit"),
    ("unknown_account", "There is no such account"),
    ("unknown_charge", "There is no such charge"),
    ("unknown_hold", "There is no such hold"),
    ("unknown_plan", "There is no such plan"),
];

/// The problem of a refusal.
pub(super) fn problem(rejected: &v1::Rejected) -> Problem {
    let known = CODES.iter().find(|(code, _)| *code == rejected.code);
    // Only what the client can do something about has a code of its own.
    let status = StatusCode::from_u16(u16::try_from(rejected.status).unwrap_or_default());
    let status = status.ok().filter(StatusCode::is_client_error);
    let problem = match (known, status) {
        (Some((code, title)), Some(status)) => Problem::new(code, status, *title).with_detail(rejected.detail.clone()),
        _ => of_status(rejected),
    };
    match missing(rejected) {
        Some(missing) => problem.with_extension("missing", json!(missing)),
        None => problem,
    }
}

/// A code of a newer meter: it falls back to what its status says.
fn of_status(rejected: &v1::Rejected) -> Problem {
    let detail = rejected.detail.clone();
    match rejected.status {
        402 => Problem::insufficient_balance(detail),
        404 => Problem::not_found(detail),
        409 => Problem::conflict(detail),
        503 => Problem::unavailable(1).with_detail(detail),
        500.. => Problem::internal(detail),
        _ => Problem::invalid(detail),
    }
}

/// What a hold was short of.
fn missing(rejected: &v1::Rejected) -> Option<Amount> {
    let amount = Money::from_micros(rejected.missing_micros).filter(|amount| *amount > Money::ZERO)?;
    (!rejected.currency.is_empty()).then(|| Amount { amount, currency: rejected.currency.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(status: u32, code: &str) -> v1::Rejected {
        v1::Rejected { status, code: code.to_owned(), detail: "why".to_owned(), ..v1::Rejected::default() }
    }

    #[test]
    fn what_the_meter_could_not_decide_is_not_called_the_clients_fault() {
        let status = |status, code: &str| problem(&rejected(status, code)).status().as_u16();
        assert_eq!(status(500, "internal"), 500);
        assert_eq!(status(503, "price_book_unavailable"), 503);
        // What a newer meter says keeps its status where there is one for it.
        assert_eq!((status(402, "new"), status(409, "new"), status(418, "new")), (402, 409, 422));
        assert_eq!(status(422, "unknown_plan"), 422);
    }

    #[test]
    fn what_is_missing_is_money_of_the_account_and_said_only_where_something_is() {
        let of = |missing_micros| {
            let currency = "EUR".to_owned();
            let refusal = v1::Rejected { missing_micros, currency, ..rejected(402, "event_budget_exceeded") };
            serde_json::to_value(problem(&refusal)).unwrap()
        };
        assert_eq!(of(40_000)["missing"], json!({"amount": "0.04", "currency": "EUR"}));
        assert_eq!(of(40_000)["code"], json!("event_budget_exceeded"));
        assert!(of(0).get("missing").is_none());
    }
}
