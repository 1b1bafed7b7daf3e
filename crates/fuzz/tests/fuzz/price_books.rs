//! Price books: parsed, checked, printed, and what they charge.

use tollbooth_fuzz::fuzz;
use tollbooth_ledger::{PriceBooks, Quote, charge};
use tollbooth_schemas::price_book::{Model, Price, PriceBook};
use tollbooth_schemas::{Money, Quantity};

use crate::examples::BOOK;

const WORDS: &[&str] = &[
    "\"model\":\"package\",\"pack_size\":\"10\",",
    "\"model\":\"flat\",",
    "\"included\":{\"pro\":\"3\"},",
    "\"minimum\":{\"pro\":\"0.05\"},",
    "\"test_factor\":\"0.3333\",",
    "\"effective_to\":\"9999-12-31T23:59:59-01:00\",",
    "0000-01-01T00:00:00+01:00",
    "\"to\":\"5\",",
    "null",
    "[]",
    "{}",
    "-",
    "e9",
];

/// At which a charge may turn: around the edges of packs, tiers and what is included, and at the bound.
const QUANTITIES: &[i64] = &[
    0,
    1,
    499_999,
    1_000_000,
    1_000_001,
    2_500_000,
    5_000_000,
    5_000_001,
    10_000_000,
    10_000_001,
    1_000_000_000_000,
    999_999_999_999_999_999,
];

#[test]
fn what_a_book_prints_is_the_same_book() {
    fuzz("price_book", vec![BOOK.as_bytes().to_vec()], WORDS, |bytes| {
        let Ok(book) = serde_json::from_slice::<PriceBook>(bytes) else { return };
        let printed = serde_json::to_vec(&book).unwrap();
        let again: PriceBook = serde_json::from_slice(&printed).expect("what one release prints it reads");
        assert_eq!(again, book);
        assert_eq!(again.check(), book.check());
    });
}

#[test]
fn a_book_that_may_be_published_never_charges_less_for_more() {
    fuzz("price_book", vec![BOOK.as_bytes().to_vec()], WORDS, |bytes| {
        let Ok(book) = serde_json::from_slice::<PriceBook>(bytes) else { return };
        if !book.check().is_empty() {
            return;
        }
        let mut books = PriceBooks::default();
        assert!(books.publish(book.clone()));
        for price in &book.prices {
            for plan in price.priced_plans().keys() {
                for test_mode in [false, true] {
                    never_less_for_more(&books, &book, price, plan, test_mode);
                }
            }
        }
    });
}

fn never_less_for_more(books: &PriceBooks, book: &PriceBook, price: &Price, plan: &str, test_mode: bool) {
    let (from, _) = price.interval();
    let quote = Quote {
        service: &price.service,
        engine: &price.engine,
        variant: price.variant.as_deref().unwrap_or_default(),
        country: price.country.as_deref().unwrap_or_default(),
        unit: &price.unit,
        plan,
        currency: &book.currency,
        at_ms: from.max(book.effective_from),
        test_mode,
    };
    // Another row may be the more specific one, with another unit or without this plan.
    let Ok(rate) = books.rate(&quote) else { return };
    let model = rate.terms.map_or(price.model, |terms| terms.price.model);
    for before in [0, 4_999_999, 10_000_000] {
        let before = Quantity::from_micros(before).unwrap();
        let mut last = Some(Money::ZERO);
        for quantity in QUANTITIES {
            let charged = charge(&rate, Quantity::from_micros(*quantity).unwrap(), before).map(|charge| charge.amount);
            assert!(charged.is_none_or(|amount| !amount.is_negative()), "{quantity} of {price:?}");
            // A volume price is cheaper for all of it from the next tier on: that is its rule.
            if model != Model::Volume {
                // `None` is beyond every amount.
                let grows = match (last, charged) {
                    (_, None) => true,
                    (None, Some(_)) => false,
                    (Some(last), Some(charged)) => last <= charged,
                };
                assert!(grows, "{quantity} behind {before} of {price:?}: {charged:?} after {last:?}");
            }
            last = charged;
        }
    }
}
