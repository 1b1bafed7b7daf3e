//! Which rows a posting week may have, in memory: a new operation id is to cost no look at the disk.
//!
//! A split block Bloom filter, as in the Parquet format (<https://parquet.apache.org/docs/file-format/bloomfilter/>): a
//! key sets one bit in each of the eight words of one block, so that a question reads one line of the processor's cache.
//! It never forgets a key it was given; of others it takes about one in a thousand for known.

/// Bits a key: 16, so that a block of 256 has 16 keys.
const KEYS_PER_BLOCK: usize = 16;
/// Fewest keys a segment is made for.
const KEYS_MIN: usize = 1 << 12;
/// Most keys of one segment: 64 MiB.
const KEYS_MAX: usize = 1 << 25;

/// The format's constants: any odd ones that differ.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// A filter of a fixed size.
#[derive(Debug)]
struct Segment {
    blocks: Vec<[u32; 8]>,
    keys: usize,
    keys_max: usize,
}

impl Segment {
    fn new(keys: usize) -> Self {
        let keys_max = keys.clamp(KEYS_MIN, KEYS_MAX);
        Self { blocks: vec![[0; 8]; keys_max.div_ceil(KEYS_PER_BLOCK)], keys: 0, keys_max }
    }

    /// By the upper half of the hash, without a division.
    fn index(&self, hash: u64) -> usize {
        let blocks = u64::try_from(self.blocks.len()).unwrap_or_default();
        usize::try_from(((hash >> 32) * blocks) >> 32).unwrap_or_default()
    }

    fn insert(&mut self, hash: u64) {
        let index = self.index(hash);
        for (word, mask) in self.blocks[index].iter_mut().zip(masks(hash)) {
            *word |= mask;
        }
        self.keys += 1;
    }

    fn may_have(&self, hash: u64) -> bool {
        let block = &self.blocks[self.index(hash)];
        block.iter().zip(masks(hash)).all(|(word, mask)| word & mask != 0)
    }
}

/// By the lower half of the hash.
fn masks(hash: u64) -> [u32; 8] {
    let low = u32::try_from(hash & 0xFFFF_FFFF).unwrap_or_default();
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

/// A filter that grows: each further segment has room for twice as many keys as the one before.
#[derive(Debug, Default)]
pub(super) struct Filter {
    segments: Vec<Segment>,
}

impl Filter {
    /// With room for so many keys in one piece.
    pub(super) fn with_room(keys: usize) -> Self {
        Self { segments: vec![Segment::new(keys)] }
    }

    pub(super) fn insert(&mut self, hash: u64) {
        let full = self.segments.last().is_none_or(|segment| segment.keys >= segment.keys_max);
        if full {
            let next = self.segments.last().map_or(KEYS_MIN, |segment| segment.keys_max.saturating_mul(2));
            self.segments.push(Segment::new(next));
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.insert(hash);
        }
    }

    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.segments.iter().rev().any(|segment| segment.may_have(hash))
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| size_of_val(segment.blocks.as_slice())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes())
    }

    #[test]
    fn no_key_is_ever_forgotten_and_few_others_are_taken_for_known() {
        for mut filter in [Filter::default(), Filter::with_room(100_000)] {
            (0..100_000).for_each(|number| filter.insert(hash(number)));
            assert!((0..100_000).all(|number| filter.may_have(hash(number))));
            let wrong = (100_000..200_000).filter(|number| filter.may_have(hash(*number))).count();
            assert!(wrong < 1_000, "{wrong} of 100,000");
            assert!(filter.bytes() <= 100_000 * 4 + 4096, "{} bytes", filter.bytes());
        }
    }
}
