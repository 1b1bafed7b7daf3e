//! Charges that are made anew by another price book: once, in place, and back again.

use serde_json::json;
use tollbooth_ledger::UsageDecision;
use tollbooth_schemas::v1::{
    AlertsSet, Entry, Reprice, Repriced, Reversal, ReversalCause, SetAlerts, command::Body, entry::Kind,
};

use crate::{
    bonus::grant,
    harness::{Partition, accepted, book, event, kind_of, money, posted, refused, sample_book, success},
    refunds::{charge_of, refund},
};

/// With a book 2 that is not in force: an image costs `price` on the basic plan, and a video has ended earlier.
fn partition(price: &str) -> Partition {
    let mut partition = Partition::open();
    let mut other = sample_book();
    other["version"] = 2.into();
    other["effective_from"] = "2199-01-01T00:00:00Z".into();
    other["prices"][0]["plans"]["basic"] = price.into();
    other["prices"][3]["effective_to"] = "2026-01-01T00:00:00Z".into();
    assert!(partition.books.publish(book(&other)));
    partition
}

fn reprice(entry: &Entry, version: u32, amount: &str, id: &str) -> Body {
    let usage = entry.charge().unwrap();
    Body::Reprice(Reprice {
        repricing_id: id.to_owned(),
        seq: entry.seq,
        original: Some(charge_of(entry)),
        counted: usage.pricing.as_ref().and_then(|pricing| pricing.counted.clone()),
        price_version: version,
        amount_micros: money(amount).micros(),
        undo: false,
    })
}

fn undo(entry: &Entry, version: u32, amount: &str, id: &str) -> Body {
    let Body::Reprice(reprice) = reprice(entry, version, amount, id) else { unreachable!() };
    Body::Reprice(Reprice { undo: true, ..reprice })
}

/// The last two entries.
fn pair(partition: &Partition) -> (Entry, Entry) {
    let entries: Vec<&Entry> = partition.ledger.iter().flat_map(|record| &record.entries).collect();
    let [.., first, second] = entries[..] else { panic!("no two entries") };
    (first.clone(), second.clone())
}

fn of_pair((first, second): &(Entry, Entry)) -> (&Reversal, &Repriced) {
    match (kind_of(first), kind_of(second)) {
        (Kind::Reversal(reversal), Kind::Repriced(repriced)) => (reversal, repriced),
        other => panic!("no re-pricing: {other:?}"),
    }
}

#[test]
fn a_charge_is_given_back_and_made_anew_at_its_own_time() {
    let mut partition = partition("0.15");
    let charge = posted(partition.usage(&event("op_1", |event| event["data"]["quantity"] = "3".into())));
    let answer = accepted(partition.command("k", reprice(&charge, 2, "0.45", "rpr_1")));
    assert_eq!((answer.amount_micros, answer.balance_micros), (-450_000, 9_550_000));
    let entries = pair(&partition);
    let (reversal, repriced) = of_pair(&entries);
    assert_eq!((entries.0.amount_micros, entries.1.amount_micros), (600_000, -450_000));
    assert_eq!([entries.0.occurred_at_ms, entries.1.occurred_at_ms], [charge.occurred_at_ms; 2]);
    assert_eq!((reversal.original_seq, reversal.cause()), (charge.seq, ReversalCause::Repricing));
    assert_eq!((reversal.quantity_micros, reversal.price_version), (3_000_000, 1));
    assert_eq!((repriced.replaced_seq, repriced.repricing_id.as_str()), (charge.seq, "rpr_1"));
    assert_eq!((reversal.reason.as_str(), reversal.note.as_str()), ("repricing", "rpr_1"));
    let anew = repriced.charge.as_ref().unwrap();
    assert_eq!((anew.price_version, anew.unit_price_micros, anew.quantity_micros), (2, 150_000, 3_000_000));
    assert_eq!((anew.event_id.as_str(), anew.plan.as_str()), ("evt_gala", "basic"));
    assert_eq!(partition.event("evt_gala").spent_micros, 450_000);
}

#[test]
fn what_is_applied_and_undone_sums_to_nothing_and_each_once() {
    let mut partition = partition("0.15");
    let charge = posted(partition.usage(&success("op_1")));
    let before = partition.balance();
    accepted(partition.command("apply", reprice(&charge, 2, "0.15", "rpr_1")));
    let again = pair(&partition).1;
    assert!(accepted(partition.command("apply", reprice(&charge, 2, "0.15", "rpr_1"))).replayed);
    // another person, another re-pricing: the charge is another one by now
    let other = partition.command("other", reprice(&charge, 2, "0.15", "rpr_2"));
    assert_eq!(refused(other), (409, "charge_replaced".to_owned()));
    accepted(partition.command("undo", undo(&again, 1, "0.20", "rpr_1")));
    assert!(accepted(partition.command("undo", undo(&again, 1, "0.20", "rpr_1"))).replayed);
    assert_eq!((partition.balance(), partition.event("evt_gala").spent_micros), (before, 200_000));
    let entries = pair(&partition);
    let (reversal, repriced) = of_pair(&entries);
    assert_eq!((reversal.reason.as_str(), repriced.undo), ("repricing_undone", true));
    // applied, undone: the first command is answered as before, and posts nothing
    assert!(accepted(partition.command("apply", reprice(&charge, 2, "0.15", "rpr_1"))).replayed);
    assert_eq!(partition.balance(), before);
}

#[test]
fn an_operation_stays_charged_once_and_the_newest_charge_is_repriced_and_refunded() {
    let mut partition = partition("0.15");
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("k1", reprice(&charge, 2, "0.15", "rpr_1")));
    let first = pair(&partition).1;
    assert_eq!(partition.usage(&success("op_1")), UsageDecision::Duplicate);
    // the old entry is no charge any more; the new one gives back what it took, and no more
    assert_eq!(refused(partition.command("k2", refund(&charge, None))), (404, "unknown_charge".to_owned()));
    let beyond = partition.command("k3", refund(&first, Some("0.16")));
    assert_eq!(refused(beyond), (409, "refund_exceeds_charge".to_owned()));
    // a second re-pricing takes the first one's charge
    accepted(partition.command("k4", undo(&first, 1, "0.20", "rpr_2")));
    let second = pair(&partition).1;
    assert_eq!(refused(partition.command("k5", undo(&first, 1, "0.20", "rpr_1"))).1, "charge_replaced");
    accepted(partition.command("k6", refund(&second, None)));
    assert_eq!(partition.balance(), money("10"));
}

#[test]
fn what_was_given_back_in_part_is_left_alone() {
    let mut partition = partition("0.15");
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("k1", refund(&charge, Some("0.01"))));
    assert_eq!(refused(partition.command("k2", reprice(&charge, 2, "0.15", "rpr_1"))).1, "charge_refunded");
    let other = posted(partition.usage(&success("op_2")));
    accepted(partition.command("k3", reprice(&other, 2, "0.15", "rpr_1")));
    let again = pair(&partition).1;
    accepted(partition.command("k4", refund(&again, Some("0.01"))));
    assert_eq!(refused(partition.command("k5", undo(&again, 1, "0.20", "rpr_1"))).1, "charge_refunded");
}

#[test]
fn nothing_is_posted_but_what_was_seen() {
    let mut partition = partition("0.15");
    let charge = posted(partition.usage(&success("op_1")));
    let entries = partition.ledger.len();
    let code = |partition: &mut Partition, key: &str, body| refused(partition.command(key, body)).1;
    assert_eq!(code(&mut partition, "k1", reprice(&charge, 2, "0.14", "rpr_1")), "preview_differs");
    assert_eq!(code(&mut partition, "k2", reprice(&charge, 9, "0.15", "rpr_1")), "no_price");
    assert_eq!(code(&mut partition, "k3", reprice(&charge, 1, "0.20", "rpr_1")), "nothing_to_reprice");
    assert_eq!(code(&mut partition, "k4", reprice(&charge, 2, "0.15", "")), "nothing_to_reprice");
    let video = event("op_2", |event| {
        event["time"] = "2026-09-01T00:00:00Z".into();
        event["data"]["service"] = "video".into();
        event["data"]["engine"] = "sora".into();
        event["data"]["unit"] = "second".into();
    });
    partition.limits.age_max_ms *= 10;
    let video = posted(partition.usage(&video));
    assert_eq!(code(&mut partition, "k5", reprice(&video, 2, "0.30", "rpr_1")), "engine_retired");
    let mut euros = sample_book();
    euros["version"] = 3.into();
    euros["currency"] = "EUR".into();
    assert!(partition.books.publish(book(&euros)));
    assert_eq!(code(&mut partition, "k6", reprice(&charge, 3, "0.20", "rpr_1")), "no_price");
    let Body::Reprice(mut wrong) = reprice(&charge, 2, "0.15", "rpr_1") else { unreachable!() };
    wrong.original.as_mut().unwrap().quantity_micros += 1;
    assert_eq!(code(&mut partition, "k7", Body::Reprice(wrong)), "charge_mismatch");
    assert_eq!(partition.ledger.len(), entries + 1, "the video alone");
}

#[test]
fn what_is_given_back_pays_first_and_only_the_rest_draws_a_bonus() {
    let mut partition = partition("0.50");
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("bonus", grant("5", None)));
    accepted(partition.command("k", reprice(&charge, 2, "0.50", "rpr_1")));
    let again = pair(&partition).1;
    assert_eq!(again.from_bonus_micros, 300_000);
    let parts = partition.account().parts();
    assert_eq!((parts.purchased, parts.bonus), (money("9.80"), money("4.70")));
    // back again: the difference is bought credit, as with every refund
    accepted(partition.command("undo", undo(&again, 1, "0.20", "rpr_1")));
    let parts = partition.account().parts();
    assert_eq!(
        (pair(&partition).1.from_bonus_micros, parts.purchased, parts.bonus),
        (0, money("10.10"), money("4.70"))
    );
}

#[test]
fn no_alert_is_raised_by_the_way_there() {
    let mut partition = partition("0.16");
    let charge = posted(partition.usage(&event("op_1", |event| event["data"]["quantity"] = "10".into())));
    let rules = AlertsSet { balance_below_micros: vec![8_500_000], ..AlertsSet::default() };
    accepted(partition.command("alerts", Body::SetAlerts(SetAlerts { alerts: Some(rules) })));
    assert_eq!(partition.tick(), 1, "8.00 is told of");
    // by the way the balance is 10.00, from which on the next fall would be told of
    accepted(partition.command("k", reprice(&charge, 2, "1.60", "rpr_1")));
    assert_eq!((partition.tick(), partition.balance()), (0, money("8.40")));
}

#[test]
fn a_debt_is_no_hindrance_and_is_told_of() {
    let mut partition = partition("15.00");
    let charge = posted(partition.usage(&success("op_1")));
    let rules = AlertsSet { balance_below_micros: vec![0], ..AlertsSet::default() };
    accepted(partition.command("alerts", Body::SetAlerts(SetAlerts { alerts: Some(rules) })));
    assert_eq!(partition.tick(), 0);
    accepted(partition.command("k", reprice(&charge, 2, "15.00", "rpr_1")));
    assert_eq!(partition.balance(), money("-5"));
    let again = pair(&partition).1;
    assert_eq!(partition.tick(), 1);
    let Kind::AlertRaised(alert) = kind_of(partition.last()) else { panic!("no alert") };
    assert_eq!((alert.crossed_seq, alert.balance_micros), (again.seq, -5_000_000));
    accepted(partition.command("undo", undo(&again, 1, "0.20", "rpr_1")));
    assert_eq!((partition.tick(), partition.balance()), (0, money("9.80")));
}

/// Images in tiers; a third book counts nothing.
fn tiered() -> Partition {
    let mut partition = Partition::open();
    let rows = |first: &str, second: &str| {
        json!([{"service": "ai_modify", "engine": "nano", "unit": "image", "model": "graduated", "plans": {}, "tiers": [
            {"from": "0", "to": "10", "plans": {"basic": first}}, {"from": "10", "plans": {"basic": second}}]}])
    };
    for (version, from, prices) in [
        (5, "2026-01-01T00:00:00Z", rows("0.10", "0.05")),
        (6, "2199-01-01T00:00:00Z", rows("0.20", "0.01")),
        (7, "2199-01-01T00:00:00Z", sample_book()["prices"].clone()),
    ] {
        let mut tiers = sample_book();
        (tiers["version"], tiers["effective_from"], tiers["prices"]) = (version.into(), from.into(), prices);
        assert!(partition.books.publish(book(&tiers)));
    }
    partition
}

#[test]
fn a_charge_keeps_its_place_in_its_month() {
    let mut partition = tiered();
    let images = |operation: &str, images: &str| event(operation, |event| event["data"]["quantity"] = images.into());
    let first = posted(partition.usage(&images("op_1", "8")));
    let second = posted(partition.usage(&images("op_2", "4")));
    assert_eq!((first.amount_micros, second.amount_micros), (-800_000, -300_000));
    // the later one first: 2 of the cheap and 2 of the dear tier all the same
    accepted(partition.command("k2", reprice(&second, 6, "0.42", "rpr_1")));
    accepted(partition.command("k1", reprice(&first, 6, "1.60", "rpr_1")));
    let before = |entry: &Entry| entry.charge().unwrap().pricing.clone().unwrap().counted.unwrap().before_micros;
    let again = pair(&partition).1;
    assert_eq!(before(&again), 0);
    // what comes next counts on from 12
    assert_eq!(before(&posted(partition.usage(&images("op_3", "1")))), 12_000_000);
    // a refund of the new charge gives its quantity back
    accepted(partition.command("r", refund(&again, None)));
    let third = posted(partition.usage(&images("op_4", "1")));
    assert_eq!(before(&third), 5_000_000);
    assert_eq!(refused(partition.command("k3", reprice(&third, 7, "0.20", "rpr_1"))).1, "counts_differ");
    let Body::Reprice(mut elsewhere) = reprice(&third, 6, "0.20", "rpr_1") else { unreachable!() };
    elsewhere.counted.as_mut().unwrap().period = "2026-10".to_owned();
    assert_eq!(refused(partition.command("k4", Body::Reprice(elsewhere))).1, "counts_differ");
}

#[test]
fn work_that_was_free_can_be_charged() {
    let mut partition = partition("0.15");
    let mut free = sample_book();
    free["version"] = 4.into();
    free["effective_from"] = "2026-02-01T00:00:00Z".into();
    free["prices"][0]["plans"]["basic"] = "0".into();
    assert!(partition.books.publish(book(&free)));
    let charge = posted(partition.usage(&success("op_1")));
    assert_eq!(charge.amount_micros, 0);
    accepted(partition.command("k", reprice(&charge, 2, "0.15", "rpr_1")));
    let again = pair(&partition).1;
    assert_eq!(partition.balance(), money("9.85"));
    accepted(partition.command("undo", undo(&again, 4, "0", "rpr_1")));
    assert_eq!(partition.balance(), money("10"));
}

#[test]
fn a_ledger_that_charges_anew_without_giving_back_is_not_served() {
    let mut partition = partition("0.15");
    let charge = posted(partition.usage(&success("op_1")));
    accepted(partition.command("k", reprice(&charge, 2, "0.15", "rpr_1")));
    // given the ledger without the reversal, renumbered
    let mut ledger = partition.ledger.clone();
    let at = ledger.len() - 2;
    ledger.remove(at);
    let entry = &mut ledger[at].entries[0];
    (entry.seq, entry.balance_after_micros) = (entry.seq - 1, entry.balance_after_micros - 200_000);
    let mut state = tollbooth_ledger::State::new(&partition.limits);
    let folded = ledger.iter().try_for_each(|record| state.fold(record));
    assert!(matches!(folded, Err(tollbooth_ledger::FoldError::Repriced { .. })), "{folded:?}");
}
