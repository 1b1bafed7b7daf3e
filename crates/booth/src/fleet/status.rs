//! A line now and then about where the fleet stands.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::{links::Links, profile::Profile};

const EVERY: Duration = Duration::from_secs(2);

pub(crate) struct StatusLine {
    shown: bool,
    last: Instant,
    acknowledged: u64,
}

impl StatusLine {
    pub(crate) fn new(shown: bool) -> Self {
        Self { shown, last: Instant::now(), acknowledged: 0 }
    }

    // Standard error is where a line for people goes; standard output carries the summary.
    #[allow(clippy::print_stderr)]
    pub(crate) fn show(&mut self, links: &Links, profile: Profile, rate: f64) {
        let elapsed = self.last.elapsed();
        if !self.shown || elapsed < EVERY {
            return;
        }
        let counts = &links.tracker.counts;
        let acknowledged = counts.acknowledged.load(Relaxed);
        // Counts stay far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let now = acknowledged.saturating_sub(self.acknowledged) as f64 / elapsed.as_secs_f64();
        let sent = counts.planned.load(Relaxed) + counts.duplicates.load(Relaxed);
        let stats = links.stats();
        let trouble = stats.last_error.map(|error| format!("  ({error})")).unwrap_or_default();
        eprintln!(
            "fleet {} {rate:.0}/s: sent {sent}, acked {acknowledged} ({now:.0}/s), waiting {}, parked {}, retries {}{trouble}",
            profile.code(),
            stats.pending,
            stats.parked,
            stats.retries,
        );
        self.last = Instant::now();
        self.acknowledged = acknowledged;
    }
}
