//! Operations, packed: each write puts those of a week into one sorted run of blocks. A row for each would cost the engine
//! more than deciding the operation does.
//!
//! Small runs are merged by eights while nothing waits, so that the few questions that reach the disk look into few runs.

use fjall::Keyspace;
use tollbooth_ledger::{Digest, OPERATION_ROW_BYTES, Remembered};

use super::{StoreError, Week, key, week_key};

/// Digest and row.
pub(super) const PACKED_BYTES: usize = 16 + OPERATION_ROW_BYTES;
/// Operations of one block: about 4 KiB.
const BLOCK_OPERATIONS: usize = 90;
/// So many runs of one level become one of the next.
pub(crate) const FAN_IN: usize = 8;
/// Runs of so many operations are not merged further.
const MERGED_MAX: usize = 1 << 20;
/// The level of runs that are not merged further.
const LAST_LEVEL: u8 = u8::MAX;

/// An operation as it is packed.
pub(super) type Packed = (Digest, [u8; OPERATION_ROW_BYTES]);

/// A sorted run of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: u32,
    pub(super) level: u8,
    pub(super) operations: usize,
}

impl Run {
    pub(super) fn key(self) -> Vec<u8> {
        key(week_key::RUN, &[&self.id.to_be_bytes()])
    }

    pub(super) fn value(self) -> Vec<u8> {
        let operations = u64::try_from(self.operations).unwrap_or(u64::MAX);
        key(self.level, &[&operations.to_be_bytes()])
    }

    /// From a row of the table; `None`: it is none.
    pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let id = u32::from_be_bytes(key.get(1..)?.try_into().ok()?);
        let (level, operations) = value.split_first()?;
        let operations = usize::try_from(u64::from_be_bytes(operations.try_into().ok()?)).ok()?;
        Some(Self { id, level: *level, operations })
    }

    fn block_key(id: u32, first: [u8; 16]) -> Vec<u8> {
        key(week_key::OPERATIONS, &[&id.to_be_bytes(), &first])
    }

    /// Of a block's key: the run, and the block's first digest.
    pub(super) fn of_block(key: &[u8]) -> Option<(u32, &[u8])> {
        let (id, first) = key.get(1..)?.split_first_chunk::<4>()?;
        (first.len() == 16).then_some((u32::from_be_bytes(*id), first))
    }
}

/// Keys and values of a run's blocks; `operations` in the order of their digests.
pub(super) fn blocks(id: u32, operations: &[Packed]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    operations.chunks(BLOCK_OPERATIONS).map(move |chunk| {
        let mut value = Vec::with_capacity(chunk.len() * PACKED_BYTES);
        for (digest, row) in chunk {
            value.extend_from_slice(&digest.to_bytes());
            value.extend_from_slice(row);
        }
        let first = chunk.first().map(|(digest, _)| digest.to_bytes()).unwrap_or_default();
        (Run::block_key(id, first), value)
    })
}

/// The operations of a block, in order.
pub(super) fn unpacked(block: &[u8]) -> impl Iterator<Item = Packed> {
    block.chunks_exact(PACKED_BYTES).filter_map(|packed| {
        let (digest, row) = packed.split_first_chunk::<16>()?;
        Some((Digest::from_bytes(*digest), row.try_into().ok()?))
    })
}

/// The row of an operation: of several, the one of the latest entry.
pub(super) fn find(week: &Week, number: u16, digest: Digest) -> Result<Option<Remembered>, StoreError> {
    let wanted = digest.to_bytes();
    let mut found: Option<Remembered> = None;
    for run in &week.runs {
        let (from, to) = (Run::block_key(run.id, [0; 16]), Run::block_key(run.id, wanted));
        let Some(block) = week.keyspace.range(from..=to).next_back() else { continue };
        let block = block.value()?;
        let (packed, _) = block.as_chunks::<PACKED_BYTES>();
        let Ok(index) = packed.binary_search_by(|packed| packed[..16].cmp(&wanted)) else { continue };
        let row = Remembered::operation(number, &packed[index][16..])?;
        if found.as_ref().is_none_or(|found| found.operation_seq() < row.operation_seq()) {
            found = Some(row);
        }
    }
    Ok(found)
}

/// What becomes of the runs of a week.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// These become one of the next level.
    Into(Vec<Run>, u8),
    /// These are large enough.
    Enough(Vec<Run>),
}

/// The lowest level that has enough runs to be merged.
pub(super) fn to_merge(runs: &[Run], fan_in: usize) -> Option<Merge> {
    let mut levels: Vec<u8> = runs.iter().map(|run| run.level).filter(|level| *level != LAST_LEVEL).collect();
    levels.sort_unstable();
    levels.dedup();
    let of = |level: u8| runs.iter().copied().filter(|run| run.level == level).collect::<Vec<Run>>();
    let (level, chosen) = levels.into_iter().map(|level| (level, of(level))).find(|(_, of)| of.len() >= fan_in)?;
    let operations: usize = chosen.iter().map(|run| run.operations).sum();
    Some(if operations > MERGED_MAX {
        Merge::Enough(chosen.into_iter().map(|run| Run { level: LAST_LEVEL, ..run }).collect())
    } else {
        Merge::Into(chosen, level.saturating_add(1).min(LAST_LEVEL - 1))
    })
}

/// Keys of the blocks of a run, and its operations added to `operations`.
pub(super) fn read(keyspace: &Keyspace, run: Run, operations: &mut Vec<Packed>) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    for block in keyspace.prefix(key(week_key::OPERATIONS, &[&run.id.to_be_bytes()])) {
        let (key, value) = block.into_inner()?;
        operations.extend(unpacked(&value));
        keys.push(key.to_vec());
    }
    Ok(keys)
}

/// In the order of digests, of several rows of one operation the latest.
pub(super) fn merged(mut operations: Vec<Packed>) -> Vec<Packed> {
    // A row begins with its `seq`, big-endian.
    operations.sort_unstable_by(|(one, row), (other, other_row)| one.cmp(other).then(other_row.cmp(row)));
    operations.dedup_by_key(|(digest, _)| *digest);
    operations
}
