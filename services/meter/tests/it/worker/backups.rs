//! A backup written into other topics: exactly once, in order, whatever interrupts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::{RngExt as _, SeedableRng as _};
use tollbooth_meter::backup::{BackupArgs, Manifest, RestoreArgs, backup, restore};
use tollbooth_schemas::dead_letter::header;
use tollbooth_schemas::v1::Entry;

use super::harness::{World, credit, image, open, wait_until};

fn to(folder: &Path) -> BackupArgs {
    BackupArgs { to: format!("file://{}", folder.display()), effects_group: "nobody".to_owned() }
}

fn from(folder: &Path) -> RestoreArgs {
    RestoreArgs { from: format!("file://{}", folder.display()), id: None, rekey: false, check: false }
}

fn manifest(folder: &Path) -> Manifest {
    let manifests = fs::read_dir(folder.join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let text = fs::read_to_string(manifests.max().unwrap()).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

/// The objects of a topic, in order.
fn objects(folder: &Path, topic: &str) -> Vec<PathBuf> {
    let parts = manifest(folder).parts.into_iter().filter(|part| part.topic == topic);
    parts.flat_map(|part| part.segments).map(|segment| folder.join(segment.name)).collect()
}

type Whole = (i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

/// Everything of a partition but the offsets.
fn records(world: &World, topic: &str, partition: i32) -> Vec<Whole> {
    world.read(topic, partition, |record| {
        let headers = record.headers().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)));
        let (key, payload) = (record.key().map(<[u8]>::to_vec), record.payload().map(<[u8]>::to_vec));
        (0, record.timestamp().map(|stamp| stamp.millis), key, payload, headers.collect())
    })
}

#[test]
fn a_restore_that_is_interrupted_goes_on_where_it_stopped() {
    // given 45,000 records that no meter has seen, in several objects
    let folder = tempfile::tempdir().unwrap();
    let world = World::new("interrupted", 1);
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let payloads: Vec<Vec<u8>> = (0..45_000).map(|_| chance.random::<[u8; 256]>().to_vec()).collect();
    world.append_all(&world.topics.usage(), 0, "acc_a", &payloads);
    backup(&world.config, &to(folder.path())).unwrap();
    let objects = objects(folder.path(), "usage");
    assert!(objects.len() >= 3, "{objects:?}");

    // when the last object cannot be read, then is damaged, then is whole again
    let beside = world.beside(1);
    let last = objects.last().unwrap();
    let bytes = fs::read(last).unwrap();
    fs::remove_file(last).unwrap();
    let missing = restore(&beside.config, &from(folder.path())).unwrap_err();
    assert!(format!("{missing:#}").contains("cannot read"), "{missing:#}");
    let before = beside.end_of(&beside.topics.usage(), 0);
    // The marker behind them may come a moment later.
    assert!(before >= 20_000, "nothing was written before the interruption: {before}");
    fs::write(last, [&bytes[..bytes.len() - 1], b"x"].concat()).unwrap();
    let damaged = restore(&beside.config, &from(folder.path())).unwrap_err();
    assert!(format!("{damaged:#}").contains("is not what was written"), "{damaged:#}");
    fs::write(last, bytes).unwrap();
    let told = restore(&beside.config, &from(folder.path())).unwrap().to_string();

    // then every record is there once, in order, with its time, key and headers
    assert!(!told.contains(" 0 of them before"), "it began anew: {told}");
    let (was, is) = (records(&world, &world.topics.usage(), 0), records(&beside, &beside.topics.usage(), 0));
    assert_eq!((was.len(), is.len()), (45_000, 45_000));
    assert!(was == is, "the records differ");
    // and once more it writes nothing
    let end = beside.end_of(&beside.topics.usage(), 0);
    assert!(restore(&beside.config, &from(folder.path())).unwrap().to_string().contains("restored before"));
    assert_eq!(beside.end_of(&beside.topics.usage(), 0), end);
    // and topics that were used are not restored into
    let used = restore(&world.config, &from(folder.path())).unwrap_err().to_string();
    assert!(used.contains("has had"), "{used}");
}

/// Of every account.
fn ledger(world: &World, accounts: &[String]) -> BTreeMap<String, Vec<Entry>> {
    accounts.iter().map(|account| (account.clone(), world.entries(account))).collect()
}

#[test]
fn accounts_of_a_few_partitions_go_on_in_more_of_them() {
    // given accounts in two partitions, charged in turn
    let folder = tempfile::tempdir().unwrap();
    let world = World::new("rekeyed", 2);
    let accounts: Vec<String> = (0..12).map(|number| format!("acc_{number}")).collect();
    for account in &accounts {
        world.commands(account, &[open(account, "open", "basic"), credit(account, "credit")]);
    }
    let running = world.start();
    for round in 0..4 {
        for account in &accounts {
            world.usage(account, &[image(account, &format!("op_{round}"), "nano")]);
        }
        wait_until("they are charged", || accounts.iter().all(|id| world.entries(id).len() == 3 + round));
    }
    running.stop();
    backup(&world.config, &to(folder.path())).unwrap();

    // when they are spread over five
    let mut wide = world.beside(5);
    let args = RestoreArgs { rekey: true, ..from(folder.path()) };
    assert!(restore(&wide.config, &from(folder.path())).unwrap_err().to_string().contains("--rekey"));
    restore(&wide.config, &args).unwrap();
    // then each has its entries, in order, where its key belongs
    assert_eq!(ledger(&wide, &accounts), ledger(&world, &accounts));
    // and a meter of the generation of before does not start
    wide.config.input_generation = 0;
    let prepared = wide.runtime.block_on(tollbooth_meter::run::Meter::prepare(
        &wide.config,
        &prometheus::Registry::new(),
        &tollbooth_chassis::ops::Health::new(),
    ));
    assert!(prepared.unwrap_err().to_string().contains("Set input_generation = 1"));
    wide.config.input_generation = 1;

    // when everything is sent again, and something new
    for account in &accounts {
        let again = (0..5).map(|round| image(account, &format!("op_{round}"), "nano"));
        wide.usage(account, &again.collect::<Vec<_>>());
    }
    wide.usage(&accounts[0], &[image(&accounts[0], "op_letter", "pixie")]);
    let is_new_charged = || accounts.iter().all(|id| wide.entries(id).len() == 7) && !wide.dead_letters().is_empty();
    wide.run_until("what is new is charged, or a letter", is_new_charged);
    // then only that was, and a letter's id is none of the generation before
    let named =
        wide.read(&wide.topics.dead_letter(), 0, |letter| letter.header(header::SOURCE_TOPIC).map(<[u8]>::to_vec));
    assert_eq!(named, [Some(format!("{}@1", wide.topics.usage()).into_bytes())]);
    let report = wide.verify();
    assert!(report.is_clean(), "{}", report.render(false));
    for account in &accounts {
        let seqs: Vec<u64> = wide.entries(account).iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..=7).collect::<Vec<u64>>(), "{account}");
    }
}
