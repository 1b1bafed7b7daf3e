//! Defects between the ledger and what it was made from.

use tollbooth_schemas::{
    dead_letter::Reason,
    time::DAY_MS,
    v1::{PostAdjustment, command::Body},
};

use super::{
    super::{Checked, Defect, Unchecked},
    assert_defects,
    world::{NOON, World, home},
};

fn world() -> World {
    let mut world = World::with_history();
    world.tables = false;
    world
}

#[test]
fn a_consumed_record_without_a_trace_is_lost() {
    let mut world = world();
    let record = world.structured("acc_luna", "op_lost", "1", "success");
    world.usage.push(record);
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
}

#[test]
fn a_record_that_is_not_consumed_yet_is_not_lost() {
    let mut world = world();
    let record = world.structured("acc_luna", "op_new", "1", "success");
    world.usage.push(record);
    world.behind = 1;
    let report = world.report();
    assert_defects(&report, &[]);
    assert!(report.count_unchecked(Unchecked::NotConsumed) >= 1);
}

#[test]
fn a_missing_entry_makes_its_record_and_its_repeat_lost() {
    // given a charge whose entry was never written, and its duplicate
    let mut world = world();
    for _ in 0..2 {
        let record = world.structured("acc_luna", "op_gone", "1", "success");
        world.usage.push(record);
    }
    assert_defects(&world.report(), &[(Defect::Lost, 2)]);
}

#[test]
fn a_repeat_before_its_entry_is_no_duplicate() {
    // given two equal records, the second of which was charged
    let mut world = world();
    let first = world.structured("acc_luna", "op_late", "1", "success");
    world.usage.push(first);
    world.charge("acc_luna", "op_late", "1", 240_000);
    // then the first one was passed over
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
}

#[test]
fn other_content_for_a_charged_operation_is_no_duplicate() {
    let mut world = world();
    let record = world.structured("acc_luna", "op_1", "9", "success");
    world.usage.push(record.clone());
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
    world.dead_of(&record, Reason::Conflict);
    assert_defects(&world.report(), &[]);
}

#[test]
fn a_failure_after_the_charge_is_stale_or_a_dead_letter_by_its_attempt() {
    let mut world = world();
    let late = world.event("acc_luna", "op_4", 2, "1", "failed", "nano");
    world.usage.push(late.clone());
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
    world.dead_of(&late, Reason::FailedAfterCharge);
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Stale), 1);
}

#[test]
fn a_charge_of_another_quantity_than_reported_is_wrong() {
    // given an entry for 2 images, priced as such, and a record about 1
    let mut world = world();
    let record = world.structured("acc_sol", "op_more", "1", "success");
    world.posted_from(&record, "acc_sol", "op_more", 1, "2", 320_000);
    world.usage.push(record);
    let report = world.report();
    assert_defects(&report, &[(Defect::WrongContent, 1), (Defect::WrongPrice, 1)]);
    assert_eq!(report.drift().to_string(), "0.160000");
}

#[test]
fn what_is_not_priced_is_compared_as_well() {
    let damages: [fn(&mut World); 5] = [
        |world| world.usage_of("acc_luna", 4).provider_cost_micros = None,
        |world| world.usage_of("acc_luna", 4).booth_id = "bth_2".into(),
        |world| world.usage_of("acc_luna", 4).received_at_ms += 1,
        |world| world.usage_of("acc_luna", 4).error_code = "x".into(),
        |world| world.usage_of("acc_luna", 4).test_mode = true,
    ];
    for damage in damages {
        let mut world = world();
        damage(&mut world);
        assert_defects(&world.report(), &[(Defect::WrongContent, 1)]);
    }
}

#[test]
fn an_entry_without_its_record_is_counted() {
    let mut world = world();
    world.usage.remove(1);
    assert_defects(&world.report(), &[(Defect::SourceMissing, 1)]);
}

#[test]
fn an_entry_older_than_the_topic_is_unchecked() {
    let mut world = world();
    world.usage_low = i64::MAX;
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_unchecked(Unchecked::SourceCut), 5);
}

#[test]
fn an_entry_of_an_earlier_generation_is_unchecked() {
    let mut world = world();
    for stored in &mut world.ledger {
        stored.record.input_generation = 0;
    }
    let mut options = super::super::AuditOptions {
        partitions: super::world::PARTITIONS,
        input_generation: 1,
        age_max_ms: DAY_MS,
        future_max_ms: DAY_MS,
        retention_ms: DAY_MS,
        price_book_stale_ms: 300_000,
        examples_max: 1,
    };
    // The topics now hold repeats of what the earlier ones held: duplicates, all but the commands' keys as well.
    let report = world.report_with(options);
    assert_eq!(report.count_unchecked(Unchecked::SourceGeneration), 8, "{report}");
    options.input_generation = 0;
    assert_eq!(world.report_with(options).count_unchecked(Unchecked::SourceGeneration), 0);
}

#[test]
fn posting_what_must_be_refused_is_counted() {
    // given a record that is 40 days old at its receipt, and posted
    let mut world = world();
    world.charge("acc_luna", "op_old", "1", 240_000);
    let old_received_at_ms = NOON + 40 * DAY_MS;
    world.usage.last_mut().unwrap().timestamp_ms = old_received_at_ms;
    if let Some(tollbooth_schemas::v1::entry::Kind::Usage(usage)) = &mut world.last_entry().kind {
        usage.received_at_ms = old_received_at_ms;
    }
    assert_defects(&world.report(), &[(Defect::WronglyPosted, 1)]);

    // given a record under a foreign key, and posted
    let mut world = self::world();
    world.usage[0].key = b"acc_other".to_vec();
    let report = world.report();
    assert_eq!(report.count(Defect::WronglyPosted), 1, "{report}");
}

#[test]
fn every_reason_is_found_again() {
    let mut world = world();
    let cases: Vec<(super::world::Stored, Reason)> = vec![
        (world.structured("acc_nobody", "op_a", "1", "success"), Reason::UnknownAccount),
        (world.event("acc_luna", "op_b", 1, "1", "success", "prototype"), Reason::NoPrice),
        (world.event("acc_luna", "op_c", 1, "1", "success", "sora"), Reason::EngineRetired),
        (world.structured("acc_luna", "op_d", "99999999999999", "success"), Reason::OutOfRange),
        (world.structured("acc_luna", "op_e", "0", "success"), Reason::Malformed),
        (world.structured("acc_luna", "op_1", "3", "success"), Reason::Conflict),
    ];
    let mut unit = world.structured("acc_luna", "op_f", "1", "success");
    unit.payload = String::from_utf8(unit.payload).unwrap().replace("\"image\"", "\"job\"").into_bytes();
    let mut key = world.structured("acc_luna", "op_g", "1", "success");
    key.key = Vec::new();
    let mut old = world.structured("acc_luna", "op_h", "1", "success");
    old.timestamp_ms = NOON + 36 * DAY_MS;
    let mut ahead = world.structured("acc_luna", "op_i", "1", "success");
    ahead.timestamp_ms = NOON - 3_600_001;
    let more =
        [(unit, Reason::UnitMismatch), (key, Reason::WrongPartition), (old, Reason::TooOld), (ahead, Reason::InFuture)];
    let cases: Vec<_> = cases.into_iter().chain(more).collect();
    for (record, reason) in &cases {
        world.usage.push(record.clone());
        world.dead_of(record, *reason);
    }
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::DeadLetters), 10);

    // and with any other reason each is unfounded
    for (index, (record, reason)) in cases.iter().enumerate() {
        for other in Reason::ALL.iter().filter(|other| *other != reason) {
            let mut world = World::with_history();
            world.tables = false;
            let mut record = record.clone();
            record.offset = world.next_offset("usage", record.partition);
            world.usage.push(record.clone());
            world.dead_of(&record, *other);
            let report = world.report();
            assert_eq!(report.count(Defect::DeadUnfounded), 1, "case {index} as {other:?}: {report}");
        }
    }
}

#[test]
fn a_good_record_among_the_dead_letters_is_counted() {
    let mut world = world();
    let record = world.structured("acc_luna", "op_good", "1", "success");
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::NoPrice);
    assert_defects(&world.report(), &[(Defect::DeadUnfounded, 1)]);
}

#[test]
fn a_record_that_is_posted_and_dead_is_counted() {
    let mut world = world();
    let record = world.usage[0].clone();
    world.dead_of(&record, Reason::NoPrice);
    assert_defects(&world.report(), &[(Defect::DeadUnexpected, 1)]);
}

#[test]
fn a_dead_letter_that_was_written_once_more_is_counted_and_no_defect() {
    // given a record that is dead, judged by a meter, and by one whose group had an older offset
    let mut world = world();
    let record = world.structured("acc_nobody", "op_a", "1", "success");
    world.usage.push(record.clone());
    for _ in 0..3 {
        world.dead_of(&record, Reason::UnknownAccount);
    }
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!((report.count_checked(Checked::DeadLetters), report.count_checked(Checked::DeadRepeats)), (1, 2));

    // and it must be the very record all the same
    world.dead.iter_mut().for_each(|letter| letter.payload.push(b' '));
    assert_defects(&world.report(), &[(Defect::DeadAltered, 1)]);
}

#[test]
fn two_dead_letters_of_one_record_that_differ_are_counted() {
    let mut world = world();
    let record = world.structured("acc_nobody", "op_a", "1", "success");
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::NoPrice);
    world.dead_of(&record, Reason::UnknownAccount);
    assert_defects(&world.report(), &[(Defect::DeadDoubled, 1)]);

    let mut world = self::world();
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::UnknownAccount);
    world.dead_of(&record, Reason::UnknownAccount);
    world.dead[0].payload.push(b' ');
    assert_defects(&world.report(), &[(Defect::DeadDoubled, 1)]);
}

#[test]
fn a_dead_letter_once_more_after_the_ledger_has_gone_on_is_counted() {
    // given a dead record, and a charge from behind it in the same partition
    let mut world = world();
    let record = world.event("acc_luna", "op_a", 1, "1", "success", "prototype");
    world.usage.push(record.clone());
    world.charge("acc_luna", "op_behind", "1", 240_000);
    let charged_at_ms = world.ledger.last().unwrap().record.posted_at_ms;
    world.dead_at(&record, Reason::NoPrice, charged_at_ms - 2);

    // when it is written once more before that charge
    world.dead_at(&record, Reason::NoPrice, charged_at_ms - 1);
    assert_defects(&world.report(), &[]);

    // then that may be, and after it may not: the meter skips what lies before the charge
    world.dead_at(&record, Reason::NoPrice, charged_at_ms + 1);
    assert_defects(&world.report(), &[(Defect::DeadDoubled, 1)]);
}

#[test]
fn a_dead_letter_with_other_bytes_is_counted() {
    let mut world = world();
    let record = world.structured("acc_nobody", "op_a", "1", "success");
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::UnknownAccount);
    world.dead[0].payload.push(b' ');
    assert_defects(&world.report(), &[(Defect::DeadAltered, 1)]);
}

#[test]
fn a_lost_top_up_is_counted() {
    let mut world = world();
    let body = |amount_micros| {
        Body::PostAdjustment(PostAdjustment { amount_micros, reason: "top_up".into(), ..PostAdjustment::default() })
    };
    // Refused: nothing to post, or nobody to post it to.
    world.command("acc_luna", "nothing", body(0), None);
    world.command("acc_nobody", "top-2", body(1), None);
    // Carried out before.
    world.command("acc_luna", "top-1", body(50_000_000), None);
    assert_defects(&world.report(), &[]);
    world.command("acc_luna", "top-2", body(1), None);
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
}

#[test]
fn a_top_up_of_another_amount_is_counted() {
    let mut world = world();
    let partition = home("acc_luna");
    let command = world.commands.iter_mut().rfind(|record| record.partition == partition).unwrap();
    let text = b"top_up";
    let at = command.payload.windows(text.len()).position(|window| window == text).unwrap();
    command.payload[at] = b'x';
    assert_defects(&world.report(), &[(Defect::WrongContent, 1)]);
}
