//! A database that is filled from nothing beside the one in use.

use prost::Message as _;
use tollbooth_meter::config::MeterConfig;
use tollbooth_meter::rebuild::{self, RebuildArgs, Rebuilt};

use tollbooth_meter::sink::SinkConfig;
use tollbooth_meter::sink::block::{BlockLimits, Queue};
use tollbooth_meter::sink::store::Store;
use tollbooth_schemas::v1::LedgerRecord;

use super::harness::{NOON, World, account, usage, wait_until};

const TABLES: [&str; 5] =
    ["ledger", "usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth", "account_balances"];
const MONTH_MS: i64 = 31 * 86_400_000;

fn fill(world: &World, database: &str) -> Rebuilt {
    let mut config = MeterConfig {
        kafka: world.options.kafka.clone(),
        clickhouse: world.options.clickhouse.clone(),
        sink: world.options.sink.clone(),
        member_id: "meter-0".to_owned(),
        ..MeterConfig::default()
    };
    config.topics.partitions = world.binding.partitions;
    rebuild::run(&config, &RebuildArgs { database: database.to_owned(), block_rows: 1_000 }).unwrap()
}

/// A world whose database in use has a ledger of three months and 2,000 rows, and the name of another one.
fn given(name: &str) -> (World, String) {
    let world = World::new(name, 3);
    let months = [NOON - 2 * MONTH_MS, NOON - MONTH_MS, NOON];
    let records = (0..200).map(|index| {
        let posted_at_ms = months[index / 70] + i64::try_from(index).unwrap();
        account(&format!("acc_{:03}", index * 7 % 200), posted_at_ms, 9)
    });
    // The end of a partition is a marker, behind records that were given up.
    world.write_between_aborted(&records.collect::<Vec<_>>());
    world.sink_until(2_000);
    let other = format!("{}_2", world.database());
    (world, other)
}

/// Whether both databases have the same in a table: rollups and balances as they are asked for, parts merged.
fn assert_same(world: &World, other: &str) {
    for table in TABLES {
        let merged = if table == "ledger" { "" } else { "FINAL" };
        let rows = |database: &str| format!("SELECT * FROM {database}.{table} {merged}");
        let differing =
            |one: &str, two: &str| world.count(&format!("SELECT count() FROM ({} EXCEPT {})", rows(one), rows(two)));
        assert_eq!(differing("{db}", other), 0, "rows of {table} that the new one lacks");
        assert_eq!(differing(other, "{db}"), 0, "rows of {table} that only the new one has");
        let count = |database: &str| world.count(&format!("SELECT count() FROM ({})", rows(database)));
        assert_eq!(count("{db}"), count(other), "rows of {table}");
    }
}

/// How the tables are made, without the name of their database.
fn made(world: &World, database: &str) -> String {
    world.query(&format!(
        "SELECT name, replaceAll(create_table_query, '{database}', '') FROM system.tables WHERE database = '{database}' ORDER BY name"
    ))
}

#[test]
fn a_database_that_is_filled_anew_has_what_the_one_in_use_has_and_is_made_the_same() {
    let (world, other) = given("anew");

    // when another one is filled, in more than one block of a month
    let rebuilt = fill(&world, &other);

    // then it has every row once, in the same tables with the same settings
    assert_eq!(rebuilt.rows, 2_000);
    assert_same(&world, &other);
    assert_eq!(made(&world, &other), made(&world, world.database()));
    // and what is posted later is found by doing it again
    world.write(&[(0, account("acc_later", NOON, 9).encode_to_vec())], true);
    assert_eq!(fill(&world, &other).rows, 10);
    assert_eq!(made(&world, &other), made(&world, world.database()));
    // and one that is lost is filled from the beginning, although its offsets are at the end
    world.query(&format!("DROP DATABASE {other} SYNC"));
    assert_eq!(fill(&world, &other).rows, 2_010);
    assert_eq!(world.count(&format!("SELECT count() FROM {other}.ledger")), 2_010);
}

#[test]
fn who_takes_over_a_database_that_was_not_filled_to_its_end_has_the_settings_of_the_schema() {
    let (world, other) = given("taken");
    fill(&world, &other);

    // given one whose filling ended before it was done
    for table in TABLES {
        world.query(&format!(
            "ALTER TABLE {other}.{table} MODIFY SETTING min_parts_to_merge_at_once = 100, min_bytes_for_wide_part = 1073741824"
        ));
    }

    // when a sink goes on with it
    let mut options = world.options.clone();
    options.clickhouse.database.clone_from(&other);
    options.sink.offsets_group = format!("ledger-sink-{other}");
    options.sink.lease_group = format!("tollbooth-sink-{other}");
    let running = World::start_with(options);
    wait_until("it is active", || running.is_active());
    running.stop().unwrap();

    // then its tables are as they were made
    assert_eq!(made(&world, &other), made(&world, world.database()));
}

#[test]
fn an_empty_ledger_gives_empty_tables() {
    let world = World::new("nothing", 2);
    let other = format!("{}_2", world.database());
    assert_eq!(fill(&world, &other).rows, 0);
    assert_eq!(world.count(&format!("SELECT count() FROM {other}.ledger")), 0);
}

#[test]
fn a_block_of_more_groups_than_the_server_keeps_in_one_table_is_one_part_of_each_and_counts_once() {
    // given a block whose accounts come in no order, from two partitions
    let world = World::new("large", 2);
    world.migrate();
    let mut queue = Queue::new("cluster", "ledger", &[0, 0]);
    for index in 0..150_000_i32 {
        let account_id = format!("acc_{:06}", index.wrapping_mul(7_919).rem_euclid(150_000));
        let entries = vec![usage(1, &mut 0, NOON)];
        let record = LedgerRecord { account_id, posted_at_ms: NOON, input_generation: 1, entries };
        queue.push(index % 2, i64::from(index / 2), &record.encode_to_vec()).unwrap();
    }
    let block = queue.cut(BlockLimits { rows: 400_000, bytes: 160 << 20 }).unwrap().unwrap();
    assert_eq!(block.rows, 150_000);

    // when it is inserted as a database is filled, and again under its token
    let config = SinkConfig { is_filling: true, ..world.options.sink.clone() };
    let store = Store::new(&world.options.clickhouse, &config);
    world.runtime.block_on(store.set_filling(true)).unwrap();
    for _ in 0..2 {
        world.runtime.block_on(store.insert_block(&block.token, block.body.clone())).unwrap();
    }

    // then every table has it once, as one part
    world.assert_exact(150_000);
    for table in TABLES {
        let parts = format!(
            "SELECT count() FROM system.parts WHERE database = '{{db}}' AND table = '{table}' AND active AND rows > 0"
        );
        assert_eq!(world.count(&parts), 1, "parts of {table}");
    }
}
