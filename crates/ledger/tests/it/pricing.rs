//! The price in force when it occurred, exact, rounded once.

use proptest::prelude::*;
use tollbooth_ledger::{Rate, charge};
use tollbooth_schemas::{
    Money, Quantity,
    dead_letter::Reason,
    v1::{ChangePlan, PriceModel, command::Body},
};

use crate::harness::{Partition, book, dead, event, money, posted, sample_book};

fn rate(unit_price: Money) -> Rate<'static> {
    Rate { version: 1, model: PriceModel::PerUnit, unit_price, terms: None }
}

fn charged(unit_price: &str, quantity: &str) -> Option<String> {
    let charge = charge(&rate(money(unit_price)), quantity.parse().unwrap(), Quantity::ZERO);
    charge.map(|charge| charge.amount.to_string())
}

#[test]
fn a_charge_is_rounded_once_half_to_even() {
    assert_eq!(charged("0.000001", "0.5").as_deref(), Some("0.00"), "0.5 rounds to even 0");
    assert_eq!(charged("0.000001", "1.5").as_deref(), Some("0.000002"), "1.5 rounds to even 2");
    assert_eq!(charged("0.000001", "2.5").as_deref(), Some("0.000002"), "2.5 rounds to even 2");
    assert_eq!(charged("0.000001", "2.500001").as_deref(), Some("0.000003"), "above the half rounds up");
    assert_eq!(charged("0.2", "5").as_deref(), Some("1.00"));
    assert_eq!(charged("999999999999", "2"), None, "beyond the bound");
}

#[test]
fn the_most_specific_row_wins_over_wildcards() {
    let mut partition = Partition::open();
    let sms = |operation: &str, country: &str| {
        let country = country.to_owned();
        event(operation, move |event| {
            event["data"]["service"] = "sms".into();
            event["data"]["engine"] = "intl".into();
            event["data"]["unit"] = "segment".into();
            event["data"]["country"] = country.into();
        })
    };
    assert_eq!(posted(partition.usage(&sms("op_1", "DE"))).amount_micros, -100_000);
    assert_eq!(posted(partition.usage(&sms("op_2", "FR"))).amount_micros, -350_000);
}

#[test]
fn what_has_no_price_says_why() {
    let mut partition = Partition::open();
    let with = |operation: &str, member: &'static str, value: &'static str| {
        event(operation, move |event| event["data"][member] = value.into())
    };
    assert_eq!(dead(partition.usage(&with("op_1", "engine", "unknown"))), Reason::NoPrice);
    assert_eq!(dead(partition.usage(&with("op_2", "unit", "second"))), Reason::UnitMismatch);
    let retired = event("op_3", |event| {
        event["data"]["service"] = "video".into();
        event["data"]["engine"] = "sora".into();
        event["data"]["unit"] = "second".into();
    });
    assert_eq!(dead(partition.usage(&retired)), Reason::EngineRetired);
    let early = event("op_4", |event| event["time"] = "2024-12-31T23:59:59Z".into());
    partition.limits.age_max_ms = i64::MAX / 4;
    assert_eq!(dead(partition.usage(&early)), Reason::NoPrice, "before the first book");
}

#[test]
fn a_later_book_prices_what_occurred_from_its_instant_on() {
    let mut partition = Partition::open();
    let mut later = sample_book();
    later["version"] = 2.into();
    later["effective_from"] = "2026-11-21T20:00:00Z".into();
    later["prices"][0]["plans"]["basic"] = "0.50".into();
    assert!(partition.books.publish(book(&later)));
    assert!(!partition.books.publish(book(&sample_book())), "the first document of a version wins");
    let before = event("op_1", |event| event["time"] = "2026-11-21T19:59:59Z".into());
    let after = event("op_2", |event| event["time"] = "2026-11-21T20:00:00Z".into());
    assert_eq!(posted(partition.usage(&before)).amount_micros, -200_000);
    assert_eq!(posted(partition.usage(&after)).amount_micros, -500_000);
}

#[test]
fn a_book_of_another_currency_takes_nobodys_price_away() {
    let mut partition = Partition::open();
    let mut euros = sample_book();
    euros["version"] = 2.into();
    euros["currency"] = "EUR".into();
    euros["effective_from"] = "2026-11-21T20:00:00Z".into();
    euros["prices"][0]["plans"]["basic"] = "0.18".into();
    assert!(partition.books.publish(book(&euros)));
    let entry = posted(partition.usage(&event("op_1", |_| {})));
    assert_eq!(entry.amount_micros, -200_000, "the account is in dollars");
    assert_eq!(entry.usage().unwrap().price_version, 1);
    // And an account in euros has the price of its own book, and none before it.
    partition.account_in("acc_euro", "EUR");
    let of_euro = |operation: &str, time: &'static str| {
        event(operation, |event| {
            event["subject"] = "acc_euro".into();
            event["time"] = time.into();
        })
    };
    assert_eq!(posted(partition.usage(&of_euro("op_2", "2026-11-21T20:15:00Z"))).amount_micros, -180_000);
    assert_eq!(dead(partition.usage(&of_euro("op_3", "2026-11-21T19:59:59Z"))), Reason::NoPrice);
}

#[test]
fn usage_before_a_plan_change_keeps_the_old_plans_price_also_when_it_arrives_late() {
    let mut partition = Partition::open();
    let effective_at_ms = tollbooth_schemas::time::parse_rfc3339_ms("2026-11-21T20:00:00Z");
    partition.command("plan", Body::ChangePlan(ChangePlan { plan: "pro".to_owned(), effective_at_ms }));
    let late = event("op_1", |event| event["time"] = "2026-11-21T19:00:00Z".into());
    assert_eq!(posted(partition.usage(&late)).amount_micros, -200_000);
    assert_eq!(posted(partition.usage(&event("op_2", |_| {}))).amount_micros, -160_000);
}

proptest! {
    /// Against the definition, in twice the width: the nearest micro-unit, and the even one of two.
    #[test]
    fn a_charge_is_the_nearest_micro_unit(price in 0_i64..=1_000_000_000_000, quantity in 0_i64..=1_000_000_000_000) {
        let rate = rate(Money::from_micros(price).unwrap());
        let exact = i128::from(price) * i128::from(quantity);
        match charge(&rate, Quantity::from_micros(quantity).unwrap(), Quantity::ZERO) {
            Some(charge) => {
                let money = charge.amount;
                let distance = (i128::from(money.micros()) * 1_000_000 - exact).abs();
                prop_assert!(distance <= 500_000);
                prop_assert!(distance < 500_000 || money.micros() % 2 == 0);
            }
            None => prop_assert!((exact + 500_000) / 1_000_000 > i128::from(Money::MAX.micros())),
        }
    }
}
