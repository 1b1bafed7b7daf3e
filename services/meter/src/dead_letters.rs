//! How many dead letters are open, and since when: every meter tells the same.

use std::time::Duration;

use tollbooth_chassis::{dead_letters::DeadLetters, shutdown::Shutdown};

use crate::worker::Context;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Follows the topic and tells every few seconds until `shutdown`, on threads of its own.
///
/// # Errors
/// When the system has no thread to give.
pub fn watch(context: &Context, shutdown: Shutdown) -> std::io::Result<()> {
    let topic = context.topics.dead_letter();
    let (letters, _) = DeadLetters::follow(&context.outside.clients, &topic, shutdown.clone())?;
    let metrics = context.metrics.clone();
    std::thread::Builder::new().name("dead-letters-told".to_owned()).spawn(move || {
        loop {
            // What is half read would look like letters that nobody has driven again.
            if letters.is_complete() {
                metrics.open_letters(&letters.open_by_reason(), chrono::Utc::now().timestamp_millis());
            }
            if shutdown.wait_blocking(LOOK_EVERY) {
                break;
            }
        }
    })?;
    Ok(())
}
