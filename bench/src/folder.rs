//! Where the engines' data lies during a run.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

/// A folder below `target/bench-data` that goes with this run. What a run left there that was ended by a signal goes, too.
pub(crate) fn temporary() -> anyhow::Result<TempDir> {
    let data = data_dir()?;
    std::fs::create_dir_all(&data)?;
    for entry in std::fs::read_dir(&data)? {
        let path = entry?.path();
        if owner(&path).is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            std::fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    let prefix = format!("run-{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(data)?)
}

/// The process whose folder this is.
fn owner(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("run-")?.split_once('-')?.0.parse().ok()
}

/// `target/bench-data`, wherever `target` is: this program is `target/<profile>/tollbooth-bench`.
fn data_dir() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("the target folder")?;
    Ok(target.join("bench-data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_process_it_belongs_to() {
        assert_eq!(owner(Path::new("/data/run-4711-aBcDeF")), Some(4_711));
        assert_eq!(owner(Path::new("/data/run-aBcDeF")), None);
        assert_eq!(owner(Path::new("/data/kept-4711-x")), None);
    }
}
