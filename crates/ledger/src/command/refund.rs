//! Giving a charge back, whole or in part.

use tollbooth_schemas::{
    Money,
    v1::{Charge, Refund, Rejected, Reversal, ReversalCause, entry::Kind},
};

use super::{Context, positive};
use crate::{
    decision::rejected,
    digest::{self, Facts},
    place::Draft,
    state::{View, week_of},
};

/// What the command says of the charge is checked against what is kept of it, so that neither a wrong look-up nor a
/// stale one gives back more than was charged, or for another event.
pub(super) fn refund(context: &Context<'_, impl View>, refund: &Refund) -> Result<Draft, Rejected> {
    let unknown = || rejected(404, "unknown_charge", format!("seq {} is no charge that is still kept", refund.seq));
    let charge = refund.original.as_ref().ok_or_else(unknown)?;
    let key = digest::of_operation(context.account_id, &charge.operation_id, charge.attempt);
    let first_kept = context.view.first_kept(week_of(context.now_ms));
    let operation = context.view.operation(&key).filter(|operation| operation.charged && operation.seq == refund.seq);
    let operation = operation.filter(|operation| operation.week >= first_kept);
    let operation = operation.ok_or_else(unknown)?;
    if operation.amount.micros() != charge.amount_micros || operation.memo != digest::memo(&Facts::of_charge(charge)) {
        return Err(rejected(409, "charge_mismatch", format!("seq {} was posted with other facts", refund.seq)));
    }
    let refunded = context.view.refunded(&key, refund.seq);
    let left = operation.amount.checked_sub(refunded).unwrap_or_default();
    if left == Money::ZERO {
        return Err(rejected(409, "nothing_to_refund", format!("nothing is left of seq {}", refund.seq)));
    }
    let amount = refund.amount_micros.map_or(Ok(left), positive)?;
    if amount > left {
        return Err(rejected(409, "refund_exceeds_charge", format!("{left} is left of seq {}", refund.seq)));
    }
    let kind = Kind::Reversal(reversal(refund, charge, amount == left));
    Ok(Draft::of(charge.occurred_at_ms, kind).amount(amount))
}

fn reversal(refund: &Refund, charge: &Charge, completes: bool) -> Reversal {
    let Charge { operation_id, service, engine, variant, country, unit, event_id, booth_id, plan, .. } = charge.clone();
    Reversal {
        original_seq: refund.seq,
        reason: refund.reason.clone(),
        note: refund.note.clone(),
        cause: ReversalCause::Refund.into(),
        operation_id,
        service,
        engine,
        variant,
        country,
        unit,
        plan,
        event_id,
        booth_id,
        quantity_micros: if completes { charge.quantity_micros } else { 0 },
        price_version: charge.price_version,
        test_mode: charge.test_mode,
        attempt: charge.attempt,
    }
}
