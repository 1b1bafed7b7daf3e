//! Watches the workers. One that does not turn any more, while the brokers answer, never will: its thread hangs, and the
//! group, whose heartbeats another thread sends, leaves its partition where it is. The process then ends with a non-zero
//! status, and whoever supervises it starts it anew; its partitions go to somebody who works.
//!
//! A worker that waits for the brokers is no such one, however long: a commit waits until its outcome is known.

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
/// A look that is later than this: the whole process stood still, not a worker of it.
const LATE: Duration = Duration::from_secs(5);

/// How long silence counts.
struct Patience {
    within: Duration,
    /// Until then something else was the reason.
    excused_until: Instant,
}

impl Patience {
    /// Whether a worker hangs that has been silent for so long.
    fn is_over(&self, silent: Duration, now: Instant) -> bool {
        silent.min(now.saturating_duration_since(self.excused_until)) > self.within
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
        let mut patience = Patience { within, excused_until: Instant::now() };
        loop {
            let looking = Instant::now();
            look(&context, &mut patience);
            if shutdown.wait_blocking(LOOK_EVERY) {
                return;
            }
            if looking.elapsed() > LATE {
                patience.excused_until = Instant::now();
            }
        }
    })?;
    Ok(())
}

/// One look at all workers.
fn look(context: &Context, patience: &mut Patience) {
    let mut are_there = true;
    for partition in 0..context.topics.partitions {
        let component = context.health.known(&format!("partition-{partition}"));
        let silent = component.as_ref().and_then(|component| component.silent());
        context.metrics.worker_silent(partition, silent.unwrap_or_default());
        let (Some(component), Some(silent)) = (component, silent.filter(|silent| *silent > ASK_AFTER)) else {
            continue;
        };
        // One that does not answer is enough: there are as many questions as partitions, and a look should not take minutes.
        are_there =
            are_there && context.outside.watermarks.ask(&context.topics.ledger(), partition, ASK_TIMEOUT).is_ok();
        if !are_there {
            patience.excused_until = Instant::now();
        } else if patience.is_over(silent, Instant::now()) {
            let seconds = silent.as_secs();
            tracing::error!(partition, seconds, "the partition's worker hangs: the process ends");
            component.failed(format!("the worker of partition {partition} has not turned for {seconds} s"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_when_the_brokers_were_there_again() {
        // given brokers that were away until ten seconds after the begin
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let patience = Patience { within: 5 * second, excused_until: begin + 10 * second };
        let is_over = |silent: u32, after: u32| patience.is_over(silent * second, begin + after * second);

        // then a worker that was silent all the while has its time from there on
        assert!(!is_over(8, 8));
        assert!(!is_over(15, 15));
        assert!(is_over(16, 16));
        // and one that turned since from when it did
        assert!(!is_over(5, 30));
        assert!(is_over(6, 30));
    }
}
