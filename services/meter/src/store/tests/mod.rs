//! A store without a log: rows go in, the directory is closed and opened, damaged, and given to others.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

use tollbooth_ledger::{Digest, Key, Limits, Operation, Remembered, State, View as _, looked_up};
use tollbooth_schemas::v1::{
    AccountOpened, CommandRef, Entry, HoldOutcome, HoldPlaced, LedgerRecord, Reversal, Usage, UsageStatus, entry::Kind,
};

use super::*;

mod checkpoints;
mod s3;

const ACCOUNT: &str = "acc_a";
const CACHE: u64 = 1 << 20;
const WEEK_MS: i64 = 7 * 86_400_000;
const NOW_MS: i64 = 2_900 * WEEK_MS;
const LEDGER: Bounds = Bounds { low: 0, end: 1_000_000 };

fn limits() -> Limits {
    Limits::from_days(35, 3_600_000, 90).unwrap()
}

fn identity() -> Identity {
    let retention_weeks = limits().retention_weeks;
    Identity { cluster_id: "one".to_owned(), ledger: "tollbooth.ledger".to_owned(), partition: 3, retention_weeks }
}

/// A ledger of one account, and what a worker makes of it.
struct World {
    dir: tempfile::TempDir,
    state: State,
    store: Option<Store>,
    seq: u64,
    now_ms: i64,
    offset: i64,
    operations: Vec<Digest>,
}

fn usage(operation: &str, hold_outcome: HoldOutcome) -> Kind {
    Kind::Usage(Usage {
        status: UsageStatus::Success.into(),
        operation_id: operation.to_owned(),
        attempt: 1,
        hold_id: "hld_1".to_owned(),
        hold_outcome: hold_outcome.into(),
        ..Usage::default()
    })
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("p"), CACHE, &identity()).unwrap();
        let mut state = State::new(&limits());
        state.keep_changes();
        let mut world =
            Self { dir, state, store: Some(store), seq: 0, now_ms: NOW_MS, offset: 0, operations: Vec::new() };
        let opened = AccountOpened {
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            ..AccountOpened::default()
        };
        world.post(Kind::AccountOpened(opened), 0, Some("open"));
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("p")
    }

    fn post(&mut self, kind: Kind, held: i64, command: Option<&str>) {
        self.seq += 1;
        let command = command.map(|key| CommandRef { idempotency_key: key.to_owned(), ..CommandRef::default() });
        let entry = Entry { seq: self.seq, held_after_micros: held, command, kind: Some(kind), ..Entry::default() };
        self.operations.extend(looked_up(ACCOUNT, &entry).iter().filter_map(|key| match key {
            Key::Operation(digest) => Some(*digest),
            _ => None,
        }));
        let record = LedgerRecord {
            account_id: ACCOUNT.to_owned(),
            posted_at_ms: self.now_ms,
            input_generation: 0,
            entries: vec![entry],
        };
        self.state.fold(&record).unwrap();
        self.offset += 1;
    }

    fn charge(&mut self, operations: std::ops::Range<usize>) {
        for number in operations {
            self.post(usage(&format!("op_{number}"), HoldOutcome::None), 0, None);
        }
    }

    fn write(&mut self) {
        let store = self.store.as_mut().unwrap();
        let folded = Folded { next_offset: self.offset, last: Some(LastRecord::of(self.offset - 1, b"a record")) };
        store.write(&self.state.changes(), folded, self.state.first_kept_week()).unwrap();
        self.state.settle(0);
    }

    /// As another process would.
    fn open(&self, identity: &Identity, ledger: Bounds) -> Result<Option<(Store, State)>, StoreError> {
        Store::open(&self.path(), CACHE, identity, &limits(), ledger)
    }

    fn reopen(&mut self) {
        self.store = None;
        let (store, mut state) = self.open(&identity(), LEDGER).unwrap().unwrap();
        state.keep_changes();
        (self.store, self.state) = (Some(store), state);
    }

    fn operation(&self, digest: Digest) -> Option<Operation> {
        match self.store.as_ref().unwrap().remembered(&Key::Operation(digest)).unwrap() {
            Some(Remembered::Operation(operation)) => Some(operation),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    /// Every operation is there, as the entry that charged it says.
    fn assert_whole(&self) {
        for (index, digest) in self.operations.iter().enumerate() {
            let operation = self.operation(*digest).unwrap_or_else(|| panic!("operation {index} is gone"));
            assert!(operation.charged);
        }
    }
}

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    // given an account with charges, an answer, a hold that is open, one that has ended, and a refund
    let mut world = World::new();
    world.charge(0..500);
    let placed = |id: &str| {
        Kind::HoldPlaced(HoldPlaced {
            hold_id: id.to_owned(),
            amount_micros: 5,
            expires_at_ms: NOW_MS + 1,
            ..HoldPlaced::default()
        })
    };
    world.post(placed("hld_1"), 5, Some("place 1"));
    world.post(placed("hld_2"), 10, Some("place 2"));
    world.write();
    world.post(usage("op_500", HoldOutcome::Captured), 5, None);
    world.write();
    // when it is opened by another process
    let due = world.state.due_until(i64::MAX, 10, tollbooth_ledger::Ticks::All);
    let account = world.state.account(ACCOUNT).unwrap().clone();
    world.reopen();
    // then all of it is there
    assert_eq!(world.state.account(ACCOUNT), Some(&account));
    assert_eq!(world.state.due_until(i64::MAX, 10, tollbooth_ledger::Ticks::All), due);
    assert_eq!(world.state.audit(), Ok(()));
    let folded = Folded { next_offset: world.offset, last: Some(LastRecord::of(world.offset - 1, b"a record")) };
    assert_eq!(world.store.as_ref().unwrap().folded(), folded);
    assert_ne!(folded.last, Some(LastRecord::of(world.offset - 1, b"another record")));
    world.assert_whole();
    let store = world.store.as_ref().unwrap();
    assert_eq!(store.sizes().operations, 501);
    let keys = |key: &str| {
        let command = tollbooth_schemas::v1::Command {
            account_id: ACCOUNT.to_owned(),
            idempotency_key: key.to_owned(),
            ..tollbooth_schemas::v1::Command::default()
        };
        tollbooth_ledger::CommandInput { command: &command, offset: 0 }.looks_up()
    };
    assert!(matches!(store.remembered(&keys("place 1")[0]), Ok(Some(Remembered::Answer(_)))));
    assert!(matches!(store.remembered(&keys("never")[0]), Ok(None)));
    let ended = looked_up_hold("hld_1");
    assert!(matches!(store.remembered(&ended), Ok(Some(Remembered::Hold(_)))));
    assert!(matches!(store.remembered(&looked_up_hold("hld_2")), Ok(None)), "an open hold is in memory");
}

fn looked_up_hold(hold_id: &str) -> Key {
    let void = tollbooth_schemas::v1::VoidHold { hold_id: hold_id.to_owned() };
    let command = tollbooth_schemas::v1::Command {
        account_id: ACCOUNT.to_owned(),
        body: Some(tollbooth_schemas::v1::command::Body::VoidHold(void)),
        ..tollbooth_schemas::v1::Command::default()
    };
    tollbooth_ledger::CommandInput { command: &command, offset: 0 }.looks_up()[1]
}

#[test]
fn a_store_of_something_else_is_refused() {
    let mut world = World::new();
    world.charge(0..10);
    world.write();
    world.store = None;
    let with = |change: &dyn Fn(&mut Identity)| {
        let mut other = identity();
        change(&mut other);
        other
    };
    let others: [(Identity, Bounds, &str); 6] = [
        (with(&|other| other.cluster_id = "two".to_owned()), LEDGER, "mismatch"),
        (with(&|other| other.ledger = "other.ledger".to_owned()), LEDGER, "mismatch"),
        (with(&|other| other.partition = 4), LEDGER, "mismatch"),
        (with(&|other| other.retention_weeks = 5), LEDGER, "mismatch"),
        (identity(), Bounds { low: 0, end: world.offset - 1 }, "future"),
        (identity(), Bounds { low: world.offset + 1, end: 1_000 }, "mismatch"),
    ];
    for (identity, ledger, code) in others {
        assert_eq!(world.open(&identity, ledger).unwrap_err().code(), code, "{identity:?} {ledger:?}");
    }
    // And its own is taken, where the ledger ends with it, too.
    assert!(world.open(&identity(), Bounds { low: world.offset, end: world.offset }).unwrap().is_some());
}

#[test]
fn a_store_that_another_process_has_is_left_alone() {
    let mut world = World::new();
    world.charge(0..10);
    world.write();
    assert_eq!(world.open(&identity(), LEDGER).unwrap_err().code(), "locked");
    world.reopen();
    world.assert_whole();
}

#[test]
fn tables_that_are_not_of_one_write_are_torn() {
    // given a store whose week came through and whose state did not, and one the other way round
    for first in [week_key::MARK, state_key::TAG] {
        let mut world = World::new();
        world.charge(0..10);
        world.write();
        let before = world.store.as_ref().unwrap().tag.clone();
        world.charge(10..20);
        world.write();
        world.store = None;
        let db = open_database(&world.path(), CACHE).unwrap();
        if first == week_key::MARK {
            let week = db.keyspace(&week_name(2_900), options).unwrap();
            week.insert([week_key::MARK], before.write.to_be_bytes()).unwrap();
        } else {
            let state = db.keyspace(STATE, options).unwrap();
            state.insert([state_key::TAG], prost::Message::encode_to_vec(&before)).unwrap();
        }
        drop(db);
        // then it is not used
        assert_eq!(world.open(&identity(), LEDGER).unwrap_err().code(), "torn");
    }
}

#[test]
fn a_run_that_is_not_whole_is_torn() {
    let mut world = World::new();
    world.charge(0..500);
    world.write();
    world.store = None;
    let db = open_database(&world.path(), CACHE).unwrap();
    let week = db.keyspace(&week_name(2_900), options).unwrap();
    let (key, _) = week.prefix([week_key::OPERATIONS]).next().unwrap().into_inner().unwrap();
    week.remove(key).unwrap();
    drop((week, db));
    assert_eq!(world.open(&identity(), LEDGER).unwrap_err().code(), "torn");
}

/// Every file below a directory that has something in it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if fs::metadata(&path).unwrap().len() > 0 {
            all.push(path);
        }
    }
    all.sort();
    all
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
fn a_flipped_byte_is_found_or_changes_nothing() {
    // given a store of which part is in tables and part in the journal
    let mut world = World::new();
    world.charge(0..3_000);
    world.write();
    let store = world.store.as_ref().unwrap();
    store.state.rotate_memtable_and_wait().unwrap();
    store.weeks[&2_900].keyspace.rotate_memtable_and_wait().unwrap();
    world.charge(3_000..3_500);
    world.write();
    world.store = None;
    let sound_dir = world.dir.path().join("sound");
    fs::rename(world.path(), &sound_dir).unwrap();
    let (mut found, mut harmless) = (BTreeSet::new(), 0);
    for sound_path in files(&sound_dir) {
        let sound = fs::read(&sound_path).unwrap();
        let path = world.path().join(sound_path.strip_prefix(&sound_dir).unwrap());
        // when one byte of one file is another, at places all over it
        for part in 0..12 {
            // Opening changes files: each try begins with sound ones.
            remove(&world.path()).unwrap();
            copy_dir(&sound_dir, &world.path());
            let mut bytes = sound.clone();
            let at = (bytes.len() - 1) * part / 11;
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            let outcome = world.open(&identity(), LEDGER);
            // then that is found, or what is read is what was written up to one of the writes
            match outcome {
                Err(error) => drop(found.insert(error.code())),
                Ok(None) => panic!("{} at {at}: taken for empty", path.display()),
                Ok(Some((store, state))) => {
                    let seq = state.account(ACCOUNT).unwrap().seq;
                    let written = [(3_001, 3_001), (i64::try_from(world.seq).unwrap(), world.offset)];
                    let seq = i64::try_from(seq).unwrap();
                    assert!(written.contains(&(seq, store.next_offset())), "{} at {at}: {seq}", path.display());
                    let operations = usize::try_from(seq - 1).unwrap();
                    assert!(world.operations[..operations].iter().all(|digest| {
                        matches!(store.remembered(&Key::Operation(*digest)), Ok(Some(Remembered::Operation(_))))
                    }));
                    harmless += 1;
                }
            }
        }
    }
    assert!(found.contains("checksum"), "{found:?}, {harmless} harmless");
}

#[test]
fn small_runs_become_few_and_keep_every_operation() {
    // given an operation that failed first, and many small writes after it
    let mut world = World::new();
    let failed = Kind::Usage(Usage {
        status: UsageStatus::Failed.into(),
        operation_id: "op_0".to_owned(),
        attempt: 1,
        ..Usage::default()
    });
    world.post(failed, 0, None);
    world.write();
    for number in 0..100 {
        world.charge(number * 10..number * 10 + 10);
        world.write();
        // when runs are merged
        while world.store.as_mut().unwrap().merge_runs(FAN_IN).unwrap() {}
        let runs = world.store.as_ref().unwrap().weeks[&2_900].runs.len();
        assert!(runs < 3 * FAN_IN, "{runs} runs after {number} writes");
    }
    // then each operation is there as it stands last, before and after the store is opened anew
    world.assert_whole();
    world.reopen();
    world.assert_whole();
    assert_eq!(world.store.as_ref().unwrap().sizes().operations, 1_000, "the failure gave way to the charge");
}

#[test]
fn runs_that_are_large_enough_are_left() {
    let run = |id, level, operations| Run { id, level, operations };
    let large: Vec<Run> = (0..8).map(|id| run(id, 0, 200_000)).collect();
    let Some(runs::Merge::Enough(last)) = runs::to_merge(&large, FAN_IN) else { panic!("merged") };
    assert_eq!(runs::to_merge(&last, FAN_IN), None);
    let small: Vec<Run> = (0..8).map(|id| run(id, 2, 10)).collect();
    assert_eq!(runs::to_merge(&small, FAN_IN), Some(runs::Merge::Into(small.clone(), 3)));
    assert_eq!(runs::to_merge(&small[1..], FAN_IN), None);
}

#[test]
fn a_week_beyond_the_retention_goes_as_a_whole() {
    let mut world = World::new();
    world.charge(0..100);
    world.write();
    let old = world.operations.clone();
    // when it is long after that
    world.now_ms += 20 * WEEK_MS;
    world.charge(100..200);
    world.write();
    // then nothing of the week is left, also where it is opened anew, and the later one is whole
    for _ in 0..2 {
        assert!(old.iter().all(|digest| world.operation(*digest).is_none()));
        assert!(world.operations[100..].iter().all(|digest| world.operation(*digest).is_some()));
        assert_eq!(world.store.as_ref().unwrap().weeks.len(), 1);
        world.reopen();
    }
}

#[test]
fn a_new_operation_is_no_question_to_the_disk() {
    let mut world = World::new();
    world.charge(0..10_000);
    world.write();
    world.reopen();
    let store = world.store.as_ref().unwrap();
    let fresh = |number: usize| {
        let entry = Entry { kind: Some(usage(&format!("new_{number}"), HoldOutcome::None)), ..Entry::default() };
        looked_up(ACCOUNT, &entry)[0]
    };
    let asked = (0..10_000).filter(|number| store.may_have(&fresh(*number))).count();
    assert!(asked < 100, "{asked} of 10,000");
    assert!(store.filter_bytes() < 10_000 * 4 + 8_192, "{}", store.filter_bytes());
}

#[test]
fn what_was_given_back_is_in_the_week_of_its_charge() {
    let mut world = World::new();
    let charge = Entry { amount_micros: -5, balance_after_micros: -5, ..Entry::default() };
    world.seq += 1;
    let post = |world: &mut World, entry: Entry| {
        let record = LedgerRecord {
            account_id: ACCOUNT.to_owned(),
            posted_at_ms: world.now_ms,
            input_generation: 0,
            entries: vec![entry],
        };
        world.state.fold(&record).unwrap();
        world.offset += 1;
    };
    let kind = Some(usage("op_0", HoldOutcome::None));
    post(&mut world, Entry { seq: 2, kind, ..charge });
    world.write();
    // when the charge is given back a week later, by a process that has it on disk only
    world.now_ms += WEEK_MS;
    let reversal = Kind::Reversal(Reversal {
        original_seq: 2,
        operation_id: "op_0".to_owned(),
        attempt: 1,
        ..Reversal::default()
    });
    let entry = Entry { seq: 3, amount_micros: 5, kind: Some(reversal), ..Entry::default() };
    for key in looked_up(ACCOUNT, &entry) {
        if let Some(row) = world.store.as_ref().unwrap().remembered(&key).unwrap() {
            world.state.recall(key.digest(), row);
        }
    }
    let keys = looked_up(ACCOUNT, &entry);
    post(&mut world, entry);
    world.write();
    world.reopen();
    // then it is remembered, and forgotten with the charge
    let store = world.store.as_ref().unwrap();
    assert!(keys.iter().all(|key| store.remembered(key).unwrap().is_some()));
    assert_eq!(store.weeks.len(), 1);
}
