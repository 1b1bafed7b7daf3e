//! Answers are what the OpenAPI document says.

use std::collections::BTreeSet;

use reqwest::header::HeaderMap;
use serde_json::Value;
use tollbooth_query::openapi::DOCUMENT;

use crate::stand::Stand;

/// A path with something in the place of its parameters.
pub(crate) fn filled(template: &str) -> String {
    let places = [
        ("{account_id}", "acc_luna"),
        ("{event_id}", "evt_gala"),
        ("{entry_id}", "ent_acc_luna_2"),
        ("{version}", "1"),
        ("{letter_id}", "tollbooth.usage-0-7"),
    ];
    let path = places.into_iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}: say here what stands in its place");
    path
}

/// Headers of the connection and the body, which no document names (OpenAPI 3.1, 4.8.17; RFC 9110).
const UNNAMED: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// The documented operation that a path without its query belongs to.
fn operation_of(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let given: Vec<&str> = path.split('/').collect();
        parts.len() == given.len()
            && parts.iter().zip(&given).all(|(part, given)| part.starts_with('{') || part == given)
    };
    // A path that is written out wins over one with a parameter in its place.
    let found = DOCUMENT.operations().filter(|(known, template, _)| *known == method && fits(template));
    let found = found.min_by_key(|(_, template, _)| template.matches('{').count());
    found.map(|(_, template, operation)| (template, operation))
}

/// Fails unless the document allows this answer.
pub(crate) fn check(path: &str, status: u16, body: &Value) {
    check_method("get", path, status, body);
}

/// As `check`, for any method.
pub(crate) fn check_method(method: &str, path: &str, status: u16, body: &Value) {
    let Some((template, operation)) = operation_of(method, path) else { return };
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{template} is not documented to answer {status}: {body}");
    let media_type = if (200..300).contains(&status) { "application/json" } else { "application/problem+json" };
    let mut schema = response["content"][media_type]["schema"].clone();
    assert!(schema.is_object(), "{template} {status} has no schema");
    schema["components"] = DOCUMENT.value["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{path} answers what {template} does not say: {errors:#?}\n{body:#}");
}

/// Names of the headers that the document has for an answer, in small letters.
pub(crate) fn named_headers(operation: &Value, status: u16) -> BTreeSet<String> {
    let headers = operation["responses"][status.to_string()]["headers"].as_object();
    headers.into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect()
}

/// Fails unless the document names each of the headers that came with an answer.
pub(crate) fn check_headers(method: &str, path: &str, status: u16, headers: &HeaderMap) {
    let Some((template, operation)) = operation_of(method, path) else { return };
    let named = named_headers(operation, status);
    let sent = headers.keys().map(reqwest::header::HeaderName::as_str);
    let missing: Vec<&str> = sent.filter(|name| !UNNAMED.contains(name) && !named.contains(*name)).collect();
    assert!(
        missing.is_empty(),
        "{method} {template} answers {status} with {missing:?}, which the document does not name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_those_of_the_document() {
    // given
    let stand = Stand::new().await;
    let query = stand.query().await;

    for (_, path, operation) in DOCUMENT.operations().filter(|(method, ..)| *method == "get") {
        // when a parameter is sent that cannot be one
        let url = filled(path);
        let answer = query.get(&format!("{url}?no_such=1")).await;

        // then it is refused, and the answer lists what the document lists
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &Value::from("unknown_parameter")), "{path}");
        let detail = answer.body["detail"].as_str().unwrap_or("known are: ");
        let mut known: Vec<&str> =
            detail.trim_start_matches("known are: ").split(", ").filter(|n| !n.is_empty()).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut documented: Vec<&str> = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(known, documented, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_its_page_are_served_without_a_key() {
    // given
    let stand = Stand::new().await;
    let query = stand.query().await;

    // when both are fetched
    let document = query.get_with("/openapi.json", None).await;
    let page = query.fetch("/docs", None).await;

    // then the document is the one of the program, and the page may load nothing from elsewhere
    assert_eq!(document.body, DOCUMENT.value);
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("/v1/accounts/{account_id}/balance") && !html.contains("<script"));
}
