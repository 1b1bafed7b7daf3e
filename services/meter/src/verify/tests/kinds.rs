//! Holds, bonuses, refunds, fees and settings: a ledger in order, and every way it can be off.

use tollbooth_schemas::v1::{
    BonusExpired, BonusGranted, BoothSet, BudgetRule, Charge, CreditLimitSet, DefineEvent, EventDefined, GrantBonus,
    HoldOutcome, HoldPlaced, HoldReleaseCause, HoldReleased, PlaceHold, PlanFee, PostPlanFee, PostPurchase, Purchase,
    PurchaseSource, Refund, Reversal, ReversalCause, SetBooth, SetCreditLimit, SourceTopic, VoidHold, command::Body,
    entry::Kind, place_hold::Size,
};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::{NOON, World},
};

const LUNA: &str = "acc_luna";
/// Milliseconds that holds are placed for.
const TIMEOUT_MS: i64 = 1_000;
const BONUS_UNTIL: i64 = NOON + 3_000;

/// Posting time of an entry that comes before any is posted later.
const fn posted_at(seq: i64) -> i64 {
    NOON + 999 + seq
}

impl World {
    pub(super) fn hold(&mut self, hold_id: &str, size: Size, micros: i64, seq: i64) {
        let place = PlaceHold {
            hold_id: hold_id.into(),
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            size: Some(size),
            timeout_ms: TIMEOUT_MS,
            event_id: "evt_gala".into(),
            booth_id: "bth_1".into(),
            ..PlaceHold::default()
        };
        let is_priced = matches!(size, Size::QuantityMicros(_));
        let placed = HoldPlaced {
            hold_id: hold_id.into(),
            amount_micros: micros,
            expires_at_ms: posted_at(seq) + TIMEOUT_MS,
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            quantity_micros: if let Size::QuantityMicros(quantity) = size { quantity } else { 0 },
            event_id: "evt_gala".into(),
            booth_id: "bth_1".into(),
            plan: "payg".into(),
            price_version: u32::from(is_priced),
            ..HoldPlaced::default()
        };
        self.held += micros;
        self.command(LUNA, &format!("place {hold_id}"), Body::PlaceHold(place), Some((0, Kind::HoldPlaced(placed))));
    }

    /// An entry that an instant made.
    fn tick(&mut self, amount: i64, at_ms: i64, kind: Kind) {
        self.post(LUNA, amount, at_ms, kind, (SourceTopic::Tick, 0), None);
    }

    fn refund(&mut self, key: &str, amount: Option<i64>, micros: i64, quantity_micros: i64) {
        let original = Charge {
            operation_id: "op_1".into(),
            attempt: 1,
            amount_micros: 240_000,
            occurred_at_ms: NOON,
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            quantity_micros: 1_000_000,
            event_id: "evt_gala".into(),
            booth_id: "bth_1".into(),
            plan: "payg".into(),
            price_version: 1,
            ..Charge::default()
        };
        let reversal = Reversal {
            original_seq: 6,
            reason: "goodwill".into(),
            cause: ReversalCause::Refund.into(),
            operation_id: "op_1".into(),
            service: "ai_modify".into(),
            engine: "nano".into(),
            unit: "image".into(),
            plan: "payg".into(),
            event_id: "evt_gala".into(),
            booth_id: "bth_1".into(),
            quantity_micros,
            price_version: 1,
            attempt: 1,
            ..Reversal::default()
        };
        let (seq, reason, note) = (6, "goodwill".into(), String::new());
        let refund = Refund { seq, amount_micros: amount, reason, note, original: Some(original), counted: None };
        self.command(LUNA, key, Body::Refund(refund), Some((micros, Kind::Reversal(reversal))));
        self.last_entry().occurred_at_ms = NOON;
    }

    fn buy(&mut self, key: &str, payment_id: &str) {
        let (provider, source) = ("sandbox".to_owned(), PurchaseSource::Manual.into());
        let kind = Kind::Purchase(Purchase { payment_id: payment_id.into(), provider: provider.clone(), source });
        let body = PostPurchase { payment_id: payment_id.into(), provider, amount_micros: 50_000_000, source };
        self.command(LUNA, key, Body::PostPurchase(body), Some((50_000_000, kind)));
    }

    fn fee(&mut self, key: &str) {
        let kind = Kind::PlanFee(PlanFee { plan: "pro".into(), period: "2026-11".into(), price_version: 1 });
        let body = PostPlanFee { period: "2026-11".into() };
        self.command(LUNA, key, Body::PostPlanFee(body), Some((-79_000_000, kind)));
    }

    fn set_booth(&mut self, key: &str, paused: bool) {
        let (booth_id, name) = ("bth_1".to_owned(), "Bar".to_owned());
        let kind = Kind::BoothSet(BoothSet { booth_id: booth_id.clone(), name: name.clone(), paused });
        self.command(LUNA, key, Body::SetBooth(SetBooth { booth_id, name, paused }), Some((0, kind)));
    }

    fn bonus(&mut self) {
        let (expires_at_ms, reason, note) = (Some(BONUS_UNTIL), String::from("welcome"), String::new());
        let granted = BonusGranted { expires_at_ms, reason: reason.clone(), note: note.clone() };
        let body = GrantBonus { amount_micros: 300_000, expires_at_ms, reason, note };
        self.command(LUNA, "bonus", Body::GrantBonus(body), Some((300_000, Kind::BonusGranted(granted))));
    }

    fn event_with_budget(&mut self) {
        let defined = EventDefined {
            event_id: "evt_gala".into(),
            name: "Gala".into(),
            starts_at_ms: NOON,
            ends_at_ms: NOON + 1,
            time_zone: "UTC".into(),
            budget_micros: Some(1_000_000),
            on_exceeded: BudgetRule::RefuseHolds.into(),
        };
        let body = DefineEvent {
            event_id: "evt_gala".into(),
            name: "Gala".into(),
            starts_at_ms: NOON,
            ends_at_ms: NOON + 1,
            time_zone: "UTC".into(),
            budget_micros: Some(1_000_000),
            on_exceeded: BudgetRule::RefuseHolds.into(),
        };
        self.command(LUNA, "event", Body::DefineEvent(body), Some((0, Kind::EventDefined(defined))));
    }

    /// Usage with the hold `hld_1`, which it captures.
    fn capture(&mut self) {
        self.charge(LUNA, "op_1", "1", 240_000);
        self.held = 0;
        let entry = self.last_entry();
        (entry.held_after_micros, entry.from_bonus_micros) = (0, 240_000);
        let Some(Kind::Usage(usage)) = &mut entry.kind else { panic!() };
        usage.hold_id = "hld_1".into();
        usage.set_hold_outcome(HoldOutcome::Captured);
        let record = self.usage.last_mut().unwrap();
        let text = String::from_utf8(record.payload.clone()).unwrap();
        record.payload = text.replace(r#""status""#, r#""hold_id":"hld_1","status""#).into_bytes();
    }

    fn release(&mut self, hold_id: &str, micros: i64, cause: HoldReleaseCause) -> Kind {
        self.held -= micros;
        Kind::HoldReleased(HoldReleased { hold_id: hold_id.into(), amount_micros: micros, cause: cause.into() })
    }

    /// One account that has 50.06, of which 0.10 are held, and an event that has spent 0.24 of 1.00.
    fn with_holds() -> Self {
        let mut world = Self::new();
        world.open(LUNA, "payg");
        world.buy("payment pay_1", "pay_1");
        world.bonus();
        world.event_with_budget();
        world.hold("hld_1", Size::QuantityMicros(2_000_000), 480_000, 5);
        world.capture();
        world.hold("hld_2", Size::AmountMicros(100_000), 100_000, 7);
        let voided = world.release("hld_2", 100_000, HoldReleaseCause::Voided);
        world.command(LUNA, "void", Body::VoidHold(VoidHold { hold_id: "hld_2".into() }), Some((0, voided)));
        world.hold("hld_3", Size::AmountMicros(100_000), 100_000, 9);
        world
    }

    /// The same, and an entry of every kind but what the other history has.
    fn with_every_kind() -> Self {
        let mut world = Self::with_holds();
        world.later_ms = 5_000;
        let expired = world.release("hld_3", 100_000, HoldReleaseCause::Expired);
        world.tick(0, posted_at(9) + TIMEOUT_MS, expired);
        world.tick(-60_000, BONUS_UNTIL, Kind::BonusExpired(BonusExpired { granted_seq: 3 }));
        world.refund("refund 1", Some(100_000), 100_000, 0);
        world.refund("refund 2", None, 140_000, 1_000_000);
        let limit = SetCreditLimit { credit_limit_micros: 5_000_000 };
        let set = CreditLimitSet { credit_limit_micros: 5_000_000 };
        world.command(LUNA, "limit", Body::SetCreditLimit(limit), Some((0, Kind::CreditLimitSet(set))));
        world.set_booth("pause", true);
        world.change_plan(LUNA, "pro", NOON);
        world.fee("fee:2026-11");
        world.sink();
        world
    }
}

/// The world with every kind, without tables, damaged.
fn damaged(damage: impl FnOnce(&mut World)) -> World {
    let mut world = World::with_every_kind();
    world.tables = false;
    damage(&mut world);
    world
}

/// The kind of an entry.
fn kind(world: &mut World, seq: u64) -> &mut Kind {
    world.entry(LUNA, seq).kind.as_mut().unwrap()
}

#[test]
fn every_kind_in_order_is_clean() {
    let report = World::with_every_kind().report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Entries), 17);
    // The charge, the hold by quantity and the fee.
    assert_eq!(report.count_checked(Checked::Repriced), 3);
    // The two ticks come from no record.
    assert_eq!(report.count_checked(Checked::SourcesCompared), 15);
    assert_eq!(report.totals["USD"].balance.to_string(), "-28.760000");
    assert!(report.drift().is_zero());
}

#[test]
fn what_is_held_must_be_the_sum_of_the_open_holds() {
    // Held more than the hold, and from then on.
    let world = damaged(|world| world.entry(LUNA, 5).held_after_micros += 1);
    assert_defects(&world.report(), &[(Defect::HeldOff, 2)]);
    // A hold that usage captured and that stays held.
    let world = damaged(|world| {
        (6..=10).for_each(|seq| world.entry(LUNA, seq).held_after_micros += 480_000);
    });
    assert_defects(&world.report(), &[(Defect::HeldOff, 2)]);
    // Released with less than it holds.
    let world = damaged(|world| {
        let Kind::HoldReleased(released) = kind(world, 10) else { panic!() };
        released.amount_micros = 1;
    });
    assert_defects(&world.report(), &[(Defect::HeldOff, 1)]);
    // Captured, and the entry says that there was none.
    let world = damaged(|world| world.usage_of(LUNA, 6).set_hold_outcome(HoldOutcome::Unknown));
    assert_defects(&world.report(), &[(Defect::HeldOff, 1)]);
}

#[test]
fn a_hold_that_had_to_be_refused_is_counted() {
    let after = |add: fn(&mut World), expected: &[(Defect, u64)]| {
        let mut world = World::with_holds();
        add(&mut world);
        assert_defects(&world.report(), expected);
    };
    // Within the budget, and beyond it.
    after(|world| world.hold("hld_9", Size::AmountMicros(660_000), 660_000, 10), &[]);
    after(|world| world.hold("hld_9", Size::AmountMicros(660_001), 660_001, 10), &[(Defect::HeldOff, 1)]);
    // Beyond the balance, for an event without a budget.
    let beyond = |world: &mut World| {
        world.hold("hld_9", Size::AmountMicros(49_960_001), 49_960_001, 10);
        let Kind::HoldPlaced(placed) = kind(world, 10) else { panic!() };
        placed.event_id = "evt_other".into();
    };
    after(beyond, &[(Defect::HeldOff, 1), (Defect::WrongContent, 1)]);
    // By a paused booth.
    let paused = |world: &mut World| {
        world.set_booth("pause early", true);
        world.hold("hld_9", Size::AmountMicros(1), 1, 11);
    };
    after(paused, &[(Defect::HeldOff, 1)]);
    // Under an id that is taken.
    after(|world| world.hold("hld_2", Size::AmountMicros(1), 1, 10), &[(Defect::Doubled, 2)]);
}

#[test]
fn a_hold_and_a_fee_are_priced_again() {
    let world = damaged(|world| {
        let Kind::HoldPlaced(placed) = kind(world, 5) else { panic!() };
        placed.price_version = 2;
    });
    assert_defects(&world.report(), &[(Defect::WrongPrice, 1)]);
    let world = damaged(|world| {
        let Kind::PlanFee(fee) = kind(world, 17) else { panic!() };
        fee.plan = "payg".into();
    });
    assert_defects(&world.report(), &[(Defect::WrongPrice, 1)]);
    // A month is paid once.
    let world = damaged(|world| world.fee("fee once more"));
    assert_defects(&world.report(), &[(Defect::Doubled, 1)]);
}

#[test]
fn what_is_drawn_from_bonuses_must_be_what_they_have() {
    for from_bonus in [0, 239_999, 240_001] {
        let world = damaged(|world| world.entry(LUNA, 6).from_bonus_micros = from_bonus);
        assert_defects(&world.report(), &[(Defect::BonusOff, 1)]);
    }
    // An expiry of another lot, and one that comes too early.
    let world = damaged(|world| {
        let Kind::BonusExpired(expired) = kind(world, 11) else { panic!() };
        expired.granted_seq = 4;
    });
    assert_defects(&world.report(), &[(Defect::BonusOff, 2)]);
    let world = damaged(|world| world.entry(LUNA, 11).occurred_at_ms = NOON);
    assert_defects(&world.report(), &[(Defect::WrongContent, 1)]);
}

#[test]
fn a_refund_beyond_its_charge_or_of_another_is_counted() {
    // Once more, 0.24 in all.
    let world = damaged(|world| world.refund("refund 3", Some(1), 1, 0));
    assert_defects(&world.report(), &[(Defect::RefundOff, 1)]);
    // Of an entry that is no charge; the second one then no longer completes it.
    let world = damaged(|world| {
        let Kind::Reversal(reversal) = kind(world, 12) else { panic!() };
        reversal.original_seq = 5;
    });
    assert_defects(&world.report(), &[(Defect::RefundOff, 2), (Defect::WrongContent, 1)]);
    // For another event.
    let world = damaged(|world| {
        let Kind::Reversal(reversal) = kind(world, 13) else { panic!() };
        reversal.event_id = "evt_other".into();
    });
    assert_defects(&world.report(), &[(Defect::RefundOff, 1), (Defect::WrongContent, 1)]);
    // That keeps the quantity of what it gives back whole.
    let world = damaged(|world| {
        let Kind::Reversal(reversal) = kind(world, 13) else { panic!() };
        reversal.quantity_micros = 0;
    });
    assert_defects(&world.report(), &[(Defect::RefundOff, 1)]);
}

#[test]
fn a_payment_that_posts_twice_is_counted() {
    let world = damaged(|world| world.buy("another key", "pay_1"));
    assert_defects(&world.report(), &[(Defect::Doubled, 1)]);
}

#[test]
fn a_purchase_that_left_no_trace_is_lost() {
    let world = damaged(|world| {
        let body = PostPurchase {
            payment_id: "pay_2".into(),
            provider: "sandbox".into(),
            amount_micros: 50_000_000,
            source: PurchaseSource::Manual.into(),
        };
        world.command(LUNA, "payment pay_2", Body::PostPurchase(body), None);
    });
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
    // A hold may have been refused.
    let world = damaged(|world| {
        world.command(LUNA, "void once more", Body::VoidHold(VoidHold { hold_id: "hld_2".into() }), None);
    });
    assert_defects(&world.report(), &[]);
}

#[test]
fn an_entry_that_no_record_and_no_instant_made_is_counted() {
    let world = damaged(|world| {
        let entry = world.entry(LUNA, 14);
        (entry.source_topic, entry.source_offset, entry.command) = (SourceTopic::Tick.into(), 0, None);
    });
    // Its command is then without an entry, too.
    assert_defects(&world.report(), &[(Defect::Lost, 1), (Defect::SourceMissing, 1)]);
}
