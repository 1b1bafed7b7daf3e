//! Tables whose rows are also kept outside of memory.

use crate::digest::{Digest, DigestMap};

/// A table of two generations: what changed since it was last written out, and what is only kept because it may be asked
/// for again. Where nothing is ever written out, everything is young.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Generations<V> {
    young: DigestMap<V>,
    /// Written out already: may be dropped at any time.
    old: DigestMap<V>,
}

impl<V> Default for Generations<V> {
    fn default() -> Self {
        Self { young: DigestMap::default(), old: DigestMap::default() }
    }
}

impl<V> Generations<V> {
    pub(crate) fn get(&self, key: &Digest) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(crate) fn insert(&mut self, key: Digest, row: V) {
        self.young.insert(key, row);
    }

    pub(crate) fn extend(&mut self, rows: DigestMap<V>) {
        self.young.extend(rows);
    }

    /// A row that was written out before and is looked at now.
    pub(crate) fn recall(&mut self, key: Digest, row: V) {
        self.old.insert(key, row);
    }

    /// Rows in memory; one that changed after it was written out counts twice.
    pub(crate) fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&V) -> bool) {
        self.young.retain(|_, row| keeps(row));
        self.old.retain(|_, row| keeps(row));
    }

    pub(crate) fn allocation_bytes(&self) -> usize {
        self.young.allocation_size().saturating_add(self.old.allocation_size())
    }

    /// What is not written out yet.
    pub(crate) const fn young(&self) -> &DigestMap<V> {
        &self.young
    }

    /// Everything young was written out; at most about `keep` rows stay.
    pub(crate) fn settle(&mut self, keep: usize) {
        let room = DigestMap::with_capacity_and_hasher(self.young.len(), Default::default());
        let young = std::mem::replace(&mut self.young, room);
        if young.len() > keep {
            self.old = DigestMap::default();
        } else if self.old.len().saturating_add(young.len()) > keep {
            self.old = young;
        } else {
            self.old.extend(young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::of_pair;

    fn key(number: usize) -> Digest {
        of_pair("a", &number.to_string())
    }

    #[test]
    fn what_is_written_out_stays_within_its_bound_and_what_is_not_stays() {
        let mut table = Generations::default();
        for round in 0..10 {
            for number in 0..10 {
                table.insert(key(round * 10 + number), round);
            }
            table.settle(25);
            assert!(table.old.len() <= 25 && table.young.is_empty());
            assert_eq!(table.get(&key(round * 10)), Some(&round), "the newest stay");
        }
        table.insert(key(0), 99);
        assert_eq!((table.get(&key(0)), table.young().len()), (Some(&99), 1));
        table.settle(0);
        assert_eq!(table.len(), 0);
    }
}
