//! Requests that one service passes on to another for somebody it has recognized.
//!
//! A browser talks to query alone; what changes something query passes on to ingest. It does not have the person's key any
//! more, so it says in a signed text whose key it was, for a minute at most. The receiver looks the key up itself: one
//! that was revoked in the meantime is refused, and what the key may do is what its document says, not what the text says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollbooth_schemas::ids::{AccountId, KeyId};
use tollbooth_schemas::keys::KeyKind;

use crate::auth::Principal;
use crate::seal::{Sealer, WeakSecret};

/// What the texts begin with: tells them from keys before anything is computed.
pub const PREFIX: &str = "tbf1.";
const PURPOSE: &str = "forward";
const AUDIENCE: &str = "ingest";
/// Longest life of a text.
pub const LIFE_MAX: Duration = Duration::from_secs(60);
/// How far the clocks of two services may be apart.
const CLOCKS_APART_MAX_MS: i64 = 5_000;

/// What a text says. All of it is checked against the receiver's own knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    aud: String,
    /// The key that signed in.
    pub key_id: KeyId,
    /// Its kind.
    pub kind: KeyKind,
    /// The account it is bound to.
    pub account_id: Option<AccountId>,
    /// Begin of the key's hash: a key of the same id that is another one is refused.
    pub mark: String,
    iat_ms: i64,
    exp_ms: i64,
}

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// No secret is configured.
    #[error("this service takes no forwarded requests: forward.secret is not set")]
    Off,
    /// Not signed with the shared secret, or for somebody else.
    #[error("the forwarded request is not signed by a service that is known")]
    Signature,
    /// Too old, too long, or from the future.
    #[error("the forwarded request has expired")]
    Expired,
}

/// Writes and reads the texts.
#[derive(Debug, Clone)]
pub struct Forwarding(Sealer);

impl Forwarding {
    /// With the secret that both services share.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(secret: &str) -> Result<Self, WeakSecret> {
        Sealer::new(secret, PURPOSE).map(Self)
    }

    /// What goes after `Bearer`.
    ///
    /// # Errors
    /// Never in practice: the claims have a JSON form.
    pub fn token(&self, principal: &Principal, mark: &str, now_ms: i64) -> Result<String, serde_json::Error> {
        let life_ms = i64::try_from(LIFE_MAX.as_millis()).unwrap_or(i64::MAX);
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            key_id: principal.key_id.clone(),
            kind: principal.kind,
            account_id: principal.account_id.clone(),
            mark: mark.to_owned(),
            iat_ms: now_ms,
            exp_ms: now_ms.saturating_add(life_ms),
        };
        Ok(format!("{PREFIX}{}", self.0.seal(&claims)?))
    }

    /// What a text says, if it may be believed now.
    ///
    /// # Errors
    /// [`ForwardError`]
    pub fn read(&self, token: &str, now_ms: i64) -> Result<Claims, ForwardError> {
        let text = token.strip_prefix(PREFIX).ok_or(ForwardError::Signature)?;
        let claims: Claims = self.0.open(text).map_err(|_| ForwardError::Signature)?;
        if claims.aud != AUDIENCE {
            return Err(ForwardError::Signature);
        }
        let life_ms = claims.exp_ms.saturating_sub(claims.iat_ms);
        let is_short = u128::try_from(life_ms).is_ok_and(|life_ms| life_ms <= LIFE_MAX.as_millis());
        let has_begun = claims.iat_ms <= now_ms.saturating_add(CLOCKS_APART_MAX_MS);
        let has_ended = claims.exp_ms.saturating_add(CLOCKS_APART_MAX_MS) <= now_ms;
        if is_short && has_begun && !has_ended { Ok(claims) } else { Err(ForwardError::Expired) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NOW_MS: i64 = 1_700_000_000_000;

    fn principal() -> Principal {
        Principal {
            key_id: "key_1".parse().unwrap(),
            kind: KeyKind::Account,
            account_id: Some("acc_luna".parse().unwrap()),
            booth_id: None,
            scopes: Vec::new(),
            is_test: false,
            line: "key_1".parse().unwrap(),
        }
    }

    #[test]
    fn a_text_is_believed_for_a_minute_give_or_take_the_clocks() {
        let forwarding = Forwarding::new(SECRET).unwrap();
        let token = forwarding.token(&principal(), "mark", NOW_MS).unwrap();
        let read = |at_ms| forwarding.read(&token, at_ms).map(|claims| claims.key_id.to_string());
        for at_ms in [NOW_MS - CLOCKS_APART_MAX_MS, NOW_MS, NOW_MS + 60_000 + CLOCKS_APART_MAX_MS - 1] {
            assert_eq!(read(at_ms).as_deref(), Ok("key_1"));
        }
        for at_ms in [NOW_MS - CLOCKS_APART_MAX_MS - 1, NOW_MS + 60_000 + CLOCKS_APART_MAX_MS] {
            assert_eq!(read(at_ms), Err(ForwardError::Expired));
        }
    }

    #[test]
    fn a_text_for_another_audience_or_of_a_longer_life_is_refused() {
        let forwarding = Forwarding::new(SECRET).unwrap();
        let text = forwarding.token(&principal(), "mark", NOW_MS).unwrap();
        let claims = forwarding.read(&text, NOW_MS).unwrap();
        let refused = |claims: Claims| {
            let text = format!("{PREFIX}{}", forwarding.0.seal(&claims).unwrap());
            forwarding.read(&text, NOW_MS).unwrap_err()
        };
        assert_eq!(refused(Claims { aud: "query".to_owned(), ..claims.clone() }), ForwardError::Signature);
        assert_eq!(refused(Claims { exp_ms: NOW_MS + 60_001, ..claims.clone() }), ForwardError::Expired);
        assert_eq!(refused(Claims { exp_ms: NOW_MS - 1, ..claims }), ForwardError::Expired);
        let other = Forwarding::new("fedcba9876543210fedcba9876543210").unwrap();
        assert_eq!(other.read(&text, NOW_MS), Err(ForwardError::Signature));
    }
}
