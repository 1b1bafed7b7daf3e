//! `GET /openapi.json` and `GET /docs`: what this API is, for machines and for people. No key.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use tollbooth_chassis::problem::Problem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::openapi::{DOCUMENT, ProblemBody, PublicProblems, page};
use crate::params::{Params, parameters};
use crate::stream::{StreamBalance, StreamReady, StreamResync, StreamUsage};

const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The operations, in the order of the reference page.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tollbooth query",
        description = "Balances, activity, usage and prices of prepaid accounts. Money and quantities are decimal \
                       strings, times are RFC 3339 in UTC, edges of buckets carry their zone's offset.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        super::account::get,
        super::balance::get,
        super::recharge::get,
        super::summary::get,
        super::transactions::list,
        super::csv::get,
        super::entry::get,
        super::usage::get,
        super::transactions::list_of_event,
        super::event_usage::get,
        super::stream::get,
        super::fleet::usage,
        super::price_book::list,
        super::price_book::current,
        super::price_book::version,
        super::services::list,
        json,
        html,
    ),
    components(schemas(ProblemBody, StreamReady, StreamBalance, StreamUsage, StreamResync)),
    tags(
        (name = "Accounts", description = "What an account is and has."),
        (name = "Activity", description = "What happened, entry by entry."),
        (name = "Usage", description = "What was spent, summed."),
        (name = "Events", description = "What was spent for one party."),
        (name = "Live", description = "What happens, as it happens."),
        (name = "Fleet", description = "All accounts together. Needs an admin key."),
        (name = "Prices", description = "What things cost. Public."),
        (name = "Reference", description = "This description. Public."),
    ),
    modifiers(&Keys)
)]
struct Description;

struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("tb_sk_live_...");
        let bearer = bearer.description(Some("An account's key reads its own account, an admin key any.")).build();
        openapi.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// What the handlers say of themselves.
pub(crate) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

parameters! {
    /// Of both routes: none.
    NoParams = &[]
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "Reference",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), PublicProblems)
)]
pub(super) async fn json(uri: Uri) -> Result<Response, Problem> {
    Params::parse(&uri, NoParams::GROUPS)?;
    let content_type = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, CACHE)], DOCUMENT.text.clone()).into_response())
}

/// This document as a page
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "get_docs",
    tag = "Reference",
    responses((status = 200, description = "HTML", body = String, content_type = "text/html"), PublicProblems)
)]
pub(super) async fn html(uri: Uri) -> Result<Response, Problem> {
    Params::parse(&uri, NoParams::GROUPS)?;
    let page = page();
    let policy = HeaderValue::try_from(&page.policy).map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, page.html.clone()).into_response())
}
