//! What a row may say beyond a price: packs, tiers, an included quantity, a minimum.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Model, Price, PriceBookError, check_plans, wrong};
use crate::{money::Money, quantity::Quantity};

/// Most tiers of a row.
pub const TIERS_MAX: usize = 100;

/// All of it.
pub(super) const ONE: Quantity = match Quantity::from_micros(1_000_000) {
    Some(one) => one,
    None => Quantity::ZERO,
};

/// A range of the month's quantity with a price of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// What lies above this much; the first one begins at 0.
    pub from: Quantity,
    /// Up to and including this much; absent: open, as only the last one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Quantity>,
    /// Price of a unit by plan code; every tier of a row names the same plans.
    pub plans: BTreeMap<String, Money>,
}

impl Price {
    /// Whether it is a price times a quantity, or a price alone, and nothing else.
    #[must_use]
    pub fn is_simple(&self) -> bool {
        matches!(self.model, Model::PerUnit | Model::Flat) && self.included.is_empty() && self.minimum.is_empty()
    }

    /// Whether what it charges depends on what the month counted before.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !self.tiers.is_empty() || !self.included.is_empty()
    }

    /// The plans it has a price for.
    #[must_use]
    pub fn priced_plans(&self) -> &BTreeMap<String, Money> {
        self.tiers.first().map_or(&self.plans, |tier| &tier.plans)
    }
}

pub(super) fn check(index: usize, price: &Price, plans: &BTreeSet<&str>, errors: &mut Vec<PriceBookError>) {
    let at = |member: &str| format!("/prices/{index}/{member}");
    if matches!(price.model, Model::Graduated | Model::Volume) {
        if !price.plans.is_empty() {
            errors.push(wrong(at("plans"), "must be empty: the tiers name the prices"));
        }
        check_tiers(index, &price.tiers, plans, errors);
    } else {
        if price.plans.is_empty() {
            errors.push(wrong(at("plans"), "must name at least one plan"));
        }
        if !price.tiers.is_empty() {
            errors.push(wrong(at("tiers"), "must be absent: only graduated and volume prices have them"));
        }
    }
    match (price.model, price.pack_size) {
        (Model::Package, None) => errors.push(wrong(at("pack_size"), "must say how much a pack holds")),
        (Model::Package, Some(size)) if size.is_zero() => {
            errors.push(wrong(at("pack_size"), "must be more than 0"));
        }
        (Model::Package, Some(_)) | (_, None) => {}
        (_, Some(_)) => errors.push(wrong(at("pack_size"), "must be absent: only package prices have it")),
    }
    let priced = price.priced_plans();
    for (member, plan) in
        price.included.keys().map(|plan| ("included", plan)).chain(price.minimum.keys().map(|plan| ("minimum", plan)))
    {
        if !priced.contains_key(plan) {
            errors.push(wrong(at(&format!("{member}/{plan}")), format!("{plan:?} has no price in this row")));
        }
    }
    for (plan, _) in price.minimum.iter().filter(|(_, minimum)| minimum.is_negative()) {
        errors.push(wrong(at(&format!("minimum/{plan}")), "must not be negative"));
    }
}

/// From 0 on, each where the one before ends, the last one open, all for the same plans.
fn check_tiers(index: usize, tiers: &[Tier], plans: &BTreeSet<&str>, errors: &mut Vec<PriceBookError>) {
    let at = |tier: usize, member: &str| format!("/prices/{index}/tiers/{tier}{member}");
    let Some(first) = tiers.first() else {
        errors.push(wrong(format!("/prices/{index}/tiers"), "must name at least one tier"));
        return;
    };
    if tiers.len() > TIERS_MAX {
        errors.push(wrong(format!("/prices/{index}/tiers"), format!("has more than {TIERS_MAX} tiers")));
    }
    let mut begins = Some(Quantity::ZERO);
    for (number, tier) in tiers.iter().enumerate() {
        match begins {
            Some(begin) if tier.from < begin => {
                let detail = format!("overlaps the tiers before it: the next unit is beyond {begin}");
                errors.push(wrong(at(number, "/from"), detail));
            }
            Some(begin) if tier.from > begin => {
                let detail = format!("leaves a gap: what lies from {begin} on has no price");
                errors.push(wrong(at(number, "/from"), detail));
            }
            Some(_) => {}
            None => errors.push(wrong(at(number, "/from"), "overlaps the tier before it, which has no end")),
        }
        if tier.to.is_some_and(|to| to <= tier.from) {
            errors.push(wrong(at(number, "/to"), "must be more than from"));
        }
        begins = tier.to;
        if tier.plans.is_empty() {
            errors.push(wrong(at(number, "/plans"), "must name at least one plan"));
        }
        if !tier.plans.keys().eq(first.plans.keys()) {
            errors.push(wrong(at(number, "/plans"), "must name the plans of the first tier"));
        }
        check_plans(&tier.plans, &at(number, "/plans"), plans, errors);
    }
    if begins.is_some() {
        let last = tiers.len().saturating_sub(1);
        errors.push(wrong(at(last, "/to"), "leaves a gap: the last tier has no end"));
    }
}
