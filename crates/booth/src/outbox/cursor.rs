//! How far the outbox is delivered: two slots of 24 bytes, written in turn.
//!
//! A power loss while one slot is written leaves the other; the higher valid one counts. Losing the newest costs a
//! re-send of a batch with the same ids, never a report.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

const SLOT_BYTES: usize = 24;

/// The durable cursor.
#[derive(Debug)]
pub(crate) struct Cursor {
    file: File,
    seq: u64,
    writes: u64,
    sync: bool,
}

fn slot(seq: u64, writes: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&seq.to_le_bytes());
    bytes[8..16].copy_from_slice(&writes.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..16]);
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn read_slot(file: &File, index: u64) -> Option<(u64, u64)> {
    let mut bytes = [0; SLOT_BYTES];
    file.read_exact_at(&mut bytes, index * SLOT_BYTES as u64).ok()?;
    let seq = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    let writes = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    (slot(seq, writes) == bytes).then_some((seq, writes))
}

impl Cursor {
    pub(crate) fn open(path: &Path, sync: bool) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let newest = (0..2).filter_map(|index| read_slot(&file, index)).max_by_key(|(_, writes)| *writes);
        let (seq, writes) = newest.unwrap_or_default();
        Ok(Self { file, seq, writes, sync })
    }

    /// The first record that is not delivered.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn advance(&mut self, seq: u64) -> io::Result<()> {
        let writes = self.writes + 1;
        self.file.write_all_at(&slot(seq, writes), (writes % 2) * SLOT_BYTES as u64)?;
        if self.sync {
            self.file.sync_data()?;
        }
        self.seq = seq;
        self.writes = writes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_breaks_anywhere_leaves_the_value_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        let mut cursor = Cursor::open(&path, true).unwrap();
        for seq in [10, 20, 30] {
            cursor.advance(seq).unwrap();
        }
        drop(cursor);
        // given the third write (slot 1) reached the disk up to any byte only
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..20 {
            let mut torn = whole.clone();
            torn[SLOT_BYTES..][cut..SLOT_BYTES].fill(0xee);
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(Cursor::open(&path, true).unwrap().seq(), 20, "cut at {cut}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(Cursor::open(&path, true).unwrap().seq(), 30);
    }
}
