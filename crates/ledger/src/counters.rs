//! What a price with tiers or an included quantity has counted of an account in a month.
//!
//! Counts by posting order and by the month of the occurrence in the zone that the account has at the posting. A counter begins with the first
//! charge that it counts and is forgotten like the operations, by whole posting weeks after the entry that changed it
//! last: there are never more of them than charges kept.

use tollbooth_schemas::{
    Quantity,
    price_book::Price,
    v1::{Counted, Reversal, Usage},
};

use crate::{
    account::Account,
    digest::{self, Digest},
    fold::{At, FoldError},
    period::{Period, zone_of},
    pricing::{self, Charge, Rate},
    state::{View, ViewMut, week_of},
};

/// What was counted, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    pub(crate) quantity: Quantity,
    /// Of the entry that changed it last.
    pub(crate) week: u16,
}

/// The work that is counted, as far as the row leaves it open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) account_id: &'a str,
    pub(crate) service: &'a str,
    pub(crate) engine: &'a str,
    pub(crate) unit: &'a str,
}

/// The charge for a quantity of work by a price, which may depend on what the month counted before. A simple price looks
/// nothing up. `None` beyond the bound of money.
pub(crate) fn charge(
    view: &impl View,
    account: &Account,
    rate: &Rate<'_>,
    (work, quantity): (Work<'_>, Quantity),
    (occurred_at_ms, now_ms): (i64, i64),
) -> Option<Charge> {
    let Some(terms) = rate.terms.filter(|terms| terms.price.is_counted()) else {
        return pricing::charge(rate, quantity, Quantity::ZERO);
    };
    let counted = place(account, terms.price, occurred_at_ms)?;
    let before = known(view, &key(work, &counted), now_ms).unwrap_or_default();
    let mut charge = pricing::charge(rate, quantity, before)?;
    if let Some(pricing) = &mut charge.pricing {
        pricing.counted = Some(Counted { before_micros: before.micros(), ..counted });
    }
    Some(charge)
}

/// Where work of an instant is counted by a row from now on, without what was counted; `None` beyond every date.
fn place(account: &Account, price: &Price, occurred_at_ms: i64) -> Option<Counted> {
    Some(counted_in(Period::of(zone_of(account.time_zone()), occurred_at_ms)?.to_string(), price))
}

/// Where a charge that was posted as `seq` was counted by a row, without what was counted. By the zone of the opening, unless
/// another one was set before it: then only its entry says which month that was. `told`: what the command says that it says,
/// which what is kept of the charge has vouched for.
pub(crate) fn place_of_charge(
    account: &Account,
    price: &Price,
    (seq, occurred_at_ms): (u64, i64),
    told: Option<&Counted>,
) -> Option<Counted> {
    let period = if account.has_moved_before(seq) {
        told?.period.clone()
    } else {
        Period::of(zone_of(account.opening_zone()), occurred_at_ms)?.to_string()
    };
    Some(counted_in(period, price))
}

fn counted_in(period: String, price: &Price) -> Counted {
    Counted {
        period,
        variant: price.variant.clone().unwrap_or_default(),
        country: price.country.clone().unwrap_or_default(),
        before_micros: 0,
    }
}

/// The count, unless it is forgotten, whether it was swept out or not.
fn known(view: &impl View, key: &Digest, now_ms: i64) -> Option<Quantity> {
    let counter = view.counter(key)?;
    (counter.week >= view.first_kept(week_of(now_ms))).then_some(counter.quantity)
}

fn key(work: Work<'_>, counted: &Counted) -> Digest {
    let Work { account_id, service, engine, unit } = work;
    let Counted { period, variant, country, .. } = counted;
    // Codes and periods have no NUL.
    digest::of_pair(account_id, &[period.as_str(), service, engine, variant, country, unit].join("\0"))
}

/// A charge is counted. It says what was counted before it, and that must be so.
pub(crate) fn count(state: &mut impl ViewMut, at: At<'_>, usage: &Usage) -> Result<(), FoldError> {
    let Some(counted) = usage.pricing.as_ref().and_then(|pricing| pricing.counted.as_ref()) else { return Ok(()) };
    let Usage { service, engine, unit, .. } = usage;
    let key = key(Work { account_id: at.account_id, service, engine, unit }, counted);
    let before = known(state, &key, at.posted_at_ms).unwrap_or_default();
    if before.micros() != counted.before_micros {
        return Err(at.counter());
    }
    let after = before.micros().saturating_add(usage.quantity_micros).min(Quantity::MAX.micros());
    put(state, at, key, after)
}

/// A charge that is given back to its end gives its quantity back. Nobody is re-priced.
pub(crate) fn give_back(state: &mut impl ViewMut, at: At<'_>, reversal: &Reversal) -> Result<(), FoldError> {
    let Some(counted) = reversal.counted.as_deref() else { return Ok(()) };
    let Reversal { service, engine, unit, .. } = reversal;
    let key = key(Work { account_id: at.account_id, service, engine, unit }, counted);
    let Some(before) = known(state, &key, at.posted_at_ms) else { return Ok(()) };
    put(state, at, key, before.micros().saturating_sub(reversal.quantity_micros).max(0))
}

fn put(state: &mut impl ViewMut, at: At<'_>, key: Digest, micros: i64) -> Result<(), FoldError> {
    let quantity = Quantity::from_micros(micros).ok_or_else(|| at.counter())?;
    state.insert_counter(key, Counter { quantity, week: week_of(at.posted_at_ms) });
    Ok(())
}
