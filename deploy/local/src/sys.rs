//! The system calls that the standard library has no safe form of. All `unsafe` of the library is here.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes the kernel kill the child when the thread that spawns it ends; so spawn from a thread that lives on.
///
/// Nothing else works when this process is killed with SIGKILL: no destructor and no signal handler runs then.
pub fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: the closure runs between fork and exec and calls only prctl, getppid and _exit, which are
    // async-signal-safe, and touches no memory but its own copy of `parent`.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the call above; then no signal will ever come.
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                libc::_exit(1);
            }
            Ok(())
        });
    }
}

/// Asks the child to end (SIGTERM). Only for a child that has not been waited for: its id cannot have been reused.
pub(crate) fn terminate(child: &Child) -> io::Result<()> {
    terminate_pid(child.id())
}

/// Asks a process to end (SIGTERM). The caller has made sure that the id is still that of the process it means.
pub(crate) fn terminate_pid(pid: u32) -> io::Result<()> {
    signal(pid, libc::SIGTERM)
}

/// SIGKILL, under the same condition.
pub(crate) fn kill_pid(pid: u32) -> io::Result<()> {
    signal(pid, libc::SIGKILL)
}

fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers and touches no memory of this process.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the child into a session of its own, so that the end of the terminal does not reach it.
pub(crate) fn new_session(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and calls only setsid, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| if libc::setsid() == -1 { Err(io::Error::last_os_error()) } else { Ok(()) });
    }
}

static STOP_SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count_stop_signal(_: libc::c_int) {
    STOP_SIGNALS.fetch_add(1, Ordering::SeqCst);
}

/// From now on Ctrl-C, SIGTERM and the end of the terminal no longer end this process: they are counted.
pub(crate) fn catch_stop_signals() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the pointers are null, for "do not change it", and to a live local; all-zero is a valid sigaction.
        let ignored = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        };
        // `nohup` ignores the end of the terminal on purpose.
        if ignored && signal == libc::SIGHUP {
            continue;
        }
        // SAFETY: an all-zero sigaction is valid; the handler only adds to an atomic, which is async-signal-safe;
        // pointers are to live locals or null. Handlers are reset in children by exec.
        let caught = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count_stop_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut())
        };
        if caught != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// How many of them came.
pub(crate) fn stop_signals() -> usize {
    STOP_SIGNALS.load(Ordering::SeqCst)
}
