//! What an account is called, its currency and plans, and the zone that its days and months are of.
//!
//! The newest word counts from the posting of its entry on. What was counted, asked for or settled before stays where it was:
//! a month that has its fee has it in every zone, and the one that comes next begins where the account is now.

use std::sync::Arc;

use tollbooth_schemas::v1::ProfileSet;

use crate::{
    fees,
    fold::{At, FoldError},
    state::ViewMut,
};

/// What rarely changes: the copies of an account share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// ISO 4217.
    pub(crate) currency: String,
    /// IANA name; of its newest word.
    pub(crate) time_zone: String,
    /// As people read it.
    pub(crate) name: String,
    /// Effective instants and plan codes, in order; the plan of the opening applies to everything before.
    pub(crate) plans: Vec<(i64, String)>,
}

/// The zone is another one than at the opening, or was. The month that a charge was counted in then no longer follows from
/// when it occurred: what is kept of the charge vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The zone of the opening.
    pub(crate) from: Box<str>,
    /// The first entry that named another one.
    pub(crate) seq: u64,
}

pub(crate) fn set(state: &mut impl ViewMut, at: At<'_>, set: &ProfileSet) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let fee_before = account.fee_due();
    let profile = Arc::make_mut(&mut account.profile);
    profile.name.clone_from(&set.name);
    if profile.time_zone != set.time_zone {
        let from = std::mem::replace(&mut profile.time_zone, set.time_zone.clone());
        account.moved.get_or_insert_with(|| Arc::new(Moved { from: from.into(), seq: at.seq }));
    }
    let fee_after = account.fee_due();
    fees::follow(state, at.account_id, fee_before, fee_after);
    Ok(())
}
