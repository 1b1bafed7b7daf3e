//! Secrets of endpoints and what is signed with them, in the form of Standard Webhooks
//! (<https://www.standardwebhooks.com>).
//!
//! A secret is derived from the installation's own and from the endpoint, so that none stands in a topic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tollbooth_schemas::webhooks::WebhookDocument;

const PREFIX: &str = "whsec_";
/// Of a code that is mailed: beyond what anybody guesses.
const CODE_BYTES: usize = 8;
/// Shortest secret of the installation.
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// Derives the secrets of endpoints.
#[derive(Clone)]
pub(crate) struct Secrets(Hmac<Sha256>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets([hidden])")
    }
}

impl Secrets {
    /// `None`: the installation's secret is too short.
    pub(crate) fn new(secret: &str) -> Option<Self> {
        let key = Hmac::new_from_slice(secret.as_bytes()).ok();
        key.filter(|_| secret.len() >= SECRET_BYTES_MIN).map(Self)
    }

    fn of(&self, document: &WebhookDocument, generation: u32) -> [u8; 32] {
        let mut mac = self.0.clone();
        // No id contains a zero byte, so no two endpoints have the same text.
        for part in ["tollbooth webhook", document.account_id.as_str(), &document.webhook_id, &generation.to_string()] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac.finalize().into_bytes().into()
    }

    /// The newest one, as it is shown.
    pub(crate) fn shown(&self, document: &WebhookDocument) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.of(document, document.generation)))
    }

    fn code_of(&self, document: &WebhookDocument) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in ["tollbooth mail", document.account_id.as_str(), &document.webhook_id, &document.url] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac
    }

    /// What is mailed to an address that is new, and nowhere kept or shown.
    pub(crate) fn code(&self, document: &WebhookDocument) -> String {
        let bytes = self.code_of(document).finalize().into_bytes();
        let hex: Vec<String> = bytes.iter().take(CODE_BYTES).map(|byte| format!("{byte:02x}")).collect();
        hex.chunks(2).map(<[String]>::concat).collect::<Vec<_>>().join("-")
    }

    /// Whether that is the code of the address, however it was typed.
    pub(crate) fn is_code(&self, document: &WebhookDocument, text: &str) -> bool {
        let digits: Vec<u8> = text
            .chars()
            .filter(|char| *char != '-' && !char.is_whitespace())
            .map_while(|char| u8::try_from(char.to_digit(16)?).ok())
            .take(2 * CODE_BYTES + 1)
            .collect();
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect();
        // In constant time.
        digits.len() == 2 * CODE_BYTES && self.code_of(document).verify_truncated_left(&bytes).is_ok()
    }

    /// What is signed with at an instant, the newest first.
    pub(crate) fn valid(&self, document: &WebhookDocument, now_ms: i64) -> Vec<[u8; 32]> {
        let mut secrets = vec![self.of(document, document.generation)];
        if document.previous_until_ms.is_some_and(|until_ms| now_ms < until_ms) {
            secrets.push(self.of(document, document.generation.saturating_sub(1)));
        }
        secrets
    }
}

/// The header `webhook-signature`: one signature for each secret.
pub(crate) fn signature(secrets: &[[u8; 32]], message_id: &str, timestamp_s: i64, body: &str) -> String {
    let sign = |secret: &[u8; 32]| {
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret).ok()?;
        mac.update(format!("{message_id}.{timestamp_s}.{body}").as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    secrets.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(webhook_id: &str, generation: u32, previous_until_ms: Option<i64>) -> WebhookDocument {
        WebhookDocument {
            webhook_id: webhook_id.to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            url: "https://luna.example/hook".to_owned(),
            event_types: Vec::new(),
            generation,
            previous_until_ms,
            created_at_ms: 0,
            confirmed: false,
        }
    }

    #[test]
    fn a_code_is_of_one_address_and_taken_however_it_is_typed() {
        let secrets = Secrets::new(&"x".repeat(SECRET_BYTES_MIN)).unwrap();
        let ours = document("whk_1", 1, None);
        let code = secrets.code(&ours);
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        for typed in [code.clone(), code.replace('-', ""), code.to_uppercase(), format!(" {} ", code.replace('-', " "))]
        {
            assert!(secrets.is_code(&ours, &typed), "{typed}");
        }
        let other = WebhookDocument { url: "mailto:other@luna.example".to_owned(), ..ours.clone() };
        let guessed = "0000-0000-0000-0000".to_owned();
        for wrong in
            [String::new(), guessed, code[..18].to_owned(), format!("{code}0"), secrets.code(&other), "é".repeat(16)]
        {
            assert!(!secrets.is_code(&ours, &wrong), "{wrong}");
        }
    }

    /// Made with Python's `hmac` from the specification's own construction.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let secret: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let found = signature(&[secret], "msg_1", 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(found, "v1,AMaOha7DUT/0J0JMycRuYOBSvbx3WtwLd2khXXbaVj4=");
        assert_eq!(signature(&[secret, secret], "msg_1", 1_700_000_000, r#"{"a":1}"#), format!("{found} {found}"));
    }

    #[test]
    fn a_secret_is_the_endpoints_own_and_the_one_before_counts_until_its_end() {
        assert!(Secrets::new("too short").is_none());
        let secrets = Secrets::new(&"s".repeat(32)).unwrap();
        let (one, other) = (document("whk_1", 1, None), document("whk_2", 1, None));
        assert_ne!(secrets.shown(&one), secrets.shown(&other));
        assert!(secrets.shown(&one).starts_with("whsec_"));
        let rotated = document("whk_1", 2, Some(100));
        assert_ne!(secrets.shown(&one), secrets.shown(&rotated));
        assert_eq!(secrets.valid(&rotated, 99)[1..], secrets.valid(&one, 0));
        assert_eq!(secrets.valid(&rotated, 100), secrets.valid(&document("whk_1", 2, None), 0));
    }
}
