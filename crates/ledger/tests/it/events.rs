//! What the parties cost, their budgets, and paused booths.

use tollbooth_ledger::EVENTS_MAX;
use tollbooth_schemas::v1::{BudgetRule, DefineEvent, Refund, SetBooth, command::Body, entry::Kind, place_hold::Size};

use crate::{
    harness::{NOW_MS, Partition, accepted, event, kind_of, money, posted, refused, rejected, success},
    holds::{hold, hold_with},
    refunds::charge_of,
};

fn define(event_id: &str, budget: Option<&str>, on_exceeded: BudgetRule) -> Body {
    Body::DefineEvent(DefineEvent {
        event_id: event_id.to_owned(),
        name: "Gala".to_owned(),
        starts_at_ms: NOW_MS,
        ends_at_ms: NOW_MS + 1,
        time_zone: "Europe/Berlin".to_owned(),
        budget_micros: budget.map(|budget| money(budget).micros()),
        on_exceeded: on_exceeded.into(),
    })
}

fn booth(booth_id: &str, paused: bool) -> Body {
    Body::SetBooth(SetBooth { booth_id: booth_id.to_owned(), name: "Left".to_owned(), paused })
}

#[test]
fn spend_counts_from_the_first_entry_and_net_of_refunds() {
    let mut partition = Partition::open();
    let charge = posted(partition.usage(&success("op_1")));
    posted(partition.usage(&success("op_2")));
    posted(partition.usage(&event("op_3", |event| event["data"]["event_id"] = "evt_other".into())));
    accepted(partition.command("k1", define("evt_gala", Some("1"), BudgetRule::Warn)));
    assert_eq!(partition.event("evt_gala").spent_micros, 400_000, "before the definition too");
    let original = Some(charge_of(&charge));
    let amount_micros = Some(50_000);
    let refund = Refund { seq: charge.seq, original, amount_micros, ..Refund::default() };
    accepted(partition.command("k2", Body::Refund(refund)));
    assert_eq!(partition.event("evt_gala").spent_micros, 350_000);
    assert_eq!(partition.event("evt_other").spent_micros, 200_000);
}

#[test]
fn an_event_is_defined_anew_by_the_newest_word() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", define("evt_gala", Some("1"), BudgetRule::RefuseHolds)));
    let Kind::EventDefined(defined) = kind_of(partition.last()) else { panic!("no event") };
    assert_eq!((defined.budget_micros, defined.on_exceeded()), (Some(1_000_000), BudgetRule::RefuseHolds));
    assert_eq!(refused(partition.command("k2", hold("hld_1", "1.01"))).1, "event_budget_exceeded");
    accepted(partition.command("k3", define("evt_gala", None, BudgetRule::Unspecified)));
    accepted(partition.command("k4", hold("hld_1", "1.01")));
    let event = partition.event("evt_gala");
    assert_eq!((event.budget, event.refuses_holds, event.held_micros), (None, false, 1_010_000));
}

#[test]
fn holds_beyond_a_refusing_budget_are_refused() {
    let mut partition = Partition::open();
    posted(partition.usage(&success("op_1")));
    accepted(partition.command("k1", define("evt_gala", Some("1"), BudgetRule::RefuseHolds)));
    accepted(partition.command("k2", hold("hld_1", "0.50")));
    let refusal = rejected(partition.command("k3", hold("hld_2", "0.31")));
    assert_eq!((refusal.status, refusal.code.as_str()), (402, "event_budget_exceeded"));
    assert_eq!(refusal.missing_micros, 10_000);
    accepted(partition.command("k4", hold("hld_3", "0.30")));
    // Usage posts, and its capture moves the event's money from held to spent.
    let usage = event("op_2", |event| event["data"]["hold_id"] = "hld_1".into());
    posted(partition.usage(&usage));
    let event = partition.event("evt_gala");
    assert_eq!((event.spent_micros, event.held_micros), (400_000, 300_000));
    // Another event has its own.
    accepted(partition.command(
        "k5",
        hold_with("hld_4", Size::AmountMicros(1_000_000), |place| {
            place.event_id = "evt_other".to_owned();
        }),
    ));
}

#[test]
fn a_warning_budget_refuses_nothing() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", define("evt_gala", Some("1"), BudgetRule::Warn)));
    accepted(partition.command("k2", hold("hld_1", "2")));
}

#[test]
fn what_is_no_event_or_booth_is_refused() {
    let mut partition = Partition::open();
    assert_eq!(refused(partition.command("k1", define("", None, BudgetRule::Warn))).1, "invalid_event");
    assert_eq!(refused(partition.command("k2", define("evt_a", Some("-1"), BudgetRule::Warn))).1, "out_of_range");
    let Body::DefineEvent(mut ends_first) = define("evt_a", None, BudgetRule::Warn) else { panic!() };
    ends_first.ends_at_ms = ends_first.starts_at_ms;
    assert_eq!(refused(partition.command("k3", Body::DefineEvent(ends_first))).1, "invalid_event");
    assert_eq!(refused(partition.command("k4", booth("", true))), (422, "invalid_booth".to_owned()));
}

#[test]
fn beyond_the_bound_events_are_not_tracked() {
    let mut partition = Partition::open();
    for number in 0..EVENTS_MAX {
        partition.command_unchecked(&format!("k{number}"), define(&format!("evt_{number}"), None, BudgetRule::Warn));
    }
    assert_eq!(
        refused(partition.command("more", define("evt_more", None, BudgetRule::Warn))),
        (409, "too_many_events".to_owned())
    );
    accepted(partition.command("known", define("evt_7", Some("1"), BudgetRule::Warn)));
    posted(partition.usage(&success("op_1")));
    assert_eq!(partition.event("evt_gala").spent_micros, 0);
    accepted(partition.command("hold", hold("hld_1", "1")));
    partition.now_ms += 600_000;
    assert_eq!(partition.tick(), 1);
}

#[test]
fn a_paused_booth_gets_no_holds_and_its_usage_posts() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", booth("bth_17", true)));
    assert_eq!(refused(partition.command("k2", hold("hld_1", "1"))), (409, "booth_paused".to_owned()));
    posted(partition.usage(&success("op_1")));
    let elsewhere = |place: &mut tollbooth_schemas::v1::PlaceHold| place.booth_id = "bth_18".to_owned();
    accepted(partition.command("k3", hold_with("hld_2", Size::AmountMicros(1), elsewhere)));
    accepted(partition.command("k4", booth("bth_17", false)));
    accepted(partition.command("k5", hold("hld_1", "1")));
}
