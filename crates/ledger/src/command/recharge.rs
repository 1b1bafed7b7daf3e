//! The rule by which credit is bought by itself, and the word that it was not.

use tollbooth_schemas::{
    Money,
    v1::{FailRecharge, RechargeSet, Rejected, SetRecharge, entry::Kind, recharge_set, set_recharge::Size},
};

use super::{Context, not_negative};
use crate::{
    decision::rejected,
    place::Draft,
    recharge::{CENT_MICROS, PAYMENT_MIN},
    state::View,
};

fn wrong(detail: &str) -> Rejected {
    rejected(422, "invalid_recharge", detail)
}

/// A rule that is off may say anything that is an amount.
pub(super) fn set(set: &SetRecharge, now_ms: i64) -> Result<Draft, Rejected> {
    let threshold = not_negative(set.threshold_micros)?;
    let size = size(set, threshold)?;
    for cap in [set.daily_cap_micros, set.monthly_cap_micros].into_iter().flatten() {
        if not_negative(cap)? < PAYMENT_MIN && set.enabled {
            return Err(wrong("a cap is at least 1.00"));
        }
    }
    if let Some(most) = set.amount_max_micros.map(not_negative).transpose()? {
        let is_whole = most.micros().checked_rem(CENT_MICROS) == Some(0);
        let is_more = matches!(set.size, Some(Size::AmountMicros(micros)) if micros > most.micros());
        if set.enabled && (most < PAYMENT_MIN || !is_whole || is_more) {
            return Err(wrong("what is bought at most is whole hundredths, at least 1.00, and not below the amount"));
        }
    }
    let rule = RechargeSet {
        enabled: set.enabled,
        threshold_micros: set.threshold_micros,
        size,
        daily_cap_micros: set.daily_cap_micros,
        monthly_cap_micros: set.monthly_cap_micros,
        amount_max_micros: set.amount_max_micros,
    };
    Ok(Draft::of(now_ms, Kind::RechargeSet(rule)))
}

fn size(set: &SetRecharge, threshold: Money) -> Result<Option<recharge_set::Size>, Rejected> {
    Ok(match set.size {
        Some(Size::AmountMicros(micros)) => {
            if not_negative(micros)? < PAYMENT_MIN && set.enabled {
                return Err(wrong("an amount is at least 1.00"));
            }
            Some(recharge_set::Size::AmountMicros(micros))
        }
        Some(Size::TargetMicros(micros)) => {
            if not_negative(micros)? <= threshold && set.enabled {
                return Err(wrong("a target lies above the threshold"));
            }
            Some(recharge_set::Size::TargetMicros(micros))
        }
        None if set.enabled => return Err(wrong("a rule names an amount or a target")),
        None => None,
    })
}

/// Told by who was to pay. What is not under way any more is answered with that: the same word may come twice.
pub(super) fn fail(context: &Context<'_, impl View>, fail: &FailRecharge) -> Result<Draft, Rejected> {
    let recharge = context.account.recharge.as_deref().filter(|recharge| recharge.is_under_way(&fail.recharge_id));
    let failed = recharge.and_then(|recharge| recharge.failure(&fail.reason, context.now_ms));
    let not_under_way = || {
        rejected(409, "recharge_not_under_way", format!("{} is not the recharge that is under way", fail.recharge_id))
    };
    Ok(Draft::of(context.now_ms, Kind::RechargeFailed(failed.ok_or_else(not_under_way)?)))
}
