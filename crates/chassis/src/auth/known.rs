//! What is known of keys: documents, revocations, and which key took the place of which.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollbooth_schemas::ids::KeyId;
use tollbooth_schemas::keys::{KeyDocument, KeyRevocation};

use super::{AuthError, KeyHash, Principal, now_ms};

/// How exactly a process remembers when a key was last used.
const USE_GRAIN_MS: i64 = 1_000;
/// Rotations of one key that are followed back: beyond it none is refused for the first.
const LINE_KEYS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) by_hash: HashMap<KeyHash, Arc<Holder>>,
    pub(super) by_id: HashMap<KeyId, (KeyHash, KeyDocument)>,
    /// What was revoked, whether or not its document is known.
    revoked: HashMap<KeyId, Revoked>,
    /// The keys that took the place of one.
    successors: HashMap<KeyId, Vec<KeyId>>,
}

/// What is told of a revocation.
#[derive(Debug)]
struct Revoked {
    at: i64,
    /// As in [`KeyRevocation`].
    spares: Option<Vec<KeyId>>,
}

impl Revoked {
    /// Whether a key that took the place of the revoked one is refused with it. A release of before did not say whom it knew:
    /// then the clocks of two processes decide.
    fn means(&self, successor: &KeyDocument) -> bool {
        match &self.spares {
            Some(spares) => !spares.contains(&successor.key_id),
            None => successor.created_at >= self.at,
        }
    }
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
        let key_id = document.key_id.clone();
        if let Some((old_hash, old)) = self.by_id.get(&key_id) {
            // As a revocation, an end is never put off by a writer that does not know of it.
            document.expires_at = [old.expires_at, document.expires_at].into_iter().flatten().min();
            document.replaced_by = old.replaced_by.clone().or(document.replaced_by);
            let old_hash = *old_hash;
            if old_hash != hash {
                self.by_hash.remove(&old_hash);
            }
        }
        if let Some(revoked_at) = document.revoked_at {
            self.revoked.entry(key_id.clone()).or_insert(Revoked { at: revoked_at, spares: None });
        }
        if let Some(replaced) = &document.replaces {
            let successors = self.successors.entry(replaced.clone()).or_default();
            if !successors.contains(&key_id) {
                successors.push(key_id.clone());
            }
        }
        self.by_id.insert(key_id.clone(), (hash, document));
        self.judge_line(&key_id);
    }

    /// The first instant that is told of counts, and the last word on who is not meant.
    pub(super) fn revoke(&mut self, revocation: &KeyRevocation) {
        let told = Revoked { at: revocation.revoked_at, spares: None };
        let revoked = self.revoked.entry(revocation.key_id.clone()).or_insert(told);
        if revocation.spares.is_some() {
            revoked.spares.clone_from(&revocation.spares);
        }
        self.judge_line(&revocation.key_id);
    }

    pub(super) fn successors_of(&self, key_id: &str) -> Vec<KeyId> {
        self.successors.get(key_id).cloned().unwrap_or_default()
    }

    /// Judges a key anew, and all that took its place: a function of everything that is known, in whatever order it came.
    fn judge_line(&mut self, key_id: &KeyId) {
        let (mut left, mut seen) = (vec![key_id.clone()], HashSet::new());
        while let Some(key_id) = left.pop() {
            if !seen.insert(key_id.clone()) {
                continue;
            }
            left.extend(self.successors_of(key_id.as_str()));
            let revoked_at = self.refused_since(&key_id);
            let Some((hash, document)) = self.by_id.get_mut(&key_id) else { continue };
            document.revoked_at = revoked_at;
            let seen = self.by_hash.get(hash).map_or((0, 0), |holder| {
                (holder.used_at.load(Ordering::Relaxed), holder.told_at.load(Ordering::Relaxed))
            });
            let holder = Holder {
                principal: Arc::new(Principal::of(document)),
                revoked: revoked_at.is_some(),
                expires_at: document.expires_at,
                used_at: AtomicI64::new(seen.0),
                told_at: AtomicI64::new(seen.1),
            };
            self.by_hash.insert(*hash, Arc::new(holder));
        }
    }

    /// Since when a key is refused: it was revoked, or one before it in its line was, and the rotation after that did not
    /// know of it.
    fn refused_since(&self, key_id: &KeyId) -> Option<i64> {
        let mut at = key_id;
        // A line has no loop, whatever somebody writes.
        for _ in 0..LINE_KEYS_MAX {
            if let Some(revoked) = self.revoked.get(at) {
                return Some(revoked.at);
            }
            let (_, document) = self.by_id.get(at)?;
            let replaced = document.replaces.as_ref()?;
            if let Some(revoked) = self.revoked.get(replaced) {
                return revoked.means(document).then_some(revoked.at);
            }
            at = replaced;
        }
        None
    }

    pub(super) fn forget(&mut self, key_id: &str) {
        if let Some((hash, _)) = self.by_id.remove(key_id) {
            self.by_hash.remove(&hash);
        }
    }
}
