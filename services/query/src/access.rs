//! Who may read what.

use std::sync::Arc;

use axum::http::HeaderMap;
use tollbooth_chassis::auth::{Gate, Principal};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::keys::KeyKind;

/// What keys may read.
#[derive(Debug)]
pub struct Access {
    gate: Gate,
}

impl Access {
    /// Keys are those of `gate`.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }

    /// Lets a request read one account: an admin any, an account key its own. A booth's key reads nothing. Another
    /// account looks as one that does not exist.
    ///
    /// # Errors
    /// 401, 403 for a booth's key, 404; 503 while the registry is being read, or could not be for too long, for every key
    /// but the configured one: the making of a key or its revocation may stand further on.
    pub fn read_account(&self, headers: &HeaderMap, account_id: &str) -> Result<Arc<Principal>, Problem> {
        let principal = self.gate.authenticate(headers)?;
        if principal.kind == KeyKind::Booth {
            return Err(Problem::forbidden("a booth's key writes usage; reading needs an account key"));
        }
        if principal.may_access(account_id) { Ok(principal) } else { Err(no_account()) }
    }

    /// Lets a request read about all accounts: an admin's alone.
    ///
    /// # Errors
    /// 401, 403 for every other key; 503 as of [`read_account`](Self::read_account).
    pub fn read_all(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let principal = self.gate.authenticate(headers)?;
        if principal.is_admin() { Ok(()) } else { Err(Problem::forbidden("needs an admin key")) }
    }
}

/// The one answer for accounts that do not exist and for those of others.
#[must_use]
pub fn no_account() -> Problem {
    Problem::not_found("no such account")
}
