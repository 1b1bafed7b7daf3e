//! Waiting for somebody else to catch up.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

/// Looks again and again until it is there, or `patience` is over; gives what was seen last, and whether it was there.
///
/// The time begins with the call: what another wait, or reading, took before is nobody's loss.
///
/// # Errors
/// What a look fails with.
pub(super) fn wait<T>(
    patience: Duration,
    mut look: impl FnMut() -> anyhow::Result<(T, bool)>,
) -> anyhow::Result<(T, bool)> {
    let begun = Instant::now();
    loop {
        let (seen, is_there) = look()?;
        if is_there || begun.elapsed() >= patience {
            return Ok((seen, is_there));
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_takes_nothing_from_the_next_one() {
        // given somebody who never arrives, and whose wait uses all of its time up
        let patience = Duration::from_secs(1);
        let mut looks = 0;
        let outcome = wait(patience, || {
            looks += 1;
            Ok((looks, false))
        });
        assert_eq!(outcome.unwrap(), (looks, false));
        assert!(looks > 1);

        // when somebody else is there at the third look, then that look is taken
        let mut looks = 0;
        let outcome = wait(patience, || {
            looks += 1;
            Ok((looks, looks == 3))
        });
        assert_eq!(outcome.unwrap(), (3, true));
    }
}
