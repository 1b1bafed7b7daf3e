//! Where the sink goes on from another source than its offsets, and where it refuses to.

use prost::Message;
use tollbooth_meter::sink::block::Range;
use tollbooth_meter::sink::wire::WireError;
use tollbooth_meter::sink::{Remedy, SinkError};

use super::harness::{NOON, World, account};

#[test]
fn forgotten_offsets_are_recovered_from_the_database() {
    // given rows, and a cluster that forgot the group
    let world = World::new("forgotten", 3);
    let records: Vec<_> = (0..12).map(|index| account(&format!("acc_{index}"), NOON, 4)).collect();
    world.write_between_aborted(&records);
    world.sink_until(60);
    world.forget_offsets();
    assert_eq!(world.committed(), None);

    // when the sink starts again and more comes
    world.write_between_aborted(&[account("acc_more", NOON + 5, 4)]);
    world.sink_until(65);

    // then nothing is lost or doubled
    world.assert_exact(65);
}

#[test]
fn offsets_that_were_set_back_double_nothing() {
    // given rows, and a group that somebody set back to the beginning
    let world = World::new("set_back", 3);
    let records: Vec<_> = (0..12).map(|index| account(&format!("acc_{index}"), NOON, 4)).collect();
    world.write_between_aborted(&records);
    world.sink_until(60);
    let beginning: Vec<Range> = (0..3).map(|partition| Range { partition, begin: 0, end: 0 }).collect();
    world.commit(&beginning);

    // when the sink starts again and more comes
    world.write_between_aborted(&[account("acc_more", NOON + 5, 4)]);
    let running = world.start();
    world.wait_for_rows(65);

    // then it went on from where the database ends
    assert!((running.metric("tollbooth_sink_repeated_blocks_total") - 1.0).abs() < f64::EPSILON);
    running.stop().unwrap();
    world.assert_exact(65);
    assert!(world.committed().unwrap().iter().any(|range| range.begin > 0));
}

#[test]
fn the_ranges_stay_few_and_the_newest_is_among_them() {
    // given weeks of blocks
    let world = World::new("ranges", 1);
    world.migrate();
    let (blocks, batch) = (50_000, 1_000);
    for from in (0..blocks).step_by(batch) {
        world.query(&format!(
            "INSERT INTO {{db}}.sunk_ranges (position, token, ranges, rows)
             SELECT number, hex(SHA256(toString(number))), [(0, number, number)], number FROM numbers({from}, {batch})"
        ));
    }
    let newest = || world.runtime.block_on(world.store().newest_ranges()).unwrap().unwrap();
    let last = u64::try_from(blocks).unwrap() - 1;
    assert_eq!(newest().rows, last);

    // when the server has merged its parts
    world.query("OPTIMIZE TABLE {db}.sunk_ranges FINAL");

    // then few are left, and what recovery needs
    let count = world.count("SELECT count() FROM {db}.sunk_ranges");
    assert!((500..=1_024).contains(&count), "{count} rows");
    assert_eq!(newest().rows, last);
}

#[test]
fn rows_that_nothing_accounts_for_are_refused() {
    // given rows without committed offsets and without sunk ranges
    let world = World::new("unaccounted", 1);
    world.write_between_aborted(&[account("acc_a", NOON, 4)]);
    world.sink_until(5);
    world.forget_offsets();
    world.query("TRUNCATE TABLE {db}.sunk_ranges");

    // when the sink starts
    let error = world.start().thread.join().unwrap().unwrap_err();

    // then it leaves the database alone
    assert!(matches!(error, SinkError::Contradiction(_)), "{error}");
    world.assert_exact(5);
}

#[test]
fn a_new_database_is_filled_from_the_beginning() {
    let world = World::new("anew", 2);
    world.write_between_aborted(&[account("acc_a", NOON, 4), account("acc_b", NOON, 4)]);
    world.sink_until(10);

    // when the projection is thrown away, the offsets are not
    world.query("DROP DATABASE {db} SYNC");
    world.sink_until(10);

    // then it is the same again
    world.assert_exact(10);
}

#[test]
fn an_entry_of_an_unknown_kind_stops_the_sink_and_skips_nothing() {
    // given a record with a kind of a later release: field 40 of the entry
    let world = World::new("unknown", 1);
    let known = account("acc_a", NOON, 4);
    let entry = [vec![8, 7], vec![0xc2, 0x02, 0]].concat();
    let newer = [vec![0x22, u8::try_from(entry.len()).unwrap()], entry].concat();
    world.write(&[(0, known.encode_to_vec())], true);
    world.sink_until(5);
    world.write(&[(0, newer), (0, account("acc_b", NOON, 4).encode_to_vec())], true);

    // when the sink comes to it
    let error = world.start().thread.join().unwrap().unwrap_err();

    // then it stops there, says which one, and what lies behind waits
    assert!(matches!(error, SinkError::Record { source: WireError::UnknownKind { seq: 7 }, .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
    world.assert_exact(5);
}

#[test]
fn another_clusters_database_is_refused() {
    // given a database of one ledger
    let mut world = World::new("mine", 1);
    world.write_between_aborted(&[account("acc_a", NOON, 4)]);
    world.sink_until(5);

    // when the sink of another one is pointed at it
    let other = World::new("other", 1);
    world.options.kafka = other.options.kafka;
    let error = world.start().thread.join().unwrap().unwrap_err();

    // then
    assert!(matches!(error, SinkError::Migration(_)), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
}
