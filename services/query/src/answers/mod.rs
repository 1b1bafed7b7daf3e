//! Sums that were made of ClickHouse, kept for whoever asks the same again and carried forward by the ledger's tail.
//!
//! An answer is known by its account and its request. What is kept of it is twofold:
//!
//! - its *sums*, where it is known that they are exactly those of the account's entries up to one of them ([`Asker`]). Who
//!   asks again gets them with the entries since then added ([`Question::shape`], [`AnswersSection::carried_s_max`]), late
//!   and reversing ones among them, so that they are current to the newest entry and ClickHouse is not asked. Where an entry
//!   in between cannot be had (memory dropped it, the tail jumped) they are asked for anew;
//! - its *text*, which is given again as it is while the account has no newer entry, for [`AnswersSection::age_ms_max`] at
//!   most and within one quarter of an hour: what lies at the edge of now moves with the clock. Where it is not known up to
//!   which entry it goes it is given again for [`AnswersSection::fresh_ms`], whatever happens.
//!
//! Sums of all accounts are of no account's entries. Their text alone is kept, for [`AnswersSection::fleet_fresh_ms`].
//!
//! Of requests that are the same and come at once, one asks; the others wait for its answer. When the last of them goes
//! away, the question is ended.

mod asker;
mod carried;
mod cube;
mod fleet;
mod flight;
mod packed;
mod parties;
mod question;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use bytes::Bytes;
use parking_lot::Mutex;
use tollbooth_chassis::problem::Problem;

pub use asker::Asker;
use carried::{Carried, Line};
pub use cube::Cubes;
pub use fleet::OfAll;
use flight::Flight;
use packed::{Packed, PackedText};
pub use parties::{Known, Parties};
pub use question::{Question, Top, Whose};

use crate::config::AnswersSection;
use crate::live::{Balance, LiveView};
use crate::metrics::{AnswerSource, AnswersMetrics};
use crate::prices::Names;
use crate::store::UsageRow;

/// What an answer costs beside its text, its sums and its key.
const OVERHEAD_BYTES: usize = 500;
/// Sums that take more than this part of the memory are not kept: they would drive out all others.
const SHARE_MAX: usize = 8;

/// An answer as it is sent.
#[derive(Debug, Clone)]
pub struct Kept {
    /// JSON.
    pub body: Bytes,
    /// Its tag.
    pub etag: HeaderValue,
    /// Rows it was made of.
    pub rows: usize,
    /// The newest entry in its sums; `None`: not known to the entry.
    pub seq: Option<u64>,
}

/// What ClickHouse said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Every group apart.
    Whole(Vec<UsageRow>),
    /// The largest apart, as they are answered.
    Shaped(Vec<UsageRow>),
    /// More than may be answered.
    TooMany,
}

/// What ClickHouse said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// By question.
    pub told: Vec<Told>,
    /// By question: they are exactly the sums of the account's entries up to this one; `None`: not known.
    pub seqs: Vec<Option<u64>>,
    /// When ClickHouse told it: of a cube that may be long before.
    pub asked_at: Instant,
    /// ClickHouse, or a cube that it told before.
    pub source: AnswerSource,
}

/// What became of a question.
pub type Outcome = Result<Asked, Problem>;

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// By question, as they are answered; `None`: more than may be.
    pub rows: Vec<Option<Vec<UsageRow>>>,
    /// The newest entry in them; `None`: not known to the entry.
    pub seq: Option<u64>,
    /// Balance at that entry; where it is not known, at the newest one.
    pub balance: Balance,
}

/// A request for sums.
#[derive(Debug, Clone)]
pub struct Request {
    /// What tells it from others, the account included.
    pub key: String,
    /// Whose.
    pub account_id: String,
    /// What it needs.
    pub questions: Vec<Question>,
    /// The quarter of an hour that it is answered in.
    pub quarter: i64,
    /// What services are called.
    pub names: Arc<Names>,
}

#[derive(Debug)]
struct Text {
    body: PackedText,
    etag: HeaderValue,
    rows: usize,
    seq: Option<u64>,
    /// The account's newest entry then.
    account_seq: u64,
    quarter: i64,
    names: Arc<Names>,
    made_at: Instant,
}

#[derive(Debug, Default)]
struct State {
    text: Option<Text>,
    sums: Vec<Packed>,
    flight: Weak<Flight>,
}

type Place = Arc<Mutex<State>>;

#[derive(Debug)]
struct Slot {
    place: Place,
    bytes: usize,
    /// It was asked for since it came, or since it was spared.
    is_used: bool,
}

#[derive(Debug, Default)]
struct Places {
    by_key: HashMap<Arc<str>, Slot>,
    /// Those that came, or were spared, longest ago first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

/// The answers of one process.
#[derive(Debug)]
pub struct Answers {
    settings: AnswersSection,
    view: Arc<LiveView>,
    places: Mutex<Places>,
    metrics: AnswersMetrics,
}

impl Answers {
    /// None yet.
    #[must_use]
    pub fn new(settings: AnswersSection, view: Arc<LiveView>, metrics: AnswersMetrics) -> Self {
        Self { settings, view, places: Mutex::default(), metrics }
    }

    /// The answer to a request: as it is kept, carried forward, or made of what `ask` tells; `render` makes its text.
    ///
    /// # Errors
    /// What `ask` and `render` answer. Only who waited for that try hears of it; the next one tries again.
    pub async fn get(
        &self,
        request: Request,
        ask: impl Future<Output = Outcome> + Send + 'static,
        render: impl FnOnce(Sums) -> Result<Kept, Problem>,
    ) -> Result<Kept, Problem> {
        if self.settings.bytes_max == 0 {
            let outcome = ask.await;
            self.metrics.count(source_of(&outcome));
            return render(self.sums_of(&request, outcome?)?);
        }
        let place = self.place(&request.key);
        let flight = {
            let mut state = place.lock();
            if let Some(kept) = self.text(&state, &request, true) {
                return Ok(kept);
            }
            if let Some(sums) = self.carry(&mut state, &request) {
                return self.render(&mut state, &request, sums, render);
            }
            self.join(&place, &mut state, &request.questions, ask)
        };
        let asked = flight.outcome().await?;
        drop(flight);
        self.made(&place, &request, asked, render)
    }

    /// The question that is under way for somebody who asks the same, or one that begins now.
    fn join(
        &self,
        place: &Place,
        state: &mut State,
        questions: &[Question],
        ask: impl Future<Output = Outcome> + Send + 'static,
    ) -> Arc<Flight> {
        if let Some(flight) = state.flight.upgrade().filter(|flight| flight.is_about(questions)) {
            self.metrics.count(AnswerSource::Joined);
            return flight;
        }
        let (place, asked) = (Arc::clone(place), questions.to_vec());
        let (bytes_max, metrics) = (self.settings.bytes_max / SHARE_MAX, self.metrics.clone());
        let settle = move |outcome: &Outcome| {
            metrics.count(source_of(outcome));
            settle(&mut place.lock(), asked, outcome, bytes_max);
        };
        let flight = Flight::begin(questions.to_vec(), ask, settle);
        state.flight = Arc::downgrade(&flight);
        flight
    }

    /// As [`Answers::get`], for who must see an entry: nothing is taken that may lack it, and no answer of somebody else is
    /// waited for. `ask` waits for the entry where it must be asked.
    ///
    /// # Errors
    /// What `ask` and `render` answer.
    pub async fn get_awaited(
        &self,
        request: Request,
        ask: impl Future<Output = Outcome>,
        render: impl FnOnce(Sums) -> Result<Kept, Problem>,
    ) -> Result<Kept, Problem> {
        if self.settings.bytes_max == 0 {
            let outcome = ask.await;
            self.metrics.count(source_of(&outcome));
            return render(self.sums_of(&request, outcome?)?);
        }
        let place = self.place(&request.key);
        {
            let mut state = place.lock();
            if let Some(kept) = self.text(&state, &request, false) {
                return Ok(kept);
            }
            if let Some(sums) = self.carry(&mut state, &request) {
                return self.render(&mut state, &request, sums, render);
            }
        }
        let outcome = ask.await;
        self.metrics.count(source_of(&outcome));
        settle(&mut place.lock(), request.questions.clone(), &outcome, self.settings.bytes_max / SHARE_MAX);
        self.made(&place, &request, outcome?, render)
    }

    /// The text that is kept, if it is still good.
    fn text(&self, state: &State, request: &Request, takes_unsure: bool) -> Option<Kept> {
        let text = state.text.as_ref()?;
        let is_good = if text.seq.is_some() {
            let newest_seq = self.view.balance(&request.account_id)?.seq;
            text.account_seq == newest_seq
                && text.seq == Some(newest_seq)
                && text.quarter == request.quarter
                && Arc::ptr_eq(&text.names, &request.names)
                && text.made_at.elapsed() < Duration::from_millis(self.settings.age_ms_max)
        } else {
            takes_unsure && text.made_at.elapsed() < Duration::from_millis(self.settings.fresh_ms)
        };
        if is_good { self.open(text) } else { None }
    }

    fn open(&self, text: &Text) -> Option<Kept> {
        let body = text.body.open()?;
        self.metrics.count(AnswerSource::Memory);
        Some(Kept { body, etag: text.etag.clone(), rows: text.rows, seq: text.seq })
    }

    /// The sums that are kept, carried forward to the account's newest entry.
    fn carry(&self, state: &mut State, request: &Request) -> Option<Sums> {
        let sums = self.carried(state, request)?;
        self.metrics.count(AnswerSource::Carried);
        Some(sums)
    }

    fn carried(&self, state: &mut State, request: &Request) -> Option<Sums> {
        let life = Duration::from_secs(self.settings.carried_s_max);
        state.sums.retain(|sums| sums.asked_at.elapsed() < life);
        let index_of = |question: &Question| {
            let fingerprint = question.fingerprint();
            state.sums.iter().position(|sums| sums.fingerprint == fingerprint)
        };
        let indices: Vec<usize> = request.questions.iter().map(index_of).collect::<Option<_>>()?;
        let oldest_seq = indices.iter().filter_map(|index| Some(state.sums.get(*index)?.seq)).min()?;
        // Balance and entries are of one moment.
        let since = self.view.since(&request.account_id, oldest_seq.saturating_add(1), usize::MAX)?;
        let newest_seq = since.balance.seq;
        let records: Option<Vec<_>> = since.records.iter().map(|record| record.decode()).collect();
        let records = records?;
        let mut rows = Vec::with_capacity(indices.len());
        for (index, question) in indices.into_iter().zip(&request.questions) {
            let kept = state.sums.get_mut(index)?;
            let mut sums = kept.open()?;
            if !sums.carry(question, &records, newest_seq) {
                state.sums.clear();
                return None;
            }
            if kept.seq < newest_seq {
                *kept = sums.pack(question)?;
            }
            rows.push(Some(sums.shaped(question)));
        }
        Some(Sums { rows, seq: Some(newest_seq), balance: since.balance })
    }

    /// What ClickHouse said, with what came after it where that is known.
    fn made(
        &self,
        place: &Place,
        request: &Request,
        asked: Asked,
        render: impl FnOnce(Sums) -> Result<Kept, Problem>,
    ) -> Result<Kept, Problem> {
        let mut state = place.lock();
        let sums = match self.carried(&mut state, request) {
            Some(sums) => sums,
            None => self.sums_of(request, asked)?,
        };
        self.render(&mut state, request, sums, render)
    }

    fn sums_of(&self, request: &Request, asked: Asked) -> Result<Sums, Problem> {
        let balance = self.view.balance(&request.account_id);
        let balance = balance.ok_or_else(|| Problem::unavailable(2).with_detail("the account is being reloaded"))?;
        // Known, but not of the balance's own entry: nobody could tell what they agree with.
        let seq = asked.seqs.iter().all(|seq| *seq == Some(balance.seq)).then_some(balance.seq);
        Ok(Sums { rows: shaped(asked.told, &request.questions), seq, balance })
    }

    fn render(
        &self,
        state: &mut State,
        request: &Request,
        sums: Sums,
        render: impl FnOnce(Sums) -> Result<Kept, Problem>,
    ) -> Result<Kept, Problem> {
        let (seq, account_seq) = (sums.seq, sums.balance.seq);
        let kept = Kept { seq, ..render(sums)? };
        let text = Text {
            body: PackedText::of(&kept.body),
            etag: kept.etag.clone(),
            rows: kept.rows,
            seq: kept.seq,
            account_seq,
            quarter: request.quarter,
            names: Arc::clone(&request.names),
            made_at: Instant::now(),
        };
        self.keep(state, &request.key, text);
        Ok(kept)
    }

    fn keep(&self, state: &mut State, key: &str, text: Text) {
        let bytes = text.body.bytes() + state.sums.iter().map(Packed::bytes).sum::<usize>();
        state.text = Some(text);
        self.account_for(key, bytes);
    }

    fn place(&self, key: &str) -> Place {
        let mut places = self.places.lock();
        if let Some(slot) = places.by_key.get_mut(key) {
            slot.is_used = true;
            return Arc::clone(&slot.place);
        }
        let (key, place): (Arc<str>, Place) = (key.into(), Arc::default());
        let cost = key.len() + OVERHEAD_BYTES;
        places.bytes += cost;
        places.order.push_back(Arc::clone(&key));
        places.by_key.insert(key, Slot { place: Arc::clone(&place), bytes: cost, is_used: false });
        self.shrink(&mut places);
        place
    }

    /// What is kept at `key` has so many bytes now.
    fn account_for(&self, key: &str, kept_bytes: usize) {
        let mut places = self.places.lock();
        let Some(slot) = places.by_key.get_mut(key) else { return };
        let now = key.len() + OVERHEAD_BYTES + kept_bytes;
        let before = std::mem::replace(&mut slot.bytes, now);
        places.bytes = places.bytes - before + now;
        self.shrink(&mut places);
    }

    /// Forgets what nobody asked for since it was looked at last, the oldest first, until the bound is kept. Who waits for
    /// one still gets it.
    fn shrink(&self, places: &mut Places) {
        while places.bytes > self.settings.bytes_max {
            let Some(oldest) = places.order.pop_front() else { break };
            let Some(slot) = places.by_key.get_mut(&oldest) else { continue };
            if std::mem::take(&mut slot.is_used) {
                places.order.push_back(oldest);
                continue;
            }
            places.bytes -= slot.bytes;
            places.by_key.remove(&oldest);
        }
        self.metrics.bytes.set(i64::try_from(places.bytes).unwrap_or(i64::MAX));
    }
}

/// What ClickHouse said to each question, as it is answered; `None`: more than may be.
fn shaped(told: Vec<Told>, questions: &[Question]) -> Vec<Option<Vec<UsageRow>>> {
    let shaped = told.into_iter().zip(questions).map(|(told, question)| match told {
        Told::Whole(rows) => Some(question.shape(rows)),
        Told::Shaped(rows) => Some(rows),
        Told::TooMany => None,
    });
    shaped.collect()
}

fn source_of(outcome: &Outcome) -> AnswerSource {
    outcome.as_ref().map_or(AnswerSource::ClickHouse, |asked| asked.source)
}

/// Keeps what ClickHouse said in place of what was kept, if it can be carried forward and is not too large for that.
fn settle(state: &mut State, questions: Vec<Question>, outcome: &Outcome, bytes_max: usize) {
    let Ok(Asked { told, seqs, asked_at, .. }) = outcome else { return };
    let packed = told.iter().zip(seqs).zip(questions).map(|((told, seq), question)| match told {
        Told::Whole(rows) => Carried { asked_at: *asked_at, ..Carried::new(rows, (*seq)?) }.pack(&question),
        Told::Shaped(_) | Told::TooMany => None,
    });
    let Some(packed) = packed.collect::<Option<Vec<Packed>>>() else { return };
    if packed.iter().map(Packed::bytes).sum::<usize>() <= bytes_max {
        state.sums = packed;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
