//! Headers of answers, as the document describes them: one table says which answers have which.
//!
//! What the connection and the body take (`Content-Type`, `Content-Length`, `Date` and their like) is not in it.

use serde_json::json;
use utoipa::Modify;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Response;
use utoipa::openapi::{OpenApi, PathItem, Ref, RefOr, Schema};

const COMPONENTS: &str = "#/components/headers";
/// Operations whose sums may be known to the entry.
const OF_AN_ENTRY: [&str; 4] = ["get_event_usage", "get_forecast", "get_summary", "get_usage"];

/// A documented answer of an operation.
struct Answer<'a> {
    path: &'a str,
    operation_id: &'a str,
    status: &'a str,
    /// Whether it is a success that is written as JSON.
    is_json: bool,
}

impl Answer<'_> {
    fn is_of(&self, operation_id: &str, status: &str) -> bool {
        (self.operation_id, self.status) == (operation_id, status)
    }
}

/// A header, and which answers have it, at least now and then.
struct SentHeader {
    name: &'static str,
    /// JSON type of its value.
    kind: &'static str,
    about: &'static str,
    is_in: fn(&Answer<'_>) -> bool,
}

const fn sent(name: &'static str, about: &'static str, is_in: fn(&Answer<'_>) -> bool) -> SentHeader {
    SentHeader { name, kind: "string", about, is_in }
}

const fn number(name: &'static str, about: &'static str, is_in: fn(&Answer<'_>) -> bool) -> SentHeader {
    SentHeader { name, kind: "integer", about, is_in }
}

const SENT: [SentHeader; 17] = [
    sent("Cache-Control", "Who may keep the answer, and for how long.", |_| true),
    sent("Content-Disposition", "The name of the file.", |answer| answer.is_of("export_transactions", "200")),
    sent("Content-Encoding", "`gzip`, where the client takes it and the answer has 1,000 bytes or more.", |answer| {
        answer.is_json
    }),
    sent("Content-Security-Policy", "What the page may load: nothing but its own style.", |answer| {
        answer.is_of("get_docs", "200")
    }),
    sent("ETag", "Sent back as `If-None-Match` it asks only for another answer than this one.", |answer| {
        answer.is_json || answer.status == "304"
    }),
    sent("RateLimit", "`r`: requests that the key has left. `t`: seconds until it has all of them again.", is_counted),
    sent(
        "RateLimit-Policy",
        "`q`: requests that a key may send at once. `w`: seconds in which it gets them again.",
        is_counted,
    ),
    sent("Referrer-Policy", "The page names itself to nobody.", |answer| answer.is_of("get_docs", "200")),
    number("Retry-After", "Seconds until a repeat is worth it.", |answer| ["429", "503"].contains(&answer.status)),
    sent("Set-Cookie", "The session, or its end.", |answer| {
        answer.is_of("sign_in", "200") || answer.is_of("sign_out", "204") || answer.is_of("sign_out", "503")
    }),
    number("Tollbooth-As-Of-Seq", "The entry the file begins at, where it is not the newest one.", |answer| {
        answer.is_of("export_transactions", "200")
    }),
    number("Tollbooth-Seq", "The newest entry in the sums; absent where they may be a moment behind.", |answer| {
        OF_AN_ENTRY.contains(&answer.operation_id) && ["200", "304"].contains(&answer.status)
    }),
    sent("Vary", "`Accept-Encoding`, where it decides whether the answer is packed.", |answer| answer.is_json),
    sent("WWW-Authenticate", "`Bearer`.", |answer| answer.status == "401"),
    sent("X-Accel-Buffering", "`no`: a proxy is to pass every event on at once.", |answer| {
        answer.is_of("stream_account", "200")
    }),
    sent("X-Content-Type-Options", "`nosniff`.", |answer| {
        answer.is_of("get_docs", "200") || answer.is_of("export_transactions", "200")
    }),
    sent("X-Request-Id", "The request's own, or one that was made for it. Give it to whoever helps.", |_| true),
];

/// Every request of a known key, also where no key is needed.
fn is_counted(answer: &Answer<'_>) -> bool {
    answer.path.starts_with("/v1/")
}

/// Writes into every answer which headers it has, and 304 where there is a tag.
pub(crate) struct SentHeaders;

impl Modify for SentHeaders {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.headers.extend(SENT.iter().map(|header| (header.name.to_owned(), described(header).into())));
        for (path, item) in &mut openapi.paths.paths {
            item.get.iter_mut().for_each(put_not_modified);
            operations(item).for_each(|operation| put_headers(path, operation));
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

fn described(header: &SentHeader) -> Header {
    // A value of this program: it is a schema, or the document's test fails.
    let schema: Option<Schema> = serde_json::from_value(json!({ "type": header.kind })).ok();
    HeaderBuilder::new().schema(schema).description(Some(header.about)).build()
}

fn is_json(response: &RefOr<Response>) -> bool {
    matches!(response, RefOr::T(response) if response.content.contains_key("application/json"))
}

fn put_not_modified(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    if responses.get("200").is_some_and(is_json) {
        let response = Response::new("`If-None-Match` names the `ETag` of this answer");
        responses.insert("304".to_owned(), RefOr::T(response));
    }
}

fn put_headers(path: &str, operation: &mut Operation) {
    let operation_id = operation.operation_id.as_deref().unwrap_or_default();
    for (status, response) in &mut operation.responses.responses {
        let answer = Answer { path, operation_id, status, is_json: is_json(response) };
        let RefOr::T(response) = response else { continue };
        for header in SENT.iter().filter(|header| (header.is_in)(&answer)) {
            let reference = Ref::new(format!("{COMPONENTS}/{}", header.name));
            response.headers.insert(header.name.to_owned(), RefOr::Ref(reference));
        }
    }
}
