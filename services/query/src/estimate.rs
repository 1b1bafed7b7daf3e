//! What a party will cost: guests times operations per guest, in the mix that was seen before, at today's prices. Pure.
//!
//! Counts are whole operations that add up to the expected number; money is whole millionths, each line rounded once, half
//! to even, as a charge is.

use tollbooth_schemas::price_book::{Model, Price, PriceBook};

const SCALE: i128 = 1_000_000;

/// Work of one kind that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Service code.
    pub service: String,
    /// Engine code.
    pub engine: String,
    /// Variant code; empty: none.
    pub variant: String,
    /// Successful operations.
    pub count: i64,
    /// Their quantities, in millionths.
    pub quantity_micros: i128,
    /// What was spent on them, in micro-units.
    pub spent_micros: i128,
}

/// What is expected of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was seen of it.
    pub seen: Seen,
    /// Its part of all operations, in millionths.
    pub share_micros: i128,
    /// Operations.
    pub count: i64,
    /// Units of work, in millionths.
    pub quantity_micros: i128,
    /// What the quantity counts; empty: no price says it.
    pub unit: String,
    /// Today's price of a unit, in micro-units; `None`: it has none, and what it cost so far counts.
    pub unit_price_micros: Option<i128>,
    /// In micro-units.
    pub amount_micros: i128,
}

/// How many operations a party has: guests, and operations of each in millionths. Rounded half up.
#[must_use]
pub fn operations(guests: u64, per_guest_micros: u64) -> i64 {
    let exact = u128::from(guests) * u128::from(per_guest_micros);
    i64::try_from((exact + 500_000) / 1_000_000).unwrap_or(i64::MAX)
}

/// What `operations` will be, in the mix that was seen.
#[must_use]
pub fn lines(seen: Vec<Seen>, operations: i64, plan: &str, book: Option<&PriceBook>, now_ms: i64) -> Vec<Line> {
    let seen: Vec<Seen> = seen.into_iter().filter(|seen| seen.count > 0).collect();
    let counts = parts(&seen.iter().map(|seen| seen.count).collect::<Vec<i64>>(), operations);
    let all: i128 = seen.iter().map(|seen| i128::from(seen.count)).sum();
    let lines = seen.into_iter().zip(counts).map(|(seen, count)| {
        let (per, expected) = (i128::from(seen.count), i128::from(count));
        let quantity_micros = round(seen.quantity_micros * expected, per);
        let price = book.and_then(|book| price(book, &seen, plan, now_ms));
        let amount_micros = match price {
            Some((Model::PerUnit, unit_price, _)) => round(unit_price * quantity_micros, SCALE),
            Some((Model::Flat, unit_price, _)) => unit_price * expected,
            // What depends on the single quantity or on the month counts as it did so far.
            Some((Model::Package | Model::Graduated | Model::Volume, ..)) | None => {
                round(seen.spent_micros * expected, per)
            }
        };
        Line {
            share_micros: round(per * SCALE, all),
            count,
            quantity_micros,
            unit: price.map(|(.., unit)| unit.to_owned()).unwrap_or_default(),
            unit_price_micros: price.map(|(_, unit_price, _)| unit_price),
            amount_micros,
            seen,
        }
    });
    lines.collect()
}

/// Splits `whole` in the ratio of `weights`, by largest remainder: the parts are whole and add up to it.
fn parts(weights: &[i64], whole: i64) -> Vec<i64> {
    let all: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if all <= 0 {
        return vec![0; weights.len()];
    }
    let exact: Vec<i128> = weights.iter().map(|weight| i128::from(*weight) * i128::from(whole)).collect();
    let mut parts: Vec<i64> = exact.iter().map(|exact| i64::try_from(exact / all).unwrap_or(i64::MAX)).collect();
    let left = i128::from(whole) - parts.iter().map(|part| i128::from(*part)).sum::<i128>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(exact[*index] % all), *index));
    for index in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[index] += 1;
    }
    parts
}

/// The most specific row in force. A price that depends on the country, on the single quantity or on the month has none
/// that could be expected.
fn price<'a>(book: &'a PriceBook, seen: &Seen, plan: &str, now_ms: i64) -> Option<(Model, i128, &'a str)> {
    let fits = |price: &&Price| {
        let (from_ms, to_ms) = price.interval();
        price.service == seen.service
            && price.engine == seen.engine
            && (from_ms..to_ms).contains(&now_ms)
            && price.variant.as_deref().is_none_or(|variant| variant == seen.variant)
    };
    let fitting: Vec<&Price> = book.prices.iter().filter(fits).collect();
    if fitting.iter().any(|price| price.country.is_some()) {
        return None;
    }
    let found = fitting.into_iter().max_by_key(|price| price.variant.is_some()).filter(|price| price.is_simple())?;
    Some((found.model, found.plans.get(plan)?.micros().into(), found.unit.as_str()))
}

/// A quotient, half to even.
fn round(numerator: i128, denominator: i128) -> i128 {
    let (quotient, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient.rem_euclid(2),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(service: &str, engine: &str, count: i64, quantity: i128, spent_micros: i128) -> Seen {
        let (service, engine, variant) = (service.to_owned(), engine.to_owned(), "1k".to_owned());
        Seen { service, engine, variant, count, quantity_micros: quantity * SCALE, spent_micros }
    }

    fn book() -> PriceBook {
        serde_json::from_str(
            r#"{"version": 1, "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
                "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "39"}], "services": [], "engines": [],
                "prices": [
                  {"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit", "plans": {"basic": "0.25"}},
                  {"service": "ai_modify", "engine": "nano", "variant": "1k", "unit": "image", "model": "per_unit",
                   "plans": {"basic": "0.20"}},
                  {"service": "video", "engine": "kling", "unit": "second", "model": "per_unit", "plans": {"basic": "0.10"}},
                  {"service": "draw", "engine": "me", "unit": "job", "model": "flat", "plans": {"basic": "0.50"}},
                  {"service": "sms", "engine": "sms", "country": "US", "unit": "message", "model": "per_unit",
                   "plans": {"basic": "0.02"}}
                ]}"#,
        )
        .unwrap()
    }

    #[test]
    fn guests_times_operations_in_the_mix_that_was_seen_at_todays_prices() {
        // 150 guests with 1.25 operations each are 188.
        assert_eq!(operations(150, 1_250_000), 188);
        let mix = vec![
            seen("ai_modify", "nano", 70, 70, 9_000_000),
            seen("video", "kling", 10, 50, 4_000_000),
            seen("draw", "me", 10, 10, 1),
            seen("sms", "sms", 10, 10, 300_000),
            seen("gone", "engine", 0, 3, 5),
        ];
        let lines = lines(mix, 188, "basic", Some(&book()), 1_800_000_000_000);
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.count, line.quantity_micros, line.unit_price_micros, line.amount_micros))
            .collect();
        assert_eq!(
            found,
            [
                (131, 131 * SCALE, Some(200_000), 26_200_000),
                (19, 95 * SCALE, Some(100_000), 9_500_000),
                (19, 19 * SCALE, Some(500_000), 9_500_000),
                // What a message costs depends on where it goes: it counts as it did so far.
                (19, 19 * SCALE, None, 570_000),
            ]
        );
        assert_eq!(lines[0].share_micros, 700_000);
        assert_eq!([lines[0].unit.as_str(), lines[3].unit.as_str()], ["image", ""]);
    }

    #[test]
    fn without_a_price_what_it_cost_so_far_counts() {
        let mix = || vec![seen("ai_modify", "nano", 2, 2, 300_000)];
        for (plan, book) in [("pro", Some(book())), ("basic", None)] {
            let lines = lines(mix(), 4, plan, book.as_ref(), 1_800_000_000_000);
            assert_eq!((lines[0].unit_price_micros, lines[0].amount_micros), (None, 600_000));
        }
        assert!(lines(Vec::new(), 100, "basic", None, 0).is_empty());
    }

    #[test]
    fn half_a_millionth_goes_to_the_even_one() {
        assert_eq!([round(5, 2), round(7, 2), round(-5, 2), round(8, 3)], [2, 4, -2, 3]);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(weights in proptest::collection::vec(1_i64..1_000_000, 1..20), whole in 0_i64..10_000_000) {
            let parts = parts(&weights, whole);
            prop_assert_eq!(parts.iter().sum::<i64>(), whole);
            let all: i64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = i128::from(*weight) * i128::from(whole);
                prop_assert!((i128::from(*part) * i128::from(all) - exact).abs() < i128::from(all));
            }
        }
    }
}
