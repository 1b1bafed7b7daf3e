//! A server that forgot which blocks it has, as a loss of power between a part and its token leaves it.

use tollbooth_meter::sink::block::Block;
use tollbooth_meter::sink::{Remedy, SinkError};

use super::harness::{NOON, World, account};

pub(super) const TABLES: [&str; 5] =
    ["ledger", "usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth", "account_balances"];

/// A window of 0 drops every token that is known; parts stay.
pub(super) fn forget_tokens(world: &World, tables: &[&str]) {
    for table in tables {
        for window in [0, 100_000] {
            let setting = format!("non_replicated_deduplication_window = {window}");
            world.query(&format!("ALTER TABLE {{db}}.{table} MODIFY SETTING {setting}"));
        }
    }
}

/// A world whose sink inserted a block of 200 rows behind one of 100, and died before it said so.
fn undecided(name: &str) -> (World, Block) {
    let world = World::new(name, 3);
    let records = |from: i64, count| -> Vec<_> {
        (from..from + count).map(|index| account(&format!("acc_{index}"), NOON + index, 9)).collect()
    };
    world.write_between_aborted(&records(0, 10));
    world.sink_until(100);
    let begins: Vec<i64> = world.committed().unwrap().iter().map(|range| range.begin).collect();
    world.write_between_aborted(&records(10, 20));
    let block = world.read_block(&begins, 20);
    world.commit(&block.ranges);
    world.runtime.block_on(world.store().record_ranges(&block)).unwrap();
    world.runtime.block_on(world.store().insert_block(&block.token, block.body.clone())).unwrap();
    world.assert_exact(300);
    (world, block)
}

fn stopped(world: &World) -> String {
    let error = world.start().thread.join().unwrap().unwrap_err();
    assert!(matches!(error, SinkError::Contradiction(_)), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
    error.to_string()
}

#[test]
fn a_block_that_is_whole_is_not_repeated_although_the_server_forgot_it() {
    // given a block in every table whose tokens are gone
    let (world, block) = undecided("forgot");
    forget_tokens(&world, &TABLES);

    // when the next sink starts and more comes
    world.write_between_aborted(&[account("acc_more", NOON + 1_000, 4)]);
    world.sink_until(305);

    // then nothing is doubled
    world.assert_exact(305);

    // And so that this test could fail: the repeat alone would double it.
    forget_tokens(&world, &TABLES);
    world.runtime.block_on(world.store().insert_block(&block.token, block.body)).unwrap();
    assert_eq!(world.count("SELECT count() FROM {db}.ledger"), 505);
}

#[test]
fn a_table_that_lacks_the_block_gets_it_from_the_repeat() {
    for table in &TABLES[1..] {
        // given a block that one target does not have, and the server knows it
        let (world, _) = undecided("lacking");
        let block = "account_id IN (SELECT account_id FROM {db}.ledger WHERE posted_at >= toDateTime64('2026-11-21 20:15:00.010', 3, 'UTC'))";
        world.query(&format!("ALTER TABLE {{db}}.{table} DELETE WHERE {block} SETTINGS mutations_sync = 2"));
        forget_tokens(&world, &[*table]);

        // when the next sink starts
        world.write_between_aborted(&[account("acc_more", NOON + 1_000, 4)]);
        world.sink_until(305);

        // then it is there, once
        world.assert_exact(305);
    }
}

#[test]
fn a_repeat_that_doubles_stops_the_sink_and_is_not_tried_again() {
    // given a block that is half there, and a server that forgot all of it: no repeat can put that right
    let (world, _) = undecided("doubled");
    world.query("ALTER TABLE {db}.usage_15m_by_booth DELETE WHERE 1 SETTINGS mutations_sync = 2");
    forget_tokens(&world, &TABLES);

    // when the next sink starts, and once more
    let told = [stopped(&world), stopped(&world)];

    // then it says so, and has not made it worse
    assert!(told.iter().all(|text| text.contains("stands in ledger twice")), "{told:?}");
    assert_eq!(world.count("SELECT count() FROM {db}.ledger"), 500);
}

#[test]
fn a_token_without_its_block_stops_the_sink() {
    // given a server that knows the token and has lost the rows
    let (world, _) = undecided("hollow");
    let block = "posted_at >= toDateTime64('2026-11-21 20:15:00.010', 3, 'UTC')";
    world.query(&format!("ALTER TABLE {{db}}.ledger DELETE WHERE {block} SETTINGS mutations_sync = 2"));
    assert_eq!(world.count("SELECT count() FROM {db}.ledger"), 100);

    // when the next sink repeats the block
    let told = stopped(&world);

    // then it has seen that the repeat did nothing, and commits nothing
    assert!(told.contains("does not stand in ledger"), "{told}");
    assert!(world.committed().unwrap().iter().any(|range| !range.is_empty()));
}
