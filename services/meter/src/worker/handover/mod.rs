//! A partition is handed over, in every order in which that can happen: a bounded world is explored to its end, and what the
//! workers decide in it is decided by the production code (see `docs/handover.md`).

mod bounds;
mod library;
mod log;
mod model;
mod sources;
mod steps;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Instant,
};

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model as _};
use tollbooth_ledger::Defect;

use bounds::{Bounds, Mistake};
use model::{CHARGED_ONCE, FENCED, FOLD, Handover, ONE_CHAIN, TOGETHER};

fn checker(bounds: &Bounds) -> CheckerBuilder<Handover> {
    Handover::new(bounds.clone()).checker().threads(2)
}

/// Explores all of a world, and tells what that came to; gives back how often everything happened that must.
fn explore(name: &str, bounds: &Bounds) -> BTreeMap<String, u64> {
    let begun = Instant::now();
    // What is still to be looked at takes less memory than when it is explored in its breadth.
    let checked = checker(bounds).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    println!(
        "handover, {name}: {} unique states, {} steps, depth {}, {:.1} s",
        checked.unique_state_count(),
        checked.state_count(),
        checked.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    let is_broken = |name: &&str| checked.discovery_classification(name).to_string() == "counterexample";
    if checked.discoveries().keys().any(is_broken) {
        // Once more for the shortest way to it.
        checker(bounds).threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join().assert_properties();
    }
    let found = checked.discoveries();
    let examples = Handover::EXAMPLES.into_iter().map(|name| (name.to_owned(), u64::from(found.contains_key(name))));
    checked.model().seen().map(|(seen, times)| (format!("{seen:?}"), times)).chain(examples).collect()
}

#[test]
fn whenever_the_partition_is_handed_over_each_operation_is_charged_once() {
    let is_large = env::var("TOLLBOOTH_HANDOVER").is_ok_and(|size| size == "large");
    let worlds = if is_large { Bounds::LARGE.as_slice() } else { &Bounds::SMALL };
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (name, bounds) in worlds {
        for (what, times) in explore(name, bounds) {
            *seen.entry(what).or_default() += times;
        }
    }
    println!("handover: {seen:?}");
    // What never happens is proven by nothing.
    let missing: Vec<&String> = seen.iter().filter(|(_, times)| **times == 0).map(|(what, _)| what).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

/// A mistake is found, by what it leads to.
fn find(name: &str, broken: &'static str, bounds: &Bounds) {
    let checked = checker(bounds).finish_when(HasDiscoveries::AnyOf(BTreeSet::from([broken]))).spawn_bfs().join();
    let path = checked.discovery(broken).unwrap_or_else(|| panic!("{name} is not found: {broken}"));
    let actions = path.into_actions();
    println!(
        "handover, {name}: not \"{broken}\" after {} steps, {} unique states: {actions:?}",
        actions.len(),
        checked.unique_state_count(),
    );
}

#[test]
fn each_planted_defect_and_each_mistake_is_found() {
    let planted = |defect: Defect| Bounds { defect: Some(defect), ..Bounds::CRASHES };
    find("commit-before-produce", TOGETHER, &planted(Defect::CommitBeforeProduce));
    find("merge-before-commit", FOLD, &planted(Defect::MergeBeforeCommit));
    find("no-fencing", FENCED, &planted(Defect::NoFencing));
    find("no-fencing", ONE_CHAIN, &planted(Defect::NoFencing));
    find("token-per-attempt", CHARGED_ONCE, &planted(Defect::TokenPerAttempt));
    let mistaken = |mistake: Mistake| Bounds { mistake: Some(mistake), ..Bounds::CRASHES };
    find("the end before the fence", ONE_CHAIN, &mistaken(Mistake::EndBeforeFence));
    find("offsets outside", TOGETHER, &mistaken(Mistake::OffsetsOutside));
    find("reads uncommitted", FOLD, &mistaken(Mistake::ReadsUncommitted));
    find("forgets the group", TOGETHER, &mistaken(Mistake::ForgetsGroup));
    find("skips the tail", FOLD, &Bounds { mistake: Some(Mistake::SkipsTail), ..Bounds::COPIES });
}
