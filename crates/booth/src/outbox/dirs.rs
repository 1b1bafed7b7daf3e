//! Folders whose names survive a power loss.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Makes the names in a directory survive a power loss.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes `dir` and what is missing above it. `sync` is called for each folder that got a new name.
///
/// From the top down, each name on disk before a folder is made below it: so after a start that was cut off only the
/// lowest folder can be there without its name being on disk, and it gets its sync here.
pub(super) fn create_all(dir: &Path, mut sync: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let named = || dir.ancestors().filter(|path| !path.as_os_str().is_empty());
    let missing: Vec<&Path> = named().take_while(|path| !path.is_dir()).collect();
    if let Some(holder) = named().nth(missing.len()).and_then(holder_of) {
        match sync(holder) {
            // A folder that this process may not read was hardly filled by an earlier start of it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            // Another process was faster.
            Err(_) if folder.is_dir() => {}
            other => other?,
        }
        if let Some(holder) = holder_of(folder) {
            sync(holder)?;
        }
    }
    Ok(())
}

/// Where a folder's name stands.
fn holder_of(folder: &Path) -> Option<&Path> {
    folder.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is synced, each with how many of the folders of `dir` were there by then.
    fn created(root: &Path, dir: &Path) -> Vec<(String, usize)> {
        let mut synced = Vec::new();
        create_all(dir, |folder| {
            let there = dir.ancestors().take_while(|path| *path != root).filter(|path| path.is_dir()).count();
            synced.push((folder.strip_prefix(root).unwrap().display().to_string(), there));
            sync_dir(folder)
        })
        .unwrap();
        assert!(dir.is_dir());
        synced
    }

    #[test]
    fn every_new_name_is_on_disk_before_a_folder_is_made_below_it() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path();
        fs::create_dir(root.join("var")).unwrap();
        // given a folder of which a part is there
        let dir = root.join("var/lib/booth/outbox");
        let synced = created(root, &dir);
        // then what was there last is synced by its name, and each new one right after it is made
        let expected = [("", 1), ("var", 2), ("var/lib", 3), ("var/lib/booth", 4)];
        assert_eq!(synced, expected.map(|(folder, there)| (folder.to_owned(), there)));
        // and a start after one that was cut off syncs the name that may be missing
        assert_eq!(created(root, &dir), [("var/lib/booth".to_owned(), 4)]);
    }

    #[test]
    fn a_name_that_cannot_be_made_durable_is_an_error() {
        let top = tempfile::tempdir().unwrap();
        let failed = create_all(&top.path().join("a/b"), |folder| {
            if folder == top.path() { Err(io::Error::other("disk")) } else { Ok(()) }
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk");
        assert!(!top.path().join("a/b").exists());
    }

    #[test]
    fn a_relative_folder_is_named_in_the_current_one() {
        assert_eq!(holder_of(Path::new("outbox")), Some(Path::new(".")));
        assert_eq!(holder_of(Path::new("a/outbox")), Some(Path::new("a")));
        assert_eq!(holder_of(Path::new("/")), None);
    }
}
