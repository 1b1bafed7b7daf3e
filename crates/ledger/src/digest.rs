//! Digests that stand for long keys.

use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest as _, Sha256};
use tollbooth_schemas::v1::{Charge, Counted, Usage};

use crate::planted::{Defect, planted};

/// The first 128 bits of SHA-256. A booth chooses its operation ids freely; with a digest that cannot be steered
/// it cannot choose one that collides with another account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u64; 2]);

impl Digest {
    /// Big-endian: sorted as the digest is.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let [first, second] = self.0.map(u64::to_be_bytes);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first);
        bytes[8..].copy_from_slice(&second);
        bytes
    }

    /// What [`Self::to_bytes`] made.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes([i, j, k, l, m, n, o, p])])
    }

    /// Uniform, and not what tables in memory are keyed by.
    #[must_use]
    pub const fn hash(self) -> u64 {
        self.0[1]
    }
}

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
    if planted(Defect::TokenPerAttempt) {
        return of_pair(account_id, &format!("{operation_id}#{attempt}"));
    }
    of_pair(account_id, operation_id)
}

/// What a charge is for: an operation that is reported again with the same content is a duplicate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// Service, engine, variant, country, unit.
    dimensions: [&'a str; 5],
    quantity_micros: i64,
    test_mode: bool,
}

/// All that a refund takes over from its charge, the amount aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    content: Content<'a>,
    /// Event, booth, plan.
    named: [&'a str; 3],
    price_version: u32,
    occurred_at_ms: i64,
    /// The month that counted it, where that does not follow from the others.
    counted_in: Option<&'a str>,
}

impl<'a> From<&'a Usage> for Content<'a> {
    fn from(usage: &'a Usage) -> Self {
        let Usage { service, engine, variant, country, unit, quantity_micros, test_mode, .. } = usage;
        let dimensions = [service, engine, variant, country, unit].map(String::as_str);
        Self { dimensions, quantity_micros: *quantity_micros, test_mode: *test_mode }
    }
}

impl<'a> From<&'a Charge> for Content<'a> {
    fn from(charge: &'a Charge) -> Self {
        let Charge { service, engine, variant, country, unit, quantity_micros, test_mode, .. } = charge;
        let dimensions = [service, engine, variant, country, unit].map(String::as_str);
        Self { dimensions, quantity_micros: *quantity_micros, test_mode: *test_mode }
    }
}

impl<'a> Facts<'a> {
    /// `has_moved`: the account's zone was changed before.
    pub(crate) fn of_usage(usage: &'a Usage, occurred_at_ms: i64, has_moved: bool) -> Self {
        let named = [&usage.event_id, &usage.booth_id, &usage.plan].map(String::as_str);
        let counted = usage.pricing.as_ref().and_then(|pricing| pricing.counted.as_ref()).filter(|_| has_moved);
        let counted_in = counted.map(|counted| counted.period.as_str());
        Self { content: usage.into(), named, price_version: usage.price_version, occurred_at_ms, counted_in }
    }

    /// `counted`: as its entry says, where the account's zone was changed before.
    pub(crate) fn of_charge(charge: &'a Charge, counted: Option<&'a Counted>) -> Self {
        let named = [&charge.event_id, &charge.booth_id, &charge.plan].map(String::as_str);
        let (price_version, occurred_at_ms) = (charge.price_version, charge.occurred_at_ms);
        let counted_in = counted.map(|counted| counted.period.as_str());
        Self { content: charge.into(), named, price_version, occurred_at_ms, counted_in }
    }
}

/// What is kept of a charge: 32 bits of its content, and above them 32 bits of all its facts.
///
/// A collision of the lower half could only make a booth's own conflicting report look like a duplicate, one of the
/// upper half only let a wrong look-up of a charge that is to be refunded pass: neither moves money of another.
pub(crate) fn memo(facts: &Facts<'_>) -> u64 {
    let mut bytes = bytes(&facts.content);
    let content = low(xxhash_rust::xxh3::xxh3_64(&bytes));
    for text in facts.named {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(&facts.price_version.to_le_bytes());
    bytes.extend_from_slice(&facts.occurred_at_ms.to_le_bytes());
    bytes.extend_from_slice(facts.counted_in.unwrap_or_default().as_bytes());
    content | low(xxhash_rust::xxh3::xxh3_64(&bytes)).wrapping_shl(32)
}

/// Whether a charge with that memo is for this content.
pub(crate) fn same_content(memo: u64, content: &Content<'_>) -> bool {
    low(memo) == low(xxhash_rust::xxh3::xxh3_64(&bytes(content)))
}

fn low(value: u64) -> u64 {
    value & 0xFFFF_FFFF
}

fn bytes(content: &Content<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    for text in content.dimensions {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(&content.quantity_micros.to_le_bytes());
    bytes.push(u8::from(content.test_mode));
    bytes
}
