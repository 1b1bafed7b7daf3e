//! What an account wants to be told of.

use tollbooth_schemas::v1::{AlertKind, AlertRaised, AlertsSet, SetAlerts, SourceTopic, command::Body, entry::Kind};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::World,
};

const LUNA: &str = "acc_luna";

impl World {
    fn set_alerts(&mut self, key: &str, amounts: &[i64]) {
        let alerts = AlertsSet { balance_below_micros: amounts.to_vec(), ..AlertsSet::default() };
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
