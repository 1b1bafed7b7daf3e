//! The header `Stripe-Signature` of a webhook: <https://docs.stripe.com/webhooks/signature>.
//!
//! It holds an instant and signatures of instant and body. The body's bytes are signed, not what they mean: nothing is read
//! of them before.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Most signatures that are looked at: Stripe sends one for each of the endpoint's secrets, two while they change.
const SIGNATURES_MAX: usize = 8;

/// Why a webhook is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    /// There is none, or it is of none of our secrets.
    #[error("the signature is missing, or of none of the secrets")]
    Wrong,
    /// It was signed at another time: perhaps somebody sends again what they once saw.
    #[error("the signature is of another time")]
    OtherTime,
}

/// Checks a webhook's signature by any of several secrets, so that they can be changed without losing one.
pub(crate) fn verify(
    secrets: &[String],
    header: &str,
    body: &[u8],
    now_s: i64,
    tolerance_s: i64,
) -> Result<(), SignatureError> {
    let mut signed_at = None;
    let mut signatures = Vec::new();
    for item in header.split(',') {
        match item.trim().split_once('=') {
            Some(("t", text)) => signed_at = Some(text),
            Some(("v1", hex)) if signatures.len() < SIGNATURES_MAX => signatures.extend(bytes_of(hex)),
            // Other schemes are for tests, or of tomorrow.
            _ => {}
        }
    }
    let signed_at = signed_at.ok_or(SignatureError::Wrong)?;
    let is_ours = |secret: &String| signatures.iter().any(|found| is_signed(secret, signed_at, body, found));
    // Whoever can sign may learn that it is too late; nobody else.
    if !secrets.iter().any(is_ours) {
        return Err(SignatureError::Wrong);
    }
    let age_s = signed_at.parse::<i64>().ok().and_then(|signed_at_s| now_s.checked_sub(signed_at_s));
    match age_s {
        Some(age_s) if age_s.unsigned_abs() <= tolerance_s.unsigned_abs() => Ok(()),
        _ => Err(SignatureError::OtherTime),
    }
}

fn is_signed(secret: &str, signed_at: &str, body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(signed_at.as_bytes());
    mac.update(b".");
    mac.update(body);
    // In constant time.
    mac.verify_slice(signature).is_ok()
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_tollbooth_fixture";
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    const AT: i64 = 1_763_756_103;
    /// By Python's `hmac`, from the construction that Stripe documents.
    const SIGNATURE: &str = "72a208bb5cc3e854159be5d1cca625c675102fefc41be7d82e06a47b1d0d4762";

    fn check(secrets: &[&str], header: &str, now_s: i64) -> Result<(), SignatureError> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        verify(&secrets, header, BODY, now_s, 300)
    }

    #[test]
    fn a_signature_of_any_of_the_secrets_counts_among_any_others() {
        let header = format!("t={AT},v1={SIGNATURE}");
        assert_eq!(check(&[SECRET], &header, AT), Ok(()));
        assert_eq!(check(&["whsec_new", SECRET], &header, AT), Ok(()));
        let rotated = format!("t={AT},v1={},v1={SIGNATURE},v0=ab", "0".repeat(64));
        assert_eq!(check(&[SECRET], &rotated, AT), Ok(()));
    }

    #[test]
    fn what_is_not_signed_so_is_refused() {
        let other_body = verify(&[SECRET.to_owned()], &format!("t={AT},v1={SIGNATURE}"), b"{}", AT, 300);
        assert_eq!(other_body, Err(SignatureError::Wrong));
        for header in [
            "".to_owned(),
            format!("v1={SIGNATURE}"),
            format!("t={AT}"),
            format!("t={AT},v0={SIGNATURE}"),
            format!("t={},v1={SIGNATURE}", AT + 1),
            format!("t={AT},v1={}", &SIGNATURE[2..]),
            format!("t={AT},v1={}", "\u{e9}".repeat(32)),
        ] {
            assert_eq!(check(&[SECRET], &header, AT), Err(SignatureError::Wrong), "{header}");
        }
        assert_eq!(check(&["whsec_other"], &format!("t={AT},v1={SIGNATURE}"), AT), Err(SignatureError::Wrong));
        assert_eq!(check(&[], &format!("t={AT},v1={SIGNATURE}"), AT), Err(SignatureError::Wrong));
    }

    #[test]
    fn what_was_signed_too_long_ago_or_ahead_is_refused() {
        let header = format!("t={AT},v1={SIGNATURE}");
        for (now_s, expected) in [(AT + 300, Ok(())), (AT - 300, Ok(()))] {
            assert_eq!(check(&[SECRET], &header, now_s), expected);
        }
        for now_s in [AT + 301, AT - 301, i64::MAX, i64::MIN] {
            assert_eq!(check(&[SECRET], &header, now_s), Err(SignatureError::OtherTime));
        }
    }
}
