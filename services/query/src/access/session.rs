//! The session of a browser: a signed cookie, nothing stored.
//!
//! The cookie names the key that signed in, by id and mark; what that key may do is looked up with every request, so that
//! its revocation ends the session. What was signed out of [`super::sign_out`] knows.

use axum::http::{HeaderMap, HeaderValue, header};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::seal::{Sealer, WeakSecret};
use tollbooth_schemas::ids::KeyId;

use crate::config::SessionSection;

/// Name of the cookie.
pub const COOKIE: &str = "tollbooth_session";
/// Header that says that a request comes from the dashboard itself.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What the cookie says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Tells sessions apart: 32 hex digits.
    pub(super) id: String,
    /// The key that signed in.
    pub key_id: KeyId,
    /// Tells it from another key of the same id.
    pub mark: String,
    /// When it ends.
    pub expires_at_ms: i64,
}

/// Makes and reads sessions.
#[derive(Debug)]
pub struct Sessions {
    cookies: Sealer,
    csrf: Sealer,
    life_s: i64,
    secure: bool,
}

/// The configured secret, or one for this process alone.
#[must_use]
pub fn secret(settings: &SessionSection) -> String {
    if settings.secret.is_empty() { chance() + &chance() } else { settings.secret.expose().to_owned() }
}

/// 128 bits. The thread's generator is a ChaCha seeded by the system: fit for secrets.
fn chance() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

impl Sessions {
    /// # Errors
    /// Where the secret is too short.
    pub fn new(secret: &str, settings: &SessionSection) -> Result<Self, WeakSecret> {
        Ok(Self {
            cookies: Sealer::new(secret, "session")?,
            csrf: Sealer::new(secret, "csrf")?,
            life_s: i64::try_from(settings.life_s).unwrap_or(i64::MAX / 1_000),
            secure: settings.secure,
        })
    }

    /// A new session and its `Set-Cookie`.
    ///
    /// # Errors
    /// Never in practice: a session has a JSON form.
    pub fn begin(&self, principal: &Principal, mark: &str, now_ms: i64) -> Result<(Session, HeaderValue), Problem> {
        let session = Session {
            id: chance(),
            key_id: principal.key_id.clone(),
            mark: mark.to_owned(),
            expires_at_ms: now_ms.saturating_add(self.life_s.saturating_mul(1_000)),
        };
        let text = self.cookies.seal(&session).map_err(Problem::internal)?;
        Ok((session, self.cookie(&text, self.life_s)?))
    }

    /// The session of a request, if it has one whose time is not over. Whether somebody signed out of it is another question.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap, now_ms: i64) -> Option<Session> {
        let session: Session = self.cookies.open(cookie_of(headers)?).ok()?;
        (session.expires_at_ms > now_ms).then_some(session)
    }

    /// The `Set-Cookie` that takes the cookie away.
    ///
    /// # Errors
    /// Never: it is a constant.
    pub fn no_cookie(&self) -> Result<HeaderValue, Problem> {
        self.cookie("", 0)
    }

    fn cookie(&self, text: &str, max_age_s: i64) -> Result<HeaderValue, Problem> {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!("{COOKIE}={text}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(cookie).map_err(Problem::internal)
    }

    /// What the dashboard sends along when it changes something.
    #[must_use]
    pub fn csrf_token(&self, session: &Session) -> String {
        self.csrf.mark(&session.id)
    }

    /// Whether a request has the session's token.
    #[must_use]
    pub fn has_csrf_token(&self, session: &Session, headers: &HeaderMap) -> bool {
        let token = headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok());
        token.is_some_and(|token| self.csrf.is_mark(&session.id, token))
    }
}

/// The text of our cookie (RFC 6265, 5.4): pairs separated by `; `.
fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::keys::KeyKind;

    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn sessions() -> Sessions {
        let settings = SessionSection::default();
        Sessions::new(&secret(&settings), &settings).unwrap()
    }

    fn begin(sessions: &Sessions) -> (Session, HeaderMap) {
        let principal = Principal {
            key_id: "key_1".parse().unwrap(),
            kind: KeyKind::Account,
            account_id: Some("acc_luna".parse().unwrap()),
            booth_id: None,
            scopes: Vec::new(),
            is_test: false,
            line: "key_1".parse().unwrap(),
        };
        let (session, cookie) = sessions.begin(&principal, "mark", NOW_MS).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        let line = format!("theme=dark; {pair}; other=1");
        (session, HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())]))
    }

    #[test]
    fn a_session_is_read_until_it_ends() {
        let sessions = sessions();
        let (session, headers) = begin(&sessions);
        assert_eq!(sessions.read(&headers, NOW_MS), Some(session.clone()));
        assert_eq!(sessions.read(&headers, session.expires_at_ms), None);
        assert_eq!(sessions.read(&HeaderMap::new(), NOW_MS), None);
        assert_eq!(self::sessions().read(&headers, NOW_MS), None, "another secret");
    }

    #[test]
    fn a_session_has_a_token_of_its_own() {
        let sessions = sessions();
        let ((session, _), (other, _)) = (begin(&sessions), begin(&sessions));
        let headers = |token: &str| HeaderMap::from_iter([(CSRF_HEADER.parse().unwrap(), token.parse().unwrap())]);
        assert!(sessions.has_csrf_token(&session, &headers(&sessions.csrf_token(&session))));
        assert!(!sessions.has_csrf_token(&session, &headers(&sessions.csrf_token(&other))));
        assert!(!sessions.has_csrf_token(&session, &HeaderMap::new()));
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() {
        let settings = SessionSection { secure: false, ..SessionSection::default() };
        for (sessions, secure) in [(sessions(), true), (Sessions::new(&secret(&settings), &settings).unwrap(), false)] {
            let cookie = sessions.no_cookie().unwrap();
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("; Path=/; Max-Age=0"), "{cookie}");
            assert_eq!(cookie.ends_with("; Secure"), secure);
        }
    }
}
