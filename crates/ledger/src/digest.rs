//! Digests that stand for long keys.

use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest as _, Sha256};
use tollbooth_schemas::v1::Usage;

/// The first 128 bits of SHA-256. A booth chooses its operation ids freely; with a digest that cannot be steered
/// it cannot choose one that collides with another account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u64; 2]);

impl std::hash::Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// Takes a digest's first half as the hash: it is uniform already.
#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map keyed by digests.
pub(crate) type DigestMap<V> = hashbrown::HashMap<Digest, V, BuildHasherDefault<DigestHasher>>;

/// Of two texts that cannot be confused: the first one's length is part of it.
pub(crate) fn of_pair(first: &str, second: &str) -> Digest {
    let length = u64::try_from(first.len()).unwrap_or(u64::MAX);
    let digest = Sha256::new().chain_update(length.to_be_bytes()).chain_update(first).chain_update(second).finalize();
    let half = |from: usize| {
        let bytes = digest.iter().skip(from).take(8);
        bytes.fold(0_u64, |value, byte| value.wrapping_shl(8) | u64::from(*byte))
    };
    Digest([half(0), half(8)])
}

/// What stands for an operation of an account. The event's time is no part of it.
pub(crate) fn of_operation(account_id: &str, operation_id: &str, attempt: u32) -> Digest {
    if cfg!(feature = "planted-token-per-attempt") {
        return of_pair(account_id, &format!("{operation_id}#{attempt}"));
    }
    of_pair(account_id, operation_id)
}

/// What a charge is for, apart from when: an operation that is reported again with the same content is a
/// duplicate. A collision could only make a booth's own conflicting report look like a duplicate.
pub(crate) fn priced_content(usage: &Usage) -> u64 {
    let mut bytes = Vec::with_capacity(128);
    for text in [&usage.service, &usage.engine, &usage.variant, &usage.country, &usage.unit] {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(&usage.quantity_micros.to_le_bytes());
    bytes.push(u8::from(usage.test_mode));
    xxhash_rust::xxh3::xxh3_64(&bytes)
}
