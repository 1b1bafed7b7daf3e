//! Helpers over the generated command messages.

use sha2::{Digest, Sha256};

/// Longest `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// What stands for a request's body beside its idempotency key: the first 16 bytes of SHA-256 over the
/// command's name and the body's bytes.
#[must_use]
pub fn body_hash(command: &str, body: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(command).chain_update([0]).chain_update(body).finalize();
    digest.iter().copied().take(16).collect()
}
