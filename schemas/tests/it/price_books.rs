//! What a price book may say, and when it may begin to.

use proptest::prelude::*;
use tollbooth_schemas::{
    Money,
    price_book::{LEAD_MS_DEFAULT, PRICES_MAX, Price, PriceBook, UNITS},
};

use super::examples::{self, NOON, book, local_book};

/// Gives the third row a price for a plan.
fn set(book: &mut PriceBook, plan: &str, micros: i64) {
    book.prices[2].plans.insert(plan.to_owned(), Money::from_micros(micros).unwrap());
}

/// A mistake.
type Change = fn(&mut PriceBook);

/// Pointers of what is wrong after a change.
fn pointers(change: impl FnOnce(&mut PriceBook)) -> Vec<String> {
    let mut book = book();
    change(&mut book);
    book.check().into_iter().map(|error| error.pointer).collect()
}

#[test]
fn the_books_in_use_are_right() {
    assert_eq!(book().check(), []);
    assert_eq!(local_book().check(), []);
}

#[test]
fn every_mistake_is_named_by_its_member() {
    let cases: Vec<(Change, &str)> = vec![
        (|book| book.version = 0, "/version"),
        (|book| book.currency = "usd".into(), "/currency"),
        (|book| book.plans[1].monthly_fee = Money::from_micros(-1).unwrap(), "/plans/1/monthly_fee"),
        (|book| book.plans[1].code = "payg".into(), "/plans/1/code"),
        (|book| book.services[0].code = "AI Modify".into(), "/services/0/code"),
        (|book| book.prices[2].service = "fax".into(), "/prices/2/service"),
        (|book| book.prices[2].engine = "fax".into(), "/prices/2/engine"),
        (|book| book.prices[2].unit = "parsec".into(), "/prices/2/unit"),
        (|book| book.prices[2].variant = Some(String::new()), "/prices/2/variant"),
        (|book| book.prices[2].country = Some("D E".into()), "/prices/2/country"),
        (|book| book.prices[2].plans.clear(), "/prices/2/plans"),
        (|book| set(book, "gold", 0), "/prices/2/plans/gold"),
        (|book| set(book, "payg", -1), "/prices/2/plans/payg"),
        (|book| book.prices[2].effective_to = Some(i64::MIN), "/prices/2/effective_to"),
    ];
    for (change, pointer) in cases {
        let found = pointers(change);
        assert!(found.iter().any(|found| found == pointer), "{pointer} is not among {found:?}");
    }
    assert!(pointers(|book| book.plans.clear()).contains(&"/plans".to_owned()));
    assert!(pointers(|book| book.engines.clear()).contains(&"/engines".to_owned()));
    let many = pointers(|book| book.prices = vec![book.prices[2].clone(); PRICES_MAX + 1]);
    assert!(many.contains(&"/prices".to_owned()));
}

#[test]
fn a_price_of_zero_is_a_price() {
    assert_eq!(pointers(|book| set(book, "payg", 0)), [""; 0]);
}

/// The row with its interval cut at instants, in parts.
fn parts(cuts: &[i64]) -> Vec<Price> {
    let whole = book().prices[2].clone();
    let froms = std::iter::once(None).chain(cuts.iter().map(|cut| Some(*cut)));
    let tos = cuts.iter().map(|cut| Some(*cut)).chain(std::iter::once(None));
    froms
        .zip(tos)
        .map(|(effective_from, effective_to)| Price { effective_from, effective_to, ..whole.clone() })
        .collect()
}

fn with_prices(prices: Vec<Price>) -> PriceBook {
    PriceBook { prices, ..book() }
}

fn cuts() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::btree_set(NOON..NOON + 1_000_000, 1..8).prop_map(|cuts| cuts.into_iter().collect())
}

proptest! {
    #[test]
    fn intervals_that_touch_are_right_in_any_order(cuts in cuts(), turn in any::<prop::sample::Index>()) {
        let mut prices = parts(&cuts);
        let turn = turn.index(prices.len());
        prices.rotate_left(turn);
        prop_assert_eq!(with_prices(prices).check(), vec![]);
    }

    #[test]
    fn an_overlap_is_found(cuts in cuts(), at in any::<prop::sample::Index>(), by in 1_i64..1_000) {
        let mut prices = parts(&cuts);
        let index = at.index(cuts.len());
        prices[index].effective_to = prices[index].effective_to.map(|to| to + by);
        let errors = with_prices(prices).check();
        prop_assert!(errors.iter().any(|error| error.detail.contains("overlaps")), "{:?}", errors);
    }

    #[test]
    fn a_gap_is_found(cuts in cuts(), at in any::<prop::sample::Index>(), by in 1_i64..1_000) {
        let mut prices = parts(&cuts);
        let index = at.index(cuts.len()) + 1;
        prices[index].effective_from = prices[index].effective_from.map(|from| from + by);
        let errors = with_prices(prices).check();
        // Moved beyond its own end, the row is wrong in another way.
        let is_found = errors.iter().any(|error| error.detail.contains("gap") || error.pointer.ends_with("effective_to"));
        prop_assert!(is_found, "{:?}", errors);
    }

    #[test]
    fn the_same_row_twice_overlaps(index in 0_usize..3) {
        let mut book = book();
        let row = book.prices[index].clone();
        book.prices.push(row);
        prop_assert!(book.check().iter().any(|error| error.detail.contains("overlaps")));
    }

    #[test]
    fn only_known_units_are_priced(unit in "[a-z]{1,10}") {
        let is_known = UNITS.contains(&unit.as_str());
        let mut book = book();
        book.prices[2].unit = unit;
        prop_assert_eq!(book.check().is_empty(), is_known);
    }

    #[test]
    fn a_change_needs_its_lead(ahead in -LEAD_MS_DEFAULT..3 * LEAD_MS_DEFAULT) {
        let now = NOON;
        let mut next = PriceBook { version: 8, effective_from: now + ahead, ..book() };
        set(&mut next, "payg", 410_000);
        let outcome = next.check_lead(Some(&book()), now, LEAD_MS_DEFAULT);
        prop_assert_eq!(outcome.is_ok(), ahead >= LEAD_MS_DEFAULT, "{:?}", outcome);
        // Where nothing is in force, nobody can be surprised.
        prop_assert!(next.check_lead(None, now, LEAD_MS_DEFAULT).is_ok());
    }
}

/// The example book with a change, to take effect at once.
fn at_once(change: impl FnOnce(&mut PriceBook)) -> Result<(), String> {
    let mut next = PriceBook { version: 8, effective_from: NOON, ..book() };
    change(&mut next);
    next.check_lead(Some(&book()), NOON, LEAD_MS_DEFAULT).map_err(|error| error.pointer)
}

#[test]
fn what_had_no_price_may_begin_at_once() {
    let new_engine = |book: &mut PriceBook| {
        let mut row = book.prices[2].clone();
        row.engine = "nano_banana_2".into();
        book.prices.push(row);
    };
    assert_eq!(at_once(new_engine), Ok(()));
    assert_eq!(at_once(|_| {}), Ok(()));
    assert_eq!(at_once(|book| book.prices.reverse()), Ok(()));
}

#[test]
fn the_past_before_the_newest_book_is_closed() {
    let newest = PriceBook { effective_from: NOON - 1_000, ..book() };
    let outcome = |effective_from: i64, newest: &PriceBook| {
        let next = PriceBook { version: 8, effective_from, ..book() };
        next.check_lead(Some(newest), NOON, LEAD_MS_DEFAULT).map_err(|error| error.pointer)
    };
    // Even with the very rows of the newest book: what an older one priced would cost something else.
    assert_eq!(outcome(NOON - 1_001, &newest), Err("/effective_from".to_owned()));
    assert_eq!(outcome(NOON - 1_000, &newest), Ok(()));
    // With its lead a book may begin before one that was announced for later.
    let announced = PriceBook { effective_from: NOON + 3 * LEAD_MS_DEFAULT, ..book() };
    assert_eq!(outcome(NOON + LEAD_MS_DEFAULT, &announced), Ok(()));
    assert_eq!(outcome(NOON + LEAD_MS_DEFAULT - 1, &announced), Err("/effective_from".to_owned()));
}

#[test]
fn what_had_a_price_may_not_change_at_once() {
    let refused = Err("/effective_from".to_owned());
    assert_eq!(at_once(|book| drop(book.prices.remove(2))), refused);
    assert_eq!(at_once(|book| book.prices[2].plans.retain(|plan, _| plan != "payg")), refused);
    assert_eq!(at_once(|book| book.prices[2].effective_to = Some(NOON + 1)), refused);
    // A row beside it that is more specific takes its work away.
    let narrower = |book: &mut PriceBook| {
        let mut row = book.prices[2].clone();
        row.variant = Some("zone_a".into());
        book.prices.push(row);
    };
    assert_eq!(at_once(narrower), refused);
}

#[test]
fn a_row_is_an_object_and_never_its_values_in_order() {
    let as_array = |member: &str| {
        let mut book: serde_json::Value = serde_json::from_str(examples::BOOK).unwrap();
        let item = book[member][0].as_object().unwrap().clone();
        book[member][0] = match member {
            "prices" => serde_json::json!(["sms", "sms_intl", null, "DE", "segment", "per_unit", {"payg": "0.4"}]),
            "plans" => serde_json::json!([item["code"], item["name"], item["monthly_fee"]]),
            _ => serde_json::json!([item["code"], item["name"]]),
        };
        serde_json::from_value::<PriceBook>(book).unwrap_err().to_string()
    };
    for member in ["plans", "services", "engines", "prices"] {
        let error = as_array(member);
        assert!(error.contains("expected a JSON object"), "{member}: {error}");
    }
}
