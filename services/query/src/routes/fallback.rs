//! What no route of its own answers: commands of a browser, and the dashboard's pages.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tollbooth_chassis::http::{BodyLimit, RequestId, read_body};
use tollbooth_chassis::problem::Problem;

use super::Api;
use crate::forward::Command;

/// What changes something at ingest; it has no other methods for commands.
const COMMAND_METHODS: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const COMMANDS_ALLOWED: HeaderValue = HeaderValue::from_static("POST, PUT, PATCH, DELETE");
const READS_ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Every other path.
pub(super) async fn path(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_api = path == "/v1" || path.starts_with("/v1/");
    match (is_api, is_read) {
        (true, true) if is_read_there(path) => read_there(&api, request).await,
        (true, true) => Err(Problem::not_found("")),
        (true, false) if is_command(&request) => change(&api, request).await,
        (true, false) => Ok(([(header::ALLOW, COMMANDS_ALLOWED)], Problem::method_not_allowed("")).into_response()),
        (false, true) => api.site.answer(path, request.headers()).await,
        (false, false) => Ok(([(header::ALLOW, READS_ALLOWED)], Problem::method_not_allowed("")).into_response()),
    }
}

/// Every other method of a path that is answered here: a command, or none at all. What the path does answer is in the
/// problem's `Allow`, which the router adds.
pub(super) async fn method(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    if is_command(&request) { change(&api, request).await } else { Err(Problem::method_not_allowed("")) }
}

fn is_command(request: &Request) -> bool {
    COMMAND_METHODS.contains(request.method())
}

/// Passes a command on.
async fn change(api: &Api, request: Request) -> Result<Response, Problem> {
    if is_for_keys(request.headers()) {
        return Err(Problem::method_not_allowed("commands with a key are sent to ingest"));
    }
    let (session, principal) = api.access.session_for_change(request.headers())?;
    let command = command(api, request).await?;
    forwarder(api)?.send(&principal, &session.mark, command).await
}

/// What is read where commands are taken, and nowhere else: an account's webhooks, what of one is dead, the card that is
/// saved, and re-pricings.
fn is_read_there(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts[..],
        ["", "v1", "accounts", _, "webhooks" | "payment-method"]
            | ["", "v1", "accounts", _, "webhooks", _, "dead"]
            | ["", "v1", "repricings"]
            | ["", "v1", "repricings", _]
    )
}

/// Passes a read on, for who signed in.
async fn read_there(api: &Api, request: Request) -> Result<Response, Problem> {
    let headers = request.headers();
    let found = if is_for_keys(headers) { None } else { api.access.session(headers)? };
    let (session, principal) = found.ok_or_else(|| Problem::not_found("with a key this is read at ingest"))?;
    let command = command(api, request).await?;
    forwarder(api)?.send(&principal, &session.mark, command).await
}

fn is_for_keys(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION)
}

fn forwarder(api: &Api) -> Result<&crate::forward::Forwarder, Problem> {
    api.forwarder.as_ref().ok_or_else(|| {
        Problem::new("forwarding_off", StatusCode::NOT_IMPLEMENTED, "Commands are not passed on here")
            .with_detail("forward.secret (TOLLBOOTH_FORWARD_SECRET) is not set, here and at ingest")
    })
}

async fn command(api: &Api, request: Request) -> Result<Command, Problem> {
    let (parts, body) = request.into_parts();
    let bytes_max = api.config.forward.body_bytes_max;
    let deadline = parts.extensions.get::<BodyLimit>().and_then(|limit| limit.deadline);
    let body = read_body(&parts.headers, body, BodyLimit { bytes_max, deadline }).await?;
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let request_id = parts.extensions.get::<RequestId>().cloned();
    let request_id = request_id.unwrap_or_else(|| RequestId::of(&parts.headers));
    Ok(Command { method: parts.method, target, headers: parts.headers, body, request_id })
}
