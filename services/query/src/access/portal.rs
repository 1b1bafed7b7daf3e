//! Portal tokens: what a customer's own site shows of an account, or of one event, with no key in the browser.
//!
//! Signed, short-lived, read-only, never stored. A token names the key that made it and ends with that key.

use serde::{Deserialize, Serialize};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::seal::{Sealer, WeakSecret};
use tollbooth_schemas::ids::KeyId;
use tollbooth_schemas::{AccountId, EventId};

/// What a token begins with: tells it from a key before anything is computed.
pub const PREFIX: &str = "tbp1.";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The key that made it.
    pub key_id: KeyId,
    /// Tells it from another key of the same id.
    pub mark: String,
    /// The account that may be read.
    pub account_id: AccountId,
    /// The one event of it that may be read; `None`: all.
    pub event_id: Option<EventId>,
    /// When it ends.
    pub expires_at_ms: i64,
}

/// Makes and reads portal tokens.
#[derive(Debug)]
pub struct Portal(Sealer);

impl Portal {
    /// # Errors
    /// Where the secret is too short.
    pub fn new(secret: &str) -> Result<Self, WeakSecret> {
        Sealer::new(secret, "portal").map(Self)
    }

    /// The token of these claims.
    ///
    /// # Errors
    /// Never in practice: claims have a JSON form.
    pub fn make(&self, claims: &Claims) -> Result<String, Problem> {
        Ok(format!("{PREFIX}{}", self.0.seal(claims).map_err(Problem::internal)?))
    }

    /// What a token says, if it may be believed now.
    ///
    /// # Errors
    /// 401
    pub fn read(&self, token: &str, now_ms: i64) -> Result<Claims, Problem> {
        let claims: Option<Claims> = token.strip_prefix(PREFIX).and_then(|text| self.0.open(text).ok());
        let claims = claims.ok_or_else(|| Problem::unauthenticated("the portal token is not known"))?;
        if claims.expires_at_ms <= now_ms {
            return Err(Problem::unauthenticated("the portal token has expired"));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_believed_until_it_ends_and_by_its_maker_alone() {
        let portal = Portal::new("0123456789abcdef0123456789abcdef").unwrap();
        let claims = Claims {
            key_id: "key_1".parse().unwrap(),
            mark: "mark".to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            event_id: Some("evt_gala".parse().unwrap()),
            expires_at_ms: 1_000,
        };
        let token = portal.make(&claims).unwrap();
        assert_eq!(portal.read(&token, 999), Ok(claims));
        assert_eq!(portal.read(&token, 1_000).unwrap_err().status().as_u16(), 401);
        let other = Portal::new("fedcba9876543210fedcba9876543210").unwrap();
        assert_eq!(other.read(&token, 0).unwrap_err().status().as_u16(), 401);
    }
}
