//! Commands of a browser that signed in, passed on to ingest.
//!
//! Ingest gets the body, the few headers that mean something to a command, and a signed text that says for a minute whose
//! key it is ([`tollbooth_chassis::forward`]); its answer goes back as it is. Nothing is repeated here: a command that was
//! sent and not answered may have been carried out, and the client repeats it with the same `Idempotency-Key`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::forward::Forwarding;
use tollbooth_chassis::http::{REQUEST_ID, RequestId};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::traces::{self, TRACEPARENT};

use crate::clock::now_ms;
use crate::config::{ForwardSection, SettingError};
use crate::metrics::{ForwardMetrics, Forwarded};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RETRY_AFTER_S: u32 = 1;
/// What of a request is passed on; everything else (cookies above all) stays here.
const REQUEST_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
];
/// What of an answer comes back.
const ANSWER_HEADERS: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::LOCATION,
    header::RETRY_AFTER,
    header::ALLOW,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// A command as it came.
#[derive(Debug)]
pub struct Command {
    /// How.
    pub method: Method,
    /// Path and query, as they were sent.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// Unpacked.
    pub body: Bytes,
    /// Kept over both services.
    pub request_id: RequestId,
}

/// Passes commands on.
#[derive(Debug)]
pub struct Forwarder {
    forwarding: Forwarding,
    client: reqwest::Client,
    base_url: String,
    answer_bytes_max: usize,
    places: Semaphore,
    metrics: ForwardMetrics,
}

impl Forwarder {
    /// `None` where no secret is configured.
    ///
    /// # Errors
    /// Where a setting cannot be kept.
    pub fn new(settings: &ForwardSection, metrics: ForwardMetrics) -> Result<Option<Self>, SettingError> {
        if settings.secret.is_empty() {
            return Ok(None);
        }
        let wrong = |key, reason: String| SettingError { key, reason };
        let forwarding = Forwarding::new(settings.secret.expose());
        let forwarding = forwarding.map_err(|error| wrong("forward.secret", error.to_string()))?;
        let base_url = settings.ingest_url.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&base_url).map_err(|error| wrong("forward.ingest_url", error.to_string()))?;
        if parsed.scheme() != "http" || parsed.path() != "/" || parsed.query().is_some() {
            return Err(wrong("forward.ingest_url", "must be like http://127.0.0.1:8080".to_owned()));
        }
        // Nothing of the environment and no answer decides where a signed text goes.
        let client = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_millis(settings.timeout_ms))
            .pool_idle_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| wrong("forward", error.to_string()))?;
        Ok(Some(Self {
            forwarding,
            client,
            base_url,
            answer_bytes_max: settings.answer_bytes_max,
            places: Semaphore::new(settings.concurrent_max.min(Semaphore::MAX_PERMITS)),
            metrics,
        }))
    }

    /// Ingest's answer to a command of `principal`, whose key has this mark.
    ///
    /// # Errors
    /// 503 where ingest cannot be reached or too many are under way, 504 where it does not answer, 502 where its answer is
    /// none.
    pub async fn send(&self, principal: &Principal, mark: &str, command: Command) -> Result<Response<Body>, Problem> {
        let Ok(_place) = self.places.try_acquire() else {
            self.metrics.count(Forwarded::Refused);
            return Err(Problem::unavailable(RETRY_AFTER_S).with_detail("too many commands are under way"));
        };
        let token = self.forwarding.token(principal, mark, now_ms()).map_err(Problem::internal)?;
        let mut headers: HeaderMap = REQUEST_HEADERS
            .into_iter()
            .filter_map(|name| command.headers.get(&name).map(|value| (name, value.clone())))
            .collect();
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).map_err(Problem::internal)?;
        authorization.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, authorization);
        headers.insert(REQUEST_ID, command.request_id.header());
        // Our span of the request is what ingest's hangs on, not the client's.
        if let Some(traceparent) = traces::current().and_then(|current| HeaderValue::try_from(&*current).ok()) {
            headers.insert(TRACEPARENT, traceparent);
        }
        let url = self.url(&command.target)?;
        let request = self.client.request(command.method, url).headers(headers).body(command.body);
        let outcome = match request.send().await {
            Ok(answer) => self.answer(answer).await,
            Err(error) => Err(error.into()),
        };
        self.metrics.count(match &outcome {
            Ok(response) if response.status().is_server_error() => Forwarded::Failed,
            Ok(response) if response.status().is_client_error() => Forwarded::Rejected,
            Ok(_) => Forwarded::Ok,
            Err(Lost::Unreachable) => Forwarded::Unreachable,
            Err(Lost::TimedOut) => Forwarded::TimedOut,
            Err(Lost::Broken) => Forwarded::Broken,
        });
        outcome.map_err(Problem::from)
    }

    /// Where a command goes: exactly the path that was asked for, and never another one that it stands for (`/v1/../x`).
    fn url(&self, target: &str) -> Result<reqwest::Url, Problem> {
        let no_such = || Problem::not_found("no such command");
        let url = reqwest::Url::parse(&format!("{}{target}", self.base_url)).map_err(|_| no_such())?;
        let path = target.split('?').next().unwrap_or_default();
        if url.path() == path && path.starts_with("/v1/") { Ok(url) } else { Err(no_such()) }
    }

    async fn answer(&self, answer: reqwest::Response) -> Result<Response<Body>, Lost> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        for name in ANSWER_HEADERS {
            if let Some(value) = answer.headers().get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        let mut body = BytesMut::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if body.len() + chunk.len() > self.answer_bytes_max {
                tracing::error!(bytes_max = self.answer_bytes_max, "an answer of ingest is too large");
                return Err(Lost::Broken);
            }
            body.extend_from_slice(&chunk);
        }
        *response.body_mut() = Body::from(body.freeze());
        Ok(response)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Nothing was sent.
    Unreachable,
    /// It may have been carried out.
    TimedOut,
    /// It may have been carried out, too.
    Broken,
}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        tracing::warn!(%error, "ingest gives no answer");
        if error.is_connect() {
            Self::Unreachable
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken
        }
    }
}

impl From<Lost> for Problem {
    fn from(lost: Lost) -> Self {
        const REPEAT: &str = "it may have been carried out: repeat it with the same Idempotency-Key";
        match lost {
            Lost::Unreachable => {
                Self::unavailable(RETRY_AFTER_S).with_detail("nothing can be changed at the moment; reading goes on")
            }
            Lost::TimedOut => Self::timeout().with_detail(REPEAT),
            Lost::Broken => Self::new("bad_gateway", StatusCode::BAD_GATEWAY, "No answer").with_detail(REPEAT),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tollbooth_chassis::config::Secret;

    use super::*;

    fn settings(ingest_url: &str) -> ForwardSection {
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        ForwardSection { secret, ingest_url: ingest_url.to_owned(), ..ForwardSection::default() }
    }

    fn forwarder(settings: &ForwardSection) -> Result<Option<Forwarder>, SettingError> {
        Forwarder::new(settings, ForwardMetrics::register(&Registry::new()).unwrap())
    }

    #[test]
    fn without_a_secret_there_is_none_and_a_wrong_address_is_refused() {
        assert!(forwarder(&ForwardSection::default()).unwrap().is_none());
        for wrong in ["127.0.0.1:8080", "https://127.0.0.1:8080", "http://127.0.0.1:8080/v1", ""] {
            assert_eq!(forwarder(&settings(wrong)).unwrap_err().key, "forward.ingest_url", "{wrong}");
        }
    }

    #[test]
    fn a_command_goes_where_it_says_and_nowhere_else() {
        let forwarder = forwarder(&settings("http://127.0.0.1:8080/")).unwrap().unwrap();
        let url = |target: &str| forwarder.url(target).map(|url| url.to_string()).ok();
        assert_eq!(url("/v1/keys?x=1").as_deref(), Some("http://127.0.0.1:8080/v1/keys?x=1"));
        for wrong in ["/v1/../livez", "/v1/%2e%2e/livez", "/v2/keys", "@evil.example/v1/keys", "/v1/a/./b"] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }
}
