//! Who may read what. The one place that knows credentials: a route asks here and nowhere else, so that none can forget a
//! kind of them.
//!
//! There are three: a key (`Authorization: Bearer tb_...`), the cookie of a browser that signed in with one
//! ([`session`]), and a portal token that was made with one ([`portal`]). The last two name the key they came from, which
//! is looked up each time: with its revocation they end. A session also ends where somebody signs out of it, at whichever
//! process ([`sign_out`]).

pub mod attempts;
pub mod ended;
pub mod portal;
pub mod rate;
pub mod session;
pub mod sign_out;

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use tollbooth_chassis::auth::{AuthError, Gate, KeyRing, Principal, bearer};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::seal::WeakSecret;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::keys::{KeyKind, Scope};

use crate::clock::now_ms;
use crate::config::{RateSection, SessionSection};
use attempts::Attempts;
use portal::Portal;
use rate::Rate;
use session::{Session, Sessions};
use sign_out::SignOuts;

/// Who reads.
#[derive(Debug, Clone)]
pub struct Visitor {
    principal: Arc<Principal>,
    /// `Some`: a portal token, which narrows what the key may read.
    portal: Option<portal::Claims>,
}

impl Visitor {
    /// Whether everything may be read, what work costs us included.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.principal.is_admin() && self.portal.is_none()
    }

    /// Whether a portal token reads.
    #[must_use]
    pub fn is_portal(&self) -> bool {
        self.portal.is_some()
    }

    /// The one event that may be read of; `None`: all.
    #[must_use]
    pub fn only_event(&self) -> Option<&str> {
        self.portal.as_ref()?.event_id.as_ref().map(|event_id| event_id.as_str())
    }

    fn may_access(&self, account_id: &str) -> bool {
        match &self.portal {
            None => self.principal.may_access(account_id),
            Some(claims) => claims.account_id.as_str() == account_id && self.principal.may_access(account_id),
        }
    }
}

/// What keys, and what came of them, may read.
#[derive(Debug)]
pub struct Access {
    gate: Gate,
    sessions: Sessions,
    sign_outs: Arc<SignOuts>,
    portal: Portal,
    attempts: Attempts,
    rate: Rate,
}

impl Access {
    /// Keys are those of `gate`, and what was signed out of `sign_outs` knows.
    ///
    /// # Errors
    /// Where the configured secret is too short.
    pub fn new(
        gate: Gate,
        sign_outs: Arc<SignOuts>,
        settings: &SessionSection,
        rate: &RateSection,
    ) -> Result<Self, WeakSecret> {
        let secret = session::secret(settings);
        Ok(Self {
            gate,
            sessions: Sessions::new(&secret, settings)?,
            sign_outs,
            portal: Portal::new(&secret)?,
            attempts: Attempts::new(settings.failures_per_minute_max),
            rate: Rate::new(rate),
        })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        self.gate.keys()
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Who signed out.
    #[must_use]
    pub fn sign_outs(&self) -> &SignOuts {
        &self.sign_outs
    }

    /// Portal tokens.
    #[must_use]
    pub fn portal(&self) -> &Portal {
        &self.portal
    }

    /// Failed tries to sign in.
    #[must_use]
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// How many requests a key may send.
    #[must_use]
    pub fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Who sent a request with these headers. A header `Authorization` counts alone: what it says is meant, whatever cookie
    /// the browser sends along.
    ///
    /// # Errors
    /// 401; 503 while the registry is being read, or could not be for too long, for every key but the configured one: the
    /// making of a key or its revocation may stand further on.
    pub fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Problem> {
        if headers.contains_key(header::AUTHORIZATION) {
            let Some(token) = bearer(headers).filter(|text| text.starts_with(portal::PREFIX)) else {
                return Ok(Visitor { principal: self.gate.authenticate(headers)?, portal: None });
            };
            let claims = self.portal.read(token, now_ms())?;
            let principal = self.gate.holder(claims.key_id.as_str(), &claims.mark)?;
            return Ok(Visitor { principal, portal: Some(claims) });
        }
        match self.session(headers)? {
            Some((_, principal)) => Ok(Visitor { principal, portal: None }),
            None => Err(AuthError::Missing.into()),
        }
    }

    /// The session of these headers and who it is of; `None` where there is none, or one that has ended.
    ///
    /// # Errors
    /// 401 where its key was revoked, 503 as of [`visitor`](Self::visitor); and 503 while sign-outs are not all known, also
    /// for a session of the configured key.
    pub fn session(&self, headers: &HeaderMap) -> Result<Option<(Session, Arc<Principal>)>, Problem> {
        if headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let Some(session) = self.sessions.read(headers, now_ms()) else { return Ok(None) };
        // Asked first: what is looked up after the end was reached is judged by every sign-out.
        let current = self.sign_outs.ensure_current();
        if self.sign_outs.has(&session) {
            return Ok(None);
        }
        current?;
        let principal = self.gate.holder(session.key_id.as_str(), &session.mark)?;
        Ok(Some((session, principal)))
    }

    /// The session of a request that changes something. Another site can make a browser send the cookie, but neither read
    /// the session's token nor send it.
    ///
    /// # Errors
    /// 401 without a session, 403 `csrf`, and those of [`session`](Self::session).
    pub fn session_for_change(&self, headers: &HeaderMap) -> Result<(Session, Arc<Principal>), Problem> {
        let found = self.session(headers)?;
        let (session, principal) = found.ok_or_else(|| Problem::unauthenticated("sign in first: POST /v1/session"))?;
        self.ensure_csrf_token(&session, headers)?;
        Ok((session, principal))
    }

    /// The session that a request signs out of, also where nobody can say at the moment whether its key is still taken;
    /// `None` where no process takes it any more, so that there is only a cookie to be taken away.
    ///
    /// # Errors
    /// 403 `csrf`.
    pub fn session_to_end(&self, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        if headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let Some(session) = self.sessions.read(headers, now_ms()) else { return Ok(None) };
        let holder = self.gate.holder(session.key_id.as_str(), &session.mark);
        let is_key_refused = holder.is_err_and(|problem| problem.status() == StatusCode::UNAUTHORIZED);
        if is_key_refused || self.sign_outs.has_told(&session) {
            return Ok(None);
        }
        self.ensure_csrf_token(&session, headers)?;
        Ok(Some(session))
    }

    fn ensure_csrf_token(&self, session: &Session, headers: &HeaderMap) -> Result<(), Problem> {
        if self.sessions.has_csrf_token(session, headers) {
            return Ok(());
        }
        Err(Problem::new("csrf", StatusCode::FORBIDDEN, "The request does not come from the dashboard")
            .with_detail("send csrf_token of the session as X-CSRF-Token"))
    }

    /// Who signs in with `key`, and the key's mark.
    ///
    /// # Errors
    /// 401 for a key that is not known or revoked, 403 for a booth's, 503 as of [`session`](Self::session): a session that
    /// would not be taken is not begun.
    pub fn sign_in(&self, key: &str) -> Result<(Arc<Principal>, String), Problem> {
        let principal = self.gate.authenticate_key(key)?;
        if principal.kind == KeyKind::Booth {
            return Err(Problem::forbidden("a booth's key reports usage; sign in with an account key"));
        }
        self.sign_outs.ensure_current()?;
        let (_, mark) = self.gate.keys().holder(principal.key_id.as_str())?;
        Ok((principal, mark))
    }

    /// Who asks for a portal token, and the key's mark: a key or a session, no portal token. A token reads, so that its maker
    /// must be allowed to.
    ///
    /// # Errors
    /// 401, 403 `csrf`, for a booth's key, a portal token or a key that is narrowed to less, 503 as of [`visitor`](Self::visitor).
    pub fn minter(&self, headers: &HeaderMap) -> Result<(Arc<Principal>, String), Problem> {
        if !headers.contains_key(header::AUTHORIZATION) {
            let (session, principal) = self.session_for_change(headers)?;
            ensure_mints(&principal)?;
            return Ok((principal, session.mark));
        }
        let visitor = self.visitor(headers)?;
        if visitor.portal.is_some() || visitor.principal.kind == KeyKind::Booth {
            return Err(Problem::forbidden("a portal token is made with an account key or an admin key"));
        }
        ensure_mints(&visitor.principal)?;
        let (_, mark) = self.gate.keys().holder(visitor.principal.key_id.as_str())?;
        Ok((visitor.principal, mark))
    }

    /// Lets a request read one account: an admin any, an account key its own. A booth's key reads nothing. Another
    /// account looks as one that does not exist.
    ///
    /// # Errors
    /// 401, 403 for a booth's key and for a portal token of one event, 404; 503 as of [`visitor`](Self::visitor).
    pub fn read_account(&self, headers: &HeaderMap, account_id: &str) -> Result<Visitor, Problem> {
        let visitor = self.read_any(headers, account_id)?;
        match visitor.only_event() {
            None => Ok(visitor),
            Some(_) => Err(Problem::forbidden("this token reads one event, not the account")),
        }
    }

    /// Lets a request read one event of an account: whoever reads the account, and a portal token of that event.
    ///
    /// # Errors
    /// Those of [`read_account`](Self::read_account); 404 for another event than the token's.
    pub fn read_event(&self, headers: &HeaderMap, account_id: &str, event_id: &str) -> Result<Visitor, Problem> {
        let visitor = self.read_any(headers, account_id)?;
        if visitor.only_event().is_some_and(|own| own != event_id) {
            return Err(Problem::not_found("no such event"));
        }
        Ok(visitor)
    }

    fn read_any(&self, headers: &HeaderMap, account_id: &str) -> Result<Visitor, Problem> {
        let visitor = self.visitor(headers)?;
        if visitor.principal.kind == KeyKind::Booth {
            return Err(Problem::forbidden("a booth's key writes usage; reading needs an account key"));
        }
        // A portal token's maker as well: a token reads nothing that the key behind it may not.
        visitor.principal.require(Scope::Read)?;
        if visitor.may_access(account_id) { Ok(visitor) } else { Err(no_account()) }
    }

    /// Lets a request read about all accounts: an admin's alone.
    ///
    /// # Errors
    /// 401, 403 for every other key; 503 as of [`visitor`](Self::visitor).
    pub fn read_all(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let visitor = self.visitor(headers)?;
        if !visitor.is_admin() {
            return Err(Problem::forbidden("needs an admin key"));
        }
        visitor.principal.require(Scope::Read)
    }

    /// Lets a request read about keys, of this account alone; `None`: of all, for an admin's.
    ///
    /// # Errors
    /// 401, 403 for a booth's key and for a portal token; 503 while the keys are not all known, also for the configured
    /// one: a list shall not lack any.
    pub fn read_keys(&self, headers: &HeaderMap) -> Result<Option<AccountId>, Problem> {
        let Visitor { principal, portal } = self.visitor(headers)?;
        if portal.is_some() || principal.kind == KeyKind::Booth {
            return Err(Problem::forbidden("keys are listed with an account key or an admin key"));
        }
        principal.require(Scope::Read)?;
        self.gate.ensure_current()?;
        match &principal.account_id {
            _ if principal.is_admin() => Ok(None),
            Some(own) => Ok(Some(own.clone())),
            None => Err(Problem::forbidden("the key belongs to no account")),
        }
    }
}

/// The headers that say who asks, and no others: what is kept of a request that lives long.
#[must_use]
pub fn credentials(headers: &HeaderMap) -> HeaderMap {
    let names = [header::AUTHORIZATION, header::COOKIE];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn ensure_mints(principal: &Principal) -> Result<(), Problem> {
    principal.require(Scope::PortalTokens)?;
    principal.require(Scope::Read)
}

/// The one answer for accounts that do not exist and for those of others.
#[must_use]
pub fn no_account() -> Problem {
    Problem::not_found("no such account")
}
