//! Prefixed ids: `acc_luna`, `evt_gala`, `bth_17`.

use std::{borrow::Borrow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

/// Longest part after the prefix.
pub const ID_BODY_CHARS_MAX: usize = 64;
/// Longest operation id.
pub const OPERATION_ID_CHARS_MAX: usize = 128;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {prefix} and 1 to 64 letters, digits, _ or -")]
pub struct IdError {
    /// The prefix that was expected, with its underscore.
    pub prefix: &'static str,
}

/// Whether `text` is `prefix` and 1 to 64 characters of `[A-Za-z0-9_-]`.
#[must_use]
pub fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|body| {
        (1..=ID_BODY_CHARS_MAX).contains(&body.len())
            && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    })
}

/// Whether `text` can be an operation id: 1 to 128 printable characters.
#[must_use]
pub fn is_operation_id(text: &str) -> bool {
    if text.is_ascii() {
        return (1..=OPERATION_ID_CHARS_MAX).contains(&text.len()) && !text.bytes().any(|byte| byte.is_ascii_control());
    }
    (1..=OPERATION_ID_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_id(text, $prefix) { Ok(Self(text.into())) } else { Err(IdError { prefix: $prefix }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "[A-Za-z0-9_-]{1,64}$"),
                })
            }
        }
    };
}

id!(/// Who pays; the key of every keyed topic.
    AccountId, "acc_");
id!(/// The party a booth is hired for.
    EventId, "evt_");
id!(/// A device.
    BoothId, "bth_");
id!(/// Money authorized and not yet captured.
    HoldId, "hld_");
id!(/// An API key; the id is public, the key itself is shown once.
    KeyId, "key_");

/// The public id of a ledger entry, `ent_<account>_<seq>`; derived, never stored.
#[must_use]
pub fn entry_id(account_id: &str, seq: u64) -> String {
    format!("ent_{account_id}_{seq}")
}

/// Account and seq of an [`entry_id`]; `None` for any other text.
#[must_use]
pub fn parse_entry_id(text: &str) -> Option<(AccountId, u64)> {
    let (account, seq) = text.strip_prefix("ent_")?.rsplit_once('_')?;
    let canonical = !seq.starts_with('0') && seq.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { Some((account.parse().ok()?, seq.parse().ok()?)) } else { None }
}

/// The account id of an opening that names none: a function of who asks and the request's `Idempotency-Key`,
/// so that a retry reaches the same partition. `line` is that of the asking key (see
/// [`KeyDocument::line`](crate::keys::KeyDocument::line)): a retry with the key's successor opens no second account.
#[must_use]
pub fn derived_account_id(line: &str, idempotency_key: &str) -> AccountId {
    AccountId(derived("acc_", line, idempotency_key).into())
}

/// The id of a hold that is placed without one: a function of the account and the request's `Idempotency-Key`.
#[must_use]
pub fn derived_hold_id(account_id: &AccountId, idempotency_key: &str) -> HoldId {
    HoldId(derived("hld_", account_id.as_str(), idempotency_key).into())
}

/// The id of a payment: a function of the account and the request's `Idempotency-Key`, so that a retry is the same payment
/// at the provider and in the ledger.
#[must_use]
pub fn derived_payment_id(account_id: &AccountId, idempotency_key: &str) -> String {
    derived("pay_", account_id.as_str(), idempotency_key)
}

/// Whether a text can be the id of a purchase, as [`derived_payment_id`] makes it: only then it may become part of what is
/// asked of somebody else.
#[must_use]
pub fn is_purchase_id(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("pay_").is_some_and(|hex| hex.len() == 24 && hex.bytes().all(is_hex))
}

/// The id of a recharge and of its payment: a function of the account and the `seq` of the entry that asks for it.
#[must_use]
pub fn recharge_id(account_id: &str, seq: u64) -> String {
    derived("rch_", account_id, &seq.to_string())
}

fn derived(prefix: &str, of: &str, idempotency_key: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(of).chain_update([0]).chain_update(idempotency_key).finalize();
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{hex}")
}
