//! `/v1/session`: signing in with a key, for browsers.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::{BodyLimit, JsonBody, Peer};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::KeyKind;
use tollbooth_schemas::time::serde_rfc3339;
use utoipa::ToSchema;

use super::Api;
use crate::access::session::Session;
use crate::clock::now_ms;
use crate::metrics::SignIn;
use crate::openapi::{ChangeProblems, ProblemBody};
use crate::params::{Params, parameters};

/// More than any key has.
const BODY_BYTES_MAX: usize = 1_024;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

parameters! {
    /// Of these routes: none.
    NoParams = &[]
}

/// With what somebody signs in.
// No `Debug`: nothing may show a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn)]
pub(super) struct SignInBody {
    /// A key of an account, or of an admin.
    #[schema(examples("tb_sk_live_..."))]
    key: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionBody {
    /// `account` or `admin`.
    kind: KindBody,
    /// The account; null for an admin.
    account_id: Option<String>,
    /// The key that signed in.
    key_id: String,
    /// Send it as `X-CSRF-Token` with everything that is not a `GET`.
    csrf_token: String,
    #[serde(with = "serde_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: i64,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SessionKind)]
enum KindBody {
    Account,
    Admin,
}

impl SessionBody {
    fn of(api: &Api, session: &Session, principal: &Principal) -> Self {
        Self {
            kind: if principal.kind == KeyKind::Admin { KindBody::Admin } else { KindBody::Account },
            account_id: principal.account_id.as_ref().map(ToString::to_string),
            key_id: session.key_id.to_string(),
            csrf_token: api.access.sessions().csrf_token(session),
            expires_at: session.expires_at_ms,
        }
    }
}

fn answer(body: &SessionBody) -> Result<Response, Problem> {
    super::answer(body, NO_STORE)
}

/// Sign in
///
/// For browsers: the cookie of the answer stands for the key in every request, until the session ends or the key is
/// revoked. Wrong keys are limited by address, a right one is taken in any case. What is changed with it (everything
/// that is not a `GET`) needs the header `X-CSRF-Token` and is passed on to where commands are taken.
#[utoipa::path(
    post,
    path = "/v1/session",
    operation_id = "sign_in",
    tag = "Session",
    request_body = SignInBody,
    responses(
        (status = 200, description = "Signed in; `Set-Cookie` holds the session", body = SessionBody),
        (status = 400, description = "`malformed`, `unknown_parameter`", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`: no such key, or a revoked one", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: a booth's key", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 413, description = "`too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: not JSON", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: too many failed tries", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: keys or sign-outs are being read", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(State(api): State<Arc<Api>>, mut request: Request) -> Result<Response, Problem> {
    Params::parse(request.uri(), NoParams::GROUPS)?;
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return Err(Problem::internal("the address of the other end is not known"));
    };
    if let Some(limit) = request.extensions_mut().get_mut::<BodyLimit>() {
        limit.bytes_max = BODY_BYTES_MAX;
    }
    let JsonBody(SignInBody { key }) = JsonBody::from_request(request, &()).await?;
    let (principal, mark) = match api.access.sign_in(&key) {
        Ok(found) => found,
        Err(problem) if problem.status().is_client_error() => {
            let counted = api.access.attempts().failed(peer.ip(), Instant::now());
            api.metrics.sign_ins.count(if counted.is_ok() { SignIn::Refused } else { SignIn::Limited });
            return Err(counted.err().unwrap_or(problem));
        }
        Err(problem) => return Err(problem),
    };
    let (session, cookie) = api.access.sessions().begin(&principal, &mark, now_ms())?;
    api.metrics.sign_ins.count(SignIn::Ok);
    tracing::info!(key_id = %principal.key_id, "signed in");
    let mut response = answer(&SessionBody::of(&api, &session, &principal))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Who is signed in
#[utoipa::path(
    get,
    path = "/v1/session",
    operation_id = "get_session",
    tag = "Session",
    responses(
        (status = 200, description = "The session", body = SessionBody),
        (status = 400, description = "`unknown_parameter`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`: nobody", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: the key sent too many requests", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: keys or sign-outs are being read", body = ProblemBody,
         content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(super) async fn get(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    Params::parse(&uri, NoParams::GROUPS)?;
    let found = api.access.session(&headers)?;
    let (session, principal) = found.ok_or_else(|| Problem::unauthenticated("nobody is signed in"))?;
    answer(&SessionBody::of(&api, &session, &principal))
}

/// Sign out
///
/// Answered once every process knows of it, or will before it takes the cookie again. Where that cannot be said, the session
/// has ended at the process that was asked, the cookie is taken from the browser all the same, and the others are told later.
/// Without a session, or with one that has ended, it is answered in the same way: whoever signs out twice is signed out.
#[utoipa::path(
    delete,
    path = "/v1/session",
    operation_id = "sign_out",
    tag = "Session",
    responses(
        (status = 204, description = "Nobody is signed in any more"),
        ChangeProblems,
        (status = 503, description = "`sign_out_pending`: until the brokers answer, another process may take a copy of the cookie",
         body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("session" = []), ())
)]
pub(super) async fn end(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    Params::parse(&uri, NoParams::GROUPS)?;
    // A session that has ended, or whose key is revoked, is taken from the browser whoever asks.
    let outcome = match api.access.session_to_end(&headers)? {
        Some(session) => api.access.sign_outs().end(&session).await,
        None => Ok(()),
    };
    let head = [(header::SET_COOKIE, api.access.sessions().no_cookie()?), (header::CACHE_CONTROL, NO_STORE)];
    let answer = outcome.map_or_else(Problem::into_response, |()| StatusCode::NO_CONTENT.into_response());
    Ok((head, answer).into_response())
}
