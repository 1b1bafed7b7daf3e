//! Money set aside before the work, and every order of reports and holds.

use tollbooth_ledger::{UsageDecision, View as _};
use tollbooth_schemas::{
    dead_letter::Reason,
    v1::{
        HoldOutcome, HoldReleaseCause, PlaceHold, SetCreditLimit, VoidHold, command::Body, entry::Kind,
        place_hold::Size, reply::Outcome,
    },
};

use crate::harness::{
    ACCOUNT, Partition, accepted, adjustment, dead, event, kind_of, money, posted, refused, rejected, usage_of,
};

pub(crate) fn hold_with(hold_id: &str, size: Size, change: impl FnOnce(&mut PlaceHold)) -> Body {
    let mut place = PlaceHold {
        hold_id: hold_id.to_owned(),
        service: "ai_modify".to_owned(),
        engine: "nano".to_owned(),
        unit: "image".to_owned(),
        timeout_ms: 600_000,
        event_id: "evt_gala".to_owned(),
        booth_id: "bth_17".to_owned(),
        size: Some(size),
        ..PlaceHold::default()
    };
    change(&mut place);
    Body::PlaceHold(place)
}

pub(crate) fn hold(hold_id: &str, amount: &str) -> Body {
    hold_with(hold_id, Size::AmountMicros(money(amount).micros()), |_| {})
}

fn void(hold_id: &str) -> Body {
    Body::VoidHold(VoidHold { hold_id: hold_id.to_owned() })
}

/// A report of `op_1` that names `hld_1`.
fn report(status: &str, attempt: u32) -> String {
    event("op_1", |event| {
        event["data"]["status"] = status.into();
        event["data"]["attempt"] = attempt.into();
        event["data"]["hold_id"] = "hld_1".into();
    })
}

#[test]
fn a_hold_takes_from_what_is_available_and_not_from_the_balance() {
    let mut partition = Partition::open();
    let answer = accepted(partition.command("k", hold("hld_1", "4")));
    assert_eq!((answer.amount_micros, answer.balance_micros, answer.held_micros), (0, 10_000_000, 4_000_000));
    assert_eq!(answer.hold_amount_micros, 4_000_000);
    assert_eq!(partition.account().available(), money("6"));
    let Kind::HoldPlaced(placed) = kind_of(partition.last()) else { panic!("no hold") };
    assert_eq!((placed.amount_micros, placed.expires_at_ms), (4_000_000, partition.now_ms + 600_000));
    assert_eq!((placed.plan.as_str(), placed.price_version, placed.quantity_micros), ("basic", 0, 0));
}

#[test]
fn the_answer_to_a_hold_and_to_its_end_says_how_much_was_set_aside_again_and_again() {
    let mut partition = Partition::open();
    let placing = hold_with("hld_1", Size::QuantityMicros(3_000_000), |_| {});
    accepted(partition.command("place", placing.clone()));
    assert_eq!(accepted(partition.command("void", void("hld_1"))).hold_amount_micros, 600_000);
    // Also when the hold has ended.
    for (key, body) in [("place", placing), ("void", void("hld_1"))] {
        let again = accepted(partition.command(key, body));
        assert_eq!((again.replayed, again.hold_amount_micros), (true, 600_000), "{key}");
    }
    assert_eq!(accepted(partition.command("other", adjustment("1"))).hold_amount_micros, 0);
}

#[test]
fn a_hold_without_an_amount_is_priced_by_quantity() {
    let mut partition = Partition::open();
    accepted(partition.command("k", hold_with("hld_1", Size::QuantityMicros(3_000_000), |_| {})));
    let Kind::HoldPlaced(placed) = kind_of(partition.last()) else { panic!("no hold") };
    assert_eq!((placed.amount_micros, placed.price_version, placed.quantity_micros), (600_000, 1, 3_000_000));
    let mut priced = |key: &str, quantity, change: fn(&mut PlaceHold)| {
        refused(partition.command(key, hold_with(key, Size::QuantityMicros(quantity), change)))
    };
    assert_eq!(priced("h1", 1_000_000, |place| place.engine = "other".to_owned()), (422, "no_price".to_owned()));
    assert_eq!(priced("h2", 1_000_000, |place| place.unit = "job".to_owned()), (422, "unit_mismatch".to_owned()));
    assert_eq!(priced("h3", 0, |_| {}), (422, "out_of_range".to_owned()));
    assert_eq!(priced("h4", i64::MAX, |_| {}), (422, "out_of_range".to_owned()));
    let retired = |place: &mut PlaceHold| {
        (place.service, place.engine, place.unit) = ("video".to_owned(), "sora".to_owned(), "second".to_owned());
    };
    assert_eq!(priced("h5", 1_000_000, retired), (422, "engine_retired".to_owned()));
}

#[test]
fn what_is_missing_is_told() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", hold("hld_1", "9.99")));
    let refusal = rejected(partition.command("k2", hold("hld_2", "0.05")));
    assert_eq!((refusal.status, refusal.code.as_str()), (402, "insufficient_balance"));
    assert_eq!((refusal.missing_micros, refusal.currency.as_str()), (40_000, "USD"));
    assert_eq!(partition.held(), money("9.99"));
    // A refusal is judged anew once there is money.
    accepted(partition.command("credit 2", adjustment("0.04")));
    accepted(partition.command("k2", hold("hld_2", "0.05")));
    assert_eq!(partition.account().available(), money("0"));
}

#[test]
fn two_holds_never_take_the_same_dollar() {
    let mut partition = Partition::open();
    accepted(partition.command("booth 1", hold("hld_1", "10")));
    assert_eq!(refused(partition.command("booth 2", hold("hld_2", "0.000001"))).0, 402);
}

#[test]
fn a_credit_limit_is_for_holds() {
    let mut partition = Partition::open();
    let limit = |micros| Body::SetCreditLimit(SetCreditLimit { credit_limit_micros: micros });
    accepted(partition.command("limit", limit(2_000_000)));
    assert_eq!(rejected(partition.command("k1", hold("hld_1", "12.50"))).missing_micros, 500_000);
    accepted(partition.command("k2", hold("hld_2", "12")));
    assert_eq!(partition.account().available(), money("-2"));
    assert_eq!(refused(partition.command("below", limit(-1))), (422, "out_of_range".to_owned()));
    // Lowered below what is held already: nothing ends, nothing new begins; usage posts all the same.
    accepted(partition.command("lower", limit(0)));
    assert_eq!(refused(partition.command("k3", hold("hld_3", "0.01"))).0, 402);
    let long = event("op_1", |event| event["data"]["quantity"] = "100".into());
    posted(partition.usage(&long));
    assert_eq!((partition.balance(), partition.held()), (money("-10"), money("12")));
}

#[test]
fn a_hold_id_is_taken_once() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", hold("hld_1", "1")));
    assert_eq!(refused(partition.command("k2", hold("hld_1", "1"))), (409, "hold_exists".to_owned()));
    accepted(partition.command("k3", void("hld_1")));
    assert_eq!(refused(partition.command("k4", hold("hld_1", "1"))), (409, "hold_exists".to_owned()));
    assert_eq!(partition.held(), money("0"));
}

#[test]
fn what_is_not_a_hold_is_refused() {
    let mut partition = Partition::open();
    let mut place = |key: &str, body| refused(partition.command(key, body));
    let amount = || Size::AmountMicros(1_000_000);
    assert_eq!(place("k1", hold_with("h", amount(), |place| place.timeout_ms = 999)).1, "invalid_timeout");
    assert_eq!(place("k2", hold_with("h", amount(), |place| place.timeout_ms = 86_400_001)).1, "invalid_timeout");
    assert_eq!(place("k3", hold_with("h", amount(), |place| place.size = None)).1, "invalid_hold");
    assert_eq!(place("k4", hold_with("", amount(), |_| {})).1, "invalid_hold");
    assert_eq!(place("k5", hold("h", "0")).1, "out_of_range");
    assert_eq!(place("k6", hold("h", "-1")).1, "out_of_range");
}

#[test]
fn a_voided_hold_is_free_again_and_void_once() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", hold("hld_1", "4")));
    let answer = accepted(partition.command("k2", void("hld_1")));
    assert_eq!((answer.amount_micros, answer.balance_micros, answer.held_micros), (0, 10_000_000, 0));
    let Kind::HoldReleased(released) = kind_of(partition.last()) else { panic!("not released") };
    assert_eq!((released.amount_micros, released.cause()), (4_000_000, HoldReleaseCause::Voided));
    assert_eq!(refused(partition.command("k3", void("hld_1"))), (409, "hold_ended".to_owned()));
    assert_eq!(refused(partition.command("k4", void("hld_2"))), (404, "unknown_hold".to_owned()));
    // The void's own repetition is answered as before.
    assert!(accepted(partition.command("k2", void("hld_1"))).replayed);
}

#[test]
fn a_hold_expires_by_its_entry() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", hold("hld_1", "4")));
    accepted(partition.command("k2", hold_with("hld_2", Size::AmountMicros(1), |place| place.timeout_ms = 86_400_000)));
    let expires_at_ms = partition.now_ms + 600_000;
    assert_eq!(tollbooth_ledger::due(&partition.state, tollbooth_ledger::Ticks::WithoutFees), Some(expires_at_ms));
    partition.now_ms = expires_at_ms - 1;
    assert_eq!(partition.tick(), 0);
    partition.now_ms = expires_at_ms + 5_000;
    assert_eq!(partition.held(), money("4.000001"), "until the entry stands");
    assert_eq!(partition.tick(), 1);
    assert_eq!(partition.held(), money("0.000001"));
    let entry = partition.last();
    let Kind::HoldReleased(released) = kind_of(entry) else { panic!("not released") };
    assert_eq!(released.cause(), HoldReleaseCause::Expired);
    assert_eq!(entry.occurred_at_ms, expires_at_ms);
    assert_eq!(partition.tick(), 0);
    assert_eq!(refused(partition.command("k3", void("hld_1"))), (409, "hold_ended".to_owned()));
}

#[test]
fn a_capture_charges_the_usage_and_releases_the_whole_hold() {
    for amount in ["0.05", "0.20", "9"] {
        let mut partition = Partition::open();
        accepted(partition.command("k", hold("hld_1", amount)));
        let entry = posted(partition.usage(&report("success", 1)));
        assert_eq!((entry.amount_micros, entry.held_after_micros), (-200_000, 0), "whatever was held");
        assert_eq!(usage_of(&entry).hold_outcome(), HoldOutcome::Captured);
        assert_eq!(tollbooth_ledger::due(&partition.state, tollbooth_ledger::Ticks::WithoutFees), None);
    }
}

#[test]
fn a_hold_is_captured_once() {
    let mut partition = Partition::open();
    accepted(partition.command("k", hold("hld_1", "4")));
    posted(partition.usage(&report("success", 1)));
    let second = event("op_2", |event| event["data"]["hold_id"] = "hld_1".into());
    let entry = posted(partition.usage(&second));
    assert_eq!((entry.amount_micros, entry.held_after_micros), (-200_000, 0));
    assert_eq!(usage_of(&entry).hold_outcome(), HoldOutcome::EndedBefore);
}

#[test]
fn a_hold_of_another_account_is_unknown() {
    let mut partition = Partition::open();
    accepted(partition.command("k", hold("hld_1", "4")));
    let other = partition.state.hold("acc_other", "hld_1");
    assert_eq!(other, None);
    let usage = event("op_1", |event| event["data"]["hold_id"] = "hld_2".into());
    assert_eq!(usage_of(&posted(partition.usage(&usage))).hold_outcome(), HoldOutcome::Unknown);
    assert_eq!(partition.held(), money("4"));
}

#[test]
fn an_ended_hold_is_forgotten_after_the_retention() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", hold("hld_1", "4")));
    accepted(partition.command("k2", void("hld_1")));
    partition.now_ms += 120 * 86_400_000;
    assert_eq!(refused(partition.command("k3", void("hld_1"))), (404, "unknown_hold".to_owned()));
    accepted(partition.command("k4", hold("hld_1", "1")));
}

/// What stood before of `op_1`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Unseen,
    Failed,
    Charged,
}

/// What stood before of `hld_1`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum HoldBefore {
    None,
    Open,
    Voided,
    Expired,
    Captured,
}

fn given(before: Before, hold_before: HoldBefore) -> Partition {
    let mut partition = Partition::open();
    let without_hold = |status: &str, attempt| report(status, attempt).replace("\"hold_id\":\"hld_1\",", "");
    match before {
        Before::Unseen => {}
        Before::Failed => drop(posted(partition.usage(&without_hold("failed", 1)))),
        Before::Charged => drop(posted(partition.usage(&without_hold("success", 1)))),
    }
    if hold_before != HoldBefore::None {
        accepted(partition.command("hold", hold("hld_1", "4")));
    }
    match hold_before {
        HoldBefore::None | HoldBefore::Open => {}
        HoldBefore::Voided => drop(accepted(partition.command("void", void("hld_1")))),
        HoldBefore::Expired => {
            partition.now_ms += 600_000;
            assert_eq!(partition.tick(), 1);
        }
        HoldBefore::Captured => {
            let other = event("op_other", |event| event["data"]["hold_id"] = "hld_1".into());
            posted(partition.usage(&other));
        }
    }
    partition
}

/// The table of `docs/ledger.md`: whatever the order of reports and holds.
#[test]
fn every_order_of_reports_and_holds() {
    for before in [Before::Unseen, Before::Failed, Before::Charged] {
        for hold_before in
            [HoldBefore::None, HoldBefore::Open, HoldBefore::Voided, HoldBefore::Expired, HoldBefore::Captured]
        {
            for success in [true, false] {
                let mut partition = given(before, hold_before);
                let held = partition.held();
                let decision = partition.usage(&report(if success { "success" } else { "failed" }, 2));
                let case = format!("{before:?}, hold {hold_before:?}, success {success}");
                let outcome = match (hold_before, success) {
                    (HoldBefore::None, _) => HoldOutcome::Unknown,
                    (HoldBefore::Open, true) => HoldOutcome::Captured,
                    (HoldBefore::Open, false) => HoldOutcome::ReleasedByFailure,
                    _ => HoldOutcome::EndedBefore,
                };
                if before == Before::Charged {
                    match success {
                        true => assert_eq!(decision, UsageDecision::Duplicate, "{case}"),
                        false => assert_eq!(dead(decision), Reason::FailedAfterCharge, "{case}"),
                    }
                    assert_eq!(partition.held(), held, "{case}: what does not post leaves the hold");
                    continue;
                }
                let entry = posted(decision);
                assert_eq!(entry.amount_micros, if success { -200_000 } else { 0 }, "{case}");
                assert_eq!(usage_of(&entry).hold_outcome(), outcome, "{case}");
                assert_eq!(partition.held(), money("0"), "{case}");
                // Charged is final, and charged once.
                if success {
                    assert_eq!(partition.usage(&report("success", 3)), UsageDecision::Duplicate, "{case}");
                    assert_eq!(partition.usage(&report("failed", 1)), UsageDecision::Stale, "{case}");
                } else {
                    assert_eq!(partition.usage(&report("failed", 2)), UsageDecision::Duplicate, "{case}");
                }
            }
        }
    }
}

#[test]
fn usage_without_a_hold_says_nothing_of_one_and_leaves_them() {
    let mut partition = Partition::open();
    accepted(partition.command("k", hold("hld_1", "4")));
    let entry = posted(partition.usage(&event("op_1", |_| {})));
    assert_eq!(usage_of(&entry).hold_outcome(), HoldOutcome::None);
    assert_eq!(entry.held_after_micros, 4_000_000);
}

#[test]
fn a_dead_letter_leaves_the_hold_to_its_expiry() {
    let mut partition = Partition::open();
    accepted(partition.command("k", hold("hld_1", "4")));
    let unpriced = report("success", 1).replace("nano", "unknown");
    assert_eq!(dead(partition.usage(&unpriced)), Reason::NoPrice);
    assert_eq!(partition.held(), money("4"));
}

#[test]
fn holds_of_an_account_are_bounded() {
    let mut partition = Partition::open();
    accepted(partition.command("much", adjustment("1000")));
    for number in 0..tollbooth_ledger::OPEN_HOLDS_MAX {
        let place = hold_with(&format!("hld_{number}"), Size::AmountMicros(1), |_| {});
        assert!(matches!(partition.command_unchecked(&format!("k{number}"), place), Outcome::Accepted(_)));
    }
    assert_eq!(refused(partition.command("more", hold("hld_more", "1"))), (409, "too_many_holds".to_owned()));
    accepted(partition.command("void", void("hld_7")));
    accepted(partition.command("more", hold("hld_more", "1")));
    assert_eq!(partition.state.account(ACCOUNT).unwrap().holds_open, tollbooth_ledger::OPEN_HOLDS_MAX);
}
