//! How a batch reaches ingest, and what its answer means.

use std::{fmt, future::Future, io::Write, pin::Pin, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use serde::{Deserialize, Serialize};

use crate::outbox::Item;

/// Media type of a batch.
const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json";
/// Below this size gzip costs more than it saves.
const GZIP_BYTES_MIN: usize = 1024;

/// A boxed future, as an object-safe trait needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why something was refused: the members of a problem document that a booth keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Stable, machine-readable.
    #[serde(default)]
    pub code: String,
    /// For a person.
    #[serde(default)]
    pub detail: String,
}

/// One item of a batch that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rejected {
    /// Its place in the batch.
    pub index: usize,
    /// Why.
    pub problem: Problem,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Ingest answered for every item: those not listed are durable.
    ///
    /// Of the listed ones a refusal (4xx, but 408, 425 and 429) is final and parked; all others are sent again, in
    /// order and before anything later. Reports of one booth therefore keep their order as long as ingest takes nothing
    /// behind an item that it was too busy for, which is its part of the contract: what it has taken cannot be called
    /// back.
    Settled {
        /// The items that are not.
        rejected: Vec<Rejected>,
    },
    /// The batch as a whole was refused for what is in it.
    Refused(Problem),
    /// Not now: no connection, no time, no permission, back-pressure. Nothing is known of any item.
    Later {
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
        /// For logs and [`crate::Stats`].
        cause: String,
    },
}

/// An address that [`HttpTransport`] cannot use, told before anything is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `https://`. This client is built without TLS, so that every request would fail and be repeated for ever.
    #[error(
        "https://{host} needs TLS, which this client does not speak: give the http:// address of ingest, or of a proxy \
         that adds TLS"
    )]
    Https {
        /// The host it names.
        host: String,
    },
    /// Anything else that is not `http://host`.
    #[error("{address:?} is not an http:// address")]
    Invalid {
        /// What was given.
        address: String,
    },
}

/// Checks an address.
pub(crate) fn http_address(address: &str) -> Result<String, AddressError> {
    let invalid = || AddressError::Invalid { address: address.to_owned() };
    let url = reqwest::Url::parse(address).map_err(|_| invalid())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
    match url.scheme() {
        "http" => Ok(address.to_owned()),
        "https" => Err(AddressError::Https { host: host.to_owned() }),
        _ => Err(invalid()),
    }
}

/// Sends batches. Implemented by [`HttpTransport`]; tests and gateways may bring their own.
pub trait Transport: Send + Sync {
    /// Sends items in order, as one batch.
    fn send<'a>(&'a self, items: &'a [Item]) -> BoxFuture<'a, Reply>;
}

/// A CloudEvents JSON batch of the items' events.
#[must_use]
pub fn batch_body(items: &[Item]) -> Vec<u8> {
    let mut body = Vec::with_capacity(items.iter().map(|item| item.event.len() + 1).sum::<usize>() + 2);
    body.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&item.event);
    }
    body.push(b']');
    body
}

/// `POST /v1/events` of ingest.
#[derive(Clone)]
pub struct HttpTransport {
    client: Client,
    url: String,
    authorization: String,
    gzip: bool,
    timeout: Duration,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("url", &self.url).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// To `ingest_url` with an API key. Clones of one `client` share its connections.
    ///
    /// # Errors
    /// If `ingest_url` is no `http://` address.
    pub fn new(
        client: Client,
        ingest_url: &str,
        api_key: &str,
        gzip: bool,
        timeout: Duration,
    ) -> Result<Self, AddressError> {
        let ingest_url = http_address(ingest_url)?;
        Ok(Self {
            client,
            url: format!("{}/v1/events", ingest_url.trim_end_matches('/')),
            authorization: format!("Bearer {api_key}"),
            gzip,
            timeout,
        })
    }

    async fn post(&self, items: &[Item]) -> Result<Reply, reqwest::Error> {
        let body = batch_body(items);
        let mut request = self
            .client
            .post(&self.url)
            .timeout(self.timeout)
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, BATCH_CONTENT_TYPE);
        let zipped = if self.gzip && body.len() >= GZIP_BYTES_MIN { gzip(&body).ok() } else { None };
        let body = match zipped {
            Some(zipped) => {
                request = request.header(CONTENT_ENCODING, "gzip");
                zipped
            }
            None => body,
        };
        let response = request.body(body).send().await?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), chrono::Utc::now());
        let body = response.bytes().await?;
        Ok(judge(status, retry_after, &body, items.len()))
    }
}

impl Transport for HttpTransport {
    fn send<'a>(&'a self, items: &'a [Item]) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            self.post(items).await.unwrap_or_else(|error| Reply::Later { retry_after: None, cause: chain(&error) })
        })
    }
}

/// An error with its sources: reqwest's own text names the address alone.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[derive(Deserialize)]
struct BatchAnswer {
    accepted: usize,
    #[serde(default)]
    rejected: Vec<Rejected>,
}

fn judge(status: StatusCode, retry_after: Option<Duration>, body: &Bytes, items: usize) -> Reply {
    let later = |cause: String| Reply::Later { retry_after, cause };
    if status.is_success() {
        // An answer that does not account for every item is no answer: a proxy's 200 must not empty the outbox.
        let answer = serde_json::from_slice::<BatchAnswer>(body).ok().filter(|answer| {
            answer.accepted + answer.rejected.len() == items
                && answer.rejected.iter().all(|rejected| rejected.index < items)
        });
        return match answer {
            Some(BatchAnswer { rejected, .. }) => Reply::Settled { rejected },
            None => later(format!("{status} with an answer that does not account for every item")),
        };
    }
    let mut problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    problem.status = status.as_u16();
    match status {
        // The content is at fault; anything else is the key, the address or the moment, and may be put right.
        StatusCode::BAD_REQUEST
        | StatusCode::CONFLICT
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Reply::Refused(problem),
        _ => later(format!("{status} {} {}", problem.code, problem.detail)),
    }
}

/// `Retry-After` in either of its forms (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(until.signed_duration_since(now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str, items: usize) -> Reply {
        judge(StatusCode::from_u16(status).unwrap(), None, &Bytes::copy_from_slice(body.as_bytes()), items)
    }

    #[test]
    fn only_an_answer_for_every_item_settles_a_batch() {
        assert_eq!(judged(202, r#"{"accepted": 2, "rejected": []}"#, 2), Reply::Settled { rejected: vec![] });
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"accepted": 1, "rejected": []}"#,
            r#"{"accepted": 3, "rejected": []}"#,
            r#"{"accepted": 1, "rejected": [{"index": 2, "problem": {"status": 422}}]}"#,
        ] {
            assert!(matches!(judged(202, body, 2), Reply::Later { .. }), "{body}");
        }
    }

    #[test]
    fn faults_of_the_content_refuse_and_all_others_wait() {
        for status in [400, 409, 413, 422] {
            assert!(matches!(judged(status, "{}", 1), Reply::Refused(problem) if problem.status == status), "{status}");
        }
        for status in [301, 401, 403, 404, 408, 415, 429, 500, 502, 503, 504] {
            assert!(matches!(judged(status, "{}", 1), Reply::Later { .. }), "{status}");
        }
    }

    #[test]
    fn only_an_http_address_with_a_host_can_be_used() {
        for address in ["http://127.0.0.1:8080", "http://ingest.internal/", "HTTP://ingest/base"] {
            assert_eq!(http_address(address), Ok(address.to_owned()));
        }
        let https = http_address("https://user:secret@ingest.example.com/v1").unwrap_err();
        assert_eq!(https, AddressError::Https { host: "ingest.example.com".to_owned() });
        assert!(https.to_string().contains("TLS"), "{https}");
        for address in ["", "ingest:8080", "127.0.0.1:8080", "ftp://ingest", "http://", "unix:/run/ingest"] {
            assert!(matches!(http_address(address), Err(AddressError::Invalid { .. })), "{address}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = chrono::DateTime::parse_from_rfc3339("2026-11-21T20:15:00Z").unwrap().to_utc();
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sat, 21 Nov 2026 20:15:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sat, 21 Nov 2026 20:14:30 GMT"), Some(Duration::ZERO), "past");
        assert_eq!(read("soon"), None);
    }
}
