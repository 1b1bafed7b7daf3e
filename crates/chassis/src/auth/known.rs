//! What is known of keys: documents, revocations, and which key took the place of which.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollbooth_schemas::ids::KeyId;
use tollbooth_schemas::keys::KeyDocument;

use super::{AuthError, KeyHash, Principal, now_ms};

/// How exactly a process remembers when a key was last used.
const USE_GRAIN_MS: i64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) by_hash: HashMap<KeyHash, Arc<Holder>>,
    pub(super) by_id: HashMap<KeyId, (KeyHash, KeyDocument)>,
    /// What was revoked, whether or not its document is known.
    revoked: HashMap<KeyId, i64>,
    /// The keys that took the place of one.
    successors: HashMap<KeyId, Vec<KeyId>>,
}

#[derive(Debug)]
pub(super) struct Holder {
    pub(super) principal: Arc<Principal>,
    revoked: bool,
    expires_at: Option<i64>,
    /// Milliseconds since the epoch; 0: not by this process.
    pub(super) used_at: AtomicI64,
    /// The last one that was told.
    pub(super) told_at: AtomicI64,
}

impl Holder {
    /// Who it is, if the key is taken now; that is a use of it.
    pub(super) fn admit(&self) -> Result<Arc<Principal>, AuthError> {
        if self.revoked {
            return Err(AuthError::Revoked);
        }
        let now_ms = now_ms();
        if self.expires_at.is_some_and(|expires_at| expires_at <= now_ms) {
            return Err(AuthError::Expired);
        }
        // Written once a second at most: a key that many requests share would else make the cores wait for each other.
        if now_ms.saturating_sub(self.used_at.load(Ordering::Relaxed)) >= USE_GRAIN_MS {
            self.used_at.store(now_ms, Ordering::Relaxed);
        }
        Ok(Arc::clone(&self.principal))
    }
}

impl Known {
    pub(super) fn put(&mut self, hash: KeyHash, mut document: KeyDocument) {
        let mut seen = (0, 0);
        if let Some((old_hash, old)) = self.by_id.get(&document.key_id) {
            // As a revocation, an end is never put off by a writer that does not know of it.
            document.expires_at = [old.expires_at, document.expires_at].into_iter().flatten().min();
            document.replaced_by = old.replaced_by.clone().or(document.replaced_by);
            let old_hash = *old_hash;
            if old_hash != hash {
                self.by_hash.remove(&old_hash);
            } else if let Some(holder) = self.by_hash.get(&hash) {
                seen = (holder.used_at.load(Ordering::Relaxed), holder.told_at.load(Ordering::Relaxed));
            }
        }
        let known_revoked_at = self.revoked.get(&document.key_id).copied();
        document.revoked_at = known_revoked_at.or(document.revoked_at).or_else(|| self.inherited(&document));
        let holder = Holder {
            principal: Arc::new(Principal::of(&document)),
            revoked: document.revoked_at.is_some(),
            expires_at: document.expires_at,
            used_at: AtomicI64::new(seen.0),
            told_at: AtomicI64::new(seen.1),
        };
        self.by_hash.insert(hash, Arc::new(holder));
        if let Some(replaced) = &document.replaces {
            let successors = self.successors.entry(replaced.clone()).or_default();
            if !successors.contains(&document.key_id) {
                successors.push(document.key_id.clone());
            }
        }
        let (key_id, revoked_at) = (document.key_id.clone(), document.revoked_at);
        self.by_id.insert(key_id.clone(), (hash, document));
        if let Some(revoked_at) = revoked_at {
            self.revoke(&key_id, revoked_at);
        }
    }

    /// Since when a key is refused because the one that it replaces was: only who did not know of the revocation rotates a
    /// revoked key.
    fn inherited(&self, document: &KeyDocument) -> Option<i64> {
        let revoked_at = self.revoked.get(document.replaces.as_ref()?).copied()?;
        (document.created_at >= revoked_at).then_some(revoked_at)
    }

    /// The first instant that is told of counts, and goes down the line of rotations.
    pub(super) fn revoke(&mut self, key_id: &KeyId, revoked_at: i64) {
        if self.revoked.contains_key(key_id) {
            return;
        }
        self.revoked.insert(key_id.clone(), revoked_at);
        if let Some((hash, document)) = self.by_id.get(key_id)
            && document.revoked_at.is_none()
        {
            let (hash, document) = (*hash, document.clone());
            self.put(hash, document);
        }
        for successor in self.successors.get(key_id).cloned().unwrap_or_default() {
            let known = self.by_id.get(&successor);
            if let Some(revoked_at) = known.and_then(|(_, document)| self.inherited(document)) {
                self.revoke(&successor, revoked_at);
            }
        }
    }

    pub(super) fn forget(&mut self, key_id: &str) {
        if let Some((hash, _)) = self.by_id.remove(key_id) {
            self.by_hash.remove(&hash);
        }
    }
}
