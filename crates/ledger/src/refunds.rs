//! What was given back of a charge.
//!
//! Most charges are never refunded, so the operation table knows only what was charged; what was given back stands in a
//! table beside it, for those that were.

use tollbooth_schemas::{
    Money,
    v1::{Entry, Reversal},
};

use crate::{
    digest,
    fold::{At, FoldError},
    state::{ViewMut, week_of},
};

/// What was given back of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refunded {
    /// The charge: an operation may be charged again after it was forgotten.
    pub(crate) seq: u64,
    pub(crate) amount: Money,
    /// Of the charge, so that both are forgotten together.
    pub(crate) week: u16,
}

pub(crate) fn fold(state: &mut impl ViewMut, at: At<'_>, reversal: &Reversal, entry: &Entry) -> Result<(), FoldError> {
    let key = digest::of_operation(at.account_id, &reversal.operation_id, reversal.attempt);
    let operation = state.operation(&key).filter(|operation| operation.seq == reversal.original_seq);
    let refunded = state.refunded(&key, reversal.original_seq);
    // A charge of nothing can be made anew, and only that.
    let least = if entry.is_first_of_two() { Money::ZERO } else { Money::from_micros(1).unwrap_or_default() };
    let amount = Money::from_micros(entry.amount_micros).filter(|amount| *amount >= least);
    let amount = amount.and_then(|amount| refunded.checked_add(amount)).ok_or_else(|| at.refund())?;
    if operation.is_some_and(|operation| !operation.charged || amount > operation.amount) {
        return Err(at.refund());
    }
    let week = operation.map_or_else(|| week_of(at.posted_at_ms), |operation| operation.week);
    state.insert_refunded(key, Refunded { seq: reversal.original_seq, amount, week });
    Ok(())
}
