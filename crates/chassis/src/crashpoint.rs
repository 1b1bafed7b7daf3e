//! Fault points for the crash tests.
//!
//! `hit("meter.in_transaction")` marks a place where a kill is interesting. With the cargo feature `crash-points` and
//! `TOLLBOOTH_CRASH_DIR` set, a file of that name in the directory is claimed by renaming it to `<name>.fired.<pid>`
//! (one claim per file, whoever comes first), and the process kills itself with SIGKILL: nothing is flushed, nothing is
//! dropped. Where the file says `stop` it stands still instead (SIGSTOP), until SIGCONT; where it says `hang`, only the
//! thread that came by does, for good. Without the feature the call is empty.

/// Passes a fault point.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// Whether a fault point is armed, for a preparation that only an accident is worth.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
#[must_use]
pub const fn armed(_name: &str) -> bool {
    false
}

/// Passes a fault point; does not return if it was armed to kill.
#[cfg(feature = "crash-points")]
pub fn hit(name: &str) {
    let Some(directory) = directory() else { return };
    let fired = directory.join(format!("{name}.fired.{}", std::process::id()));
    // The rename is the claim: of two processes at the same point exactly one succeeds.
    if std::fs::rename(directory.join(name), &fired).is_ok() {
        match std::fs::read(&fired).unwrap_or_default().as_slice() {
            b"stop" => stand_still(),
            b"hang" => hang(),
            _ => kill_self(),
        }
    }
}

/// Whether a fault point is armed, for a preparation that only an accident is worth. Somebody else may claim it before
/// the caller does.
#[cfg(feature = "crash-points")]
#[must_use]
pub fn armed(name: &str) -> bool {
    directory().is_some_and(|directory| directory.join(name).exists())
}

#[cfg(feature = "crash-points")]
fn directory() -> Option<&'static std::path::PathBuf> {
    static DIRECTORY: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    DIRECTORY.get_or_init(|| std::env::var_os("TOLLBOOTH_CRASH_DIR").map(Into::into)).as_ref()
}

#[cfg(feature = "crash-points")]
#[allow(unsafe_code)]
fn stand_still() {
    // To this thread, not to the process: another thread could be the one that is interrupted, and this one would go on
    // for a moment. What stops is the whole process either way.
    // SAFETY: `raise` takes and returns plain integers and touches no memory of this process.
    unsafe { libc::raise(libc::SIGSTOP) };
}

#[cfg(feature = "crash-points")]
fn hang() -> ! {
    loop {
        std::thread::park();
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
