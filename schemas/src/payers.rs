//! Who pays for an account at its payment provider: a document in `registry`, the newest one counts.

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;

/// Begins the key of an account's document in `registry`.
pub const REGISTRY_KEY_PREFIX: &str = "payer:";

/// What the provider knows an account as. Nothing of a card is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerDocument {
    /// Whose.
    pub account_id: AccountId,
    /// The provider's name, as the ledger has it.
    pub provider: String,
    /// The provider's id of the customer (`cus_...`).
    pub customer_id: String,
    /// The provider's id of the saved payment method (`pm_...`); none: nothing is saved yet.
    pub payment_method_id: Option<String>,
    /// When the payment method was set, by the clock of whoever set it, in milliseconds since the epoch: what was set
    /// earlier and comes later changes nothing.
    pub set_at_ms: i64,
}

impl PayerDocument {
    /// The key of its document.
    #[must_use]
    pub fn registry_key(&self) -> String {
        format!("{REGISTRY_KEY_PREFIX}{}", self.account_id)
    }
}
