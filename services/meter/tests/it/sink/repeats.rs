//! What was inserted once and is inserted again counts once.

use prost::Message as _;
use tollbooth_schemas::v1::LedgerRecord;

use super::harness::{NOON, World, account, usage, wait_until};

fn twenty(posted_at_ms: i64, prefix: &str) -> Vec<LedgerRecord> {
    (0..20).map(|index| account(&format!("acc_{prefix}{index}"), posted_at_ms + index, 9)).collect()
}

#[test]
fn a_crash_between_intent_and_insert_loses_nothing() {
    // given a sink that said what it is about to insert, and died
    let world = World::new("before", 3);
    world.migrate();
    world.keep_all_ranges();
    world.write_between_aborted(&twenty(NOON, ""));
    let block = world.read_block(&[0, 0, 0], 20);
    world.commit(&block.ranges);
    // More came since: the repeat must not take it along.
    world.write_between_aborted(&twenty(NOON + 1_000, "later"));

    // when the next one starts
    let running = world.start();
    world.wait_for_rows(400);

    // then it repeated that block, the same one, and went on
    assert!((running.metric("tollbooth_sink_repeated_blocks_total") - 1.0).abs() < f64::EPSILON);
    running.stop().unwrap();
    world.assert_exact(400);
    let first = "SELECT token, rows FROM {db}.sunk_ranges ORDER BY position LIMIT 1";
    assert_eq!(world.query(first), format!("{}\t{}", block.token, block.rows));
}

#[test]
fn a_crash_between_insert_and_commit_doubles_nothing() {
    // given a sink that inserted, and died before it said so
    let world = World::new("after", 3);
    world.migrate();
    world.write_between_aborted(&twenty(NOON, ""));
    let block = world.read_block(&[0, 0, 0], 20);
    world.commit(&block.ranges);
    world.runtime.block_on(world.store().record_ranges(&block)).unwrap();
    world.runtime.block_on(world.store().insert_block(&block.token, block.body.clone())).unwrap();
    world.assert_exact(200);
    world.write_between_aborted(&twenty(NOON + 1_000, "later"));

    // when the next one starts
    let running = world.start();
    world.wait_for_rows(400);
    running.stop().unwrap();

    // then the block is there once, in every table, and its ranges are written down once
    world.assert_exact(400);
    let repeats = format!("SELECT count() FROM {{db}}.sunk_ranges WHERE token = '{}'", block.token);
    assert_eq!(world.count(&repeats), 1);
}

#[test]
fn a_block_of_many_accounts_is_one_part_of_each_table_and_counts_once() {
    // given a block with more accounts than the server hands on at once
    let world = World::new("many", 3);
    world.migrate();
    let records: Vec<_> = (0..70_000)
        .map(|index| {
            let entries = vec![usage(1, &mut 0, NOON)];
            let account_id = format!("acc_{index}");
            let record = LedgerRecord { account_id, posted_at_ms: NOON, input_generation: 1, entries };
            (index % 3, record.encode_to_vec())
        })
        .collect();
    for part in records.chunks(20_000) {
        world.write(part, true);
    }
    let block = world.read_block(&[0, 0, 0], 70_000);
    assert_eq!(block.rows, 70_000);
    for table in TABLES {
        world.query(&format!("SYSTEM STOP MERGES {{db}}.{table}"));
    }

    // when it is inserted, and again under its token
    for _ in 0..2 {
        world.runtime.block_on(world.store().insert_block(&block.token, block.body.clone())).unwrap();
    }

    // then every table has it once, as one part: one row of it tells that all of it is there
    world.assert_exact(70_000);
    for table in TABLES {
        let parts = format!(
            "SELECT count() FROM system.parts WHERE database = '{{db}}' AND table = '{table}' AND active AND rows > 0"
        );
        assert_eq!(world.count(&parts), 1, "parts of {table}");
    }
}

/// The table, and the targets of its views.
const TABLES: [&str; 5] =
    ["ledger", "usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth", "account_balances"];

/// Which of [`TABLES`] have rows of accounts that begin with `acc_` and the prefix.
fn tables_with(world: &World, prefix: &str) -> Vec<&'static str> {
    let has = |table: &str| {
        world.count(&format!("SELECT count() FROM {{db}}.{table} WHERE account_id LIKE 'acc_{prefix}%'")) > 0
    };
    TABLES.into_iter().filter(|table| has(table)).collect()
}

#[test]
fn a_view_that_lacks_a_block_of_the_table_is_caught_up_by_the_repeat() {
    // given a block that is in the table, and not in the view that could not be fed
    let world = World::new("lack", 3);
    world.migrate();
    world.write_between_aborted(&twenty(NOON, ""));
    let block = world.read_block(&[0, 0, 0], 20);
    world.commit(&block.ranges);
    world.runtime.block_on(world.store().record_ranges(&block)).unwrap();
    world.query("DETACH TABLE {db}.usage_15m_by_event_mv SYNC");
    world.runtime.block_on(world.store().insert_block(&block.token, block.body.clone())).unwrap();
    world.query("ATTACH TABLE {db}.usage_15m_by_event_mv");
    assert_eq!(world.count("SELECT count() FROM {db}.ledger"), 200);
    assert_eq!(world.count("SELECT count() FROM {db}.usage_15m_by_event"), 0);

    // when the sink repeats it
    let running = world.start();
    wait_until("the block is through", || running.metric("tollbooth_sink_rows_inserted_total") >= 200.0);
    running.stop().unwrap();

    // then the view has it, and nobody has it twice
    world.assert_exact(200);
}

#[test]
fn a_view_that_fails_once_is_caught_up_by_the_repeat() {
    // given a sink at work
    let world = World::new("view", 2);
    let running = world.start();
    world.write_between_aborted(&twenty(NOON, ""));
    world.wait_for_rows(200);

    // when the target of one view takes no part more: each in turn, because the order in which ClickHouse feeds the table
    // and its views differs per database
    let mut rows = 200;
    let mut landed = Vec::new();
    for target in &TABLES[1..] {
        world.query(&format!("ALTER TABLE {{db}}.{target} MODIFY SETTING parts_to_throw_insert = 1"));
        let retried = running.metric("tollbooth_sink_insert_retries_total");
        world.write_between_aborted(&twenty(NOON + i64::try_from(rows).unwrap(), target));
        wait_until("the insert fails", || running.metric("tollbooth_sink_insert_retries_total") >= retried + 2.0);
        landed.push(tables_with(&world, target));
        assert!(!landed.last().unwrap().contains(target), "{target} took no part");

        // and then it takes parts again
        world.query(&format!("ALTER TABLE {{db}}.{target} RESET SETTING parts_to_throw_insert"));
        rows += 200;
        let all = f64::from(u32::try_from(rows).unwrap());
        wait_until("the block is through", || running.metric("tollbooth_sink_rows_inserted_total") >= all);
    }
    running.stop().unwrap();

    // then inserts were half done, which is the state that a repeat must complete, and every block is there once
    assert!(landed.iter().any(|tables| !tables.is_empty()), "no insert was half done");
    world.assert_exact(rows);
}

#[test]
fn a_repeat_after_many_other_blocks_counts_once_and_without_the_window_twice() {
    let world = World::new("window", 1);
    world.migrate();
    let store = world.store();
    let insert = |block: &tollbooth_meter::sink::block::Block| {
        world.runtime.block_on(store.insert_block(&block.token, block.body.clone())).unwrap();
    };
    world.write_between_aborted(&twenty(NOON, ""));
    let first = world.read_block(&[0], 20);

    // given a block, and 150 others after it
    insert(&first);
    for index in 0..150 {
        let mut queue = tollbooth_meter::sink::block::Queue::new("c", "t", &[1_000 + index]);
        let record = account(&format!("acc_other{index}"), NOON, 1);
        queue.push(0, 1_000 + index, &prost::Message::encode_to_vec(&record)).unwrap();
        let limits = tollbooth_meter::sink::block::BlockLimits { rows: 10, bytes: 100_000 };
        insert(&queue.cut(limits).unwrap().unwrap());
    }

    // when the first one is repeated
    insert(&first);

    // then it counts once
    world.assert_exact(200 + 300);

    // And so that this test could fail: with the server's default on one target, that target doubles.
    world.query("ALTER TABLE {db}.usage_15m_by_event MODIFY SETTING non_replicated_deduplication_window = 0");
    let count = || world.count("SELECT toUInt64(sum(count) + sum(failed)) FROM {db}.usage_15m_by_event");
    let before = count();
    insert(&first);
    assert_eq!(count(), before + 20 * 8, "the view without a window takes the repeat");
    assert_eq!(world.count("SELECT count() FROM {db}.ledger"), 500, "the table with one does not");
}

#[test]
fn a_token_of_each_attempt_would_double() {
    // Why the token is made of the ranges alone.
    let world = World::new("attempt", 1);
    world.migrate();
    world.write_between_aborted(&twenty(NOON, ""));
    let block = world.read_block(&[0], 20);
    for attempt in 0..2 {
        let token = format!("{}-{attempt}", block.token);
        world.runtime.block_on(world.store().insert_block(&token, block.body.clone())).unwrap();
    }
    assert_eq!(world.count("SELECT count() FROM {db}.ledger"), 400);
}
