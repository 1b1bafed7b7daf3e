//! Commands: what changes an account other than usage. Sent to `commands`, answered with the meter's reply.

mod answer;
mod currency;
mod desk;
mod documents;
mod idempotency;
pub(crate) mod replies;

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use prost::Message;
use serde::de::DeserializeOwned;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::BodyLimit;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::command::body_hash;
use tollbooth_schemas::ids::derived_account_id;
use tollbooth_schemas::v1;

use crate::app::{App, now_ms, parse_json};
use crate::produce::Topic;
pub(crate) use desk::CommandDesk;
use documents::{ChangePlan, Document, OpenAccount, PostAdjustment};
use idempotency::idempotency_key;

/// Seconds after which a late command is worth repeating.
const LATE_RETRY_AFTER_S: u32 = 2;

/// A request that was authenticated and read.
struct Call {
    actor: Arc<Principal>,
    idempotency_key: String,
    headers: HeaderMap,
    body: bytes::Bytes,
    _admitted: crate::admission::Admitted,
}

async fn receive(app: &App, mut request: Request) -> Result<Call, Problem> {
    let actor = app.admin(request.headers())?;
    let idempotency_key = idempotency_key(request.headers())?;
    // What a slow body took would be missing for acknowledgement and reply: a late command is 202, never 504.
    if let Some(limit) = request.extensions_mut().get_mut::<BodyLimit>() {
        limit.deadline = limit.deadline.and_then(|deadline| deadline.checked_sub(app.config.command_time_max()));
    }
    let (headers, body, admitted) = app.admit(&actor, request).await?;
    Ok(Call { actor, idempotency_key, headers, body, _admitted: admitted })
}

fn account_of_path(text: &str) -> Result<AccountId, Problem> {
    text.parse().map_err(|error| Problem::not_found(format!("the account's id {error}")))
}

/// `POST /v1/accounts`
pub(crate) async fn open_account(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, request).await?;
    let document: OpenAccount = parse_json(&call.headers, &call.body)?;
    let account_id = document
        .account_id
        .clone()
        .unwrap_or_else(|| derived_account_id(call.actor.key_id.as_str(), &call.idempotency_key));
    carry_out(&app, &call, &account_id, document, StatusCode::CREATED).await
}

/// `POST /v1/accounts/{account_id}/adjustments`
pub(crate) async fn post_adjustment(
    State(app): State<Arc<App>>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    on_account::<PostAdjustment>(&app, &account_id, request).await
}

/// `POST /v1/accounts/{account_id}/plan`
pub(crate) async fn change_plan(
    State(app): State<Arc<App>>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    on_account::<ChangePlan>(&app, &account_id, request).await
}

async fn on_account<D: Document + DeserializeOwned>(
    app: &App,
    account_id: &str,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(app, request).await?;
    let account_id = account_of_path(account_id)?;
    let document: D = parse_json(&call.headers, &call.body)?;
    carry_out(app, &call, &account_id, document, StatusCode::OK).await
}

/// Sends the command and answers with the meter's reply, or with 202 when it is late.
async fn carry_out<D: Document>(
    app: &App,
    call: &Call,
    account_id: &AccountId,
    document: D,
    success: StatusCode,
) -> Result<Response<body::Body>, Problem> {
    let now_ms = now_ms();
    let body = document.into_command(now_ms.saturating_add(app.config.future_ms_max()))?;
    let Some(_under_way) = app.commands.begin(account_id.as_str(), &call.idempotency_key) else {
        return Err(Problem::conflict("a request with this Idempotency-Key is under way"));
    };
    let mut waiting = app.commands.wait();
    let command = v1::Command {
        account_id: account_id.to_string(),
        idempotency_key: call.idempotency_key.clone(),
        body_hash: body_hash(D::COMMAND, &call.body),
        actor: call.actor.key_id.to_string(),
        received_at_ms: now_ms,
        reply_to: app.commands.instance_id().to_owned(),
        correlation_id: waiting.correlation_id.clone(),
        body: Some(body),
    };
    let patience = Duration::from_millis(app.config.commands.reply_timeout_ms);
    let key = account_id.as_str().as_bytes();
    app.producer.send_one(Topic::Commands, key, &command.encode_to_vec()).await?;
    match tokio::time::timeout(patience, &mut waiting.reply).await {
        Ok(Ok(reply)) => answer::answer(reply, success),
        _ => {
            app.metrics.replies_late.inc();
            Ok(answer::late(account_id.as_str(), LATE_RETRY_AFTER_S))
        }
    }
}
