//! The `Idempotency-Key` header: a structured-field string (`"abc"`), or the bare text.

use axum::http::{HeaderMap, StatusCode};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::command::{IDEMPOTENCY_KEY_CHARS_MAX, is_payment_key};

/// Reads the key. 400 where it is missing, sent twice, no key, or one under which a payment is posted.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Err(Problem::idempotency_key_missing("send an Idempotency-Key that stays the same over retries"));
    };
    let key = value.to_str().ok().and_then(|text| parse(text.trim()));
    match key {
        Some(key) if values.next().is_none() => allowed(key),
        _ => Err(Problem::malformed(format!(
            "Idempotency-Key must be sent once, with 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters"
        ))),
    }
}

/// Keys are one space for all of an account, of whatever kind the asker is. A booth that took the key of a recharge would
/// have its money taken and never posted.
fn allowed(key: String) -> Result<String, Problem> {
    if is_payment_key(&key) {
        let title = "The Idempotency-Key is reserved";
        let why = "payments are posted under keys that begin like this one (payment:pay_, payment:rch_, \
                   recharge-failed:rch_): choose another Idempotency-Key";
        return Err(Problem::new("idempotency_key_reserved", StatusCode::BAD_REQUEST, title).with_detail(why));
    }
    Ok(key)
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
    use tollbooth_schemas::command::{payment_key, recharge_failed_key};

    use super::*;

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        for text in ["\"8e03978e\"", "8e03978e"] {
            assert_eq!(parse(text).as_deref(), Some("8e03978e"));
        }
        assert_eq!(parse(r#""a\"\\b""#).as_deref(), Some(r#"a"\b"#));
    }

    #[test]
    fn the_key_of_a_payment_is_refused_however_it_is_written() {
        let code = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", text.parse().unwrap());
            idempotency_key(&headers).map_err(|problem| (problem.status().as_u16(), problem.code()))
        };
        let recharge = tollbooth_schemas::ids::recharge_id("acc_luna", 9);
        for key in [payment_key(&recharge), recharge_failed_key(&recharge), payment_key("pay_00ff")] {
            for text in [format!("\"{key}\""), format!("  {key} "), key] {
                assert_eq!(code(&text), Err((400, "idempotency_key_reserved")), "{text}");
            }
        }
        for text in ["payment:42", "\"payment-rch_1\"", "rch_1"] {
            assert_eq!(code(text).as_deref(), Ok(text.trim_matches('"')));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "\"\"", "\"open", "\"a\" b", r#""a\n""#, "a\tb", &"x".repeat(IDEMPOTENCY_KEY_CHARS_MAX + 1)] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
