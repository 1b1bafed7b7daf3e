//! What the account wants to be told of.

use tollbooth_schemas::v1::{Rejected, SetAlerts, entry::Kind};

use super::not_negative;
use crate::{
    alerts::{BALANCE_MARKS_MAX, BUDGET_PERCENT_MAX, EMPTY_IN_HOURS_MAX, PERCENT_MARKS_MAX, SPIKE_TIMES},
    decision::rejected,
    place::Draft,
};

fn wrong(detail: impl Into<String>) -> Rejected {
    rejected(422, "invalid_alerts", detail)
}

/// A document without a rule is one: nothing is told.
pub(super) fn set(set: &SetAlerts, now_ms: i64) -> Result<Draft, Rejected> {
    let rules = set.alerts.clone().unwrap_or_default();
    let amounts = &rules.balance_below_micros;
    for amount in amounts {
        not_negative(*amount)?;
    }
    if amounts.len() > BALANCE_MARKS_MAX || !amounts.is_sorted_by(|one, next| one < next) {
        return Err(wrong(format!("at most {BALANCE_MARKS_MAX} amounts, each once, in order")));
    }
    for (percents, most) in [(&rules.below_top_up_percents, 100), (&rules.event_budget_percents, BUDGET_PERCENT_MAX)] {
        let within = percents.iter().all(|percent| (1..=most).contains(percent));
        if percents.len() > PERCENT_MARKS_MAX || !within || !percents.is_sorted_by(|one, next| one < next) {
            return Err(wrong(format!("at most {PERCENT_MARKS_MAX} percents, 1 to {most}, each once, in order")));
        }
    }
    if rules.empty_in_hours.is_some_and(|hours| !(1..=EMPTY_IN_HOURS_MAX).contains(&hours)) {
        return Err(wrong(format!("1 to {EMPTY_IN_HOURS_MAX} hours to empty")));
    }
    if let Some(spike) = &rules.booth_spike {
        not_negative(spike.at_least_micros)?;
        if !SPIKE_TIMES.contains(&spike.times) {
            return Err(wrong(format!("{} to {} times its average hour", SPIKE_TIMES.start(), SPIKE_TIMES.end())));
        }
    }
    Ok(Draft::of(now_ms, Kind::AlertsSet(rules)))
}
