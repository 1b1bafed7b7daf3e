//! Giving a charge back, whole or in part, by its entry.

use std::sync::Arc;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ids::parse_entry_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::v1::{self, command::Body};
use tollbooth_schemas::{AccountId, Money};

use super::check::Check;
use super::{Asker, account_of_path, answer, receive};
use crate::app::{App, parse_json};

/// `POST /v1/accounts/{account_id}/refunds`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    entry_id: String,
    /// Absent: all that is left.
    #[serde(default)]
    amount: Option<Money>,
    reason: String,
    #[serde(default)]
    note: Option<String>,
}

impl Refund {
    /// The refund without the facts of its charge.
    fn check(self, account_id: &AccountId) -> Result<v1::Refund, Problem> {
        let mut check = Check::default();
        let entry = parse_entry_id(&self.entry_id).filter(|(of, _)| of == account_id);
        check.that(entry.is_some(), "/entry_id", "must be the id of an entry of the account");
        if let Some(amount) = self.amount {
            check.positive(amount, "/amount");
        }
        let note = self.note.unwrap_or_default();
        check.code(&self.reason, "/reason");
        check.note(&note);
        check.conclude(v1::Refund {
            seq: entry.map_or(0, |(_, seq)| seq),
            amount_micros: self.amount.map(Money::micros),
            reason: self.reason,
            note,
            ..v1::Refund::default()
        })
    }
}

/// `POST /v1/accounts/{account_id}/refunds`
pub(crate) async fn refund(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::Admin(Scope::Money), app.config.lookup_timeout(), request).await?;
    let account_id = account_of_path(&account)?;
    let document: Refund = parse_json(&call.headers, &call.body)?;
    let refund = document.check(&account_id)?;
    // The facts are not a person's to tell: they are looked up, and the ledger checks them against what it keeps.
    let (original, counted) = app.charges.find(&account_id, refund.seq).await?;
    let command = Body::Refund(v1::Refund { original: Some(original), counted, ..refund });
    let reply = call.carry_out(&app, &account_id, "refund", command).await?;
    answer::answer(&account_id, reply, StatusCode::OK)
}
