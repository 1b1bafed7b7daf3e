//! The drift watch sees what was damaged in ClickHouse, and cries no wolf.

use super::harness::{NOON, Running, World, account, wait_until};

const ACCOUNTS: &str = "tollbooth_balance_drift_accounts";
const DOLLARS: &str = "tollbooth_balance_drift_dollars";
const PASS: &str = "tollbooth_reconciliation_last_pass_timestamp_seconds";
const LOOKED_AT: &str = "tollbooth_reconciliation_accounts_total";
const TOPIC_ENTRIES: &str = "tollbooth_ledger_drift_entries";
const TOPIC_DOLLARS: &str = "tollbooth_ledger_drift_dollars";
const TOPIC_COMPARED: &str = "tollbooth_reconciliation_topic_timestamp_seconds";

/// What the table says of a kind: accounts off, and those named with how far.
const TOLD: &str = "SELECT accounts, arrayStringConcat(arrayMap(one -> concat(one.1, ' ', toString(one.2)), examples), ', ') \
     FROM {db}.drift FINAL WHERE kind = ";

/// A world whose sink looks often, and at a few accounts a turn.
fn watched(name: &str) -> World {
    let mut world = World::new(name, 2);
    world.options.sink.drift_interval_ms = 20;
    // Three accounts of 10 entries each.
    world.options.sink.drift_rows_max = 30;
    world
}

fn has_looked(running: &Running, accounts: f64) {
    let before = running.metric(LOOKED_AT);
    wait_until("the watch goes round", || running.metric(LOOKED_AT) >= before + accounts);
}

#[test]
fn whatever_is_damaged_shows_and_what_is_mended_does_not_any_more() {
    // given eight accounts in ClickHouse, and the watch beside the sink
    let world = watched("drift");
    let records: Vec<_> = (0..8).map(|index| account(&format!("acc_{index}"), NOON + index, 9)).collect();
    world.write_between_aborted(&records);
    let running = world.start();
    world.wait_for_rows(80);
    has_looked(&running, 16.0);
    assert!(running.tells(ACCOUNTS) && running.tells(PASS));
    assert!(running.metric(ACCOUNTS).abs() < f64::EPSILON, "nothing is damaged yet");

    // when a kept balance, a rollup, and a row of the ledger are damaged, each of another account
    let dollars = |expected: f64| (running.metric(DOLLARS) - expected).abs() < 1e-6;
    let accounts = |expected: f64| (running.metric(ACCOUNTS) - expected).abs() < f64::EPSILON;
    world.query(
        "INSERT INTO {db}.account_balances (account_id, latest) \
         SELECT 'acc_1', (max(latest).1 + 1, max(latest).2 + toDecimal64('1.5', 6), 0, max(latest).4) FROM {db}.account_balances \
         WHERE account_id = 'acc_1'",
    );
    wait_until("the balance shows", || accounts(1.0) && dollars(1.5));
    world.query(
        "INSERT INTO {db}.usage_15m_by_booth (account_id, booth_id, bucket, amount) VALUES ('acc_4', 'bth_1', now(), 0.25)",
    );
    wait_until("the rollup shows", || accounts(2.0) && dollars(1.75));
    world.query("DELETE FROM {db}.ledger WHERE account_id = 'acc_7' AND seq = 5");
    // The lost row is that of a failure: no amount is off, and it is missed all the same, here and by the rollup.
    wait_until("the lost row shows", || accounts(4.0) && dollars(1.75));

    // and the table says which accounts, for those who cannot ask the watch
    let told = |kind: &str| world.query(&format!("{TOLD}'{kind}'")).replace('\t', ": ");
    wait_until("it is written down", || told("ledger_chain") == "1: acc_7 0");
    assert_eq!(told("balance_vs_ledger"), "1: acc_1 1500000");
    assert_eq!(told("rollup_vs_ledger"), "2: acc_4 250000, acc_7 0");

    // then what is mended is forgotten
    world.query(
        "INSERT INTO {db}.usage_15m_by_booth (account_id, booth_id, bucket, amount) VALUES ('acc_4', 'bth_1', now(), -0.25)",
    );
    wait_until("the rollup is mended", || accounts(3.0) && dollars(1.5));
    wait_until("that is written down", || told("rollup_vs_ledger") == "1: acc_7 0");
    let order = "began_at <= passed_at AND passed_at <= looked_at";
    assert_eq!(world.count(&format!("SELECT count() FROM {{db}}.drift FINAL WHERE {order}")), 3);
    running.stop().unwrap();
}

#[test]
fn rows_that_are_just_landing_are_no_drift() {
    // given a watch that never rests
    let mut world = watched("no_drift");
    world.options.sink.drift_interval_ms = 1;
    world.options.sink.block_interval_ms = 1;
    let running = world.start();

    // when block after block lands, some of it on accounts that are being looked at
    for round in 0..40_u32 {
        let records: Vec<_> =
            (0..3).map(|index| account(&format!("acc_{}", round * 3 + index), NOON + i64::from(round), 9)).collect();
        world.write_between_aborted(&records);
        assert!(running.metric(ACCOUNTS).abs() < f64::EPSILON, "drift in round {round}");
        assert!(running.metric(TOPIC_ENTRIES).abs() < f64::EPSILON, "drift from the topic in round {round}");
    }
    world.wait_for_rows(1_200);

    // then none of it was drift, and each account was looked at
    has_looked(&running, 240.0);
    has_compared(&running);
    assert!(running.metric(ACCOUNTS).abs() < f64::EPSILON);
    assert!(running.metric(TOPIC_ENTRIES).abs() < f64::EPSILON);
    running.stop().unwrap();
    world.assert_exact(1_200);
}

#[test]
fn a_standby_shows_no_drift_of_its_own() {
    // given an active sink with drift, and its end
    let world = watched("drift_standby");
    world.write_between_aborted(&[account("acc_0", NOON, 9)]);
    let running = world.start();
    world.wait_for_rows(10);
    world.query("DELETE FROM {db}.ledger WHERE seq = 10");
    wait_until("it shows", || running.metric(ACCOUNTS) > 0.0);
    let registry = running.registry();

    // when it stops
    running.stop().unwrap();

    // then its word counts no more
    let names: Vec<String> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
    assert!(names.iter().any(|name| name == LOOKED_AT));
    for name in [ACCOUNTS, DOLLARS, PASS, TOPIC_ENTRIES, TOPIC_DOLLARS, TOPIC_COMPARED] {
        assert!(!names.iter().any(|known| known == name), "{name}");
    }
}

/// Every table that has rows of accounts.
const TABLES: [&str; 5] =
    ["ledger", "account_balances", "usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth"];

fn delete(world: &World, table: &str, rows: &str) {
    world.query(&format!("ALTER TABLE {{db}}.{table} DELETE WHERE {rows} SETTINGS mutations_sync = 2"));
}

/// Waits until the tables were held against the topic after this.
fn has_compared(running: &Running) {
    let before = running.metric(TOPIC_COMPARED);
    wait_until("the topic is held against the tables", || running.metric(TOPIC_COMPARED) > before);
}

#[test]
fn what_every_table_lacks_shows_by_the_topic() {
    // given eight accounts of ten entries in ClickHouse, more than the watch reads of the topic in a turn
    let world = watched("drift_topic");
    let records: Vec<_> = (0..8).map(|index| account(&format!("acc_{index}"), NOON + index, 9)).collect();
    world.write_between_aborted(&records);
    let running = world.start();
    world.wait_for_rows(80);
    has_compared(&running);
    let shows = |entries: f64, dollars: f64| {
        let off = |name: &str, expected: f64| (running.metric(name) - expected).abs() < 1e-6;
        off(TOPIC_ENTRIES, entries) && off(TOPIC_DOLLARS, dollars)
    };
    assert!(shows(0.0, 0.0), "nothing is damaged yet");
    let spent: f64 =
        world.query("SELECT -balance_after FROM {db}.ledger WHERE account_id = 'acc_3' AND seq = 10").parse().unwrap();
    assert!(spent > 1.0);

    // when an account goes from every table, so that all of them agree
    for table in TABLES {
        delete(&world, table, "account_id = 'acc_3'");
    }

    // then it is missed, in entries and in money, and only by the topic
    wait_until("the topic shows it", || shows(10.0, spent));
    has_looked(&running, 16.0);
    assert!(running.metric(ACCOUNTS).abs() < f64::EPSILON);

    // and what is written meanwhile is told apart from it
    world.write_between_aborted(&[account("acc_8", NOON + 9, 9)]);
    world.wait_for_rows(80);
    has_compared(&running);
    wait_until("the same is off", || shows(10.0, spent));
    running.stop().unwrap();
}

#[test]
fn who_has_lost_its_place_to_another_sink_compares_nothing() {
    // given a sink whose tables were held against the topic, and another one that inserts, of which it has not heard
    let world = watched("drift_lost");
    world.write_between_aborted(&[account("acc_0", NOON, 9), account("acc_1", NOON + 1, 9)]);
    let running = world.start();
    world.wait_for_rows(20);
    has_compared(&running);
    let others = "INSERT INTO {db}.sunk_ranges (position, token, ranges, rows) SELECT position + 9, 'other', \
         arrayMap(range -> (range.1, range.2, range.3 + 9), ranges), 9 FROM {db}.sunk_ranges ORDER BY position DESC LIMIT 1";
    world.query(others);

    // when the tables change, in a way that both halves of the watch would notice, one of them of every sink
    for table in &TABLES[1..] {
        delete(&world, table, "account_id = 'acc_1'");
    }
    delete(&world, "ledger", "account_id = 'acc_1' AND seq > 5");

    // then it says nothing of the topic
    wait_until("the other half has gone round", || running.metric(ACCOUNTS) > 0.0);
    // Its turns are many times as short as those of this one, which rests behind each question.
    has_looked(&running, 200.0);
    assert!(running.metric(TOPIC_ENTRIES).abs() < f64::EPSILON);

    // and does as soon as the tables are its own
    delete(&world, "sunk_ranges", "token = 'other'");
    wait_until("the topic shows it", || (running.metric(TOPIC_ENTRIES) - 10.0).abs() < f64::EPSILON);
    running.stop().unwrap();
}

#[test]
fn how_far_the_topic_was_read_is_written_down_turn_by_turn() {
    // given more records in ClickHouse than the watch reads at once, and a table that keeps every row that was ever written
    let mut world = watched("drift_turns");
    world.migrate();
    world.query("SYSTEM STOP MERGES {db}.ledger_totals");
    let interval_ms = std::mem::take(&mut world.options.sink.drift_interval_ms);
    let records: Vec<_> = (0..2_500).map(|index| account(&format!("acc_{index}"), NOON + index, 1)).collect();
    world.write_between_aborted(&records);
    world.sink_until(5_000);

    // when the topic is read
    world.options.sink.drift_interval_ms = interval_ms;
    let running = world.start();
    wait_until("all of it is read", || world.query("SELECT sum(entries) FROM {db}.ledger_totals FINAL") == "5000");

    // then it stands there how far it was read in between, and not only where the two partitions end
    let places = "SELECT uniqExact(partition, next_offset) FROM {db}.ledger_totals";
    assert!(world.count(places) > 2, "{}", world.query("SELECT * FROM {db}.ledger_totals FORMAT TSV"));
    running.stop().unwrap();
}

#[test]
fn the_next_sink_goes_on_reading_the_topic_where_the_last_one_was() {
    // given a topic that was held against the tables, and a sink that has ended
    let world = watched("drift_goes_on");
    world.write_between_aborted(&[account("acc_0", NOON, 9), account("acc_1", NOON + 1, 9)]);
    let running = world.start();
    world.wait_for_rows(20);
    has_compared(&running);
    let written =
        "SELECT sum(entries), sum(amount) = (SELECT sum(amount) FROM {db}.ledger) FROM {db}.ledger_totals FINAL";
    wait_until("it is written down", || world.query(written) == "20\t1");
    running.stop().unwrap();

    // when what was written down is made wrong, and the next one starts and more comes
    world.query("INSERT INTO {db}.ledger_totals SELECT partition, next_offset, entries + 1, amount, now64(3) FROM {db}.ledger_totals FINAL");
    let running = world.start();
    world.write_between_aborted(&[account("acc_2", NOON + 2, 9)]);
    world.wait_for_rows(30);

    // then it relied on it
    wait_until("both partitions are off by one", || (running.metric(TOPIC_ENTRIES) - 2.0).abs() < f64::EPSILON);
    running.stop().unwrap();

    // and without it the next one reads from the beginning
    world.query("TRUNCATE TABLE {db}.ledger_totals");
    let running = world.start();
    has_compared(&running);
    assert!(running.metric(TOPIC_ENTRIES).abs() < f64::EPSILON);
    wait_until("it is written down", || world.query(written) == "30\t1");
    running.stop().unwrap();
}
