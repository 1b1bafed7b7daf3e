//! Sessions of browsers, as far as more than one process must know of them: those that somebody signed out of, in the topic
//! `ended-sessions`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::KeyId;
use crate::time::{DAY_MS, serde_rfc3339};

/// Longest life of a session.
pub const SESSION_LIFE_MS_MAX: i64 = 30 * DAY_MS;

/// How long a record of `ended-sessions` is kept at least: a session's longest life, and a day for clocks that differ. A
/// process that starts later would take a cookie whose record is gone.
pub const ENDED_SESSIONS_KEPT_MS: i64 = SESSION_LIFE_MS_MAX + DAY_MS;

/// A session that was signed out of, as it stands in `ended-sessions` under the session's id, 32 hex digits. It has ended for
/// good: nothing takes a record back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedSession {
    /// The key that had signed in.
    pub key_id: KeyId,
    /// When the session would have ended by itself: from then on nobody needs to know.
    #[serde(with = "serde_rfc3339")]
    #[schemars(with = "String")]
    pub expires_at: i64,
}
