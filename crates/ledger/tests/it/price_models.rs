//! Packs, tiers, included quantities, minimum charges, test work: exact, counted by month, explained by parts.

use serde_json::{Value, json};
use tollbooth_ledger::{FoldError, Overlay, State};
use tollbooth_schemas::{
    dead_letter::Reason,
    time::parse_rfc3339_ms,
    v1::{
        ChangePlan, Entry, PlaceHold, PricePart, PricePartKind, Pricing, Refund, command::Body, entry::Kind,
        place_hold::Size,
    },
};

use crate::{
    harness::{Partition, accepted, book, dead, event, kind_of, money, posted, sample_book, usage_of},
    refunds::charge_of,
};

/// A partition with the sample prices and rows of its own; the account is on the basic plan.
fn partition(rows: Value) -> Partition {
    partition_with(rows, |_| {})
}

#[allow(clippy::needless_pass_by_value)] // Written where it is called.
fn partition_with(rows: Value, change: impl FnOnce(&mut Value)) -> Partition {
    let mut sample = sample_book();
    sample["version"] = 2.into();
    sample["effective_from"] = "2025-02-01T00:00:00Z".into();
    for engine in ["a", "b"] {
        sample["engines"].as_array_mut().unwrap().push(json!({"code": engine, "name": engine}));
    }
    for row in rows.as_array().unwrap() {
        let mut row = row.clone();
        for (member, value) in [("service", "ai_modify"), ("unit", "image"), ("engine", "a")] {
            if row.get(member).is_none() {
                row[member] = value.into();
            }
        }
        sample["prices"].as_array_mut().unwrap().push(row);
    }
    change(&mut sample);
    let mut partition = Partition::open();
    assert!(partition.books.publish(book(&sample)));
    partition
}

/// "First 1,000 free, then 0.08", and cheaper from 2,000 on.
fn graduated() -> Value {
    json!([{"model": "graduated", "plans": {}, "tiers": [
        {"from": "0", "to": "1000", "plans": {"basic": "0", "pro": "0"}},
        {"from": "1000", "to": "2000", "plans": {"basic": "0.08", "pro": "0.06"}},
        {"from": "2000", "plans": {"basic": "0.05", "pro": "0.04"}}]}])
}

fn report(operation: &str, quantity: &str, change: impl FnOnce(&mut Value)) -> String {
    event(operation, |event| {
        event["data"]["engine"] = "a".into();
        event["data"]["quantity"] = quantity.into();
        change(event);
    })
}

fn charge(partition: &mut Partition, operation: &str, quantity: &str) -> Entry {
    posted(partition.usage(&report(operation, quantity, |_| {})))
}

fn at(operation: &str, quantity: &str, time: &'static str) -> String {
    report(operation, quantity, |event| event["time"] = time.into())
}

fn pricing(entry: &Entry) -> &Pricing {
    usage_of(entry).pricing.as_deref().unwrap()
}

fn part(kind: PricePartKind, quantity: &str, price: &str) -> PricePart {
    let quantity_micros = quantity.parse::<tollbooth_schemas::Quantity>().unwrap().micros();
    PricePart { kind: kind.into(), quantity_micros, unit_price_micros: money(price).micros(), ..PricePart::default() }
}

fn tier(quantity: &str, price: &str, from: i64, to: Option<i64>) -> PricePart {
    let to_micros = to.map(|to| to * 1_000_000);
    PricePart { from_micros: from * 1_000_000, to_micros, ..part(PricePartKind::Tier, quantity, price) }
}

#[test]
fn a_charge_across_tiers_is_the_sum_of_its_parts() {
    let mut partition = partition(graduated());
    // given 990 of the month, all free
    let free = charge(&mut partition, "op_1", "990");
    assert_eq!((free.amount_micros, usage_of(&free).unit_price_micros), (0, 0));
    // when one charge reaches over two bounds
    let entry = charge(&mut partition, "op_2", "1510.5");
    // then 10 are free, 1,000 at 0.08 and 500.5 at 0.05
    assert_eq!(entry.amount_micros, -105_025_000);
    let parts = vec![
        tier("10", "0", 0, Some(1_000)),
        tier("1000", "0.08", 1_000, Some(2_000)),
        tier("500.5", "0.05", 2_000, None),
    ];
    assert_eq!(pricing(&entry).parts, parts);
    let counted = pricing(&entry).counted.as_ref().unwrap();
    assert_eq!((counted.period.as_str(), counted.before_micros), ("2026-11", 990_000_000));
    assert_eq!((usage_of(&entry).unit_price_micros, usage_of(&entry).price_version), (50_000, 2));
}

#[test]
fn the_sum_is_rounded_once() {
    // given three tiers in which every part ends in half a millionth
    let mut partition = partition(json!([{"model": "graduated", "plans": {}, "tiers": [
        {"from": "0", "to": "0.5", "plans": {"basic": "0.000001"}},
        {"from": "0.5", "to": "1", "plans": {"basic": "0.000003"}},
        {"from": "1", "plans": {"basic": "0.000001"}}]}]));
    // 0.5 + 1.5 + 0.5 = 2.5 millionths, to the even 2; each rounded by itself: 0 + 2 + 0 or 1 + 2 + 1
    assert_eq!(charge(&mut partition, "op_1", "1.5").amount_micros, -2);
}

#[test]
fn volume_takes_the_price_of_the_tier_that_is_reached_and_reprices_nothing_before() {
    let mut partition = partition(json!([{"model": "volume", "plans": {}, "tiers": [
        {"from": "0", "to": "100", "plans": {"basic": "0.20"}}, {"from": "100", "plans": {"basic": "0.10"}}]}]));
    let first = charge(&mut partition, "op_1", "60");
    let exact = charge(&mut partition, "op_2", "40");
    let over = charge(&mut partition, "op_3", "1");
    // The hundredth is of the first tier; what was charged before stays.
    assert_eq!([&first, &exact, &over].map(|entry| entry.amount_micros), [-12_000_000, -8_000_000, -100_000]);
    assert_eq!(pricing(&over).parts, [tier("1", "0.10", 100, None)]);
}

#[test]
fn a_pack_is_charged_when_it_is_begun() {
    let mut partition =
        partition(json!([{"model": "package", "pack_size": "10", "plans": {"basic": "0.50", "pro": "0.40"}}]));
    for (operation, quantity, amount) in
        [("op_1", "0.000001", -500_000), ("op_2", "10", -500_000), ("op_3", "10.000001", -1_000_000)]
    {
        assert_eq!(charge(&mut partition, operation, quantity).amount_micros, amount, "{quantity}");
    }
    let entry = charge(&mut partition, "op_4", "25");
    let expected = PricePart { packs: 3, pack_micros: 10_000_000, ..part(PricePartKind::Package, "25", "0.50") };
    assert_eq!((entry.amount_micros, pricing(&entry).parts.as_slice()), (-1_500_000, [expected].as_slice()));
    // Packs are of one piece of work: nothing is counted.
    assert_eq!(pricing(&entry).counted, None);
}

#[test]
fn the_included_quantity_is_free_once_a_month() {
    let mut partition = partition(
        json!([{"model": "per_unit", "plans": {"basic": "0.02", "pro": "0.01"}, "included": {"basic": "30"}}]),
    );
    assert_eq!(charge(&mut partition, "op_1", "29").amount_micros, 0);
    let entry = charge(&mut partition, "op_2", "3");
    let parts = [part(PricePartKind::Included, "1", "0"), part(PricePartKind::PerUnit, "2", "0.02")];
    assert_eq!((entry.amount_micros, pricing(&entry).parts.as_slice()), (-40_000, parts.as_slice()));
    assert_eq!(charge(&mut partition, "op_3", "1").amount_micros, -20_000);
    // A plan without one pays from the first on; back again, nothing is free anew.
    let plan = |plan: &str| {
        Body::ChangePlan(ChangePlan {
            plan: plan.to_owned(),
            effective_at_ms: parse_rfc3339_ms("2026-11-21T20:00:00Z"),
        })
    };
    partition.command("pro", plan("pro"));
    assert_eq!(charge(&mut partition, "op_4", "1").amount_micros, -10_000);
    partition.command("basic", plan("basic"));
    assert_eq!(charge(&mut partition, "op_5", "1").amount_micros, -20_000);
}

#[test]
fn a_minimum_is_charged_instead_of_less_but_not_for_what_is_included() {
    let mut partition = partition(json!([{"model": "per_unit", "plans": {"basic": "0.02"}, "included": {"basic": "1"},
                                          "minimum": {"basic": "0.05"}}]));
    assert_eq!(charge(&mut partition, "op_1", "1").amount_micros, 0);
    let entry = charge(&mut partition, "op_2", "2");
    let parts = [part(PricePartKind::PerUnit, "2", "0.02"), part(PricePartKind::Minimum, "0", "0.05")];
    assert_eq!((entry.amount_micros, pricing(&entry).parts.as_slice()), (-50_000, parts.as_slice()));
    assert_eq!(charge(&mut partition, "op_3", "3").amount_micros, -60_000);
}

#[test]
fn test_work_costs_a_part_and_counts_like_any_other() {
    let test = |operation: &str, engine: &'static str, quantity: &str| {
        report(operation, quantity, |event| {
            event["data"]["mode"] = "test".into();
            event["data"]["engine"] = engine.into();
        })
    };
    let mut partition = partition_with(graduated(), |book| book["test_factor"] = "0.5".into());
    let entry = posted(partition.usage(&test("op_1", "nano", "3")));
    assert_eq!((entry.amount_micros, pricing(&entry).test_factor_micros), (-300_000, Some(500_000)));
    posted(partition.usage(&test("op_2", "a", "1000")));
    assert_eq!(charge(&mut partition, "op_3", "1").amount_micros, -80_000);
    // 0.5 of 0.000005 is half a millionth over 2: to the even one.
    let mut partition = partition_with(json!([{"model": "flat", "plans": {"basic": "0.000005"}}]), |book| {
        book["test_factor"] = "0.5".into();
    });
    assert_eq!(posted(partition.usage(&test("op_1", "a", "7"))).amount_micros, -2);
    assert_eq!(charge(&mut partition, "op_2", "7").amount_micros, -5);
}

#[test]
fn a_simple_price_says_and_counts_nothing_more() {
    let mut partition = partition(graduated());
    let entry = posted(partition.usage(&event("op_1", |_| {})));
    assert_eq!((entry.amount_micros, usage_of(&entry).pricing.as_ref()), (-200_000, None));
}

#[test]
fn the_month_is_that_of_the_work_in_the_accounts_zone_and_the_order_is_posting() {
    let mut partition = partition(graduated());
    charge(&mut partition, "op_1", "1000");
    // The account lives in New York: its November begins at 4:00 UTC.
    let october = posted(partition.usage(&at("op_2", "600", "2026-11-01T03:59:59.999Z")));
    let november = posted(partition.usage(&at("op_3", "1", "2026-11-01T04:00:00Z")));
    assert_eq!([&october, &november].map(|entry| entry.amount_micros), [0, -80_000]);
    let before = |entry: &Entry| pricing(entry).counted.as_ref().unwrap().before_micros;
    assert_eq!([before(&october), before(&november)], [0, 1_000_000_000]);
    assert_eq!(pricing(&october).counted.as_ref().unwrap().period, "2026-10");
}

#[test]
fn each_row_counts_for_itself_and_goes_on_in_the_next_book() {
    let variants = json!([
        {"variant": "4k", "model": "per_unit", "plans": {"basic": "0.40"}, "included": {"basic": "1"}},
        {"model": "per_unit", "plans": {"basic": "0.20"}, "included": {"basic": "1"}}]);
    let mut partition = partition(variants);
    let of = |operation: &str, variant: &'static str| {
        report(operation, "1", |event| event["data"]["variant"] = variant.into())
    };
    let charges = [("op_1", "1k", 0), ("op_2", "2k", -200_000), ("op_3", "4k", 0), ("op_4", "4k", -400_000)];
    for (operation, variant, amount) in charges {
        assert_eq!(posted(partition.usage(&of(operation, variant))).amount_micros, amount, "{variant}");
    }
    let mut next = sample_book();
    next["version"] = 3.into();
    next["effective_from"] = "2026-11-21T20:00:00Z".into();
    next["engines"].as_array_mut().unwrap().push(json!({"code": "a", "name": "A"}));
    next["prices"] = json!([{"service": "ai_modify", "engine": "a", "unit": "image", "model": "per_unit",
                             "plans": {"basic": "0.10"}, "included": {"basic": "3"}}]);
    assert!(partition.books.publish(book(&next)));
    // 2 were counted under the row without a variant.
    assert_eq!(posted(partition.usage(&of("op_5", "1k"))).amount_micros, 0);
    assert_eq!(posted(partition.usage(&of("op_6", "4k"))).amount_micros, -100_000);
}

fn refund(entry: &Entry, amount: Option<&str>) -> Body {
    Body::Refund(Refund {
        seq: entry.seq,
        amount_micros: amount.map(|amount| money(amount).micros()),
        original: Some(charge_of(entry)),
        ..Refund::default()
    })
}

#[test]
fn a_refund_gives_the_quantity_back_and_reprices_nobody() {
    let mut partition = partition(graduated());
    charge(&mut partition, "op_1", "1000");
    let first = charge(&mut partition, "op_2", "10");
    let second = charge(&mut partition, "op_3", "10");
    assert_eq!((first.amount_micros, second.amount_micros), (-800_000, -800_000));
    // A part of it gives nothing back, the rest all of it.
    accepted(partition.command("part", refund(&first, Some("0.30"))));
    assert_eq!(pricing(&charge(&mut partition, "op_4", "1")).counted.as_ref().unwrap().before_micros, 1_020_000_000);
    accepted(partition.command("rest", refund(&first, None)));
    let Kind::Reversal(reversal) = kind_of(partition.last()) else { panic!("no reversal") };
    assert_eq!(reversal.counted.as_ref().map(|counted| counted.period.as_str()), Some("2026-11"));
    assert_eq!(pricing(&charge(&mut partition, "op_5", "1")).counted.as_ref().unwrap().before_micros, 1_011_000_000);
}

#[test]
fn a_refund_of_a_book_that_is_not_known_waits_for_it() {
    let mut partition = partition(graduated());
    charge(&mut partition, "op_0", "1000");
    let entry = charge(&mut partition, "op_1", "1");
    let known = std::mem::take(&mut partition.books);
    let outcome = partition.command("k", refund(&entry, None));
    assert_eq!(crate::harness::refused(outcome), (422, "no_price".to_owned()));
    partition.books = known;
    accepted(partition.command("k", refund(&entry, None)));
}

#[test]
fn a_hold_takes_what_the_work_would_cost_now() {
    let mut partition = partition(graduated());
    charge(&mut partition, "op_1", "995");
    let place = |hold_id: &str| {
        Body::PlaceHold(PlaceHold {
            hold_id: hold_id.to_owned(),
            service: "ai_modify".to_owned(),
            engine: "a".to_owned(),
            unit: "image".to_owned(),
            size: Some(Size::QuantityMicros(10_000_000)),
            timeout_ms: 60_000,
            ..PlaceHold::default()
        })
    };
    // A hold counts nothing: two of them take the same.
    for hold in ["hld_1", "hld_2"] {
        assert_eq!(accepted(partition.command(hold, place(hold))).hold_amount_micros, 400_000);
    }
    let captured =
        |operation: &str, hold: &'static str| report(operation, "10", |event| event["data"]["hold_id"] = hold.into());
    assert_eq!(posted(partition.usage(&captured("op_2", "hld_1"))).amount_micros, -400_000);
    assert_eq!(posted(partition.usage(&captured("op_3", "hld_2"))).amount_micros, -800_000);
}

#[test]
fn a_plan_without_a_price_in_the_tiers_is_a_dead_letter() {
    let mut partition =
        partition(json!([{"model": "volume", "plans": {}, "tiers": [{"from": "0", "plans": {"pro": "1"}}]}]));
    assert_eq!(dead(partition.usage(&report("op_1", "1", |_| {}))), Reason::NoPrice);
    let mut partition = partition_with(
        json!([{"model": "volume", "plans": {}, "effective_to": "2026-11-01T00:00:00Z",
                                               "tiers": [{"from": "0", "plans": {"basic": "1"}}]}]),
        |_| {},
    );
    assert_eq!(dead(partition.usage(&report("op_1", "1", |_| {}))), Reason::EngineRetired);
}

#[test]
fn counters_are_forgotten_with_the_operations() {
    let mut partition = partition(graduated());
    charge(&mut partition, "op_1", "1000");
    // 120 days on, with a charge in between that says nothing of November
    partition.now_ms += 120 * 86_400_000;
    let late = report("op_2", "1", |event| event["time"] = "2027-03-20T12:00:00Z".into());
    assert_eq!(posted(partition.usage(&late)).amount_micros, 0);
    let counters = |state: &State| format!("{state:?}").matches("Counter {").count();
    assert_eq!(counters(&partition.state), 2);
    partition.state.drop_expired();
    assert_eq!(counters(&partition.state), 1);
}

#[test]
fn an_entry_that_does_not_follow_from_the_count_is_not_served() {
    let mut partition = partition(graduated());
    charge(&mut partition, "op_1", "5");
    let entry = charge(&mut partition, "op_2", "5");
    let mut wrong = entry;
    (wrong.seq, wrong.source_offset) = (wrong.seq + 1, wrong.source_offset + 1);
    wrong.balance_after_micros = partition.balance().micros();
    let mut overlay = Overlay::new(&partition.state);
    let error = overlay.post(0, "acc_luna", partition.now_ms, &wrong, None);
    assert!(matches!(error, Err(FoldError::Counter { .. })), "{error:?}");
}

#[test]
fn a_fold_of_the_ledger_counts_the_same() {
    let mut partition = partition(graduated());
    for operation in ["op_1", "op_2", "op_3"] {
        charge(&mut partition, operation, "700");
    }
    let entry = charge(&mut partition, "op_4", "7");
    accepted(partition.command("k", refund(&entry, None)));
    let mut replayed = State::new(&partition.limits);
    for record in &partition.ledger {
        replayed.fold(record).unwrap();
    }
    assert!(replayed == partition.state);
}
