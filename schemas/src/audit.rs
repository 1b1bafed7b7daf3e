//! The audit trail: who changed what, in the topic `audit`.
//!
//! An action leaves two records under its id. The first one is durable before anything is done, so that nothing can have
//! been done without it; the second one says what became of it. Where that is missing the process ended in between, and the
//! ledger or the registry tells. When each was written is the record's own time, which is the broker's.
//!
//! What was sent along (amounts, addresses, secrets) stands in neither: the ledger's entry or the document has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, KeyId};
use crate::keys::KeyKind;

/// A record of `audit`; its key is the action's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum AuditRecord {
    /// Somebody is about to do it.
    Started(AuditStarted),
    /// What became of it.
    Ended(AuditEnded),
}

/// Who is about to do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditStarted {
    /// `aud_...`
    pub audit_id: String,
    /// Who.
    pub actor: AuditActor,
    /// What: a code such as `post_adjustment`.
    pub action: String,
    /// On which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// On what of it, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Of the request.
    pub request_id: String,
}

/// The key that acts, by itself or through a session that it signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditActor {
    /// Its public id.
    pub key_id: KeyId,
    /// What it may do.
    pub kind: KeyKind,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEnded {
    /// Of the [`AuditStarted`].
    pub audit_id: String,
    /// In one word.
    pub outcome: AuditOutcome,
    /// The HTTP status that was answered; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The problem's code, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The ledger's entry that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_id: Option<String>,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// Done.
    Succeeded,
    /// Durable, and will be done: the answer was 202.
    Pending,
    /// Not done, for a reason of the request.
    Refused,
    /// The answer was 5xx: it may have been done.
    Failed,
    /// Nobody waited for the end: it may have been done.
    Unknown,
}

impl AuditOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Pending, Self::Refused, Self::Failed, Self::Unknown];

    /// As it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
