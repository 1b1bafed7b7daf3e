//! Commands that change what an account is, and move no money.

use tollbooth_schemas::{
    v1::{
        AccountOpened, BoothSet, BudgetRule, ChangePlan, CreditLimitSet, DefineEvent, EventDefined, OpenAccount,
        PlanChanged, ProfileSet, Rejected, SetBooth, SetCreditLimit, SetProfile, entry::Kind,
    },
    zone::parse_zone,
};

use super::{Context, not_negative};
use crate::{
    account::PAUSED_BOOTHS_MAX, decision::rejected, events::EVENTS_MAX, place::Draft, pricing::PriceBooks, state::View,
};

pub(super) fn open_account(books: &PriceBooks, open: &OpenAccount, now_ms: i64) -> Result<Draft, Rejected> {
    check_plan(books, &open.plan)?;
    let opened = AccountOpened {
        name: open.name.clone(),
        plan: open.plan.clone(),
        currency: open.currency.clone(),
        time_zone: open.time_zone.clone(),
    };
    Ok(Draft::of(open.occurred_at_ms.unwrap_or(now_ms), Kind::AccountOpened(opened)))
}

/// Before any book is published every plan is taken: accounts may be imported first.
fn check_plan(books: &PriceBooks, plan: &str) -> Result<(), Rejected> {
    if books.is_empty() || books.has_plan(plan) {
        Ok(())
    } else {
        Err(rejected(422, "unknown_plan", format!("no price book names the plan {plan:?}")))
    }
}

pub(super) fn change_plan(context: &Context<'_, impl View>, change: &ChangePlan) -> Result<Draft, Rejected> {
    check_plan(context.books, &change.plan)?;
    let effective_at_ms = change.effective_at_ms.unwrap_or(context.now_ms);
    let changed = PlanChanged { plan: change.plan.clone(), effective_at_ms };
    Ok(Draft::of(context.now_ms, Kind::PlanChanged(changed)))
}

/// The entry says both, whichever of them was given.
pub(super) fn set_profile(context: &Context<'_, impl View>, set: &SetProfile) -> Result<Draft, Rejected> {
    let invalid = |detail: &str| rejected(422, "invalid_profile", detail);
    if set.name.is_none() && set.time_zone.is_none() {
        return Err(invalid("a name, a time zone, or both are given"));
    }
    if set.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(invalid("an account has a name"));
    }
    if let Some(zone) = &set.time_zone {
        parse_zone(zone).map_err(|error| invalid(&format!("the time zone {error}")))?;
    }
    let account = context.account;
    let name = set.name.as_deref().unwrap_or(account.name()).to_owned();
    let time_zone = set.time_zone.as_deref().unwrap_or(account.time_zone()).to_owned();
    Ok(Draft::of(context.now_ms, Kind::ProfileSet(ProfileSet { name, time_zone })))
}

pub(super) fn set_credit_limit(set: &SetCreditLimit, now_ms: i64) -> Result<Draft, Rejected> {
    let credit_limit_micros = not_negative(set.credit_limit_micros)?.micros();
    Ok(Draft::of(now_ms, Kind::CreditLimitSet(CreditLimitSet { credit_limit_micros })))
}

pub(super) fn define_event(context: &Context<'_, impl View>, define: &DefineEvent) -> Result<Draft, Rejected> {
    if define.event_id.is_empty() || define.starts_at_ms >= define.ends_at_ms {
        return Err(rejected(422, "invalid_event", "an event has an id, and ends after it starts"));
    }
    let budget_micros = define.budget_micros.map(not_negative).transpose()?.map(tollbooth_schemas::Money::micros);
    let on_exceeded = match define.on_exceeded() {
        BudgetRule::RefuseHolds => BudgetRule::RefuseHolds,
        BudgetRule::Unspecified | BudgetRule::Warn => BudgetRule::Warn,
    };
    let is_tracked = context.view.event(context.account_id, &define.event_id).is_some();
    if !is_tracked && context.account.events_tracked >= EVENTS_MAX {
        return Err(rejected(409, "too_many_events", format!("the account has {EVENTS_MAX} events")));
    }
    let defined = EventDefined {
        event_id: define.event_id.clone(),
        name: define.name.clone(),
        starts_at_ms: define.starts_at_ms,
        ends_at_ms: define.ends_at_ms,
        time_zone: define.time_zone.clone(),
        budget_micros,
        on_exceeded: on_exceeded.into(),
    };
    Ok(Draft::of(context.now_ms, Kind::EventDefined(defined)))
}

pub(super) fn set_booth(context: &Context<'_, impl View>, set: &SetBooth) -> Result<Draft, Rejected> {
    if set.booth_id.is_empty() {
        return Err(rejected(422, "invalid_booth", "a booth has an id"));
    }
    let account = context.account;
    if set.paused && !account.is_paused(&set.booth_id) && account.paused_booths() >= PAUSED_BOOTHS_MAX {
        return Err(rejected(409, "too_many_booths", format!("{PAUSED_BOOTHS_MAX} booths are paused")));
    }
    let booth = BoothSet { booth_id: set.booth_id.clone(), name: set.name.clone(), paused: set.paused };
    Ok(Draft::of(context.now_ms, Kind::BoothSet(booth)))
}
