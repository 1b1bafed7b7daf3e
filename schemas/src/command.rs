//! Helpers over the generated command messages.

use sha2::{Digest, Sha256};

/// Longest `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Begins the keys that tell the ledger of payments. They are made of characters that a request's key may have, too, and
/// stay so: payments that are under way were told under them, and under another key one would post twice.
const PAYMENT_PREFIX: &str = "payment:";
const RECHARGE_FAILED_PREFIX: &str = "recharge-failed:";
/// Begin the ids of payments: see [`crate::ids::derived_payment_id`] and [`crate::ids::recharge_id`].
const PAYMENT_IDS: [&str; 2] = ["pay_", "rch_"];

/// The idempotency key under which a payment posts: once, whoever tells of it and how often.
#[must_use]
pub fn payment_key(payment_id: &str) -> String {
    format!("{PAYMENT_PREFIX}{payment_id}")
}

/// The idempotency key under which a recharge fails.
#[must_use]
pub fn recharge_failed_key(recharge_id: &str) -> String {
    format!("{RECHARGE_FAILED_PREFIX}{recharge_id}")
}

/// Whether a key is one of those, which no request may have: a recharge's id can be known before the recharge is asked for,
/// and whoever came first with the key would have the ledger refuse the payment when its money is taken.
#[must_use]
pub fn is_payment_key(idempotency_key: &str) -> bool {
    let id = [PAYMENT_PREFIX, RECHARGE_FAILED_PREFIX].iter().find_map(|prefix| idempotency_key.strip_prefix(prefix));
    id.is_some_and(|id| PAYMENT_IDS.iter().any(|begin| id.starts_with(begin)))
}

/// The idempotency key under which money that went back at the provider is taken off the account, or under which it is put
/// back: once for each movement. `of` names the movement, `id` the provider's own refund or dispute. No request may name such
/// a key: the mark in it is none of the characters that an `Idempotency-Key` may have.
#[must_use]
pub fn returned_key(of: &str, id: &str) -> String {
    format!("returned\u{a7}{of}/{id}")
}

/// What stands for a request's body beside its idempotency key: the first 16 bytes of SHA-256 over the
/// command's name and the body's bytes.
#[must_use]
pub fn body_hash(command: &str, body: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(command).chain_update([0]).chain_update(body).finalize();
    digest.iter().copied().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{derived_payment_id, recharge_id};

    #[test]
    fn a_payments_keys_are_known_and_what_looks_like_them_is_not() {
        let purchase = derived_payment_id(&"acc_luna".parse().unwrap(), "k");
        let recharge = recharge_id("acc_luna", 7);
        // What orders under way were told under: it must never change.
        assert_eq!(payment_key("rch_1"), "payment:rch_1");
        assert_eq!(recharge_failed_key("rch_1"), "recharge-failed:rch_1");
        for key in [payment_key(&purchase), payment_key(&recharge), recharge_failed_key(&recharge)] {
            assert!(is_payment_key(&key), "{key}");
        }
        for key in ["payment:42", "payment-7", "recharge-failed:", &recharge, "my payment:rch_1", "Payment:rch_1"] {
            assert!(!is_payment_key(key), "{key}");
        }
    }
}
