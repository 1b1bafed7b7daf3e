//! What every route shares, and the routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::routing::{delete, post, put};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tollbooth_chassis::auth::{AuthError, KeyRing, Principal, ROOT_KEY_ID};
use tollbooth_chassis::http::{BodyLimit, read_body};
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::problem::Problem;

use crate::admission::{Admission, Admitted};
use crate::commands::CommandDesk;
use crate::config::IngestConfig;
use crate::metrics::IngestMetrics;
use crate::price_books::PriceBooks;
use crate::produce::{EdgeProducer, RETRY_AFTER_S};
use crate::{commands, events, keys, price_books};

/// What every route shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: IngestConfig,
    pub(crate) keys: KeyRing,
    /// Feeds `keys`.
    pub(crate) key_table: TopicTable,
    pub(crate) producer: EdgeProducer,
    pub(crate) admission: Admission,
    pub(crate) metrics: IngestMetrics,
    pub(crate) commands: CommandDesk,
    pub(crate) price_books: PriceBooks,
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl App {
    /// Reads a request's body once there is room for it.
    pub(crate) async fn admit(&self, request: Request) -> Result<(HeaderMap, Bytes, Admitted), Problem> {
        let (parts, body) = request.into_parts();
        let bytes_max = self.config.http.body_bytes_max;
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or(BodyLimit { bytes_max, deadline: None });
        let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let reserved = match declared {
            // A packed body says nothing about how large it unfolds.
            Some(bytes) if !parts.headers.contains_key(header::CONTENT_ENCODING) => usize::min(bytes, bytes_max),
            _ => bytes_max,
        };
        let Some(mut admitted) = self.admission.try_admit(reserved) else {
            return Err(Problem::unavailable(RETRY_AFTER_S).with_detail("too many requests are under way"));
        };
        let body = read_body(&parts.headers, body, limit).await?;
        admitted.shrink(body.len());
        Ok((parts.headers, body, admitted))
    }

    /// 503 until the registry was read to its end.
    pub(crate) fn ensure_keys_read(&self) -> Result<(), Problem> {
        if self.key_table.caught_up() {
            return Ok(());
        }
        Err(Problem::unavailable(RETRY_AFTER_S).with_detail("keys are being read"))
    }

    /// Who asks. Until the registry was read to its end only the configured key is known for sure: of any other, its
    /// making or its revocation may stand further on.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
        // Asked first: a key looked up after the end was reached is judged by the whole registry.
        let all_read = self.ensure_keys_read();
        match self.keys.authenticate_headers(headers) {
            Ok(principal) if principal.key_id.as_str() == ROOT_KEY_ID => Ok(principal),
            Err(error @ (AuthError::Missing | AuthError::Malformed(_))) => Err(error.into()),
            outcome => all_read.and_then(|()| Ok(outcome?)),
        }
    }

    /// Who asks, if it is an admin.
    pub(crate) fn admin(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
        let principal = self.authenticate(headers)?;
        if principal.is_admin() { Ok(principal) } else { Err(Problem::forbidden("an admin key (tb_ak_...) is needed")) }
    }
}

/// Reads a JSON body: 400 for what is not JSON, 422 for what is not the document that is asked for.
pub(crate) fn parse_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::unsupported_media_type("expected Content-Type: application/json"));
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(error.to_string()),
        _ => Problem::malformed(error.to_string()),
    })
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let http = app.metrics.http.clone();
    Router::new()
        .route("/v1/events", post(events::post_events).layer(http.route("/v1/events")))
        .route("/v1/accounts", post(commands::open_account).layer(http.route("/v1/accounts")))
        .route(
            "/v1/accounts/{account_id}/adjustments",
            post(commands::post_adjustment).layer(http.route("/v1/accounts/{account_id}/adjustments")),
        )
        .route(
            "/v1/accounts/{account_id}/plan",
            post(commands::change_plan).layer(http.route("/v1/accounts/{account_id}/plan")),
        )
        .route("/v1/keys", post(keys::create).get(keys::list).layer(http.route("/v1/keys")))
        .route("/v1/keys/{key_id}", delete(keys::revoke).layer(http.route("/v1/keys/{key_id}")))
        .route("/v1/price-books/{version}", put(price_books::publish).layer(http.route("/v1/price-books/{version}")))
        .with_state(app)
}
