//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Looks again and again until `look` gives a value.
///
/// # Errors
/// After `patience`, naming what was waited for.
pub fn wait_until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if started.elapsed() > patience {
            bail!("waited {patience:?} in vain for: {what}");
        }
        thread::sleep(LOOK_EVERY);
    }
}
