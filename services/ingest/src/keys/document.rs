//! What is asked for about a key, what must be right about it, and a key as it is shown.

use serde::{Deserialize, Serialize};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ids::{AccountId, BoothId, KeyId};
use tollbooth_schemas::keys::{ApiKey, KeyDocument, KeyKind, Scope};
use tollbooth_schemas::time::rfc3339;

const LABEL_CHARS_MAX: usize = 200;
/// 1 minute to 10 years.
const LIFE_S: std::ops::RangeInclusive<u64> = 60..=315_360_000;
/// 30 days: as long as a fleet may take to get its new key.
const OVERLAP_S_MAX: u64 = 2_592_000;
const OVERLAP_S_DEFAULT: u64 = 86_400;

/// `POST /v1/keys`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    pub(super) kind: KeyKind,
    #[serde(default)]
    pub(super) account_id: Option<AccountId>,
    #[serde(default)]
    pub(super) booth_id: Option<BoothId>,
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) test: bool,
    /// Absent or empty: everything of its kind.
    #[serde(default)]
    pub(super) scopes: Vec<Scope>,
    /// In seconds; absent: it does not expire.
    #[serde(default)]
    pub(super) expires_in: Option<u64>,
}

/// `POST /v1/keys/{key_id}/rotate`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the key that is replaced is taken beside the new one; 0: it ends at once.
    #[serde(default = "overlap_default")]
    overlap_seconds: u64,
}

const fn overlap_default() -> u64 {
    OVERLAP_S_DEFAULT
}

impl NewKey {
    pub(super) fn check(&self) -> Result<(), Problem> {
        match (self.kind, &self.account_id) {
            (KeyKind::Booth | KeyKind::Account, None) => return wrong("/account_id", "is missing: name the account"),
            (KeyKind::Admin, Some(_)) => {
                return wrong("/account_id", "must be absent: an admin key is bound to no account");
            }
            _ => {}
        }
        if self.booth_id.is_some() && self.kind != KeyKind::Booth {
            return wrong("/booth_id", "is for booth keys only");
        }
        let label = self.label.as_deref().unwrap_or_default();
        if label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
            return wrong("/label", "must be at most 200 printable characters");
        }
        let possible = Scope::of_kind(self.kind);
        if !self.scopes.iter().all(|scope| possible.contains(scope)) {
            let known: Vec<&str> = possible.iter().map(|scope| scope.code()).collect();
            return wrong("/scopes", &format!("must be of {} for a key of this kind", known.join(", ")));
        }
        if self.expires_in.is_some_and(|life_s| !LIFE_S.contains(&life_s)) {
            return wrong("/expires_in", &format!("must be {} to {} seconds", LIFE_S.start(), LIFE_S.end()));
        }
        Ok(())
    }
}

impl Rotation {
    /// In milliseconds.
    pub(super) fn overlap_ms(&self) -> Result<i64, Problem> {
        if self.overlap_seconds > OVERLAP_S_MAX {
            wrong("/overlap_seconds", &format!("must be 0 to {OVERLAP_S_MAX}"))?;
        }
        Ok(life_ms(self.overlap_seconds))
    }
}

/// Seconds within one of the bounds above, in milliseconds.
pub(super) fn life_ms(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

fn wrong(pointer: &str, detail: &str) -> Result<(), Problem> {
    Err(Problem::invalid(format!("{pointer}: {detail}")).with_error(pointer, detail))
}

/// A key as it is shown: never its hash.
#[derive(Debug, Serialize)]
pub(super) struct KeyView {
    /// The same as `key_id`, by the name that lists have at query.
    id: KeyId,
    key_id: KeyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    kind: KeyKind,
    prefix: String,
    last_four: String,
    account_id: Option<AccountId>,
    booth_id: Option<BoothId>,
    label: Option<String>,
    scopes: Vec<Scope>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// The key that took its place.
    replaced_by: Option<KeyId>,
}

impl KeyView {
    pub(super) fn of(document: KeyDocument, key: Option<&ApiKey>) -> Self {
        Self {
            id: document.key_id.clone(),
            key_id: document.key_id,
            key: key.map(|key| key.reveal().to_owned()),
            kind: document.kind,
            prefix: document.prefix,
            last_four: document.last_four,
            account_id: document.account_id,
            booth_id: document.booth_id,
            label: document.label,
            scopes: document.scopes,
            created_at: rfc3339(document.created_at),
            expires_at: document.expires_at.map(rfc3339),
            revoked_at: document.revoked_at.map(rfc3339),
            replaced_by: document.replaced_by,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct KeyList {
    pub(super) data: Vec<KeyView>,
    pub(super) has_more: bool,
    pub(super) next_cursor: Option<String>,
}
