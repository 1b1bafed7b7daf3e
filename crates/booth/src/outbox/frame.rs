//! Framing of a segment: `crc32 u32 | length u32 | payload`, little endian.
//!
//! The checksum covers the record's sequence number and the length too: a block of zeros, bytes left over from an
//! earlier file, or a frame at the wrong place are no frames.

/// Bytes before a payload.
pub(crate) const HEADER_BYTES: usize = 8;
/// Largest payload: an event and its id.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 72 * 1024;

fn checksum(seq: u64, length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seq.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Appends one frame. A payload beyond `u32` cannot occur: it is bounded before.
pub(crate) fn push(out: &mut Vec<u8>, seq: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&checksum(seq, length, payload).to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(payload);
}

/// The payload of the frame that begins `bytes`; `None` where no whole frame of that sequence number does.
pub(crate) fn parse(bytes: &[u8], seq: u64) -> Option<&[u8]> {
    let (expected, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let payload_bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)?;
    let payload = rest.get(..payload_bytes)?;
    (checksum(seq, length, payload) == u32::from_le_bytes(*expected)).then_some(payload)
}

/// Bytes of the frame around a payload.
pub(crate) const fn frame_bytes(payload: &[u8]) -> u64 {
    (HEADER_BYTES + payload.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_frame_at_its_own_place_is_read() {
        let mut bytes = Vec::new();
        push(&mut bytes, 41, b"hello");
        assert_eq!(parse(&bytes, 41), Some(&b"hello"[..]));
        assert_eq!(parse(&bytes, 42), None, "another sequence number");
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut], 41), None, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert_eq!(parse(&flipped, 41), None, "flipped at {at}");
        }
        assert_eq!(parse(&[0; 64], 0), None, "zeros are no frames");
    }
}
