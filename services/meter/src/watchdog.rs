//! Watches the workers. One that does not turn any more, while the brokers answer, never will: its thread hangs, and the
//! group, whose heartbeats another thread sends, leaves its partition where it is. The process then ends with a non-zero
//! status, and whoever supervises it starts it anew; its partitions go to somebody who works.
//!
//! A worker that waits for the brokers is no such one, however long: a commit waits until its outcome is known. They are asked
//! for the end of the worker's partition of the ledger. Where that one answers, and the group's coordinator does not for as
//! long as a worker may be silent, the process ends as well.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tollbooth_chassis::shutdown::Shutdown;

use crate::worker::Context;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From so much silence on the brokers are asked whether they are there.
const ASK_AFTER: Duration = Duration::from_secs(2);
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// A look asks no more behind it. The next one goes on where it ended.
const LOOK_MAX: Duration = Duration::from_secs(4);
/// A look and its pause that take longer: the whole process stood still, not a worker of it.
const LATE: Duration = Duration::from_secs(12);

/// How long silence counts.
struct Patience {
    within: Duration,
    /// Until then something else was the reason, by partition.
    excused_until: Vec<Instant>,
    /// Who is looked at first.
    first: usize,
}

impl Patience {
    fn new(within: Duration, partitions: usize) -> Self {
        Self { within, excused_until: vec![Instant::now(); partitions], first: 0 }
    }

    fn excuse_all(&mut self) {
        self.excused_until.fill(Instant::now());
    }

    /// Whether the worker of a partition hangs that has been silent for so long.
    fn is_over(&self, partition: usize, silent: Duration, now: Instant) -> bool {
        silent.min(now.saturating_duration_since(self.excused_until[partition])) > self.within
    }
}

/// Looks every second until `shutdown`, on a thread of its own; `within` zero: never.
///
/// # Errors
/// When the system has no thread to give.
pub(crate) fn watch(context: Arc<Context>, within: Duration, shutdown: Shutdown) -> std::io::Result<()> {
    if within.is_zero() {
        return Ok(());
    }
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let mut patience = Patience::new(within, usize::try_from(context.topics.partitions).unwrap_or_default());
        loop {
            let looking = Instant::now();
            look(&context, &mut patience);
            if shutdown.wait_blocking(LOOK_EVERY) {
                return;
            }
            if looking.elapsed() > LATE {
                patience.excuse_all();
            }
        }
    })?;
    Ok(())
}

/// One look at all workers.
fn look(context: &Context, patience: &mut Patience) {
    let (begun, partitions) = (Instant::now(), patience.excused_until.len());
    let (mut asked, mut answered) = (0, 0);
    for step in 0..partitions {
        let index = (patience.first + step) % partitions;
        let Ok(partition) = i32::try_from(index) else { return };
        let component = context.health.known(&format!("partition-{partition}"));
        let silent = component.and_then(|component| component.silent());
        context.metrics.worker_silent(partition, silent.unwrap_or_default());
        let Some(silent) = silent.filter(|silent| *silent > ASK_AFTER) else { continue };
        if begun.elapsed() > LOOK_MAX {
            patience.first = index;
            break;
        }
        asked += 1;
        // Of a partition that nobody leads its worker alone is excused.
        if context.outside.watermarks.ask(&context.topics.ledger(), partition, ASK_TIMEOUT).is_err() {
            patience.excused_until[index] = Instant::now();
            continue;
        }
        answered += 1;
        if patience.is_over(index, silent, Instant::now()) {
            let seconds = silent.as_secs();
            tracing::error!(partition, seconds, "the partition's worker hangs: the process ends");
            // Not the partition's own condition: a worker that lets go after all takes that away.
            let condition = context.health.component("watchdog");
            condition.failed(format!("the worker of partition {partition} has not turned for {seconds} s"));
        }
    }
    if asked > 0 && answered == 0 {
        patience.excuse_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_when_the_brokers_were_there_again() {
        // given brokers that were away until ten seconds after the begin
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut patience = Patience::new(5 * second, 2);
        patience.excused_until = vec![begin + 10 * second, begin];
        let is_over = |silent: u32, after: u32| patience.is_over(0, silent * second, begin + after * second);

        // then a worker that was silent all the while has its time from there on
        assert!(!is_over(8, 8));
        assert!(!is_over(15, 15));
        assert!(is_over(16, 16));
        // and one that turned since from when it did
        assert!(!is_over(5, 30));
        assert!(is_over(6, 30));
        // and one of another partition, whose brokers were there, is not excused by it
        assert!(patience.is_over(1, 8 * second, begin + 8 * second));
    }
}
