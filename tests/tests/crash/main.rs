//! Everything is killed while a fleet works; afterwards nothing is lost, doubled or off by a cent.
//!
//! Short by default; `TOLLBOOTH_CRASH=long` kills at least 30 times, `broker` only the broker and meters, `hour` does everything
//! that may go wrong, for an hour. See `tests/README.md`.

mod cluster;
mod hour;

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tollbooth_tests::Victim;
use tollbooth_tests::crash::{
    self, AFTER_INSERT, Act, BEFORE_INSERT, Form, IN_TRANSACTION, Options, PAYMENT_TAKEN, Plan, REPRICING_CHUNK,
};

/// Of the wanted rate. The fleet keeps its pace during an outage, and what was not taken then comes on top of it.
const RATE_SHARE_MIN: f64 = 0.25;

/// Each takes every core.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the clerk does, by name.
const MOVED: [&str; 12] = [
    "adjustment",
    "charge made anew",
    "hold captured",
    "hold placed",
    "hold voided",
    "purchase",
    "purchase declined",
    "re-pricing applied",
    "re-pricing taken back",
    "recharge",
    "refund",
    "usage of the rule's account",
];

#[test]
fn crash_test_loses_nothing_and_doubles_nothing() -> anyhow::Result<()> {
    let _turn = turn();
    // given a fleet at work on two meters, a sink, ingest, ClickHouse and Kafka
    let options = Options::from_environment()?;
    if options.form == Form::Round {
        return hour::loses_nothing_and_doubles_nothing(&options);
    }

    // when each of them is killed, some in the middle of what must not be done by halves
    let summary = crash::run(&options)?;
    // Past the runner's capture: a person wants to see what was survived.
    writeln!(std::io::stderr(), "{summary}")?;

    // then every kind of accident did happen
    if options.form == Form::Broker {
        assert!(summary.count(Act::Kill(Victim::Broker)) >= 10, "the broker was hardly killed");
    } else {
        for victim in Victim::ALL {
            assert!(summary.count(Act::Kill(*victim)) >= 1, "{victim:?} was not killed");
        }
        for point in [IN_TRANSACTION, BEFORE_INSERT, AFTER_INSERT, PAYMENT_TAKEN, REPRICING_CHUNK] {
            assert!(summary.count(Act::Point(point)) >= 1, "nobody was killed at {point}");
        }
        assert!(summary.count(Act::Zombie) >= 1, "no meter stood still");
        // and stores that were gone, set back, another's and untouched were each met, and told apart
        assert!(summary.stores.is_complete(), "{summary}");
        // and somebody was in the middle of a re-pricing
        assert!(summary.moved.interrupted > 0, "no re-pricing was interrupted");
    }
    if options.form == Form::Long {
        assert!(summary.kills() >= 30, "only {} kills", summary.kills());
    }
    // and at a rate at which there is something to lose: outages and a slow machine are allowed for
    let enough = summary.rate_wanted * RATE_SHARE_MIN;
    assert!(summary.rate_made() >= enough, "only {:.0} events a second", summary.rate_made());
    assert!(summary.rate_acknowledged() >= enough, "only {:.0} acknowledged a second", summary.rate_acknowledged());
    // and money moved in every way meanwhile, exactly as the clerk's books say
    let moved = summary.moved.done.iter().filter(|(_, count)| **count > 0);
    let kinds: Vec<&str> = moved.map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, MOVED, "{}", summary.moved);
    assert!(summary.moved.repeated > 0, "no command was sent twice");
    // and the audit looked at all of it
    let planned = summary.fleet["planned"].as_u64().unwrap_or_default();
    assert!(planned > 10_000, "only {planned} events");
    assert_eq!(summary.audited("checked", "planned"), planned, "events in the journal that was audited");
    assert!(summary.audited("checked", "duplicates") > 0, "no duplicate was met");
    // and that was everything: each record was acknowledged, or was one that ingest must refuse, and did
    let refused = summary.expected("refused");
    assert_eq!(summary.expected["parked"].as_u64(), Some(refused), "refused by ingest");
    assert_eq!(summary.audited("checked", "acknowledged") + refused, planned, "acknowledged");
    assert!(!summary.dead_letters.is_empty(), "no fault was injected");
    // and found nothing
    assert!(summary.is_clean(), "{summary}");
    assert_eq!(summary.defects(), Vec::new());
    // and each fault has its dead letter, of its reason
    for (reason, letters) in &summary.dead_letters {
        assert_eq!(letters.found, letters.injected, "{reason}");
        assert_eq!(letters.injected, summary.expected(reason), "{reason}");
    }
    Ok(())
}

#[test]
fn crash_plans_are_a_function_of_their_seed() {
    // given a seed, when the plan is made twice
    let acts = |form, seed| -> Vec<Act> { Plan::new(form, seed).acts.iter().map(|step| step.act).collect() };
    // then it is the same, another seed's is not, and the long form has its 30 kills with any seed
    assert_eq!(acts(Form::Long, 7), acts(Form::Long, 7));
    assert_ne!(acts(Form::Long, 7), acts(Form::Long, 8));
    for seed in 0..200 {
        let kills = acts(Form::Long, seed).iter().filter(|act| !matches!(act, Act::Zombie)).count();
        assert!(kills >= 30, "seed {seed}: {kills}");
        assert_eq!(acts(Form::Short, seed).len(), 14);
    }
}
