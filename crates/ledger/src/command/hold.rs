//! Setting money aside before the work: the one place where work is refused for want of money.

use tollbooth_schemas::{
    Money, Quantity,
    v1::{HoldPlaced, HoldReleaseCause, HoldReleased, PlaceHold, Rejected, VoidHold, entry::Kind, place_hold::Size},
};

use super::{Context, out_of_range, positive};
use crate::{
    counters,
    decision::rejected,
    holds::{self, Hold, OPEN_HOLDS_MAX},
    place::Draft,
    pricing::{NoPrice, Quote},
    state::View,
};

/// Shortest and longest time a hold may be given, in milliseconds.
const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 1_000..=86_400_000;

pub(super) fn place(context: &Context<'_, impl View>, place: &PlaceHold) -> Result<Draft, Rejected> {
    let Context { view, account, account_id, now_ms, .. } = *context;
    if place.hold_id.is_empty() {
        return Err(rejected(422, "invalid_hold", "a hold has an id"));
    }
    if !TIMEOUT_MS.contains(&place.timeout_ms) {
        return Err(rejected(422, "invalid_timeout", "a hold lasts 1 second to 24 hours"));
    }
    if holds::known(view, account_id, &place.hold_id, now_ms).is_some() {
        return Err(rejected(409, "hold_exists", format!("{} was placed before", place.hold_id)));
    }
    if account.is_paused(&place.booth_id) {
        return Err(rejected(409, "booth_paused", format!("{} is paused", place.booth_id)));
    }
    if account.holds_open >= OPEN_HOLDS_MAX {
        return Err(rejected(409, "too_many_holds", format!("{OPEN_HOLDS_MAX} holds are open")));
    }
    let (amount, price_version) = amount(context, place)?;
    check_money(context, place, amount)?;
    let kind = Kind::HoldPlaced(HoldPlaced {
        hold_id: place.hold_id.clone(),
        amount_micros: amount.micros(),
        expires_at_ms: now_ms.saturating_add(place.timeout_ms),
        service: place.service.clone(),
        engine: place.engine.clone(),
        variant: place.variant.clone(),
        country: place.country.clone(),
        unit: place.unit.clone(),
        quantity_micros: match place.size {
            Some(Size::QuantityMicros(micros)) => micros,
            Some(Size::AmountMicros(_)) | None => 0,
        },
        event_id: place.event_id.clone(),
        booth_id: place.booth_id.clone(),
        plan: account.plan_at(now_ms).to_owned(),
        price_version,
    });
    Ok(Draft::of(now_ms, kind).held(amount))
}

/// Neither the event's budget nor the account has less than the hold takes.
fn check_money(context: &Context<'_, impl View>, place: &PlaceHold, amount: Money) -> Result<(), Rejected> {
    let account = context.account;
    let event = context.view.event(context.account_id, &place.event_id);
    if let Some(missing) = event.and_then(|event| event.beyond_budget(amount)) {
        let detail = format!("the budget of {} does not have it", place.event_id);
        return Err(missing_money("event_budget_exceeded", detail, missing));
    }
    let wide = |money: Money| i128::from(money.micros());
    let free = wide(account.balance).saturating_sub(wide(account.held)).saturating_add(wide(account.credit_limit));
    let missing = wide(amount).saturating_sub(free);
    if missing > 0 {
        return Err(missing_money("insufficient_balance", "the balance, less what is held, does not have it", missing));
    }
    Ok(())
}

fn missing_money(code: &str, detail: impl Into<String>, missing: i128) -> Rejected {
    let missing_micros = i64::try_from(missing).unwrap_or(i64::MAX);
    Rejected { missing_micros, ..rejected(402, code, detail) }
}

/// What the hold takes, and the price version it is priced by; 0: the amount was named.
fn amount(context: &Context<'_, impl View>, place: &PlaceHold) -> Result<(Money, u32), Rejected> {
    match place.size {
        Some(Size::AmountMicros(micros)) => Ok((positive(micros)?, 0)),
        Some(Size::QuantityMicros(micros)) => {
            let quantity = Quantity::from_micros(micros).filter(|quantity| !quantity.is_zero());
            price(context, place, quantity.ok_or_else(out_of_range)?)
        }
        None => Err(rejected(422, "invalid_hold", "a hold names a quantity or an amount")),
    }
}

fn price(context: &Context<'_, impl View>, place: &PlaceHold, quantity: Quantity) -> Result<(Money, u32), Rejected> {
    let plan = context.account.plan_at(context.now_ms);
    let rate = context.books.rate(&Quote {
        service: &place.service,
        engine: &place.engine,
        variant: &place.variant,
        country: &place.country,
        unit: &place.unit,
        plan,
        currency: context.account.currency(),
        at_ms: context.now_ms,
        test_mode: false,
    });
    let rate = rate.map_err(|why| {
        let PlaceHold { service, engine, unit, .. } = place;
        match why {
            NoPrice::NoPrice => {
                rejected(422, "no_price", format!("no price for {service} ({engine}) on plan {plan:?}"))
            }
            NoPrice::EngineRetired => {
                rejected(422, "engine_retired", format!("the price of {service} ({engine}) has ended"))
            }
            NoPrice::UnitMismatch => {
                rejected(422, "unit_mismatch", format!("{service} ({engine}) is not priced per {unit}"))
            }
        }
    })?;
    let PlaceHold { service, engine, unit, .. } = place;
    let work = counters::Work { account_id: context.account_id, service, engine, unit };
    // What the month counted so far: the usage that captures it is priced by what it counted by then.
    let at_ms = (context.now_ms, context.now_ms);
    let charge = counters::charge(context.view, context.account, &rate, (work, quantity), at_ms);
    Ok((charge.ok_or_else(out_of_range)?.amount, rate.version))
}

pub(super) fn void(context: &Context<'_, impl View>, void: &VoidHold) -> Result<Draft, Rejected> {
    match holds::known(context.view, context.account_id, &void.hold_id, context.now_ms) {
        None => Err(rejected(404, "unknown_hold", format!("{} was never placed", void.hold_id))),
        Some(Hold::Ended { .. }) => Err(rejected(409, "hold_ended", format!("{} has ended", void.hold_id))),
        Some(Hold::Open(hold)) => {
            let kind = Kind::HoldReleased(HoldReleased {
                hold_id: void.hold_id.clone(),
                amount_micros: hold.amount.micros(),
                cause: HoldReleaseCause::Voided.into(),
            });
            Ok(Draft::of(context.now_ms, kind).held(hold.amount.negated()))
        }
    }
}
