//! `GET /openapi.json` and `GET /docs`: what this API is, for machines and for people. No key.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use tollbooth_chassis::problem::Problem;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::{Modify, OpenApi};

use crate::access::session::COOKIE;
use crate::openapi::{DOCUMENT, ProblemBody, PublicProblems, SentHeaders, page};
use crate::params::{Params, parameters};
use crate::stream::{StreamBalance, StreamReady, StreamResync, StreamStale, StreamUsage};

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
        super::accounts::list,
        super::account::get,
        super::balance::get,
        super::recharge::get,
        super::alerts::get,
        super::summary::get,
        super::forecast::get,
        super::booths::list,
        super::transactions::list,
        super::csv::get,
        super::entry::get,
        super::usage::get,
        super::events::list,
        super::events::get,
        super::estimate::get,
        super::transactions::list_of_event,
        super::event_usage::get,
        super::stream::get,
        super::fleet::usage,
        super::drift::get,
        super::dead_letters::list,
        super::dead_letters::get,
        super::audit::list,
        super::keys::list,
        super::price_book::list,
        super::price_book::current,
        super::price_book::version,
        super::simulate::create,
        super::services::list,
        super::session::create,
        super::session::get,
        super::session::end,
        super::portal::create,
        json,
        html,
    ),
    components(schemas(ProblemBody, StreamReady, StreamBalance, StreamUsage, StreamResync, StreamStale)),
    tags(
        (name = "Accounts", description = "What an account is and has."),
        (name = "Activity", description = "What happened, entry by entry."),
        (name = "Usage", description = "What was spent, summed."),
        (name = "Events", description = "What was spent for one party."),
        (name = "Live", description = "What happens, as it happens."),
        (name = "Fleet", description = "All accounts together. Needs an admin key."),
        (name = "Prices", description = "What things cost. Public."),
        (name = "Keys", description = "Who may ask."),
        (name = "Session", description = "Who is signed in with a browser."),
        (name = "Reference", description = "This description. Public."),
    ),
    modifiers(&Keys, &SentHeaders)
)]
struct Description;

struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("tb_sk_live_...");
        let bearer = bearer.description(Some("An account's key reads its own account, an admin key any.")).build();
        let about = "A browser that signed in. What it changes needs `X-CSRF-Token`, too.";
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(COOKIE, about)));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        components.add_security_scheme("session", cookie);
        // Whoever may read with a key may read with the session of one.
        let operations = openapi.paths.paths.values_mut().filter_map(|item| item.get.as_mut());
        for operation in operations {
            let takes_key = SecurityRequirement::new::<_, [&str; 0], &str>("key", []);
            if operation.security.as_ref().is_some_and(|all| all.contains(&takes_key)) {
                let by_session = SecurityRequirement::new::<_, [&str; 0], &str>("session", []);
                operation.security.get_or_insert_default().push(by_session);
            }
        }
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
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ETAG, DOCUMENT.etag.clone()),
        (header::CACHE_CONTROL, CACHE),
    ];
    Ok((headers, DOCUMENT.text.clone()).into_response())
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
