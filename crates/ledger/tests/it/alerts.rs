//! What an account wants to be told of.

use tollbooth_ledger::{FoldError, State};
use tollbooth_schemas::{
    ledger::EntryType,
    v1::{
        AlertKind, AlertRaised, AlertsSet, BudgetRule, DefineEvent, FailRecharge, LedgerRecord, PostPurchase,
        PurchaseSource, Refund, SetAlerts, SetRecharge, SourceTopic, command::Body, entry::Kind, set_recharge::Size,
    },
};

use crate::{
    harness::{ACCOUNT, NOW_MS, Partition, accepted, adjustment, event, kind_of, money, posted, refused, success},
    refunds::charge_of,
};

const HOUR_MS: i64 = 3_600_000;

fn rules(change: impl FnOnce(&mut AlertsSet)) -> Body {
    let mut alerts = AlertsSet::default();
    change(&mut alerts);
    Body::SetAlerts(SetAlerts { alerts: Some(alerts) })
}

fn below(amounts: &[&str]) -> Body {
    rules(|rules| rules.balance_below_micros = amounts.iter().map(|amount| money(amount).micros()).collect())
}

/// 10.00 of credit and these rules.
fn with(body: Body) -> Partition {
    let mut partition = Partition::open();
    accepted(partition.command("rules", body));
    partition
}

fn bought(key: &str, amount: &str) -> Body {
    Body::PostPurchase(PostPurchase {
        payment_id: key.to_owned(),
        provider: "sandbox".to_owned(),
        amount_micros: money(amount).micros(),
        source: PurchaseSource::Manual.into(),
    })
}

/// What was said so far, after everything due.
pub(crate) fn said(partition: &mut Partition) -> Vec<AlertRaised> {
    partition.tick();
    let entries = partition.ledger.iter().flat_map(|record| &record.entries);
    let alerts = entries.filter_map(|entry| match kind_of(entry) {
        Kind::AlertRaised(alert) => Some(alert.clone()),
        _ => None,
    });
    alerts.collect()
}

fn spend(partition: &mut Partition, operation: &str, images: &str) {
    posted(partition.usage(&event(operation, |event| event["data"]["quantity"] = images.into())));
}

#[test]
fn the_charge_that_crosses_an_amount_is_told_once_with_what_it_left() {
    let mut partition = with(below(&["5", "9.90"]));
    assert_eq!(said(&mut partition), []);
    let charge = posted(partition.usage(&success("op_1")));
    posted(partition.usage(&success("op_2")));
    let expected = AlertRaised {
        number: 1,
        kind: AlertKind::BalanceBelow.into(),
        crossed_seq: charge.seq,
        crossed_at_ms: NOW_MS,
        balance_micros: 9_800_000,
        threshold_micros: 9_900_000,
        ..AlertRaised::default()
    };
    assert_eq!(said(&mut partition), [expected]);
    let entry = partition.last();
    assert_eq!((entry.entry_type(), entry.source_topic()), (Some(EntryType::AlertRaised), SourceTopic::Tick));
    assert_eq!((entry.amount_micros, entry.occurred_at_ms, &entry.command), (0, NOW_MS, &None));
    // Trembling around it says nothing more: 9.90 and its margin of 1.00 must be reached.
    for (key, amount) in [("up", "1.29"), ("down", "-1"), ("up again", "1")] {
        accepted(partition.command(key, adjustment(amount)));
    }
    assert_eq!((said(&mut partition).len(), partition.balance()), (1, money("10.89")));
    accepted(partition.command("armed", adjustment("0.01")));
    accepted(partition.command("crossed", adjustment("-1.01")));
    assert_eq!(said(&mut partition).len(), 2);
    // One fall through several marks tells each of them.
    accepted(partition.command("to zero", adjustment("-9.89")));
    let numbers: Vec<(u64, i64)> =
        said(&mut partition).iter().map(|alert| (alert.number, alert.threshold_micros)).collect();
    assert_eq!(numbers, [(1, 9_900_000), (2, 9_900_000), (3, 5_000_000)]);
}

#[test]
fn a_purchase_that_reaches_arms_without_the_margin_and_one_that_does_not_says_nothing() {
    let mut partition = with(below(&["9.90"]));
    accepted(partition.command("down", adjustment("-5")));
    accepted(partition.command("p1", bought("p1", "4")));
    assert_eq!(said(&mut partition).len(), 1, "9.00 is below still, and was told of");
    accepted(partition.command("p2", bought("p2", "0.90")));
    accepted(partition.command("down again", adjustment("-0.01")));
    assert_eq!(said(&mut partition).len(), 2);
}

#[test]
fn a_crossing_that_is_undone_before_its_entry_stands_is_told_all_the_same() {
    let mut partition = with(below(&["5"]));
    accepted(partition.command("down", adjustment("-9")));
    accepted(partition.command("up", bought("p1", "50")));
    let alerts = said(&mut partition);
    assert_eq!((alerts.len(), alerts[0].balance_micros), (1, 1_000_000));
}

#[test]
fn new_rules_are_a_fresh_start_and_tell_at_once() {
    let mut partition = with(below(&["20"]));
    assert_eq!(said(&mut partition).len(), 1, "10.00 is below 20");
    accepted(partition.command("same", below(&["20"])));
    assert_eq!(said(&mut partition).len(), 2);
    accepted(partition.command("none", rules(|_| {})));
    accepted(partition.command("down", adjustment("-9")));
    assert_eq!(said(&mut partition).len(), 2);
}

#[test]
fn a_share_of_the_last_purchase_moves_with_it() {
    let mut partition = with(rules(|rules| rules.below_top_up_percents = vec![20]));
    accepted(partition.command("down", adjustment("-10")));
    assert_eq!(said(&mut partition), [], "nothing was ever bought");
    accepted(partition.command("p1", bought("p1", "50")));
    accepted(partition.command("to 10", adjustment("-40")));
    assert_eq!(said(&mut partition), []);
    accepted(partition.command("below 10", adjustment("-0.01")));
    let alerts = said(&mut partition);
    assert_eq!((alerts.len(), alerts[0].threshold_micros, alerts[0].percent), (1, 10_000_000, 20));
    // 109.99 is a fifth of nothing yet; of 100 it is 20.
    accepted(partition.command("p2", bought("p2", "100")));
    accepted(partition.command("below 20", adjustment("-90")));
    let alerts = said(&mut partition);
    assert_eq!((alerts.len(), alerts[1].threshold_micros), (2, 20_000_000));
}

fn budget(amount: Option<&str>) -> Body {
    Body::DefineEvent(DefineEvent {
        event_id: "evt_gala".to_owned(),
        ends_at_ms: 1,
        budget_micros: amount.map(|amount| money(amount).micros()),
        on_exceeded: BudgetRule::Warn.into(),
        ..DefineEvent::default()
    })
}

#[test]
fn a_budget_is_told_at_its_marks_and_again_only_after_it_was_well_below() {
    let mut partition = with(rules(|rules| rules.event_budget_percents = vec![80, 100]));
    accepted(partition.command("budget", budget(Some("1"))));
    spend(&mut partition, "op_1", "3");
    assert_eq!(said(&mut partition), []);
    spend(&mut partition, "op_2", "1");
    let alerts = said(&mut partition);
    let told = |alert: &AlertRaised| (alert.percent, alert.spent_micros, alert.threshold_micros);
    assert_eq!(alerts.iter().map(told).collect::<Vec<_>>(), [(80, 800_000, 1_000_000)]);
    assert_eq!(alerts[0].event_id, "evt_gala");
    // 0.75 is five points below the mark; 0.76 was not.
    let refund = |partition: &mut Partition, key: &str, amount: &str| {
        let charge = partition.ledger.iter().flat_map(|record| &record.entries).find(|entry| entry.usage().is_some());
        let charge = charge.unwrap().clone();
        let (seq, amount_micros) = (charge.seq, Some(money(amount).micros()));
        let refund = Refund { seq, amount_micros, original: Some(charge_of(&charge)), ..Refund::default() };
        accepted(partition.command(key, Body::Refund(refund)));
    };
    refund(&mut partition, "r1", "0.04");
    spend(&mut partition, "op_3", "0.2");
    assert_eq!(said(&mut partition).len(), 1);
    refund(&mut partition, "r2", "0.06");
    spend(&mut partition, "op_4", "1.5");
    // Two marks at once: the higher one is told.
    let alerts = said(&mut partition);
    assert_eq!(alerts.iter().map(|alert| alert.percent).collect::<Vec<_>>(), [80, 100]);
    // A larger budget arms, a smaller one tells at once.
    accepted(partition.command("larger", budget(Some("10"))));
    accepted(partition.command("smaller", budget(Some("1.2"))));
    assert_eq!(said(&mut partition).last().map(told), Some((80, 1_040_000, 1_200_000)));
    accepted(partition.command("without", budget(None)));
    spend(&mut partition, "op_5", "9");
    assert_eq!(said(&mut partition).len(), 3);
}

#[test]
fn a_failed_recharge_is_told_the_first_time_in_a_row() {
    let mut partition = with(rules(|rules| rules.recharge_failed = true));
    let rule = SetRecharge {
        enabled: true,
        threshold_micros: money("20").micros(),
        size: Some(Size::AmountMicros(money("50").micros())),
        ..SetRecharge::default()
    };
    accepted(partition.command("rule", Body::SetRecharge(rule)));
    let fail = |partition: &mut Partition, key: &str| {
        partition.tick();
        let entries = partition.ledger.iter().flat_map(|record| &record.entries);
        let mut newest = entries.rev().filter_map(|entry| match kind_of(entry) {
            Kind::RechargeRequested(requested) => Some(requested.recharge_id.clone()),
            _ => None,
        });
        let recharge_id = newest.next().unwrap();
        let reason = "card_declined".to_owned();
        accepted(partition.command(key, Body::FailRecharge(FailRecharge { recharge_id, reason })));
        partition.now_ms += 6 * HOUR_MS;
    };
    fail(&mut partition, "f1");
    fail(&mut partition, "f2");
    let alerts = said(&mut partition);
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].kind(), &*alerts[0].reason), (AlertKind::RechargeFailed, "card_declined"));
    assert!(alerts[0].recharge_id.starts_with("rch_"));
    accepted(partition.command("p1", bought("p1", "0.50")));
    fail(&mut partition, "f3");
    assert_eq!(said(&mut partition).len(), 2);
}

#[test]
fn a_balance_that_does_not_last_is_told_by_the_rate_of_the_last_day() {
    let mut partition = with(rules(|rules| rules.empty_in_hours = Some(48)));
    // 3.20 in a day: 6.80 last for 51 hours.
    spend(&mut partition, "op_1", "16");
    assert_eq!(said(&mut partition), []);
    // 3.40: 6.60 last for 46.6.
    spend(&mut partition, "op_2", "1");
    let alerts = said(&mut partition);
    assert_eq!((alerts.len(), alerts[0].hours, alerts[0].spent_micros), (1, 48, 3_400_000));
    // A day later nothing of it counts, and it is armed anew.
    partition.now_ms += 24 * HOUR_MS;
    spend(&mut partition, "op_3", "1");
    spend(&mut partition, "op_4", "15");
    assert_eq!(said(&mut partition).len(), 2);
}

#[test]
fn rules_that_contradict_themselves_are_refused() {
    let mut partition = Partition::open();
    let wrong: [fn(&mut AlertsSet); 8] = [
        |rules| rules.balance_below_micros = vec![2, 1],
        |rules| rules.balance_below_micros = vec![1, 1],
        |rules| rules.balance_below_micros = (0..11).collect(),
        |rules| rules.below_top_up_percents = vec![0],
        |rules| rules.below_top_up_percents = vec![101],
        |rules| rules.event_budget_percents = vec![1, 2, 3, 4, 5, 6],
        |rules| rules.event_budget_percents = vec![1_001],
        |rules| rules.empty_in_hours = Some(721),
    ];
    for (index, change) in wrong.into_iter().enumerate() {
        let outcome = partition.command(&format!("wrong {index}"), rules(change));
        assert_eq!(refused(outcome), (422, "invalid_alerts".to_owned()), "{index}");
    }
    let negative = rules(|rules| rules.balance_below_micros = vec![-1]);
    assert_eq!(refused(partition.command("negative", negative)), (422, "out_of_range".to_owned()));
}

/// Given an alert's entry that is doubled, changed or about nothing, then the ledger is not folded.
#[test]
fn an_alert_that_was_not_raised_is_no_ledger() {
    let mut partition = with(below(&["9.90"]));
    posted(partition.usage(&success("op_1")));
    said(&mut partition);
    let fold = |ledger: &[LedgerRecord]| {
        let mut state = State::new(&partition.limits);
        ledger.iter().try_for_each(|record| state.fold(record)).map(|()| state)
    };
    assert!(fold(&partition.ledger).unwrap() == partition.state);
    let seq = partition.last().seq;
    let wrong = Err(FoldError::Alert { account_id: ACCOUNT.to_owned(), seq });
    let mut changed = partition.ledger.clone();
    let Some(Kind::AlertRaised(alert)) = &mut changed.last_mut().unwrap().entries[0].kind else { panic!() };
    alert.balance_micros += 1;
    assert_eq!(fold(&changed).map(|_| ()), wrong);
    let mut doubled = partition.ledger.clone();
    let mut again = doubled.last().unwrap().clone();
    again.entries[0].seq += 1;
    doubled.push(again);
    assert_eq!(fold(&doubled).map(|_| ()), Err(FoldError::Alert { account_id: ACCOUNT.to_owned(), seq: seq + 1 }));
}
