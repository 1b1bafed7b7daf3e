//! Requests to ingest and query, as an operator's backend would send them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::wait::wait_until;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a command is repeated while the meter's reply is late: a fail-over and a restart of the broker fit in.
const COMMAND_PATIENCE: Duration = Duration::from_secs(90);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON, or a string where the body is none.
    pub body: Value,
    /// When to ask again, where the answer says so.
    pub retry_after: Option<String>,
}

impl Answer {
    /// The body of a 2xx.
    ///
    /// # Errors
    /// With the whole answer for any other status.
    pub fn ok(self) -> anyhow::Result<Value> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { bail!("status {}: {}", self.status, self.body) }
    }
}

/// A client of both services, with an admin key.
#[derive(Debug)]
pub struct Api {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    ingest_url: String,
    query_url: String,
    admin_key: String,
}

impl Api {
    /// Connects when asked something.
    ///
    /// # Errors
    /// When no runtime can be made.
    pub fn new(ingest_url: String, query_url: String, admin_key: String) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
        Ok(Self { runtime, client, ingest_url, query_url, admin_key })
    }

    /// Where ingest listens.
    #[must_use]
    pub fn ingest_url(&self) -> &str {
        &self.ingest_url
    }

    /// Where query listens.
    #[must_use]
    pub fn query_url(&self) -> &str {
        &self.query_url
    }

    /// The key that may do everything.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Any request; `key` absent: the admin's.
    ///
    /// # Errors
    /// When no answer came.
    pub fn request(
        &self,
        method: Method,
        url: &str,
        key: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, url).bearer_auth(key.unwrap_or(&self.admin_key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await.with_context(|| format!("asking {url}"))?;
            let status = response.status().as_u16();
            let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let retry_after = retry_after.map(ToOwned::to_owned);
            let bytes = response.bytes().await.with_context(|| format!("reading the answer of {url}"))?;
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
            Ok(Answer { status, body, retry_after })
        })
    }

    /// Runs something that needs this client's runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Sends a batch of events with a key; absent: the admin's.
    ///
    /// # Errors
    /// When no answer came.
    pub fn send_as(&self, key: Option<&str>, events: &[Value]) -> anyhow::Result<Answer> {
        let headers = [("content-type", "application/cloudevents-batch+json")];
        let body = serde_json::to_vec(events)?;
        self.request(Method::POST, &format!("{}/v1/events", self.ingest_url), key, &headers, Some(body))
    }

    /// Sends a batch of events, all of which must be accepted.
    ///
    /// # Errors
    /// When one was not.
    pub fn send(&self, events: &[Value]) -> anyhow::Result<()> {
        let answer = self.send_as(None, events)?;
        if answer.status != 202 || answer.body["accepted"] != json!(events.len()) {
            bail!("not all accepted: {answer:?}");
        }
        Ok(())
    }

    /// One event in structured mode.
    ///
    /// # Errors
    /// When no answer came.
    pub fn send_one(&self, key: Option<&str>, event: &[u8]) -> anyhow::Result<Answer> {
        let headers = [("content-type", "application/cloudevents+json")];
        let url = format!("{}/v1/events", self.ingest_url);
        self.request(Method::POST, &url, key, &headers, Some(event.to_vec()))
    }

    /// A command; repeated with the same key while its answer is late.
    ///
    /// # Errors
    /// When no answer came.
    pub fn command(&self, path: &str, idempotency_key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.repeated(&Method::POST, path, idempotency_key, body)
    }

    /// As [`Api::command`], for a document as a whole.
    ///
    /// # Errors
    /// When no answer came.
    pub fn put(&self, path: &str, idempotency_key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.repeated(&Method::PUT, path, idempotency_key, body)
    }

    fn repeated(&self, method: &Method, path: &str, idempotency_key: &str, body: &Value) -> anyhow::Result<Answer> {
        wait_until(&format!("an answer to {path}"), COMMAND_PATIENCE, || {
            let answer = self.command_once(method, path, idempotency_key, body).ok()?;
            (!matches!(answer.status, 202 | 503)).then_some(answer)
        })
    }

    /// A command, sent once.
    ///
    /// # Errors
    /// When no answer came.
    pub fn command_once(
        &self,
        method: &Method,
        path: &str,
        idempotency_key: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.ingest_url);
        let quoted = format!("\"{idempotency_key}\"");
        let headers = [("content-type", "application/json"), ("idempotency-key", quoted.as_str())];
        self.request(method.clone(), &url, None, &headers, Some(body.to_string().into_bytes()))
    }

    /// Opens an account in US dollars on the plan `payg` with a first credit; gives its id back.
    ///
    /// # Errors
    /// When it is refused.
    pub fn open_account(&self, account_id: &str, credit: Option<&str>) -> anyhow::Result<()> {
        let body = opening(account_id);
        self.command("/v1/accounts", &format!("open:{account_id}"), &body)?.ok().context("open an account")?;
        if let Some(credit) = credit {
            self.adjust(account_id, "credit", credit)?.ok().context("credit an account")?;
        }
        Ok(())
    }

    /// Adds to a balance.
    ///
    /// # Errors
    /// When no answer came.
    pub fn adjust(&self, account_id: &str, idempotency_key: &str, amount: &str) -> anyhow::Result<Answer> {
        let body = json!({ "amount": amount, "reason": "test" });
        self.command(&format!("/v1/accounts/{account_id}/adjustments"), idempotency_key, &body)
    }

    /// Publishes a price book.
    ///
    /// # Errors
    /// When no answer came.
    pub fn publish(&self, book: &Value) -> anyhow::Result<Answer> {
        let url = format!("{}/v1/price-books/{}", self.ingest_url, book["version"]);
        let headers = [("content-type", "application/json")];
        self.request(Method::PUT, &url, None, &headers, Some(book.to_string().into_bytes()))
    }

    /// A read from query, below `/v1/accounts/`.
    ///
    /// # Errors
    /// When no answer came.
    pub fn read(&self, path: &str) -> anyhow::Result<Answer> {
        self.request(Method::GET, &format!("{}/v1/accounts/{path}", self.query_url), None, &[], None)
    }

    /// The balance as text, while query answers it.
    #[must_use]
    pub fn balance(&self, account_id: &str) -> Option<String> {
        let body = self.read(&format!("{account_id}/balance")).ok()?.ok().ok()?;
        body["balance"]["amount"].as_str().map(ToOwned::to_owned)
    }

    /// All money entries of an account, newest first.
    ///
    /// # Errors
    /// When query does not answer.
    pub fn transactions(&self, account_id: &str) -> anyhow::Result<Vec<Value>> {
        let body = self.read(&format!("{account_id}/transactions?limit=100"))?.ok()?;
        Ok(body["data"].as_array().cloned().unwrap_or_default())
    }
}

/// The body that opens an account.
#[must_use]
pub(crate) fn opening(account_id: &str) -> Value {
    json!({
        "account_id": account_id, "name": "Test Booths", "plan": "payg", "currency": "USD",
        "time_zone": "America/New_York",
    })
}
