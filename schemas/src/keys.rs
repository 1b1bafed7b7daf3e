//! API keys: `tb_{bk|sk|ak}_{live|test}_<30 base62><6 base62 CRC32>`.
//!
//! The check digits let a scanner or a typo be told from a key without a look-up. A key has about 178 bits of
//! chance, so its SHA-256 is stored, no slow hash.

mod document;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use document::{KeyDocument, KeyRevocation, KeyState, KeyUse, Scope, registry_key, revocation_key};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 30;
const CHECK_CHARS: usize = 6;
/// Bytes of chance that [`ApiKey::generate`] takes.
pub const RANDOM_BYTES: usize = 64;
/// For secret scanners.
pub const PATTERN: &str = "tb_(bk|sk|ak)_(live|test)_[0-9A-Za-z]{36}";

/// Who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// `bk`: writes usage and holds of its own account.
    Booth,
    /// `sk`: reads its account, buys.
    Account,
    /// `ak`: everything.
    Admin,
}

impl KeyKind {
    /// The two letters in the key.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Booth => "bk",
            Self::Account => "sk",
            Self::Admin => "ak",
        }
    }
}

/// A key as its holder sends it. Shows no secret in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    kind: KeyKind,
    test: bool,
}

/// A text that is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form.
    #[error("is not an API key: it has the form tb_bk_live_... with 36 letters and digits at the end")]
    Form,
    /// Of the form, with wrong check digits.
    #[error("is not an API key: its check digits do not fit, so it was mistyped or cut")]
    Checksum,
}

impl ApiKey {
    /// Reads a key and checks its digits.
    ///
    /// # Errors
    /// [`KeyError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('_');
        let (Some("tb"), Some(kind), Some(mode), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(KeyError::Form);
        };
        let kind = match kind {
            "bk" => KeyKind::Booth,
            "sk" => KeyKind::Account,
            "ak" => KeyKind::Admin,
            _ => return Err(KeyError::Form),
        };
        let test = match mode {
            "live" => false,
            "test" => true,
            _ => return Err(KeyError::Form),
        };
        if secret.len() != RANDOM_CHARS.saturating_add(CHECK_CHARS)
            || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(KeyError::Form);
        }
        let (body, check) = text.split_at(text.len().saturating_sub(CHECK_CHARS));
        if check_digits(body) != check {
            return Err(KeyError::Checksum);
        }
        Ok(Self { text: text.to_owned(), kind, test })
    }

    /// Makes a key from chance. Bytes of 248 and above are skipped, so that every letter is equally likely.
    ///
    /// `None` where too many bytes were skipped: call again with other chance.
    #[must_use]
    pub fn generate(kind: KeyKind, test: bool, chance: &[u8; RANDOM_BYTES]) -> Option<Self> {
        let letters = chance.iter().filter(|byte| **byte < 248);
        let secret: String = letters.filter_map(|byte| base62(u32::from(*byte))).take(RANDOM_CHARS).collect();
        if secret.len() < RANDOM_CHARS {
            return None;
        }
        let mode = if test { "test" } else { "live" };
        let body = format!("tb_{}_{mode}_{secret}", kind.code());
        let text = format!("{body}{}", check_digits(&body));
        Some(Self { text, kind, test })
    }

    /// What it may do.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether it is a test key.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        self.test
    }

    /// The key itself: for its holder, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the key, hex: what is stored.
    #[must_use]
    pub fn hash(&self) -> String {
        Sha256::digest(&self.text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What may be shown: kind and mode, and the last four characters.
    #[must_use]
    pub fn hint(&self) -> (String, String) {
        let mode = if self.test { "test" } else { "live" };
        let last_four = self.text.get(self.text.len().saturating_sub(4)..).unwrap_or_default();
        (format!("tb_{}_{mode}", self.kind.code()), last_four.to_owned())
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (prefix, last_four) = self.hint();
        write!(f, "ApiKey({prefix}_...{last_four})")
    }
}

fn base62(value: u32) -> Option<char> {
    let index = usize::try_from(value.checked_rem(62)?).ok()?;
    BASE62.get(index).map(|byte| char::from(*byte))
}

fn check_digits(body: &str) -> String {
    let mut value = crc32fast::hash(body.as_bytes());
    let mut digits: Vec<char> = Vec::with_capacity(CHECK_CHARS);
    for _ in 0..CHECK_CHARS {
        digits.extend(base62(value));
        value = value.checked_div(62).unwrap_or_default();
    }
    digits.iter().rev().collect()
}
