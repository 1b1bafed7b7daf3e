//! The system calls that the standard library has no safe form of. All `unsafe` of the crate is here.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A signal that a test sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Resume,
}

/// Makes the kernel kill the child when the thread that spawns it ends, so that nothing outlives a killed test.
pub(crate) fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and calls only prctl, which is async-signal-safe and takes integers.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}

/// Sends a signal. Only to a child that has not been waited for: its id cannot have been reused.
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Resume => libc::SIGCONT,
    };
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers and touches no memory of this process.
    if unsafe { libc::kill(pid, number) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts a file system in memory, of so many bytes at most, in the place of a folder.
pub(crate) fn mount_memory(place: &Path, bytes: u64) -> io::Result<()> {
    memory(place, bytes, 0)
}

/// Gives one another size; not below what is in it.
pub(crate) fn resize_memory(place: &Path, bytes: u64) -> io::Result<()> {
    memory(place, bytes, libc::MS_REMOUNT)
}

fn memory(place: &Path, bytes: u64, flags: libc::c_ulong) -> io::Result<()> {
    let (place, size) = (path(place)?, CString::new(format!("size={bytes}"))?);
    let kind = c"tmpfs";
    // SAFETY: mount reads its four texts, which are alive, end with a zero and are not kept, and touches no other memory.
    let done = unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, size.as_ptr().cast()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes a file system away; whoever has files of it open keeps them.
pub(crate) fn unmount(place: &Path) -> io::Result<()> {
    let place = path(place)?;
    // SAFETY: umount2 reads its text, which is alive and ends with a zero, and touches no other memory.
    if unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many bytes are taken of a file system.
pub(crate) fn used_bytes(place: &Path) -> io::Result<u64> {
    let place = path(place)?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: statvfs reads its text, which is alive and ends with a zero, and writes one struct, for which there is room.
    if unsafe { libc::statvfs(place.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it said that it has filled it.
    let found = unsafe { found.assume_init() };
    Ok((found.f_blocks - found.f_bfree) * found.f_frsize)
}

fn path(place: &Path) -> io::Result<CString> {
    Ok(CString::new(place.as_os_str().as_bytes())?)
}
