//! Who may read what.

use axum::http::HeaderMap;
use tollbooth_chassis::auth::{AuthError, KeyRing, ROOT_KEY_ID};
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::KeyKind;

/// Keys, and whether all of them are known yet.
#[derive(Debug)]
pub struct Access {
    keys: KeyRing,
    registry: TopicTable,
}

impl Access {
    /// `keys` is fed by `registry`.
    #[must_use]
    pub fn new(keys: KeyRing, registry: TopicTable) -> Self {
        Self { keys, registry }
    }

    /// Lets a request read one account: an admin any, an account key its own. A booth's key reads nothing. Another
    /// account looks as one that does not exist.
    ///
    /// # Errors
    /// 401, 403 for a booth's key, 404; 503 while the registry is being read, for every key but the configured one:
    /// the making of a key or its revocation may stand further on.
    pub fn read_account(&self, headers: &HeaderMap, account_id: &str) -> Result<(), Problem> {
        // Asked first: a key looked up after the end was reached is judged by the whole registry.
        let all_read = self.registry.caught_up();
        let principal = match self.keys.authenticate_headers(headers) {
            Ok(principal) if principal.key_id.as_str() == ROOT_KEY_ID => principal,
            Err(error @ (AuthError::Missing | AuthError::Malformed(_))) => return Err(error.into()),
            _ if !all_read => return Err(Problem::unavailable(1).with_detail("keys are being read")),
            outcome => outcome?,
        };
        if principal.kind == KeyKind::Booth {
            return Err(Problem::forbidden("a booth's key writes usage; reading needs an account key"));
        }
        if principal.may_access(account_id) { Ok(()) } else { Err(no_account()) }
    }
}

/// The one answer for accounts that do not exist and for those of others.
#[must_use]
pub fn no_account() -> Problem {
    Problem::not_found("no such account")
}
