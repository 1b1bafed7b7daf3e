//! Sessions that somebody signed out of, here or at another process, until they would have ended by themselves.
//!
//! Their number is bounded, and none of them is forgotten for it: beyond [`ENDED_MAX`] those of the key that has most are
//! told by one instant, and every session of that key that would have ended by then counts as ended. So whoever signs out
//! on and on ends older sessions of that key, and nobody else's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use tollbooth_schemas::ids::KeyId;
use tollbooth_schemas::sessions::EndedSession;

use super::session::Session;

/// Sessions that are known one by one; beside them an instant for each key at most. Some 5 MB.
pub const ENDED_MAX: usize = 100_000;

/// A record of `ended-sessions` that is none.
#[derive(Debug, thiserror::Error)]
pub enum EndedRecordError {
    /// Its key is no session's id.
    #[error("its key is not the id of a session")]
    Id,
    /// Not the JSON of an [`EndedSession`].
    #[error("is not an ended session: {0}")]
    Json(#[from] serde_json::Error),
}

/// What all processes know. Cloning gives another handle.
#[derive(Debug, Clone, Default)]
pub struct EndedSessions(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<KeyId, OfKey>,
    /// Of all keys.
    count: usize,
}

#[derive(Debug, Default)]
struct OfKey {
    /// When it would have ended, and its id; whether the brokers have the sign-out.
    sessions: BTreeMap<(i64, u128), bool>,
    /// Whatever would have ended by then has ended.
    all_until_ms: i64,
}

impl EndedSessions {
    /// Takes one record of `ended-sessions`. A tombstone, which nobody writes, takes nothing back.
    ///
    /// # Errors
    /// When it is none.
    pub fn apply(&self, record_key: &[u8], payload: Option<&[u8]>, now_ms: i64) -> Result<(), EndedRecordError> {
        let id = std::str::from_utf8(record_key).ok().and_then(number).ok_or(EndedRecordError::Id)?;
        let Some(payload) = payload else { return Ok(()) };
        let ended: EndedSession = serde_json::from_slice(payload)?;
        self.0.write().put(&ended.key_id, (ended.expires_at, id), true, now_ms);
        Ok(())
    }

    /// Somebody signed out of this one.
    pub fn put(&self, session: &Session, now_ms: i64) {
        // No session of ours has another id.
        if let Some(id) = number(&session.id) {
            self.0.write().put(&session.key_id, (session.expires_at_ms, id), false, now_ms);
        }
    }

    /// The brokers have the record of a session that ended here.
    pub fn told(&self, id: &str, ended: &EndedSession, now_ms: i64) {
        if let Some(id) = number(id) {
            self.0.write().put(&ended.key_id, (ended.expires_at, id), true, now_ms);
        }
    }

    /// By id, the records of sessions that ended here and that the brokers are not known to have.
    #[must_use]
    pub fn untold(&self) -> Vec<(String, EndedSession)> {
        let known = self.0.read();
        let all = known.by_key.iter().flat_map(|(key_id, of_key)| of_key.sessions.iter().map(move |it| (key_id, it)));
        let untold = all.filter(|(_, (_, is_told))| !**is_told);
        let record = |key_id: &KeyId, expires_at| EndedSession { key_id: key_id.clone(), expires_at };
        untold.map(|(key_id, ((at_ms, id), _))| (format!("{id:032x}"), record(key_id, *at_ms))).collect()
    }

    /// Whether somebody signed out of it, or it counts as ended.
    #[must_use]
    pub fn has(&self, session: &Session) -> bool {
        let Some(id) = number(&session.id) else { return true };
        let known = self.0.read();
        known.by_key.get(&session.key_id).is_some_and(|of_key| of_key.has((session.expires_at_ms, id)))
    }

    /// Whether somebody signed out of this very session, and the brokers have that.
    #[must_use]
    pub fn has_told(&self, session: &Session) -> bool {
        let Some(id) = number(&session.id) else { return true };
        let known = self.0.read();
        let of_key = known.by_key.get(&session.key_id);
        of_key.and_then(|of_key| of_key.sessions.get(&(session.expires_at_ms, id))).copied().unwrap_or_default()
    }

    /// Forgets those that have ended by themselves.
    pub fn forget_over(&self, now_ms: i64) {
        self.0.write().forget_over(now_ms);
    }
}

impl Known {
    fn put(&mut self, key_id: &KeyId, session: (i64, u128), is_told: bool, now_ms: i64) {
        if let Some(was_told) = self.by_key.get_mut(key_id).and_then(|of_key| of_key.sessions.get_mut(&session)) {
            *was_told |= is_told;
            return;
        }
        let has_ended = self.by_key.get(key_id).is_some_and(|of_key| of_key.has(session));
        if has_ended || session.0 <= now_ms {
            return;
        }
        if self.count >= ENDED_MAX {
            self.forget_over(now_ms);
        }
        if self.count >= ENDED_MAX {
            self.shorten();
        }
        let of_key = self.by_key.entry(key_id.clone()).or_default();
        // Shortened just now, it may have the session already.
        if !of_key.has(session) {
            of_key.sessions.insert(session, is_told);
            self.count += 1;
        }
    }

    fn forget_over(&mut self, now_ms: i64) {
        let mut forgotten = 0;
        self.by_key.retain(|_, of_key| {
            while of_key.sessions.first_key_value().is_some_and(|((expires_at_ms, _), _)| *expires_at_ms <= now_ms) {
                of_key.sessions.pop_first();
                forgotten += 1;
            }
            !of_key.sessions.is_empty() || of_key.all_until_ms > now_ms
        });
        self.count = self.count.saturating_sub(forgotten);
    }

    /// Tells the sessions of the key that has most by the last of them. What of it the brokers do not have yet nobody else is
    /// told: it takes brokers that are away for so many sign-outs, and each of them was answered so.
    fn shorten(&mut self) {
        let Some(of_key) = self.by_key.values_mut().max_by_key(|of_key| of_key.sessions.len()) else { return };
        let last_ms = of_key.sessions.last_key_value().map_or(0, |((expires_at_ms, _), _)| *expires_at_ms);
        of_key.all_until_ms = of_key.all_until_ms.max(last_ms);
        self.count = self.count.saturating_sub(of_key.sessions.len());
        of_key.sessions.clear();
    }
}

impl OfKey {
    fn has(&self, session: (i64, u128)) -> bool {
        session.0 <= self.all_until_ms || self.sessions.contains_key(&session)
    }
}

/// A session's id as a number.
fn number(id: &str) -> Option<u128> {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { u128::from_str_radix(id, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;
    const LIFE_MS: i64 = 12 * 3_600_000;

    fn session(key: &str, number: u128, expires_at_ms: i64) -> Session {
        Session { id: format!("{number:032x}"), key_id: key.parse().unwrap(), mark: "mark".to_owned(), expires_at_ms }
    }

    #[test]
    fn what_one_process_ended_has_ended_for_who_reads_of_it() {
        // given two sessions of one key
        let (one, other) = (session("key_1", 1, NOW_MS + LIFE_MS), session("key_1", 2, NOW_MS + LIFE_MS));
        let record = EndedSession { key_id: one.key_id.clone(), expires_at: one.expires_at_ms };
        let payload = serde_json::to_vec(&record).unwrap();
        // when one is told of
        let there = EndedSessions::default();
        there.apply(one.id.as_bytes(), Some(&payload), NOW_MS).unwrap();
        // then it alone has ended, for good
        there.apply(one.id.as_bytes(), None, NOW_MS).unwrap();
        assert!(there.has(&one) && !there.has(&other));
        // and what is no record is said to be none
        assert!(matches!(there.apply(b"1", Some(&payload), NOW_MS), Err(EndedRecordError::Id)));
        assert!(matches!(there.apply(other.id.as_bytes(), Some(b"{}"), NOW_MS), Err(EndedRecordError::Json(_))));
        assert!(!there.has(&other));
    }

    #[test]
    fn what_ended_here_is_told_once_the_brokers_have_it() {
        let (ended, own) = (EndedSessions::default(), session("key_1", 1, NOW_MS + LIFE_MS));
        ended.put(&own, NOW_MS);
        assert!(ended.has(&own) && !ended.has_told(&own));
        let record = EndedSession { key_id: own.key_id.clone(), expires_at: own.expires_at_ms };
        assert_eq!(ended.untold(), [(own.id.clone(), record.clone())]);
        ended.told(&own.id, &record, NOW_MS);
        ended.put(&own, NOW_MS);
        assert!(ended.has_told(&own) && ended.untold().is_empty());
        assert_eq!(ended.0.read().count, 1);
    }

    #[test]
    fn what_has_ended_by_itself_is_forgotten() {
        let ended = EndedSessions::default();
        for number in 0..10 {
            ended.put(&session("key_1", number, NOW_MS + i64::try_from(number).unwrap()), NOW_MS - 1);
        }
        ended.put(&session("key_2", 1, NOW_MS + 3), NOW_MS - 1);
        ended.forget_over(NOW_MS + 4);
        assert_eq!((ended.0.read().count, ended.0.read().by_key.len()), (5, 1));
        assert!(ended.has(&session("key_1", 5, NOW_MS + 5)));
        // A topic that is read again from its beginning does not bring it back.
        ended.put(&session("key_1", 2, NOW_MS + 2), NOW_MS + 4);
        assert_eq!(ended.0.read().count, 5);
        ended.forget_over(NOW_MS + 9);
        assert_eq!((ended.0.read().count, ended.0.read().by_key.len()), (0, 0));
    }

    #[test]
    fn beyond_the_bound_nothing_that_ended_is_taken_again_and_only_the_key_that_has_most_pays() {
        // given as many sessions as are known one by one, nearly all of one key, and each a millisecond later
        let ended = EndedSessions::default();
        let quiet = session("key_quiet", 1, NOW_MS + LIFE_MS);
        ended.put(&quiet, NOW_MS);
        let greedy = |number: usize| {
            let at_ms = NOW_MS + LIFE_MS + i64::try_from(number).unwrap();
            session("key_greedy", u128::try_from(number).unwrap(), at_ms)
        };
        for number in 1..ENDED_MAX {
            ended.put(&greedy(number), NOW_MS);
        }
        assert_eq!(ended.0.read().count, ENDED_MAX);

        // when one more ends
        let (unended, later) = (session("key_quiet", 2, NOW_MS + LIFE_MS), greedy(ENDED_MAX + 7));
        ended.put(&session("key_third", 3, NOW_MS + LIFE_MS), NOW_MS);

        // then less is remembered, and what had ended has ended
        assert_eq!(ended.0.read().count, 2);
        assert!((1..ENDED_MAX).all(|number| ended.has(&greedy(number))) && ended.has(&quiet));
        // and of sessions that nobody signed out of, older ones of that key alone
        let older = session("key_greedy", u128::MAX, NOW_MS + 1);
        assert!(ended.has(&older));
        // whose owners sign out of them nevertheless, for other processes may take them;
        ended.put(&older, NOW_MS);
        assert!(!ended.has_told(&older));
        assert!(!ended.has(&unended) && !ended.has(&later));

        // and all is forgotten with the last of them
        ended.forget_over(NOW_MS + 2 * LIFE_MS);
        assert_eq!((ended.0.read().count, ended.0.read().by_key.len()), (0, 0));
    }
}
