//! The partitioner of the Java clients, to check that a record lies where its key belongs.

/// MurmurHash2 with the seed that Kafka's Java client uses, over 32-bit words.
///
/// The algorithm is Austin Appleby's (public domain); seed and sign handling are Kafka's
/// (`org.apache.kafka.common.utils.Utils.murmur2`).
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // The hash is defined over a 32-bit length; keys are far shorter.
    #[allow(clippy::cast_possible_truncation)]
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partitions`, as `murmur2_random` of librdkafka and the Java default choose it. `None`
/// when `partitions` is not positive.
#[must_use]
pub fn partition_for(key: &[u8], partitions: i32) -> Option<i32> {
    // Java's toPositive clears the sign bit; it does not take the absolute value.
    let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).ok()?;
    positive.checked_rem(partitions).filter(|_| partitions > 0)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition_for};

    #[test]
    fn hashes_as_the_java_client_does() {
        // Vectors of Apache Kafka's own UtilsTest.testMurmur2.
        let vectors: [(&str, i32); 8] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
            ("1", -1_993_445_489),
        ];
        for (key, expected) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key:?}");
        }
    }

    #[test]
    fn a_negative_hash_is_masked_not_negated() {
        let hash = murmur2(b"21") & 0x7fff_ffff;
        assert_eq!(partition_for(b"21", 64), Some(i32::try_from(hash % 64).unwrap()));
        assert_eq!(partition_for(b"21", 0), None);
        assert_eq!(partition_for(b"21", -1), None);
    }
}
