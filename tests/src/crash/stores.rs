//! What a meter finds of its stores after a kill: one is gone, one was set back to an older copy of itself (a disk from the
//! backup), one is another partition's, and one is as it was left.
//!
//! What it made of each stands in its log: a store is opened with the offset up to which it goes, or discarded with the
//! reason, before its partition is served.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::rot::REASONS;
use super::summary::Summary;
use crate::process::Process;
use crate::stack::{Stack, Victim};

const PATIENCE: Duration = Duration::from_secs(60);
/// Entries that a meter posts, so that a copy of before is old.
const FURTHER: f64 = 2_000.0;
const BLOCK_BYTES: usize = 256 * 1024;
/// The group may give the partitions to the other meter meanwhile.
const TRIES: u32 = 4;

/// What was done to a store while its meter was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Lost,
    SetBack,
    Foreign,
    Untouched,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Lost, Self::SetBack, Self::Foreign, Self::Untouched];

    const fn name(self) -> &'static str {
        match self {
            Self::Lost => "gone: the ledger was folded anew",
            Self::SetBack => "set back: the rest was folded",
            Self::Foreign => "of another partition: discarded",
            Self::Untouched => "as it was left: opened",
        }
    }
}

/// What became of stores.
#[derive(Debug, Default)]
pub struct Stores {
    met: BTreeMap<Fate, u32>,
    foreign: u32,
    /// That were made corrupt.
    pub(super) rotten: u32,
    /// Whether their disk was full: then a meter may give any of them up, and do without.
    pub(super) is_disk_full: bool,
}

impl Stores {
    /// How often a meter came upon each kind, by name, and did with it as it must.
    pub fn met(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.met.iter().map(|(fate, count)| (fate.name(), *count))
    }

    /// Whether every kind was met.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        Fate::ALL.iter().all(|fate| self.met.contains_key(fate))
    }
}

/// What a meter said of a partition since it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Opened {
        next_offset: i64,
        ledger_end: i64,
    },
    Discarded {
        reason: String,
    },
    /// It is served.
    Restored {
        source: String,
    },
}

impl Said {
    fn of(line: &str) -> Option<(i32, Self)> {
        let after = |text: &str| line.split_once(text).map(|(_, fields)| fields);
        let number = |fields: &str, name: &str| field(fields, name)?.parse().ok();
        let (fields, said) = if let Some(fields) = after("store opened ") {
            let (next_offset, ledger_end) = (number(fields, "next_offset")?, number(fields, "ledger_end")?);
            (fields, Self::Opened { next_offset, ledger_end })
        } else if let Some(fields) = after("store discarded ") {
            (fields, Self::Discarded { reason: field(fields, "reason")?.to_owned() })
        } else {
            let fields = after("partition restored ")?;
            (fields, Self::Restored { source: field(fields, "source")?.to_owned() })
        };
        Some((field(fields, "partition")?.parse().ok()?, said))
    }
}

/// What stands behind `name=`, without quotes.
pub(super) fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let mut values = fields.split_whitespace().filter_map(|word| word.split_once('='));
    values.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
}

/// By partition, in order.
fn said(log: &str) -> BTreeMap<i32, Vec<Said>> {
    let mut all: BTreeMap<i32, Vec<Said>> = BTreeMap::new();
    for (partition, said) in log.lines().filter_map(Said::of) {
        all.entry(partition).or_default().push(said);
    }
    all
}

/// Whether what was said of a partition is right for what was done to its store; `older`: the offset up to which the older
/// copy goes.
///
/// # Errors
/// Where a store was used that must not be, or the other way round.
fn judge(fate: Fate, said: &[Said], older: i64) -> anyhow::Result<()> {
    // Warm: it was folded from nothing at another try, in the same process. A checkpoint, where some are made.
    let is_anew = |source: &str| matches!(source, "cold" | "warm" | "checkpoint");
    let is_right = match (fate, said) {
        (Fate::Lost, [Said::Restored { source }, ..]) => is_anew(source),
        // Exactly the copy's offset, and the ledger has gone on since.
        (Fate::SetBack, [Said::Opened { next_offset, ledger_end }, ..]) => {
            *next_offset == older && ledger_end > next_offset
        }
        (Fate::Foreign, [Said::Discarded { reason }, Said::Restored { source }, ..]) => {
            reason == "mismatch" && is_anew(source)
        }
        (Fate::Untouched, [Said::Opened { next_offset, ledger_end }, ..]) => {
            *next_offset >= older && ledger_end >= next_offset
        }
        _ => false,
    };
    ensure!(is_right, "a store that was {fate:?} (an older copy of it goes up to {older}): {said:?}");
    Ok(())
}

/// Kills a meter with stores twice, and spoils them before it comes back for the second time.
pub(super) fn spoil(stack: &Stack, stores: &mut Stores) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        spoil_once(stack, stores)?;
        if stores.is_complete() {
            return Ok(());
        }
    }
    bail!("after {TRIES} times the meter was not given a partition of each kind: {:?}", stores.met)
}

fn spoil_once(stack: &Stack, stores: &mut Stores) -> anyhow::Result<()> {
    stack.heal()?;
    let index =
        (0..stack.meters.len()).find(|index| stack.store_dir(*index).exists()).context("no meter has a store")?;
    let (meter, dir) = (&stack.meters[index], stack.store_dir(index));
    wait_further(stack, meter)?;

    // What it has now is what is old in a moment.
    let copies = dir.with_extension("older");
    fs::remove_dir_all(&copies).or_else(unless_missing)?;
    stack.kill(Victim::Meter(index))?;
    copy_dir(&dir, &copies).context("copying the stores")?;
    let older: BTreeMap<i32, i64> = start(stack, meter)?
        .into_iter()
        .filter_map(|(partition, said)| match said.first() {
            Some(Said::Opened { next_offset, .. }) => Some((partition, *next_offset)),
            _ => None,
        })
        .collect();
    if older.len() < Fate::ALL.len() {
        return Ok(());
    }
    wait_further(stack, meter)?;

    stack.kill(Victim::Meter(index))?;
    let fates: BTreeMap<i32, Fate> = older.keys().copied().zip(Fate::ALL.into_iter().cycle()).collect();
    for (partition, fate) in &fates {
        let name = |partition: i32| format!("partition-{partition}");
        let (place, copy) = (dir.join(name(*partition)), copies.join(name(*partition)));
        let Some(another) = older.keys().find(|other| *other != partition) else { continue };
        match fate {
            Fate::Untouched => {}
            Fate::Lost => fs::remove_dir_all(&place)?,
            Fate::SetBack => replace(&copy, &place)?,
            Fate::Foreign => {
                replace(&copies.join(name(*another)), &place)?;
                stores.foreign += 1;
            }
        }
    }
    let found = start(stack, meter)?;
    for (partition, fate) in &fates {
        if let Some(said) = found.get(partition) {
            let copy_ends = older.get(partition).copied().unwrap_or_default();
            judge(*fate, said, copy_ends).with_context(|| format!("{} partition {partition}", meter.name()))?;
            *stores.met.entry(*fate).or_default() += 1;
        }
    }
    Ok(())
}

/// Starts the meter and waits until all is served again; what it said of the partitions that it came to serve.
pub(super) fn start(stack: &Stack, meter: &Process) -> anyhow::Result<BTreeMap<i32, Vec<Said>>> {
    let from = meter.log_len();
    meter.start()?;
    let pid = meter.pid();
    let found = stack.wait(&format!("{} to serve from its stores", meter.name()), PATIENCE, || {
        let serving = |meter| stack.metric(meter, "tollbooth_meter_partition_serving").unwrap_or(0.0);
        let all: f64 = stack.meters.iter().map(serving).sum();
        let mut found = said(&meter.log_since(from));
        found.retain(|_, said| said.iter().any(|said| matches!(said, Said::Restored { .. })));
        #[allow(clippy::cast_precision_loss)] // Eight at most.
        let is_told = all >= 8.0 && found.len() as f64 >= serving(meter).max(1.0);
        is_told.then_some(found)
    })?;
    stack.wait_all_ready()?;
    // One that ended by itself meanwhile has written into its new stores, and opened them: that says nothing.
    Ok(if meter.pid() == pid { found } else { BTreeMap::new() })
}

/// Waits until the meter has posted some more.
pub(super) fn wait_further(stack: &Stack, meter: &Process) -> anyhow::Result<()> {
    let posted = || stack.metric(meter, "tollbooth_ledger_posts_total");
    let mut begun = None;
    stack.wait(&format!("{} to post some more", meter.name()), PATIENCE, || {
        let posted = posted()?;
        (posted - *begun.get_or_insert(posted) >= FURTHER).then_some(())
    })
}

/// That nobody discarded a store but those that were another partition's.
pub(super) fn check(stack: &Stack, summary: &mut Summary) {
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    for said in stack.meters.iter().flat_map(|meter| said(&meter.log_since(0)).into_values().flatten()) {
        if let Said::Discarded { reason } = said {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    // One that was put in the place of a store and never come upon was discarded by nobody.
    let Stores { foreign, rotten, is_disk_full, .. } = &summary.stores;
    let corrupt: u32 = reasons.iter().filter(|(reason, _)| is_of_corrupt(reason)).map(|(_, count)| count).sum();
    let is_expected = reasons.iter().all(|(reason, count)| match reason.as_str() {
        "mismatch" => count <= foreign,
        reason => is_of_corrupt(reason) && (*is_disk_full || corrupt <= *rotten),
    });
    if !is_expected {
        let of = format!("{foreign} were another partition's, {rotten} corrupt");
        summary.findings.push(format!("stores were discarded: {reasons:?}; {of}"));
    }
}

/// Whether a store is discarded for this that is not what was written.
fn is_of_corrupt(reason: &str) -> bool {
    REASONS.contains(&reason)
}

fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::remove_dir_all(to).or_else(unless_missing)?;
    copy_dir(from, to)
}

pub(super) fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &place)?;
        } else {
            copy_file(&entry.path(), &place)?;
        }
    }
    Ok(())
}

/// Zeros are left out, as the engine does: its journals are 64 MiB of which little is written.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, to) = (File::open(from)?, File::create(to)?);
    let zeros = vec![0; BLOCK_BYTES];
    let mut block = vec![0; BLOCK_BYTES];
    let mut at = 0;
    loop {
        let bytes = from.read(&mut block)?;
        if bytes == 0 {
            return to.set_len(at);
        }
        let (read, nothing) = (&block[..bytes], &zeros[..bytes]);
        if read != nothing {
            to.write_all_at(read, at)?;
        }
        at += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"
2026-11-26T16:00:01Z  INFO tollbooth_meter::worker::keep: store opened partition=1 elapsed_ms=4 accounts=12 operations=90 next_offset=700 ledger_end=900
2026-11-26T16:00:01Z  WARN tollbooth_meter::worker::keep: store discarded partition=2 reason="mismatch" error=the store belongs to tollbooth.ledger-1 of cluster a, 13 weeks kept
2026-11-26T16:00:02Z  INFO tollbooth_meter::worker::restore: partition restored partition=1 source="store" elapsed_ms=20 accounts=12
2026-11-26T16:00:02Z  INFO tollbooth_meter::worker::restore: partition restored partition=2 source="cold" elapsed_ms=90 accounts=12
2026-11-26T16:00:02Z  INFO tollbooth_meter::member: partitions assigned
"#;

    fn restored(source: &str) -> Said {
        Said::Restored { source: source.to_owned() }
    }

    fn discarded(reason: &str) -> Said {
        Said::Discarded { reason: reason.to_owned() }
    }

    #[test]
    fn what_a_meter_says_of_its_stores_is_read_by_partition_in_order() {
        let found = said(LOG);
        let opened = Said::Opened { next_offset: 700, ledger_end: 900 };
        let expected = [(1, vec![opened, restored("store")]), (2, vec![discarded("mismatch"), restored("cold")])];
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn a_store_that_is_used_though_it_must_not_be_is_told_and_one_that_is_not_used_though_it_may() {
        let opened = |next_offset| vec![Said::Opened { next_offset, ledger_end: 900 }, restored("store")];
        let anew = |reason| vec![discarded(reason), restored("cold")];
        let is_right = |fate, said: &[Said]| judge(fate, said, 700).is_ok();
        assert!(is_right(Fate::Lost, &[restored("cold")]));
        assert!(is_right(Fate::SetBack, &opened(700)));
        assert!(is_right(Fate::Foreign, &anew("mismatch")));
        assert!(is_right(Fate::Untouched, &opened(800)));
        assert!(!is_right(Fate::Lost, &[restored("store")]));
        // a store where there is none, a newer one than was put there, another partition's
        assert!(!is_right(Fate::Lost, &opened(700)));
        assert!(!is_right(Fate::SetBack, &opened(800)));
        assert!(!is_right(Fate::Foreign, &opened(700)));
        // taken as it is though the ledger has gone on
        assert!(!is_right(Fate::SetBack, &opened(900)));
        // discarded without a reason to, or for another one
        assert!(!is_right(Fate::Untouched, &anew("torn")));
        assert!(!is_right(Fate::SetBack, &anew("contradiction")));
        assert!(!is_right(Fate::Foreign, &anew("checksum")));
    }

    #[test]
    fn a_copy_has_every_byte_and_the_holes() -> anyhow::Result<()> {
        let dir = std::env::temp_dir().join(format!("tollbooth-copy-{}", std::process::id()));
        let (from, to) = (dir.join("from"), dir.join("to"));
        fs::create_dir_all(from.join("inner"))?;
        let mut bytes = vec![0; 3 * BLOCK_BYTES + 5];
        bytes[BLOCK_BYTES + 1] = 7;
        fs::write(from.join("inner/file"), &bytes)?;
        copy_dir(&from, &to)?;
        let is_same = fs::read(to.join("inner/file"))? == bytes;
        fs::remove_dir_all(&dir)?;
        assert!(is_same);
        Ok(())
    }
}
