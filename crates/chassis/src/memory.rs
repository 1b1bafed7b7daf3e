//! How a process takes memory from the system.

/// Takes memory in pages of the smallest size. Of 2 MiB, which the allocator asks for otherwise, the system clears a page whole
/// at the first byte that is touched: a process whose many buffers come and go pays for what it never uses, in time and in
/// resident memory. Call it first thing; best effort. Where `MIMALLOC_ALLOW_THP` is set, the environment has decided.
pub fn take_small_pages() {
    #[cfg(target_os = "linux")]
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_none() {
        disable_huge_pages();
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn disable_huge_pages() {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: takes plain integers and touches no memory of this process. It fails where the kernel has no such pages.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_wants_small_pages_is_given_no_others() {
        take_small_pages();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        // A kernel without large pages has no such line.
        let told = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        assert!(told.is_none_or(|told| told.trim() == "0"), "{told:?}");
    }
}
