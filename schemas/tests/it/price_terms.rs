//! Packs, tiers, included quantities, minimum charges, test work: what a price book may say of them.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollbooth_schemas::{
    Quantity,
    price_book::{LEAD_MS_DEFAULT, PriceBook, TIERS_MAX},
};

use super::examples::{BOOK, NOON, book};

/// The example book with a row more, the fourth.
#[allow(clippy::needless_pass_by_value)] // Written where it is called.
fn with(row: Value) -> PriceBook {
    let mut book: Value = serde_json::from_str(BOOK).unwrap();
    let mut whole = json!({"service": "ai_modify", "engine": "sms_intl", "unit": "image"});
    whole.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
    book["prices"].as_array_mut().unwrap().push(whole);
    serde_json::from_value(book).unwrap()
}

fn pointers(row: Value) -> Vec<String> {
    with(row).check().into_iter().map(|error| error.pointer).collect()
}

#[allow(clippy::needless_pass_by_value)] // Written where it is called.
fn tiers(model: &str, tiers: Value) -> Value {
    json!({"model": model, "plans": {}, "tiers": tiers})
}

fn tier(from: &str, to: Option<&str>) -> Value {
    let mut tier = json!({"from": from, "plans": {"payg": "0.10"}});
    if let Some(to) = to {
        tier["to"] = to.into();
    }
    tier
}

#[test]
fn every_model_has_a_row_that_is_right() {
    for row in [
        json!({"model": "package", "plans": {"payg": "1"}, "pack_size": "10"}),
        json!({"model": "per_unit", "plans": {"payg": "1"}, "included": {"payg": "30"}, "minimum": {"payg": "0.05"}}),
        tiers("graduated", json!([tier("0", Some("1000")), tier("1000", None)])),
        tiers("volume", json!([tier("0", None)])),
    ] {
        let right = with(row);
        assert_eq!(right.check(), []);
        let again: PriceBook = serde_json::from_str(&serde_json::to_string(&right).unwrap()).unwrap();
        assert_eq!(again, right);
    }
}

#[test]
fn a_book_without_them_is_written_as_it_always_was() {
    let written = serde_json::to_value(book()).unwrap();
    for member in ["pack_size", "tiers", "included", "minimum"] {
        assert_eq!(written["prices"][0].get(member), None, "{member}");
    }
    assert_eq!(written.get("test_factor"), None);
}

#[test]
fn every_mistake_is_named_by_its_place() {
    let one = || json!({"payg": "1"});
    let negative = json!([{"from": "0", "plans": {"payg": "-0.01"}}]);
    let other_plans = json!([tier("0", Some("1")), {"from": "1", "plans": {"pro": "1"}}]);
    let many: Vec<Value> = (0..=TIERS_MAX)
        .map(|number| tier(&number.to_string(), (number < TIERS_MAX).then(|| (number + 1).to_string()).as_deref()))
        .collect();
    let cases = [
        (json!({"model": "package", "plans": one()}), "/prices/3/pack_size"),
        (json!({"model": "package", "plans": one(), "pack_size": "0"}), "/prices/3/pack_size"),
        (json!({"model": "per_unit", "plans": one(), "pack_size": "2"}), "/prices/3/pack_size"),
        (json!({"model": "flat", "plans": one(), "tiers": [tier("0", None)]}), "/prices/3/tiers"),
        (json!({"model": "graduated", "plans": one(), "tiers": [tier("0", None)]}), "/prices/3/plans"),
        (json!({"model": "flat", "plans": {}}), "/prices/3/plans"),
        (tiers("volume", json!([])), "/prices/3/tiers"),
        (tiers("volume", json!(many)), "/prices/3/tiers"),
        (tiers("graduated", json!([tier("1", None)])), "/prices/3/tiers/0/from"),
        (tiers("graduated", json!([tier("0", Some("5")), tier("4", None)])), "/prices/3/tiers/1/from"),
        (tiers("graduated", json!([tier("0", Some("5")), tier("6", None)])), "/prices/3/tiers/1/from"),
        (tiers("graduated", json!([tier("0", None), tier("6", None)])), "/prices/3/tiers/1/from"),
        (
            tiers("graduated", json!([tier("0", Some("5")), tier("5", Some("5")), tier("5", None)])),
            "/prices/3/tiers/1/to",
        ),
        (tiers("graduated", json!([tier("0", Some("5"))])), "/prices/3/tiers/0/to"),
        (tiers("volume", negative), "/prices/3/tiers/0/plans/payg"),
        (tiers("volume", json!([{"from": "0", "plans": {"gold": "1"}}])), "/prices/3/tiers/0/plans/gold"),
        (tiers("volume", json!([{"from": "0", "plans": {}}])), "/prices/3/tiers/0/plans"),
        (tiers("volume", other_plans), "/prices/3/tiers/1/plans"),
        (json!({"model": "flat", "plans": one(), "included": {"pro": "1"}}), "/prices/3/included/pro"),
        (json!({"model": "flat", "plans": one(), "minimum": {"pro": "1"}}), "/prices/3/minimum/pro"),
        (json!({"model": "flat", "plans": one(), "minimum": {"payg": "-1"}}), "/prices/3/minimum/payg"),
        (json!({"model": "flat", "plans": one(), "unit": "parsec"}), "/prices/3/unit"),
    ];
    for (row, pointer) in cases {
        let found = pointers(row.clone());
        assert_eq!(found, [pointer], "{row}");
    }
    let mut book = book();
    book.test_factor = Quantity::from_micros(1_000_001);
    assert_eq!(book.check().into_iter().map(|error| error.pointer).collect::<Vec<_>>(), ["/test_factor"]);
}

#[test]
fn what_is_wrong_is_said_with_numbers() {
    let details = |list: Value| with(tiers("graduated", list)).check().remove(0).detail;
    assert_eq!(
        details(json!([tier("0", Some("5")), tier("6", None)])),
        "leaves a gap: what lies from 5 on has no price"
    );
    assert_eq!(
        details(json!([tier("0", Some("5")), tier("4", None)])),
        "overlaps the tiers before it: the next unit is beyond 5"
    );
}

#[test]
fn other_tiers_and_another_factor_need_their_lead() {
    let row = |bound: &str| tiers("graduated", json!([tier("0", Some(bound)), tier(bound, None)]));
    let before = with(row("1000"));
    let outcome = |next: PriceBook| {
        let next = PriceBook { version: 8, effective_from: NOON, ..next };
        next.check_lead(Some(&before), NOON, LEAD_MS_DEFAULT).map_err(|error| error.pointer)
    };
    assert_eq!(outcome(with(row("1000"))), Ok(()));
    assert_eq!(outcome(with(row("1001"))), Err("/effective_from".to_owned()));
    let mut cheaper = with(row("1000"));
    cheaper.test_factor = Some(Quantity::ZERO);
    assert_eq!(outcome(cheaper), Err("/test_factor".to_owned()));
}

proptest! {
    /// Cut anywhere, a line from 0 on is right; moved anywhere, one of its bounds overlaps or leaves a gap.
    #[test]
    fn tiers_that_touch_are_right_and_others_are_not(
        cuts in proptest::collection::btree_set(1_i64..1_000_000_000, 1..8),
        at in any::<prop::sample::Index>(),
        by in -5_i64..5,
    ) {
        let cuts: Vec<i64> = cuts.into_iter().collect();
        let text = |micros: i64| Quantity::from_micros(micros.max(0)).unwrap().to_string();
        let from = |moved: Option<usize>| {
            let froms = std::iter::once(0).chain(cuts.iter().copied()).enumerate();
            let list: Vec<Value> = froms.map(|(index, from)| {
                let from = if moved == Some(index) { from + by } else { from };
                tier(&text(from), cuts.get(index).map(|to| text(*to)).as_deref())
            }).collect();
            with(tiers("volume", json!(list))).check()
        };
        prop_assert_eq!(from(None), vec![]);
        let index = at.index(cuts.len()) + 1;
        prop_assert_eq!(from(Some(index)).is_empty(), by == 0 || (cuts[index - 1] + by).max(0) == cuts[index - 1]);
    }
}
