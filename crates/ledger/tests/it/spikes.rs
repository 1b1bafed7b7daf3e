//! A booth that spends far more in an hour than it used to.

use tollbooth_ledger::{Overlay, SPIKE_BOOTHS_MAX, State};
use tollbooth_schemas::{
    time::rfc3339,
    v1::{
        AlertKind, AlertRaised, AlertsSet, BoothSpike, Entry, Refund, SetAlerts, SourceTopic, Usage, UsageStatus,
        command::Body, entry::Kind,
    },
};

use crate::{
    alerts::said,
    harness::{ACCOUNT, NOW_MS, Partition, accepted, event, failed, money, posted, refused},
    refunds::charge_of,
};

const HOUR_MS: i64 = 3_600_000;

fn rule(times: u32, at_least: &str) -> Body {
    let booth_spike = Some(BoothSpike { times, at_least_micros: money(at_least).micros() });
    Body::SetAlerts(SetAlerts { alerts: Some(AlertsSet { booth_spike, ..AlertsSet::default() }) })
}

/// So many images of 0.20 at a booth, so many hours ago.
fn work(partition: &mut Partition, booth: &str, hours_ago: i64, images: &str) -> Entry {
    let operation = format!("op_{}", partition.offset);
    let at = rfc3339(partition.now_ms - hours_ago * HOUR_MS);
    posted(partition.usage(&event(&operation, |event| {
        event["time"] = at.into();
        event["data"]["booth_id"] = Some(booth).filter(|booth| !booth.is_empty()).into();
        event["data"]["quantity"] = images.into();
    })))
}

/// With a rule, and one image in each of the six hours before.
fn with_past(rule: Body) -> Partition {
    let mut partition = Partition::open();
    accepted(partition.command("rule", rule));
    for hours_ago in (1..=6).rev() {
        work(&mut partition, "bth_17", hours_ago, "1");
    }
    partition
}

#[test]
fn the_charge_that_reaches_so_many_times_the_average_hour_is_told_once_with_what_it_is_held_against() {
    let mut partition = with_past(rule(5, "0.50"));
    work(&mut partition, "bth_17", 0, "4");
    assert_eq!(said(&mut partition), [], "0.80 of 1.00");
    let charge = work(&mut partition, "bth_17", 0, "1.5");
    work(&mut partition, "bth_17", 0, "9");
    let expected = AlertRaised {
        number: 1,
        kind: AlertKind::BoothSpike.into(),
        crossed_seq: charge.seq,
        crossed_at_ms: NOW_MS,
        balance_micros: charge.balance_after_micros,
        threshold_micros: 1_000_000,
        spent_micros: 1_100_000,
        hours: 6,
        booth_id: "bth_17".to_owned(),
        hour_at_ms: NOW_MS / HOUR_MS * HOUR_MS,
        usual_micros: 200_000,
        times: 5,
        ..AlertRaised::default()
    };
    assert_eq!(said(&mut partition), [expected]);
    let entry = partition.last();
    assert_eq!((entry.amount_micros, entry.source_topic(), &entry.command), (0, SourceTopic::Tick, &None));
}

#[test]
fn an_amount_is_asked_for_as_well() {
    let mut partition = with_past(rule(2, "1.60"));
    work(&mut partition, "bth_17", 0, "7.9");
    assert_eq!(said(&mut partition), []);
    work(&mut partition, "bth_17", 0, "0.1");
    assert_eq!(said(&mut partition)[0].threshold_micros, 1_600_000);
}

#[test]
fn a_booth_is_held_against_its_own_past_alone() {
    let mut partition = with_past(rule(2, "0.10"));
    // The other one is new, and what is of no booth is of none.
    work(&mut partition, "bth_18", 0, "20");
    work(&mut partition, "", 0, "20");
    assert_eq!(said(&mut partition), []);
}

#[test]
fn the_past_begins_with_the_rule_and_outlives_a_change_of_it() {
    let mut partition = with_past(rule(100, "1.00"));
    accepted(partition.command("lower", rule(2, "0.10")));
    work(&mut partition, "bth_17", 0, "2");
    assert_eq!(said(&mut partition).len(), 1, "six hours are known from before the change");
    // The same rule again is a fresh start: the next charge of the hour tells once more.
    accepted(partition.command("again", rule(2, "0.10")));
    work(&mut partition, "bth_17", 0, "0.1");
    assert_eq!(said(&mut partition).len(), 2);
    // Without a rule the past is forgotten, and begins anew with the next one.
    accepted(partition.command("none", Body::SetAlerts(SetAlerts::default())));
    accepted(partition.command("back", rule(2, "0.10")));
    work(&mut partition, "bth_17", 0, "9");
    assert_eq!(said(&mut partition).len(), 2);
}

#[test]
fn the_next_hour_tells_again_only_after_one_that_ends_below() {
    let mut partition = with_past(rule(2, "0.10"));
    work(&mut partition, "bth_17", 0, "2");
    assert_eq!(said(&mut partition).len(), 1);
    // 0.40 on top of six times 0.20: of an average of 0.2286 it takes 0.4572.
    partition.now_ms += HOUR_MS;
    work(&mut partition, "bth_17", 0, "9");
    assert_eq!(said(&mut partition).len(), 1, "it goes on");
    partition.now_ms += HOUR_MS;
    work(&mut partition, "bth_17", 0, "1");
    partition.now_ms += HOUR_MS;
    work(&mut partition, "bth_17", 0, "9");
    assert_eq!(said(&mut partition).len(), 2, "the hour before was below");
    partition.now_ms += 2 * HOUR_MS;
    work(&mut partition, "bth_17", 0, "20");
    assert_eq!(said(&mut partition).len(), 3, "an hour without a charge lies between");
}

/// Given a booth that was offline, when its reports of many hours come at once, then each counts for its own hour.
#[test]
fn reports_that_come_late_count_for_their_own_hour() {
    let mut partition = with_past(rule(3, "0.10"));
    partition.now_ms += 5 * HOUR_MS;
    for hours_ago in (1..=4).rev() {
        work(&mut partition, "bth_17", hours_ago, "2.5");
    }
    assert_eq!(said(&mut partition), [], "ten images at once, two and a half an hour");
    // One of an earlier hour tells nothing, whatever it is; it raises the average for those that follow.
    work(&mut partition, "bth_17", 2, "10");
    assert_eq!(said(&mut partition), []);
    work(&mut partition, "bth_17", 0, "7");
    assert_eq!(said(&mut partition), [], "1.40 of an average of 0.52");
    work(&mut partition, "bth_17", 0, "1");
    assert_eq!(said(&mut partition)[0].usual_micros, 520_000);
}

#[test]
fn failed_work_and_what_is_given_back_do_not_count() {
    let mut partition = with_past(rule(2, "0.10"));
    let charge = work(&mut partition, "bth_17", 0, "1.9");
    posted(partition.usage(&failed("op_failed", 1)));
    assert_eq!(said(&mut partition), []);
    let refund = Refund { seq: charge.seq, original: Some(charge_of(&charge)), ..Refund::default() };
    accepted(partition.command("refund", Body::Refund(refund)));
    // It was spent: what a person gives back later is not the booth's doing.
    work(&mut partition, "bth_17", 0, "0.1");
    assert_eq!(said(&mut partition).len(), 1);
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let mut partition = Partition::open();
    for times in [0, 1, 101] {
        let outcome = partition.command(&format!("{times} times"), rule(times, "1"));
        assert_eq!(refused(outcome), (422, "invalid_alerts".to_owned()));
    }
    assert_eq!(refused(partition.command("negative", rule(5, "-0.01"))), (422, "out_of_range".to_owned()));
    accepted(partition.command("least", rule(2, "0")));
    accepted(partition.command("most", rule(100, "1000000")));
}

/// Given more booths than are looked at, then the account is served as ever, and its row stays within its bound.
#[test]
fn what_is_kept_of_booths_is_bounded() {
    let mut partition = Partition::open();
    accepted(partition.command("rule", rule(2, "0.10")));
    partition.state.keep_changes();
    let mut overlay = Overlay::new(&partition.state);
    let (mut seq, mut balance) = (partition.last().seq, partition.balance().micros());
    for number in 0..SPIKE_BOOTHS_MAX + 100 {
        for hour in 0..30 {
            (seq, balance) = (seq + 1, balance - 1);
            let usage = Usage {
                status: UsageStatus::Success.into(),
                operation_id: format!("op_{seq}"),
                booth_id: format!("bth_{number}"),
                ..Usage::default()
            };
            let entry = Entry {
                seq,
                amount_micros: -1,
                balance_after_micros: balance,
                occurred_at_ms: NOW_MS + hour * HOUR_MS,
                source_topic: SourceTopic::Usage.into(),
                kind: Some(Kind::Usage(usage)),
                ..Entry::default()
            };
            overlay.post(0, ACCOUNT, NOW_MS, &entry, None).unwrap();
        }
    }
    let delta = overlay.into_delta();
    partition.state.merge(delta);
    assert_eq!(partition.state.audit(), Ok(()));
    let changes = partition.state.changes();
    let row = &changes.accounts.iter().find(|(id, _)| &**id == ACCOUNT).unwrap().1;
    assert!((50_000..250_000).contains(&row.len()), "{}", row.len());
    let mut restored = State::new(&partition.limits);
    restored.restore_account(ACCOUNT, row).unwrap();
    assert_eq!(tollbooth_ledger::View::account(&restored, ACCOUNT), Some(partition.account()));
}
