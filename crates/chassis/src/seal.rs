//! Short texts that only this project can have written: HMAC-SHA-256 over a JSON document.
//!
//! A text is `<document>.<signature>`, both base64url. Each purpose has a key of its own, derived from the secret, so that
//! a text that was signed for one is none for another, whatever it says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

/// Longer texts are refused before anything is computed.
const TEXT_BYTES_MAX: usize = 2_048;
/// Shortest secret, in bytes: what a search for it costs should be beyond anybody.
pub const SECRET_BYTES_MIN: usize = 32;

/// The secret cannot keep what is signed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {SECRET_BYTES_MIN} characters, of chance")]
pub struct WeakSecret;

/// Not a text that was signed with this secret for this purpose. It does not say why: nobody who may know needs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not signed by this service")]
pub struct BadSeal;

/// Signs and checks texts of one purpose.
#[derive(Clone)]
pub struct Sealer(Hmac<Sha256>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer([hidden])")
    }
}

impl Sealer {
    /// `purpose` is a constant of the caller's.
    ///
    /// # Errors
    /// [`WeakSecret`]
    pub fn new(secret: &str, purpose: &str) -> Result<Self, WeakSecret> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(WeakSecret);
        }
        let mut root: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| WeakSecret)?;
        root.update(b"tollbooth ");
        root.update(purpose.as_bytes());
        let key = root.finalize().into_bytes();
        Ok(Self(Hmac::new_from_slice(&key).map_err(|_| WeakSecret)?))
    }

    /// The signed text of a document.
    ///
    /// # Errors
    /// When the document has no JSON form.
    pub fn seal(&self, document: &impl Serialize) -> Result<String, serde_json::Error> {
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(document)?);
        let signature = URL_SAFE_NO_PAD.encode(self.signature(&body));
        Ok(format!("{body}.{signature}"))
    }

    /// The document of a signed text.
    ///
    /// # Errors
    /// [`BadSeal`]
    pub fn open<T: DeserializeOwned>(&self, text: &str) -> Result<T, BadSeal> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadSeal);
        }
        let (body, signature) = text.split_once('.').ok_or(BadSeal)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadSeal)?;
        let mut expected = self.0.clone();
        expected.update(body.as_bytes());
        expected.verify_slice(&signature).map_err(|_| BadSeal)?;
        // Parsed only now: what is signed was written here.
        let document = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadSeal)?;
        serde_json::from_slice(&document).map_err(|_| BadSeal)
    }

    /// A text that belongs to `subject` and that nobody else can compute.
    #[must_use]
    pub fn mark(&self, subject: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.signature(subject))
    }

    /// Whether `mark` is that of `subject`; takes as long whatever it is.
    #[must_use]
    pub fn is_mark(&self, subject: &str, mark: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(mark) else { return false };
        let mut expected = self.0.clone();
        expected.update(subject.as_bytes());
        expected.verify_slice(&given).is_ok()
    }

    fn signature(&self, text: &str) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_text_opens_for_its_secret_and_purpose_alone() {
        let sealer = Sealer::new(SECRET, "session").unwrap();
        let text = sealer.seal(&("acc_luna", 7)).unwrap();
        assert_eq!(sealer.open::<(String, u8)>(&text), Ok(("acc_luna".to_owned(), 7)));
        for (secret, purpose) in [(SECRET, "forward"), ("fedcba9876543210fedcba9876543210", "session")] {
            assert_eq!(Sealer::new(secret, purpose).unwrap().open::<(String, u8)>(&text), Err(BadSeal));
        }
        assert_eq!(Sealer::new("short", "session").unwrap_err(), WeakSecret);
    }

    #[test]
    fn any_changed_or_cut_character_is_noticed() {
        let sealer = Sealer::new(SECRET, "session").unwrap();
        let text = sealer.seal(&("acc_luna", 7)).unwrap();
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            // The last character of a base64 text has bits that mean nothing; strict decoding refuses those that are set.
            assert_eq!(sealer.open::<(String, u8)>(&forged), Err(BadSeal), "{at}");
            assert_eq!(sealer.open::<(String, u8)>(&text[..at]), Err(BadSeal), "{at}");
        }
        assert_eq!(sealer.open::<(String, u8)>(&"x".repeat(TEXT_BYTES_MAX + 1)), Err(BadSeal));
    }

    #[test]
    fn a_mark_is_of_its_subject_alone() {
        let sealer = Sealer::new(SECRET, "csrf").unwrap();
        let mark = sealer.mark("a session");
        assert!(sealer.is_mark("a session", &mark));
        assert!(
            !sealer.is_mark("another", &mark) && !sealer.is_mark("a session", "") && !sealer.is_mark("a session", "x")
        );
    }
}
