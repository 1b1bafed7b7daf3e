//! Errors over HTTP: RFC 9457 `application/problem+json`.
//!
//! `type` is `https://tollbooth.dev/problems/<code>`, and `code` repeats its last part for clients that switch on it.
//! A 5xx says nothing of what went wrong inside; its source goes to the log together with the request id.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::Value;

/// Media type of every error body.
pub const PROBLEM_JSON: &str = "application/problem+json";
const TYPE_BASE: &str = "https://tollbooth.dev/problems/";

/// One wrong member of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the request body, or a parameter's name.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A refusal or failure, ready to be sent.
// Boxed: it is the error of most functions of the HTTP side, and rare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Members>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Members {
    #[serde(rename = "type")]
    type_uri: String,
    title: Cow<'static, str>,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    extensions: BTreeMap<&'static str, Value>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
    #[serde(skip)]
    allow: Option<HeaderValue>,
    #[serde(skip)]
    quota: Option<Quota>,
}

/// A limit that was reached, as `RateLimit-Policy` and `RateLimit` say it (draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Name of the policy, an RFC 8941 string without what needs escaping.
    pub policy: &'static str,
    /// How much is allowed.
    pub limit: usize,
    /// What is counted: `requests`, `content-bytes` or `concurrent-requests`.
    pub unit: &'static str,
}

// `serialize_with` hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $title:literal;)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(detail: impl Into<Cow<'static, str>>) -> Self {
            Self::new(stringify!($name), StatusCode::$status, $title).with_detail(detail)
        })*
    };
}

impl Problem {
    /// A problem with a code of the caller's own. `code` is part of the interface: snake case, never changed.
    #[must_use]
    pub fn new(code: &'static str, status: StatusCode, title: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Members {
            type_uri: format!("{TYPE_BASE}{code}"),
            title: title.into(),
            status,
            detail: None,
            instance: None,
            code,
            request_id: None,
            errors: Vec::new(),
            extensions: BTreeMap::new(),
            retry_after_s: None,
            allow: None,
            quota: None,
        }))
    }

    codes! {
        /// 400: the request cannot be parsed.
        malformed = BAD_REQUEST, "The request is malformed";
        /// 422: well-formed, but a member holds what is not allowed.
        invalid = UNPROCESSABLE_ENTITY, "The request is not valid";
        /// 401: no key, or one that is not known.
        unauthenticated = UNAUTHORIZED, "A valid key is needed";
        /// 403: the key is known but may not do this.
        forbidden = FORBIDDEN, "The key does not allow this";
        /// 404.
        not_found = NOT_FOUND, "Not found";
        /// 405.
        method_not_allowed = METHOD_NOT_ALLOWED, "The method is not allowed here";
        /// 409: the state does not allow it.
        conflict = CONFLICT, "The present state does not allow this";
        /// 402: the balance does not cover it.
        insufficient_balance = PAYMENT_REQUIRED, "The balance is not enough";
        /// 400: `Idempotency-Key` is needed here.
        idempotency_key_missing = BAD_REQUEST, "An Idempotency-Key is needed";
        /// 422: the key was used with another body.
        idempotency_mismatch = UNPROCESSABLE_ENTITY, "The Idempotency-Key was used with another request";
        /// 413: body or batch beyond its limit.
        too_large = PAYLOAD_TOO_LARGE, "The request is too large";
        /// 415: media type or content encoding.
        unsupported_media_type = UNSUPPORTED_MEDIA_TYPE, "The media type is not supported";
        /// 400: a query parameter that does not exist.
        unknown_parameter = BAD_REQUEST, "A parameter is not known";
        /// 400: a cursor that was not issued for this query.
        bad_cursor = BAD_REQUEST, "The cursor is not valid";
        /// 422: a number or a time outside its bounds.
        out_of_range = UNPROCESSABLE_ENTITY, "A value is out of range";
        /// 408: the client sent its request too slowly.
        request_timeout = REQUEST_TIMEOUT, "The request took too long to arrive";
    }

    /// 429 with `Retry-After`.
    #[must_use]
    pub fn rate_limited(retry_after_s: u32) -> Self {
        Self::new("rate_limited", StatusCode::TOO_MANY_REQUESTS, "Too many requests").with_retry_after(retry_after_s)
    }

    /// 503 with `Retry-After`: back-pressure, or a dependency that is down.
    #[must_use]
    pub fn unavailable(retry_after_s: u32) -> Self {
        Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable")
            .with_retry_after(retry_after_s)
    }

    /// 504: no answer within the request's deadline. Whether it took effect is unknown; repeat with the same key.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new("timeout", StatusCode::GATEWAY_TIMEOUT, "No answer in time")
    }

    /// 500. The source is logged, never sent.
    #[must_use]
    pub fn internal(source: impl fmt::Display) -> Self {
        tracing::error!(error = %source, "internal error while answering a request");
        Self::bare_internal()
    }

    pub(crate) fn bare_internal() -> Self {
        Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
    }

    /// Says more about this occurrence. Ignored for 500, which explains itself to nobody.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        if self.0.status != StatusCode::INTERNAL_SERVER_ERROR && !detail.is_empty() {
            self.0.detail = Some(detail);
        }
        self
    }

    /// Adds one wrong member.
    #[must_use]
    pub fn with_error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds a member of the problem's own (RFC 9457, 3.2), like what a refused payment is short of.
    #[must_use]
    pub fn with_extension(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(name, value.into());
        self
    }

    /// Names the resource or item this is about (a URI reference).
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.0.instance = Some(instance.into());
        self
    }

    /// Sends `Retry-After` in whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Says with `RateLimit-Policy` and `RateLimit` which limit was reached and when to come back.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Self {
        self.0.quota = Some(quota);
        self
    }

    /// The request's id; the HTTP server sets it for whole responses, per-item problems need none.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = Some(request_id.into());
        self
    }

    pub(crate) fn with_allow(mut self, allow: Option<HeaderValue>) -> Self {
        self.0.allow = allow;
        self
    }

    /// Stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What this occurrence is about, if said.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The response, with the request id set unless there is one.
    pub(crate) fn into_response_for(mut self, request_id: Option<&str>) -> Response<Body> {
        if self.0.request_id.is_none() {
            self.0.request_id = request_id.map(str::to_owned);
        }
        // All members are JSON already, strings or numbers: encoding cannot fail, and an empty body keeps the status if it did.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Quota { policy, limit, unit }) = self.0.quota {
            let reset_s = self.0.retry_after_s.unwrap_or(1);
            let lines = [
                ("ratelimit-policy", format!("\"{policy}\";q={limit};qu=\"{unit}\"")),
                ("ratelimit", format!("\"{policy}\";r=0;t={reset_s}")),
            ];
            for (name, line) in lines {
                headers.extend(HeaderValue::try_from(line).map(|value| (HeaderName::from_static(name), value)));
            }
        }
        if let Some(allow) = self.0.allow.take() {
            headers.insert(header::ALLOW, allow);
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status.as_u16(), self.0.code)?;
        self.0.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

/// Carries the problem itself through the router, so that the server can still add the request id.
#[derive(Clone)]
pub(crate) struct Carried(pub(crate) Problem);

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let carried = Carried(self.clone());
        let mut response = self.into_response_for(None);
        response.extensions_mut().insert(carried);
        response
    }
}
