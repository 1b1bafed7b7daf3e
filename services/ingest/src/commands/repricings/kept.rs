//! Every re-pricing that was previewed, from `registry`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::repricing::{REGISTRY_KEY_PREFIX, RepricingDocument, RepricingState};
use tollbooth_schemas::time::DAY_MS;

use super::LATE_RETRY_AFTER_S;

/// Most that are kept.
const KEPT_MAX: usize = 1_000;
/// Charges are forgotten after 90 days: after twice that and a margin nothing of a re-pricing can be posted.
const USEFUL_MS: i64 = 200 * DAY_MS;

/// Every re-pricing that was previewed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repricings {
    documents: Arc<Mutex<BTreeMap<String, Arc<RepricingDocument>>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Repricings {
    /// One request works on a period at a time, so that the memory is that of one account.
    pub(super) fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Problem> {
        let busy = || Problem::unavailable(LATE_RETRY_AFTER_S).with_detail("another re-pricing is worked on");
        self.turn.try_lock().map_err(|_| busy())
    }

    /// Takes a record of `registry`; those of other documents are none of its.
    pub(crate) fn apply(&self, record_key: &[u8], payload: Option<&[u8]>) {
        let key = std::str::from_utf8(record_key).ok().and_then(|key| key.strip_prefix(REGISTRY_KEY_PREFIX));
        let Some(repricing_id) = key else { return };
        match payload.map(serde_json::from_slice::<RepricingDocument>) {
            None => drop(self.documents.lock().remove(repricing_id)),
            Some(Ok(document)) => self.insert(document),
            Some(Err(error)) => tracing::error!(repricing_id, %error, "a record of the registry is no re-pricing"),
        }
    }

    pub(super) fn insert(&self, document: RepricingDocument) {
        self.documents.lock().insert(document.repricing_id.clone(), Arc::new(document));
    }

    pub(super) fn get(&self, repricing_id: &str) -> Option<Arc<RepricingDocument>> {
        self.documents.lock().get(repricing_id).cloned()
    }

    /// Which one makes room for another: the oldest that was never applied, or one that can no longer be carried out.
    ///
    /// # Errors
    /// There is no such one.
    pub(super) fn makes_room(&self, now_ms: i64) -> Result<Option<Arc<RepricingDocument>>, Problem> {
        let documents = self.documents.lock();
        if documents.len() < KEPT_MAX {
            return Ok(None);
        }
        let oldest = |of: &dyn Fn(&RepricingDocument) -> bool| {
            documents.values().filter(|it| of(it)).min_by_key(|it| it.created_at_ms).cloned()
        };
        let found = oldest(&|it| it.state == RepricingState::Previewed)
            .or_else(|| oldest(&|it| now_ms.saturating_sub(it.created_at_ms) > USEFUL_MS));
        let full = || Problem::conflict(format!("{KEPT_MAX} re-pricings are kept, and each may be taken back yet"));
        found.map(Some).ok_or_else(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(number: usize, state: RepricingState) -> RepricingDocument {
        RepricingDocument {
            repricing_id: format!("rpr_{number}"),
            price_version: 2,
            from_ms: 0,
            to_ms: 1,
            state,
            reached: None,
            actor: String::new(),
            created_at_ms: i64::try_from(number).unwrap(),
            digest: String::new(),
            accounts: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_that_nobody_applied_makes_room_and_none_that_may_be_taken_back() {
        let repricings = Repricings::default();
        let forgets = |now_ms| repricings.makes_room(now_ms).map(|found| found.map(|it| it.repricing_id.clone()));
        for number in 1..KEPT_MAX {
            repricings.insert(document(number, RepricingState::Applied));
        }
        assert_eq!(forgets(0).unwrap(), None, "there is room");
        repricings.insert(document(KEPT_MAX, RepricingState::Previewed));
        assert_eq!(forgets(0).unwrap(), Some(format!("rpr_{KEPT_MAX}")));
        repricings.insert(document(KEPT_MAX, RepricingState::Undone));
        assert!(forgets(USEFUL_MS).is_err());
        assert_eq!(forgets(USEFUL_MS + 2).unwrap(), Some("rpr_1".to_owned()));
        // a tombstone is followed
        repricings.apply(b"repricing:rpr_1", None);
        assert_eq!(forgets(USEFUL_MS + 2).unwrap(), None);
    }
}
