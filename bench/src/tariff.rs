//! Prices as others than tollbooth have them here: one for each kind of work, without dates, tiers and packs.

use anyhow::Context as _;
use tollbooth_schemas::{price_book::PriceBook, usage::UsageEvent};

use crate::feed;

/// The plan of every account.
const PLAN: &str = "basic";
const UNIT_MICROS: i64 = 1_000_000;

/// What a unit of some work costs.
#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) service: &'static str,
    pub(crate) engine: &'static str,
    variant: &'static str,
    unit: &'static str,
    micros: i64,
}

/// The rates of all work that is fed.
#[derive(Debug)]
pub(crate) struct Tariff(Vec<Rate>);

impl Tariff {
    /// From the published price book.
    pub(crate) fn published() -> anyhow::Result<Self> {
        let book = feed::price_book()?;
        feed::WORK.iter().map(|work| rate(&book, *work)).collect::<anyhow::Result<_>>().map(Self)
    }

    /// What an event costs, in micros, and by which rate.
    pub(crate) fn price(&self, event: &UsageEvent<'_>) -> anyhow::Result<(&Rate, i64)> {
        let rate = self.0.iter().find(|rate| {
            rate.engine == event.engine.0
                && rate.service == event.service.0
                && rate.variant == event.variant.0
                && rate.unit == event.unit.0
        });
        let rate = rate.with_context(|| format!("{} has no price", event.engine.0))?;
        let amount =
            rate.micros.checked_mul(event.quantity.micros()).context("an amount beyond 64 bits")? / UNIT_MICROS;
        Ok((rate, amount))
    }

    /// A line for each rate: service, engine, variant (or a dash), unit and micros.
    pub(crate) fn lines(&self) -> String {
        let line = |rate: &Rate| {
            let Rate { service, engine, variant, unit, micros } = rate;
            let variant = if variant.is_empty() { "-" } else { variant };
            format!("{service} {engine} {variant} {unit} {micros}\n")
        };
        self.0.iter().map(line).collect()
    }
}

/// The price of some work that has no end.
fn rate(book: &PriceBook, work: feed::Work) -> anyhow::Result<Rate> {
    let (_, service, engine, variant, unit) = work;
    let price = book.prices.iter().find(|price| {
        price.service == service
            && price.engine == engine
            && price.variant.as_deref() == variant
            && price.unit == unit
            && price.effective_to.is_none()
    });
    let price = price.and_then(|price| price.plans.get(PLAN)).with_context(|| format!("{engine} has no price"))?;
    Ok(Rate { service, engine, variant: variant.unwrap_or_default(), unit, micros: price.micros() })
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::usage::parse_structured;

    use super::*;

    #[test]
    fn all_that_is_fed_has_a_price_and_parts_of_a_unit_cost_a_part() {
        // given the tariff and what is fed
        let tariff = Tariff::published().unwrap();
        let mut seen = 0;
        feed::each_event(100, 20_000, 1, |_, text| {
            let event = parse_structured(text.as_bytes())?;
            // when it is priced
            let (rate, amount) = tariff.price(&event)?;
            // then it costs the rate times the quantity
            assert!(amount > 0, "{text}");
            if event.quantity.micros() == 6_500_000 {
                assert_eq!(amount * 2, rate.micros * 13, "{text}");
                seen += 1;
            }
            Ok(())
        })
        .unwrap();
        assert!(seen > 0);
        // and there is a line for each
        assert_eq!(tariff.lines().lines().count(), feed::WORK.len());
        assert!(tariff.lines().contains("sms sms_intl zone_a segment 100000\n"), "{}", tariff.lines());
    }
}
