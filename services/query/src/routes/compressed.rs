//! JSON answers, gzipped for who takes it (RFC 9110, 8.4). Streams and CSV go as they are: each row leaves when it is there.

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Smaller ones fit one packet, and would hardly shrink.
pub(super) const BYTES_MIN: u16 = 1_000;

type IsJson = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// The fastest level: an answer is asked for once, and most of what is to gain are the names of fields.
pub(super) fn layer() -> CompressionLayer<And<SizeAbove, IsJson>> {
    let is_wanted = SizeAbove::new(BYTES_MIN).and(is_json as IsJson);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(is_wanted)
}

fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
}

/// Makes the tag of a gzipped answer a weak one: a strong tag names one sequence of bytes (RFC 9110, 8.8.3).
pub(super) async fn weaken(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{tag}"))
    {
        headers.insert(header::ETAG, weak);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::{MethodRouter, get};
    use tower::ServiceExt;

    use super::*;
    use crate::conditional;

    /// What a path with an answer of `length` bytes says to `head`.
    async fn ask(kind: &'static str, length: usize, head: &[(&str, &str)]) -> Response {
        let body = "a".repeat(length);
        let answer = move || async move { ([(header::CONTENT_TYPE, kind), (header::ETAG, "\"tag\"")], body) };
        let route: MethodRouter = get(answer).layer(from_fn(conditional::answer));
        let route: MethodRouter = route.layer(layer()).layer(from_fn(weaken));
        let request = head.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        Router::new().route("/", route).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn said<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    const GZIP: (&str, &str) = ("accept-encoding", "br, gzip");

    #[tokio::test]
    async fn a_json_answer_is_gzipped_for_who_takes_it_and_its_tag_is_weak() {
        let packed = ask("application/json", 20_000, &[GZIP]).await;
        assert_eq!((said(&packed, "content-encoding"), said(&packed, "etag")), (Some("gzip"), Some("W/\"tag\"")));
        assert_eq!(said(&packed, "vary"), Some("accept-encoding"));
        assert!(to_bytes(packed.into_body(), 1_000).await.is_ok());

        let plain = ask("application/json", 20_000, &[]).await;
        assert_eq!((said(&plain, "content-encoding"), said(&plain, "etag")), (None, Some("\"tag\"")));
        assert_eq!(said(&plain, "vary"), Some("accept-encoding"));
        assert_eq!(to_bytes(plain.into_body(), 30_000).await.unwrap().len(), 20_000);
    }

    #[tokio::test]
    async fn who_has_it_gzipped_is_told_so() {
        let known = ask("application/json", 20_000, &[GZIP, ("if-none-match", "W/\"tag\"")]).await;
        assert_eq!((known.status(), said(&known, "content-encoding")), (StatusCode::NOT_MODIFIED, None));
    }

    #[tokio::test]
    async fn small_answers_streams_and_tables_go_as_they_are() {
        let cases =
            [("application/json", usize::from(BYTES_MIN) - 1), ("text/event-stream", 20_000), ("text/csv", 20_000)];
        for (kind, length) in cases {
            let answer = ask(kind, length, &[GZIP]).await;
            assert_eq!((said(&answer, "content-encoding"), said(&answer, "etag")), (None, Some("\"tag\"")), "{kind}");
        }
    }
}
