//! Packs, tiers, included quantities, minimum charges and test work, on decimal numbers.
//!
//! The month is a line from 0 on, cut into segments: what is included, then the tiers or the one price behind it. A charge
//! takes the stretch behind what was counted, and pays for what lies of it in each segment.

use rust_decimal::Decimal;
use tollbooth_schemas::{
    Quantity,
    dead_letter::Reason,
    price_book::{Model, Price},
    v1::{Counted, PricePart, PricePartKind, Pricing},
};

use super::price::{Work, rounded};

/// What a charge comes to.
#[derive(Debug)]
pub(super) struct Priced {
    pub(super) micros: i64,
    pub(super) unit_price_micros: i64,
    pub(super) pricing: Pricing,
}

struct Segment {
    kind: PricePartKind,
    from: Decimal,
    to: Option<Decimal>,
    price: Decimal,
    /// As the book says them.
    bounds: (i64, Option<i64>),
}

/// Whether a row says more than a price of a unit or of the whole.
pub(super) fn says_more(price: &Price) -> bool {
    let is_plain = price.model == Model::PerUnit || price.model == Model::Flat;
    !is_plain || price.included.len() + price.minimum.len() > 0
}

fn decimal(micros: i64) -> Decimal {
    Decimal::new(micros, 6)
}

fn micros(value: Decimal) -> Option<i64> {
    let mut value = value;
    value.rescale(6);
    i64::try_from(value.mantissa()).ok()
}

/// The parts of a charge and their rounded sum.
pub(super) fn priced(price: &Price, work: &Work<'_>, test_factor: Option<Quantity>) -> Result<Priced, Reason> {
    let plans = price.tiers.first().map_or(&price.plans, |tier| &tier.plans);
    if !plans.contains_key(work.plan) {
        return Err(Reason::NoPrice);
    }
    let counts = !price.tiers.is_empty() || !price.included.is_empty();
    let history = work.history.filter(|_| counts);
    let counted = history.map(|history| history.at(price, work.occurred_at_ms));
    let before = counted.as_ref().map_or(0, |counted| counted.before_micros);
    charge(price, work, test_factor, before, counted).ok_or(Reason::OutOfRange)
}

fn charge(
    price: &Price,
    work: &Work<'_>,
    test_factor: Option<Quantity>,
    before: i64,
    counted: Option<Counted>,
) -> Option<Priced> {
    let (start, end) = (decimal(before), decimal(before) + decimal(work.quantity_micros));
    let mut parts = Vec::new();
    let mut sum = Decimal::ZERO;
    let mut unit_price = price.plans.get(work.plan).map_or(Decimal::ZERO, |money| decimal(money.micros()));
    let mut is_paid = false;
    for segment in segments(price, work.plan, end) {
        let stretch = segment.to.map_or(end, |to| to.min(end)) - segment.from.max(start);
        if stretch <= Decimal::ZERO {
            continue;
        }
        let mut part = PricePart {
            kind: segment.kind.into(),
            quantity_micros: micros(stretch)?,
            unit_price_micros: micros(segment.price)?,
            from_micros: segment.bounds.0,
            to_micros: segment.bounds.1,
            ..PricePart::default()
        };
        let times = match segment.kind {
            PricePartKind::Flat => Decimal::ONE,
            PricePartKind::Package => {
                let size = price.pack_size?;
                let packs = (stretch / decimal(size.micros())).ceil();
                (part.packs, part.pack_micros) = (i64::try_from(packs.mantissa()).ok()?, size.micros());
                // A quotient that is not finite may be rounded up to a whole number of packs, and need one more.
                if decimal(size.micros()).checked_mul(Decimal::from(part.packs))? < stretch {
                    part.packs += 1;
                }
                Decimal::from(part.packs)
            }
            _ => stretch,
        };
        sum = sum.checked_add(segment.price.checked_mul(times)?)?;
        is_paid |= segment.kind != PricePartKind::Included;
        if segment.kind == PricePartKind::Tier {
            unit_price = segment.price;
        }
        parts.push(part);
    }
    let minimum = price.minimum.get(work.plan).map_or(Decimal::ZERO, |money| decimal(money.micros()));
    if is_paid && minimum > sum {
        let unit_price_micros = micros(minimum)?;
        parts.push(PricePart { kind: PricePartKind::Minimum.into(), unit_price_micros, ..PricePart::default() });
        sum = minimum;
    }
    // Beyond 10^10 a product has fewer than its 18 places: no test costs that much.
    let exact = match test_factor {
        Some(factor) => sum.checked_mul(decimal(factor.micros()))?,
        None => sum,
    };
    let test_factor_micros = test_factor.map(Quantity::micros);
    let pricing = Pricing { parts, counted, test_factor_micros };
    Some(Priced { micros: rounded(exact)?, unit_price_micros: micros(unit_price)?, pricing })
}

/// The month as the plan pays for it; `end` is where it stands after the charge.
fn segments(price: &Price, plan: &str, end: Decimal) -> Vec<Segment> {
    let included = price.included.get(plan).map_or(Decimal::ZERO, |quantity| decimal(quantity.micros()));
    let free = Segment {
        kind: PricePartKind::Included,
        from: Decimal::ZERO,
        to: Some(included),
        price: Decimal::ZERO,
        bounds: (0, None),
    };
    let mut all = vec![free];
    let behind = |kind: PricePartKind, from: Decimal, to: Option<Decimal>| {
        let price = price.plans.get(plan).map_or(Decimal::ZERO, |money| decimal(money.micros()));
        Segment { kind, from, to, price, bounds: (0, None) }
    };
    match price.model {
        Model::PerUnit => all.push(behind(PricePartKind::PerUnit, included, None)),
        Model::Flat => all.push(behind(PricePartKind::Flat, included, None)),
        Model::Package => all.push(behind(PricePartKind::Package, included, None)),
        Model::Graduated | Model::Volume => {
            for tier in &price.tiers {
                let from = included + decimal(tier.from.micros());
                let to = tier.to.map(|to| included + decimal(to.micros()));
                let segment = Segment {
                    price: tier.plans.get(plan).map_or(Decimal::ZERO, |money| decimal(money.micros())),
                    bounds: (tier.from.micros(), tier.to.map(Quantity::micros)),
                    ..behind(PricePartKind::Tier, from, to)
                };
                if price.model == Model::Graduated {
                    all.push(segment);
                } else if from < end && to.is_none_or(|to| end <= to) {
                    // The tier that is reached prices all of it.
                    all.push(Segment { from: included, to: None, ..segment });
                }
            }
        }
    }
    all
}
