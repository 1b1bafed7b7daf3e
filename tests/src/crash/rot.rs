//! Copies whose bytes are not what was written: of a meter's stores, and of its checkpoints.
//!
//! What the meter made of each stands in its log. It may discard what is corrupt, or use what was sound before it; whether what
//! it used was right says the audit.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::scene::checkpoint_dir;
use super::stores::{Said, field, start, unless_missing, wait_further};
use super::summary::Summary;
use crate::stack::{Stack, Victim};

/// A checkpoint is made every few seconds while a meter is at work.
const PATIENCE: Duration = Duration::from_secs(60);
/// The group may give the partitions to the other meter meanwhile.
const TRIES: u32 = 4;
/// One byte of so many is another one.
const EVERY_BYTES: usize = 4 * 1024;
/// What a store is discarded for that is not what was written.
pub(super) const REASONS: [&str; 3] = ["checksum", "torn", "panicked"];

/// Kills a meter with stores and makes some of them corrupt: of every third one each file, of every third one a byte.
pub(super) fn stores(stack: &Stack, summary: &mut Summary) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        stack.heal()?;
        let index = with_stores(stack)?;
        let meter = &stack.meters[index];
        wait_further(stack, meter)?;
        stack.kill(Victim::Meter(index))?;
        let mut touched: BTreeMap<i32, bool> = BTreeMap::new();
        for (number, (partition, dir)) in stores_in(&stack.store_dir(index))?.into_iter().enumerate() {
            let mut files = files(&dir)?;
            // The largest has most to lose.
            files.sort_by_key(|(_, bytes)| *bytes);
            match number % 3 {
                0 => files.iter().try_for_each(|(file, _)| flip(file, EVERY_BYTES))?,
                1 => files.last().map_or(Ok(()), |(file, _)| flip(file, usize::MAX))?,
                _ => continue,
            }
            touched.insert(partition, number % 3 == 0);
        }
        summary.stores.rotten += u32::try_from(touched.len())?;
        let found = start(stack, meter)?;
        let mut discarded = 0;
        for (partition, is_whole) in &touched {
            let what = if *is_whole { "corrupt stores" } else { "stores with a wrong byte" };
            let outcome = match found.get(partition).and_then(|said| said.first()) {
                Some(Said::Discarded { reason }) if REASONS.contains(&reason.as_str()) => {
                    discarded += 1;
                    "discarded"
                }
                Some(Said::Opened { .. }) => "opened up to what was sound",
                Some(Said::Restored { .. }) => "taken for empty",
                Some(other @ Said::Discarded { .. }) => bail!("a store that is corrupt: {other:?}"),
                // The group has given it to the other meter.
                None => continue,
            };
            summary.hit(&format!("{what}: {outcome}"), 1);
        }
        if discarded > 0 {
            return Ok(());
        }
    }
    bail!("after {TRIES} times no corrupt store was discarded")
}

/// Kills a meter with stores, takes these away, and makes the newest checkpoint of every partition corrupt.
pub(super) fn checkpoints(stack: &Stack, summary: &mut Summary) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        stack.heal()?;
        let index = with_stores(stack)?;
        let meter = &stack.meters[index];
        let place = checkpoint_dir(stack);
        stack
            .wait("checkpoints to be made", PATIENCE, || all_checkpoints(&place).ok().filter(|made| made.len() >= 2))?;
        wait_further(stack, meter)?;
        stack.kill(Victim::Meter(index))?;
        fs::remove_dir_all(stack.store_dir(index)).or_else(unless_missing)?;
        let made = all_checkpoints(&place)?;
        for (partition, folders) in &made {
            let newest = folders.last().context("a partition without a checkpoint")?;
            let mut files = files(newest)?;
            files.sort_by_key(|(_, bytes)| *bytes);
            if partition % 2 == 0 {
                let (part, _) = files.last().context("a checkpoint without a part")?;
                flip(part, usize::MAX)?;
            } else {
                let manifest = newest.join(MANIFEST);
                let bytes = fs::read(&manifest)?;
                fs::write(&manifest, &bytes[..bytes.len() / 2])?;
            }
        }
        let from = meter.log_len();
        let found = start(stack, meter)?;
        let log = meter.log_since(from);
        let mut refused = 0;
        for partition in found.keys() {
            let is_told = |line: &&str| {
                line.contains("checkpoint not used") && field(line, "partition") == Some(&partition.to_string())
            };
            let Some(line) = log.lines().find(is_told) else { continue };
            let reason = field(line, "reason").unwrap_or_default();
            ensure!(matches!(reason, "checksum" | "manifest" | "store"), "a corrupt checkpoint was refused: {line}");
            refused += 1;
            summary.hit(&format!("corrupt checkpoints: refused as {reason}"), 1);
            let source = found[partition].iter().find_map(|said| match said {
                Said::Restored { source } => Some(source.as_str()),
                _ => None,
            });
            summary.hit(&format!("after a corrupt checkpoint: restored from {}", source.unwrap_or("nothing")), 1);
        }
        if refused > 0 {
            return Ok(());
        }
    }
    bail!("after {TRIES} times no corrupt checkpoint was come upon")
}

/// What makes a checkpoint one.
const MANIFEST: &str = "manifest.json";

/// The folders of the checkpoints of every partition, the newest last.
fn all_checkpoints(place: &Path) -> anyhow::Result<BTreeMap<i32, Vec<PathBuf>>> {
    let mut all: BTreeMap<i32, Vec<PathBuf>> = BTreeMap::new();
    for (file, _) in files(place)? {
        let Some(folder) = file.parent().filter(|_| file.ends_with(MANIFEST)) else { continue };
        let partition = folder.parent().and_then(|of| of.file_name()?.to_str()?.parse().ok());
        all.entry(partition.with_context(|| file.display().to_string())?).or_default().push(folder.to_owned());
    }
    // Their names begin with the offset, in as many digits.
    all.values_mut().for_each(|folders| folders.sort());
    Ok(all)
}

/// Index of a meter with stores.
fn with_stores(stack: &Stack) -> anyhow::Result<usize> {
    (0..stack.meters.len()).find(|index| stack.store_dir(*index).exists()).context("no meter has a store")
}

/// Its stores, by partition.
fn stores_in(dir: &Path) -> anyhow::Result<BTreeMap<i32, PathBuf>> {
    let mut stores = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let partition = path.file_name().and_then(|name| name.to_str()?.strip_prefix("partition-")?.parse().ok());
        stores.extend(partition.map(|partition| (partition, path)));
    }
    Ok(stores)
}

/// Every file below a folder, with its size.
fn files(dir: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(files(&entry.path())?);
        } else {
            all.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(all)
}

/// Makes one byte of so many another one, in what was written; what is zero to the end never was.
fn flip(file: &Path, every: usize) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let step = every.min(written).max(1);
    // In place: a journal is a large file of which little is written.
    let file = OpenOptions::new().write(true).open(file)?;
    for at in (step / 2..written).step_by(step) {
        file.write_all_at(&[bytes[at] ^ 0x10], at as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_so_many_is_another_one_and_what_was_never_written_stays() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("file");
        let sound: Vec<u8> = [vec![7; 10_000], vec![0; 5_000]].concat();
        let wrong = |every| -> anyhow::Result<Vec<usize>> {
            fs::write(&file, &sound)?;
            flip(&file, every)?;
            let now = fs::read(&file)?;
            Ok((0..sound.len()).filter(|at| now[*at] != sound[*at]).collect())
        };
        assert_eq!(wrong(EVERY_BYTES)?, [2_048, 6_144]);
        assert_eq!(wrong(usize::MAX)?, [5_000]);
        Ok(())
    }
}
