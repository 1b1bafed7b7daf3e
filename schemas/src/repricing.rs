//! Re-pricing: the document of one in `registry`, and the commands that carry it out.

use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{command::body_hash, ids::AccountId, v1::Reprice};

/// Begins the key of its document in `registry`.
pub const REGISTRY_KEY_PREFIX: &str = "repricing:";

/// No request may name such a key: the mark in it is none of the characters that an `Idempotency-Key` may have.
const APPLY_PREFIX: &str = "reprice\u{a7}";
const UNDO_PREFIX: &str = "unprice\u{a7}";

/// The idempotency key of the command that prices a charge anew: once for each re-pricing, whoever asks and how often.
#[must_use]
pub fn idempotency_key(repricing_id: &str, undo: bool, seq: u64) -> String {
    format!("{}{repricing_id}/{seq}", if undo { UNDO_PREFIX } else { APPLY_PREFIX })
}

impl Reprice {
    /// What stands for the command's content beside its key.
    #[must_use]
    pub fn body_hash(&self) -> Vec<u8> {
        body_hash("reprice", &self.encode_to_vec())
    }

    /// The key that it goes under.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        idempotency_key(&self.repricing_id, self.undo, self.seq)
    }
}

/// The key of the question how far the account's ledger is; no charge stands at 0.
#[must_use]
pub fn question_key(repricing_id: &str) -> String {
    idempotency_key(repricing_id, true, 0)
}

/// How far a re-pricing was taken; what is posted of it, the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepricingState {
    /// Looked at, nothing asked for.
    Previewed,
    /// To be posted, wholly or in part.
    Applying,
    /// Tried to its end: what was left out had changed since.
    Applied,
    /// To be taken back; it is not applied any more.
    Undoing,
    /// Taking back was tried to its end.
    Undone,
}

/// What was previewed, and is applied or taken back as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepricingDocument {
    /// `rpr_...`
    pub repricing_id: String,
    /// The book that charges are priced by.
    pub price_version: u32,
    /// First instant of the work, milliseconds since the epoch,
    pub from_ms: i64,
    /// and the first one after it.
    pub to_ms: i64,
    /// How far it was taken.
    pub state: RepricingState,
    /// Account and entry up to which all was answered; absent: nothing yet, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// Why it is applied, in the words of who asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_reason: Option<String>,
    /// Who previewed it: id of the key.
    pub actor: String,
    /// When.
    pub created_at_ms: i64,
    /// Of all accounts together, in hexadecimal: what is applied is what was seen.
    pub digest: String,
    /// By account id.
    pub accounts: Vec<RepricedAccount>,
}

/// What was seen of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepricedAccount {
    /// Whose.
    pub account_id: AccountId,
    /// ISO 4217.
    pub currency: String,
    /// The newest entry that was looked at: what came later is not part of it.
    pub as_of_seq: u64,
    /// Charges whose price changes.
    pub changes: u64,
    /// What they were charged, in micro-units.
    pub was_micros: i64,
    /// What they would be.
    pub would_be_micros: i64,
    /// Of the charges and their new prices.
    pub digest: String,
}

impl RepricingDocument {
    /// The key of its document.
    #[must_use]
    pub fn registry_key(&self) -> String {
        format!("{REGISTRY_KEY_PREFIX}{}", self.repricing_id)
    }

    /// Charges whose price changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.accounts.iter().fold(0, |sum, account| sum.saturating_add(account.changes))
    }
}
