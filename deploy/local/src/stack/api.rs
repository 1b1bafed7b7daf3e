//! The few requests that the supervisor itself makes.

use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::http::{self, Answer};

const TIMEOUT: Duration = Duration::from_secs(15);
/// For what is asked every second.
const QUICK: Duration = Duration::from_secs(2);

/// Ingest and query, as the admin sees them.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    ingest: String,
    query: String,
    authorization: String,
}

impl Api {
    pub(crate) fn new(ingest: &str, query: &str, admin_key: &str) -> Self {
        Self { ingest: ingest.to_owned(), query: query.to_owned(), authorization: format!("Bearer {admin_key}") }
    }

    /// The ids of the keys that were made and not revoked.
    pub(crate) fn live_key_ids(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.ingest("GET", "/v1/keys", "")?;
        let keys = answer["data"].as_array().cloned().unwrap_or_default();
        let live = keys.iter().filter(|key| key["revoked_at"].is_null());
        Ok(live.filter_map(|key| key["key_id"].as_str().map(str::to_owned)).collect())
    }

    /// Makes a key; its id and the key itself.
    pub(crate) fn make_key(&self, document: &Value) -> anyhow::Result<(String, String)> {
        let answer = self.ingest("POST", "/v1/keys", &document.to_string())?;
        match (answer["key_id"].as_str(), answer["key"].as_str()) {
            (Some(id), Some(key)) => Ok((id.to_owned(), key.to_owned())),
            _ => bail!("ingest made a key, but the answer shows none"),
        }
    }

    /// An account's balance, as text with its currency; `None` where query does not answer it now.
    pub(crate) fn balance(&self, account_id: &str) -> Option<String> {
        let url = format!("{}/v1/accounts/{account_id}/balance", self.query);
        let answer = http::request("GET", &url, &[("Authorization", &self.authorization)], "", QUICK).ok()?;
        let body: Value = serde_json::from_str(&answer.body).ok().filter(|_| answer.status == 200)?;
        let balance = &body["balance"];
        Some(format!("{} {}", balance["amount"].as_str()?, balance["currency"].as_str()?))
    }

    fn ingest(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.ingest);
        let headers = [("Authorization", self.authorization.as_str()), ("Content-Type", "application/json")];
        let answer = http::request(method, &url, &headers, body, TIMEOUT).with_context(|| format!("{method} {url}"))?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {url}: {} {}", answer.status, answer.body.trim());
        }
        serde_json::from_str(&answer.body).with_context(|| format!("{method} {url}: the answer is no JSON"))
    }
}

/// Asks an operations listener whether its service is ready; else what it waits for.
pub(crate) fn readiness(ops_url: &str) -> Result<(), String> {
    let answer = match get(&format!("{ops_url}/readyz")) {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err("not listening yet".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    if answer.status == 200 {
        return Ok(());
    }
    let report: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let components = report["components"].as_object().cloned().unwrap_or_default();
    let missing: Vec<String> = components
        .iter()
        .filter_map(|(name, state)| Some((name, state.as_str().filter(|state| *state != "ok")?)))
        .map(|(name, state)| format!("{name}: {state}"))
        .collect();
    Err(match missing.as_slice() {
        [] => format!("status {}", answer.status),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    })
}

/// The metrics of an operations listener.
pub(crate) fn metrics(ops_url: &str) -> Option<String> {
    let answer = get(&format!("{ops_url}/metrics")).ok()?;
    (answer.status == 200).then_some(answer.body)
}

fn get(url: &str) -> io::Result<Answer> {
    http::request("GET", url, &[], "", QUICK)
}
