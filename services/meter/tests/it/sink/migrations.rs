//! What a database must be before a row is written to it.

use tollbooth_meter::sink::block::Block;
use tollbooth_meter::sink::migrate::{migrate, migrate_with};
use tollbooth_meter::sink::{Binding, MigrationError};
use tollbooth_schemas::clickhouse::{DEDUPLICATION_WINDOW, MIGRATIONS, Migration, replicated};

use super::harness::{NOON, World, account};

#[test]
fn migrations_are_applied_once_and_in_order() {
    // given an empty server
    let world = World::new("once", 1);
    let store = world.store();
    let apply = || world.runtime.block_on(migrate(store.client(), world.database(), &world.binding)).unwrap();

    // when they are applied twice
    let (first, second) = (apply(), apply());

    // then the second time there is nothing to do
    assert_eq!(first, MIGRATIONS.iter().map(|migration| migration.name).collect::<Vec<_>>());
    assert!(second.is_empty(), "{second:?}");
    assert_eq!(world.count("SELECT count() FROM {db}.schema_migrations"), MIGRATIONS.len() as u64);
    assert_eq!(world.query("SELECT engine FROM system.databases WHERE name = '{db}'"), "Atomic");
}

#[test]
fn starters_at_the_same_time_agree() {
    let world = World::new("together", 1);
    let store = world.store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.runtime.block_on(migrate(store.client(), world.database(), &world.binding)).unwrap());
        }
    });
    assert_eq!(world.count("SELECT count() FROM {db}.schema_migrations"), MIGRATIONS.len() as u64);
    assert_eq!(world.count("SELECT count() FROM {db}.projection"), 1);
}

#[test]
fn a_projection_of_another_cluster_topic_or_partition_count_is_refused() {
    // given a database bound to a ledger
    let world = World::new("bound", 2);
    world.migrate();
    let ours = &world.binding;
    for other in [
        Binding { cluster_id: "another".to_owned(), ..ours.clone() },
        Binding { ledger_topic: "another".to_owned(), ..ours.clone() },
        Binding { partitions: 3, ..ours.clone() },
    ] {
        // when another one comes
        let store = world.store();
        let refused = world.runtime.block_on(migrate(store.client(), world.database(), &other)).unwrap_err();

        // then
        assert!(matches!(refused, MigrationError::OtherLedger { .. }), "{refused}");
        assert!(!refused.is_transient());
    }
}

#[test]
fn a_changed_or_unknown_migration_is_refused_by_name() {
    // given a database
    let world = World::new("changed", 1);
    world.migrate();
    let store = world.store();
    let apply = |migrations: &[Migration]| {
        world.runtime.block_on(migrate_with(store.client(), world.database(), &world.binding, migrations)).unwrap_err()
    };

    // when a file that was applied is edited
    let mut edited = MIGRATIONS.to_vec();
    edited[1].sql = "CREATE TABLE IF NOT EXISTS other (id UInt64) ENGINE = MergeTree ORDER BY id;";
    let refused = apply(&edited);
    assert!(matches!(&refused, MigrationError::Changed { name, .. } if name == edited[1].name), "{refused}");

    // and when an older release comes
    let refused = apply(&MIGRATIONS[..2]);
    assert!(matches!(refused, MigrationError::Newer { version: 3, .. }), "{refused}");
}

/// A migration as the next release may have one: columns, one of which a view fills, an index, a table.
fn next(world: &World) -> Migration {
    let view = "SELECT as_select FROM system.tables WHERE database = '{db}' AND name = 'usage_15m_by_booth_mv'";
    let select = world.query(view).replace("\\'", "'").replacen(" FROM ", ", max(attempt) AS tries FROM ", 1);
    let sql = format!(
        "ALTER TABLE ledger ADD COLUMN IF NOT EXISTS colour LowCardinality(String) AFTER engine;
         ALTER TABLE ledger ADD INDEX IF NOT EXISTS by_colour colour TYPE set(100) GRANULARITY 1;
         ALTER TABLE usage_15m_by_booth ADD COLUMN IF NOT EXISTS tries SimpleAggregateFunction(max, UInt32);
         ALTER TABLE usage_15m_by_booth_mv MODIFY QUERY {select};
         CREATE TABLE IF NOT EXISTS colours (colour String) ENGINE = MergeTree ORDER BY colour;"
    );
    Migration { version: 9_000, name: "9000_next.sql", sql: sql.leak() }
}

#[test]
fn a_running_sink_goes_on_while_a_newer_release_changes_the_schema() {
    // given a sink at work, by the schema that it knows
    let world = World::new("forward", 2);
    let running = world.start();
    let write = |begin: i64| {
        let records: Vec<_> =
            (begin..begin + 8).map(|index| account(&format!("acc_{index}"), NOON + index, 9)).collect();
        world.write_between_aborted(&records);
    };
    write(0);
    world.wait_for_rows(80);

    // when the sink of a newer release applies its migration, between two of its blocks
    let newer = [MIGRATIONS, &[next(&world)]].concat();
    let store = world.store();
    let applied =
        world.runtime.block_on(migrate_with(store.client(), world.database(), &world.binding, &newer)).unwrap();
    assert_eq!(applied, ["9000_next.sql"]);
    write(8);
    world.wait_for_rows(160);

    // then it has gone on; and behind its last insert (a view's rows come after the table's), every table has its sums
    // and the new column is filled for what came since
    assert!(running.is_active());
    running.stop().unwrap();
    world.assert_exact(160);
    assert_eq!(world.query("SELECT max(tries) FROM {db}.usage_15m_by_booth"), "1");

    // and one of this release that starts now says what it needs, and leaves all as it is
    let refused = world.start().thread.join().unwrap().unwrap_err().to_string();
    let wanted = "has migration 9000_next.sql (9000), which this release does not know: upgrade the service";
    assert!(refused.ends_with(wanted), "{refused}");
    world.assert_exact(160);
}

#[test]
fn what_was_inserted_before_the_newest_migration_is_known_behind_it() {
    // given a database as the release before this schema left it, with a block
    let world = World::new("before", 2);
    let store = world.store();
    let apply = |migrations: &[Migration]| {
        world.runtime.block_on(migrate_with(store.client(), world.database(), &world.binding, migrations)).unwrap()
    };
    let insert = |block: &Block| world.runtime.block_on(store.insert_block(&block.token, block.body.clone())).unwrap();
    let (newest, before) = MIGRATIONS.split_last().unwrap();
    apply(before);
    let write = |begin: i64| {
        let records: Vec<_> =
            (begin..begin + 4).map(|index| account(&format!("acc_{index}"), NOON + index, 9)).collect();
        world.write_between_aborted(&records);
    };
    write(0);
    let first = world.read_block(&[0, 0], 4);
    insert(&first);

    // when the newest migration is applied, and the release before repeats that block and inserts another
    assert_eq!(apply(MIGRATIONS), [newest.name]);
    insert(&first);
    write(4);
    let ends: Vec<i64> = first.ranges.iter().map(|range| range.end).collect();
    insert(&world.read_block(&ends, 4));

    // then the first counts once, and every table has both
    world.assert_exact(80);
}

#[test]
fn every_table_remembers_tokens_and_syncs_before_it_answers() {
    let world = World::new("window", 1);
    world.migrate();
    let tables = "FROM system.tables WHERE database = '{db}' AND engine LIKE '%MergeTree'";
    assert_eq!(world.count(&format!("SELECT count() {tables}")), 10);
    let settings = [
        format!("non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"),
        "fsync_after_insert = 1".to_owned(),
        "fsync_part_directory = 1".to_owned(),
    ];
    for setting in settings {
        let without = world.query(&format!("SELECT name {tables} AND position(engine_full, '{setting}') = 0"));
        assert_eq!(without, "", "tables without {setting}");
    }
    // The views write into those tables, not into hidden ones of their own.
    let inner = world.query("SELECT name FROM system.tables WHERE database = '{db}' AND name LIKE '.inner%'");
    assert_eq!(inner, "");
    let views = "SELECT count() FROM system.tables WHERE database = '{db}' AND engine = 'MaterializedView'";
    assert_eq!(world.count(views), 4);
}

/// They cannot be run here: a server without an interserver port keeps replicated tables read-only.
#[test]
fn the_replicated_tables_are_sql_that_a_server_reads() {
    let world = World::new("replicated", 1);
    for statement in replicated() {
        let read = world.query(&format!("SELECT formatQuery($sql${statement}$sql$)"));
        assert!(!read.is_empty(), "{statement}");
    }
}
