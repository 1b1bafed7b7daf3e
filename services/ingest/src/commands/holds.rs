//! Money set aside before the work.

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ids::{BoothId, EventId, HoldId, derived_hold_id};
use tollbooth_schemas::time::rfc3339;
use tollbooth_schemas::v1::{self, command::Body, place_hold::Size};
use tollbooth_schemas::{Amount, Money, Quantity};

use super::check::Check;
use super::{Asker, account_of_path, answer, of_path, receive};
use crate::app::{App, parse_json};

const TIMEOUT_S_DEFAULT: u32 = 600;
/// 1 s to 24 h, as the ledger has it.
const TIMEOUT_S: std::ops::RangeInclusive<u32> = 1..=86_400;

/// `POST /v1/accounts/{account_id}/holds`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceHold {
    #[serde(default)]
    hold_id: Option<HoldId>,
    service: String,
    engine: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    quantity: Option<Quantity>,
    #[serde(default)]
    amount: Option<Money>,
    #[serde(default)]
    timeout_s: Option<u32>,
    #[serde(default)]
    event_id: Option<EventId>,
    #[serde(default)]
    booth_id: Option<BoothId>,
}

/// `POST /v1/accounts/{account_id}/holds/{hold_id}/void`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoidHold {}

#[derive(Debug, Serialize)]
struct Held {
    hold: Hold,
}

#[derive(Debug, Serialize)]
struct Hold {
    hold_id: HoldId,
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl PlaceHold {
    /// The booth it is for: the key's own where the key is bound to one, so that a paused booth cannot leave its name
    /// out.
    fn booth(&mut self, actor: &Principal) -> Result<Option<BoothId>, Problem> {
        let named = self.booth_id.take();
        match (&actor.booth_id, &named) {
            (Some(own), Some(named)) if own != named => {
                let problem = Problem::forbidden(format!("the key belongs to another booth than {named}"));
                Err(problem.with_error("/booth_id", "must be the booth that the key belongs to"))
            }
            (Some(own), _) => Ok(Some(own.clone())),
            (None, _) => Ok(named),
        }
    }

    fn timeout_ms(&self) -> i64 {
        i64::from(self.timeout_s.unwrap_or(TIMEOUT_S_DEFAULT)) * 1_000
    }

    fn size(&self, check: &mut Check) -> Option<Size> {
        match (self.quantity, self.amount) {
            (Some(quantity), None) => {
                check.that(!quantity.is_zero(), "/quantity", "must be above 0");
                check.that(self.unit.is_some(), "/unit", "is needed with a quantity");
                Some(Size::QuantityMicros(quantity.micros()))
            }
            (None, Some(amount)) => {
                check.positive(amount, "/amount");
                Some(Size::AmountMicros(amount.micros()))
            }
            (Some(_), Some(_)) | (None, None) => {
                check.that(false, "/quantity", "name either a quantity or an amount");
                None
            }
        }
    }

    fn into_command(self, hold_id: &HoldId, booth_id: Option<BoothId>) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.code(&self.service, "/service");
        check.code(&self.engine, "/engine");
        check.optional_code(self.variant.as_deref(), "/variant");
        check.optional_code(self.country.as_deref(), "/country");
        check.optional_code(self.unit.as_deref(), "/unit");
        let size = self.size(&mut check);
        let in_range = self.timeout_s.is_none_or(|timeout_s| TIMEOUT_S.contains(&timeout_s));
        check.that(in_range, "/timeout_s", "must be 1 to 86400");
        let timeout_ms = self.timeout_ms();
        check.conclude(Body::PlaceHold(v1::PlaceHold {
            hold_id: hold_id.to_string(),
            service: self.service,
            engine: self.engine,
            variant: self.variant.unwrap_or_default(),
            country: self.country.unwrap_or_default(),
            unit: self.unit.unwrap_or_default(),
            size,
            timeout_ms,
            event_id: self.event_id.map(|id| id.to_string()).unwrap_or_default(),
            booth_id: booth_id.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }
}

/// `POST /v1/accounts/{account_id}/holds`
pub(crate) async fn place(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::BoothOf(&account), Duration::ZERO, request).await?;
    let account_id = account_of_path(&account)?;
    let mut document: PlaceHold = parse_json(&call.headers, &call.body)?;
    let booth_id = document.booth(&call.actor)?;
    let timeout_ms = document.timeout_ms();
    let derived = || derived_hold_id(&account_id, &call.idempotency_key);
    let hold_id = document.hold_id.take().unwrap_or_else(derived);
    let command = document.into_command(&hold_id, booth_id)?;
    let reply = call.carry_out(&app, &account_id, "place_hold", command).await?;
    answer::answer_with(&account_id, reply, StatusCode::OK, |accepted| {
        let amount = answer::money(accepted, accepted.hold_amount_micros)?;
        let expires_at = rfc3339(accepted.posted_at_ms.checked_add(timeout_ms)?);
        Some(Held { hold: Hold { hold_id, amount, expires_at: Some(expires_at) } })
    })
}

/// `POST /v1/accounts/{account_id}/holds/{hold_id}/void`
pub(crate) async fn void(
    State(app): State<Arc<App>>,
    Path((account, hold)): Path<(String, String)>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::BoothOf(&account), Duration::ZERO, request).await?;
    let account_id = account_of_path(&account)?;
    let hold_id: HoldId = of_path(&hold)?;
    if !call.body.is_empty() {
        let VoidHold {} = parse_json(&call.headers, &call.body)?;
    }
    let command = Body::VoidHold(v1::VoidHold { hold_id: hold_id.to_string() });
    let reply = call.carry_out(&app, &account_id, &format!("void_hold:{hold_id}"), command).await?;
    answer::answer_with(&account_id, reply, StatusCode::OK, |accepted| {
        let amount = answer::money(accepted, accepted.hold_amount_micros)?;
        Some(Held { hold: Hold { hold_id, amount, expires_at: None } })
    })
}
