//! `/v1/keys`: API keys are made, listed and revoked by an admin.
//!
//! A key stands in `registry` by its hash; the key itself is shown once, in the answer that makes it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::ROOT_KEY_ID;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ids::{AccountId, BoothId, KeyId};
use tollbooth_schemas::keys::{ApiKey, KeyDocument, KeyKind, RANDOM_BYTES, registry_key};
use tollbooth_schemas::time::rfc3339;

use crate::app::{App, now_ms, parse_json};
use crate::produce::Topic;

const LABEL_CHARS_MAX: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    kind: KeyKind,
    #[serde(default)]
    account_id: Option<AccountId>,
    #[serde(default)]
    booth_id: Option<BoothId>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    test: bool,
}

/// A key as it is shown: never its hash.
#[derive(Debug, Serialize)]
struct KeyView {
    key_id: KeyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    kind: KeyKind,
    prefix: String,
    last_four: String,
    account_id: Option<AccountId>,
    booth_id: Option<BoothId>,
    label: Option<String>,
    created_at: String,
    revoked_at: Option<String>,
}

impl KeyView {
    fn of(document: KeyDocument, key: Option<&ApiKey>) -> Self {
        Self {
            key_id: document.key_id,
            key: key.map(|key| key.reveal().to_owned()),
            kind: document.kind,
            prefix: document.prefix,
            last_four: document.last_four,
            account_id: document.account_id,
            booth_id: document.booth_id,
            label: document.label,
            created_at: rfc3339(document.created_at),
            revoked_at: document.revoked_at.map(rfc3339),
        }
    }
}

#[derive(Debug, Serialize)]
struct KeyList {
    data: Vec<KeyView>,
    has_more: bool,
    next_cursor: Option<String>,
}

/// `POST /v1/keys`
pub(crate) async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, Problem> {
    let admin = app.admin(request.headers())?;
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let new: NewKey = parse_json(&headers, &body)?;
    check(&new)?;
    let key = generate(new.kind, new.test);
    let (prefix, last_four) = key.hint();
    let document = KeyDocument {
        key_id: new_key_id()?,
        kind: new.kind,
        hash: key.hash(),
        prefix,
        last_four,
        account_id: new.account_id,
        booth_id: new.booth_id,
        label: new.label,
        created_at: now_ms(),
        revoked_at: None,
    };
    publish(&app, &document).await?;
    tracing::info!(key_id = %document.key_id, kind = document.kind.code(), "key made");
    let answer = (StatusCode::CREATED, Json(KeyView::of(document, Some(&key))));
    Ok(([("cache-control", "no-store")], answer).into_response())
}

/// `GET /v1/keys`
pub(crate) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response<Body>, Problem> {
    app.admin(&headers)?;
    app.gate.ensure_current()?;
    let data = app.gate.keys().documents().into_iter().map(|document| KeyView::of(document, None)).collect();
    Ok(Json(KeyList { data, has_more: false, next_cursor: None }).into_response())
}

/// `DELETE /v1/keys/{key_id}`
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Path(key_id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    app.admin(&headers)?;
    app.gate.ensure_current()?;
    if key_id == ROOT_KEY_ID {
        return Err(Problem::conflict("the first admin key comes from configuration and is changed there"));
    }
    let Some(mut document) = app.gate.keys().document(&key_id) else {
        return Err(Problem::not_found("there is no key of this id"));
    };
    if document.revoked_at.is_none() {
        document.revoked_at = Some(now_ms());
        publish(&app, &document).await?;
        tracing::info!(%key_id, "key revoked");
    }
    Ok(StatusCode::NO_CONTENT)
}

fn check(new: &NewKey) -> Result<(), Problem> {
    let wrong =
        |pointer: &str, detail: &str| Err(Problem::invalid(format!("{pointer}: {detail}")).with_error(pointer, detail));
    match (new.kind, &new.account_id) {
        (KeyKind::Booth | KeyKind::Account, None) => return wrong("/account_id", "is missing: name the account"),
        (KeyKind::Admin, Some(_)) => {
            return wrong("/account_id", "must be absent: an admin key is bound to no account");
        }
        _ => {}
    }
    if new.booth_id.is_some() && new.kind != KeyKind::Booth {
        return wrong("/booth_id", "is for booth keys only");
    }
    let label = new.label.as_deref().unwrap_or_default();
    if label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        return wrong("/label", "must be at most 200 printable characters");
    }
    Ok(())
}

/// Writes the document and puts it into this process's own ring once the brokers have it; everybody else follows the
/// topic.
async fn publish(app: &App, document: &KeyDocument) -> Result<(), Problem> {
    let payload = serde_json::to_vec(document).map_err(Problem::internal)?;
    app.producer.send_one(Topic::Registry, registry_key(&document.key_id).as_bytes(), &payload).await?;
    app.gate.keys().insert(document.clone()).map_err(Problem::internal)
}

fn generate(kind: KeyKind, test: bool) -> ApiKey {
    loop {
        let mut chance = [0_u8; RANDOM_BYTES];
        // The thread's generator is a ChaCha seeded by the system: fit for secrets.
        rand::rng().fill_bytes(&mut chance);
        if let Some(key) = ApiKey::generate(kind, test, &chance) {
            return key;
        }
    }
}

fn new_key_id() -> Result<KeyId, Problem> {
    let chance: u128 = rand::rng().random();
    format!("key_{:020x}", chance >> 48).parse().map_err(Problem::internal)
}
