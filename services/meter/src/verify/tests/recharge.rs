//! Credit that is bought by itself.

use tollbooth_schemas::{
    ids::recharge_id,
    time::DAY_MS,
    v1::{
        FailRecharge, PostPurchase, Purchase, PurchaseSource, RechargeFailed, RechargeRequested, RechargeSet,
        SetRecharge, SourceTopic, command::Body, entry::Kind, place_hold, recharge_set, set_recharge,
    },
};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::{NOON, World},
};

const LUNA: &str = "acc_luna";
/// The next midnight and the next month in Berlin, where the account lives.
const MIDNIGHT: i64 = NOON + 3 * 3_600_000;
const DECEMBER: i64 = NOON + 9 * DAY_MS + 3 * 3_600_000;

impl World {
    fn set_recharge(&mut self, key: &str, daily_cap_micros: Option<i64>) {
        self.set_rule(key, recharge_set::Size::AmountMicros(50_000_000), daily_cap_micros, Some(10_000_000_000));
    }

    fn set_rule(
        &mut self,
        key: &str,
        size: recharge_set::Size,
        daily_cap_micros: Option<i64>,
        amount_max_micros: Option<i64>,
    ) {
        let threshold_micros = 20_000_000;
        let asked = match size {
            recharge_set::Size::AmountMicros(micros) => set_recharge::Size::AmountMicros(micros),
            recharge_set::Size::TargetMicros(micros) => set_recharge::Size::TargetMicros(micros),
        };
        let rule = RechargeSet {
            enabled: true,
            threshold_micros,
            size: Some(size),
            daily_cap_micros,
            monthly_cap_micros: None,
            amount_max_micros,
        };
        let body = SetRecharge {
            enabled: true,
            threshold_micros,
            size: Some(asked),
            daily_cap_micros,
            monthly_cap_micros: None,
            amount_max_micros,
        };
        self.command(LUNA, key, Body::SetRecharge(body), Some((0, Kind::RechargeSet(rule))));
    }

    /// Asked for as entry `seq`; due since `due_ms`.
    fn ask(&mut self, seq: u64, available_micros: i64, amount_micros: i64, due_ms: i64) {
        let kind = Kind::RechargeRequested(RechargeRequested {
            recharge_id: recharge_id(LUNA, seq),
            amount_micros,
            available_micros,
            threshold_micros: 20_000_000,
            day_ends_at_ms: MIDNIGHT,
            month_ends_at_ms: DECEMBER,
        });
        self.post(LUNA, 0, due_ms, kind, (SourceTopic::Tick, 0), None);
    }

    fn not_paid(&mut self, seq: u64, failures: u32, amount_micros: i64) -> i64 {
        let (recharge_id, reason) = (recharge_id(LUNA, seq), "card_declined".to_owned());
        let body = FailRecharge { recharge_id: recharge_id.clone(), reason: reason.clone() };
        let failed = RechargeFailed { recharge_id, reason, failures, retry_at_ms: 0, amount_micros };
        let key = format!("recharge-failed:{seq}");
        self.command(LUNA, &key, Body::FailRecharge(body), Some((0, Kind::RechargeFailed(failed))));
        let retry_at_ms = self.posted_at() + 60_000 * (1 << (failures - 1));
        self.failed(|failed| failed.retry_at_ms = retry_at_ms);
        retry_at_ms
    }

    fn paid(&mut self, seq: u64, amount_micros: i64) {
        let (payment_id, provider) = (recharge_id(LUNA, seq), "sandbox".to_owned());
        let source = PurchaseSource::AutoRecharge.into();
        let kind = Kind::Purchase(Purchase { payment_id: payment_id.clone(), provider: provider.clone(), source });
        let body = PostPurchase { payment_id, provider, amount_micros, source };
        self.command(LUNA, &format!("payment:{seq}"), Body::PostPurchase(body), Some((amount_micros, kind)));
    }

    fn posted_at(&self) -> i64 {
        self.ledger.last().unwrap().record.posted_at_ms
    }

    /// Changes the last entry.
    fn failed(&mut self, change: impl FnOnce(&mut RechargeFailed)) {
        let Some(Kind::RechargeFailed(failed)) = &mut self.last_entry().kind else { panic!("no failure") };
        change(failed);
    }

    fn request(&mut self, seq: u64, change: impl FnOnce(&mut RechargeRequested)) {
        let Some(Kind::RechargeRequested(requested)) = &mut self.entry(LUNA, seq).kind else { panic!("no request") };
        change(requested);
    }

    /// 10.00, a rule, a request (3), its failure (4), another one a minute later (5), which is paid (6).
    fn with_recharges(daily_cap_micros: Option<i64>) -> Self {
        let mut world = Self::new();
        world.open(LUNA, "payg");
        world.set_recharge("rule", daily_cap_micros);
        let since_ms = world.posted_at();
        world.ask(3, 0, 50_000_000, since_ms);
        let retry_at_ms = world.not_paid(3, 1, 50_000_000);
        world.later_ms = 60_000;
        world.ask(5, 0, 50_000_000, retry_at_ms);
        world.paid(5, 50_000_000);
        world.sink();
        world
    }
}

#[test]
fn recharges_that_follow_the_rule_are_in_order() {
    for daily_cap_micros in [None, Some(50_000_000)] {
        let report = World::with_recharges(daily_cap_micros).report();
        assert_defects(&report, &[]);
        assert_eq!(report.count_checked(Checked::Recharges), 2);
    }
}

#[test]
fn a_request_without_need_or_otherwise_than_the_rule_is_found() {
    let damaged = |change: &dyn Fn(&mut World)| {
        let mut world = World::with_recharges(None);
        change(&mut world);
        world.sink();
        let report = world.report();
        assert!(report.count(Defect::RechargeOff) > 0, "{report}");
        assert!(report.defects().all(|(defect, _)| defect == Defect::RechargeOff), "{report}");
    };
    damaged(&|world| world.request(5, |requested| requested.amount_micros += 1));
    damaged(&|world| world.request(5, |requested| requested.available_micros += 1));
    damaged(&|world| world.request(5, |requested| requested.threshold_micros += 1));
    damaged(&|world| world.request(5, |requested| requested.day_ends_at_ms += 1));
    damaged(&|world| world.request(5, |requested| requested.month_ends_at_ms -= 1));
    damaged(&|world| world.request(3, |requested| requested.recharge_id = "rch_other".into()));
    // Dated before the pause after the failure was over.
    damaged(&|world| world.entry(LUNA, 5).occurred_at_ms -= 1);
    damaged(&|world| {
        let Some(Kind::RechargeFailed(failed)) = &mut world.entry(LUNA, 4).kind else { panic!() };
        failed.retry_at_ms += 1;
    });
    damaged(&|world| {
        let Some(Kind::RechargeFailed(failed)) = &mut world.entry(LUNA, 4).kind else { panic!() };
        failed.failures = 2;
    });
}

#[test]
fn a_second_request_while_one_is_under_way_is_found() {
    let mut world = World::new();
    world.open(LUNA, "payg");
    world.set_recharge("rule", None);
    let since_ms = world.posted_at();
    world.ask(3, 0, 50_000_000, since_ms);
    world.ask(4, 0, 50_000_000, since_ms);
    world.sink();
    assert_defects(&world.report(), &[(Defect::RechargeOff, 1)]);
}

#[test]
fn a_cap_that_is_passed_and_a_need_that_nobody_saw_are_found() {
    // 50 of 70 are asked for today: 20 are left, not 50.
    let mut world = World::new();
    world.open(LUNA, "payg");
    world.set_recharge("rule", Some(70_000_000));
    let since_ms = world.posted_at();
    world.ask(3, 0, 50_000_000, since_ms);
    world.paid(3, 50_000_000);
    world.top_up(LUNA, "spent", -45_000_000);
    let since_ms = world.posted_at();
    world.later_ms = 70_000;
    world.ask(6, 5_000_000, 50_000_000, since_ms);
    world.sink();
    assert_defects(&world.report(), &[(Defect::RechargeOff, 1)]);
    world.request(6, |requested| requested.amount_micros = 20_000_000);
    world.sink();
    assert_defects(&world.report(), &[]);

    // Nothing is asked for, and the partition goes on for an hour.
    let mut world = World::new();
    world.open(LUNA, "payg");
    world.set_recharge("rule", None);
    world.later_ms = 3_600_000;
    world.top_up(LUNA, "a little", 1_000_000);
    world.sink();
    assert_defects(&world.report(), &[(Defect::RechargeOff, 1)]);
}

#[test]
fn a_day_under_way_ends_when_it_was_going_to_whatever_the_zone_is_meanwhile() {
    // 50 of 70 are asked for; then the account moves to Tokyo, and more is needed.
    let asked = |amount_micros, day_ends_at_ms: i64| {
        let mut world = World::new();
        world.open(LUNA, "payg");
        world.set_recharge("rule", Some(70_000_000));
        let since_ms = world.posted_at();
        world.ask(3, 0, 50_000_000, since_ms);
        world.paid(3, 50_000_000);
        world.set_profile(LUNA, "zone", (None, Some("Asia/Tokyo")), ("Luna", "Asia/Tokyo"));
        world.top_up(LUNA, "spent", -45_000_000);
        let since_ms = world.posted_at();
        world.later_ms = 70_000;
        world.ask(7, 5_000_000, amount_micros, since_ms);
        world.request(7, |requested| requested.day_ends_at_ms = day_ends_at_ms);
        world.sink();
        world.report()
    };
    let in_tokyo = NOON + 19 * 3_600_000;
    assert_defects(&asked(20_000_000, MIDNIGHT), &[]);
    assert_defects(&asked(20_000_000, in_tokyo), &[(Defect::RechargeOff, 1)]);
    assert_defects(&asked(50_000_000, in_tokyo), &[(Defect::RechargeOff, 2)]);
}

#[test]
fn a_request_beyond_the_rules_bound_is_found_and_one_of_a_rule_of_before_is_not() {
    // Up to 50.00, and 20,000.00 are owed.
    let asked = |amount_max_micros, amount_micros| {
        let mut world = World::new();
        world.open(LUNA, "payg");
        world.set_rule("rule", recharge_set::Size::TargetMicros(50_000_000), None, amount_max_micros);
        world.top_up(LUNA, "spent", -20_000_000_000);
        let since_ms = world.ledger[world.ledger.len() - 2].record.posted_at_ms;
        world.ask(4, -20_000_000_000, amount_micros, since_ms);
        world.sink();
        world.report().count(Defect::RechargeOff)
    };
    let (most, all) = (10_000_000_000, 20_050_000_000);
    assert_eq!((asked(Some(most), most), asked(None, most), asked(None, all)), (0, 0, 0));
    assert_eq!((asked(Some(most), all), asked(None, most + 10_000), asked(Some(most), most - 10_000)), (1, 1, 1));
}

#[test]
fn a_request_before_the_pause_that_unused_money_leaves_is_found() {
    // 50.00 are paid, a hold leaves too little, and another 50.00 are asked for so many minutes later.
    let asked = |minutes: i64, amount_max_micros| {
        let mut world = World::new();
        world.open(LUNA, "payg");
        world.set_rule("rule", recharge_set::Size::AmountMicros(50_000_000), None, amount_max_micros);
        let since_ms = world.posted_at();
        world.ask(3, 0, 50_000_000, since_ms);
        world.paid(3, 50_000_000);
        let paid_at_ms = world.posted_at();
        world.hold("hld_1", place_hold::Size::AmountMicros(40_000_000), 40_000_000, 5);
        world.later_ms = minutes * 60_000;
        world.ask(6, 10_000_000, 50_000_000, paid_at_ms + minutes * 60_000);
        world.sink();
        world.report().count(Defect::RechargeOff)
    };
    assert_eq!((asked(9, Some(10_000_000_000)), asked(10, Some(10_000_000_000)), asked(2, None)), (1, 0, 0));
}
