//! Events (the parties) and booths: whole documents, the newest one counts.

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::Money;
use tollbooth_schemas::ids::{BoothId, EventId, IdError};
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::time::serde_rfc3339;
use tollbooth_schemas::v1::{self, command::Body};

use super::check::Check;
use super::{Asker, account_of_path, answer, of_path, receive};
use crate::app::{App, parse_json};

/// `PUT /v1/accounts/{account_id}/events/{event_id}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DefineEvent {
    name: String,
    #[serde(with = "serde_rfc3339")]
    starts_at: i64,
    #[serde(with = "serde_rfc3339")]
    ends_at: i64,
    time_zone: String,
    /// Absent: none.
    #[serde(default)]
    budget: Option<Budget>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    amount: Money,
    on_exceeded: OnExceeded,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnExceeded {
    Warn,
    RefuseHolds,
}

/// `PUT /v1/accounts/{account_id}/booths/{booth_id}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBooth {
    name: String,
    paused: bool,
}

/// A whole document about something of the account that the path names.
trait Setting: DeserializeOwned {
    type Id: std::str::FromStr<Err = IdError> + std::fmt::Display;
    const COMMAND: &'static str;

    fn into_command(self, id: &Self::Id) -> Result<Body, Problem>;
}

impl Setting for DefineEvent {
    type Id = EventId;
    const COMMAND: &'static str = "define_event";

    fn into_command(self, id: &EventId) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.name(&self.name);
        check.in_range(Some(self.starts_at), "/starts_at");
        check.in_range(Some(self.ends_at), "/ends_at");
        check.that(self.starts_at < self.ends_at, "/ends_at", "must be after the start");
        check.zone(&self.time_zone);
        if let Some(budget) = &self.budget {
            check.not_negative(budget.amount, "/budget/amount");
        }
        let on_exceeded = match self.budget.as_ref().map(|budget| budget.on_exceeded) {
            Some(OnExceeded::RefuseHolds) => v1::BudgetRule::RefuseHolds,
            Some(OnExceeded::Warn) | None => v1::BudgetRule::Warn,
        };
        check.conclude(Body::DefineEvent(v1::DefineEvent {
            event_id: id.to_string(),
            name: self.name,
            starts_at_ms: self.starts_at,
            ends_at_ms: self.ends_at,
            time_zone: self.time_zone,
            budget_micros: self.budget.map(|budget| budget.amount.micros()),
            on_exceeded: on_exceeded.into(),
        }))
    }
}

impl Setting for SetBooth {
    type Id = BoothId;
    const COMMAND: &'static str = "set_booth";

    fn into_command(self, id: &BoothId) -> Result<Body, Problem> {
        let mut check = Check::default();
        check.name(&self.name);
        check.conclude(Body::SetBooth(v1::SetBooth { booth_id: id.to_string(), name: self.name, paused: self.paused }))
    }
}

/// `PUT /v1/accounts/{account_id}/events/{event_id}`
pub(crate) async fn define_event(
    State(app): State<Arc<App>>,
    Path((account, event)): Path<(String, String)>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    set::<DefineEvent>(&app, &account, &event, request).await
}

/// `PUT /v1/accounts/{account_id}/booths/{booth_id}`
pub(crate) async fn set_booth(
    State(app): State<Arc<App>>,
    Path((account, booth)): Path<(String, String)>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    set::<SetBooth>(&app, &account, &booth, request).await
}

async fn set<S: Setting>(
    app: &App,
    account: &str,
    id: &str,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(app, Asker::Admin(Scope::Accounts), Duration::ZERO, request).await?;
    let account_id = account_of_path(account)?;
    let id: S::Id = of_path(id)?;
    let document: S = parse_json(&call.headers, &call.body)?;
    let command = document.into_command(&id)?;
    // The path is part of what was asked: the same document about another event is another request.
    let reply = call.carry_out(app, &account_id, &format!("{}:{id}", S::COMMAND), command).await?;
    answer::answer(&account_id, reply, StatusCode::OK)
}
