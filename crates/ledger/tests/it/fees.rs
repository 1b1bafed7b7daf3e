//! The plan fee that a month posts by itself.

use tollbooth_ledger::{PriceBooks, State, Ticks, due};
use tollbooth_schemas::{
    ledger::EntryType,
    time::{parse_rfc3339_ms, rfc3339},
    v1::{ChangePlan, SourceTopic, command::Body, entry::Kind},
};

use crate::{
    harness::{Partition, accepted, adjustment, book, kind_of, money, refused, sample_book},
    money::fee,
};

fn at(text: &str) -> i64 {
    parse_rfc3339_ms(text).unwrap()
}

/// Period, amount, plan, price version and occurrence of every fee.
fn fees(partition: &Partition) -> Vec<(String, String, String, u32, String)> {
    let entries = partition.ledger.iter().flat_map(|record| &record.entries);
    let fees = entries.filter_map(|entry| match kind_of(entry) {
        Kind::PlanFee(fee) => {
            let amount = tollbooth_schemas::Money::from_micros(entry.amount_micros).unwrap().to_string();
            let occurred_at = rfc3339(entry.occurred_at_ms);
            Some((fee.period.clone(), amount, fee.plan.clone(), fee.price_version, occurred_at))
        }
        _ => None,
    });
    fees.collect()
}

fn line(period: &str, amount: &str, plan: &str, version: u32, at: &str) -> (String, String, String, u32, String) {
    (period.to_owned(), amount.to_owned(), plan.to_owned(), version, format!("{at}.000Z"))
}

#[test]
fn the_fee_is_posted_when_the_month_begins_where_the_account_is() {
    let mut partition = Partition::open();
    // The account lives in New York: midnight there is five in the morning in UTC.
    let begin = at("2026-12-01T05:00:00Z");
    assert_eq!(due(&partition.state, Ticks::All), Some(begin));
    partition.now_ms = begin - 1;
    assert_eq!(partition.tick(), 0);
    partition.now_ms = begin;
    assert_eq!(partition.tick(), 1);
    let entry = partition.last();
    assert_eq!((entry.source_topic(), entry.source_offset, &entry.command), (SourceTopic::Tick, 0, &None));
    assert_eq!(entry.entry_type(), Some(EntryType::PlanFee));
    assert_eq!(fees(&partition), [line("2026-12", "-39.00", "basic", 1, "2026-12-01T05:00:00")]);
    assert_eq!(partition.balance(), money("-29"));
    assert_eq!(partition.tick(), 0, "once a month");
    assert_eq!(due(&partition.state, Ticks::All), Some(at("2027-01-01T05:00:00Z")));
}

#[test]
fn the_month_of_the_opening_is_not_charged_by_itself() {
    let mut partition = Partition::open();
    assert_eq!(partition.tick(), 0);
    // By command it is, and the month that comes stays the one that comes.
    accepted(partition.command("k", fee("2026-11")));
    assert_eq!(due(&partition.state, Ticks::All), Some(at("2026-12-01T05:00:00Z")));
}

#[test]
fn a_meter_that_was_down_posts_every_month_late_with_the_plan_and_the_price_of_its_begin() {
    let mut partition = Partition::open();
    let mut second = sample_book();
    second["version"] = 2.into();
    second["effective_from"] = "2027-01-15T00:00:00Z".into();
    second["plans"][1]["monthly_fee"] = "89".into();
    assert!(partition.books.publish(book(&second)));
    let to = |plan: &str, at: i64| Body::ChangePlan(ChangePlan { plan: plan.to_owned(), effective_at_ms: Some(at) });
    accepted(partition.command("k1", to("pro", at("2026-12-20T00:00:00Z"))));
    // given that nothing was carried out over three begins of a month
    partition.now_ms = at("2027-02-03T12:00:00Z");
    accepted(partition.command("k2", adjustment("1")));
    assert_eq!(partition.tick(), 3);
    let expected = [
        line("2026-12", "-39.00", "basic", 1, "2026-12-01T05:00:00"),
        line("2027-01", "-79.00", "pro", 1, "2027-01-01T05:00:00"),
        line("2027-02", "-89.00", "pro", 2, "2027-02-01T05:00:00"),
    ];
    assert_eq!(fees(&partition), expected);
}

#[test]
fn a_month_is_settled_once_whoever_asks_first() {
    let mut partition = Partition::open();
    accepted(partition.command("k1", fee("2026-12")));
    partition.now_ms = at("2026-12-05T00:00:00Z");
    assert_eq!(partition.tick(), 0, "the command was there before the month");
    partition.now_ms = at("2027-01-05T00:00:00Z");
    assert_eq!(partition.tick(), 1);
    assert_eq!(refused(partition.command("k2", fee("2027-01"))), (409, "fee_posted".to_owned()));
    // A change of the plan within the month is no second month.
    let plan = ChangePlan { plan: "pro".to_owned(), effective_at_ms: None };
    accepted(partition.command("k3", Body::ChangePlan(plan)));
    assert_eq!(partition.tick(), 0);
}

#[test]
fn a_replay_and_a_clock_that_jumped_post_no_month_twice() {
    let mut partition = Partition::open();
    partition.now_ms = at("2027-03-10T00:00:00Z");
    assert_eq!(partition.tick(), 4);
    // when the state is folded anew, and the clock is back where it was
    let mut state = State::new(&partition.limits);
    partition.ledger.iter().for_each(|record| state.fold(record).unwrap());
    assert_eq!(state, partition.state);
    assert_eq!(due(&state, Ticks::All), Some(at("2027-04-01T04:00:00Z")), "summer time begins in between");
    for now in ["2026-12-02T00:00:00Z", "2027-03-10T00:00:00Z", "2027-04-01T03:59:59Z"] {
        partition.now_ms = at(now);
        assert_eq!(partition.tick(), 0, "{now}");
    }
}

#[test]
fn a_month_without_a_fee_is_settled_by_an_entry_of_nothing() {
    // given a plan that is free, and a ledger without a price book
    let mut free = Partition::open();
    let mut second = sample_book();
    second["version"] = 2.into();
    second["effective_from"] = "2026-11-25T00:00:00Z".into();
    second["plans"][0]["monthly_fee"] = "0".into();
    assert!(free.books.publish(book(&second)));
    let mut unpriced = Partition::open();
    unpriced.books = PriceBooks::default();
    for (mut partition, version) in [(free, 2), (unpriced, 0)] {
        partition.now_ms = at("2026-12-02T00:00:00Z");
        assert_eq!(partition.tick(), 1);
        assert_eq!(partition.last().entry_type(), Some(EntryType::NoPlanFee));
        assert_eq!(fees(&partition), [line("2026-12", "0.00", "basic", version, "2026-12-01T05:00:00")]);
        // then a book that is published later does not reach back
        partition.books = PriceBooks::default();
        assert!(partition.books.publish(book(&sample_book())));
        assert_eq!(partition.tick(), 0);
        assert_eq!(refused(partition.command("k", fee("2026-12"))), (409, "fee_posted".to_owned()));
        assert_eq!(partition.balance(), money("10"));
    }
}

#[test]
fn a_fee_that_leaves_the_bound_of_money_is_none() {
    let mut partition = Partition::open();
    let most = tollbooth_schemas::Money::MAX.to_string();
    accepted(partition.command("k1", adjustment("-10")));
    accepted(partition.command("k2", adjustment(&format!("-{most}"))));
    partition.now_ms = at("2026-12-02T00:00:00Z");
    assert_eq!(partition.tick(), 1);
    assert_eq!(fees(&partition)[0].1, "0.00");
}

#[test]
fn fees_wait_while_prices_are_not_known_and_nothing_else_does() {
    let mut partition = Partition::open();
    accepted(partition.command("k", crate::holds::hold("hld_1", "1")));
    let now_ms = at("2026-12-02T00:00:00Z");
    let due_until = |ticks| partition.state.due_until(now_ms, 10, ticks).len();
    assert_eq!((due_until(Ticks::All), due_until(Ticks::WithoutFees)), (2, 1));
    assert_eq!(due(&partition.state, Ticks::WithoutFees), Some(partition.now_ms + 600_000));
}
