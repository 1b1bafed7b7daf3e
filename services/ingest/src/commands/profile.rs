//! What the account is called, and the zone that its days and months are of.

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::v1::{self, command::Body};

use super::check::Check;
use super::{Asker, account_of_path, answer, receive};
use crate::app::{App, parse_json};

/// `PUT /v1/accounts/{account_id}/profile`; what is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetProfile {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
}

impl SetProfile {
    fn into_command(self) -> Result<Body, Problem> {
        let mut check = Check::default();
        let is_something = self.name.is_some() || self.time_zone.is_some();
        check.that(is_something, "/name", "must be given, or time_zone");
        if let Some(name) = &self.name {
            check.name(name);
        }
        if let Some(zone) = &self.time_zone {
            check.zone(zone);
        }
        check.conclude(Body::SetProfile(v1::SetProfile { name: self.name, time_zone: self.time_zone }))
    }
}

/// `PUT /v1/accounts/{account_id}/profile`
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::AccountOf(&account, Scope::Settings), Duration::ZERO, request).await?;
    let account_id = account_of_path(&account)?;
    let document: SetProfile = parse_json(&call.headers, &call.body)?;
    let reply = call.carry_out(&app, &account_id, "set_profile", document.into_command()?).await?;
    answer::answer(&account_id, reply, StatusCode::OK)
}
