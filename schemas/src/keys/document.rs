//! Keys as they stand in topics: the document, what it may be narrowed to, and when it was last used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyKind;
use crate::{
    ids::{AccountId, BoothId, KeyId},
    time::{serde_rfc3339, serde_rfc3339_option},
};

/// What a key may be narrowed to. A document that names one which a release does not know is no document to it, so that
/// nobody gets more than was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reports usage.
    Usage,
    /// Places and voids holds.
    Holds,
    /// Reads: an account its own, an admin everything.
    Read,
    /// Buys credit.
    Purchases,
    /// Sets the recharge rule, alerts and webhooks.
    Settings,
    /// Makes portal tokens.
    PortalTokens,
    /// Opens accounts; sets plans, events and booths.
    Accounts,
    /// Adjustments, bonuses, refunds, plan fees and credit limits.
    Money,
    /// Publishes price books.
    Prices,
    /// Makes, rotates and revokes keys.
    Keys,
    /// Decides about dead letters.
    DeadLetters,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 11] = [
        Self::Usage,
        Self::Holds,
        Self::Read,
        Self::Purchases,
        Self::Settings,
        Self::PortalTokens,
        Self::Accounts,
        Self::Money,
        Self::Prices,
        Self::Keys,
        Self::DeadLetters,
    ];

    /// Those that a key of this kind can have: what it has without any.
    #[must_use]
    pub const fn of_kind(kind: KeyKind) -> &'static [Self] {
        match kind {
            KeyKind::Booth => &[Self::Usage, Self::Holds],
            KeyKind::Account => &[Self::Read, Self::Purchases, Self::Settings, Self::PortalTokens],
            KeyKind::Admin => &Self::ALL,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Holds => "holds",
            Self::Read => "read",
            Self::Purchases => "purchases",
            Self::Settings => "settings",
            Self::PortalTokens => "portal_tokens",
            Self::Accounts => "accounts",
            Self::Money => "money",
            Self::Prices => "prices",
            Self::Keys => "keys",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// A key as it stands in `registry` under the record key `key:<key_id>`. A revoked one stays revoked: a reader
/// ignores a later document of the same id that is not, and [`KeyRevocation`] says it once more where no document can
/// take it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyDocument {
    /// Public id.
    pub key_id: KeyId,
    /// What it may do.
    pub kind: KeyKind,
    /// SHA-256 of the key, hex.
    pub hash: String,
    /// `tb_bk_live`.
    pub prefix: String,
    /// Last four characters.
    pub last_four: String,
    /// The account it is bound to; none for an admin key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// The booth it is bound to, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booth_id: Option<BoothId>,
    /// What its holder calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was made.
    #[serde(with = "serde_rfc3339")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// From then on it is refused.
    #[serde(default, with = "serde_rfc3339_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub revoked_at: Option<i64>,
    /// From then on it is refused, too; never put off.
    #[serde(default, with = "serde_rfc3339_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<i64>,
    /// What it is narrowed to; empty: everything of its kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// The key that took its place when it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<KeyId>,
    /// The key whose place it took when that was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<KeyId>,
    /// The first key of its line of rotations; none: it is the first, or its line was rotated before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_key_id: Option<KeyId>,
}

/// A revocation as it stands in `registry` under the record key `key-revoked:<key_id>`, beside the key's document: the topic
/// keeps the last record of each key, and a rotation by a process that does not know of the revocation writes the document
/// once more. Nothing else writes under this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRevocation {
    /// The key that is refused.
    pub key_id: KeyId,
    /// Since when.
    #[serde(with = "serde_rfc3339")]
    #[schemars(with = "String")]
    pub revoked_at: i64,
    /// The keys that had taken its place and that whoever revoked it knew of: those are not meant. Any other successor is of a
    /// rotation that did not know of the revocation, and is refused as well, whatever the clocks say. None: written by a
    /// release that did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<Vec<KeyId>>,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is taken.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// As it is shown.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyDocument {
    /// Whether it is a test key.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.prefix.ends_with("_test")
    }

    /// What stays the same when it is rotated: the first key of its line.
    #[must_use]
    pub fn line(&self) -> &KeyId {
        self.first_key_id.as_ref().unwrap_or(&self.key_id)
    }

    /// Where it stands at an instant.
    #[must_use]
    pub fn state(&self, now_ms: i64) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|expires_at| expires_at <= now_ms) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }
}

/// When a key was last used, as it stands in `key-usage` under the key's id. What a process saw, told about once a minute:
/// of two records of a key the later instant counts, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyUse {
    /// The instant.
    #[serde(with = "serde_rfc3339")]
    #[schemars(with = "String")]
    pub last_used_at: i64,
}

/// The record key of a [`KeyDocument`].
#[must_use]
pub fn registry_key(key_id: &KeyId) -> String {
    format!("key:{key_id}")
}

/// The record key of a [`KeyRevocation`].
#[must_use]
pub fn revocation_key(key_id: &KeyId) -> String {
    format!("key-revoked:{key_id}")
}
