//! `X-Request-Id`: echoed when the client sent a sane one, made up otherwise.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Name of the header.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LENGTH_MAX: usize = 128;

/// The id of the request being answered. An extractor, too.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the client's id if it is 1 to 128 letters, digits or `-_.:/+=`; anything else could forge log lines.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        match headers.get(&REQUEST_ID) {
            Some(value) if (1..=LENGTH_MAX).contains(&value.len()) && value.as_bytes().iter().all(sane) => {
                Self(value.clone())
            }
            _ => Self::generate(),
        }
    }

    fn generate() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Distinct among processes by the standard library's random keys, within one by counting.
        let seed = SEED.get_or_init(|| std::collections::hash_map::RandomState::new().build_hasher().finish());
        let text = format!("req_{seed:016x}{:08x}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("req_unknown")))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}
