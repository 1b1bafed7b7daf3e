//! Giving a charge back, never beyond its amount.

use tollbooth_schemas::v1::{Charge, Counted, Entry, Refund, ReversalCause, command::Body, entry::Kind};

use crate::harness::{
    Partition, accepted, event, failed, kind_of, money, posted, refused, rejected, success, usage_of,
};

/// What the ledger says of a charge.
pub(crate) fn charge_of(entry: &Entry) -> Charge {
    let usage = entry.charge().or(entry.usage()).unwrap().clone();
    Charge {
        operation_id: usage.operation_id,
        attempt: usage.attempt,
        amount_micros: -entry.amount_micros,
        occurred_at_ms: entry.occurred_at_ms,
        service: usage.service,
        engine: usage.engine,
        variant: usage.variant,
        country: usage.country,
        unit: usage.unit,
        quantity_micros: usage.quantity_micros,
        event_id: usage.event_id,
        booth_id: usage.booth_id,
        plan: usage.plan,
        price_version: usage.price_version,
        test_mode: usage.test_mode,
    }
}

/// Where it says that it was counted.
pub(crate) fn counted_of(entry: &Entry) -> Option<Counted> {
    entry.charge()?.pricing.as_ref()?.counted.clone()
}

pub(crate) fn refund(entry: &Entry, amount: Option<&str>) -> Body {
    refund_with(entry, amount, |_| {})
}

fn refund_with(entry: &Entry, amount: Option<&str>, change: impl FnOnce(&mut Charge)) -> Body {
    let mut original = charge_of(entry);
    change(&mut original);
    Body::Refund(Refund {
        seq: entry.seq,
        amount_micros: amount.map(|amount| money(amount).micros()),
        reason: "blurred".to_owned(),
        note: "the guest complained".to_owned(),
        original: Some(original),
        counted: counted_of(entry),
    })
}

#[test]
fn a_whole_charge_is_given_back_with_its_dimensions() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&event("op_1", |event| event["data"]["quantity"] = "3".into())));
    let answer = accepted(partition.command("k", refund(&charge, None)));
    assert_eq!((answer.amount_micros, answer.balance_micros), (600_000, 10_000_000));
    let entry = partition.last();
    assert_eq!(entry.occurred_at_ms, charge.occurred_at_ms);
    let Kind::Reversal(reversal) = kind_of(entry) else { panic!("no reversal") };
    assert_eq!((reversal.original_seq, reversal.cause()), (charge.seq, ReversalCause::Refund));
    assert_eq!((reversal.reason.as_str(), reversal.note.as_str()), ("blurred", "the guest complained"));
    assert_eq!(reversal.quantity_micros, 3_000_000);
    let usage = usage_of(&charge);
    assert_eq!(
        [&reversal.operation_id, &reversal.service, &reversal.engine, &reversal.unit, &reversal.plan],
        [&usage.operation_id, &usage.service, &usage.engine, &usage.unit, &usage.plan]
    );
    assert_eq!([&reversal.event_id, &reversal.booth_id], [&usage.event_id, &usage.booth_id]);
    assert_eq!(reversal.price_version, usage.price_version);
}

#[test]
fn parts_are_given_back_up_to_the_charge() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("k1", refund(&charge, Some("0.15"))));
    let Kind::Reversal(part) = kind_of(partition.last()) else { panic!("no reversal") };
    assert_eq!(part.quantity_micros, 0, "only what completes the charge gives quantity back");
    let refusal = rejected(partition.command("k2", refund(&charge, Some("0.06"))));
    assert_eq!((refusal.status, refusal.code.as_str()), (409, "refund_exceeds_charge"));
    assert!(refusal.detail.contains("0.05"), "{}", refusal.detail);
    accepted(partition.command("k3", refund(&charge, Some("0.05"))));
    let Kind::Reversal(rest) = kind_of(partition.last()) else { panic!("no reversal") };
    assert_eq!(rest.quantity_micros, 1_000_000);
    assert_eq!(refused(partition.command("k4", refund(&charge, None))), (409, "nothing_to_refund".to_owned()));
    assert_eq!(refused(partition.command("k5", refund(&charge, Some("0.01")))).0, 409);
    assert_eq!(partition.balance(), money("10"));
}

#[test]
fn a_refund_is_carried_out_once_whatever_is_repeated() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("k", refund(&charge, Some("0.05"))));
    assert!(accepted(partition.command("k", refund(&charge, Some("0.05")))).replayed);
    assert_eq!(partition.balance(), money("9.85"));
}

#[test]
fn what_is_no_charge_is_not_refunded() {
    let mut partition = Partition::open();
    let failure = posted(partition.usage(&failed("op_1", 1)));
    assert_eq!(refused(partition.command("k1", refund(&failure, None))), (404, "unknown_charge".to_owned()));
    let charge = posted(partition.usage(&success("op_2")));
    let elsewhere = Entry { seq: charge.seq - 1, ..charge.clone() };
    assert_eq!(refused(partition.command("k2", refund(&elsewhere, None))).1, "unknown_charge");
    let never = refund_with(&charge, None, |charge| charge.operation_id = "op_9".to_owned());
    assert_eq!(refused(partition.command("k3", never)).1, "unknown_charge");
    let none = Body::Refund(Refund { seq: charge.seq, ..Refund::default() });
    assert_eq!(refused(partition.command("k4", none)).1, "unknown_charge");
    assert_eq!(refused(partition.command("k5", refund(&charge, Some("0")))), (422, "out_of_range".to_owned()));
    assert_eq!(refused(partition.command("k6", refund(&charge, Some("-1")))), (422, "out_of_range".to_owned()));
}

#[test]
fn a_charge_is_refunded_by_its_own_facts_only() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&success("op_1")));
    let changes: [fn(&mut Charge); 10] = [
        |charge| charge.amount_micros = 100_000_000,
        |charge| charge.occurred_at_ms += 1,
        |charge| charge.service = "sms".to_owned(),
        |charge| charge.variant = "4k".to_owned(),
        |charge| charge.quantity_micros = 2_000_000,
        |charge| charge.event_id = "evt_other".to_owned(),
        |charge| charge.booth_id = "bth_18".to_owned(),
        |charge| charge.plan = "pro".to_owned(),
        |charge| charge.price_version = 2,
        |charge| charge.test_mode = true,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let body = refund_with(&charge, None, change);
        assert_eq!(refused(partition.command(&format!("k{number}"), body)), (409, "charge_mismatch".to_owned()));
    }
    accepted(partition.command("k", refund(&charge, None)));
}

#[test]
fn a_refund_ends_with_the_retention() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&success("op_1")));
    partition.now_ms += 120 * 86_400_000;
    assert_eq!(refused(partition.command("k", refund(&charge, None))), (404, "unknown_charge".to_owned()));
}

#[test]
fn a_refund_goes_to_the_purchased_part() {
    let mut partition = Partition::open();
    accepted(partition.command("bonus", crate::bonus::grant("0.05", None)));
    let charge = posted(partition.usage(&success("op_1")));
    assert_eq!(charge.from_bonus_micros, 50_000);
    accepted(partition.command("k", refund(&charge, None)));
    let parts = partition.account().parts();
    assert_eq!((parts.purchased, parts.bonus), (money("10.05"), money("0")));
}

#[test]
fn a_refunded_operation_stays_charged() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("k", refund(&charge, None)));
    assert_eq!(partition.usage(&success("op_1")), tollbooth_ledger::UsageDecision::Duplicate);
}
