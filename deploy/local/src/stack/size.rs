//! How much lies in the folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(crate) const MIB: u64 = 1024 * 1024;

/// Bytes that a file or folder takes on the disk: preallocated index files count only what is written.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let own = meta.blocks() * 512;
    if !meta.is_dir() {
        return own;
    }
    // Files come and go while we look; those that are gone take nothing.
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| disk_bytes(&entry.path())).sum::<u64>()
}

/// `1.2 GiB`, `340 MiB`.
pub(crate) fn human(bytes: u64) -> String {
    let mib = bytes / MIB;
    if mib < 1024 { format!("{mib} MiB") } else { format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(human(340 * MIB), "340 MiB");
        assert_eq!(human(1536 * MIB), "1.5 GiB");
    }

    #[test]
    fn a_folder_is_the_sum_of_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        let empty = disk_bytes(dir.path());
        fs::write(dir.path().join("below/file"), vec![1_u8; 100_000]).unwrap();
        assert!(disk_bytes(dir.path()) >= empty + 100_000);
        assert_eq!(disk_bytes(&dir.path().join("absent")), 0);
    }
}
