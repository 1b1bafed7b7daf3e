//! The user's cache folder: each engine is fetched into it once, whole or not at all.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{LocalError, Result};

/// The cache folder: `TOLLBOOTH_CACHE_DIR`, else `$XDG_CACHE_HOME/tollbooth`, else `~/.cache/tollbooth`.
pub fn cache_dir() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("TOLLBOOTH_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("tollbooth")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("tollbooth")))
        .unwrap_or_else(|| env::temp_dir().join("tollbooth-cache"))
}

/// Returns `cache/name`, filled by `fill` if it is not there yet.
///
/// `fill` works in a folder beside it that is renamed when it succeeded: a crash leaves only that, and the next call
/// removes it. A lock file lets one process at a time fill; the others wait and find the result.
pub(crate) fn ensure(cache: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let target = cache.join(name);
    if target.is_dir() {
        return Ok(target);
    }
    fs::create_dir_all(cache).map_err(|e| LocalError::io("create", cache, e))?;
    let lock_path = cache.join(format!(".{name}.lock"));
    let lock = File::create(&lock_path).map_err(|e| LocalError::io("create", &lock_path, e))?;
    // Released by the kernel when the file is closed, also by a SIGKILL.
    lock.lock().map_err(|e| LocalError::io("lock", &lock_path, e))?;
    if target.is_dir() {
        return Ok(target);
    }
    let staging = cache.join(format!(".{name}.partial"));
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(|e| LocalError::io("remove", &staging, e))?;
    }
    fs::create_dir_all(&staging).map_err(|e| LocalError::io("create", &staging, e))?;
    fill(&staging)?;
    fs::rename(&staging, &target).map_err(|e| LocalError::io("rename", &staging, e))?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn fill(staging: &Path) -> Result<()> {
        fs::write(staging.join("a"), "whole").map_err(|e| LocalError::io("write", staging, e))
    }

    #[test]
    fn a_failed_fill_leaves_nothing_that_counts_and_the_next_one_starts_afresh() {
        // given a fill that wrote a part and failed
        let cache = tempfile::tempdir().unwrap();
        let failed = ensure(cache.path(), "engine-1", |staging| {
            fs::write(staging.join("part"), "half").unwrap();
            Err(LocalError::io("read", staging, io::Error::other("cut off")))
        });
        assert!(failed.is_err());

        // when it is tried again
        let folder = ensure(cache.path(), "engine-1", fill).unwrap();

        // then only the whole is there
        let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn of_many_at_once_one_fills_and_all_find_the_result() {
        let cache = tempfile::tempdir().unwrap();
        let fills = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = ensure(cache.path(), "engine-1", |staging| {
                        fills.fetch_add(1, Ordering::SeqCst);
                        fill(staging)
                    });
                    assert_eq!(fs::read_to_string(folder.unwrap().join("a")).unwrap(), "whole");
                });
            }
        });
        assert_eq!(fills.into_inner(), 1);
    }
}
