//! `/v1/accounts/{account_id}/payment-method`: what the provider knows an account as, and the card that is saved for it.
//!
//! A card's number never comes here. Its holder gives it to Stripe on a page of Stripe's own, and Stripe tells which
//! payment method it has become; or whoever runs this names customer and payment method that Stripe has already.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::RequestId;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::keys::{KeyKind, Scope};
use tollbooth_schemas::payers::PayerDocument;
use tollbooth_schemas::time::rfc3339;

use crate::app::{App, now_ms, parse_json};
use crate::commands::no_provider;
use crate::payments::stripe::{self, MethodError, Stripe};
use crate::produce::{ProduceError, RETRY_AFTER_S, Topic};

const ID_CHARS_MAX: usize = 100;

/// `PUT /v1/accounts/{account_id}/payment-method`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPayer {
    customer_id: String,
    payment_method_id: String,
}

#[derive(Debug, Serialize)]
struct PayerView<'a> {
    account_id: &'a AccountId,
    provider: &'a str,
    sandbox: bool,
    /// Whether real money moves.
    live: bool,
    customer_id: &'a str,
    payment_method_id: Option<&'a str>,
    set_at: String,
}

#[derive(Debug, Serialize)]
struct SetUpView<'a> {
    account_id: &'a AccountId,
    provider: &'a str,
    /// A page of the provider's, good for a day, on which a card is saved.
    url: String,
}

/// Who may, with an admin where nobody else is meant; and Stripe.
fn enter<'a>(
    app: &'a App,
    headers: &HeaderMap,
    account: &str,
    own: Option<Scope>,
) -> Result<(Arc<Principal>, AccountId, &'a Arc<Stripe>), Problem> {
    let principal = match own {
        None => app.admin(headers, Scope::Money)?,
        Some(scope) => {
            let principal = app.authenticate(headers)?;
            let is_own = principal.kind == KeyKind::Account && principal.may_access(account);
            if !principal.is_admin() && !is_own {
                return Err(Problem::forbidden("a key of the account (tb_sk_...) or of an admin is needed"));
            }
            principal.require(scope)?;
            principal
        }
    };
    app.gate.ensure_current()?;
    let account_id = account.parse().map_err(|_| Problem::not_found("an account id begins with acc_"))?;
    let stripe = app.stripe.as_ref().ok_or_else(|| {
        no_provider().with_detail("nothing is saved without one; the sandbox has one card for every account")
    })?;
    Ok((principal, account_id, stripe))
}

fn action(principal: &Principal, request_id: &RequestId, name: &str, account_id: &AccountId) -> Action {
    Action::new(principal, request_id, name).account(Some(account_id))
}

/// Makes a document the account's newest.
pub(crate) async fn publish(app: &App, document: PayerDocument) -> Result<(), ProduceError> {
    // A document of strings and a number: it cannot fail to be written.
    let payload = serde_json::to_vec(&document).unwrap_or_default();
    app.producer.send_one(Topic::Registry, document.registry_key().as_bytes(), &payload).await?;
    app.payers.insert(document);
    Ok(())
}

fn of_provider(error: MethodError) -> Problem {
    match error {
        MethodError::Unknown => Problem::invalid(error.to_string()).with_error("/payment_method_id", error.to_string()),
        MethodError::NoAnswer | MethodError::Unavailable => {
            Problem::unavailable(RETRY_AFTER_S).with_detail(error.to_string())
        }
    }
}

fn is_id(prefix: &str, text: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    (1..=ID_CHARS_MAX).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn shown(document: &PayerDocument, stripe: &Stripe) -> Response<Body> {
    Json(PayerView {
        account_id: &document.account_id,
        provider: &document.provider,
        sandbox: false,
        live: stripe.is_live(),
        customer_id: &document.customer_id,
        payment_method_id: document.payment_method_id.as_deref(),
        set_at: rfc3339(document.set_at_ms),
    })
    .into_response()
}

/// `PUT /v1/accounts/{account_id}/payment-method`
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request_id: RequestId,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id, stripe) = enter(&app, request.headers(), &account, None)?;
    let (headers, body, _admitted) = app.admit(&principal, request).await?;
    let SetPayer { customer_id, payment_method_id } = parse_json(&headers, &body)?;
    for (prefix, text, pointer) in
        [("cus_", &customer_id, "/customer_id"), ("pm_", &payment_method_id, "/payment_method_id")]
    {
        if !is_id(prefix, text) {
            let detail = format!("must be an id like {prefix}...");
            return Err(Problem::invalid(format!("{pointer}: {detail}")).with_error(pointer, detail));
        }
    }
    // Written down wrong, it would be found out by the first payment that fails.
    stripe.check_method(&customer_id, &payment_method_id).await.map_err(of_provider)?;
    let document = PayerDocument {
        account_id,
        provider: stripe::NAME.to_owned(),
        customer_id,
        payment_method_id: Some(payment_method_id),
        set_at_ms: now_ms(),
    };
    let action = action(&principal, &request_id, "set_payment_method", &document.account_id);
    let publishing = async { Ok::<(), Problem>(publish(&app, document.clone()).await?) };
    app.trail.around(action, publishing, |()| Told::by_status(200)).await?;
    Ok(shown(&document, stripe))
}

/// `GET /v1/accounts/{account_id}/payment-method`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (_, account_id, stripe) = enter(&app, &headers, &account, Some(Scope::Read))?;
    let document = app.payers.get(account_id.as_str()).ok_or_else(|| Problem::not_found("nothing is saved"))?;
    Ok(shown(&document, stripe))
}

/// `DELETE /v1/accounts/{account_id}/payment-method`: forgets it here; at Stripe it stays.
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request_id: RequestId,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (principal, account_id, _) = enter(&app, &headers, &account, Some(Scope::Purchases))?;
    let action = action(&principal, &request_id, "forget_payment_method", &account_id);
    let forgetting = async {
        let known = app.payers.get(account_id.as_str()).ok_or_else(|| Problem::not_found("nothing is saved"))?;
        // The customer is kept: the next card that is saved is theirs, too.
        publish(&app, PayerDocument { payment_method_id: None, set_at_ms: now_ms(), ..(*known).clone() }).await?;
        Ok::<(), Problem>(())
    };
    app.trail.around(action, forgetting, |()| Told::by_status(204)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/accounts/{account_id}/payment-method/setup`
pub(crate) async fn set_up(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request_id: RequestId,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (principal, account_id, stripe) = enter(&app, &headers, &account, Some(Scope::Purchases))?;
    let action = action(&principal, &request_id, "set_up_payment_method", &account_id);
    let setting_up = async {
        let customer_id = match app.payers.get(account_id.as_str()) {
            Some(known) => known.customer_id.clone(),
            None => stripe.create_customer(&account_id).await.map_err(of_provider)?,
        };
        stripe.set_up_page(&account_id, &customer_id).await.map_err(of_provider)
    };
    let url = app.trail.around(action, setting_up, |_| Told::by_status(200)).await?;
    let view = SetUpView { account_id: &account_id, provider: stripe::NAME, url };
    Ok(([("cache-control", "no-store")], Json(view)).into_response())
}
