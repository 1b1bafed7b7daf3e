//! Answers that were made of ClickHouse, kept for whoever asks the same again.
//!
//! An answer is known by its account, its request and the account's entry that it was made at. It is given again while the
//! account has no newer entry, for [`AnswersSection::age_ms_max`] at most: what lies at the edge of now (a bucket that has
//! ended, a period that is compared with as much of the one before) moves with the clock. Where it is not known that
//! ClickHouse had that entry already it is given again for [`AnswersSection::fresh_ms`] only, and so is one that newer
//! entries have come after: sums are about a second behind anyway.
//!
//! Of requests that are the same and come at once, one asks; the others wait for its answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;
use tollbooth_chassis::problem::Problem;

use crate::config::AnswersSection;
use crate::metrics::{AnswerSource, AnswersMetrics};

/// What an answer costs beside its bytes and its key.
const OVERHEAD_BYTES: usize = 300;

/// An answer as it is sent.
#[derive(Debug, Clone)]
pub struct Kept {
    /// JSON.
    pub body: Bytes,
    /// Its tag.
    pub etag: HeaderValue,
    /// Rows it was made of.
    pub rows: usize,
}

/// The account when a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Its newest entry.
    pub seq: u64,
    /// Whether ClickHouse is known to have that entry, in every table.
    pub is_sunk: bool,
}

/// What became of the newest try.
#[derive(Debug, Default)]
struct Slot {
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    at: At,
    when: Instant,
    outcome: Result<Kept, Problem>,
}

type Place = Arc<Turn<Slot>>;

#[derive(Debug, Default)]
struct Places {
    by_key: HashMap<Arc<str>, (Place, usize)>,
    /// Oldest first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

/// The answers of one process.
#[derive(Debug)]
pub struct Answers {
    settings: AnswersSection,
    places: Mutex<Places>,
    metrics: AnswersMetrics,
}

impl Answers {
    /// None yet.
    #[must_use]
    pub fn new(settings: AnswersSection, metrics: AnswersMetrics) -> Self {
        Self { settings, places: Mutex::default(), metrics }
    }

    /// The answer to a request, made by `make` unless it is there.
    ///
    /// # Errors
    /// What `make` answers. Only who waited for that try hears of it; the next one tries again.
    pub async fn get(
        &self,
        key: &str,
        at: At,
        make: impl Future<Output = Result<Kept, Problem>>,
    ) -> Result<Kept, Problem> {
        if self.settings.bytes_max == 0 {
            self.metrics.count(AnswerSource::ClickHouse);
            return make.await;
        }
        let asked = Instant::now();
        let place = self.place(key);
        let mut slot = place.lock().await;
        if let Some(made) = &slot.made {
            let is_joined = made.when >= asked;
            if is_joined || (made.outcome.is_ok() && self.is_good(made, at)) {
                self.metrics.count(if is_joined { AnswerSource::Joined } else { AnswerSource::Memory });
                return made.outcome.clone();
            }
        }
        self.metrics.count(AnswerSource::ClickHouse);
        let outcome = make.await;
        let bytes = outcome.as_ref().map_or(0, |kept| kept.body.len());
        slot.made = Some(Made { at, when: Instant::now(), outcome: outcome.clone() });
        drop(slot);
        self.account_for(key, bytes);
        outcome
    }

    fn is_good(&self, made: &Made, at: At) -> bool {
        let age = made.when.elapsed();
        let is_same = made.at.seq == at.seq && made.at.is_sunk;
        let age_ms_max = if is_same { self.settings.age_ms_max } else { self.settings.fresh_ms };
        age < Duration::from_millis(age_ms_max)
    }

    fn place(&self, key: &str) -> Place {
        let mut places = self.places.lock();
        if let Some((place, _)) = places.by_key.get(key) {
            return Arc::clone(place);
        }
        let (key, place): (Arc<str>, Place) = (key.into(), Arc::default());
        let cost = key.len() + OVERHEAD_BYTES;
        places.bytes += cost;
        places.order.push_back(Arc::clone(&key));
        places.by_key.insert(key, (Arc::clone(&place), cost));
        self.shrink(&mut places);
        place
    }

    /// The body at `key` has so many bytes now.
    fn account_for(&self, key: &str, body_bytes: usize) {
        let mut places = self.places.lock();
        let Some((_, cost)) = places.by_key.get_mut(key) else { return };
        let (before, now) = (*cost, key.len() + OVERHEAD_BYTES + body_bytes);
        *cost = now;
        places.bytes = places.bytes - before + now;
        self.shrink(&mut places);
    }

    /// Forgets the oldest until the bound is kept. Who waits for one still gets it.
    fn shrink(&self, places: &mut Places) {
        while places.bytes > self.settings.bytes_max {
            let Some(oldest) = places.order.pop_front() else { break };
            if let Some((_, cost)) = places.by_key.remove(&oldest) {
                places.bytes -= cost;
            }
        }
        self.metrics.bytes.set(i64::try_from(places.bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use prometheus::Registry;

    use super::*;

    fn answers(settings: AnswersSection) -> Answers {
        Answers::new(settings, AnswersMetrics::register(&Registry::new()).unwrap())
    }

    fn kept(text: &str) -> Kept {
        Kept { body: Bytes::copy_from_slice(text.as_bytes()), etag: HeaderValue::from_static("\"x\""), rows: 1 }
    }

    fn long() -> AnswersSection {
        AnswersSection { age_ms_max: 3_600_000, fresh_ms: 0, bytes_max: 1 << 20 }
    }

    const AT: At = At { seq: 7, is_sunk: true };

    async fn ask(answers: &Answers, key: &str, at: At, makes: &AtomicUsize) -> String {
        let make = async {
            makes.fetch_add(1, Ordering::SeqCst);
            Ok(kept(&format!("{key} at {}", at.seq)))
        };
        String::from_utf8(answers.get(key, at, make).await.unwrap().body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_given_again_until_something_happens() {
        let (answers, makes) = (answers(long()), AtomicUsize::new(0));
        for _ in 0..3 {
            assert_eq!(ask(&answers, "a", AT, &makes).await, "a at 7");
        }
        assert_eq!(makes.load(Ordering::SeqCst), 1);
        assert_eq!(ask(&answers, "b", AT, &makes).await, "b at 7");
        assert_eq!(ask(&answers, "a", At { seq: 8, ..AT }, &makes).await, "a at 8");
        assert_eq!(makes.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn one_that_may_lack_an_entry_is_fresh_for_a_moment_only() {
        let makes = AtomicUsize::new(0);
        let unsure = At { is_sunk: false, ..AT };
        let strict = answers(long());
        ask(&strict, "a", unsure, &makes).await;
        ask(&strict, "a", AT, &makes).await;
        assert_eq!(makes.load(Ordering::SeqCst), 2);
        let lenient = answers(AnswersSection { fresh_ms: 3_600_000, ..long() });
        ask(&lenient, "a", unsure, &makes).await;
        assert_eq!(ask(&lenient, "a", At { seq: 8, ..AT }, &makes).await, "a at 7");
        assert_eq!(makes.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn of_many_that_ask_at_once_one_asks_and_a_failure_is_not_kept() {
        // given a try that fails once it is let go
        let answers = Arc::new(answers(long()));
        let makes = Arc::new(AtomicUsize::new(0));
        let go = Arc::new(tokio::sync::Semaphore::new(0));
        let ask = || {
            let (answers, makes, go) = (Arc::clone(&answers), Arc::clone(&makes), Arc::clone(&go));
            tokio::spawn(async move {
                let make = async {
                    makes.fetch_add(1, Ordering::SeqCst);
                    drop(go.acquire().await);
                    Err(Problem::unavailable(1))
                };
                answers.get("a", AT, make).await.map(|_| ()).map_err(|problem| problem.status().as_u16())
            })
        };
        let tasks: Vec<_> = (0..5).map(|_| ask()).collect();
        while makes.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // All of them wait by now: the runtime has one thread.
        tokio::task::yield_now().await;
        go.add_permits(10);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(503));
        }
        assert_eq!(makes.load(Ordering::SeqCst), 1);
        let make = async { Ok(kept("well")) };
        assert_eq!(answers.get("a", AT, make).await.unwrap().body, "well");
    }

    #[tokio::test]
    async fn what_is_kept_has_a_bound() {
        let makes = AtomicUsize::new(0);
        let answers = answers(AnswersSection { bytes_max: 2_000, ..long() });
        for number in 0..50 {
            ask(&answers, &format!("key {number}"), AT, &makes).await;
            assert!(answers.places.lock().bytes <= 2_000);
        }
        ask(&answers, "key 49", AT, &makes).await;
        assert_eq!(makes.load(Ordering::SeqCst), 50);
        ask(&answers, "key 0", AT, &makes).await;
        assert_eq!(makes.load(Ordering::SeqCst), 51);
        let off = self::answers(AnswersSection { bytes_max: 0, ..long() });
        ask(&off, "a", AT, &makes).await;
        ask(&off, "a", AT, &makes).await;
        assert_eq!(makes.load(Ordering::SeqCst), 53);
    }
}
