//! Several meters in one simulated world, from a seed: the production loop and the production core run as they are, and
//! everything around them is simulated (see `docs/simulation.md`).
#![allow(clippy::cast_precision_loss, reason = "rates that are printed")]

mod ends;
mod faults;
mod fleet;
mod group;
mod log;
mod oracle;
mod overtaken;
mod panicked;
mod replaced;
mod run;
mod withdrawn;
mod world;

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use prometheus::Registry;
use tollbooth_ledger::{Defect, plant};
use tollbooth_schemas::topics::TopicSet;

use crate::metrics::Metrics;
use faults::{Faults, Kind};
use oracle::Broken;
use run::{Outcome, run};
use world::Settings;

/// Seeds of a run without a defect, unless `TOLLBOOTH_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 200;
/// Short worlds of a run, unless `TOLLBOOTH_SIM_SHORT_SEEDS` says otherwise.
const SHORT_SEEDS: u64 = 10_000;
/// Within so many a defect must be found.
const SEEDS_PLANTED: u64 = 1_000;

fn metrics() -> Metrics {
    let topics = TopicSet { prefix: String::new(), partitions: 2 };
    Metrics::new(&Registry::new(), "g", &topics).expect("metrics")
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// A run that breaks a promise, with as few kinds of faults and as little time as still break it.
fn shrunk(settings: &Settings, metrics: &Metrics) -> (Settings, Outcome) {
    let mut smallest = settings.clone();
    let mut outcome = run(smallest.clone(), metrics);
    let mut try_with = |smallest: &mut Settings, candidate: Settings| {
        let tried = run(candidate.clone(), metrics);
        if !tried.violations.is_empty() {
            (*smallest, outcome) = (candidate, tried);
        }
    };
    for kind in Kind::ALL {
        let mut candidate = smallest.clone();
        if candidate.without.insert(kind) {
            try_with(&mut smallest, candidate);
        }
    }
    while smallest.busy_ms > 5_000 {
        let candidate = Settings { busy_ms: smallest.busy_ms / 2, ..smallest.clone() };
        let before = smallest.busy_ms;
        try_with(&mut smallest, candidate);
        if smallest.busy_ms == before {
            break;
        }
    }
    (smallest, outcome)
}

/// What a person needs who is to mend it.
fn report(settings: &Settings, defect: Option<Defect>, metrics: &Metrics) -> String {
    let (smallest, outcome) = shrunk(settings, metrics);
    let mut text = format!("seed {} breaks a promise\n", settings.seed);
    for violation in outcome.violations.iter().take(10) {
        writeln!(text, "  {violation}").expect("a string");
    }
    writeln!(text, "  faults: {}\n  the last of what happened:", outcome.faults).expect("a string");
    for line in &outcome.trace {
        writeln!(text, "    {line}").expect("a string");
    }
    let without: Vec<String> = smallest.without.iter().map(Kind::to_string).collect();
    let planted = defect.map(|defect| format!(" TOLLBOOTH_SIM_PLANTED={}", defect.code())).unwrap_or_default();
    writeln!(
        text,
        "again: TOLLBOOTH_SIM_SEED={} TOLLBOOTH_SIM_BUSY_MS={} TOLLBOOTH_SIM_WITHOUT={}{planted} cargo test --workspace \
         --lib simulation::one_seed -- --nocapture",
        smallest.seed,
        smallest.busy_ms,
        without.join(","),
    )
    .expect("a string");
    text
}

/// What many runs came to.
#[derive(Default)]
struct Sum {
    faults: Faults,
    simulated_ms: i64,
    effects: u64,
}

/// Runs `seeds` of them from the first that the environment names, on every core, and tells what they came to. Panics with a
/// report at the first that breaks a promise, or where a class of faults never happened.
fn sweep(seeds: u64, is_usual: bool, settings: fn(u64) -> Settings) {
    let first = number("TOLLBOOTH_SIM_FIRST").unwrap_or(1);
    let (begun, next) = (Instant::now(), AtomicU64::new(first));
    let each = || {
        // What is planted is so for a thread.
        plant(None);
        let (metrics, mut sum) = (metrics(), Sum::default());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return sum;
            }
            let outcome = run(settings(seed), &metrics);
            if !outcome.violations.is_empty() {
                // The others need not go on.
                next.store(first + seeds, Ordering::Relaxed);
                panic!("{}", report(&settings(seed), None, &metrics));
            }
            sum.faults.add(&outcome.faults);
            sum.simulated_ms += outcome.simulated_ms;
            sum.effects += outcome.effects;
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let Sum { faults, simulated_ms, effects } = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        runs.into_iter().fold(Sum::default(), |mut sum, run| {
            let one = run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.faults.add(&one.faults);
            (sum.simulated_ms, sum.effects) = (sum.simulated_ms + one.simulated_ms, sum.effects + one.effects);
            sum
        })
    });
    let elapsed = begun.elapsed().as_secs_f64();
    let simulated = simulated_ms as f64 / 1000.0;
    println!(
        "simulation: {seeds} seeds, {simulated:.0} simulated seconds in {elapsed:.1} s ({:.0} a second), {effects} effects; \
         faults: {faults}",
        simulated / elapsed
    );
    // A class that never happens is one that nobody tests.
    assert!(!is_usual || faults.missing().is_empty(), "never happened: {:?}", faults.missing());
}

#[test]
fn whatever_goes_wrong_each_operation_is_charged_once_and_nothing_is_lost() {
    let seeds = number("TOLLBOOTH_SIM_SEEDS").unwrap_or(SEEDS);
    sweep(seeds, seeds >= SEEDS, Settings::of);
}

#[test]
fn in_ten_thousand_short_worlds_each_operation_is_charged_once_and_nothing_is_lost() {
    let seeds = number("TOLLBOOTH_SIM_SHORT_SEEDS").unwrap_or(SHORT_SEEDS);
    sweep(seeds, seeds >= SHORT_SEEDS, Settings::short);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let metrics = metrics();
    plant(None);
    let [first, second] = [0, 1].map(|_| run(Settings::of(7), &metrics));
    assert_eq!(first.trace, second.trace);
    assert_eq!((first.simulated_ms, first.effects), (second.simulated_ms, second.effects));
}

/// Every defect leads to what it must lead to: another violation alone would be found for another reason.
fn consequences(defect: Defect) -> &'static [Broken] {
    match defect {
        Defect::CommitBeforeProduce => &[Broken::Lost],
        Defect::MergeBeforeCommit => &[Broken::Lost, Broken::Chain],
        Defect::NoFencing => &[Broken::Doubled, Broken::Chain],
        Defect::DedupeByTime => &[Broken::Doubled],
        Defect::TokenPerAttempt => &[Broken::Doubled, Broken::Wrong],
    }
}

fn is_found(outcome: &Outcome, defect: Defect) -> bool {
    outcome.violations.iter().any(|violation| consequences(defect).contains(&violation.broken))
}

#[test]
fn each_planted_defect_is_found() {
    let (metrics, mut missed) = (metrics(), Vec::new());
    for defect in Defect::ALL {
        let begun = Instant::now();
        let under = |planted: Option<Defect>, seed: u64| {
            plant(planted);
            let outcome = run(Settings::of(seed), &metrics);
            plant(None);
            outcome
        };
        let found = (1..=SEEDS_PLANTED).find(|seed| is_found(&under(Some(defect), *seed), defect));
        let Some(seed) = found else {
            missed.push(defect);
            continue;
        };
        // Only the defect makes the difference: the same seed breaks no promise without it.
        let sound = under(None, seed);
        assert!(sound.violations.is_empty(), "seed {seed} without {}: {:?}", defect.code(), sound.violations);
        let broken: BTreeSet<Broken> =
            under(Some(defect), seed).violations.iter().map(|violation| violation.broken).collect();
        let elapsed = begun.elapsed().as_secs_f64();
        println!(
            "planted {}: found by seed {seed} as {broken:?}, which is clean without it ({elapsed:.1} s)",
            defect.code()
        );
    }
    assert!(missed.is_empty(), "not found within {SEEDS_PLANTED} seeds: {missed:?}");
}

/// For whoever looks into a failure: one run as the environment says, told whole.
#[test]
fn one_seed() {
    // What the workers say of it, too.
    let told = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).finish();
    let _of_this_thread_only = tracing::subscriber::set_default(told);
    let seed = number("TOLLBOOTH_SIM_SEED").unwrap_or(1);
    let without = env::var("TOLLBOOTH_SIM_WITHOUT").unwrap_or_default();
    let named = |name: &str| Kind::named(name).unwrap_or_else(|| panic!("no kind of fault: {name}"));
    let without = without.split(',').filter(|name| !name.is_empty()).map(named).collect();
    let planted = env::var("TOLLBOOTH_SIM_PLANTED").ok();
    let defect = planted.map(|code| {
        let known = Defect::ALL.into_iter().find(|defect| defect.code() == code);
        known.unwrap_or_else(|| panic!("no defect: {code}"))
    });
    let busy_ms = number("TOLLBOOTH_SIM_BUSY_MS").and_then(|ms| i64::try_from(ms).ok());
    let settings = Settings::of(seed);
    let settings = Settings { busy_ms: busy_ms.unwrap_or(settings.busy_ms), without, ..settings };
    plant(defect);
    let outcome = run(settings.clone(), &metrics());
    println!("seed {seed}: {}", outcome.faults);
    assert!(outcome.violations.is_empty(), "{}", report(&settings, defect, &metrics()));
}
