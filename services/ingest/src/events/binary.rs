//! CloudEvents binary mode: attributes in `ce-` headers, the body is the data.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue};
use rdkafka::message::{Header, OwnedHeaders};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::usage::Attributes;

const HTTP_PREFIX: &str = "ce-";
const KAFKA_PREFIX: &str = "ce_";

/// The attributes of a request, decoded, in the order they were sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BinaryAttributes(Vec<(String, String)>);

impl BinaryAttributes {
    /// Whether a request is in binary mode.
    pub(crate) fn are_in(headers: &HeaderMap) -> bool {
        headers.contains_key("ce-specversion") || headers.contains_key("ce-type") || headers.contains_key("ce-id")
    }

    /// Reads all `ce-` headers.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (header, value) in headers {
            let Some(name) = header.as_str().strip_prefix(HTTP_PREFIX) else { continue };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
                return Err(Problem::malformed(format!("{header} is not the name of a CloudEvents attribute")));
            }
            if attributes.iter().any(|(known, _)| known == name) {
                return Err(Problem::malformed(format!("{header} is sent twice")));
            }
            let value = decode(value)
                .ok_or_else(|| Problem::malformed(format!("{header} does not hold percent-encoded UTF-8")))?;
            attributes.push((name.to_owned(), value));
        }
        Ok(Self(attributes))
    }

    /// As the usage parser takes them.
    pub(crate) fn borrow(&self) -> Attributes<'_> {
        let mut attributes = Attributes::default();
        for (name, value) in &self.0 {
            attributes.set(name, Cow::Borrowed(value));
        }
        attributes
    }

    /// As Kafka's binary mode writes them: plain UTF-8, and the data's own type.
    pub(crate) fn kafka_headers(&self) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(self.0.len() + 1)
            .insert(Header { key: "content-type", value: Some("application/json") });
        self.0.iter().fold(headers, |headers, (name, value)| {
            headers.insert(Header { key: &format!("{KAFKA_PREFIX}{name}"), value: Some(value) })
        })
    }
}

/// Decodes a header's value as the CloudEvents HTTP binding says: quotes first, then percent-encoding.
fn decode(value: &HeaderValue) -> Option<String> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    let unquoted = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => unescape(inside),
        None => Cow::Borrowed(text),
    };
    percent_decode(&unquoted)
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    Cow::Owned(plain)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    #[test]
    fn values_are_unquoted_and_percent_decoded() {
        let headers = headers(&[("ce-id", "\"a\\\"b\""), ("ce-source", "/booths/caf%C3%A9%20%25"), ("x-other", "%")]);
        let attributes = BinaryAttributes::read(&headers).unwrap();
        let borrowed = attributes.borrow();
        assert_eq!(borrowed.id.as_deref(), Some("a\"b"));
        assert_eq!(borrowed.source.as_deref(), Some("/booths/café %"));
    }

    #[test]
    fn broken_encodings_odd_names_and_repeats_are_refused() {
        for (name, value) in [("ce-id", "%C3"), ("ce-id", "%4"), ("ce-id", "%+1"), ("ce-a-b", "x"), ("ce-", "x")] {
            assert!(BinaryAttributes::read(&headers(&[(name, value)])).is_err(), "{name}: {value}");
        }
        let mut twice = headers(&[("ce-id", "1")]);
        twice.append("ce-id", HeaderValue::from_static("2"));
        assert!(BinaryAttributes::read(&twice).is_err());
    }
}
