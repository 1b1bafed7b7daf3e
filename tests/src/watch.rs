//! What a service manager does: starts again what has ended by itself.

use std::collections::BTreeMap;
use std::panic;
use std::process::ExitStatus;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::process::Process;
use crate::stack::Stack;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often a service ended by itself, by name and status.
pub type Ends = BTreeMap<String, u32>;

impl Stack {
    /// Does `work` while services that end by themselves are started again, and counts how often that was.
    ///
    /// A service that cannot tell what happened leaves rather than guesses, so it is never run without a manager.
    /// What a test has killed is left to the test.
    ///
    /// # Errors
    /// Those of `work`; or when a service cannot be started again.
    pub fn managed<T>(&self, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Ends)> {
        let over = AtomicBool::new(false);
        let (done, managed) = thread::scope(|scope| {
            let managing = scope.spawn(|| self.start_again_until(&over));
            // Caught, or the scope would wait for ever for a manager that nobody ends.
            let done = panic::catch_unwind(panic::AssertUnwindSafe(work));
            over.store(true, Ordering::Relaxed);
            (done, managing.join())
        });
        let done = done.unwrap_or_else(|panic| panic::resume_unwind(panic));
        managed.unwrap_or_else(|panic| panic::resume_unwind(panic))?;
        // Whoever waited for a service to be ready has started it again as well.
        let ends = std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((done?, ends))
    }

    /// Starts a service again where it has ended by itself, and says how it ended.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_again(&self, service: &Process) -> anyhow::Result<Option<ExitStatus>> {
        let ended = service.start_if_ended()?;
        if let Some(status) = ended {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            *ends.entry(format!("{} ({status})", service.name())).or_default() += 1;
        }
        Ok(ended)
    }

    fn start_again_until(&self, over: &AtomicBool) -> anyhow::Result<()> {
        while !over.load(Ordering::Relaxed) {
            for service in self.services() {
                self.start_again(service)?;
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}
