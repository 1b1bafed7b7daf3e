//! Defects of the projection.

use rust_decimal::Decimal;

use super::{
    super::{Audit, AuditOptions, Defect, Rollup, Unchecked},
    assert_defects,
    world::{PARTITIONS, World},
};

fn damaged(damage: impl FnOnce(&mut World)) -> super::Report {
    let mut world = World::with_history();
    damage(&mut world);
    world.report()
}

#[test]
fn a_missing_a_doubled_and_an_invented_row_are_counted() {
    assert_defects(&damaged(|world| drop(world.rows.remove(3))), &[(Defect::RowMissing, 1)]);
    let doubled = damaged(|world| {
        let row = world.rows[3].clone();
        world.rows.push(row);
    });
    assert_defects(&doubled, &[(Defect::RowDoubled, 1)]);
    let invented = damaged(|world| {
        let mut row = world.rows[3].clone();
        row.1.entries[0].seq = 99;
        world.rows.push(row);
    });
    assert_defects(&invented, &[(Defect::RowUnexpected, 1)]);
}

#[test]
fn a_row_that_differs_in_any_field_is_counted() {
    let damages: [fn(&mut tollbooth_schemas::v1::LedgerRecord); 6] = [
        |record| record.entries[0].amount_micros += 1,
        |record| record.entries[0].balance_after_micros += 1,
        |record| record.entries[0].source_offset += 1,
        |record| record.entries[0].occurred_at_ms += 1,
        |record| record.posted_at_ms += 1,
        |record| record.input_generation += 1,
    ];
    for damage in damages {
        assert_defects(&damaged(|world| damage(&mut world.rows[4].1)), &[(Defect::RowDiffers, 1)]);
    }
    let other_booth = damaged(|world| {
        if let Some(tollbooth_schemas::v1::entry::Kind::Usage(usage)) = &mut world.rows[4].1.entries[0].kind {
            usage.booth_id = "bth_9".into();
        }
    });
    assert_defects(&other_booth, &[(Defect::RowDiffers, 1)]);
}

#[test]
fn a_doubled_block_is_seen_in_every_table_it_reached() {
    // given a block that was inserted a second time, whole
    let report = damaged(|world| {
        world.rows.extend(world.rows.clone());
        world.rollups.extend(world.rollups.clone());
    });
    assert_eq!(report.count(Defect::RowDoubled), 8);
    assert!(report.count(Defect::RollupOff) >= 3, "{report}");
}

#[test]
fn every_sum_of_every_rollup_is_compared() {
    for rollup in Rollup::ALL {
        let damages: [fn(&mut super::world::RollupStored); 6] = [
            |row| row.sums.0 += 1,
            |row| row.sums.1 += 1,
            |row| row.sums.2 += 1,
            |row| row.sums.3 += 1,
            |row| row.sums.4 += 1,
            |row| row.bucket += 900,
        ];
        for (index, damage) in damages.into_iter().enumerate() {
            let report = damaged(|world| damage(world.rollups.iter_mut().find(|row| row.rollup == rollup).unwrap()));
            // A row in another bucket is missing in one and too much in the other.
            let count = if index == 5 { 2 } else { 1 };
            assert_defects(&report, &[(Defect::RollupOff, count)]);
        }
        let report = damaged(|world| world.rollups.retain(|row| row.rollup != rollup));
        assert!(report.count(Defect::RollupOff) > 0, "{rollup:?}: {report}");
    }
}

#[test]
fn a_balance_that_is_off_is_counted_and_drifts() {
    let report = damaged(|world| world.balances[0].1.1 += 70_000);
    assert_defects(&report, &[(Defect::BalanceOff, 1)]);
    assert_eq!(report.drift(), Decimal::new(70_000, 6));
    assert_defects(&damaged(|world| drop(world.balances.remove(0))), &[(Defect::BalanceOff, 1)]);
    assert_defects(&damaged(|world| world.balances[0].3.1 = "pro".into()), &[(Defect::BalanceOff, 1)]);
    assert_defects(&damaged(|world| world.balances[0].2.1 = "Sol".into()), &[(Defect::BalanceOff, 1)]);
    let ahead = damaged(|world| world.balances[0].1.0 += 1);
    assert_defects(&ahead, &[(Defect::RowUnexpected, 1)]);
}

#[test]
fn what_is_posted_meanwhile_is_not_compared() {
    // given tables that already show a charge which the audit has not read
    let mut world = World::with_history();
    world.charge("acc_luna", "op_meanwhile", "1", 240_000);
    world.sink();
    let tail = world.ledger.pop().unwrap();
    let partition = tail.partition;
    world.usage.retain(|record| {
        !(record.partition == partition && String::from_utf8_lossy(&record.payload).contains("meanwhile"))
    });

    // then without the tail that is too much
    let report = world.report();
    assert!(report.count(Defect::RowUnexpected) > 0 && report.count(Defect::RollupOff) == 3, "{report}");

    // and with it, it is not looked at
    world.tail.push(tail);
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_unchecked(Unchecked::RowsMoving), 2);
    assert_eq!(report.count_unchecked(Unchecked::RollupsMoving), 3);

    // while other rows still are
    world.rows.remove(0);
    assert_defects(&world.report(), &[(Defect::RowMissing, 1)]);
}

#[test]
fn a_table_without_its_settings_is_counted() {
    const GOOD: &str = "CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a SETTINGS \
                        non_replicated_deduplication_window = 100000, fsync_after_insert = 1, index_granularity = 8192";
    let count = |definition: Option<&str>| {
        let mut audit = Audit::new(AuditOptions {
            partitions: PARTITIONS,
            input_generation: 0,
            age_max_ms: 0,
            future_max_ms: 0,
            retention_ms: 0,
            price_book_stale_ms: 300_000,
            examples_max: 0,
        });
        audit.table_settings("t", definition);
        audit.finish().count(Defect::SettingOff)
    };
    assert_eq!(count(Some(GOOD)), 0);
    assert_eq!(count(Some(&GOOD.replace("non_replicated_ded", "replicated_ded"))), 0);
    assert_eq!(count(Some(&GOOD.replace("100000", "10"))), 1);
    assert_eq!(count(Some(&GOOD.replace("fsync_after_insert = 1", "fsync_after_insert = 0"))), 1);
    assert_eq!(count(Some("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")), 2);
    assert_eq!(count(None), 1);
}
