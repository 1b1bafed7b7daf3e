//! The simulator's chance: ChaCha streams from a seed, the same on every machine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Independent streams of one seed, so that a change in one does not shift the others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Population,
    Live,
    History,
}

/// A seeded source with the few distributions the fleet needs.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(match stream {
            Stream::Population => 1,
            Stream::Live => 2,
            Stream::History => 3,
        });
        Self(random)
    }

    /// In `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// In `[from, to)`.
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// In `[0, below)`; 0 where there is nothing to choose from.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        if below == 0 { 0 } else { self.0.random_range(0..below) }
    }

    /// With this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the weighted choices; the weights need not sum to anything.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [(f64, T)]) -> Option<&'a T> {
        let mut left = self.unit() * choices.iter().map(|(weight, _)| weight).sum::<f64>();
        for (weight, choice) in choices {
            left -= weight;
            if left < 0.0 {
                return Some(choice);
            }
        }
        choices.last().map(|(_, choice)| choice)
    }

    /// Normal, by Box and Muller.
    pub(crate) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        mean + deviation * radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Uniform in the logarithm: as many between 10 and 100 as between 100 and 1,000.
    pub(crate) fn log_between(&mut self, from: f64, to: f64) -> f64 {
        self.between(from.ln(), to.ln()).exp()
    }
}
