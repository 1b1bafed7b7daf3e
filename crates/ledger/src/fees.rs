//! What a plan costs a month.
//!
//! A month of the account's zone is settled once, by the command or when it begins: an account knows the month that comes
//! next, and every fee takes it on. The month of the opening is not charged by itself.

use tollbooth_schemas::{
    Money,
    v1::{PlanFee, entry::Kind},
};

use crate::{
    account::Account,
    due::Due,
    fold::{At, FoldError},
    period::{Period, zone_of},
    place::Draft,
    pricing::PriceBooks,
    state::ViewMut,
};

/// A plan's fee in the price book in force at an instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fee {
    /// Of the book.
    pub(crate) version: u32,
    pub(crate) amount: Money,
}

/// `None`: no price book in force names the plan.
pub(crate) fn fee_of(books: &PriceBooks, plan: &str, currency: &str, at_ms: i64) -> Option<Fee> {
    let book = books.in_force(currency, at_ms)?;
    let plan = book.plans.iter().find(|known| known.code == plan)?;
    Some(Fee { version: book.version, amount: plan.monthly_fee })
}

/// The fee of a month that has begun: of the plan and the book of its first instant, however late it is posted. Where
/// there is none the month is settled by an entry of 0.00, so that a later book or plan does not reach back.
pub(crate) fn at_begin(account: &Account, books: &PriceBooks, period: Period, at_ms: i64) -> Option<Draft> {
    if account.fee_due() != Some((period, at_ms)) {
        return None;
    }
    let plan = account.plan_at(at_ms);
    let fee = fee_of(books, plan, account.currency(), at_ms);
    let amount = fee.map(|fee| fee.amount.negated()).filter(|amount| account.balance.checked_add(*amount).is_some());
    let price_version = fee.map_or(0, |fee| fee.version);
    let kind = Kind::PlanFee(PlanFee { plan: plan.to_owned(), period: period.to_string(), price_version });
    Some(Draft::of(at_ms, kind).amount(amount.unwrap_or_default()))
}

/// The first month that is charged by itself: the one after the month in which the opening was posted.
pub(crate) fn begin(state: &mut impl ViewMut, at: At<'_>) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    account.fee_next = Period::of(zone_of(account.time_zone()), at.posted_at_ms).map(Period::next);
    if let Some((period, at_ms)) = account.fee_due() {
        state.add_due(Due::fee(at.account_id, period, at_ms));
    }
    Ok(())
}

/// A month is settled: the next one to come is the one after it, unless that is further on already.
pub(crate) fn fold(state: &mut impl ViewMut, at: At<'_>, fee: &PlanFee) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let before = account.fee_due();
    account.fee_period = fee.period.parse().ok();
    account.fee_next = account.fee_next.max(account.fee_period.map(Period::next));
    let after = account.fee_due();
    follow(state, at.account_id, before, after);
    Ok(())
}

/// Another month comes next than before, or the same at another instant.
pub(crate) fn follow(
    state: &mut impl ViewMut,
    account_id: &str,
    before: Option<(Period, i64)>,
    after: Option<(Period, i64)>,
) {
    if before == after {
        return;
    }
    if let Some((period, at_ms)) = before {
        state.remove_due(Due::fee(account_id, period, at_ms));
    }
    if let Some((period, at_ms)) = after {
        state.add_due(Due::fee(account_id, period, at_ms));
    }
}
