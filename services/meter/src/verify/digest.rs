//! Digests that stand for long things, so that millions of entries fit in memory.
//!
//! Nobody gains from a collision here: the audit decides nothing. 128 bits where a key is looked up, 64 where one value
//! is compared with one other.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A digest as a key, without the alignment of `u128`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(u64, u64);

/// Gathers the parts of what is digested; each with its length, so that they cannot run into each other.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn clear(&mut self) -> &mut Self {
        self.0.clear();
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as i64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn maybe(&mut self, number: Option<i64>) -> &mut Self {
        self.number(i64::from(number.is_some())).number(number.unwrap_or_default())
    }

    pub(super) fn digest(&self) -> u64 {
        xxh3_64(&self.0)
    }

    pub(super) fn key(&self) -> Key {
        let digest = xxh3_128(&self.0);
        Key((digest >> 64) as u64, digest as u64)
    }
}

/// Of a record's bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Of two texts: an account with an operation, or with an idempotency key.
pub(super) fn of_pair(first: &str, second: &str) -> Key {
    Parts::default().text(first).text(second).key()
}
