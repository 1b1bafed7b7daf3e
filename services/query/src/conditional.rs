//! Answers that the asker may have already (RFC 9110, 13).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use sha2::{Digest, Sha256};

/// The newest entry in the sums of an answer.
pub const SEQ: HeaderName = HeaderName::from_static("tollbooth-seq");

/// Whether `If-None-Match` names `etag`. The comparison is the weak one, as for every `GET`.
#[must_use]
pub fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let own = etag.to_str().unwrap_or_default().trim_start_matches("W/");
    let lines = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || (!own.is_empty() && tag.trim_start_matches("W/") == own))
}

/// The tag of a body: the same bytes have the same.
#[must_use]
pub fn etag(body: &[u8]) -> HeaderValue {
    let hash: String = Sha256::digest(body).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// What moves with every answer, whatever was asked: it makes no other answer.
const AS_OF: &[u8] = b"\"as_of\":\"";

/// The tag of a JSON answer whatever instant it is true for: as long as nothing happened, who has it has this one. In a JSON
/// text the name cannot stand within a value, where its quotes would be escaped.
#[must_use]
pub fn etag_as_of(body: &[u8]) -> HeaderValue {
    let Some(at) = body.windows(AS_OF.len()).position(|window| window == AS_OF) else { return etag(body) };
    let (before, rest) = body.split_at(at + AS_OF.len());
    let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(0);
    let same: Vec<u8> = before.iter().chain(rest.get(end..).unwrap_or_default()).copied().collect();
    let strong = etag(&same);
    HeaderValue::try_from(format!("W/{}", strong.to_str().unwrap_or_default())).unwrap_or(strong)
}

/// Answers 304 where the asker has what the answer would be. Only a read is answered so: whoever signs in gets a cookie.
pub async fn answer(request: Request, next: Next) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned();
    let known: HeaderMap = known.map(|value| (header::IF_NONE_MATCH, value)).collect();
    let response = next.run(request).await;
    if known.is_empty() || response.status() != StatusCode::OK {
        return response;
    }
    match response.headers().get(header::ETAG) {
        Some(etag) if is_known(&known, etag) => not_modified(response.headers()),
        _ => response,
    }
}

/// 304 with those headers of `full` that belong to it.
#[must_use]
pub fn not_modified(full: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY, SEQ] {
        if let Some(value) = full.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::{MethodRouter, get};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn only_a_read_is_answered_with_not_modified() {
        let answered = || async { ([(header::ETAG, "\"tag\"")], "body") };
        let route: MethodRouter = get(answered).post(answered).layer(from_fn(answer));
        let router = Router::new().route("/", route);
        for (method, status) in [(Method::GET, 304), (Method::HEAD, 304), (Method::POST, 200)] {
            let request = Request::builder().method(&method).header("if-none-match", "\"tag\"");
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{method}");
        }
    }

    #[test]
    fn a_tag_is_known_wherever_it_stands_in_the_list() {
        let tag = etag(b"body");
        let own = tag.to_str().unwrap();
        let known = |line: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, line.parse().unwrap())]);
            is_known(&headers, &tag)
        };
        assert!(known(own) && known(&format!("\"other\", W/{own}")) && known("*"));
        assert!(!known("\"other\"") && !known("") && !is_known(&HeaderMap::new(), &tag));
        assert_ne!(etag(b"body"), etag(b"another"));
    }

    #[test]
    fn the_instant_alone_makes_no_other_answer() {
        let at = |as_of: &str, seq: u8| etag_as_of(format!(r#"{{"seq":{seq},"as_of":"{as_of}","x":1}}"#).as_bytes());
        assert_eq!(at("2026-11-21T20:15:04Z", 7), at("2026-11-21T20:15:05Z", 7));
        assert_ne!(at("2026-11-21T20:15:04Z", 7), at("2026-11-21T20:15:04Z", 8));
        assert!(at("x", 1).to_str().unwrap().starts_with("W/\""));
        assert!(etag_as_of(b"{}").to_str().unwrap().starts_with('"'));
    }
}
