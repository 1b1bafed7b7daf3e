//! How far a run has come, so that whoever was interrupted goes on behind it.

use std::fmt;
use std::str::FromStr;

use tollbooth_schemas::repricing::{RepricingDocument, RepricingState};

/// Account and entry up to which every charge was answered; accounts and entries in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) account_id: String,
    pub(super) seq: u64,
}

impl Place {
    pub(super) fn new(account_id: &str, seq: u64) -> Self {
        Self { account_id: account_id.to_owned(), seq }
    }

    /// The entry behind which an account is tried; `None`: it lies before the place.
    pub(super) fn behind(after: Option<&Self>, account_id: &str) -> Option<u64> {
        match after {
            Some(place) if account_id < place.account_id.as_str() => None,
            Some(place) if account_id == place.account_id => Some(place.seq),
            _ => Some(0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account_id, self.seq)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (account_id, seq) = text.split_once('/').ok_or(())?;
        Ok(Self::new(account_id, seq.parse().map_err(drop)?))
    }
}

/// The document with which a run begins, where it says something new.
pub(super) fn begun(document: &RepricingDocument, to: RepricingState, why: Option<&str>) -> Option<RepricingDocument> {
    let mut begun = document.clone();
    // Tried to its end, it stays so: what is tried once more posts nothing that was not left open.
    if document.state != to && document.state != end_of(to) {
        (begun.state, begun.reached) = (to, None);
    }
    let reason = if to == RepricingState::Undoing { &mut begun.undo_reason } else { &mut begun.reason };
    // Whoever goes on does not change why it was begun.
    if reason.is_none() {
        *reason = why.map(str::to_owned);
    }
    (begun != *document).then_some(begun)
}

/// The document after a run that went from `after` to `next_after` with every charge answered, where it says something
/// new. A run that began further on says nothing of what it passed over.
pub(super) fn ended(
    document: &RepricingDocument,
    to: RepricingState,
    after: Option<&Place>,
    next_after: Option<&Place>,
) -> Option<RepricingDocument> {
    let reached = document.reached.as_deref().and_then(|text| text.parse::<Place>().ok());
    // Another request may have turned it around meanwhile.
    if document.state != to || after > reached.as_ref() {
        return None;
    }
    match next_after {
        None => Some(RepricingDocument { state: end_of(to), reached: None, ..document.clone() }),
        Some(_) if next_after <= reached.as_ref() => None,
        Some(place) => Some(RepricingDocument { reached: Some(place.to_string()), ..document.clone() }),
    }
}

const fn end_of(to: RepricingState) -> RepricingState {
    match to {
        RepricingState::Undoing | RepricingState::Undone => RepricingState::Undone,
        RepricingState::Previewed | RepricingState::Applying | RepricingState::Applied => RepricingState::Applied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(state: RepricingState, reached: Option<&str>) -> RepricingDocument {
        RepricingDocument {
            repricing_id: "rpr_1".to_owned(),
            price_version: 2,
            from_ms: 0,
            to_ms: 1,
            state,
            reached: reached.map(str::to_owned),
            reason: None,
            undo_reason: None,
            actor: String::new(),
            created_at_ms: 0,
            digest: String::new(),
            accounts: Vec::new(),
        }
    }

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_said_and_read_and_lies_in_order() {
        assert_eq!(place("acc_luna/48211").to_string(), "acc_luna/48211");
        assert!(place("acc_luna/9") < place("acc_luna/10") && place("acc_luna/10") < place("acc_sol/1"));
        for wrong in ["", "acc_luna", "acc_luna/", "acc_luna/x"] {
            assert_eq!(wrong.parse::<Place>(), Err(()), "{wrong}");
        }
        let behind = |id| Place::behind(Some(&place("acc_luna/9")), id);
        assert_eq!([behind("acc_k"), behind("acc_luna"), behind("acc_sol")], [None, Some(9), Some(0)]);
        assert_eq!(Place::behind(None, "acc_k"), Some(0));
    }

    #[test]
    fn only_runs_that_leave_nothing_out_come_to_the_end() {
        use RepricingState::{Applied, Applying};
        let after = |document: &RepricingDocument, from: Option<&str>, to: Option<&str>| {
            let (from, to) = (from.map(place), to.map(place));
            ended(document, Applying, from.as_ref(), to.as_ref()).map(|document| (document.state, document.reached))
        };
        let new = document(Applying, None);
        // a run from the middle says nothing of what lies before it
        assert_eq!(after(&new, Some("acc_a/9"), None), None);
        assert_eq!(after(&new, None, None), Some((Applied, None)));
        assert_eq!(after(&new, None, Some("acc_a/9")), Some((Applying, Some("acc_a/9".to_owned()))));
        let half = document(Applying, Some("acc_a/9"));
        assert_eq!(after(&half, Some("acc_b/1"), None), None);
        assert_eq!(after(&half, Some("acc_a/9"), None), Some((Applied, None)));
        // from the beginning once more: what was reached stays reached
        assert_eq!(after(&half, None, Some("acc_a/3")), None);
        assert_eq!(after(&half, None, Some("acc_a/10")), Some((Applying, Some("acc_a/10".to_owned()))));
    }

    #[test]
    fn what_was_turned_around_meanwhile_stays_so_and_begins_anew() {
        use RepricingState::{Applied, Applying, Previewed, Undoing, Undone};
        for state in [Previewed, Applied, Undoing, Undone] {
            assert_eq!(ended(&document(state, None), Applying, None, None), None, "{state:?}");
        }
        let undone = ended(&document(Undoing, None), Undoing, None, None);
        assert_eq!(undone.map(|document| document.state), Some(Undone));
        let turned = begun(&document(Applying, Some("acc_a/9")), Undoing, None);
        assert_eq!(turned.map(|document| (document.state, document.reached)), Some((Undoing, None)));
        assert_eq!(begun(&document(Applied, None), Applying, None), None);
        assert_eq!(begun(&document(Undoing, Some("acc_a/9")), Undoing, None), None);
        assert!(begun(&document(Previewed, None), Applying, None).is_some());
    }

    #[test]
    fn the_first_reason_of_each_way_stays() {
        use RepricingState::{Applying, Previewed, Undoing};
        let reasons = |document: &RepricingDocument| (document.reason.clone(), document.undo_reason.clone());
        let text = |text: &str| Some(text.to_owned());
        let applying = begun(&document(Previewed, None), Applying, Some("wrong price")).unwrap();
        assert_eq!(reasons(&applying), (text("wrong price"), None));
        assert_eq!(begun(&applying, Applying, Some("another")), None);
        // who began without one may say it later, and where it is does not change by that
        let half = begun(&document(Applying, Some("acc_a/9")), Applying, Some("said later")).unwrap();
        assert_eq!((half.reached.as_deref(), half.reason.as_deref()), (Some("acc_a/9"), Some("said later")));
        let undoing = begun(&applying, Undoing, Some("wrong book")).unwrap();
        assert_eq!((undoing.state, reasons(&undoing)), (Undoing, (text("wrong price"), text("wrong book"))));
    }
}
