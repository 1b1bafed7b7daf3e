//! Credit that is given and may expire.

use tollbooth_ledger::BONUS_LOTS_MAX;
use tollbooth_schemas::v1::{GrantBonus, PostPlanFee, SourceTopic, command::Body, entry::Kind};

use crate::harness::{NOW_MS, Partition, accepted, adjustment, event, kind_of, money, posted, refused, success};

pub(crate) fn grant(amount: &str, expires_at_ms: Option<i64>) -> Body {
    let (reason, note) = ("welcome".to_owned(), String::new());
    Body::GrantBonus(GrantBonus { amount_micros: money(amount).micros(), expires_at_ms, reason, note })
}

/// What is left of each lot, in the order they are drawn.
fn lots(partition: &Partition) -> Vec<(u64, String)> {
    partition.account().lots().iter().map(|lot| (lot.granted_seq, lot.remaining.to_string())).collect()
}

#[test]
fn the_parts_of_a_balance_are_visible() {
    let mut partition = Partition::open();
    let answer = accepted(partition.command("k", grant("2", None)));
    assert_eq!((answer.amount_micros, answer.balance_micros), (2_000_000, 12_000_000));
    let parts = partition.account().parts();
    assert_eq!((parts.purchased, parts.bonus), (money("10"), money("2")));
}

#[test]
fn lots_are_drawn_soonest_expiry_first_and_before_what_was_bought() {
    let mut partition = Partition::open();
    let (soon, late) = (Some(NOW_MS + 1_000_000), Some(NOW_MS + 2_000_000));
    for (key, expires_at_ms) in [("never", None), ("late", late), ("soon", soon), ("soon too", soon)] {
        accepted(partition.command(key, grant("0.15", expires_at_ms)));
    }
    let all = [(5, "0.15"), (6, "0.15"), (4, "0.15"), (3, "0.15")].map(|(seq, left)| (seq, left.to_owned()));
    assert_eq!(lots(&partition), all);
    let entry = posted(partition.usage(&success("op_1")));
    assert_eq!((entry.amount_micros, entry.from_bonus_micros), (-200_000, 200_000));
    assert_eq!(lots(&partition)[0], (6, "0.10".to_owned()));
    // A charge over all lots and into what was bought.
    let entry = posted(partition.usage(&event("op_2", |event| event["data"]["quantity"] = "3".into())));
    assert_eq!((entry.amount_micros, entry.from_bonus_micros), (-600_000, 400_000));
    assert_eq!(lots(&partition), []);
    let parts = partition.account().parts();
    assert_eq!((parts.purchased, parts.bonus), (money("9.80"), money("0")));
    assert_eq!(
        tollbooth_ledger::due(&partition.state, tollbooth_ledger::Ticks::WithoutFees),
        None,
        "a lot that is used up no longer expires"
    );
}

#[test]
fn a_fee_and_a_negative_adjustment_draw_lots_too() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", grant("40", None)));
    accepted(partition.command("k2", adjustment("-0.50")));
    assert_eq!(partition.last().from_bonus_micros, 500_000);
    accepted(partition.command("k3", Body::PostPlanFee(PostPlanFee { period: "2026-11".to_owned() })));
    assert_eq!(partition.last().from_bonus_micros, 39_000_000);
    accepted(partition.command("k4", adjustment("5")));
    assert_eq!(partition.last().from_bonus_micros, 0);
    let parts = partition.account().parts();
    assert_eq!((parts.purchased, parts.bonus), (money("15"), money("0.50")));
}

#[test]
fn what_is_left_of_a_lot_expires() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", grant("1", Some(NOW_MS + 5_000))));
    accepted(partition.command("k2", grant("2", None)));
    posted(partition.usage(&success("op_1")));
    partition.now_ms = NOW_MS + 9_000;
    assert_eq!(partition.tick(), 1);
    let entry = partition.last();
    assert_eq!((entry.amount_micros, entry.from_bonus_micros), (-800_000, 0));
    assert_eq!((entry.occurred_at_ms, entry.source_topic()), (NOW_MS + 5_000, SourceTopic::Tick));
    let Kind::BonusExpired(expired) = kind_of(entry) else { panic!("no expiry") };
    assert_eq!(expired.granted_seq, 3);
    let parts = partition.account().parts();
    assert_eq!((parts.purchased, parts.bonus), (money("10"), money("2")));
    assert_eq!(partition.tick(), 0);
}

#[test]
fn a_debt_is_not_paid_by_a_bonus() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", adjustment("-12")));
    accepted(partition.command("k2", grant("5", Some(NOW_MS + 5_000))));
    let parts = partition.account().parts();
    assert_eq!((partition.balance(), parts.purchased, parts.bonus), (money("3"), money("-2"), money("5")));
    partition.now_ms = NOW_MS + 5_000;
    partition.tick();
    assert_eq!((partition.balance(), partition.account().parts().bonus), (money("-2"), money("0")));
}

#[test]
fn what_is_no_bonus_is_refused() {
    let mut partition = Partition::open();
    assert_eq!(refused(partition.command("k1", grant("0", None))), (422, "out_of_range".to_owned()));
    assert_eq!(refused(partition.command("k2", grant("1", Some(NOW_MS)))), (422, "invalid_expiry".to_owned()));
    for number in 0..BONUS_LOTS_MAX {
        accepted(partition.command(&format!("b{number}"), grant("0.01", None)));
    }
    assert_eq!(refused(partition.command("k3", grant("1", None))), (409, "too_many_bonuses".to_owned()));
}
