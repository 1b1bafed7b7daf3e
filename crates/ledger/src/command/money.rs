//! Commands that bring money in, and the fee that takes it.

use tollbooth_schemas::{
    Money,
    v1::{
        Adjustment, BonusGranted, GrantBonus, PlanFee, PostAdjustment, PostPlanFee, PostPurchase, PreparePurchase,
        Purchase, PurchaseSource, Rejected, entry::Kind,
    },
};

use super::{Context, out_of_range, positive};
use crate::{account::BONUS_LOTS_MAX, decision::rejected, fees::fee_of, period::Period, place::Draft, state::View};

pub(super) fn adjust(adjustment: &PostAdjustment, now_ms: i64) -> Result<Draft, Rejected> {
    let amount = Money::from_micros(adjustment.amount_micros).ok_or_else(out_of_range)?;
    if amount == Money::ZERO {
        return Err(rejected(422, "out_of_range", "the amount must not be 0"));
    }
    let kind = Kind::Adjustment(Adjustment { reason: adjustment.reason.clone(), note: adjustment.note.clone() });
    Ok(Draft::of(adjustment.occurred_at_ms.unwrap_or(now_ms), kind).amount(amount))
}

/// One payment posts once because its idempotency key is a function of the payment's id.
pub(super) fn purchase(purchase: &PostPurchase, now_ms: i64) -> Result<Draft, Rejected> {
    if purchase.payment_id.is_empty() || purchase.source() == PurchaseSource::Unspecified {
        return Err(rejected(422, "invalid_purchase", "a purchase names its payment and what caused it"));
    }
    let amount = positive(purchase.amount_micros)?;
    let kind = Kind::Purchase(Purchase {
        payment_id: purchase.payment_id.clone(),
        provider: purchase.provider.clone(),
        source: purchase.source,
    });
    Ok(Draft::of(now_ms, kind).amount(amount))
}

/// Judged as the purchase itself would be.
pub(super) fn prepare_purchase(prepare: &PreparePurchase, now_ms: i64) -> Result<Draft, Rejected> {
    let asked = prepare.purchase.as_ref();
    purchase(asked.ok_or_else(|| rejected(422, "invalid_purchase", "a question names its purchase"))?, now_ms)
}

pub(super) fn grant_bonus(context: &Context<'_, impl View>, grant: &GrantBonus) -> Result<Draft, Rejected> {
    let amount = positive(grant.amount_micros)?;
    if grant.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= context.now_ms) {
        return Err(rejected(422, "invalid_expiry", "a bonus expires in the future, or never"));
    }
    if context.account.lots().len() >= BONUS_LOTS_MAX {
        return Err(rejected(409, "too_many_bonuses", format!("{BONUS_LOTS_MAX} bonuses have something left")));
    }
    // Beside a debt the lots may hold more than the balance: their sum has a bound of its own.
    context.account.bonus.checked_add(amount).ok_or_else(out_of_range)?;
    let kind = Kind::BonusGranted(BonusGranted {
        expires_at_ms: grant.expires_at_ms,
        reason: grant.reason.clone(),
        note: grant.note.clone(),
    });
    Ok(Draft::of(context.now_ms, kind).amount(amount))
}

/// The fee of the plan the account is on now, in the book in force now; months are posted in order, each once.
pub(super) fn plan_fee(context: &Context<'_, impl View>, fee: &PostPlanFee) -> Result<Draft, Rejected> {
    let account = context.account;
    let period = fee.period.parse::<Period>();
    let period = period.map_err(|()| rejected(422, "invalid_period", "a period is a month, like 2026-11"))?;
    if let Some(posted) = account.fee_period.filter(|posted| *posted >= period) {
        return Err(rejected(409, "fee_posted", format!("the plan fee is posted up to {posted}")));
    }
    let plan = account.plan_at(context.now_ms);
    let no_price = || rejected(422, "no_price", format!("no price book in force names the plan {plan:?}"));
    let fee = fee_of(context.books, plan, account.currency(), context.now_ms).ok_or_else(no_price)?;
    if fee.amount == Money::ZERO {
        return Err(rejected(409, "no_fee", format!("the plan {plan:?} has no monthly fee")));
    }
    let kind = Kind::PlanFee(PlanFee { plan: plan.to_owned(), period: period.to_string(), price_version: fee.version });
    Ok(Draft::of(context.now_ms, kind).amount(fee.amount.negated()))
}
