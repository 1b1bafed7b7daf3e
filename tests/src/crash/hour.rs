//! All kinds of faults over three brokers, in rounds: each on a stack of its own, with a seed of its own, to the audit's verdict.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::cluster::BROKERS;
use super::scene::Scene;
use super::{Form, Options, Plan, Summary, look_into, play, tell};
use crate::stack::{Stack, StackOptions};

const MINUTES: u32 = 60;
const HEAP_MB: u32 = 320;

/// How long it goes on, and what is left out.
#[derive(Debug, Clone)]
pub struct Length {
    /// No round is begun that would most likely end later.
    pub time: Duration,
    /// Only acts with one of these texts in their names, which commas part; empty: all.
    pub only: String,
}

impl Length {
    /// From the environment: `TOLLBOOTH_CRASH_MINUTES`, `TOLLBOOTH_CRASH_ACTS`.
    ///
    /// # Errors
    /// When a value is no number.
    pub fn from_environment() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let minutes = match set("TOLLBOOTH_CRASH_MINUTES") {
            Some(text) => text.parse().context("TOLLBOOTH_CRASH_MINUTES")?,
            None => MINUTES,
        };
        let only = set("TOLLBOOTH_CRASH_ACTS").unwrap_or_default();
        Ok(Self { time: Duration::from_secs(u64::from(minutes) * 60), only })
    }
}

/// One round.
#[derive(Debug)]
pub struct Round {
    /// What was to be done.
    pub plan: Plan,
    /// What was done and found.
    pub summary: Summary,
}

/// Plays round after round and gives each to `judge`, until the time is over or something is wrong. At least one.
///
/// # Errors
/// When a round cannot be carried out, with its seed; or those of `judge`.
pub fn run(
    options: &Options,
    length: &Length,
    mut judge: impl FnMut(&Round) -> anyhow::Result<()>,
) -> anyhow::Result<u32> {
    let begun = Instant::now();
    let (mut seed, mut rounds) = (options.seed, 0);
    loop {
        let round_begun = Instant::now();
        rounds += 1;
        let round =
            round(&with_seed(options, seed), length, rounds).with_context(|| format!("the round of seed {seed}"))?;
        judge(&round).with_context(|| format!("the round of seed {seed}"))?;
        // The next one takes about as long.
        if begun.elapsed() + round_begun.elapsed() > length.time {
            return Ok(rounds);
        }
        seed = next(seed);
    }
}

fn round(options: &Options, length: &Length, number: u32) -> anyhow::Result<Round> {
    let plan = Plan::new(Form::Round, options.seed).only(&length.only);
    let seed = options.seed;
    tell(&format!(
        "round {number}, seed {seed}, {} acts over {BROKERS} brokers (repeat it alone with TOLLBOOTH_CRASH_SEED={seed} \
         TOLLBOOTH_CRASH_MINUTES=0)",
        plan.acts.len()
    ));
    let started = Instant::now();
    let stack =
        Stack::prepare(&StackOptions { name: "hour", kafka_heap_mb: HEAP_MB, stores: options.stores }, BROKERS)?;
    // Dropped before the stack: its folders can be removed then.
    let scene = Scene::around(&stack)?;
    for missing in scene.missing() {
        tell(&format!("NOT DONE: {missing}"));
    }
    let outcome = stack.run().and_then(|()| play(&stack, options, &plan, Some(&scene), started));
    if !matches!(&outcome, Ok(summary) if summary.is_clean()) {
        look_into(&stack);
        scene.keep();
    }
    Ok(Round { plan, summary: outcome? })
}

/// As if the round's seed had been given: what hangs on it hangs on it alone.
fn with_seed(options: &Options, seed: u64) -> Options {
    let mut options = options.clone();
    if options.stores != [true; 2] {
        options.stores = Options::one_with_stores(seed);
    }
    options.fleet.seed = seed;
    options.seed = seed;
    options
}

/// The next round's seed; as short as one that is made up.
fn next(seed: u64) -> u64 {
    u64::from(ChaCha8Rng::seed_from_u64(seed).random::<u32>())
}
