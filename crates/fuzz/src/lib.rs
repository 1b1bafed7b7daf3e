//! Changed and broken inputs against everything that reads what others wrote.
//!
//! A target is a test that calls [`fuzz`] with a function that must not panic, whatever it is given, and that asserts what
//! must hold of an input that is taken. It is called with every seed of the target, the files of `corpus/<target>` among
//! them, and then with many thousands of seeds in which something was changed: bits, bytes, numbers, pieces left out, doubled,
//! or taken from another seed. The same seed of chance gives the same inputs on every machine.
//!
//! What fails is made smaller, written to `target/tmp/fuzz`, and named: as a file of `corpus/<target>` it is tried by
//! every run from then on.
//!
//! | variable | |
//! |---|---|
//! | `TOLLBOOTH_FUZZ_ROUNDS` | changed inputs for each target, 100,000 |
//! | `TOLLBOOTH_FUZZ_SECONDS` | a target that takes longer ends with fewer, and says with how many; without it none does |
//! | `TOLLBOOTH_FUZZ_SEED` | of chance, 0 |

mod change;
mod failure;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use change::Changer;

/// Changed inputs for each target, where nothing else is said.
const ROUNDS_DEFAULT: u64 = 100_000;

/// Between two looks at the clock.
const ROUNDS_BETWEEN_LOOKS: u64 = 256;

/// Calls `target` with every seed and every file of `corpus/<name>`, then with changed ones. `words` are what the inputs
/// are made of: they are put where chance has it.
///
/// # Panics
/// Where `target` does, with the input that it took, made smaller.
pub fn fuzz(name: &str, seeds: Vec<Vec<u8>>, words: &[&str], target: impl Fn(&[u8])) {
    let mut inputs = seeds;
    inputs.extend(corpus(name));
    assert!(!inputs.is_empty(), "{name} has no seed");
    for input in &inputs {
        failure::guard(name, input, &target);
    }
    let (rounds, seed) = (number("TOLLBOOTH_FUZZ_ROUNDS", ROUNDS_DEFAULT), number("TOLLBOOTH_FUZZ_SEED", 0));
    let mut chance = ChaCha8Rng::seed_from_u64(seed ^ print_of(name.as_bytes()));
    let changer = Changer { inputs: &inputs, words };
    let limit = Duration::from_secs(number("TOLLBOOTH_FUZZ_SECONDS", u64::MAX));
    let tried = within(limit, rounds, || failure::guard(name, &changer.changed(&mut chance), &target));
    if tried < rounds {
        println!("{name}: {tried} of {rounds} inputs in {limit:?}");
    }
}

/// Tries `rounds` times, unless that takes longer. Returns how often.
fn within(limit: Duration, rounds: u64, mut attempt: impl FnMut()) -> u64 {
    let begun = Instant::now();
    for round in 0..rounds {
        if round.is_multiple_of(ROUNDS_BETWEEN_LOOKS) && begun.elapsed() >= limit {
            return round;
        }
        attempt();
    }
    rounds
}

/// The files of a target's corpus, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    let read = |path: &PathBuf| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    paths.iter().map(read).collect()
}

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number")),
        Err(_) => default,
    }
}

/// FNV-1a: the same in every release.
fn print_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |print, byte| (print ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn every_seed_is_tried_and_chance_is_the_same_each_time() {
        let tried = |seeds: &[&str]| {
            let tried = RefCell::new(Vec::new());
            let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
            fuzz("nothing", seeds, &["word"], |input| tried.borrow_mut().push(input.to_vec()));
            tried.into_inner()
        };
        let first = tried(&["{\"a\": 1}", "[2]"]);
        assert_eq!(first[..2], [b"{\"a\": 1}".to_vec(), b"[2]".to_vec()]);
        assert!(first.len() as u64 > 2 && first[2..].iter().any(|input| input != &first[0]));
        assert_eq!(tried(&["{\"a\": 1}", "[2]"]), first);
    }

    #[test]
    fn what_takes_longer_than_it_may_ends_with_fewer() {
        let mut tried = 0;
        assert_eq!(within(Duration::MAX, 1_000, || tried += 1), 1_000);
        assert_eq!(within(Duration::ZERO, 1_000, || tried += 1), 0);
        assert_eq!(tried, 1_000);
    }

    #[test]
    fn what_fails_is_made_smaller_and_kept() {
        let target = |input: &[u8]| assert!(!input.windows(3).any(|three| three == b"bad"), "found");
        let seeds = vec![b"much that is good, and something bad, and more that is good".to_vec()];
        let failed = catch_unwind(AssertUnwindSafe(|| fuzz("self-test", seeds, &[], target))).unwrap_err();
        let text = failed.downcast_ref::<String>().unwrap();
        let path = text.split_once("kept as ").unwrap().1.lines().next().unwrap();
        assert_eq!(fs::read(path).unwrap(), b"bad");
        fs::remove_file(path).unwrap();
    }
}
