//! The parts of a charge: a formula with its numbers in it.

use std::fmt;

use serde::Serialize;
use tollbooth_schemas::pricing::part_code;
use tollbooth_schemas::v1::{PriceModel, PricePart, PricePartKind, Pricing};
use utoipa::ToSchema;

use crate::amount::{AmountBody, Micros, QuantityText};

const SCALE: i128 = 1_000_000;

/// What a charge is the sum of. The parts are exact; the sum is rounded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pricing)]
pub(crate) struct PricingBody {
    parts: Vec<PartBody>,
    /// The month that counts the quantity, where the price depends on it.
    month: Option<MonthBody>,
    /// The part of the price that test work costs, a decimal from 0 to 1; null: it was none, or costs all of it.
    #[schema(value_type = Option<String>, examples("0.5"))]
    test_factor: Option<QuantityText>,
}

/// A month of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PricingMonth)]
struct MonthBody {
    /// Of the work, in the account's zone.
    #[schema(examples("2026-11"))]
    period: String,
    /// What was counted before this charge.
    #[schema(value_type = String, examples("990"))]
    counted_before: QuantityText,
}

/// A part of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PricingPart)]
struct PartBody {
    /// `included`: of the month's free quantity; `per_unit`, `flat`, `package`, `tier`: as the price model says; `minimum`:
    /// the parts before it come to less, and this is charged instead of them.
    kind: &'static str,
    /// Null for a minimum.
    #[schema(value_type = Option<String>, examples("1000"))]
    quantity: Option<QuantityText>,
    /// Of a unit, of a pack, or of the whole.
    unit_price: AmountBody,
    /// Not rounded: up to 12 places.
    #[schema(value_type = String, examples("80.00"))]
    exact_amount: Exact,
    /// How many packs were begun.
    packs: Option<i64>,
    /// What a pack holds.
    #[schema(value_type = Option<String>, examples("10"))]
    pack_size: Option<QuantityText>,
    /// The tier: what lies above this much of what is paid for in the month,
    #[schema(value_type = Option<String>, examples("1000"))]
    from: Option<QuantityText>,
    /// and up to this much; null: open.
    #[schema(value_type = Option<String>, examples("2000"))]
    to: Option<QuantityText>,
}

/// An amount in 10^-12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exact(i128);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.div_euclid(SCALE * SCALE), self.0.rem_euclid(SCALE * SCALE));
        let places = format!("{rest:012}");
        let trimmed = places.trim_end_matches('0');
        write!(f, "{whole}.{trimmed:0<2}")
    }
}

impl Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn exact(part: &PricePart) -> Exact {
    let times = match part.kind() {
        PricePartKind::Unspecified | PricePartKind::Included => 0,
        PricePartKind::PerUnit | PricePartKind::Tier => part.quantity_micros.into(),
        PricePartKind::Flat | PricePartKind::Minimum => SCALE,
        PricePartKind::Package => i128::from(part.packs) * SCALE,
    };
    Exact(i128::from(part.unit_price_micros) * times)
}

impl PricingBody {
    pub(crate) fn new(currency: &str, pricing: &Pricing) -> Self {
        let quantity = |micros: i64| QuantityText(micros.into());
        let parts = pricing.parts.iter().map(|part| {
            let kind = part.kind();
            let (is_pack, is_tier) = (kind == PricePartKind::Package, kind == PricePartKind::Tier);
            PartBody {
                kind: part_code(kind),
                quantity: (kind != PricePartKind::Minimum).then(|| quantity(part.quantity_micros)),
                unit_price: AmountBody::new(part.unit_price_micros, currency),
                exact_amount: exact(part),
                packs: is_pack.then_some(part.packs),
                pack_size: is_pack.then(|| quantity(part.pack_micros)),
                from: is_tier.then(|| quantity(part.from_micros)),
                to: part.to_micros.filter(|_| is_tier).map(quantity),
            }
        });
        let month = pricing.counted.as_ref().map(|counted| MonthBody {
            period: counted.period.clone(),
            counted_before: quantity(counted.before_micros),
        });
        Self { parts: parts.collect(), month, test_factor: pricing.test_factor_micros.map(quantity) }
    }
}

/// The code of a model; empty: nothing was priced.
pub(crate) const fn model_code(model: PriceModel) -> &'static str {
    match model {
        PriceModel::Unspecified => "",
        PriceModel::PerUnit => "per_unit",
        PriceModel::Flat => "flat",
        PriceModel::Package => "package",
        PriceModel::Graduated => "graduated",
        PriceModel::Volume => "volume",
    }
}

/// How any price comes to its charge, from a quantity and a unit price in millionths.
pub(crate) fn formula_of(
    currency: &str,
    unit: &str,
    model: PriceModel,
    (quantity_micros, unit_price_micros): (i64, i64),
    pricing: Option<&Pricing>,
) -> String {
    let (price, quantity) = (Micros(unit_price_micros.into()), QuantityText(quantity_micros.into()));
    match pricing {
        Some(pricing) => formula(currency, unit, pricing),
        None if model == PriceModel::Flat => format!("{quantity} {unit}, {price} {currency} whatever the quantity"),
        None => format!("{quantity} {unit} x {price} {currency}"),
    }
}

/// `10 image included + 1000 image x 0.08 USD`.
pub(crate) fn formula(currency: &str, unit: &str, pricing: &Pricing) -> String {
    let mut minimum = String::new();
    let mut terms = Vec::new();
    for part in &pricing.parts {
        let price = Micros(part.unit_price_micros.into());
        let quantity = QuantityText(part.quantity_micros.into());
        match part.kind() {
            PricePartKind::Unspecified => {}
            PricePartKind::Included => terms.push(format!("{quantity} {unit} included")),
            PricePartKind::PerUnit | PricePartKind::Tier => {
                terms.push(format!("{quantity} {unit} x {price} {currency}"));
            }
            PricePartKind::Flat => terms.push(format!("{price} {currency} whatever the quantity")),
            PricePartKind::Package => {
                let (packs, size) = (part.packs, QuantityText(part.pack_micros.into()));
                terms.push(format!("{packs} packs of {size} {unit} x {price} {currency}"));
            }
            PricePartKind::Minimum => minimum = format!(", at least {price} {currency}"),
        }
    }
    let sum = terms.join(" + ");
    match pricing.test_factor_micros {
        None => format!("{sum}{minimum}"),
        Some(factor) => format!("({sum}{minimum}) x {} as a test", QuantityText(factor.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: PricePartKind, quantity: i64, price: i64) -> PricePart {
        let (quantity_micros, unit_price_micros) = (quantity * 1_000_000, price);
        PricePart { kind: kind.into(), quantity_micros, unit_price_micros, ..PricePart::default() }
    }

    fn pricing(parts: Vec<PricePart>) -> Pricing {
        Pricing { parts, ..Pricing::default() }
    }

    #[test]
    fn a_formula_has_its_numbers_in_it() {
        let tiers = pricing(vec![part(PricePartKind::Included, 10, 0), part(PricePartKind::Tier, 1_000, 80_000)]);
        assert_eq!(formula("USD", "image", &tiers), "10 image included + 1000 image x 0.08 USD");
        let pack = PricePart { packs: 3, pack_micros: 10_000_000, ..part(PricePartKind::Package, 25, 500_000) };
        let mut packs = pricing(vec![pack, part(PricePartKind::Minimum, 0, 2_000_000)]);
        assert_eq!(formula("USD", "image", &packs), "3 packs of 10 image x 0.50 USD, at least 2.00 USD");
        packs.test_factor_micros = Some(500_000);
        assert_eq!(
            formula("USD", "image", &packs),
            "(3 packs of 10 image x 0.50 USD, at least 2.00 USD) x 0.5 as a test"
        );
    }

    #[test]
    fn the_amount_of_a_part_is_exact() {
        let part = PricePart { quantity_micros: 333_333, ..part(PricePartKind::Tier, 0, 80_001) };
        assert_eq!(exact(&part).to_string(), "0.026666973333");
        assert_eq!([Exact(0), Exact(80 * SCALE * SCALE)].map(|exact| exact.to_string()), ["0.00", "80.00"]);
    }
}
