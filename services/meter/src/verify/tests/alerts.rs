//! What an account wants to be told of.

use tollbooth_schemas::{
    time::rfc3339,
    v1::{AlertKind, AlertRaised, AlertsSet, BoothSpike, SetAlerts, SourceTopic, command::Body, entry::Kind},
};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::{NOON, World},
};

const LUNA: &str = "acc_luna";

impl World {
    fn set_alerts(&mut self, key: &str, amounts: &[i64]) {
        self.set_rules(key, AlertsSet { balance_below_micros: amounts.to_vec(), ..AlertsSet::default() });
    }

    fn set_rules(&mut self, key: &str, alerts: AlertsSet) {
        let body = Body::SetAlerts(SetAlerts { alerts: Some(alerts.clone()) });
        self.command(LUNA, key, body, Some((0, Kind::AlertsSet(alerts))));
    }

    /// Told of the last entry, which left `balance_micros`, below `threshold_micros`.
    fn told(&mut self, number: u64, threshold_micros: i64, balance_micros: i64) {
        let crossed_at_ms = self.ledger.last().unwrap().record.posted_at_ms;
        let crossed_seq = self.last_entry().seq;
        let alert = AlertRaised {
            number,
            kind: AlertKind::BalanceBelow.into(),
            crossed_seq,
            crossed_at_ms,
            balance_micros,
            threshold_micros,
            ..AlertRaised::default()
        };
        self.post(LUNA, 0, crossed_at_ms, Kind::AlertRaised(alert), (SourceTopic::Tick, 0), None);
    }

    fn alert(&mut self, seq: u64, change: impl FnOnce(&mut AlertRaised)) {
        let Some(Kind::AlertRaised(alert)) = &mut self.entry(LUNA, seq).kind else { panic!("no alert") };
        change(alert);
    }

    /// 10.00 (2), a rule (3), 4.00 (4) and its alert (5), 20.00 (6), 3.00 (7) and its alert (8).
    fn with_alerts() -> Self {
        let mut world = Self::new();
        world.open(LUNA, "payg");
        world.top_up(LUNA, "first", 10_000_000);
        world.set_alerts("rules", &[5_000_000]);
        world.top_up(LUNA, "down", -6_000_000);
        world.told(1, 5_000_000, 4_000_000);
        world.top_up(LUNA, "up", 16_000_000);
        world.top_up(LUNA, "down again", -17_000_000);
        world.told(2, 5_000_000, 3_000_000);
        world.sink();
        world
    }
}

#[test]
fn alerts_of_every_crossing_are_in_order() {
    let report = World::with_alerts().report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Alerts), 2);
}

#[test]
fn an_alert_that_says_it_otherwise_is_found() {
    let damaged = |change: &dyn Fn(&mut World)| {
        let mut world = World::with_alerts();
        change(&mut world);
        world.sink();
        assert_defects(&world.report(), &[(Defect::AlertOff, 1)]);
    };
    damaged(&|world| world.alert(5, |alert| alert.balance_micros += 1));
    damaged(&|world| world.alert(5, |alert| alert.threshold_micros += 1));
    damaged(&|world| world.alert(5, |alert| alert.crossed_seq = 3));
    damaged(&|world| world.alert(5, |alert| alert.kind = AlertKind::EmptySoon.into()));
    damaged(&|world| world.alert(8, |alert| alert.reason = "because".into()));
    damaged(&|world| world.entry(LUNA, 8).occurred_at_ms += 1);
}

#[test]
fn a_doubled_alert_and_one_without_a_crossing_are_found() {
    let mut world = World::with_alerts();
    world.told(3, 5_000_000, 3_000_000);
    world.sink();
    assert_defects(&world.report(), &[(Defect::AlertOff, 1)]);
}

#[test]
fn a_crossing_that_nobody_was_told_of_is_found_when_the_partition_went_on() {
    let mut world = World::new();
    world.open(LUNA, "payg");
    world.top_up(LUNA, "first", 10_000_000);
    world.set_alerts("rules", &[5_000_000]);
    world.top_up(LUNA, "down", -6_000_000);
    world.sink();
    assert_defects(&world.report(), &[]);
    world.later_ms = 3_600_000;
    world.top_up(LUNA, "a little", 100_000);
    world.sink();
    assert_defects(&world.report(), &[(Defect::AlertOff, 1)]);
}

const HOUR_MS: i64 = 3_600_000;

impl World {
    /// In an hour that may be ahead of noon: then it is posted in that.
    fn spent(&mut self, operation: &str, hours_ago: i64, quantity: &str, micros: i64) {
        let at_ms = NOON - hours_ago * HOUR_MS;
        self.later_ms = (at_ms - NOON).max(0);
        self.charge(LUNA, operation, quantity, micros);
        let received_at_ms = NOON + self.later_ms + 500;
        let record = self.usage.last_mut().unwrap();
        let payload = String::from_utf8(record.payload.clone()).unwrap();
        record.payload = payload.replace(&rfc3339(NOON), &rfc3339(at_ms)).into_bytes();
        record.timestamp_ms = received_at_ms;
        let entry = self.last_entry();
        entry.occurred_at_ms = at_ms;
        let Some(Kind::Usage(usage)) = &mut entry.kind else { panic!("no usage") };
        usage.received_at_ms = received_at_ms;
    }

    /// As an alert of the last entry, in whose hour so much was spent.
    fn told_of_booth(&mut self, number: u64, spent_micros: i64, (hours, usual_micros): (u32, i64)) {
        let crossed_at_ms = self.ledger.last().unwrap().record.posted_at_ms;
        let (seq, balance_micros) = (self.last_entry().seq, self.last_entry().balance_after_micros);
        let alert = AlertRaised {
            number,
            kind: AlertKind::BoothSpike.into(),
            crossed_seq: seq,
            crossed_at_ms,
            balance_micros,
            threshold_micros: (usual_micros * 3).max(900_000),
            spent_micros,
            hours,
            booth_id: "bth_1".into(),
            hour_at_ms: self.last_entry().occurred_at_ms / HOUR_MS * HOUR_MS,
            usual_micros,
            times: 3,
            ..AlertRaised::default()
        };
        self.post(LUNA, 0, crossed_at_ms, Kind::AlertRaised(alert), (SourceTopic::Tick, 0), None);
    }

    /// 50.00 (2), a rule (3), 0.24 in each of six hours (4 to 9), 0.96 in the next one (10) and its alert (11), 1.20 more (12).
    fn with_a_spike() -> Self {
        let mut world = Self::new();
        world.open(LUNA, "payg");
        world.top_up(LUNA, "first", 50_000_000);
        let booth_spike = Some(BoothSpike { times: 3, at_least_micros: 900_000 });
        world.set_rules("rules", AlertsSet { booth_spike, ..AlertsSet::default() });
        for hours_ago in (1..=6).rev() {
            world.spent(&format!("op_{hours_ago}"), hours_ago, "1", 240_000);
        }
        world.spent("op_spike", 0, "4", 960_000);
        world.told_of_booth(1, 960_000, (6, 240_000));
        world.spent("op_more", 0, "5", 1_200_000);
        world.sink();
        world
    }
}

#[test]
fn a_spike_of_a_booth_is_told_once() {
    let report = World::with_a_spike().report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Alerts), 1);
}

#[test]
fn a_spike_that_says_it_otherwise_is_found() {
    let damaged = |change: &dyn Fn(&mut AlertRaised)| {
        let mut world = World::with_a_spike();
        world.alert(11, change);
        world.sink();
        assert_defects(&world.report(), &[(Defect::AlertOff, 1)]);
    };
    damaged(&|alert| alert.booth_id = "bth_2".into());
    damaged(&|alert| alert.spent_micros += 1);
    damaged(&|alert| alert.usual_micros -= 1);
    damaged(&|alert| alert.threshold_micros += 1);
    damaged(&|alert| alert.hours = 7);
    damaged(&|alert| alert.hour_at_ms += 1);
    damaged(&|alert| alert.times = 4);
}

#[test]
fn a_spike_that_nobody_was_told_of_is_found_and_one_of_too_little_past_is_none() {
    let mut world = World::with_a_spike();
    // The next hour goes on: nothing is told of it. After an hour without a charge it is told again.
    world.spent("op_on", -1, "9", 2_160_000);
    world.sink();
    assert_defects(&world.report(), &[]);
    world.spent("op_again", -3, "20", 4_800_000);
    world.later_ms += HOUR_MS;
    world.top_up(LUNA, "later", 1);
    world.sink();
    assert_defects(&world.report(), &[(Defect::AlertOff, 1)]);
    // An alert that nothing crossed: of the second hour of a booth.
    let mut world = World::new();
    world.open(LUNA, "payg");
    world.top_up(LUNA, "first", 50_000_000);
    let booth_spike = Some(BoothSpike { times: 3, at_least_micros: 900_000 });
    world.set_rules("rules", AlertsSet { booth_spike, ..AlertsSet::default() });
    world.spent("op_1", 1, "1", 240_000);
    world.spent("op_2", 0, "4", 960_000);
    world.told_of_booth(1, 960_000, (1, 240_000));
    world.sink();
    assert_defects(&world.report(), &[(Defect::AlertOff, 1)]);
}
