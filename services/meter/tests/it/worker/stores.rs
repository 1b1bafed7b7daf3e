//! State on disk: a restart begins with it, and never with one that is not this ledger's.

use std::{fs, path::Path};

use prost::Message as _;
use tollbooth_meter::store::{Bounds, Folded, Identity, LastRecord, Store};
use tollbooth_schemas::v1::LedgerRecord;

use super::harness::{Running, World, credit, image, open, wait_until};

const ACCOUNT: &str = "acc_a";

/// A world whose meter keeps nothing in memory that is in its store.
fn world(name: &str, dir: &Path) -> World {
    let mut world = World::new(name, 1);
    world.config.store.dir = dir.display().to_string();
    world.config.store.write_rows = 3;
    world.config.store.write_seconds = 3_600;
    world.config.store.recent_mib_max = 0;
    world
}

fn images(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    numbers.map(|number| image(ACCOUNT, &format!("op_{number}"), "nano")).collect()
}

/// An account with ten charges; the meter ended in order.
fn given(world: &World) {
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), credit(ACCOUNT, "credit")]);
    world.usage(ACCOUNT, &images(0..10));
    world.run_until("the usage is charged", || world.entries(ACCOUNT).len() == 12);
}

pub(super) fn restored_from(running: &Running, source: &str) -> bool {
    running.shows(&format!("tollbooth_meter_restore_seconds_count{{state=\"{source}\"}} 1"))
}

fn is_discarded(running: &Running, reason: &str) -> bool {
    running.shows(&format!("tollbooth_meter_store_discarded_total{{reason=\"{reason}\"}} 1"))
}

/// Everything again, and ten new ones: only the new ones are charged, whatever the state was made of.
pub(super) fn assert_goes_on(world: &World, running: &Running, before: usize) {
    world.commands(ACCOUNT, &[credit(ACCOUNT, "credit")]);
    world.usage(ACCOUNT, &images(0..before));
    world.usage(ACCOUNT, &images(before..before + 10));
    let duplicates = format!("tollbooth_meter_operations_total{{outcome=\"duplicate\"}} {before}");
    wait_until("what comes again is a duplicate", || running.shows(&duplicates));
    wait_until("what is new is charged", || world.entries(ACCOUNT).len() == 2 + before + 10);
}

#[test]
fn a_restart_begins_with_the_store_and_folds_the_tail() {
    // given a meter's store as it was left, and as it was some charges before: behind the ledger, as after a kill
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let world = world("store", &live);
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), credit(ACCOUNT, "credit")]);
    world.usage(ACCOUNT, &images(0..5));
    world.run_until("the first are charged", || world.entries(ACCOUNT).len() == 7);
    copy_dir(&live, &copy);
    world.usage(ACCOUNT, &images(5..10));
    world.run_until("the others are charged", || world.entries(ACCOUNT).len() == 12);
    // when one begins with either: as after an end in order, and as after a kill
    for (number, store) in [live, copy].into_iter().enumerate() {
        let mut world = world.again();
        world.config.store.dir = store.display().to_string();
        let running = world.start();
        // then it had the store, and nothing is charged twice or lost
        wait_until("it is restored", || restored_from(&running, "store"));
        assert_goes_on(&world, &running, 10 + 10 * number);
        running.stop();
    }
    let report = world.verify();
    assert!(report.is_clean(), "{}", report.render(false));
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy_dir(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_store_of_another_ledger_is_discarded_and_built_anew() {
    // given a store that another cluster's partition left
    let dir = tempfile::tempdir().unwrap();
    let world = world("foreign", dir.path());
    given(&world);
    let place = dir.path().join("partition-0");
    tollbooth_meter::store::remove(&place).unwrap();
    let limits = world.config.limits().unwrap();
    let identity = Identity {
        cluster_id: "another".to_owned(),
        ledger: world.topics.ledger(),
        partition: 0,
        retention_weeks: limits.retention_weeks,
    };
    let mut store = Store::create(&place, 1 << 20, &identity).unwrap();
    store.write(&tollbooth_ledger::State::new(&limits).changes(), Folded { next_offset: 5, last: None }, 0).unwrap();
    drop(store);
    // when the meter starts, then it says so, and the ledger counts
    let running = world.start();
    wait_until("the store is discarded", || is_discarded(&running, "mismatch"));
    wait_until("the ledger is folded", || restored_from(&running, "cold"));
    assert_goes_on(&world, &running, 10);
    running.stop();
    // and the next one begins with a store again
    let world = world.again();
    let running = world.start();
    wait_until("it is restored", || restored_from(&running, "store"));
    running.stop();
}

#[test]
fn a_store_ahead_of_the_ledger_is_discarded() {
    // given a store that goes on where this ledger has ended
    let dir = tempfile::tempdir().unwrap();
    let world = world("ahead", dir.path());
    given(&world);
    let (place, limits) = (dir.path().join("partition-0"), world.config.limits().unwrap());
    let identity = identity_of(&world);
    let bounds = Bounds { low: 0, end: i64::MAX };
    let (mut store, mut state) = Store::open(&place, 1 << 20, &identity, &limits, bounds).unwrap().unwrap();
    state.keep_changes();
    let folded = Folded { next_offset: world.end_of(&world.topics.ledger(), 0) + 1, ..store.folded() };
    store.write(&state.changes(), folded, 0).unwrap();
    drop(store);
    // when the meter starts, then the ledger counts
    let running = world.start();
    wait_until("the store is discarded", || is_discarded(&running, "future"));
    assert_goes_on(&world, &running, 10);
    running.stop();
}

#[test]
fn a_store_whose_last_record_is_another_one_is_discarded() {
    // given a store of this cluster, topic and length, which was made of another ledger
    let dir = tempfile::tempdir().unwrap();
    let world = world("replaced", dir.path());
    given(&world);
    let (place, limits) = (dir.path().join("partition-0"), world.config.limits().unwrap());
    let bounds = Bounds { low: 0, end: i64::MAX };
    let (mut store, mut state) = Store::open(&place, 1 << 20, &identity_of(&world), &limits, bounds).unwrap().unwrap();
    state.keep_changes();
    let folded = store.folded();
    let last = folded.last.map(|last| LastRecord::of(last.offset, b"of another ledger"));
    assert!(last.is_some());
    store.write(&state.changes(), Folded { last, ..folded }, 0).unwrap();
    drop(store);
    // when the meter starts, then the ledger counts
    let running = world.start();
    wait_until("the store is discarded", || is_discarded(&running, "mismatch"));
    wait_until("the ledger is folded", || restored_from(&running, "cold"));
    assert_goes_on(&world, &running, 10);
    running.stop();
    // and the next one begins with a store again
    let world = world.again();
    let running = world.start();
    wait_until("it is restored", || restored_from(&running, "store"));
    running.stop();
}

fn identity_of(world: &World) -> Identity {
    use rdkafka::{admin::AdminClient, config::FromClientConfigAndContext as _};
    let admin =
        AdminClient::from_config_and_context(&world.clients.base(), tollbooth_chassis::kafka::LogContext).unwrap();
    Identity {
        cluster_id: admin.inner().fetch_cluster_id(std::time::Duration::from_secs(30)).unwrap(),
        ledger: world.topics.ledger(),
        partition: 0,
        retention_weeks: world.config.limits().unwrap().retention_weeks,
    }
}

#[test]
fn a_store_with_a_flipped_byte_is_discarded_and_built_anew() {
    // given a store with another byte in the middle of each of its tables' files
    let dir = tempfile::tempdir().unwrap();
    let world = world("flipped", dir.path());
    given(&world);
    let place = dir.path().join("partition-0");
    let mut flipped = 0;
    for path in files(&place) {
        let mut bytes = fs::read(&path).unwrap();
        // The journal has what was written last; its end is room that was set aside.
        if let Some(at) = bytes.iter().rposition(|byte| *byte != 0).map(|last| last / 2) {
            bytes[at] ^= 0xFF;
            fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0);
    // when the meter starts, then what it says is what the ledger says
    let running = world.start();
    assert_goes_on(&world, &running, 10);
    running.stop();
    assert!(world.verify().is_clean());
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_store_that_contradicts_the_ledger_is_discarded() {
    // given a sound store of this ledger that says what the ledger does not: fewer entries than up to its offset
    let dir = tempfile::tempdir().unwrap();
    let world = world("contradiction", dir.path());
    given(&world);
    let (place, limits) = (dir.path().join("partition-0"), world.config.limits().unwrap());
    tollbooth_meter::store::remove(&place).unwrap();
    let mut store = Store::create(&place, 1 << 20, &identity_of(&world)).unwrap();
    let mut state = tollbooth_ledger::State::new(&limits);
    state.keep_changes();
    let entries = world.entries(ACCOUNT);
    let record = LedgerRecord {
        account_id: ACCOUNT.to_owned(),
        posted_at_ms: 1,
        input_generation: 0,
        entries: entries[..2].to_vec(),
    };
    state.fold(&LedgerRecord::decode(record.encode_to_vec().as_slice()).unwrap()).unwrap();
    let folded = Folded { next_offset: world.end_of(&world.topics.ledger(), 0), last: None };
    store.write(&state.changes(), folded, 0).unwrap();
    drop(store);
    // The tail has an entry that does not follow.
    let mut next = LedgerRecord { entries: entries[11..].to_vec(), ..record };
    next.entries[0].seq = 13;
    next.entries[0].balance_after_micros += next.entries[0].amount_micros;
    next.entries[0].source_offset = 10;
    world.append(&world.topics.usage(), 0, ACCOUNT, &image(ACCOUNT, "op_10", "nano"));
    world.append(&world.topics.ledger(), 0, ACCOUNT, &next.encode_to_vec());
    // when the meter starts, then the ledger counts
    let running = world.start();
    wait_until("the store is discarded", || is_discarded(&running, "contradiction"));
    wait_until("the ledger is folded", || restored_from(&running, "cold"));
    running.stop();
}

#[test]
fn without_a_directory_nothing_is_kept() {
    let world = World::new("no_store", 1);
    given(&world);
    let world = world.again();
    let running = world.start();
    wait_until("it is restored", || restored_from(&running, "cold"));
    assert_goes_on(&world, &running, 10);
    running.stop();
}
