//! The files of journals, which may grow while they are read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{audit::Audit, journal::Told};

/// Journals, and how long each of their files was at one moment.
pub(super) struct JournalFiles {
    paths: Vec<PathBuf>,
    lengths: BTreeMap<PathBuf, u64>,
}

impl JournalFiles {
    /// Each path is a file, or a directory with `journal-*.jsonl`.
    pub(super) fn find(paths: Vec<PathBuf>) -> anyhow::Result<Self> {
        let mut lengths = BTreeMap::new();
        for path in &paths {
            for file in files_of(path)? {
                // A fleet removes its oldest files.
                if let Some(meta) = unless_removed(&file, fs::metadata(&file))? {
                    lengths.insert(file, meta.len());
                }
            }
        }
        Ok(Self { paths, lengths })
    }

    /// Hands all lines to the audit, told apart by whether they were there at that moment.
    ///
    /// All of them: what was planned meanwhile may have been posted before the ledger's end was taken.
    pub(super) fn read(&self, audit: &mut Audit) -> anyhow::Result<()> {
        for path in &self.paths {
            let files = files_of(path)?;
            let removed = self.lengths.keys().filter(|file| file.starts_with(path) && !files.contains(file)).count();
            let mut removed = removed as u64;
            for file in files {
                match unless_removed(&file, File::open(&file))? {
                    Some(opened) => self.read_file(&file, opened, audit)?,
                    None => removed += 1,
                }
            }
            if removed > 0 {
                audit.journal_files_removed(removed);
            }
        }
        Ok(())
    }

    fn read_file(&self, path: &Path, file: File, audit: &mut Audit) -> anyhow::Result<()> {
        let length = self.lengths.get(path).copied().unwrap_or_default();
        let mut lines = BufReader::with_capacity(1 << 20, file);
        let (mut line, mut number, mut end) = (Vec::new(), 0_u64, 0_u64);
        while lines.read_until(b'\n', &mut line).with_context(|| unreadable(path))? > 0 {
            number += 1;
            end += line.len() as u64;
            if line.last() == Some(&b'\n') {
                let told = if end <= length { Told::Before } else { Told::Meanwhile };
                let outcome = audit.journal_line(&line, told);
                outcome.with_context(|| format!("{}:{number} is no line of a journal", path.display()))?;
            } else {
                audit.journal_line_torn();
                // Its writer may be alive: what comes next would be the rest of this line.
                break;
            }
            line.clear();
        }
        Ok(())
    }
}

fn unreadable(path: &Path) -> String {
    format!("cannot read the journal {}", path.display())
}

fn unless_removed<T>(path: &Path, outcome: io::Result<T>) -> anyhow::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).with_context(|| unreadable(path)),
    }
}

/// A journal's files, in order.
fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        anyhow::ensure!(path.exists(), "{}: there is no such file or directory", unreadable(path));
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(|| unreadable(path))? {
        let file = entry.with_context(|| unreadable(path))?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("journal-") && name.ends_with(".jsonl") {
            files.push(file);
        }
    }
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} holds no journal-*.jsonl", path.display());
    Ok(files)
}
