//! `POST /v1/dead-letters/redrive`: dead letters are judged once more, one, some, or all of a reason.
//!
//! Each becomes a command of its own to the account that it is about, under a key that only its source decides. Nothing
//! about it is kept here: asked twice, by two people, or of two processes, the meter posts it once and says so again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::dead_letters::{Letter, Selection, Whole};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::dead_letter::{LetterId, Reason, RedriveOutcome, header};
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::redrive;
use tollbooth_schemas::time::{parse_rfc3339_ms, serde_rfc3339_option};
use tollbooth_schemas::topics::without_generation;
use tollbooth_schemas::v1::{self, LetterHeader, RedriveLetter, command::Body, reply::Outcome};

use super::check::Check;
use super::{LATE_RETRY_AFTER_S, Order, ask_meter, request_id};
use crate::app::{App, parse_json};

/// Most letters of one request.
const LETTERS_MAX: usize = 200;
const LETTERS_DEFAULT: usize = 100;
const FETCH_PATIENCE: Duration = Duration::from_secs(5);

/// Which letters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(default)]
    reason: Option<Reason>,
    /// Put there before this instant.
    #[serde(default, with = "serde_rfc3339_option")]
    before: Option<i64>,
    /// `next_after` of the answer before.
    #[serde(default)]
    after: Option<i64>,
    #[serde(default)]
    limit: Option<usize>,
}

/// What is to be driven again.
enum Chosen {
    Ids(Vec<LetterId>),
    Open(Selection),
}

impl Chosen {
    /// For the audit trail: the one letter, or the reason of which all are meant.
    fn resource(&self) -> Option<String> {
        match self {
            Self::Ids(ids) => ids.first().filter(|_| ids.len() == 1).map(LetterId::to_string),
            Self::Open(selection) => selection.reason.map(|reason| reason.code().to_owned()),
        }
    }
}

impl Asked {
    fn check(self) -> Result<Chosen, Problem> {
        let Self { ids, reason, before, after, limit } = self;
        let mut check = Check::default();
        let Some(ids) = ids else {
            check.that(reason.is_some(), "/reason", "say ids, or the reason of which all are meant");
            let limit = limit.unwrap_or(LETTERS_DEFAULT);
            check.that((1..=LETTERS_MAX).contains(&limit), "/limit", &format!("must be 1 to {LETTERS_MAX}"));
            return check.conclude(Chosen::Open(Selection { reason, before_ms: before, after, limit }));
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
        check.conclude(Chosen::Ids(parsed))
    }
}

/// What became of one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    Posted,
    /// It had been driven again before, and is closed.
    Closed,
    Duplicate,
    Stale,
    Refused,
    /// Nobody can say whose it is, or it is no usage: the meter is not asked.
    NotSent,
    /// Sent; the meter has not answered yet.
    Pending,
    /// There is no such letter.
    Unknown,
}

#[derive(Debug, Serialize)]
struct Line {
    id: String,
    outcome: Became,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Line {
    fn new(id: &LetterId, outcome: Became) -> Self {
        Self { id: id.to_string(), outcome, account_id: None, entry_id: None, reason: None, detail: None }
    }

    fn because(self, reason: &str, detail: &str) -> Self {
        Self { reason: Some(reason.to_owned()), detail: Some(detail.to_owned()), ..self }
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    /// Open letters that were chosen, beyond the limit, too.
    open: usize,
    /// By outcome.
    counts: BTreeMap<Became, usize>,
    /// `after` of the next request; absent: all that were chosen have been tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
    results: Vec<Line>,
}

/// `POST /v1/dead-letters/redrive`
pub(crate) async fn redrive(State(app): State<Arc<App>>, request: Request) -> Result<Response<body::Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::DeadLetters)?;
    let request_id = request_id(&request);
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let asked: Asked = parse_json(&headers, &body)?;
    let chosen = asked.check()?;
    if !app.dead_letters.is_complete() {
        return Err(Problem::unavailable(LATE_RETRY_AFTER_S).with_detail("the dead letters are being read"));
    }
    let action = Action::new(&admin, &request_id, "redrive_dead_letters").resource(chosen.resource().as_deref());
    let answer = app.trail.around(action, drive_all(&app, &admin, &chosen), |_| Told::by_status(200)).await?;
    Ok(Json(answer).into_response())
}

async fn drive_all(app: &App, admin: &Principal, chosen: &Chosen) -> Result<Answer, Problem> {
    let (letters, open, mut results) = choose(app, chosen);
    let next_after = letters.last().map(|last| last.offset).filter(|_| open > letters.len());
    let wholes = fetch(app, &letters).await?;
    let tried = letters.iter().map(|letter| {
        let whole = wholes.iter().find(|whole| whole.offset == letter.offset);
        drive(app, admin, letter, whole)
    });
    for line in join_all(tried).await {
        results.push(line?);
    }
    let mut counts = BTreeMap::new();
    for line in &results {
        *counts.entry(line.outcome).or_insert(0) += 1;
    }
    Ok(Answer { open, counts, next_after, results })
}

/// The letters to be tried, how many are open, and what is known of the others.
fn choose(app: &App, chosen: &Chosen) -> (Vec<Letter>, usize, Vec<Line>) {
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
                let entry_id = letter.redriven.map(|redriven| redriven.entry_id).filter(|id| !id.is_empty());
                known.push(Line { entry_id, ..Line::new(id, Became::Closed) });
            }
        }
    }
    // In the order in which they came: a failed attempt before the one that succeeded.
    letters.sort_unstable_by_key(|letter| letter.offset);
    let open = letters.len();
    (letters, open, known)
}

async fn fetch(app: &App, letters: &[Letter]) -> Result<Vec<Whole>, Problem> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let (reader, offsets) = (app.dead_letters.clone(), letters.iter().map(|letter| letter.offset).collect::<Vec<_>>());
    let read = tokio::task::spawn_blocking(move || reader.fetch(&offsets, FETCH_PATIENCE)).await;
    read.map_err(Problem::internal)?.map_err(|error| {
        tracing::warn!(%error, "dead letters cannot be read");
        Problem::unavailable(LATE_RETRY_AFTER_S).with_detail("dead letters cannot be read at the moment")
    })
}

/// One letter: its command is sent, and answered.
async fn drive(app: &App, admin: &Principal, letter: &Letter, whole: Option<&Whole>) -> Result<Line, Problem> {
    let Some(whole) = whole else { return Ok(Line::new(&letter.id, Became::Unknown)) };
    let (account_id, command) = match command_of(app, letter, whole) {
        Ok(command) => command,
        Err((reason, detail)) => return Ok(Line::new(&letter.id, Became::NotSent).because(reason, &detail)),
    };
    let idempotency_key = redrive::idempotency_key(&letter.id);
    let order = Order {
        account_id: &account_id,
        idempotency_key: &idempotency_key,
        body_hash: command.body_hash(),
        actor: admin.key_id.as_str(),
        body: Body::RedriveLetter(command),
    };
    // What was not acknowledged may be there all the same: asked again, nothing is posted twice.
    let line = match ask_meter(app, order).await {
        Ok(Some(reply)) => line_of(&letter.id, &account_id, reply),
        Ok(None) => Line::new(&letter.id, Became::Pending),
        Err(problem) if problem.status().as_u16() == 503 => Line::new(&letter.id, Became::Pending),
        Err(problem) => return Err(problem),
    };
    Ok(Line { account_id: Some(account_id.to_string()), ..line })
}

type NotSent = (&'static str, String);

/// The command for a letter, and whose it is; or why nobody can be asked.
fn command_of(app: &App, letter: &Letter, whole: &Whole) -> Result<(AccountId, RedriveLetter), NotSent> {
    if without_generation(&letter.id.topic).0 != app.config.topic_set().usage() {
        let detail = "it was a command: whoever sent it was answered, and sends it again";
        return Err(("not_usage", detail.to_owned()));
    }
    if whole.header(header::ORIGINAL_BYTES).is_some() {
        return Err(("cut", "only the beginning of the record is kept".to_owned()));
    }
    let received_at_ms = whole.header(header::RECEIVED_AT).and_then(parse_rfc3339_ms);
    let telling = whole.headers.iter().filter(|(name, _)| redrive::is_telling(name));
    let command = RedriveLetter {
        source: Some(v1::LetterSource::from(&letter.id)),
        // A record without a time was judged by that of the meter.
        received_at_ms: received_at_ms.unwrap_or(letter.dead_at_ms),
        payload: whole.payload.clone(),
        headers: telling.map(|(name, value)| LetterHeader { name: name.clone(), value: value.clone() }).collect(),
    };
    let account_id = {
        let event = command.event().map_err(|error| (Reason::Malformed.code(), error.to_string()))?;
        if event.account_id.as_bytes() != whole.key {
            let detail =
                format!("its key is not {}, the account it is about: nobody can say who pays", &*event.account_id);
            return Err((Reason::WrongPartition.code(), detail));
        }
        event.account_id.parse::<AccountId>().map_err(|error| (Reason::Malformed.code(), error.to_string()))?
    };
    Ok((account_id, command))
}

fn line_of(id: &LetterId, account_id: &AccountId, reply: v1::Reply) -> Line {
    match reply.outcome {
        Some(Outcome::Accepted(accepted)) => {
            let became = if accepted.replayed { Became::Closed } else { Became::Posted };
            Line { entry_id: Some(entry_id(account_id.as_str(), accepted.seq)), ..Line::new(id, became) }
        }
        Some(Outcome::Rejected(why)) => match RedriveOutcome::from_code(&why.code) {
            Some(RedriveOutcome::Duplicate) => Line::new(id, Became::Duplicate),
            Some(RedriveOutcome::Stale) => Line::new(id, Became::Stale),
            _ => Line::new(id, Became::Refused).because(&why.code, &why.detail),
        },
        None => Line::new(id, Became::Pending),
    }
}
