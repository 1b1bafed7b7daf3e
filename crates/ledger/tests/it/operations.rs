//! An operation's life: every cell of the table in `usage.rs`.

use tollbooth_ledger::UsageDecision;
use tollbooth_schemas::dead_letter::Reason;

use crate::harness::{ACCOUNT, Partition, dead, event, failed, money, posted, success};

#[test]
fn an_unseen_success_is_charged() {
    let mut partition = Partition::open();
    let entry = posted(partition.usage(&success("op_1")));
    assert_eq!(entry.amount_micros, -200_000);
    assert_eq!(partition.balance(), money("9.80"));
    assert_eq!(entry.seq, 3, "after the opening and the credit");
    let usage = entry.usage().unwrap();
    assert_eq!((usage.price_version, usage.unit_price_micros, usage.plan.as_str()), (1, 200_000, "basic"));
}

#[test]
fn a_charged_operation_is_charged_once_whatever_is_repeated() {
    let mut partition = Partition::open();
    posted(partition.usage(&success("op_1")));
    // The event's time and attempt are no part of an operation's identity.
    let later = event("op_1", |event| {
        event["time"] = "2026-11-21T20:15:02Z".into();
        event["data"]["attempt"] = 2.into();
        event["id"] = "another".into();
    });
    assert_eq!(partition.usage(&success("op_1")), UsageDecision::Duplicate);
    assert_eq!(partition.usage(&later), UsageDecision::Duplicate);
    assert_eq!(partition.balance(), money("9.80"));
}

#[test]
fn a_charged_operation_with_other_content_is_a_conflict() {
    let mut partition = Partition::open();
    posted(partition.usage(&success("op_1")));
    let other = event("op_1", |event| event["data"]["quantity"] = "2".into());
    assert_eq!(dead(partition.usage(&other)), Reason::Conflict);
    assert_eq!(partition.balance(), money("9.80"));
}

#[test]
fn failed_work_is_listed_with_nothing_once_per_attempt() {
    let mut partition = Partition::open();
    let entry = posted(partition.usage(&failed("op_1", 1)));
    assert_eq!((entry.amount_micros, entry.is_failed()), (0, true));
    assert_eq!(partition.usage(&failed("op_1", 1)), UsageDecision::Duplicate);
    // Attempts arrive in any order.
    posted(partition.usage(&failed("op_1", 3)));
    posted(partition.usage(&failed("op_1", 2)));
    assert_eq!(partition.usage(&failed("op_1", 2)), UsageDecision::Duplicate);
    assert_eq!(partition.balance(), money("10"));
}

#[test]
fn a_retry_of_a_failed_operation_is_charged_once() {
    let mut partition = Partition::open();
    posted(partition.usage(&failed("op_1", 1)));
    let retry = event("op_1", |event| event["data"]["attempt"] = 2.into());
    posted(partition.usage(&retry));
    assert_eq!(partition.usage(&retry), UsageDecision::Duplicate);
    assert_eq!(partition.usage(&failed("op_1", 1)), UsageDecision::Stale, "the failure before the charge, re-sent");
    assert_eq!(dead(partition.usage(&failed("op_1", 2))), Reason::FailedAfterCharge);
    assert_eq!(dead(partition.usage(&failed("op_1", 3))), Reason::FailedAfterCharge);
    assert_eq!(partition.balance(), money("9.80"));
}

#[test]
fn attempts_beyond_the_sixty_fourth_are_listed_once_in_rising_order() {
    let mut partition = Partition::open();
    posted(partition.usage(&failed("op_1", 65)));
    assert_eq!(partition.usage(&failed("op_1", 65)), UsageDecision::Duplicate);
    posted(partition.usage(&failed("op_1", 66)));
}

#[test]
fn the_same_operation_id_of_two_accounts_is_two_operations() {
    let mut partition = Partition::open();
    posted(partition.usage(&success("op_1")));
    let foreign = event("op_1", |event| event["subject"] = "acc_other".into());
    assert_eq!(dead(partition.usage(&foreign)), Reason::UnknownAccount);
    assert!(partition.state.folded_offset(0, tollbooth_schemas::v1::SourceTopic::Usage).is_some());
    assert_eq!(partition.ledger.iter().filter(|record| record.account_id == ACCOUNT).count(), 3);
}

#[test]
fn age_and_future_are_judged_by_the_receipt() {
    let mut partition = Partition::open();
    let at = |time: &str| {
        let time = time.to_owned();
        event(&time.clone(), move |event| event["time"] = time.into())
    };
    assert_eq!(dead(partition.usage(&at("1970-01-01T00:00:00Z"))), Reason::TooOld);
    assert_eq!(dead(partition.usage(&at("2090-01-01T00:00:00Z"))), Reason::InFuture);
    posted(partition.usage(&at("2026-10-18T00:00:00Z")));
    posted(partition.usage(&at("2026-11-21T21:15:00Z")));
}

#[test]
fn a_known_operation_is_recognized_even_when_it_is_too_old_by_now() {
    let mut partition = Partition::open();
    posted(partition.usage(&success("op_1")));
    partition.now_ms += 40 * 86_400_000;
    assert_eq!(partition.usage(&success("op_1")), UsageDecision::Duplicate);
}

#[test]
fn ids_are_kept_for_the_retention_and_forgotten_by_whole_weeks() {
    let mut partition = Partition::open();
    posted(partition.usage(&success("op_1")));
    // Within 90 days of posting a changed time does not help a repeat.
    partition.now_ms += 90 * 86_400_000;
    let repeat = |time: &str| {
        let time = time.to_owned();
        event("op_1", move |event| event["time"] = time.into())
    };
    assert_eq!(partition.usage(&repeat("2027-02-18T00:00:00Z")), UsageDecision::Duplicate);
    partition.now_ms += 21 * 86_400_000;
    posted(partition.usage(&repeat("2027-03-11T00:00:00Z")));
}

#[test]
fn a_late_charge_may_take_the_balance_below_zero() {
    let mut partition = Partition::open();
    let many = event("op_1", |event| event["data"]["quantity"] = "100".into());
    posted(partition.usage(&many));
    assert_eq!(partition.balance(), money("-10"));
}

#[test]
fn a_charge_beyond_the_bound_is_a_dead_letter_and_harms_nothing() {
    let mut partition = Partition::open();
    let huge = event("op_1", |event| event["data"]["quantity"] = "999999999999".into());
    posted(partition.usage(&huge));
    let huger = event("op_2", |event| event["data"]["quantity"] = "999999999999.999999".into());
    for number in 0..4 {
        let again = huge.replace("op_1", &format!("op_again_{number}"));
        drop(partition.usage(&again));
    }
    assert_eq!(dead(partition.usage(&huger)), Reason::OutOfRange);
    posted(partition.usage(&success("op_3")));
}
