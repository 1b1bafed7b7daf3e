//! `/v1/keys`: API keys are made, listed, rotated and revoked by an admin.
//!
//! A key stands in `registry` by its hash; the key itself is shown once, in the answer that makes it.

mod document;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use rand::{Rng, RngExt};
use tollbooth_chassis::auth::{Principal, ROOT_KEY_ID};
use tollbooth_chassis::http::RequestId;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::ids::KeyId;
use tollbooth_schemas::keys::{
    ApiKey, KeyDocument, KeyKind, KeyRevocation, KeyState, RANDOM_BYTES, Scope, registry_key, revocation_key,
};

use crate::app::{App, now_ms, parse_json};
use crate::produce::Topic;
use document::{KeyList, KeyView, NewKey, Rotation, life_ms};

/// `POST /v1/keys`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request_id: RequestId,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::Keys)?;
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let new: NewKey = parse_json(&headers, &body)?;
    new.check()?;
    ensure_covers(&admin, new.kind, &new.scopes)?;
    let key = generate(new.kind, new.test);
    let (prefix, last_four) = key.hint();
    let created_at = now_ms();
    let document = KeyDocument {
        key_id: new_key_id()?,
        kind: new.kind,
        hash: key.hash(),
        prefix,
        last_four,
        account_id: new.account_id,
        booth_id: new.booth_id,
        label: new.label,
        created_at,
        revoked_at: None,
        expires_at: new.expires_in.map(|life_s| created_at.saturating_add(life_ms(life_s))),
        scopes: new.scopes,
        replaced_by: None,
        replaces: None,
        first_key_id: None,
    };
    let action = action(&admin, &request_id, "create_key", &document);
    app.trail.around(action, publish(&app, &document), |()| Told::by_status(201)).await?;
    tracing::info!(key_id = %document.key_id, kind = document.kind.code(), actor = %admin.key_id, "key made");
    Ok(shown_once(document, &key))
}

/// `GET /v1/keys`
pub(crate) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response<Body>, Problem> {
    app.admin(&headers, Scope::Read)?;
    app.gate.ensure_current()?;
    let data = app.gate.keys().documents().into_iter().map(|document| KeyView::of(document, None)).collect();
    Ok(Json(KeyList { data, has_more: false, next_cursor: None }).into_response())
}

/// `POST /v1/keys/{key_id}/rotate`
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    Path(key_id): Path<String>,
    request_id: RequestId,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::Keys)?;
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let rotation: Rotation = parse_json(&headers, &body)?;
    let overlap_ms = rotation.overlap_ms()?;
    // One after the other: each is judged by what the one before it left.
    let _one_at_a_time = app.key_changes.lock().await;
    let old = found(&app, &key_id)?;
    let rotated_at = now_ms();
    ensure_can_rotate(&old, rotated_at)?;
    // Who may have a key's successor shown could take its place.
    ensure_covers(&admin, old.kind, &old.scopes)?;
    let key = generate(old.kind, old.is_test());
    let (_, last_four) = key.hint();
    let life_ms = old.expires_at.map(|expires_at| expires_at.saturating_sub(old.created_at));
    let new = KeyDocument {
        key_id: new_key_id()?,
        hash: key.hash(),
        last_four,
        created_at: rotated_at,
        expires_at: life_ms.map(|life_ms| rotated_at.saturating_add(life_ms)),
        replaces: Some(old.key_id.clone()),
        first_key_id: Some(old.line().clone()),
        ..old.clone()
    };
    let overlap_ends_at = rotated_at.saturating_add(overlap_ms);
    let replaced = KeyDocument {
        expires_at: Some(old.expires_at.map_or(overlap_ends_at, |expires_at| expires_at.min(overlap_ends_at))),
        replaced_by: Some(new.key_id.clone()),
        ..old
    };
    // The new one first: were only the second record there, nobody could go on.
    let both = async {
        publish(&app, &new).await?;
        publish(&app, &replaced).await
    };
    let action = action(&admin, &request_id, "rotate_key", &replaced);
    app.trail.around(action, both, |()| Told::by_status(201)).await?;
    tracing::info!(key_id, new_key_id = %new.key_id, actor = %admin.key_id, "key rotated");
    Ok(shown_once(new, &key))
}

/// `DELETE /v1/keys/{key_id}`
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Path(key_id): Path<String>,
    request_id: RequestId,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let admin = app.admin(&headers, Scope::Keys)?;
    let _one_at_a_time = app.key_changes.lock().await;
    let mut document = found(&app, &key_id)?;
    // Everybody may end their own key, and a booth's or a customer's that is in wrong hands. Not every admin's: whoever
    // holds a narrow key could lock the others out.
    let is_anothers = document.key_id != admin.key_id && document.kind == KeyKind::Admin;
    if is_anothers && !admin.covers(document.kind, &document.scopes) {
        let detail = "the admin key has scopes that yours has not: it is revoked with one that has them";
        return Err(Problem::forbidden(detail));
    }
    if document.revoked_at.is_none() {
        let spares = Some(app.gate.keys().successors(document.key_id.as_str()));
        let revocation = KeyRevocation { key_id: document.key_id.clone(), revoked_at: now_ms(), spares };
        document.revoked_at = Some(revocation.revoked_at);
        // Beside the document, where no rotation can write: see `KeyRevocation`. The document tells the releases of before.
        let both = async {
            publish_revocation(&app, &revocation).await?;
            publish(&app, &document).await
        };
        let action = action(&admin, &request_id, "revoke_key", &document);
        app.trail.around(action, both, |()| Told::by_status(204)).await?;
        tracing::info!(%key_id, actor = %admin.key_id, "key revoked");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A key that can be changed here.
fn found(app: &App, key_id: &str) -> Result<KeyDocument, Problem> {
    app.gate.ensure_current()?;
    if key_id == ROOT_KEY_ID {
        return Err(Problem::conflict("the first admin key comes from configuration and is changed there"));
    }
    app.gate.keys().document(key_id).ok_or_else(|| Problem::not_found("there is no key of this id"))
}

fn ensure_can_rotate(key: &KeyDocument, now_ms: i64) -> Result<(), Problem> {
    if let Some(replaced_by) = &key.replaced_by {
        let problem = Problem::conflict("the key was rotated already: rotate the one that took its place");
        return Err(problem.with_extension("replaced_by", replaced_by.as_str()));
    }
    match key.state(now_ms) {
        KeyState::Active => Ok(()),
        KeyState::Expired => Err(Problem::conflict("the key has expired: make another one")),
        KeyState::Revoked => Err(Problem::conflict("the key is revoked: make another one")),
    }
}

/// Nobody gives away, or takes, what they do not have.
fn ensure_covers(admin: &Principal, kind: KeyKind, scopes: &[Scope]) -> Result<(), Problem> {
    if admin.covers(kind, scopes) {
        return Ok(());
    }
    let detail = "the key would have scopes that yours has not: name those that you have";
    Err(Problem::forbidden(detail).with_error("/scopes", detail))
}

/// For the trail.
fn action(admin: &Principal, request_id: &RequestId, name: &str, document: &KeyDocument) -> Action {
    let action = Action::new(admin, request_id, name);
    action.account(document.account_id.as_ref()).resource(Some(document.key_id.as_str()))
}

/// Nobody in between keeps a key that is shown.
fn shown_once(document: KeyDocument, key: &ApiKey) -> Response<Body> {
    let answer = (StatusCode::CREATED, Json(KeyView::of(document, Some(key))));
    ([("cache-control", "no-store")], answer).into_response()
}

/// Writes the document and puts it into this process's own ring once the brokers have it; everybody else follows the
/// topic.
async fn publish(app: &App, document: &KeyDocument) -> Result<(), Problem> {
    let payload = serde_json::to_vec(document).map_err(Problem::internal)?;
    app.producer.send_one(Topic::Registry, registry_key(&document.key_id).as_bytes(), &payload).await?;
    app.gate.keys().insert(document.clone()).map_err(Problem::internal)
}

/// As [`publish`], of a revocation.
async fn publish_revocation(app: &App, revocation: &KeyRevocation) -> Result<(), Problem> {
    let payload = serde_json::to_vec(revocation).map_err(Problem::internal)?;
    app.producer.send_one(Topic::Registry, revocation_key(&revocation.key_id).as_bytes(), &payload).await?;
    app.gate.keys().revoke(revocation);
    Ok(())
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
