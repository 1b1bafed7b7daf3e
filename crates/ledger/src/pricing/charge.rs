//! From a price to a charge: parts priced exactly, summed, rounded once.
//!
//! Sums are integers of 10^-12, a price in millionths times a quantity in millionths. What leaves `i128` on the way is
//! far beyond the bound of money.

use tollbooth_schemas::{
    Money, Quantity,
    price_book::{Model, Tier},
    v1::{PricePart, PricePartKind, Pricing},
};

use super::{Rate, Terms};

/// One, in millionths.
const ONE: i128 = 1_000_000;

/// What a piece of work costs, and how that came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// Rounded once, half to even, to six places.
    pub amount: Money,
    /// The price of a unit, a pack or the whole; of tiers, the highest one reached.
    pub unit_price: Money,
    /// `None`: price times quantity, or flat. Where something is counted, that is still to be filled in.
    pub pricing: Option<Box<Pricing>>,
}

/// The charge for a quantity, of which the month counted `before` (0 for a price that counts nothing). `None` beyond
/// [`Money::MAX`].
#[must_use]
pub fn charge(rate: &Rate<'_>, quantity: Quantity, before: Quantity) -> Option<Charge> {
    let Some(terms) = &rate.terms else {
        let is_flat = rate.model == tollbooth_schemas::v1::PriceModel::Flat;
        let amount = if is_flat { rate.unit_price } else { rounded(product(rate.unit_price, quantity)?, ONE)? };
        return Some(Charge { amount, unit_price: rate.unit_price, pricing: None });
    };
    let mut sum = Sum { exact: 0, unit_price: rate.unit_price, parts: Vec::new() };
    sum.add_all(rate, terms, quantity, before)?;
    let amount = match terms.test_factor {
        None => rounded(sum.exact, ONE)?,
        Some(factor) => rounded(sum.exact.checked_mul(i128::from(factor.micros()))?, ONE.checked_mul(ONE)?)?,
    };
    let test_factor_micros = terms.test_factor.map(Quantity::micros);
    let pricing = Pricing { parts: sum.parts, counted: None, test_factor_micros };
    Some(Charge { amount, unit_price: sum.unit_price, pricing: Some(Box::new(pricing)) })
}

struct Sum {
    /// In 10^-12.
    exact: i128,
    unit_price: Money,
    parts: Vec<PricePart>,
}

impl Sum {
    fn add_all(&mut self, rate: &Rate<'_>, terms: &Terms<'_>, quantity: Quantity, before: Quantity) -> Option<()> {
        let included = terms.price.included.get(terms.plan).copied().unwrap_or_default().micros();
        let free = included.saturating_sub(before.micros()).clamp(0, quantity.micros());
        if free > 0 {
            self.push(PricePartKind::Included, free, Money::ZERO, 0)?;
        }
        let paid = quantity.micros().checked_sub(free)?;
        if paid == 0 {
            return Some(());
        }
        // How much of the month was paid for before.
        let start = before.micros().saturating_sub(included).max(0);
        self.add_paid(rate, terms, paid, start)?;
        let minimum = terms.price.minimum.get(terms.plan).copied().unwrap_or_default();
        let exact = i128::from(minimum.micros()).checked_mul(ONE)?;
        if exact > self.exact {
            self.push(PricePartKind::Minimum, 0, minimum, 0)?;
            self.exact = exact;
        }
        Some(())
    }

    fn add_paid(&mut self, rate: &Rate<'_>, terms: &Terms<'_>, paid: i64, start: i64) -> Option<()> {
        let price = rate.unit_price;
        match terms.price.model {
            Model::PerUnit => self.push(PricePartKind::PerUnit, paid, price, i128::from(paid)),
            Model::Flat => self.push(PricePartKind::Flat, paid, price, ONE),
            Model::Package => {
                let size = terms.price.pack_size?.micros();
                let packs = paid.checked_add(size)?.checked_sub(1)?.checked_div(size)?;
                self.push(PricePartKind::Package, paid, price, i128::from(packs).checked_mul(ONE)?)?;
                let part = self.parts.last_mut()?;
                (part.packs, part.pack_micros) = (packs, size);
                Some(())
            }
            Model::Graduated => self.add_graduated(terms, start, start.checked_add(paid)?),
            Model::Volume => {
                let end = start.checked_add(paid)?;
                let is_reached = |tier: &&Tier| tier.to.is_none_or(|to| end <= to.micros());
                self.push_tier(terms, terms.price.tiers.iter().find(is_reached)?, paid)
            }
        }
    }

    /// What lies of `start..end` in each tier.
    fn add_graduated(&mut self, terms: &Terms<'_>, start: i64, end: i64) -> Option<()> {
        for tier in &terms.price.tiers {
            let from = start.max(tier.from.micros());
            let to = end.min(tier.to.map_or(i64::MAX, Quantity::micros));
            if to > from {
                self.push_tier(terms, tier, to.checked_sub(from)?)?;
            }
        }
        Some(())
    }

    fn push_tier(&mut self, terms: &Terms<'_>, tier: &Tier, quantity: i64) -> Option<()> {
        let price = *tier.plans.get(terms.plan)?;
        self.push(PricePartKind::Tier, quantity, price, i128::from(quantity))?;
        let part = self.parts.last_mut()?;
        (part.from_micros, part.to_micros) = (tier.from.micros(), tier.to.map(Quantity::micros));
        self.unit_price = price;
        Some(())
    }

    /// A part that costs its price `times` over, in millionths.
    fn push(&mut self, kind: PricePartKind, quantity: i64, price: Money, times: i128) -> Option<()> {
        let exact = i128::from(price.micros()).checked_mul(times)?;
        self.exact = self.exact.checked_add(exact)?;
        self.parts.push(PricePart {
            kind: kind.into(),
            quantity_micros: quantity,
            unit_price_micros: price.micros(),
            ..PricePart::default()
        });
        Some(())
    }
}

fn product(price: Money, quantity: Quantity) -> Option<i128> {
    i128::from(price.micros()).checked_mul(i128::from(quantity.micros()))
}

/// A quotient, half to even. Prices and quantities are never negative, so neither is the remainder.
fn rounded(exact: i128, scale: i128) -> Option<Money> {
    let (quotient, remainder) = (exact.checked_div(scale)?, exact.checked_rem(scale)?);
    let twice = remainder.checked_mul(2)?;
    let odd = quotient.checked_rem(2)? != 0;
    let up = twice > scale || (twice == scale && odd);
    let rounded = if up { quotient.checked_add(1)? } else { quotient };
    i64::try_from(rounded).ok().and_then(Money::from_micros)
}
