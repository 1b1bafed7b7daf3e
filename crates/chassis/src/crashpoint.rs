//! Fault points for the crash tests.
//!
//! `hit("meter.in_transaction")` marks a place where a kill is interesting. With the cargo feature `crash-points` and
//! `TOLLBOOTH_CRASH_DIR` set, a file of that name in the directory is claimed by renaming it to `<name>.fired.<pid>`
//! (one claim per file, whoever comes first), and the process kills itself with SIGKILL: nothing is flushed, nothing is
//! dropped. Without the feature the call is empty.

/// Passes a fault point.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// Passes a fault point; does not return if it was armed.
#[cfg(feature = "crash-points")]
pub fn hit(name: &str) {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| std::env::var_os("TOLLBOOTH_CRASH_DIR").map(PathBuf::from));
    let Some(directory) = directory else { return };
    let fired = directory.join(format!("{name}.fired.{}", std::process::id()));
    // The rename is the claim: of two processes at the same point exactly one succeeds.
    if std::fs::rename(directory.join(name), fired).is_ok() {
        kill_self();
    }
}

#[cfg(feature = "crash-points")]
#[allow(unsafe_code)]
fn kill_self() -> ! {
    // SAFETY: both calls take and return plain integers and touch no memory of this process.
    let outcome = unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    // SIGKILL is delivered before `kill` returns to its sender; if it was refused, end without running anything either.
    tracing::error!(outcome, "SIGKILL to the own process was refused");
    std::process::abort();
}
