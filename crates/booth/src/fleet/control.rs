//! The admin's side: accounts, credit, keys, prices. Every request is repeated with the same key until its answer is
//! definite.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, header::AUTHORIZATION};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollbooth_schemas::{AccountId, BoothId, EventId, Money, price_book::PriceBook, time::rfc3339};

use super::population::Account;
use crate::{
    backoff::{Backoff, BackoffConfig},
    transport::{Problem, chain, retry_after},
};

/// A request that was refused for good.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The server's word.
    #[error("{what}: {} {} {}", problem.status, problem.code, problem.detail)]
    Refused {
        /// What was asked.
        what: String,
        /// Why not.
        problem: Problem,
    },
    /// A success that cannot be read.
    #[error("{what}: the answer cannot be read: {source}")]
    Answer {
        /// What was asked.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// No definite answer within the limit.
    #[error("{what}: no definite answer: {cause}")]
    Unanswered {
        /// What was asked.
        what: String,
        /// The newest failure.
        cause: String,
    },
}

impl ControlError {
    /// Code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => Some(&problem.code),
            _ => None,
        }
    }
}

/// A new key; shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewKey {
    /// Public id.
    pub key_id: String,
    /// The key itself.
    pub key: String,
}

/// A balance as query tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Balance {
    /// What stands on the account.
    pub balance: tollbooth_schemas::Amount,
    /// What may be spent.
    pub available: tollbooth_schemas::Amount,
}

/// Client of ingest's commands and query's balance.
#[derive(Clone)]
pub struct Control {
    client: Client,
    ingest_url: String,
    query_url: String,
    authorization: String,
    /// How long a request is repeated.
    patience: Duration,
}

impl Control {
    /// With an admin key.
    #[must_use]
    pub fn new(client: Client, ingest_url: &str, query_url: &str, admin_key: &str) -> Self {
        Self {
            client,
            ingest_url: ingest_url.trim_end_matches('/').to_owned(),
            query_url: query_url.trim_end_matches('/').to_owned(),
            authorization: format!("Bearer {admin_key}"),
            patience: Duration::from_secs(120),
        }
    }

    /// The same with another limit for repeating a request.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Publishes a price book. Publishing the same again changes nothing.
    ///
    /// # Errors
    /// If it is refused, as another body of a published version is.
    pub async fn publish(&self, book: &PriceBook) -> Result<(), ControlError> {
        let url = format!("{}/v1/price-books/{}", self.ingest_url, book.version);
        self.request("price book", Method::PUT, &url, None, Some(&json!(book))).await.map(drop)
    }

    /// Opens an account; one that is open already stays as it is.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn open_account(&self, account: &Account, occurred_at_ms: Option<i64>) -> Result<(), ControlError> {
        let mut body = json!({
            "account_id": account.account_id,
            "name": account.name,
            "plan": account.plan,
            "currency": "USD",
            "time_zone": account.time_zone,
        });
        if let Some(ms) = occurred_at_ms {
            body["occurred_at"] = json!(rfc3339(ms));
        }
        let url = format!("{}/v1/accounts", self.ingest_url);
        let key = format!("open:{}", account.account_id);
        match self.request("account", Method::POST, &url, Some(&key), Some(&body)).await {
            // Opened before, with this key and body or others: as history does, which opens them a year back.
            Err(error) if matches!(error.code(), Some("account_exists" | "idempotency_mismatch")) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Adds to a balance, once for each `idempotency_key`.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn adjust(
        &self,
        account_id: &AccountId,
        idempotency_key: &str,
        amount: Money,
        reason: &str,
        occurred_at_ms: Option<i64>,
    ) -> Result<(), ControlError> {
        let mut body = json!({ "amount": amount, "reason": reason });
        if let Some(ms) = occurred_at_ms {
            body["occurred_at"] = json!(rfc3339(ms));
        }
        let url = format!("{}/v1/accounts/{account_id}/adjustments", self.ingest_url);
        self.request("adjustment", Method::POST, &url, Some(idempotency_key), Some(&body)).await.map(drop)
    }

    /// Buys credit with the saved card, once for each `idempotency_key`.
    ///
    /// # Errors
    /// If it is refused, or not paid.
    pub async fn buy(&self, account_id: &AccountId, idempotency_key: &str, amount: Money) -> Result<(), ControlError> {
        let url = format!("{}/v1/accounts/{account_id}/purchases", self.ingest_url);
        let body = json!({ "amount": amount });
        self.request("purchase", Method::POST, &url, Some(idempotency_key), Some(&body)).await.map(drop)
    }

    /// Gives an event its name, its zone (the account's), and when it begins and ends.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn name_event(
        &self,
        account: &Account,
        event_id: &EventId,
        name: &str,
        (starts_at_ms, ends_at_ms): (i64, i64),
    ) -> Result<(), ControlError> {
        let body = json!({
            "name": name,
            "starts_at": rfc3339(starts_at_ms),
            "ends_at": rfc3339(ends_at_ms),
            "time_zone": account.time_zone,
        });
        let url = format!("{}/v1/accounts/{}/events/{event_id}", self.ingest_url, account.account_id);
        let key = format!("event:{event_id}");
        self.request("event", Method::PUT, &url, Some(&key), Some(&body)).await.map(drop)
    }

    /// Makes a key: `booth` or `account`.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn create_key(
        &self,
        kind: &str,
        account_id: &AccountId,
        booth_id: Option<&BoothId>,
        label: &str,
    ) -> Result<NewKey, ControlError> {
        let mut body = json!({ "kind": kind, "account_id": account_id, "label": label });
        if let Some(booth_id) = booth_id {
            body["booth_id"] = json!(booth_id);
        }
        let url = format!("{}/v1/keys", self.ingest_url);
        let answer = self.request("key", Method::POST, &url, None, Some(&body)).await?;
        serde_json::from_slice(&answer).map_err(|source| ControlError::Answer { what: "key".to_owned(), source })
    }

    /// An account's balance, live.
    ///
    /// # Errors
    /// If query does not answer.
    pub async fn balance(&self, account_id: &AccountId) -> Result<Balance, ControlError> {
        let url = format!("{}/v1/accounts/{account_id}/balance", self.query_url);
        let answer = self.request("balance", Method::GET, &url, None, None).await?;
        serde_json::from_slice(&answer).map_err(|source| ControlError::Answer { what: "balance".to_owned(), source })
    }

    async fn request(
        &self,
        what: &str,
        method: Method,
        url: &str,
        idempotency_key: Option<&str>,
        body: Option<&serde_json::Value>,
    ) -> Result<bytes::Bytes, ControlError> {
        let backoff = BackoffConfig { max: Duration::from_secs(5), ..BackoffConfig::default() };
        let mut backoff = Backoff::new(backoff);
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            let mut request = self.client.request(method.clone(), url).timeout(Duration::from_secs(30));
            request = request.header(AUTHORIZATION, &self.authorization);
            if let Some(key) = idempotency_key {
                request = request.header("Idempotency-Key", format!("\"{key}\""));
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let (after, cause) = match once(request).await {
                Ok(Answer::Done(body)) => return Ok(body),
                // An earlier try of this very request is still under way there.
                Ok(Answer::Refused(problem)) if idempotency_key.is_some() && problem.code == "conflict" => {
                    (None, problem.detail)
                }
                Ok(Answer::Refused(problem)) => return Err(ControlError::Refused { what: what.to_owned(), problem }),
                Ok(Answer::Later(after, status)) => (after, status.to_string()),
                Err(error) => (None, chain(&error)),
            };
            if tokio::time::Instant::now() >= deadline {
                return Err(ControlError::Unanswered { what: what.to_owned(), cause });
            }
            tokio::time::sleep(backoff.next(after)).await;
        }
    }
}

enum Answer {
    Done(bytes::Bytes),
    Refused(Problem),
    Later(Option<Duration>, StatusCode),
}

async fn once(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status();
    let after = retry_after(response.headers(), chrono::Utc::now());
    let body = response.bytes().await?;
    Ok(match status {
        // The meter's reply is late; the same request again brings it.
        StatusCode::ACCEPTED => Answer::Later(after, status),
        _ if status.is_success() => Answer::Done(body),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Answer::Later(after, status),
        _ if status.is_client_error() => {
            let mut problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
            problem.status = status.as_u16();
            Answer::Refused(problem)
        }
        _ => Answer::Later(after, status),
    })
}
