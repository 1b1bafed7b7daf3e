//! `/v1/accounts/{account_id}/webhooks`: endpoints are made, listed, given a new secret, tried and deleted; what is dead
//! is listed and replayed.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::RequestId;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::audit::AuditOutcome;
use tollbooth_schemas::keys::{KeyKind, Scope};
use tollbooth_schemas::time::{DAY_MS, rfc3339};
use tollbooth_schemas::webhooks::{
    CONFIRM, Delivery, DeliveryState, ENDPOINTS_MAX, EVENT_TYPES, PING, WAITING_MAX, WebhookDocument,
};

use super::{Endpoints, Secrets};
use crate::app::{App, now_ms, parse_json};
use crate::produce::{RETRY_AFTER_S, Topic};

/// How long requests are signed with the secret before as well.
const OVERLAP_MS: i64 = DAY_MS;
/// Longest mail address, as RFC 5321 has it.
const MAIL_CHARS_MAX: usize = 254;
/// Dead deliveries that are shown.
const SHOWN_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: String,
    /// Absent or empty: all.
    #[serde(default)]
    event_types: Vec<String>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Replay {
    /// Absent: all that are dead.
    message_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    code: String,
}

/// An endpoint as it is shown; its secret only where it is new.
#[derive(Debug, Serialize)]
struct WebhookView {
    webhook_id: String,
    url: String,
    event_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Until when requests are signed with the secret before as well.
    previous_secret_until: Option<String>,
    created_at: String,
    /// Whether it is told of anything: a mail address has to say that it wants it.
    confirmed: bool,
    waiting: usize,
    dead: usize,
}

#[derive(Debug, Serialize)]
struct DeadView {
    message_id: String,
    event_type: String,
    since: String,
    attempts: u32,
    last_error: Option<String>,
    body: String,
}

impl From<&Delivery> for DeadView {
    fn from(delivery: &Delivery) -> Self {
        Self {
            message_id: delivery.message_id.clone(),
            event_type: delivery.event_type.clone(),
            since: rfc3339(delivery.since_ms),
            attempts: delivery.attempts,
            last_error: delivery.last_error.clone(),
            body: delivery.body.clone(),
        }
    }
}

fn view(app: &App, document: &WebhookDocument, secret: Option<String>) -> WebhookView {
    let count = |state| app.webhooks.deliveries.count(&document.webhook_id, state);
    WebhookView {
        webhook_id: document.webhook_id.clone(),
        url: document.url.clone(),
        event_types: document.event_types.clone(),
        secret,
        previous_secret_until: document.previous_until_ms.filter(|until_ms| *until_ms > now_ms()).map(rfc3339),
        created_at: rfc3339(document.created_at_ms),
        confirmed: document.is_told(),
        waiting: count(DeliveryState::Waiting),
        dead: count(DeliveryState::Dead),
    }
}

/// Who holds a key of the account, or an admin; and the account. A narrowed key needs that scope.
fn enter(app: &App, headers: &HeaderMap, account: &str, scope: Scope) -> Result<(Arc<Principal>, AccountId), Problem> {
    let principal = app.authenticate(headers)?;
    let is_own = principal.kind == KeyKind::Account && principal.may_access(account);
    if !principal.is_admin() && !is_own {
        return Err(Problem::forbidden("a key of the account (tb_sk_...) or of an admin is needed"));
    }
    principal.require(scope)?;
    app.gate.ensure_current()?;
    let account_id = account.parse().map_err(|_| Problem::not_found("an account id begins with acc_"))?;
    Ok((principal, account_id))
}

fn secrets(app: &App) -> Result<&Secrets, Problem> {
    app.webhooks.secrets.as_ref().ok_or_else(|| {
        let title = "There are no webhooks here";
        Problem::new("webhooks_off", StatusCode::CONFLICT, title)
            .with_detail("webhooks.secret is not set: whoever runs this must set it for ingest and effects alike")
    })
}

fn endpoint(endpoints: &Endpoints, account_id: &AccountId, webhook_id: &str) -> Result<Arc<WebhookDocument>, Problem> {
    let document = endpoints.get(webhook_id).filter(|document| document.account_id == *account_id);
    document.ok_or_else(|| Problem::not_found("the account has no webhook of this id"))
}

fn wrong(pointer: &str, detail: &str) -> Problem {
    Problem::invalid(format!("{pointer}: {detail}")).with_error(pointer, detail)
}

fn check(app: &App, new: &NewWebhook) -> Result<(), Problem> {
    if let Some(address) = new.url.strip_prefix("mailto:") {
        if !app.webhooks.has_mail {
            return Err(wrong("/url", "is a mail address, and mail is not set up here"));
        }
        let is_address = address.len() <= MAIL_CHARS_MAX && address.parse::<lettre::Address>().is_ok();
        if !is_address {
            return Err(wrong("/url", "must be mailto: and one mail address"));
        }
    } else if let Err(detail) = app.webhooks.reach.check(&new.url) {
        return Err(wrong("/url", detail));
    }
    let is_known = |name: &String| name == "alert.*" || EVENT_TYPES.contains(&name.as_str());
    if new.event_types.len() > EVENT_TYPES.len() || !new.event_types.iter().all(is_known) {
        return Err(wrong("/event_types", &format!("must be of {}, alert.*", EVENT_TYPES.join(", "))));
    }
    Ok(())
}

/// Whether the account may have one more.
fn ensure_room(app: &App, account_id: &AccountId, new: &NewWebhook) -> Result<(), Problem> {
    let too_many = |detail: String| {
        let title = "The account has too many webhooks";
        Problem::new("too_many_webhooks", StatusCode::CONFLICT, title).with_detail(detail)
    };
    let documents = app.webhooks.endpoints.of(account_id.as_str());
    if documents.len() >= ENDPOINTS_MAX {
        return Err(too_many(format!("an account may have {ENDPOINTS_MAX}: delete one first")));
    }
    if !new.url.starts_with("mailto:") {
        return Ok(());
    }
    let mail_addresses_max = app.webhooks.mail_addresses_max;
    if documents.iter().filter(|document| document.mail_address().is_some()).count() >= mail_addresses_max {
        return Err(too_many(format!("an account may have {mail_addresses_max} mail addresses: delete one first")));
    }
    app.webhooks.pace.take(account_id, Instant::now())
}

async fn publish(app: &App, document: WebhookDocument) -> Result<(), Problem> {
    let payload = serde_json::to_vec(&document).map_err(Problem::internal)?;
    app.producer.send_one(Topic::Registry, document.registry_key().as_bytes(), &payload).await?;
    app.webhooks.endpoints.insert(document);
    Ok(())
}

/// For the trail. Where to is left out: an address may hold a secret.
fn action(principal: &Principal, request_id: &RequestId, name: &str, document: &WebhookDocument) -> Action {
    Action::new(principal, request_id, name).account(Some(&document.account_id)).resource(Some(&document.webhook_id))
}

async fn send(app: &App, delivery: &Delivery) -> Result<(), Problem> {
    let payload = serde_json::to_vec(delivery).map_err(Problem::internal)?;
    app.producer.send_one(Topic::Deliveries, delivery.record_key().as_bytes(), &payload).await?;
    Ok(())
}

fn new_id(prefix: &str) -> String {
    let chance: u128 = rand::rng().random();
    format!("{prefix}{:020x}", chance >> 48)
}

/// A secret that is shown is kept by nobody in between.
fn shown(status: StatusCode, view: WebhookView) -> Response<Body> {
    ([("cache-control", "no-store")], (status, Json(view))).into_response()
}

/// `POST /v1/accounts/{account_id}/webhooks`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request_id: RequestId,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id) = enter(&app, request.headers(), &account, Scope::Settings)?;
    let secrets = secrets(&app)?;
    let (headers, body, _admitted) = app.admit(&principal, request).await?;
    let new: NewWebhook = parse_json(&headers, &body)?;
    check(&app, &new)?;
    let _one_at_a_time = app.webhooks.creating.lock().await;
    ensure_room(&app, &account_id, &new)?;
    let document = WebhookDocument {
        webhook_id: new_id("whk_"),
        account_id,
        url: new.url,
        event_types: new.event_types,
        generation: 1,
        previous_until_ms: None,
        created_at_ms: now_ms(),
        confirmed: false,
    };
    let action = action(&principal, &request_id, "create_webhook", &document);
    let made = async {
        publish(&app, document.clone()).await?;
        if document.is_told() { Ok(()) } else { send(&app, &own_message(&document, CONFIRM)).await }
    };
    app.trail.around(action, made, |()| Told::by_status(201)).await?;
    tracing::info!(webhook_id = document.webhook_id, account, actor = %principal.key_id, "webhook made");
    let secret = document.mail_address().is_none().then(|| secrets.shown(&document));
    Ok(shown(StatusCode::CREATED, view(&app, &document, secret)))
}

/// `GET /v1/accounts/{account_id}/webhooks`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (_, account_id) = enter(&app, &headers, &account, Scope::Read)?;
    let documents = app.webhooks.endpoints.of(account_id.as_str());
    let data: Vec<WebhookView> = documents.iter().map(|document| view(&app, document, None)).collect();
    Ok(Json(json!({"data": data, "has_more": false, "next_cursor": null})).into_response())
}

/// `DELETE /v1/accounts/{account_id}/webhooks/{webhook_id}`
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path((account, webhook_id)): Path<(String, String)>,
    request_id: RequestId,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (principal, account_id) = enter(&app, &headers, &account, Scope::Settings)?;
    // Whoever confirms or rotates it meanwhile would write it once more.
    let _one_at_a_time = app.webhooks.creating.lock().await;
    let document = endpoint(&app.webhooks.endpoints, &account_id, &webhook_id)?;
    let forget = async {
        app.producer.forget(Topic::Registry, document.registry_key().as_bytes()).await?;
        Ok::<(), Problem>(())
    };
    let action = action(&principal, &request_id, "delete_webhook", &document);
    app.trail.around(action, forget, |()| Told::by_status(204)).await?;
    app.webhooks.endpoints.remove(&webhook_id);
    tracing::info!(webhook_id, account, actor = %principal.key_id, "webhook deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/accounts/{account_id}/webhooks/{webhook_id}/rotate`
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    Path((account, webhook_id)): Path<(String, String)>,
    request_id: RequestId,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id) = enter(&app, &headers, &account, Scope::Settings)?;
    let secrets = secrets(&app)?;
    let _one_at_a_time = app.webhooks.creating.lock().await;
    let mut document = (*endpoint(&app.webhooks.endpoints, &account_id, &webhook_id)?).clone();
    document.generation = document.generation.saturating_add(1);
    document.previous_until_ms = Some(now_ms().saturating_add(OVERLAP_MS));
    let action = action(&principal, &request_id, "rotate_webhook", &document);
    app.trail.around(action, publish(&app, document.clone()), |()| Told::by_status(200)).await?;
    tracing::info!(webhook_id, account, actor = %principal.key_id, "webhook's secret rotated");
    Ok(shown(StatusCode::OK, view(&app, &document, Some(secrets.shown(&document)))))
}

/// `POST /v1/accounts/{account_id}/webhooks/{webhook_id}/ping`
pub(crate) async fn ping(
    State(app): State<Arc<App>>,
    Path((account, webhook_id)): Path<(String, String)>,
    request_id: RequestId,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id) = enter(&app, &headers, &account, Scope::Settings)?;
    secrets(&app)?;
    let document = endpoint(&app.webhooks.endpoints, &account_id, &webhook_id)?;
    // A mail address that has not said that it wants anything is asked once more.
    let event_type = if document.is_told() { PING } else { CONFIRM };
    // Everybody may ask for one at a time: what waits for an answer already tells whether it is reached.
    let waiting = app.webhooks.deliveries.in_state(&webhook_id, DeliveryState::Waiting);
    if waiting.iter().any(|delivery| delivery.event_type == event_type) {
        return Err(Problem::conflict("a ping to this webhook is under way"));
    }
    app.webhooks.pace.take(&account_id, Instant::now())?;
    let delivery = own_message(&document, event_type);
    let action = action(&principal, &request_id, "ping_webhook", &document);
    app.trail
        .around(action, send(&app, &delivery), |()| Told { outcome: AuditOutcome::Succeeded, ..Told::by_status(202) })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"message_id": delivery.message_id}))).into_response())
}

/// A message that no entry of the ledger is behind.
fn own_message(document: &WebhookDocument, event_type: &str) -> Delivery {
    let now_ms = now_ms();
    let (account_id, webhook_id) = (&document.account_id, &document.webhook_id);
    let data = json!({"account_id": account_id, "webhook_id": webhook_id});
    Delivery {
        webhook_id: webhook_id.clone(),
        account_id: account_id.clone(),
        message_id: new_id("msg_"),
        event_type: event_type.to_owned(),
        body: json!({"type": event_type, "timestamp": rfc3339(now_ms), "data": data}).to_string(),
        state: DeliveryState::Waiting,
        since_ms: now_ms,
        attempts: 0,
        next_at_ms: now_ms,
        last_error: None,
    }
}

/// `POST /v1/accounts/{account_id}/webhooks/{webhook_id}/confirm`: whoever reads a mail address gave its code away, so they
/// want what is sent to it.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Path((account, webhook_id)): Path<(String, String)>,
    request_id: RequestId,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id) = enter(&app, request.headers(), &account, Scope::Settings)?;
    let secrets = secrets(&app)?;
    let (headers, body, _admitted) = app.admit(&principal, request).await?;
    let Confirmation { code } = parse_json(&headers, &body)?;
    let _one_at_a_time = app.webhooks.creating.lock().await;
    let mut document = (*endpoint(&app.webhooks.endpoints, &account_id, &webhook_id)?).clone();
    if !document.is_told() {
        // Guesses have a bound as messages have.
        app.webhooks.pace.take(&account_id, Instant::now())?;
        if !secrets.is_code(&document, &code) {
            return Err(wrong("/code", "is not the one that was mailed to the address"));
        }
        document.confirmed = true;
        let action = action(&principal, &request_id, "confirm_webhook", &document);
        app.trail.around(action, publish(&app, document.clone()), |()| Told::by_status(200)).await?;
        tracing::info!(webhook_id, account, actor = %principal.key_id, "mail address confirmed");
    }
    Ok(Json(view(&app, &document, None)).into_response())
}

/// `GET /v1/accounts/{account_id}/webhooks/{webhook_id}/dead`
pub(crate) async fn dead(
    State(app): State<Arc<App>>,
    Path((account, webhook_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (_, account_id) = enter(&app, &headers, &account, Scope::Read)?;
    endpoint(&app.webhooks.endpoints, &account_id, &webhook_id)?;
    ensure_read(&app)?;
    let mut dead = app.webhooks.deliveries.in_state(&webhook_id, DeliveryState::Dead);
    let has_more = dead.len() > SHOWN_MAX;
    dead.truncate(SHOWN_MAX);
    let data: Vec<DeadView> = dead.iter().map(|delivery| DeadView::from(&**delivery)).collect();
    Ok(Json(json!({"data": data, "has_more": has_more, "next_cursor": null})).into_response())
}

/// `POST /v1/accounts/{account_id}/webhooks/{webhook_id}/replay`
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Path((account, webhook_id)): Path<(String, String)>,
    request_id: RequestId,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id) = enter(&app, request.headers(), &account, Scope::Settings)?;
    secrets(&app)?;
    let (headers, body, _admitted) = app.admit(&principal, request).await?;
    let asked: Replay = parse_json(&headers, &body)?;
    let document = endpoint(&app.webhooks.endpoints, &account_id, &webhook_id)?;
    ensure_read(&app)?;
    let dead = app.webhooks.deliveries.in_state(&webhook_id, DeliveryState::Dead);
    let is_meant = |delivery: &Arc<Delivery>| asked.message_id.as_ref().is_none_or(|id| *id == delivery.message_id);
    let mut meant: Vec<Arc<Delivery>> = dead.into_iter().filter(is_meant).collect();
    if asked.message_id.is_some() && meant.is_empty() {
        return Err(Problem::not_found("nothing of this id is dead"));
    }
    let all = meant.len();
    // The oldest first: as many as an endpoint may have waiting, and as the hour has left.
    let waiting = app.webhooks.deliveries.count(&webhook_id, DeliveryState::Waiting);
    let fitting = all.min(WAITING_MAX.saturating_sub(waiting));
    if fitting == 0 && all > 0 {
        return Err(Problem::conflict(format!("{WAITING_MAX} deliveries to this webhook wait already")));
    }
    meant.truncate(app.webhooks.replays.take_some(&account_id, fitting, Instant::now())?);
    let replayed = async {
        for delivery in &meant {
            let now_ms = now_ms();
            let state = DeliveryState::Waiting;
            let again = Delivery { state, since_ms: now_ms, attempts: 0, next_at_ms: now_ms, ..(**delivery).clone() };
            send(&app, &again).await?;
        }
        Ok::<(), Problem>(())
    };
    let action = action(&principal, &request_id, "replay_webhook", &document);
    app.trail.around(action, replayed, |()| Told { outcome: AuditOutcome::Succeeded, ..Told::by_status(202) }).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"replayed": meant.len(), "left": all - meant.len()}))).into_response())
}

/// Judged by a part of what is dead, the rest would look delivered.
fn ensure_read(app: &App) -> Result<(), Problem> {
    let table = &app.webhooks.table;
    if table.caught_up() && table.failure().is_none() {
        return Ok(());
    }
    Err(Problem::unavailable(RETRY_AFTER_S).with_detail("what is on its way is being read"))
}
