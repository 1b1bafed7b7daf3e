//! Credit that is bought by itself.

use tollbooth_ledger::{FoldError, State, Ticks, due};
use tollbooth_schemas::{
    ledger::EntryType,
    time::parse_rfc3339_ms,
    v1::{
        FailRecharge, LedgerRecord, PostPurchase, PurchaseSource, RechargeFailed, RechargeRequested, SetRecharge,
        SourceTopic, command::Body, entry::Kind, set_recharge::Size,
    },
};

use crate::{
    harness::{NOW_MS, Partition, accepted, adjustment, event, kind_of, money, posted, refused, success},
    holds::hold,
};

const MINUTE_MS: i64 = 60_000;

/// 50 at a time below 9.90; `change` edits it.
fn rule(change: impl FnOnce(&mut SetRecharge)) -> Body {
    let mut set = SetRecharge {
        enabled: true,
        threshold_micros: money("9.90").micros(),
        size: Some(Size::AmountMicros(money("50").micros())),
        ..SetRecharge::default()
    };
    change(&mut set);
    Body::SetRecharge(set)
}

fn with_rule(change: impl FnOnce(&mut SetRecharge)) -> Partition {
    let mut partition = Partition::open();
    accepted(partition.command("rule", rule(change)));
    partition
}

fn requests(partition: &Partition) -> Vec<RechargeRequested> {
    let entries = partition.ledger.iter().flat_map(|record| &record.entries);
    let requests = entries.filter_map(|entry| match kind_of(entry) {
        Kind::RechargeRequested(requested) => Some(requested.clone()),
        _ => None,
    });
    requests.collect()
}

fn amounts(partition: &Partition) -> Vec<String> {
    let amount = |requested: RechargeRequested| {
        tollbooth_schemas::Money::from_micros(requested.amount_micros).unwrap().to_string()
    };
    requests(partition).into_iter().map(amount).collect()
}

fn paid(requested: &RechargeRequested) -> Body {
    Body::PostPurchase(PostPurchase {
        payment_id: requested.recharge_id.clone(),
        provider: "sandbox".to_owned(),
        amount_micros: requested.amount_micros,
        source: PurchaseSource::AutoRecharge.into(),
    })
}

fn not_paid(requested: &RechargeRequested) -> Body {
    Body::FailRecharge(FailRecharge { recharge_id: requested.recharge_id.clone(), reason: "card_declined".to_owned() })
}

/// Answers the newest request.
fn answer(partition: &mut Partition, of: fn(&RechargeRequested) -> Body) {
    let newest = requests(partition).pop().unwrap();
    let body = of(&newest);
    let key = format!("{} {}", newest.recharge_id, partition.ledger.len());
    accepted(partition.command(&key, body));
}

fn failure(partition: &Partition) -> RechargeFailed {
    match kind_of(partition.last()) {
        Kind::RechargeFailed(failed) => failed.clone(),
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn the_charge_that_leaves_too_little_asks_for_one_recharge() {
    let mut partition = with_rule(|_| {});
    assert_eq!(partition.tick(), 0, "10 is enough");
    let charge = posted(partition.usage(&success("op_1")));
    // 9.80 is not; what comes in the same moment asks no second time.
    posted(partition.usage(&success("op_2")));
    assert_eq!(partition.tick(), 1);
    let entry = partition.last();
    assert_eq!((entry.source_topic(), entry.amount_micros, &entry.command), (SourceTopic::Tick, 0, &None));
    assert_eq!(entry.occurred_at_ms, NOW_MS);
    let [requested] = requests(&partition).try_into().unwrap();
    assert_eq!((requested.amount_micros, requested.available_micros), (50_000_000, 9_600_000));
    assert_eq!(requested.threshold_micros, 9_900_000);
    assert_eq!(requested.recharge_id, tollbooth_schemas::ids::recharge_id("acc_luna", charge.seq + 2));
    // One at a time, however little is left.
    posted(partition.usage(&event("op_3", |event| event["data"]["quantity"] = "40".into())));
    assert_eq!(partition.tick(), 0);
    // Paid once, posted once, told twice.
    let key = format!("payment:{}", requested.recharge_id);
    assert_eq!(accepted(partition.command(&key, paid(&requested))).balance_micros, 51_600_000);
    assert_eq!(partition.last().entry_type(), Some(EntryType::AutoRecharge));
    assert!(accepted(partition.command(&key, paid(&requested))).replayed);
    partition.now_ms += MINUTE_MS;
    assert_eq!((partition.tick(), partition.balance()), (0, money("51.60")));
    // The next crossing is another one, at once.
    posted(partition.usage(&event("op_4", |event| event["data"]["quantity"] = "210".into())));
    assert_eq!((partition.tick(), requests(&partition).len()), (1, 2));
}

#[test]
fn a_hold_takes_from_what_is_available_and_its_end_gives_back() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("h1", hold("hld_1", "1")));
    assert_ne!(due(&partition.state, Ticks::WithoutFees), Some(NOW_MS + 600_000), "the request comes first");
    // Given back before anybody asked: nothing is needed any more.
    accepted(partition.command("v", Body::VoidHold(tollbooth_schemas::v1::VoidHold { hold_id: "hld_1".to_owned() })));
    assert_eq!(partition.tick(), 0);
    accepted(partition.command("h2", hold("hld_2", "1")));
    assert_eq!((partition.tick(), amounts(&partition)), (1, vec!["50.00".to_owned()]));
}

#[test]
fn switched_on_with_too_little_it_asks_at_once_and_switched_off_it_does_not() {
    let mut partition = with_rule(|set| set.threshold_micros = money("20").micros());
    assert_eq!(partition.tick(), 1);
    accepted(partition.command("off", rule(|set| set.enabled = false)));
    // What was asked for is paid all the same.
    answer(&mut partition, paid);
    assert_eq!(partition.balance(), money("60"));
    accepted(partition.command("spent", adjustment("-59")));
    partition.now_ms += 3 * MINUTE_MS;
    assert_eq!(partition.tick(), 0);
    accepted(partition.command("on", rule(|_| {})));
    assert_eq!(partition.tick(), 1);
}

#[test]
fn a_target_is_reached_whatever_is_missing_and_in_whole_hundredths() {
    let mut partition = with_rule(|set| set.size = Some(Size::TargetMicros(money("30").micros())));
    accepted(partition.command("spent", adjustment("-3.456789")));
    assert_eq!((partition.tick(), amounts(&partition)), (1, vec!["23.46".to_owned()]));
    answer(&mut partition, paid);
    assert_eq!(partition.balance(), money("30.003211"));
}

#[test]
fn one_that_does_not_reach_is_followed_by_the_next_after_a_minute() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("spent", adjustment("-100")));
    for asked in 1..=2 {
        assert_eq!((partition.tick(), requests(&partition).len()), (1, asked));
        answer(&mut partition, paid);
        partition.now_ms += MINUTE_MS - 1;
        assert_eq!(partition.tick(), 0);
        partition.now_ms += 1;
    }
    assert_eq!((partition.tick(), partition.balance()), (0, money("10")));
}

#[test]
fn failures_back_off_doubling_up_to_a_bound_and_a_success_or_a_new_rule_forgets_them() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("spent", adjustment("-5")));
    for (failures, minutes) in (1..).zip([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]) {
        assert_eq!(partition.tick(), 1, "the {failures}th request");
        answer(&mut partition, not_paid);
        let failed = failure(&partition);
        assert_eq!((failed.failures, failed.reason.as_str()), (failures, "card_declined"));
        assert_eq!(failed.retry_at_ms, partition.now_ms + minutes * MINUTE_MS);
        partition.now_ms = failed.retry_at_ms - 1;
        assert_eq!(partition.tick(), 0, "not before");
        partition.now_ms += 1;
    }
    let ids = requests(&partition).into_iter().map(|requested| requested.recharge_id);
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 11, "another try is another payment");
    // A new rule is a fresh start.
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, not_paid);
    accepted(partition.command("anew", rule(|_| {})));
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, not_paid);
    assert_eq!(failure(&partition).failures, 1);
    // Bought by hand, nothing is asked for any more; failures are forgotten by a success only.
    accepted(partition.command("by hand", adjustment("100")));
    partition.now_ms += 10 * MINUTE_MS;
    assert_eq!(partition.tick(), 0);
    accepted(partition.command("spent again", adjustment("-100")));
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, not_paid);
    assert_eq!(failure(&partition).failures, 2);
}

#[test]
fn caps_count_the_day_and_the_month_of_the_account_and_failures_do_not() {
    let mut partition = with_rule(|set| {
        set.daily_cap_micros = Some(money("70").micros());
        set.monthly_cap_micros = Some(money("130").micros());
    });
    let spend = |partition: &mut Partition, key: &str| {
        accepted(partition.command(key, adjustment("-200")));
        partition.now_ms += 2 * MINUTE_MS;
        partition.tick()
    };
    assert_eq!(spend(&mut partition, "s1"), 1);
    answer(&mut partition, not_paid);
    partition.now_ms += MINUTE_MS;
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, paid);
    // 50 of 70 are spent: the rest of the day is what is left of it.
    assert_eq!(spend(&mut partition, "s2"), 1);
    answer(&mut partition, paid);
    assert_eq!(amounts(&partition), ["50.00", "50.00", "20.00"]);
    partition.now_ms += 2 * MINUTE_MS;
    assert_eq!(partition.tick(), 0);
    // Midnight in New York.
    let midnight = parse_rfc3339_ms("2026-11-22T05:00:00Z").unwrap();
    assert_eq!(due(&partition.state, Ticks::All), Some(midnight));
    partition.now_ms = midnight;
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, paid);
    // 120 of 130 in the month: 10 on the same day, and then none before December.
    partition.now_ms += 2 * MINUTE_MS;
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, paid);
    assert_eq!(amounts(&partition)[3..], ["50.00", "10.00"]);
    assert_eq!(due(&partition.state, Ticks::WithoutFees), parse_rfc3339_ms("2026-12-01T05:00:00Z"));
    // A wider cap counts at once.
    accepted(partition.command("wider", rule(|_| {})));
    assert_eq!(partition.tick(), 1);
}

#[test]
fn without_an_answer_for_a_week_it_is_given_up_and_its_money_is_money_all_the_same() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("spent", adjustment("-5")));
    partition.tick();
    let [first] = requests(&partition).try_into().unwrap();
    partition.now_ms += 7 * 86_400_000;
    assert_eq!(partition.tick(), 1);
    let failed = failure(&partition);
    assert_eq!((failed.reason.as_str(), failed.failures), ("no_answer", 1));
    assert_eq!(partition.last().occurred_at_ms, NOW_MS + 7 * 86_400_000);
    partition.now_ms += MINUTE_MS;
    assert_eq!(partition.tick(), 1);
    accepted(partition.command("late", paid(&first)));
    assert_eq!(partition.balance(), money("55"));
    // The second one is still under way.
    let second = requests(&partition).pop().unwrap();
    accepted(partition.command("k", not_paid(&second)));
    assert_eq!(refused(partition.command("again", not_paid(&second))), (409, "recharge_not_under_way".to_owned()));
    assert_eq!(refused(partition.command("first", not_paid(&first))), (409, "recharge_not_under_way".to_owned()));
}

#[test]
fn what_is_no_rule_is_refused() {
    let mut partition = Partition::open();
    let mut set = |change: &dyn Fn(&mut SetRecharge)| refused(partition.command("k", rule(change))).1;
    assert_eq!(set(&|set| set.threshold_micros = -1), "out_of_range");
    assert_eq!(set(&|set| set.daily_cap_micros = Some(-1)), "out_of_range");
    assert_eq!(set(&|set| set.size = Some(Size::AmountMicros(-1))), "out_of_range");
    assert_eq!(set(&|set| set.size = None), "invalid_recharge");
    assert_eq!(set(&|set| set.size = Some(Size::AmountMicros(999_999))), "invalid_recharge");
    assert_eq!(set(&|set| set.size = Some(Size::TargetMicros(9_900_000))), "invalid_recharge");
    assert_eq!(set(&|set| set.daily_cap_micros = Some(999_999)), "invalid_recharge");
    assert_eq!(set(&|set| set.monthly_cap_micros = Some(0)), "invalid_recharge");
    // Off, it needs none of it.
    let off = |set: &mut SetRecharge| *set = SetRecharge::default();
    accepted(partition.command("off", rule(off)));
    assert_eq!(partition.tick(), 0);
}

#[test]
fn nothing_is_bought_that_the_ledger_would_not_post() {
    let most = tollbooth_schemas::Money::MAX;
    let mut partition = with_rule(|set| set.threshold_micros = most.micros());
    answer_after_tick(&mut partition);
    accepted(partition.command("rich", adjustment(&most.checked_sub(money("61")).unwrap().to_string())));
    // 1.00 below the bound: another 50 would leave it.
    partition.now_ms += 2 * MINUTE_MS;
    assert_eq!(partition.tick(), 0);
    assert_eq!(due(&partition.state, Ticks::WithoutFees), None);
}

fn answer_after_tick(partition: &mut Partition) {
    assert_eq!(partition.tick(), 1);
    answer(partition, paid);
}

#[test]
fn a_recharge_that_does_not_follow_is_refused_by_the_fold() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("spent", adjustment("-5")));
    partition.tick();
    answer(&mut partition, not_paid);
    let folded = |change: &dyn Fn(&mut Vec<LedgerRecord>)| {
        let mut ledger = partition.ledger.clone();
        change(&mut ledger);
        let mut state = State::new(&partition.limits);
        ledger.iter().map(|record| state.fold(record)).find_map(Result::err)
    };
    assert_eq!(folded(&|_| {}), None);
    let is_off = |error: Option<FoldError>, at: u64| {
        assert!(matches!(error, Some(FoldError::Recharge { seq, .. }) if seq == at), "{error:?}");
    };
    // A second one, a failure of another one, and one without a rule.
    is_off(folded(&|ledger| ledger[5].entries[0].kind = ledger[4].entries[0].kind.clone()), 6);
    is_off(
        folded(&|ledger| {
            let Some(Kind::RechargeFailed(failed)) = &mut ledger[5].entries[0].kind else { panic!() };
            failed.recharge_id = "rch_other".to_owned();
        }),
        6,
    );
    is_off(folded(&|ledger| ledger[1].entries[0].kind = ledger[4].entries[0].kind.clone()), 2);
}

#[test]
fn however_much_is_missing_one_payment_has_a_bound_and_the_caps_hold() {
    // given a rule up to 50.00 of which at most 10,000.00 is bought at once, 25,000.00 in a day
    let mut partition = with_rule(|set| {
        set.size = Some(Size::TargetMicros(money("50").micros()));
        set.amount_max_micros = Some(money("10000").micros());
        set.daily_cap_micros = Some(money("25000").micros());
    });
    // when a million is owed
    accepted(partition.command("spent", adjustment("-1000010")));
    for asked in 1..=3 {
        assert_eq!((partition.tick(), requests(&partition).len()), (1, asked));
        answer(&mut partition, paid);
        partition.now_ms += MINUTE_MS;
    }
    // then it is bought in pieces, until the day's cap is reached
    assert_eq!(amounts(&partition), ["10000.00", "10000.00", "5000.00"]);
    assert_eq!((partition.tick(), partition.balance()), (0, money("-975000")));
}

#[test]
fn a_target_of_before_has_the_bound_of_before_or_what_it_was_allowed() {
    for (target, asked) in [("50", "10000.00"), ("30000", "29990.10")] {
        let mut partition = with_rule(|set| set.size = Some(Size::TargetMicros(money(target).micros())));
        accepted(partition.command("spent", adjustment("-1000010")));
        assert_eq!((partition.tick(), amounts(&partition)), (1, vec![asked.to_owned()]));
    }
    // As far below zero as a balance can be, it is still asked for.
    let most = tollbooth_schemas::Money::MAX;
    let mut partition = with_rule(|set| set.size = Some(Size::TargetMicros(most.micros())));
    accepted(partition.command("spent", adjustment(&most.checked_sub(money("10")).unwrap().negated().to_string())));
    assert_eq!(partition.tick(), 1);
}

#[test]
fn the_bound_of_a_rule_is_whole_hundredths_and_no_less_than_its_amount() {
    let mut partition = Partition::open();
    let mut set = |most: &str| {
        let rule = rule(|set| set.amount_max_micros = Some(money(most).micros()));
        refused(partition.command("k", rule)).1
    };
    assert_eq!(set("-1"), "out_of_range");
    for most in ["0.99", "49.99", "50.001"] {
        assert_eq!(set(most), "invalid_recharge", "{most}");
    }
}

#[test]
fn holds_alone_have_the_card_charged_three_times_in_an_hour_and_seldom_in_a_day() {
    // given 35.00 and a rule without caps that buys 50.00 below 9.90
    let mut partition = with_rule(|_| {});
    accepted(partition.command("credit to 35", adjustment("25")));
    // when holds come and go, each of all but 5.00
    let mut asked = Vec::new();
    for minute in 0..24 * 60 {
        let available = partition.balance().checked_sub(money("5")).unwrap().to_string();
        let id = format!("hld_{minute}");
        accepted(partition.command_unchecked(&id, hold(&id, &available)));
        if partition.tick() > 0 {
            asked.push(minute);
            answer(&mut partition, paid);
        }
        let void = Body::VoidHold(tollbooth_schemas::v1::VoidHold { hold_id: id.clone() });
        accepted(partition.command_unchecked(&format!("void {id}"), void));
        partition.now_ms += MINUTE_MS;
    }
    // then the pauses between charges double, up to 6 hours
    assert_eq!(asked, [0, 10, 30, 70, 150, 310, 630, 990, 1350]);
    assert_eq!(partition.ledger.len(), asked.len() * 2 + 24 * 60 * 2 + 4, "and nothing else is written");
}

#[test]
fn holds_that_stay_have_it_charged_after_the_same_pauses() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("h1", hold("hld_1", "5")));
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, paid);
    let paid_at_ms = partition.now_ms;
    // when most of it is held as well, for an hour
    partition.now_ms += MINUTE_MS;
    let Body::PlaceHold(mut place) = hold("hld_2", "55") else { unreachable!() };
    place.timeout_ms = 60 * MINUTE_MS;
    accepted(partition.command("h2", Body::PlaceHold(place)));
    // then the next one is due 10 minutes after the last was paid
    partition.now_ms = paid_at_ms + 10 * MINUTE_MS - 1;
    assert_eq!(partition.tick(), 0);
    partition.now_ms += 1;
    partition.tick();
    assert_eq!(requests(&partition).len(), 2);
    assert_eq!(partition.last().occurred_at_ms, partition.now_ms);
}

#[test]
fn once_half_of_it_is_spent_the_next_is_asked_for_at_once_whatever_is_held() {
    let mut partition = with_rule(|_| {});
    let spend = |partition: &mut Partition, operation: &str, quantity: &str| {
        posted(partition.usage(&event(operation, |event| event["data"]["quantity"] = quantity.into())));
        partition.tick()
    };
    accepted(partition.command("h1", hold("hld_1", "5")));
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, paid);
    // given 60.00, of which 45.00 are held by a fleet at work, and charges of 24.80
    accepted(partition.command("h2", hold("hld_2", "40")));
    assert_eq!(spend(&mut partition, "op_1", "124"), 0);
    // when the next charge makes it 25.00 of the 50.00
    assert_eq!(spend(&mut partition, "op_2", "1"), 1);
    answer(&mut partition, paid);
    // then what was bought in between by hand is no use of it
    accepted(partition.command("by hand", adjustment("100")));
    accepted(partition.command("h3", hold("hld_3", "135")));
    assert_eq!(partition.tick(), 0);
    assert_eq!(spend(&mut partition, "op_3", "125"), 1);
}

#[test]
fn a_new_rule_forgets_what_is_unused() {
    let mut partition = with_rule(|_| {});
    accepted(partition.command("h1", hold("hld_1", "5")));
    assert_eq!(partition.tick(), 1);
    answer(&mut partition, paid);
    accepted(partition.command("h2", hold("hld_2", "50")));
    assert_eq!(partition.tick(), 0);
    accepted(partition.command("anew", rule(|_| {})));
    assert_eq!(partition.tick(), 1);
}
