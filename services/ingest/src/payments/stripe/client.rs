//! Requests to Stripe's API: form-encoded, in the pinned version, tried again where that is of use.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::RngExt;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::de::DeserializeOwned;
use tollbooth_chassis::config::Secret;
use url::form_urlencoded;

use super::objects::{API_VERSION, ApiError, ErrorBody};
use crate::payments::PaymentMetrics;

const CONNECT: Duration = Duration::from_secs(5);
/// Of one try. Stripe gives a confirmation up earlier than this.
const TRY: Duration = Duration::from_secs(25);
const TRIES_MAX: u32 = 4;
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest `Retry-After` that is waited for here.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A page of a hundred intents has about half a megabyte.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    FindIntent,
    CreateIntent,
    ReadIntent,
    ConfirmIntent,
    CancelIntent,
    ListIntents,
    ListRefunds,
    ListDisputes,
    CreateCustomer,
    ReadMethod,
    SetUpMethod,
}

impl Operation {
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::FindIntent, "find_intent"),
        (Self::CreateIntent, "create_intent"),
        (Self::ReadIntent, "read_intent"),
        (Self::ConfirmIntent, "confirm_intent"),
        (Self::CancelIntent, "cancel_intent"),
        (Self::ListIntents, "list_intents"),
        (Self::ListRefunds, "list_refunds"),
        (Self::ListDisputes, "list_disputes"),
        (Self::CreateCustomer, "create_customer"),
        (Self::ReadMethod, "read_method"),
        (Self::SetUpMethod, "set_up_method"),
    ];
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    Ok,
    Declined,
    /// Another 4xx.
    Refused,
    /// 401 and 403: the key.
    Unauthorized,
    RateLimited,
    ServerError,
    NoAnswer,
}

impl Called {
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Self::Ok, "ok"),
        (Self::Declined, "declined"),
        (Self::Refused, "refused"),
        (Self::Unauthorized, "unauthorized"),
        (Self::RateLimited, "rate_limited"),
        (Self::ServerError, "server_error"),
        (Self::NoAnswer, "no_answer"),
    ];

    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            402 => Self::Declined,
            401 | 403 => Self::Unauthorized,
            429 => Self::RateLimited,
            500.. => Self::ServerError,
            200..=299 => Self::Ok,
            _ => Self::Refused,
        }
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) form: Vec<(&'static str, String)>,
    /// Two requests with one key are one, for a day at least: <https://docs.stripe.com/api/idempotent_requests>.
    pub(super) idempotency_key: Option<&'a str>,
}

/// An answer that is none of the errors.
#[derive(Debug)]
pub(super) struct Answered<T> {
    pub(super) object: T,
    /// It is what an earlier request with the same key was answered: the object may stand otherwise by now.
    pub(super) is_replayed: bool,
}

/// Why there is no answer to go by.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The payment failed.
    Declined(ApiError),
    /// The request is wrong.
    Refused(ApiError),
    /// The key is wrong, or may not do this.
    Unauthorized,
    /// Nobody knows what became of it.
    NoAnswer,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It needs the system's certificates.
    #[error("cannot set up TLS for the payment provider: {0}")]
    Tls(#[from] rustls::Error),
    /// The key holds something that no header can.
    #[error("purchases.stripe.secret_key cannot be sent: it must be printable characters alone")]
    Key,
}

/// A client with its key.
pub(super) struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: HeaderValue,
    metrics: PaymentMetrics,
}

/// One try's answer.
struct Raw {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    pub(super) fn new(base: &str, key: &Secret, metrics: PaymentMetrics) -> Result<Self, ClientError> {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        // Plain HTTP only reaches a test's server on this machine: the configuration is looked at for that.
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let http = HyperClient::builder(TokioExecutor::new()).pool_max_idle_per_host(8).build(https);
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {}", key.expose())).map_err(|_| ClientError::Key)?;
        authorization.set_sensitive(true);
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), authorization, metrics })
    }

    /// Asks, again and with growing pauses where the answer may be another one then.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answered<T>, CallError> {
        let mut tries = 0;
        loop {
            let answer = self.attempt(call).await;
            tries += 1;
            if tries >= TRIES_MAX || !is_worth_repeating(answer.as_ref()) {
                return judge(call, answer);
            }
            let pause = pause(tries, answer.as_ref());
            tracing::info!(operation = ?call.operation, tries, ?pause, "the payment provider is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Option<Raw> {
        let answer = tokio::time::timeout(TRY, self.exchange(call)).await.ok().flatten();
        let result = answer.as_ref().map_or(Called::NoAnswer, |raw| Called::of(raw.status));
        self.metrics.called(call.operation, result);
        if let Some(raw) = answer.as_ref().filter(|raw| !raw.status.is_success()) {
            // Their id of the request is what their support and their log know it by. The body may hold what is nobody's
            // business.
            let request_id = raw.headers.get("request-id").and_then(|id| id.to_str().ok());
            let status = raw.status.as_u16();
            tracing::warn!(operation = ?call.operation, status, request_id, "the payment provider's answer is an error");
        }
        answer
    }

    async fn exchange(&self, call: &Call<'_>) -> Option<Raw> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&call.form).finish();
        let is_read = call.method == Method::GET;
        let query = if is_read && !form.is_empty() { format!("?{form}") } else { String::new() };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}{query}", self.base, call.path))
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, concat!("tollbooth/", env!("CARGO_PKG_VERSION")))
            .header("stripe-version", API_VERSION);
        if !is_read {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = Full::new(if is_read { Bytes::new() } else { Bytes::from(form) });
        let request = request.body(body).inspect_err(|error| tracing::error!(%error, "no request")).ok()?;
        let answer = self.http.request(request).await;
        let answer = answer.inspect_err(|error| tracing::warn!(%error, "the payment provider is not reached")).ok()?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.inspect_err(|error| tracing::warn!(%error, "the payment provider's answer breaks off")).ok()?;
        Some(Raw { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

/// Stripe's own word counts where it says one: <https://docs.stripe.com/error-low-level>.
fn is_worth_repeating(answer: Option<&Raw>) -> bool {
    let Some(raw) = answer else { return true };
    match raw.headers.get("stripe-should-retry").map(HeaderValue::as_bytes) {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => matches!(raw.status.as_u16(), 409 | 429 | 500..),
    }
}

/// Doubled with every try, with chance so that many do not come back at once; `Retry-After` where it is short.
fn pause(tries: u32, answer: Option<&Raw>) -> Duration {
    let asked = answer.and_then(|raw| raw.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok());
    let grown = PAUSE_MIN.saturating_mul(1 << tries.min(8));
    let least = grown / 2;
    let chance = rand::rng().random_range(0..=least.as_millis());
    let grown = least.saturating_add(Duration::from_millis(u64::try_from(chance).unwrap_or_default()));
    asked.map_or(grown, |seconds| grown.max(Duration::from_secs(seconds))).min(PAUSE_MAX)
}

fn judge<T: DeserializeOwned>(call: &Call<'_>, answer: Option<Raw>) -> Result<Answered<T>, CallError> {
    let raw = answer.ok_or(CallError::NoAnswer)?;
    let error = || serde_json::from_slice::<ErrorBody>(&raw.body).unwrap_or_default().error;
    match Called::of(raw.status) {
        Called::Ok => {
            let is_replayed = raw.headers.get("idempotent-replayed").is_some_and(|value| value == "true");
            let object = serde_json::from_slice(&raw.body).map_err(|error| {
                tracing::error!(operation = ?call.operation, %error, "the payment provider's answer cannot be read");
                CallError::NoAnswer
            })?;
            Ok(Answered { object, is_replayed })
        }
        Called::Declined => Err(CallError::Declined(error())),
        Called::Unauthorized => {
            tracing::error!(operation = ?call.operation, "the payment provider does not take purchases.stripe.secret_key");
            Err(CallError::Unauthorized)
        }
        // A request with the same key, or about the same object, is under way.
        Called::Refused if raw.status == StatusCode::CONFLICT => Err(CallError::NoAnswer),
        Called::Refused => Err(CallError::Refused(error())),
        Called::RateLimited | Called::ServerError | Called::NoAnswer => Err(CallError::NoAnswer),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(status: u16, headers: &[(&'static str, &'static str)]) -> Raw {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        Raw { status: StatusCode::from_u16(status).unwrap(), headers: map, body: Bytes::new() }
    }

    #[test]
    fn what_may_be_answered_otherwise_later_is_asked_again_unless_stripe_says_no() {
        for (status, again) in [(200, false), (400, false), (402, false), (409, true), (429, true), (500, true)] {
            assert_eq!(is_worth_repeating(Some(&raw(status, &[]))), again, "{status}");
        }
        assert!(is_worth_repeating(None));
        assert!(!is_worth_repeating(Some(&raw(500, &[("stripe-should-retry", "false")]))));
        assert!(is_worth_repeating(Some(&raw(400, &[("stripe-should-retry", "true")]))));
    }

    #[test]
    fn pauses_grow_and_keep_to_what_stripe_asks_for_within_a_bound() {
        for (tries, least, most) in [(1, 250, 500), (2, 500, 1_000), (3, 1_000, 2_000)] {
            let pause = pause(tries, None).as_millis();
            assert!((least..=most).contains(&pause), "{tries}: {pause}");
        }
        assert_eq!(pause(1, Some(&raw(429, &[("retry-after", "3")]))), Duration::from_secs(3));
        assert_eq!(pause(1, Some(&raw(429, &[("retry-after", "600")]))), PAUSE_MAX);
    }
}
