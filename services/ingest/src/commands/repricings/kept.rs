//! Every re-pricing that was previewed, from `registry`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::repricing::{REGISTRY_KEY_PREFIX, RepricingDocument, RepricingState};
use tollbooth_schemas::time::DAY_MS;

use super::LATE_RETRY_AFTER_S;

/// Most that are kept.
const KEPT_MAX: usize = 1_000;
/// For so long a preview is somebody's who may be about to apply it, wherever that is.
const FRESH_MS: i64 = 3_600_000;
/// Charges are forgotten after 90 days: after twice that and a margin nothing of a re-pricing can be posted.
const USEFUL_MS: i64 = 200 * DAY_MS;

/// Every re-pricing that was previewed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repricings {
    documents: Arc<Mutex<BTreeMap<String, Arc<RepricingDocument>>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Repricings {
    /// One request works on a period at a time, so that the charges in memory are those of one account.
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

    /// One that is being taken back stays so: who still applied it wrote down how far, and did not know.
    pub(super) fn insert(&self, document: RepricingDocument) {
        let mut documents = self.documents.lock();
        let known = documents.get(&document.repricing_id).map_or(0, |known| stage(known.state));
        if known <= stage(document.state) {
            documents.insert(document.repricing_id.clone(), Arc::new(document));
        }
    }

    pub(super) fn get(&self, repricing_id: &str) -> Option<Arc<RepricingDocument>> {
        self.documents.lock().get(repricing_id).cloned()
    }

    /// The newest, or those before `before`.
    pub(super) fn newest(&self, before: Option<&Cursor>, limit: usize) -> Vec<Arc<RepricingDocument>> {
        let mut documents: Vec<_> = self.documents.lock().values().cloned().collect();
        documents.retain(|it| before.is_none_or(|before| Cursor::of(it) < *before));
        documents.sort_unstable_by_key(|it| std::cmp::Reverse(Cursor::of(it)));
        documents.truncate(limit);
        documents
    }

    /// Which one makes room for another: the oldest that was not applied within an hour, or one that can no longer be
    /// carried out.
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
        let is_left = |it: &RepricingDocument| now_ms.saturating_sub(it.created_at_ms) > FRESH_MS;
        let found = oldest(&|it| it.state == RepricingState::Previewed && is_left(it))
            .or_else(|| oldest(&|it| now_ms.saturating_sub(it.created_at_ms) > USEFUL_MS));
        let full = || Problem::conflict(format!("{KEPT_MAX} re-pricings are kept, and each may be taken back yet"));
        found.map(Some).ok_or_else(full)
    }
}

/// Where a page of the list ends. It needs no document: one that was forgotten meanwhile leaves no gap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    created_at_ms: i64,
    repricing_id: String,
}

impl Cursor {
    pub(super) fn of(document: &RepricingDocument) -> Self {
        Self { created_at_ms: document.created_at_ms, repricing_id: document.repricing_id.clone() }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_at_ms, self.repricing_id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (created_at_ms, repricing_id) = text.split_once('.').ok_or(())?;
        Ok(Self { created_at_ms: created_at_ms.parse().map_err(drop)?, repricing_id: repricing_id.to_owned() })
    }
}

/// None goes back to an earlier one.
const fn stage(state: RepricingState) -> u8 {
    match state {
        RepricingState::Previewed => 0,
        RepricingState::Applying | RepricingState::Applied => 1,
        RepricingState::Undoing | RepricingState::Undone => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_not_applied_again_by_a_late_note() {
        let repricings = Repricings::default();
        let state = || repricings.get("rpr_1").map(|document| document.state);
        for (told, stands) in [
            (RepricingState::Applying, RepricingState::Applying),
            (RepricingState::Undoing, RepricingState::Undoing),
            (RepricingState::Applying, RepricingState::Undoing),
            (RepricingState::Applied, RepricingState::Undoing),
            (RepricingState::Undone, RepricingState::Undone),
            (RepricingState::Undoing, RepricingState::Undoing),
        ] {
            let payload = serde_json::to_vec(&document(1, told)).unwrap();
            repricings.apply(b"repricing:rpr_1", Some(&payload));
            assert_eq!(state(), Some(stands), "{told:?}");
        }
    }

    fn document(number: usize, state: RepricingState) -> RepricingDocument {
        RepricingDocument {
            repricing_id: format!("rpr_{number}"),
            price_version: 2,
            from_ms: 0,
            to_ms: 1,
            state,
            reached: None,
            reason: None,
            undo_reason: None,
            actor: String::new(),
            created_at_ms: i64::try_from(number).unwrap(),
            digest: String::new(),
            accounts: Vec::new(),
        }
    }

    #[test]
    fn the_newest_are_listed_first_and_a_page_ends_where_the_next_begins() {
        let repricings = Repricings::default();
        for number in 1..=5 {
            repricings.insert(document(number, RepricingState::Previewed));
        }
        let page = |before: Option<&Cursor>| repricings.newest(before, 2);
        let ids = |page: &[Arc<RepricingDocument>]| page.iter().map(|it| it.repricing_id.clone()).collect::<Vec<_>>();
        let first = page(None);
        assert_eq!(ids(&first), ["rpr_5", "rpr_4"]);
        let cursor: Cursor = Cursor::of(&first[1]).to_string().parse().unwrap();
        // what comes and goes meanwhile moves nothing
        repricings.insert(document(6, RepricingState::Previewed));
        repricings.apply(b"repricing:rpr_4", None);
        assert_eq!(ids(&page(Some(&cursor))), ["rpr_3", "rpr_2"]);
        assert!(["", "rpr_4", "x.rpr_4"].iter().all(|wrong| wrong.parse::<Cursor>().is_err()));
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
        assert!(forgets(FRESH_MS).is_err(), "somebody may be about to apply it");
        assert_eq!(forgets(FRESH_MS + 2_000).unwrap(), Some(format!("rpr_{KEPT_MAX}")));
        repricings.insert(document(KEPT_MAX, RepricingState::Undone));
        assert!(forgets(USEFUL_MS).is_err());
        assert_eq!(forgets(USEFUL_MS + 2).unwrap(), Some("rpr_1".to_owned()));
        // a tombstone is followed
        repricings.apply(b"repricing:rpr_1", None);
        assert_eq!(forgets(USEFUL_MS + 2).unwrap(), None);
    }
}
