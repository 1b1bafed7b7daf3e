//! What every route shares, and the routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::routing::{MethodRouter, delete, get, post, put};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tollbooth_chassis::auth::{Gate, Principal};
use tollbooth_chassis::dead_letters::DeadLetters;
use tollbooth_chassis::http::{BodyLimit, read_body_into};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::Trail;
use tollbooth_schemas::json::Object;
use tollbooth_schemas::keys::Scope;

use crate::admission::{Admission, Admitted};
use crate::charges::Charges;
use crate::commands::{CommandDesk, Repricings};
use crate::config::IngestConfig;
use crate::metrics::IngestMetrics;
use crate::payments::stripe::Stripe;
use crate::payments::{Payers, PaymentProvider, Sandbox};
use crate::price_books::PriceBooks;
use crate::produce::EdgeProducer;
use crate::webhooks::Webhooks;
use crate::{commands, events, keys, payers, price_books, stripe_webhook, webhooks};

/// What every route shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: IngestConfig,
    pub(crate) gate: Gate,
    pub(crate) producer: EdgeProducer,
    pub(crate) admission: Admission,
    pub(crate) metrics: IngestMetrics,
    pub(crate) commands: CommandDesk,
    /// One key is changed after the other, so that each change is judged by what the one before it left.
    pub(crate) key_changes: tokio::sync::Mutex<()>,
    /// Who changed what.
    pub(crate) trail: Trail,
    pub(crate) price_books: PriceBooks,
    pub(crate) charges: Charges,
    pub(crate) webhooks: Webhooks,
    pub(crate) repricings: Repricings,
    pub(crate) dead_letters: DeadLetters,
    /// Who takes the money of purchases; none: there are none.
    pub(crate) payments: Option<Arc<dyn PaymentProvider>>,
    /// The same, where it is the sandbox.
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    /// The same, where it is Stripe.
    pub(crate) stripe: Option<Arc<Stripe>>,
    /// What accounts are known as there.
    pub(crate) payers: Payers,
    /// What Stripe tells by itself and is being seen to: nobody has shown a key for it.
    pub(crate) payment_webhooks: tokio::sync::Semaphore,
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl App {
    /// Reads a request's body while there is room for it.
    pub(crate) async fn admit(
        &self,
        principal: &Principal,
        request: Request,
    ) -> Result<(HeaderMap, Bytes, Admitted), Problem> {
        let (parts, body) = request.into_parts();
        let bytes_max = self.config.http.body_bytes_max;
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or(BodyLimit { bytes_max, deadline: None });
        let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        // Of a chunked body nothing is known, and how large a packed one unfolds is not: the rest is taken as it comes.
        let reserved = declared.map_or(0, |bytes: usize| bytes.min(bytes_max));
        let admitted = self.admission.admit(&principal.key_id, reserved)?;
        let (body, mut admitted) = read_body_into(&parts.headers, body, limit, admitted).await?;
        admitted.shrink(body.len());
        Ok((parts.headers, body, admitted))
    }

    /// Who asks.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
        self.gate.authenticate(headers)
    }

    /// Who asks, if it is an admin whose key is not narrowed to something else.
    pub(crate) fn admin(&self, headers: &HeaderMap, scope: Scope) -> Result<Arc<Principal>, Problem> {
        let principal = self.authenticate(headers)?;
        if !principal.is_admin() {
            return Err(Problem::forbidden("an admin key (tb_ak_...) is needed"));
        }
        principal.require(scope)?;
        Ok(principal)
    }
}

/// Reads a JSON body, which must be an object: 400 for what is not JSON, 422 for what is not the document that is asked
/// for.
pub(crate) fn parse_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::unsupported_media_type("expected Content-Type: application/json"));
    }
    let parsed = serde_json::from_slice(body).map(|Object(document)| document);
    parsed.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(error.to_string()),
        _ => Problem::malformed(error.to_string()),
    })
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let http = app.metrics.http.clone();
    let routes = [
        ("/v1/events", post(events::post_events)),
        ("/v1/accounts", post(commands::open_account)),
        ("/v1/accounts/{account_id}/adjustments", post(commands::post_adjustment)),
        ("/v1/accounts/{account_id}/alerts", put(commands::set_alerts)),
        ("/v1/accounts/{account_id}/bonuses", post(commands::grant_bonus)),
        ("/v1/accounts/{account_id}/booths/{booth_id}", put(commands::set_booth)),
        ("/v1/accounts/{account_id}/credit-limit", put(commands::set_credit_limit)),
        ("/v1/accounts/{account_id}/events/{event_id}", put(commands::define_event)),
        ("/v1/accounts/{account_id}/holds", post(commands::place_hold)),
        ("/v1/accounts/{account_id}/holds/{hold_id}/void", post(commands::void_hold)),
        ("/v1/accounts/{account_id}/payment-method", put(payers::set).get(payers::show).delete(payers::forget)),
        ("/v1/accounts/{account_id}/payment-method/setup", post(payers::set_up)),
        ("/v1/accounts/{account_id}/plan", post(commands::change_plan)),
        ("/v1/accounts/{account_id}/plan-fees", post(commands::post_plan_fee)),
        ("/v1/accounts/{account_id}/profile", put(commands::set_profile)),
        ("/v1/accounts/{account_id}/purchases", post(commands::buy)),
        ("/v1/accounts/{account_id}/purchases/{purchase_id}/cancel", post(commands::cancel_purchase)),
        ("/v1/accounts/{account_id}/purchases/{purchase_id}/confirm", post(commands::confirm_purchase)),
        ("/v1/accounts/{account_id}/recharge", put(commands::set_recharge)),
        ("/v1/accounts/{account_id}/refunds", post(commands::refund)),
        ("/v1/accounts/{account_id}/webhooks", post(webhooks::create).get(webhooks::list)),
        ("/v1/accounts/{account_id}/webhooks/{webhook_id}", delete(webhooks::delete)),
        ("/v1/accounts/{account_id}/webhooks/{webhook_id}/confirm", post(webhooks::confirm)),
        ("/v1/accounts/{account_id}/webhooks/{webhook_id}/dead", get(webhooks::dead)),
        ("/v1/accounts/{account_id}/webhooks/{webhook_id}/ping", post(webhooks::ping)),
        ("/v1/accounts/{account_id}/webhooks/{webhook_id}/replay", post(webhooks::replay)),
        ("/v1/accounts/{account_id}/webhooks/{webhook_id}/rotate", post(webhooks::rotate)),
        ("/v1/dead-letters/dismiss", post(commands::dismiss_letters)),
        ("/v1/dead-letters/redrive", post(commands::redrive_letters)),
        ("/v1/keys", post(keys::create).get(keys::list)),
        ("/v1/keys/{key_id}", delete(keys::revoke)),
        ("/v1/keys/{key_id}/rotate", post(keys::rotate)),
        ("/v1/payments/stripe", post(stripe_webhook::receive)),
        ("/v1/price-books/{version}", put(price_books::publish)),
        ("/v1/repricings", post(commands::preview_repricing).get(commands::list_repricings)),
        ("/v1/repricings/{repricing_id}", get(commands::show_repricing)),
        ("/v1/repricings/{repricing_id}/apply", post(commands::apply_repricing)),
        ("/v1/repricings/{repricing_id}/undo", post(commands::undo_repricing)),
    ];
    let add = |router: Router<Arc<App>>, (path, methods): (&'static str, MethodRouter<Arc<App>>)| {
        router.route(path, methods.layer(http.route(path)))
    };
    routes.into_iter().fold(Router::new(), add).with_state(app)
}
