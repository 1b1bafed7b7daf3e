//! Plan fees that a month posts by itself.

use tollbooth_schemas::{
    time::DAY_MS,
    v1::{PlanFee, SourceTopic, entry::Kind},
};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::{NOON, World},
};

const SOL: &str = "acc_sol";
const LUNA: &str = "acc_luna";
/// 2026-12-01 and 2027-01-01 in Berlin, where the accounts live.
const DECEMBER: i64 = NOON + 9 * DAY_MS + 3 * 3_600_000;
const JANUARY: i64 = DECEMBER + 31 * DAY_MS;

impl World {
    fn month(&mut self, account: &str, amount: i64, at_ms: i64, fee: (&str, &str, u32)) {
        let (plan, period, price_version) = (fee.0.to_owned(), fee.1.to_owned(), fee.2);
        let kind = Kind::PlanFee(PlanFee { plan, period, price_version });
        self.post(account, amount, at_ms, kind, (SourceTopic::Tick, 0), None);
    }

    /// Two months, both settled late: the meter was down. Luna's plan is free, Sol's is not.
    fn with_months() -> Self {
        let mut world = Self::new();
        world.open(LUNA, "payg");
        world.open(SOL, "pro");
        world.later_ms = 60 * DAY_MS;
        for (period, at_ms) in [("2026-12", DECEMBER), ("2027-01", JANUARY)] {
            world.month(LUNA, 0, at_ms, ("payg", period, 1));
            world.month(SOL, -79_000_000, at_ms, ("pro", period, 1));
        }
        world.sink();
        world
    }

    fn alter(&mut self, seq: u64, change: impl FnOnce(&mut PlanFee)) {
        let Some(Kind::PlanFee(fee)) = &mut self.entry(SOL, seq).kind else { panic!("no fee") };
        change(fee);
    }
}

#[test]
fn months_that_are_settled_in_order_are_in_order() {
    let report = World::with_months().report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Repriced), 4);
}

#[test]
fn a_month_that_is_missing_or_out_of_turn_is_found() {
    // The last one is missing for both, a month and a half after it began.
    let mut world = World::with_months();
    world.ledger.retain(|stored| stored.record.entries[0].seq < 3);
    world.sink();
    assert_defects(&world.report(), &[(Defect::FeeOff, 2)]);
    // The first one is left out, and the second comes in its place.
    let mut world = World::with_months();
    world.alter(2, |fee| fee.period = "2027-01".into());
    world.alter(3, |fee| fee.period = "2027-02".into());
    world.sink();
    assert_defects(&world.report(), &[(Defect::FeeOff, 2)]);
}

#[test]
fn a_month_that_is_settled_twice_is_found() {
    let mut world = World::with_months();
    world.alter(3, |fee| fee.period = "2026-12".into());
    world.sink();
    // Twice, out of turn, and the next one is missing.
    assert_defects(&world.report(), &[(Defect::Doubled, 1), (Defect::FeeOff, 2)]);
}

#[test]
fn a_fee_of_another_instant_plan_or_amount_is_found() {
    let mut world = World::with_months();
    world.entry(SOL, 2).occurred_at_ms += 1;
    world.sink();
    assert_defects(&world.report(), &[(Defect::FeeOff, 1)]);
    let mut world = World::with_months();
    world.alter(2, |fee| fee.plan = "payg".into());
    world.sink();
    assert_defects(&world.report(), &[(Defect::WrongPrice, 1)]);
    let mut world = World::with_months();
    world.alter(2, |fee| fee.price_version = 0);
    world.sink();
    assert_defects(&world.report(), &[(Defect::WrongPrice, 1)]);
}
