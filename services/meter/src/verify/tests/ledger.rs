//! Defects of the ledger itself.

use rust_decimal::Decimal;
use tollbooth_schemas::v1::{UsageStatus, entry::Kind};

use super::{
    super::{Checked, Defect},
    assert_defects,
    world::{BOOK, NOON, World},
};

/// A history without tables, damaged.
fn damaged(damage: impl FnOnce(&mut World)) -> World {
    let mut world = World::with_history();
    world.tables = false;
    damage(&mut world);
    world
}

#[test]
fn a_world_in_order_is_clean() {
    let world = World::with_history();
    let report = world.report();
    assert_defects(&report, &[]);
    let checked = |what| report.count_checked(what);
    assert_eq!(checked(Checked::Entries), 8);
    assert_eq!(checked(Checked::Accounts), 2);
    assert_eq!(checked(Checked::Repriced), 4);
    assert_eq!(checked(Checked::SourcesCompared), 8);
    assert_eq!((checked(Checked::Duplicates), checked(Checked::Stale)), (1, 1));
    assert_eq!(checked(Checked::Rows), 8);
    assert_eq!(report.totals["USD"].balance, "48.76".parse::<Decimal>().unwrap());
    assert!(report.drift().is_zero());
}

#[test]
fn a_gap_and_a_repeat_of_seq_are_counted() {
    let world = damaged(|world| {
        let seqs: Vec<u64> = (5..=6).collect();
        for seq in seqs.into_iter().rev() {
            world.entry("acc_luna", seq).seq += 1;
        }
    });
    assert_defects(&world.report(), &[(Defect::SeqGap, 1)]);
    let world = damaged(|world| world.entry("acc_luna", 6).seq = 5);
    assert_defects(&world.report(), &[(Defect::SeqDoubled, 1)]);
}

#[test]
fn a_broken_chain_is_counted_once_and_drifts() {
    let world = damaged(|world| {
        for seq in 4..=6 {
            world.entry("acc_luna", seq).balance_after_micros += 1;
        }
    });
    let report = world.report();
    assert_defects(&report, &[(Defect::ChainBroken, 1)]);
    assert_eq!(report.drift(), Decimal::new(1, 6));
}

#[test]
fn money_that_is_suddenly_held_is_counted() {
    let world = damaged(|world| world.entry("acc_luna", 6).held_after_micros = 5);
    assert_defects(&world.report(), &[(Defect::HeldOff, 1)]);
}

#[test]
fn posting_time_that_goes_back_is_counted() {
    let world = damaged(|world| {
        let last = world.ledger.iter_mut().rfind(|stored| stored.record.account_id == "acc_luna").unwrap();
        last.record.posted_at_ms = NOON - 1;
    });
    assert_defects(&world.report(), &[(Defect::TimeBack, 1)]);
}

#[test]
fn a_foreign_key_or_partition_is_counted() {
    let world = damaged(|world| world.ledger[3].key = "acc_other".into());
    assert_defects(&world.report(), &[(Defect::Misplaced, 1)]);
    let world = damaged(|world| {
        let last = world.ledger.last_mut().unwrap();
        last.partition = (last.partition + 1) % super::world::PARTITIONS;
    });
    // Its source record is looked for beside it.
    let report = world.report();
    assert_eq!(report.count(Defect::Misplaced), 1, "{report}");
}

#[test]
fn an_empty_and_an_overfull_record_are_counted() {
    let world = damaged(|world| {
        let mut empty = world.ledger.last().unwrap().clone();
        empty.offset += 1;
        empty.record.entries.clear();
        world.ledger.push(empty);
    });
    assert_defects(&world.report(), &[(Defect::RecordLimit, 1)]);
    let world = damaged(|world| {
        let last = world.ledger.last_mut().unwrap();
        last.record.entries = vec![last.record.entries[0].clone(); 1_001];
    });
    assert_eq!(world.report().count(Defect::RecordLimit), 1);
}

#[test]
fn an_entry_of_an_unknown_kind_is_counted() {
    let world = damaged(|world| world.last_entry().kind = None);
    let report = world.report();
    assert_eq!(report.count(Defect::BadRecord), 1, "{report}");
    assert!(!report.is_clean());
}

#[test]
fn an_account_that_is_not_opened_first_is_counted() {
    let world = damaged(|world| {
        world.ledger.retain(|stored| stored.record.account_id != "acc_sol" || stored.record.entries[0].seq != 1);
        world.commands.remove(1);
    });
    let report = world.report();
    assert_eq!(report.count(Defect::OpeningOff), 1, "{report}");
    assert_eq!(report.count(Defect::SeqGap), 1, "{report}");
}

#[test]
fn failed_work_that_costs_is_counted_and_drifts() {
    let world = damaged(|world| {
        for seq in 5..=6 {
            world.entry("acc_luna", seq).balance_after_micros -= 10;
        }
        world.entry("acc_luna", 5).amount_micros = -10;
    });
    let report = world.report();
    assert_defects(&report, &[(Defect::FailedCharged, 1)]);
    assert_eq!(report.drift(), Decimal::new(10, 6));
}

#[test]
fn every_part_of_a_price_is_checked() {
    let damages: [fn(&mut World); 4] = [
        |world| world.usage_of("acc_luna", 4).unit_price_micros += 1,
        |world| world.usage_of("acc_luna", 4).price_version = 2,
        |world| world.usage_of("acc_luna", 4).plan = "pro".into(),
        |world| world.usage_of("acc_luna", 4).price_model = tollbooth_schemas::v1::PriceModel::Flat.into(),
    ];
    for damage in damages {
        assert_defects(&damaged(damage).report(), &[(Defect::WrongPrice, 1)]);
    }
    // A wrong amount, the chain in order: only the price tells.
    let world = damaged(|world| {
        for seq in 4..=6 {
            world.entry("acc_luna", seq).balance_after_micros -= 10_000;
        }
        world.entry("acc_luna", 4).amount_micros -= 10_000;
    });
    let report = world.report();
    assert_defects(&report, &[(Defect::WrongPrice, 1)]);
    assert_eq!(report.drift(), Decimal::new(10_000, 6));
}

#[test]
fn a_charge_is_priced_by_the_plan_of_its_time() {
    // given an account that changes its plan from now on, and one that will only later
    let mut world = World::new();
    world.open("acc_luna", "payg");
    world.change_plan("acc_luna", "pro", NOON);
    world.open("acc_later", "payg");
    world.change_plan("acc_later", "pro", NOON + 1);

    // when both are charged for work of that instant
    world.charge("acc_luna", "op_1", "1", 160_000);
    world.charge("acc_later", "op_1", "1", 240_000);

    // then each pays its plan's price
    assert_defects(&world.report(), &[]);
}

#[test]
fn a_plan_change_dated_before_the_opening_applies_after_it_too() {
    // given an account, and a change that is dated an hour before it was opened
    let mut world = World::new();
    world.open_at("acc_luna", "payg", Some(NOON - 1_000));
    world.change_plan("acc_luna", "pro", NOON - 3_600_000);

    // when work after the opening pays the new plan's price
    world.charge("acc_luna", "op_1", "1", 160_000);

    // then it is right, and the old plan's price would not be
    assert_defects(&world.report(), &[]);
    let usage = world.usage_of("acc_luna", 3);
    (usage.plan, usage.unit_price_micros) = ("payg".into(), 240_000);
    assert_defects(&world.report(), &[(Defect::WrongPrice, 1)]);
}

#[test]
fn a_book_published_after_the_posting_changes_nothing_before() {
    let dearer =
        BOOK.replace("\"version\": 1", "\"version\": 2").replace("0.24", "0.48").replace("2025-01-01", "2025-06-01");
    // given a charge by version 1, when version 2 is published an hour after, reaching back
    let mut world = damaged(|_| {});
    world.books.push((NOON + 3_600_000, dearer));
    // then nothing is wrong
    assert_defects(&world.report(), &[]);
    // but when it was published an hour before, all of plan payg is: three charges of luna, and sol's version
    world.books[1].0 = NOON - 3_600_000;
    assert_defects(&world.report(), &[(Defect::WrongPrice, 4)]);
    // and in the minutes before, the meter may not have read it
    world.books[1].0 = NOON - 60_000;
    assert_defects(&world.report(), &[]);
}

#[test]
fn a_second_document_of_a_version_is_ignored() {
    let world = damaged(|world| world.books.push((NOON - 3_600_000, BOOK.replace("0.24", "0.99"))));
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::PriceBooks), 1);
}

#[test]
fn an_operation_charged_twice_is_counted() {
    // given the repeat of a record that was charged again
    let mut world = damaged(|_| {});
    let mut record = world.usage[0].clone();
    record.offset = world.next_offset("usage", record.partition);
    world.posted_from(&record, "acc_luna", "op_1", 1, "1", 240_000);
    world.usage.push(record);
    assert_defects(&world.report(), &[(Defect::Doubled, 1)]);
}

#[test]
fn a_charge_after_the_ids_are_forgotten_is_not_a_double() {
    let mut world = damaged(|_| {});
    world.charge("acc_luna", "op_1", "1", 240_000);
    let mut options = super::super::AuditOptions {
        partitions: super::world::PARTITIONS,
        input_generation: 0,
        age_max_ms: 1 << 40,
        future_max_ms: 1 << 40,
        retention_ms: 1 << 40,
        price_book_stale_ms: 300_000,
        examples_max: 0,
    };
    assert_defects(&world.report_with(options), &[(Defect::Doubled, 1)]);
    options.retention_ms = 0;
    assert_defects(&world.report_with(options), &[]);
}

#[test]
fn a_failed_attempt_listed_twice_is_counted() {
    let mut world = damaged(|_| {});
    world.fail("acc_sol", "op_9", 1);
    assert_defects(&world.report(), &[]);
    world.fail("acc_sol", "op_9", 1);
    assert_defects(&world.report(), &[(Defect::Doubled, 1)]);
}

#[test]
fn a_failure_listed_after_the_charge_is_counted() {
    let mut world = damaged(|_| {});
    world.fail("acc_luna", "op_1", 2);
    assert_defects(&world.report(), &[(Defect::WronglyPosted, 1)]);
}

#[test]
fn a_command_carried_out_twice_is_counted() {
    let mut world = damaged(|_| {});
    world.top_up("acc_luna", "top-1", 50_000_000);
    assert_defects(&world.report(), &[(Defect::Doubled, 1)]);
}

#[test]
fn a_source_record_used_twice_is_counted() {
    let mut world = damaged(|_| {});
    let record = world.usage[0].clone();
    world.posted_from(&record, "acc_luna", "op_again", 1, "1", 240_000);
    let report = world.report();
    // That the second entry says something else than the record is not looked for once more.
    assert_defects(&report, &[(Defect::SourceReused, 1)]);
}

#[test]
fn an_opening_that_moves_money_is_counted() {
    let world = damaged(|world| {
        let entries = world.ledger.iter_mut().filter(|stored| stored.record.account_id == "acc_sol");
        for entry in entries.flat_map(|stored| &mut stored.record.entries) {
            entry.balance_after_micros += 5;
            if matches!(entry.kind, Some(Kind::AccountOpened(_))) {
                entry.amount_micros = 5;
            }
        }
    });
    // By itself, and against its command.
    assert_defects(&world.report(), &[(Defect::WrongContent, 2)]);
}

#[test]
fn a_status_that_is_neither_is_counted() {
    let world = damaged(|world| world.usage_of("acc_luna", 5).status = UsageStatus::Unspecified.into());
    assert_defects(&world.report(), &[(Defect::FailedCharged, 1)]);
}
