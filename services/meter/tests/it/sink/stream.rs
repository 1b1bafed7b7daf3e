//! Rows arrive while records do.

use prost::Message;
use tollbooth_schemas::v1;

use super::harness::{NOON, World, account, usage, wait_until};

/// 2026-11-30T23:59:59.999Z.
const LAST_OF_NOVEMBER: i64 = 1_796_083_199_999;

#[test]
fn committed_records_of_all_partitions_arrive_and_aborted_ones_do_not() {
    // given records of many accounts between aborted ones
    let world = World::new("arrive", 4);
    let records: Vec<_> = (0..20).map(|index| account(&format!("acc_{index}"), NOON + index, 9)).collect();
    world.write_between_aborted(&records);

    // when the sink runs
    let running = world.start();
    world.wait_for_rows(200);

    // then they are there, and more as they come
    world.write_between_aborted(&[account("acc_late", NOON + 60_000, 4)]);
    world.wait_for_rows(205);
    wait_until("nothing is pending", || {
        world.committed().is_some_and(|ranges| ranges.iter().all(|range| range.is_empty()))
    });
    assert!(running.metric("tollbooth_sink_rows_inserted_total") >= 205.0);
    assert!((running.metric("tollbooth_sink_active") - 1.0).abs() < f64::EPSILON);
    running.stop().unwrap();
    world.assert_exact(205);
}

#[test]
fn every_column_says_what_the_record_says() {
    // given one entry of usage
    let world = World::new("columns", 1);
    let mut balance = 0;
    let mut record = account("acc_luna", NOON, 0);
    record.entries.push(usage(2, &mut balance, NOON - 60_000));
    record.entries.push(usage(5, &mut balance, NOON - 50_000));
    record.entries.push(usage(8, &mut balance, NOON - 40_000));
    world.write(&[(0, record.encode_to_vec())], true);

    // when it has landed
    world.sink_until(4);

    // then
    let first = world.query("SELECT seq, type, status, plan, currency, time_zone, account_name, actor, idempotency_key, source_topic, received_at = posted_at, captured_at IS NULL FROM {db}.ledger WHERE seq = 1");
    assert_eq!(first, "1\taccount_opened\t\tbasic\tUSD\tEurope/Berlin\tacc_luna\tkey_a\topen\tcommands\t1\t1");
    let failed =
        world.query("SELECT type, status, amount, balance_after, reason, price_version FROM {db}.ledger WHERE seq = 5");
    assert_eq!(failed, "consume\tfailed\t0\t-0.24\tprovider_timeout\t0");
    let charged = world.query("SELECT type, status, service, engine, unit, quantity, amount, balance_after, toString(occurred_at), toString(posted_at), toString(received_at), toString(captured_at), event_id, booth_id, operation_id, attempt, price_version, price_model, unit_price, provider_cost, has_provider_cost, source_topic, source_partition, source_offset, input_generation, search_text FROM {db}.ledger WHERE seq = 8");
    assert_eq!(
        charged,
        "consume\tsuccess\tai_modify\tnano_banana_2\timage\t1\t-0.24\t-0.48\t2026-11-21 20:14:20.000\t2026-11-21 20:15:00.000\t\
         2026-11-21 20:14:20.400\t2026-11-21 20:14:15.000\tevt_0\tbth_2\top_00000008\t1\t1\tper_unit\t0.24\t0.067\ttrue\t\
         usage\t0\t8\t1\tai_modify nano_banana_2 evt_0 bth_2 op_00000008"
    );
    let profile = world.query("SELECT max(profile).name, max(profile).currency, max(profile).time_zone, max(plan).plan, max(latest).seq, max(latest).balance FROM {db}.account_balances");
    assert_eq!(profile, "acc_luna\tUSD\tEurope/Berlin\tbasic\t8\t-0.48");
}

#[test]
fn a_name_and_a_zone_that_are_set_later_stand_beside_those_of_the_opening() {
    // given an account that is named anew and moves, in blocks of their own
    let world = World::new("profiles", 1);
    let set = |seq, name: &str, time_zone: &str| {
        let kind =
            v1::entry::Kind::ProfileSet(v1::ProfileSet { name: name.to_owned(), time_zone: time_zone.to_owned() });
        v1::Entry { seq, occurred_at_ms: NOON, kind: Some(kind), ..v1::Entry::default() }
    };
    let with = |entries| v1::LedgerRecord { entries, ..account("acc_luna", NOON, 0) }.encode_to_vec();
    world.write(&[(0, account("acc_luna", NOON, 0).encode_to_vec())], true);
    world.sink_until(1);
    world.write(&[(0, with(vec![set(2, "Luna", "Asia/Tokyo"), set(3, "Sol", "Asia/Tokyo")]))], true);
    world.sink_until(3);

    // then each row says both, and the newest of them is the account's
    let rows = world.query(
        "SELECT seq, type, account_name, time_zone, currency, plan, amount FROM {db}.ledger WHERE seq > 1 ORDER BY seq",
    );
    assert_eq!(rows, "2\tprofile_set\tLuna\tAsia/Tokyo\t\t\t0\n3\tprofile_set\tSol\tAsia/Tokyo\t\t\t0");
    let line = world.query("SELECT max(profile).name, max(profile).currency, max(profile).time_zone, max(profile_set), max(plan).plan FROM {db}.account_balances");
    assert_eq!(line, "acc_luna\tUSD\tEurope/Berlin\t(3,'Sol','Asia/Tokyo')\tbasic");
    assert_eq!(world.query("SELECT count() FROM {db}.usage_15m_by_account"), "0", "no money moved");
}

#[test]
fn a_block_never_holds_two_months() {
    // given records before and after midnight UTC of a month's end, in both partitions
    let world = World::new("months", 2);
    world.migrate();
    world.keep_all_ranges();
    let at = |id: &str, posted_at_ms| account(id, posted_at_ms, 3).encode_to_vec();
    world.write(
        &[
            (0, at("acc_a", LAST_OF_NOVEMBER - 1)),
            (0, at("acc_b", LAST_OF_NOVEMBER + 1)),
            (1, at("acc_c", LAST_OF_NOVEMBER)),
            (1, at("acc_d", LAST_OF_NOVEMBER + 2)),
        ],
        true,
    );

    // when it has landed; the insert itself refuses a block of two months
    let running = world.start();
    world.wait_for_rows(16);
    assert!(running.metric("tollbooth_sink_insert_retries_total") < 1.0);
    running.stop().unwrap();

    // then a block ended where the month did: how many there are depends on what had arrived when each was cut
    world.assert_exact(16);
    let blocks = world.query("SELECT rows FROM {db}.sunk_ranges ORDER BY position");
    let mut ends = blocks.lines().scan(0_u32, |sum, rows| {
        *sum += rows.parse::<u32>().unwrap();
        Some(*sum)
    });
    assert!(ends.any(|end| end == 8), "rows of the blocks: {blocks}");
    assert_eq!(ends.last(), Some(16), "rows of the blocks: {blocks}");
    let months = "SELECT DISTINCT partition FROM system.parts WHERE database = '{db}' AND table = 'ledger' ORDER BY 1";
    assert_eq!(world.query(months), "202611\n202612");
}

#[test]
fn sums_go_beyond_what_one_amount_can_be() {
    // given three purchases of the largest amount in one bucket
    let world = World::new("sums", 1);
    let adjustment = |seq| v1::Entry {
        seq,
        amount_micros: 999_999_999_999_999_999,
        balance_after_micros: 999_999_999_999_999_999,
        occurred_at_ms: NOON,
        kind: Some(v1::entry::Kind::Adjustment(v1::Adjustment { reason: "top_up".to_owned(), note: String::new() })),
        ..v1::Entry::default()
    };
    let record = |seq| {
        v1::LedgerRecord {
            account_id: "acc_rich".to_owned(),
            posted_at_ms: NOON,
            input_generation: 1,
            entries: vec![adjustment(seq)],
        }
        .encode_to_vec()
    };
    world.write(&[(0, record(1)), (0, record(2))], true);
    let running = world.start();
    world.wait_for_rows(2);
    // A block of its own: the sum is made by a merge, not only by one insert.
    world.write(&[(0, record(3))], true);
    world.wait_for_rows(3);
    running.stop().unwrap();

    // when everything is merged
    world.query("OPTIMIZE TABLE {db}.usage_15m_by_account FINAL");

    // then nothing wrapped
    let sum = "SELECT toString(sum(amount)), sum(count), count() FROM {db}.usage_15m_by_account";
    assert_eq!(world.query(sum), "2999999999999.999997\t3\t1");
}
