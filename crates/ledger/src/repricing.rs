//! A charge that is made anew at another price.
//!
//! It comes as two entries of one transaction: a reversal that gives the charge back wholly, and the same work charged
//! again. The operation stays charged, by the new entry from then on: that is what a refund or a further re-pricing names.
//! No count of a month moves, for the new charge stands at the place of the old one.

use tollbooth_schemas::v1::{Entry, Repriced};

use crate::{
    digest,
    fold::{At, FoldError},
    state::{Operation, ViewMut, week_of},
};

pub(crate) fn fold(state: &mut impl ViewMut, at: At<'_>, repriced: &Repriced, entry: &Entry) -> Result<(), FoldError> {
    let charge = entry.charge().filter(|_| entry.amount_micros <= 0).ok_or_else(|| at.repriced())?;
    let key = digest::of_operation(at.account_id, &charge.operation_id, charge.attempt);
    let week = week_of(at.posted_at_ms);
    let before = state.operation(&key).filter(|operation| operation.week >= state.first_kept(week));
    // One that is forgotten tells nothing.
    if let Some(before) = before {
        let given_back = state.refunded(&key, repriced.replaced_seq);
        if !before.charged || before.seq != repriced.replaced_seq || given_back != before.amount {
            return Err(at.repriced());
        }
    }
    state.insert_operation(key, Operation::after(None, charge, entry, (week, at.has_moved)));
    Ok(())
}
