//! Charges that are made anew: both entries, in order, and every way they can be off.

use tollbooth_schemas::v1::{
    Charge, CommandRef, PriceModel, Reprice, Repriced, Reversal, ReversalCause, SourceTopic, Usage, UsageStatus,
    command::Body, entry::Kind,
};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::{BOOK, NOON, World, home},
};

const LUNA: &str = "acc_luna";

impl World {
    /// `op_1`, whose charge is `seq`, from one book to the other.
    fn reprice(&mut self, (seq, undo): (u64, bool), (from, was): (u32, i64), (to, is): (u32, i64)) {
        let usage = Usage {
            status: UsageStatus::Success.into(),
            price_version: to,
            price_model: PriceModel::PerUnit.into(),
            unit_price_micros: is,
            received_at_ms: 0,
            ..self.usage_of(LUNA, 3).clone()
        };
        let Usage { operation_id, attempt, service, engine, unit, quantity_micros, .. } = usage.clone();
        let Usage { event_id, booth_id, plan, variant, country, test_mode, .. } = usage.clone();
        let original = Charge {
            operation_id: operation_id.clone(),
            attempt,
            amount_micros: was,
            occurred_at_ms: NOON,
            service: service.clone(),
            engine: engine.clone(),
            variant: variant.clone(),
            country: country.clone(),
            unit: unit.clone(),
            quantity_micros,
            event_id: event_id.clone(),
            booth_id: booth_id.clone(),
            plan: plan.clone(),
            price_version: from,
            test_mode,
        };
        let reversal = Reversal {
            original_seq: seq,
            reason: if undo { "repricing_undone" } else { "repricing" }.into(),
            note: "rpr_1".into(),
            cause: ReversalCause::Repricing.into(),
            operation_id,
            attempt,
            service,
            engine,
            variant,
            country,
            unit,
            plan,
            event_id,
            booth_id,
            quantity_micros,
            price_version: from,
            test_mode,
            counted: None,
        };
        let body = Reprice {
            repricing_id: "rpr_1".into(),
            seq,
            original: Some(original),
            counted: None,
            price_version: to,
            amount_micros: is,
            undo,
        };
        let key = body.idempotency_key();
        self.command(LUNA, &key, Body::Reprice(body), None);
        let offset = self.commands.iter().filter(|record| record.partition == home(LUNA)).count() - 1;
        let source = (SourceTopic::Commands, offset as i64);
        let by = CommandRef { idempotency_key: key, body_hash: vec![7; 16], actor: "key_admin".into() };
        let charge = Some(Box::new(usage));
        let again = Repriced { repricing_id: "rpr_1".into(), replaced_seq: seq, undo, charge };
        self.post(LUNA, was, NOON, Kind::Reversal(reversal), source, Some(by.clone()));
        self.post(LUNA, -is, NOON, Kind::Repriced(again), source, Some(by));
    }

    /// Applied, and taken back: seq 8 and 9, 10 and 11.
    fn with_repricing() -> Self {
        let mut world = Self::with_history();
        let other = BOOK
            .replace("\"version\": 1", "\"version\": 2")
            .replace("2025-01-01", "2199-01-01")
            .replace("0.24", "0.15");
        world.books.push((NOON - 1, other));
        let seq = world.ledger.iter().filter(|stored| stored.record.account_id == LUNA).count() as u64;
        assert_eq!(seq, 6, "the history's own");
        world.reprice((3, false), (1, 240_000), (2, 150_000));
        world.reprice((8, true), (2, 150_000), (1, 240_000));
        world.sink();
        world
    }
}

fn damaged(damage: impl FnOnce(&mut World)) -> World {
    let mut world = World::with_repricing();
    world.tables = false;
    damage(&mut world);
    world
}

fn repriced(world: &mut World, seq: u64) -> &mut Repriced {
    match &mut world.entry(LUNA, seq).kind {
        Some(Kind::Repriced(repriced)) => repriced,
        other => panic!("{other:?} is no such entry"),
    }
}

#[test]
fn a_repricing_and_its_undoing_in_order_are_clean() {
    let report = World::with_repricing().report();
    assert_defects(&report, &[]);
    // Four charges, two of them made anew.
    assert_eq!(report.count_checked(Checked::Repriced), 6);
    assert!(report.drift().is_zero());
}

#[test]
fn a_price_that_the_named_book_does_not_give_is_counted() {
    let world = damaged(|world| {
        let book = &mut world.books.last_mut().unwrap().1;
        *book = book.replace("0.15", "0.14");
    });
    let report = world.report();
    assert_defects(&report, &[(Defect::WrongPrice, 1)]);
}

#[test]
fn what_is_not_the_work_that_was_given_back_is_counted() {
    let world = damaged(|world| repriced(world, 8).charge.as_mut().unwrap().event_id = "evt_other".into());
    let report = world.report();
    assert_eq!(report.count(Defect::RepricingOff), 1, "{report}");
    let world = damaged(|world| repriced(world, 8).repricing_id = "rpr_2".into());
    assert_eq!(world.report().count(Defect::RepricingOff), 1);
    let world = damaged(|world| repriced(world, 10).replaced_seq = 3);
    assert_eq!(world.report().count(Defect::RepricingOff), 1);
}

#[test]
fn a_charge_that_was_given_back_and_not_made_anew_is_counted() {
    let world = damaged(|world| drop(world.ledger.pop()));
    let report = world.report();
    assert_eq!(report.count(Defect::RepricingOff), 1, "{report}");
}

#[test]
fn a_charge_that_is_made_anew_twice_is_counted() {
    let world = damaged(|world| world.reprice((3, false), (1, 240_000), (2, 150_000)));
    let report = world.report();
    assert_eq!((report.count(Defect::RefundOff), report.count(Defect::Doubled)), (1, 1), "{report}");
    // Said by the charge's number, not by its money: one of nothing could be given back any number of times.
    assert_eq!(report.count(Defect::RepricingOff), 1, "{report}");
}
