//! A charge is made anew by another price book.
//!
//! The command says which charge, by which book, and what it comes to; all of it is checked here, so that what is posted
//! is what was seen before, or nothing. A charge that was given back in part is left alone: a person decided about it.

use tollbooth_schemas::{
    Money, Quantity,
    v1::{Charge, Counted, Rejected, Reprice, Repriced, Reversal, ReversalCause, Usage, UsageStatus, entry::Kind},
};

use super::{
    Context, out_of_range,
    refund::{Kept, kept, reversal},
};
use crate::{
    counters,
    decision::rejected,
    place::Draft,
    pricing::{self, NoPrice, Quote, Rate},
    state::View,
};

/// Why a charge was given back, as people and filters name it.
const APPLIED: &str = "repricing";
const UNDONE: &str = "repricing_undone";

/// What gives the charge back, and what charges it anew.
pub(super) fn reprice(context: &Context<'_, impl View>, reprice: &Reprice) -> Result<[Draft; 2], Rejected> {
    let seq = reprice.seq;
    let Kept { charge, amount: charged, refunded } =
        kept(context, seq, (reprice.original.as_ref(), reprice.counted.as_ref()), (409, "charge_replaced"))?;
    if refunded != Money::ZERO {
        return Err(rejected(409, "charge_refunded", format!("{refunded} of seq {seq} was given back")));
    }
    if reprice.price_version == charge.price_version || reprice.repricing_id.is_empty() {
        let detail = format!("seq {seq} is priced by book {}", charge.price_version);
        return Err(rejected(409, "nothing_to_reprice", detail));
    }
    let rate = rate(context, charge, reprice.price_version)?;
    let before = counted_before(context, charge, &rate, reprice)?;
    let quantity = Quantity::from_micros(charge.quantity_micros).ok_or_else(out_of_range)?;
    let mut anew = pricing::charge(&rate, quantity, before).ok_or_else(out_of_range)?;
    if anew.amount.micros() != reprice.amount_micros {
        let detail = format!("by book {} seq {seq} comes to {}", reprice.price_version, anew.amount);
        return Err(rejected(409, "preview_differs", detail));
    }
    if let Some(pricing) = &mut anew.pricing {
        pricing.counted.clone_from(&reprice.counted);
    }
    let back = Kind::Reversal(Reversal {
        original_seq: seq,
        reason: if reprice.undo { UNDONE } else { APPLIED }.to_owned(),
        cause: ReversalCause::Repricing.into(),
        note: reprice.repricing_id.clone(),
        ..reversal(charge, true)
    });
    let usage = Usage {
        price_version: rate.version,
        price_model: rate.model.into(),
        unit_price_micros: anew.unit_price.micros(),
        pricing: anew.pricing,
        ..work(charge)
    };
    let again = Kind::Repriced(Repriced {
        repricing_id: reprice.repricing_id.clone(),
        replaced_seq: seq,
        undo: reprice.undo,
        charge: Some(Box::new(usage)),
    });
    let at_ms = charge.occurred_at_ms;
    let again = Draft::of(at_ms, again).amount(anew.amount.negated()).covered(charged);
    Ok([Draft::of(at_ms, back).amount(charged), again])
}

fn rate<'a>(context: &'a Context<'_, impl View>, charge: &Charge, version: u32) -> Result<Rate<'a>, Rejected> {
    let no_price = |detail| rejected(422, "no_price", detail);
    let book = context.books.version(version);
    let book = book.ok_or_else(|| no_price(format!("price book {version} is not known here")))?;
    if book.currency != context.account.currency() {
        return Err(no_price(format!("price book {version} is in {}", book.currency)));
    }
    let Charge { service, engine, unit, plan, .. } = charge;
    let quote = Quote {
        service,
        engine,
        variant: &charge.variant,
        country: &charge.country,
        unit,
        plan,
        currency: &book.currency,
        at_ms: charge.occurred_at_ms,
        test_mode: charge.test_mode,
    };
    context.books.rate_by(version, &quote).map_err(|why| match why {
        NoPrice::NoPrice => no_price(format!("book {version} has no price for {service} ({engine}) on plan {plan:?}")),
        NoPrice::EngineRetired => {
            rejected(422, "engine_retired", format!("in book {version} the price of {service} ({engine}) had ended"))
        }
        NoPrice::UnitMismatch => {
            rejected(422, "unit_mismatch", format!("book {version} does not price {service} ({engine}) per {unit}"))
        }
    })
}

/// The new charge takes the old one's place in its month, so that no count moves. That is possible where both prices count
/// the same.
fn counted_before(
    context: &Context<'_, impl View>,
    charge: &Charge,
    rate: &Rate<'_>,
    reprice: &Reprice,
) -> Result<Quantity, Rejected> {
    let counted = reprice.counted.as_ref();
    let row = rate.terms.map(|terms| terms.price).filter(|price| price.is_counted());
    let of = (reprice.seq, charge.occurred_at_ms);
    let place = row.and_then(|price| counters::place_of_charge(context.account, price, of, counted));
    let of_charge = counted.map(|counted| Counted { before_micros: 0, ..counted.clone() });
    // Of a charge of after a move only its entry tells the month: one that tells none was not counted, and cannot be now.
    if row.is_some() != counted.is_some() || place != of_charge {
        let detail = "the two prices do not count the month alike: post an adjustment";
        return Err(rejected(409, "counts_differ", detail));
    }
    let before = counted.map_or(0, |counted| counted.before_micros);
    Quantity::from_micros(before).ok_or_else(out_of_range)
}

/// The work of a charge, without its price.
fn work(charge: &Charge) -> Usage {
    let Charge { operation_id, service, engine, variant, country, unit, event_id, booth_id, plan, .. } = charge.clone();
    Usage {
        status: UsageStatus::Success.into(),
        operation_id,
        attempt: charge.attempt,
        service,
        engine,
        variant,
        country,
        unit,
        quantity_micros: charge.quantity_micros,
        event_id,
        booth_id,
        plan,
        test_mode: charge.test_mode,
        ..Usage::default()
    }
}
