//! Who goes first on a busy machine: debits, then what only copies them.

/// How much a projection yields; 19 would be the most.
const YIELD: libc::c_int = 10;

/// Lowers the calling thread's priority, and that of the threads it starts from now on. A projection calls it: on a
/// machine that has no core to spare, it falls behind and catches up, and debits do not wait. Best effort.
#[allow(unsafe_code)]
pub fn yield_to_debits() {
    // SAFETY: takes plain integers and touches no memory of this process; on Linux 0 is the calling thread.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, YIELD) };
    if outcome != 0 {
        tracing::debug!("the priority could not be lowered");
    }
}
