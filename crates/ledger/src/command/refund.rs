//! Giving a charge back, whole or in part.

use tollbooth_schemas::{
    Money,
    v1::{Charge, Counted, Refund, Rejected, Reversal, ReversalCause, entry::Kind},
};

use super::{Context, positive};
use crate::{
    counters,
    decision::rejected,
    digest::{self, Facts},
    place::Draft,
    pricing::Quote,
    state::{View, week_of},
};

/// A charge that is still known.
pub(super) struct Kept<'a> {
    pub(super) charge: &'a Charge,
    pub(super) amount: Money,
    pub(super) refunded: Money,
}

/// The charge of an entry, by the facts that the command tells of it, and where it was counted. `elsewhere`: the status and code of a refusal where
/// the operation's charge is another entry.
pub(super) fn kept<'a>(
    context: &Context<'_, impl View>,
    seq: u64,
    (original, counted): (Option<&'a Charge>, Option<&Counted>),
    elsewhere: (u32, &str),
) -> Result<Kept<'a>, Rejected> {
    let unknown = || rejected(404, "unknown_charge", format!("seq {seq} is no charge that is still kept"));
    let charge = original.ok_or_else(unknown)?;
    let key = digest::of_operation(context.account_id, &charge.operation_id, charge.attempt);
    let first_kept = context.view.first_kept(week_of(context.now_ms));
    let operation = context.view.operation(&key).filter(|operation| operation.charged && operation.week >= first_kept);
    let operation = operation.ok_or_else(unknown)?;
    if operation.seq != seq {
        let (status, code) = elsewhere;
        let detail = format!("seq {seq} is not the operation's charge: that is seq {}", operation.seq);
        return Err(rejected(status, code, detail));
    }
    let counted = counted.filter(|_| context.account.has_moved_before(seq));
    let memo = digest::memo(&Facts::of_charge(charge, counted));
    if operation.amount.micros() != charge.amount_micros || operation.memo != memo {
        return Err(rejected(409, "charge_mismatch", format!("seq {seq} was posted with other facts")));
    }
    Ok(Kept { charge, amount: operation.amount, refunded: context.view.refunded(&key, seq) })
}

/// What the command says of the charge is checked against what is kept of it, so that neither a wrong look-up nor a
/// stale one gives back more than was charged, or for another event.
pub(super) fn refund(context: &Context<'_, impl View>, refund: &Refund) -> Result<Draft, Rejected> {
    let Kept { charge, amount: charged, refunded } =
        kept(context, refund.seq, (refund.original.as_ref(), refund.counted.as_ref()), (404, "unknown_charge"))?;
    let left = charged.checked_sub(refunded).unwrap_or_default();
    if left == Money::ZERO {
        return Err(rejected(409, "nothing_to_refund", format!("nothing is left of seq {}", refund.seq)));
    }
    let amount = refund.amount_micros.map_or(Ok(left), positive)?;
    if amount > left {
        return Err(rejected(409, "refund_exceeds_charge", format!("{left} is left of seq {}", refund.seq)));
    }
    let mut reversal = Reversal {
        original_seq: refund.seq,
        reason: refund.reason.clone(),
        note: refund.note.clone(),
        cause: ReversalCause::Refund.into(),
        ..reversal(charge, amount == left)
    };
    if amount == left {
        reversal.counted = counted(context, refund, charge)?.map(Box::new);
    }
    let kind = Kind::Reversal(reversal);
    Ok(Draft::of(charge.occurred_at_ms, kind).amount(amount))
}

/// Of a charge, without what it is for.
pub(super) fn reversal(charge: &Charge, completes: bool) -> Reversal {
    let Charge { operation_id, service, engine, variant, country, unit, event_id, booth_id, plan, .. } = charge.clone();
    Reversal {
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
        ..Reversal::default()
    }
}

/// Where the charge was counted, by the price book that it names: a version never changes.
fn counted(context: &Context<'_, impl View>, refund: &Refund, charge: &Charge) -> Result<Option<Counted>, Rejected> {
    let books = context.books;
    if !books.has_version(charge.price_version) {
        return Err(rejected(422, "no_price", format!("price book {} is not known here", charge.price_version)));
    }
    let rate = books.rate_by(
        charge.price_version,
        &Quote {
            service: &charge.service,
            engine: &charge.engine,
            variant: &charge.variant,
            country: &charge.country,
            unit: &charge.unit,
            plan: &charge.plan,
            currency: context.account.currency(),
            at_ms: charge.occurred_at_ms,
            test_mode: charge.test_mode,
        },
    );
    let terms = rate.ok().and_then(|rate| rate.terms).filter(|terms| terms.price.is_counted());
    let of = (refund.seq, charge.occurred_at_ms);
    let place = |price| counters::place_of_charge(context.account, price, of, refund.counted.as_ref());
    Ok(terms.and_then(|terms| place(terms.price)))
}
