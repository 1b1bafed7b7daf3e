//! API keys at the door: the ring of known keys, fed from `registry`, and the check of a request against it.
//!
//! Keys are looked up by their SHA-256; the map is keyed by digest, so the time of a look-up tells nothing about a key
//! that an attacker could use. A revoked key stays revoked, whatever document comes later: `registry` is read in order,
//! but a stale writer must not bring a key back, nor give it a successor, and who reads the topic after it was compacted
//! must judge as who saw every record of it.

mod known;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, header};
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tollbooth_schemas::ids::{AccountId, BoothId, KeyId};
use tollbooth_schemas::keys::{ApiKey, KeyDocument, KeyError, KeyKind, KeyRevocation, Scope};

use crate::forward::{self, ForwardError, Forwarding};
use crate::kafka::table::{NotCurrent, TopicTable};
use crate::problem::Problem;
use known::Known;

/// What the record keys of key documents in `registry` begin with.
pub const REGISTRY_KEY_PREFIX: &str = "key:";
/// What the record keys of revocations in `registry` begin with.
pub const REVOCATION_KEY_PREFIX: &str = "key-revoked:";
/// Id of the admin key that comes from configuration. It is never in `registry` and cannot be revoked there.
pub const ROOT_KEY_ID: &str = "key_root";

/// How long ago `registry` may have been read to its end for keys to be judged by it; a revocation is honoured within
/// this time, whatever happens to the broker.
pub const KEYS_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Seconds after which a request is worth repeating while `registry` cannot be read.
const RETRY_AFTER_S: u32 = 1;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Public id of the key.
    pub key_id: KeyId,
    /// What it may do.
    pub kind: KeyKind,
    /// The account it is bound to; none for an admin key.
    pub account_id: Option<AccountId>,
    /// The booth it is bound to, if one.
    pub booth_id: Option<BoothId>,
    /// What it is narrowed to; empty: everything of its kind.
    pub scopes: Vec<Scope>,
    /// Whether it is a test key.
    pub is_test: bool,
    /// What a rotation keeps, see [`KeyDocument::line`].
    pub line: KeyId,
}

impl Principal {
    fn of(document: &KeyDocument) -> Self {
        Self {
            key_id: document.key_id.clone(),
            kind: document.kind,
            account_id: document.account_id.clone(),
            booth_id: document.booth_id.clone(),
            scopes: document.scopes.clone(),
            is_test: document.is_test(),
            line: document.line().clone(),
        }
    }

    /// Whether the key is not narrowed to what this does not belong to. Whether its kind can do it at all is another
    /// question.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.is_empty() || self.scopes.contains(&scope)
    }

    /// As [`has`](Self::has), as an answer.
    ///
    /// # Errors
    /// 403
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.has(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("the key's scopes do not include {}", scope.code())))
    }

    /// Whether a key with these scopes could do nothing that this one cannot. For who makes keys: nobody may give away
    /// what they do not have.
    #[must_use]
    pub fn covers(&self, kind: KeyKind, scopes: &[Scope]) -> bool {
        let wanted = if scopes.is_empty() { Scope::of_kind(kind) } else { scopes };
        wanted.iter().all(|scope| self.has(*scope))
    }

    /// Whether it may do everything.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.kind == KeyKind::Admin
    }

    /// Whether it may see or write `account_id`: its own, or any with an admin key.
    #[must_use]
    pub fn may_access(&self, account_id: &str) -> bool {
        self.is_admin() || self.account_id.as_ref().is_some_and(|own| own.as_str() == account_id)
    }
}

/// Why a request has no principal. All of them are 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization` header, or one that is not `Bearer`.
    #[error("send the key as Authorization: Bearer tb_...")]
    Missing,
    /// The text cannot be a key; nothing was looked up.
    #[error("the text sent {0}")]
    Malformed(#[from] KeyError),
    /// No such key.
    #[error("the key is not known")]
    Unknown,
    /// The key was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// The key's time is over: it was made for so long, or was rotated.
    #[error("the key has expired")]
    Expired,
    /// What another service said of somebody cannot be believed.
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        Self::unauthenticated(error.to_string())
    }
}

/// The configured first admin key is not one.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// Not a key at all.
    #[error("admin_key {0}")]
    Malformed(#[from] KeyError),
    /// A key of another kind.
    #[error("admin_key must be an admin key (tb_ak_...), not tb_{0}_...")]
    Kind(&'static str),
    /// Cannot happen: the id is a constant.
    #[error("admin_key: {0}")]
    Id(#[from] tollbooth_schemas::IdError),
}

/// A record under the key of a key document or of a revocation that is none.
#[derive(Debug, thiserror::Error)]
pub enum KeyRecordError {
    /// Not the JSON of a [`KeyDocument`] or of a [`KeyRevocation`].
    #[error("is not a key document or a revocation: {0}")]
    Json(#[from] serde_json::Error),
    /// The record's key names another id than the document.
    #[error("is the document of {0}")]
    OtherId(KeyId),
    /// `hash` is not 64 hex digits.
    #[error("holds no SHA-256")]
    Hash,
}

type KeyHash = [u8; 32];

/// All keys this process knows. Cloning gives another handle to the same ring.
#[derive(Debug, Clone)]
pub struct KeyRing(Arc<Ring>);

#[derive(Debug)]
struct Ring {
    root: Option<(KeyHash, Arc<Principal>)>,
    known: RwLock<Known>,
}

impl KeyRing {
    /// An empty ring. `root` is the first admin key of the configuration; empty means none.
    ///
    /// # Errors
    /// When `root` is not an admin key.
    pub fn new(root: &str) -> Result<Self, RootKeyError> {
        let root = if root.is_empty() {
            None
        } else {
            let key = ApiKey::parse(root)?;
            if key.kind() != KeyKind::Admin {
                return Err(RootKeyError::Kind(key.kind().code()));
            }
            let principal = Principal {
                scopes: Vec::new(),
                key_id: ROOT_KEY_ID.parse()?,
                kind: KeyKind::Admin,
                account_id: None,
                booth_id: None,
                is_test: key.is_test(),
                line: ROOT_KEY_ID.parse()?,
            };
            Some((digest(root), Arc::new(principal)))
        };
        Ok(Self(Arc::new(Ring { root, known: RwLock::default() })))
    }

    /// Takes one record of `registry`. Records that are neither key documents nor revocations are ignored and `false` is
    /// returned.
    ///
    /// A tombstone of a document revokes: a reader that starts later will not know the key either. One of a revocation, which
    /// nobody writes, takes nothing back.
    ///
    /// # Errors
    /// When the record stands under the key of one of them and is none; the ring is as it was.
    pub fn apply(&self, record_key: &[u8], payload: Option<&[u8]>) -> Result<bool, KeyRecordError> {
        let Ok(record_key) = std::str::from_utf8(record_key) else { return Ok(false) };
        if let Some(key_id) = record_key.strip_prefix(REVOCATION_KEY_PREFIX) {
            let Some(payload) = payload else { return Ok(true) };
            let revocation: KeyRevocation = serde_json::from_slice(payload)?;
            ensure_same(key_id, &revocation.key_id)?;
            self.revoke(&revocation);
            return Ok(true);
        }
        let Some(key_id) = record_key.strip_prefix(REGISTRY_KEY_PREFIX) else { return Ok(false) };
        let Some(payload) = payload else {
            self.0.known.write().forget(key_id);
            return Ok(true);
        };
        let document: KeyDocument = serde_json::from_slice(payload)?;
        ensure_same(key_id, &document.key_id)?;
        self.insert(document)?;
        Ok(true)
    }

    /// Takes a revocation, as [`apply`](Self::apply) does: of the key, and of what took its place by a rotation that did not
    /// know of it.
    pub fn revoke(&self, revocation: &KeyRevocation) {
        self.0.known.write().revoke(revocation);
    }

    /// Takes one document, as [`apply`](Self::apply) does.
    ///
    /// # Errors
    /// When its hash is not one.
    pub fn insert(&self, document: KeyDocument) -> Result<(), KeyRecordError> {
        let hash = parse_hash(&document.hash).ok_or(KeyRecordError::Hash)?;
        if document.key_id.as_str() != ROOT_KEY_ID {
            self.0.known.write().put(hash, document);
        }
        Ok(())
    }

    /// Who holds `key`. The check digits are tested before anything is looked up.
    ///
    /// # Errors
    /// [`AuthError`], never [`AuthError::Missing`].
    pub fn authenticate(&self, key: &str) -> Result<Arc<Principal>, AuthError> {
        ApiKey::parse(key)?;
        let hash = digest(key);
        if let Some((root, principal)) = &self.0.root
            && *root == hash
        {
            return Ok(Arc::clone(principal));
        }
        match self.0.known.read().by_hash.get(&hash) {
            None => Err(AuthError::Unknown),
            Some(holder) => holder.admit(),
        }
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// [`AuthError`]
    pub fn authenticate_headers(&self, headers: &HeaderMap) -> Result<Arc<Principal>, AuthError> {
        self.authenticate(bearer(headers).ok_or(AuthError::Missing)?)
    }

    /// Who holds the key of this id, and the key's mark: tells it from another key of the same id.
    ///
    /// # Errors
    /// [`AuthError::Unknown`], [`AuthError::Revoked`], [`AuthError::Expired`].
    pub fn holder(&self, key_id: &str) -> Result<(Arc<Principal>, String), AuthError> {
        if key_id == ROOT_KEY_ID {
            let (hash, principal) = self.0.root.as_ref().ok_or(AuthError::Unknown)?;
            return Ok((Arc::clone(principal), mark_of(hash)));
        }
        let known = self.0.known.read();
        let (hash, _) = known.by_id.get(key_id).ok_or(AuthError::Unknown)?;
        match known.by_hash.get(hash) {
            None => Err(AuthError::Unknown),
            Some(holder) => Ok((holder.admit()?, mark_of(hash))),
        }
    }

    /// Keys that were used here since that was last told, and when: what [`told`](Self::told) takes.
    #[must_use]
    pub fn untold_uses(&self) -> Vec<(KeyId, i64)> {
        let known = self.0.known.read();
        let used = known.by_hash.values().filter_map(|holder| {
            let used_at = holder.used_at.load(Ordering::Relaxed);
            let is_new = used_at > holder.told_at.load(Ordering::Relaxed);
            is_new.then(|| (holder.principal.key_id.clone(), used_at))
        });
        used.collect()
    }

    /// Everybody knows of these uses.
    pub fn told(&self, uses: &[(KeyId, i64)]) {
        let known = self.0.known.read();
        for (key_id, used_at) in uses {
            let holder = known.by_id.get(key_id).and_then(|(hash, _)| known.by_hash.get(hash));
            if let Some(holder) = holder {
                holder.told_at.fetch_max(*used_at, Ordering::Relaxed);
            }
        }
    }

    /// When this process saw a key last, milliseconds since the epoch.
    #[must_use]
    pub fn last_used(&self, key_id: &str) -> Option<i64> {
        let known = self.0.known.read();
        let (hash, _) = known.by_id.get(key_id)?;
        let used_at = known.by_hash.get(hash)?.used_at.load(Ordering::Relaxed);
        (used_at > 0).then_some(used_at)
    }

    /// The keys that took the place of one, as far as this process knows.
    #[must_use]
    pub fn successors(&self, key_id: &str) -> Vec<KeyId> {
        self.0.known.read().successors_of(key_id)
    }

    /// The document of one key.
    #[must_use]
    pub fn document(&self, key_id: &str) -> Option<KeyDocument> {
        self.0.known.read().by_id.get(key_id).map(|(_, document)| document.clone())
    }

    /// All documents, oldest first.
    #[must_use]
    pub fn documents(&self) -> Vec<KeyDocument> {
        self.documents_where(|_| true)
    }

    /// Those documents that are asked for, oldest first.
    #[must_use]
    pub fn documents_where(&self, is_asked_for: impl Fn(&KeyDocument) -> bool) -> Vec<KeyDocument> {
        let known = self.0.known.read();
        let found = known.by_id.values().map(|(_, document)| document).filter(|document| is_asked_for(document));
        let mut documents: Vec<KeyDocument> = found.cloned().collect();
        drop(known);
        documents.sort_by(|a, b| (a.created_at, &a.key_id).cmp(&(b.created_at, &b.key_id)));
        documents
    }
}

/// The door of a service: the ring, and the reader of `registry` that feeds it.
///
/// A key is judged by what is known of it, so that has to be recent: while `registry` was not read to its end yet, or was
/// not within the age that is allowed, or cannot be followed any more, every key but the configured one is answered with
/// 503. Its making or its revocation may stand further on.
#[derive(Debug)]
pub struct Gate {
    keys: KeyRing,
    registry: TopicTable,
    age_max: Duration,
    /// `None`: no other service may speak for somebody.
    forwarding: Option<Forwarding>,
}

impl Gate {
    /// `keys` is fed by `registry`. `age_max` is [`KEYS_AGE_MAX`] unless a test says otherwise.
    #[must_use]
    pub fn new(keys: KeyRing, registry: TopicTable, age_max: Duration) -> Self {
        Self { keys, registry, age_max, forwarding: None }
    }

    /// Also lets in whom another service has recognized, see [`crate::forward`].
    #[must_use]
    pub fn with_forwarding(self, forwarding: Forwarding) -> Self {
        Self { forwarding: Some(forwarding), ..self }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Whether the ring is all that `registry` says, as of at most the age that is allowed.
    ///
    /// # Errors
    /// 503 with `Retry-After`.
    pub fn ensure_current(&self) -> Result<(), Problem> {
        let detail = match self.registry.ensure_current(self.age_max) {
            Ok(()) => return Ok(()),
            Err(NotCurrent::Reading) => "keys are being read",
            Err(NotCurrent::Stale(_)) => "keys could not be read for too long",
            Err(NotCurrent::Failed(_)) => "keys cannot be read any more: this process is about to end",
        };
        Err(Problem::unavailable(RETRY_AFTER_S).with_detail(detail))
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// 401 for no key, for what can be none, and for one that is not known or revoked; 503 as of
    /// [`ensure_current`](Self::ensure_current).
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
        if let Some(token) = bearer(headers).filter(|text| text.starts_with(forward::PREFIX)) {
            return self.authenticate_forwarded(token);
        }
        self.authenticate_key(bearer(headers).ok_or(AuthError::Missing)?)
    }

    /// Who holds a key, as [`authenticate`](Self::authenticate) does.
    ///
    /// # Errors
    /// 401 and 503.
    pub fn authenticate_key(&self, key: &str) -> Result<Arc<Principal>, Problem> {
        // Asked first: a key looked up after the end was reached is judged by the whole registry.
        let current = self.ensure_current();
        match self.keys.authenticate(key) {
            Ok(principal) if principal.key_id.as_str() == ROOT_KEY_ID => Ok(principal),
            Err(error @ (AuthError::Missing | AuthError::Malformed(_))) => Err(error.into()),
            outcome => current.and_then(|()| Ok(outcome?)),
        }
    }

    /// Who holds the key of this id, if it is still the one with this mark (see [`KeyRing::holder`]).
    ///
    /// # Errors
    /// 401 where it is revoked, not known or another one; 503 as of [`ensure_current`](Self::ensure_current).
    pub fn holder(&self, key_id: &str, mark: &str) -> Result<Arc<Principal>, Problem> {
        let current = self.ensure_current();
        if key_id != ROOT_KEY_ID {
            current?;
        }
        let (principal, known_mark) = self.keys.holder(key_id)?;
        if known_mark == mark { Ok(principal) } else { Err(AuthError::Unknown.into()) }
    }

    /// What the text says of kind and account must be what the key's document says: one of the two services may be behind.
    fn authenticate_forwarded(&self, token: &str) -> Result<Arc<Principal>, Problem> {
        let forwarding = self.forwarding.as_ref().ok_or(AuthError::Forward(ForwardError::Off))?;
        let claims = forwarding.read(token, now_ms()).map_err(AuthError::Forward)?;
        let principal = self.holder(claims.key_id.as_str(), &claims.mark)?;
        let is_as_said = principal.kind == claims.kind && principal.account_id == claims.account_id;
        // Nobody signs in with a booth's key.
        if is_as_said && principal.kind != KeyKind::Booth { Ok(principal) } else { Err(AuthError::Unknown.into()) }
    }
}

/// The text after `Bearer`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, text) = value.split_once(' ')?;
    // RFC 9110, 11.1: the scheme is case-insensitive.
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

/// Eight bytes of a key's hash, which say nothing of the key.
fn mark_of(hash: &KeyHash) -> String {
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn ensure_same(key_id: &str, of_document: &KeyId) -> Result<(), KeyRecordError> {
    if of_document.as_str() == key_id { Ok(()) } else { Err(KeyRecordError::OtherId(of_document.clone())) }
}

fn digest(key: &str) -> KeyHash {
    Sha256::digest(key).into()
}

fn parse_hash(hex: &str) -> Option<KeyHash> {
    let mut hash = KeyHash::default();
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
