//! `POST /v1/portal-tokens`: what a customer's own site reads with.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::http::{BodyLimit, JsonBody, RequestId};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::time::serde_rfc3339;
use tollbooth_schemas::{AccountId, EventId};
use utoipa::ToSchema;

use super::Api;
use crate::access::{no_account, portal};
use crate::clock::now_ms;
use crate::openapi::{ChangeProblems, ProblemBody};
use crate::params::{Params, parameters};

const BODY_BYTES_MAX: usize = 4_096;

parameters! {
    /// Of this route: none.
    NoParams = &[]
}

/// What the token is to read, and how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPortalToken)]
pub(super) struct NewToken {
    /// By default the key's own account; an admin names one.
    #[serde(default)]
    #[schema(value_type = Option<String>, examples("acc_luna"))]
    account_id: Option<AccountId>,
    /// This event alone: itself and its usage, and not the account's balance, which stands in every transaction.
    #[serde(default)]
    #[schema(value_type = Option<String>, examples("evt_gala"))]
    event_id: Option<EventId>,
    /// How long it is good for, in seconds; at most a day unless configured otherwise.
    #[schema(minimum = 1, examples(3600))]
    ttl_s: u64,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalToken)]
struct TokenBody {
    /// Send it as `Authorization: Bearer`, or give it to a page below `/embed/` as `#token=`.
    token: String,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: i64,
}

/// Make a portal token
///
/// Read-only, short-lived and stored nowhere: for pages that show an account, or one event of it, with no key in the
/// browser. The key needs the scopes `portal_tokens` and `read`, and the token ends with it. What work costs us it
/// never shows, also where an admin made it.
#[utoipa::path(
    post,
    path = "/v1/portal-tokens",
    operation_id = "make_portal_token",
    tag = "Session",
    request_body = NewToken,
    responses(
        (status = 201, description = "The token", body = TokenBody),
        (status = 404, description = "`not_found`: no such account, or not this key's", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 413, description = "`too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: not JSON", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 422, description = "`invalid`: too long a life, or no account named", body = ProblemBody,
         content_type = "application/problem+json"),
        ChangeProblems
    ),
    security(("key" = []), ("session" = []))
)]
pub(super) async fn create(State(api): State<Arc<Api>>, mut request: Request) -> Result<Response, Problem> {
    Params::parse(request.uri(), NoParams::GROUPS)?;
    let (principal, mark) = api.access.minter(request.headers())?;
    let request_id = request.extensions().get::<RequestId>().cloned();
    let request_id = request_id.unwrap_or_else(|| RequestId::of(request.headers()));
    if let Some(limit) = request.extensions_mut().get_mut::<BodyLimit>() {
        limit.bytes_max = BODY_BYTES_MAX;
    }
    let JsonBody(new): JsonBody<NewToken> = JsonBody::from_request(request, &()).await?;
    let ttl_s_max = api.config.session.portal_life_s_max;
    if !(1..=ttl_s_max).contains(&new.ttl_s) {
        let detail = format!("must be 1 to {ttl_s_max}");
        return Err(Problem::invalid(format!("ttl_s {detail}")).with_error("/ttl_s", detail));
    }
    let missing = || Problem::invalid("name the account").with_error("/account_id", "is missing: an admin reads any");
    let account_id = new.account_id.or_else(|| principal.account_id.clone()).ok_or_else(missing)?;
    if !principal.may_access(account_id.as_str()) || api.view.balance(account_id.as_str()).is_none() {
        return Err(no_account());
    }
    let life_ms = i64::try_from(new.ttl_s).unwrap_or(i64::MAX).saturating_mul(1_000);
    let expires_at_ms = now_ms().saturating_add(life_ms);
    let claims =
        portal::Claims { key_id: principal.key_id.clone(), mark, account_id, event_id: new.event_id, expires_at_ms };
    let action = Action::new(&principal, &request_id, "create_portal_token");
    let action = action.account(Some(&claims.account_id)).resource(claims.event_id.as_ref().map(EventId::as_str));
    // Nothing is stored: the token is what is made.
    let made = std::future::ready(api.access.portal().make(&claims));
    let token = api.trail.around(action, made, |_| Told::by_status(201)).await?;
    let body = TokenBody { token, expires_at: expires_at_ms };
    let mut response = super::answer(&body, HeaderValue::from_static("no-store"))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
