//! A ledger that was replaced under its name: what was folded of the one before is not gone on with.

use std::{
    path::Path,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Waker},
};

use prometheus::{Registry, TextEncoder};
use prost::Message as _;
use tollbooth_ledger::View as _;
use tollbooth_schemas::v1::{AccountOpened, Entry, LedgerRecord, entry::Kind};

use super::{
    log::Stored,
    run::context,
    world::{BEGIN_MS, Settings, Shared, World},
};
use crate::{
    metrics::Metrics,
    store::{StoreConfig, StoreSettings},
    worker::Worker,
};

/// Whoever the ledgers of a test are about.
const ACCOUNTS: [&str; 6] = ["acc_a", "acc_b", "acc_c", "acc_d", "acc_e", "acc_f"];

/// The openings of these, as records of partition 0's ledger.
pub(super) fn world(accounts: &[&str]) -> Shared {
    let mut world = World::new(Settings::of(1));
    world.is_quiet = true;
    let place = world.place(&world.topics.ledger(), 0);
    for account in accounts {
        let opened = AccountOpened {
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            ..AccountOpened::default()
        };
        let record = LedgerRecord {
            account_id: (*account).to_owned(),
            posted_at_ms: BEGIN_MS,
            input_generation: 0,
            entries: vec![Entry { seq: 1, kind: Some(Kind::AccountOpened(opened)), ..Entry::default() }],
        };
        world.log.append(&place, Stored::new(account.as_bytes(), &record.encode_to_vec(), Vec::new()), 0);
    }
    Rc::new(world.into())
}

/// What came of an assignment.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    /// Whose accounts the state has.
    accounts: Vec<&'static str>,
    /// Where it came from.
    source: &'static str,
    /// Stores that were discarded because they belong to something else.
    mismatches: u64,
}

/// Serves the partition for a while with what lies in a directory, and gives it back in order.
fn served(world: &Shared, dir: &Path) -> Served {
    served_at_last(world, dir, &[200])
}

/// The same over several assignments, each withdrawn after so many steps.
#[allow(clippy::arc_with_non_send_sync)] // One thread; a worker keeps its context in an `Arc`.
fn served_at_last(world: &Shared, dir: &Path, withdrawn_after: &[usize]) -> Served {
    let registry = Registry::new();
    let topics = world.borrow().topics.clone();
    let metrics = Metrics::new(&registry, "g", &topics).expect("metrics");
    let mut context = Arc::into_inner(context(world, 0, 0, &metrics)).expect("nobody else has it");
    let config = StoreConfig { dir: dir.display().to_string(), ..StoreConfig::default() };
    let (ledger, weeks) = (topics.ledger(), context.limits.retention_weeks);
    context.store = StoreSettings::new(&config, "cluster".to_owned(), ledger, topics.partitions, weeks);
    let context = Arc::new(context);
    let mut worker = Worker::new(Arc::clone(&context), 0);
    for (epoch, withdrawn_after) in (1..).zip(withdrawn_after) {
        world.borrow().processes[0].slots[0].assign(epoch);
        let mut serving = pin!(worker.serve_assignment(epoch));
        for step in 0.. {
            assert!(step < 1_000, "it ends");
            if step == *withdrawn_after {
                world.borrow().processes[0].slots[0].withdraw();
            }
            if serving.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready() {
                break;
            }
            let mut world = world.borrow_mut();
            world.now_ms = world.wake_ms;
        }
        world.borrow().processes[0].slots[0].done(epoch);
    }
    assert_eq!(world.borrow().outrage, None);
    let warm = context.memory.take(0).expect("what was folded");
    let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
    let value = |name: String| {
        let found = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
        found.map_or(0, |value| value.trim().parse().expect("a number"))
    };
    let mismatches = value("tollbooth_meter_store_discarded_total{reason=\"mismatch\"}".to_owned());
    let is_from = |source: &&str| value(format!("tollbooth_meter_restore_seconds_count{{state=\"{source}\"}}")) == 1;
    Served {
        accounts: ACCOUNTS.into_iter().filter(|account| warm.state.account(account).is_some()).collect(),
        source: ["warm", "store", "cold"].into_iter().find(is_from).expect("one of them"),
        mismatches,
    }
}

#[test]
fn a_store_is_gone_on_with_where_its_last_record_still_stands_and_discarded_where_it_does_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let cold = |accounts, mismatches| Served { accounts, source: "cold", mismatches };
    // given a store of two records
    assert_eq!(served(&world(&["acc_a", "acc_b"]), dir.path()), cold(vec!["acc_a", "acc_b"], 0));
    // when the ledger has gone on, or has not, then so does the store
    let goes_on = Served { accounts: vec!["acc_a", "acc_b", "acc_c"], source: "store", mismatches: 0 };
    for _ in 0..2 {
        assert_eq!(served(&world(&["acc_a", "acc_b", "acc_c"]), dir.path()), goes_on);
    }
    // when another one stands under its name, which is longer
    let other = ["acc_d", "acc_e", "acc_f", "acc_a"];
    assert_eq!(served(&world(&other), dir.path()), cold(vec!["acc_a", "acc_d", "acc_e", "acc_f"], 1));
    // when its newest record is lost, and another one was written in its place
    let cut = ["acc_d", "acc_e", "acc_f", "acc_b"];
    assert_eq!(served(&world(&cut), dir.path()), cold(vec!["acc_b", "acc_d", "acc_e", "acc_f"], 1));
    // then the store that was built anew is this ledger's
    let goes_on = Served { accounts: vec!["acc_b", "acc_d", "acc_e", "acc_f"], source: "store", mismatches: 0 };
    assert_eq!(served(&world(&cut), dir.path()), goes_on);
}

#[test]
fn a_start_that_ends_before_a_store_is_compared_does_not_make_it_trusted() {
    let other = ["acc_d", "acc_e", "acc_f", "acc_a"];
    for withdrawn_after in 1..40 {
        // given a store of a ledger that was replaced since
        let dir = tempfile::tempdir().expect("a directory");
        served(&world(&["acc_a", "acc_b"]), dir.path());
        // when the partition is withdrawn somewhere on the way, and comes back to the same process
        let served = served_at_last(&world(&other), dir.path(), &[withdrawn_after, 200]);
        // then the store is discarded, and the ledger is folded
        let accounts = vec!["acc_a", "acc_d", "acc_e", "acc_f"];
        assert_eq!((served.accounts, served.mismatches), (accounts, 1), "withdrawn after {withdrawn_after}");
    }
}
