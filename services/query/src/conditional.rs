//! Answers that the asker may have already (RFC 9110, 13).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

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

/// 304 with those headers of `full` that belong to it.
#[must_use]
pub fn not_modified(full: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
        if let Some(value) = full.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
