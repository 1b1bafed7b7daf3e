//! The `Idempotency-Key` header: a structured-field string (`"abc"`), or the bare text.

use axum::http::HeaderMap;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::command::IDEMPOTENCY_KEY_CHARS_MAX;

/// Reads the key. 400 where it is missing, sent twice, or no key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Err(Problem::idempotency_key_missing("send an Idempotency-Key that stays the same over retries"));
    };
    let key = value.to_str().ok().and_then(|text| parse(text.trim()));
    match key {
        Some(key) if values.next().is_none() => Ok(key),
        _ => Err(Problem::malformed(format!(
            "Idempotency-Key must be sent once, with 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters"
        ))),
    }
}

fn parse(text: &str) -> Option<String> {
    let key = match text.strip_prefix('"') {
        Some(rest) => unquote(rest)?,
        None => text.to_owned(),
    };
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (printable && (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len())).then_some(key)
}

/// The rest of a quoted string (RFC 8941, 3.3.3): `\"` and `\\` are the only escapes.
fn unquote(rest: &str) -> Option<String> {
    let mut plain = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(plain),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => plain.push(escaped),
                _ => return None,
            },
            char => plain.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        for text in ["\"8e03978e\"", "8e03978e"] {
            assert_eq!(parse(text).as_deref(), Some("8e03978e"));
        }
        assert_eq!(parse(r#""a\"\\b""#).as_deref(), Some(r#"a"\b"#));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "\"\"", "\"open", "\"a\" b", r#""a\n""#, "a\tb", &"x".repeat(IDEMPOTENCY_KEY_CHARS_MAX + 1)] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
