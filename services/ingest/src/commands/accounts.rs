//! Commands about an account as a whole.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::ids::derived_account_id;

use super::documents::{ChangePlan, Document, GrantBonus, OpenAccount, PostAdjustment, PostPlanFee, SetCreditLimit};
use super::{Asker, Call, account_of_path, answer, receive};
use crate::app::{App, now_ms, parse_json};

/// `POST /v1/accounts`
pub(crate) async fn open_account(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, Problem> {
    let call = receive(&app, Asker::Admin(OpenAccount::SCOPE), Duration::ZERO, request).await?;
    let document: OpenAccount = parse_json(&call.headers, &call.body)?;
    let account_id = document
        .account_id
        .clone()
        .unwrap_or_else(|| derived_account_id(call.actor.line.as_str(), &call.idempotency_key));
    carry_out(&app, &call, &account_id, document, StatusCode::CREATED).await
}

macro_rules! on_account {
    ($($(#[$doc:meta])* $name:ident: $document:ty;)*) => {
        $($(#[$doc])*
        pub(crate) async fn $name(
            State(app): State<Arc<App>>,
            Path(account_id): Path<String>,
            request: Request,
        ) -> Result<Response<Body>, Problem> {
            on_account::<$document>(&app, &account_id, request).await
        })*
    };
}

on_account! {
    /// `POST /v1/accounts/{account_id}/adjustments`
    post_adjustment: PostAdjustment;
    /// `POST /v1/accounts/{account_id}/plan`
    change_plan: ChangePlan;
    /// `POST /v1/accounts/{account_id}/bonuses`
    grant_bonus: GrantBonus;
    /// `PUT /v1/accounts/{account_id}/credit-limit`
    set_credit_limit: SetCreditLimit;
    /// `POST /v1/accounts/{account_id}/plan-fees`
    post_plan_fee: PostPlanFee;
}

async fn on_account<D: Document>(app: &App, account_id: &str, request: Request) -> Result<Response<Body>, Problem> {
    let call = receive(app, Asker::Admin(D::SCOPE), Duration::ZERO, request).await?;
    let account_id = account_of_path(account_id)?;
    let document: D = parse_json(&call.headers, &call.body)?;
    carry_out(app, &call, &account_id, document, StatusCode::OK).await
}

async fn carry_out<D: Document>(
    app: &App,
    call: &Call,
    account_id: &AccountId,
    document: D,
    success: StatusCode,
) -> Result<Response<Body>, Problem> {
    let body = document.into_command(now_ms().saturating_add(app.config.future_ms_max()))?;
    let reply = call.carry_out(app, account_id, D::COMMAND, body).await?;
    answer::answer(account_id, reply, success)
}
