//! What an account is called and its zone, said after the opening.

use tollbooth_schemas::{
    time::DAY_MS,
    v1::{PlanFee, ProfileSet, SourceTopic, entry::Kind},
};

use super::{
    super::Defect,
    assert_defects,
    world::{NOON, World},
};

const LUNA: &str = "acc_luna";
const HOUR_MS: i64 = 3_600_000;
/// 2026-12-01 in Tokyo, and in Berlin, where the account is opened.
const IN_TOKYO: i64 = NOON + 8 * DAY_MS + 19 * HOUR_MS;
const IN_BERLIN: i64 = NOON + 9 * DAY_MS + 3 * HOUR_MS;

impl World {
    /// Opened as Luna in Berlin (1), moved to Tokyo (2), named anew (3), and the same again (4).
    fn with_profiles() -> Self {
        let mut world = Self::new();
        world.open(LUNA, "payg");
        world.set_profile(LUNA, "zone", (None, Some("Asia/Tokyo")), ("Luna", "Asia/Tokyo"));
        world.set_profile(LUNA, "name", (Some("Sol"), None), ("Sol", "Asia/Tokyo"));
        world.set_profile(LUNA, "again", (Some("Sol"), Some("Asia/Tokyo")), ("Sol", "Asia/Tokyo"));
        world.sink();
        world
    }

    fn profile(&mut self, seq: u64) -> &mut ProfileSet {
        match &mut self.entry(LUNA, seq).kind {
            Some(Kind::ProfileSet(set)) => set,
            other => panic!("{other:?} is no profile"),
        }
    }

    fn december(&mut self, at_ms: i64) {
        let kind = Kind::PlanFee(PlanFee { plan: "payg".into(), period: "2026-12".into(), price_version: 1 });
        self.post(LUNA, 0, at_ms, kind, (SourceTopic::Tick, 0), None);
    }
}

#[test]
fn what_was_asked_for_is_in_order_whichever_of_the_two_it_was() {
    assert_defects(&World::with_profiles().report(), &[]);
}

#[test]
fn an_entry_that_says_something_else_is_found() {
    for (seq, name, time_zone) in [(2, "Luna", "UTC"), (2, "Sol", "Asia/Tokyo"), (3, "Luna", "Asia/Tokyo")] {
        let mut world = World::with_profiles();
        *world.profile(seq) = ProfileSet { name: name.into(), time_zone: time_zone.into() };
        world.sink();
        assert!(world.report().count(Defect::WrongContent) > 0, "{}", world.report());
    }
    let mut world = World::with_profiles();
    world.entry(LUNA, 2).amount_micros = 1;
    assert!(world.report().count(Defect::WrongContent) > 0);
}

#[test]
fn a_command_that_left_no_entry_is_found() {
    let mut world = World::with_profiles();
    let body = World::profile_command((None, Some("UTC")));
    world.command(LUNA, "lost", body, None);
    world.sink();
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
    // One that is none may leave none.
    for given in [(None, None), (None, Some("EST")), (Some(" "), None)] {
        let mut world = World::with_profiles();
        world.command(LUNA, "refused", World::profile_command(given), None);
        world.sink();
        assert_defects(&world.report(), &[]);
    }
}

#[test]
fn a_line_of_the_balances_that_says_something_else_is_found() {
    let mut world = World::with_profiles();
    world.balances[0].4.2 = "Europe/Berlin".into();
    assert_defects(&world.report(), &[(Defect::BalanceOff, 1)]);
    let mut world = World::with_profiles();
    world.balances[0].4 = Default::default();
    assert_defects(&world.report(), &[(Defect::BalanceOff, 1)]);
}

#[test]
fn the_month_that_comes_next_is_settled_where_the_account_is_then() {
    let settled = |at_ms: i64, posted_later_ms: i64| {
        let mut world = World::with_profiles();
        world.later_ms = posted_later_ms;
        world.december(at_ms);
        world.sink();
        world.report()
    };
    assert_defects(&settled(IN_TOKYO, 9 * DAY_MS), &[]);
    assert_defects(&settled(IN_BERLIN, 10 * DAY_MS), &[(Defect::FeeOff, 1)]);
}

#[test]
fn a_month_that_began_before_its_zone_was_set_is_given_its_time() {
    // given an account that moves to where December began hours ago, and nothing behind it
    let moved = |later_ms: i64| {
        let mut world = World::new();
        world.open(LUNA, "payg");
        world.later_ms = IN_TOKYO - NOON + 2 * HOUR_MS;
        world.set_profile(LUNA, "zone", (None, Some("Asia/Tokyo")), ("Luna", "Asia/Tokyo"));
        world.later_ms += later_ms;
        world.top_up(LUNA, "later", 1_000_000);
        world.sink();
        world.report()
    };
    // then its fee may still come, but not an hour later
    assert_defects(&moved(1_000), &[]);
    assert_defects(&moved(HOUR_MS), &[(Defect::FeeOff, 1)]);
}
