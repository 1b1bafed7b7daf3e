//! Which dead letters a request means, and the answer that says what became of each.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use tollbooth_chassis::dead_letters::{Letter, Selection};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::dead_letter::{LetterId, Reason};
use tollbooth_schemas::time::serde_rfc3339_option;

use super::LATE_RETRY_AFTER_S;
use super::check::Check;
use crate::app::App;

/// Most letters of one request.
const LETTERS_MAX: usize = 200;
const LETTERS_DEFAULT: usize = 100;

/// Which letters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) ids: Option<Vec<String>>,
    #[serde(default)]
    pub(super) reason: Option<Reason>,
    /// Put there before this instant.
    #[serde(default, with = "serde_rfc3339_option")]
    pub(super) before: Option<i64>,
    /// `next_after` of the answer before.
    #[serde(default)]
    pub(super) after: Option<i64>,
    #[serde(default)]
    pub(super) limit: Option<usize>,
}

/// What is meant.
pub(super) enum Chosen {
    Ids(Vec<LetterId>),
    Open(Selection),
}

impl Chosen {
    /// For the audit trail: the one letter, or the reason of which all are meant.
    pub(super) fn resource(&self) -> Option<String> {
        match self {
            Self::Ids(ids) => ids.first().filter(|_| ids.len() == 1).map(LetterId::to_string),
            Self::Open(selection) => selection.reason.map(|reason| reason.code().to_owned()),
        }
    }
}

impl Asked {
    /// What is wrong with it is noted in `check`.
    pub(super) fn check(self, check: &mut Check) -> Chosen {
        let Self { ids, reason, before, after, limit } = self;
        let Some(ids) = ids else {
            check.that(reason.is_some(), "/reason", "say ids, or the reason of which all are meant");
            let limit = limit.unwrap_or(LETTERS_DEFAULT);
            check.that((1..=LETTERS_MAX).contains(&limit), "/limit", &format!("must be 1 to {LETTERS_MAX}"));
            return Chosen::Open(Selection { reason, before_ms: before, after, limit });
        };
        let alone = reason.is_none() && before.is_none() && after.is_none() && limit.is_none();
        check.that(alone, "/ids", "stand alone: leave reason, before, after and limit out");
        check.that((1..=LETTERS_MAX).contains(&ids.len()), "/ids", &format!("must be 1 to {LETTERS_MAX} ids"));
        let mut parsed = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            match id.parse() {
                Ok(id) => parsed.push(id),
                Err(error) => check.that(false, &format!("/ids/{index}"), &format!("{error}")),
            }
        }
        let mut seen = HashSet::new();
        parsed.retain(|id: &LetterId| seen.insert(id.clone()));
        Chosen::Ids(parsed)
    }
}

/// What became of one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Became {
    Posted,
    /// It had been driven again or dismissed before, and is closed.
    Closed,
    Duplicate,
    Stale,
    Refused,
    /// Nobody can say whose it is, or it is no usage: the meter is not asked.
    NotSent,
    /// Nothing will be charged for it.
    Dismissed,
    /// Sent; the meter has not answered, or the brokers have not acknowledged it.
    Pending,
    /// There is no such letter.
    Unknown,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) outcome: Became,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entry_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

impl Line {
    pub(super) fn new(id: &LetterId, outcome: Became) -> Self {
        Self { id: id.to_string(), outcome, account_id: None, entry_id: None, reason: None, detail: None }
    }

    pub(super) fn because(self, reason: &str, detail: &str) -> Self {
        Self { reason: Some(reason.to_owned()), detail: Some(detail.to_owned()), ..self }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Open letters that were chosen, beyond the limit, too.
    open: usize,
    /// By outcome.
    counts: BTreeMap<Became, usize>,
    /// `after` of the next request; absent: all that were chosen have been tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
    results: Vec<Line>,
}

impl Answer {
    /// To a request of which `letters` of so many open ones are tried.
    pub(super) fn new(letters: &[Letter], open: usize) -> Self {
        let next_after = letters.last().map(|last| last.offset).filter(|_| open > letters.len());
        Self { open, counts: BTreeMap::new(), next_after, results: Vec::new() }
    }

    pub(super) fn of(mut self, results: Vec<Line>) -> Self {
        for line in &results {
            *self.counts.entry(line.outcome).or_insert(0) += 1;
        }
        Self { results, ..self }
    }
}

/// Half read, the index would call letters open that are not.
pub(super) fn ensure_read(app: &App) -> Result<(), Problem> {
    if app.dead_letters.is_complete() {
        return Ok(());
    }
    Err(Problem::unavailable(LATE_RETRY_AFTER_S).with_detail("the dead letters are being read"))
}

/// The letters to be tried, how many are open, and what is known of the others.
pub(super) fn choose(app: &App, chosen: &Chosen) -> (Vec<Letter>, usize, Vec<Line>) {
    let ids = match chosen {
        Chosen::Open(selection) => {
            let (letters, open) = app.dead_letters.open(selection);
            return (letters, open, Vec::new());
        }
        Chosen::Ids(ids) => ids,
    };
    let (mut letters, mut known) = (Vec::new(), Vec::new());
    for id in ids {
        match app.dead_letters.letter(id) {
            None => known.push(Line::new(id, Became::Unknown)),
            Some(letter) if letter.is_open() => letters.push(letter),
            Some(letter) => {
                let entry_id = letter.word.map(|word| word.entry_id).filter(|id| !id.is_empty());
                known.push(Line { entry_id, ..Line::new(id, Became::Closed) });
            }
        }
    }
    // In the order in which they came: a failed attempt before the one that succeeded.
    letters.sort_unstable_by_key(|letter| letter.offset);
    let open = letters.len();
    (letters, open, known)
}
