//! `GET /v1/dead-letters` and `GET /v1/dead-letters/{letter_id}`: what could not be charged, for an admin.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tollbooth_chassis::dead_letters::{Whole, Word};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::dead_letter::{LetterOutcome, Reason, header};
use utoipa::ToSchema;

use super::parties::limit;
use super::{Api, Timer, private};
use crate::activity::LIMIT_MAX;
use crate::cursor::List;
use crate::dead_letters::{DeadLetter, Shown};
use crate::metrics::Endpoint;
use crate::openapi::{AdminProblems, LetterPath, ProblemBody};
use crate::params::ParameterKind::{Choice, Number, Text};
use crate::params::{Parameter, Params, bad_parameter, parameters};

parameters! {
    /// Of this route.
    DeadLettersParams = &[
        Parameter {
            name: "reason",
            kind: Choice(|| Reason::ALL.iter().map(|reason| reason.code()).collect()),
            about: "Only those that are there for this reason.",
        },
        Parameter {
            name: "state",
            kind: Choice(|| vec![OPEN, CLOSED]),
            about: "Only open ones, or only those that are closed: posted when they were driven again, found posted, or dismissed.",
        },
        Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
        Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same `reason` and `state`." },
    ]
}

parameters! {
    /// Of one letter.
    LetterParams = &[]
}

const OPEN: &str = "open";
const CLOSED: &str = "closed";

/// A page of dead letters, newest first. It may be short, even empty, and have more behind it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetters)]
struct DeadLettersBody {
    data: Vec<LetterBody>,
    /// Whether older ones may follow.
    has_more: bool,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// A record that could not be charged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct LetterBody {
    /// Of the record: source topic, partition and offset.
    id: String,
    /// Code of why.
    reason: String,
    /// Where it was found: `decode`, `apply`.
    step: String,
    /// What is wrong, for a person.
    detail: String,
    source: LetterSource,
    /// When it was put there, RFC 3339.
    at: String,
    /// The record's key: the account, where it is right.
    key: String,
    /// The record's bytes as text (of a list the first 16 KiB of them, of one letter all that is kept, up to 512 KiB);
    /// null where they are none.
    payload_text: Option<String>,
    /// The same in base64.
    payload_base64: String,
    /// How many bytes the record has.
    payload_bytes: u64,
    state: LetterState,
    /// What became of it when it was last driven again or dismissed; null: neither ever was.
    redrive: Option<RedriveBody>,
}

/// Whether something is left to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeadLetterState)]
enum LetterState {
    Open,
    Closed,
}

/// How driving it again ended, or that it was dismissed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterRedrive)]
struct RedriveBody {
    /// `posted`, `duplicate`, `stale`, `dismissed`, or `refused`: then it is still open.
    outcome: &'static str,
    /// Code of why it was refused.
    reason: Option<String>,
    /// The same, for a person.
    detail: Option<String>,
    /// Why it was dismissed, in the words of whoever did it.
    note: Option<String>,
    /// Id of the API key that asked for it.
    by: String,
    /// When it was decided, RFC 3339.
    at: String,
    /// The entry that it became.
    entry_id: Option<String>,
}

impl From<Word> for RedriveBody {
    fn from(word: Word) -> Self {
        let named = |text: String| (!text.is_empty()).then_some(text);
        let is_dismissed = word.outcome == LetterOutcome::Dismissed;
        let (detail, note) = if is_dismissed { (None, named(word.detail)) } else { (named(word.detail), None) };
        Self {
            outcome: word.outcome.code(),
            reason: named(word.reason),
            detail,
            note,
            by: word.by,
            at: word.at,
            entry_id: named(word.entry_id),
        }
    }
}

/// A dead letter with everything that is kept of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeDeadLetter)]
struct WholeBody {
    #[serde(flatten)]
    letter: LetterBody,
    /// When the brokers first had the record, RFC 3339: its age is judged by that, also when it is driven again.
    received_at: String,
    /// The record's own headers, those of the letter left out.
    headers: Vec<HeaderBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterHeader)]
struct HeaderBody {
    name: String,
    value: String,
}

impl WholeBody {
    fn new(letter: DeadLetter, whole: &Whole) -> Self {
        let own = whole.headers.iter().filter(|(name, _)| !name.starts_with(LETTER_HEADERS));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Self {
            letter: letter.into(),
            received_at: whole.header(header::RECEIVED_AT).unwrap_or_default().to_owned(),
            headers: own.map(|(name, value)| HeaderBody { name: name.clone(), value: text(value) }).collect(),
        }
    }
}

/// What the meter put there begins with this.
const LETTER_HEADERS: &str = "tollbooth-";

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterSource)]
struct LetterSource {
    topic: String,
    partition: i64,
    offset: i64,
}

impl From<DeadLetter> for LetterBody {
    fn from(letter: DeadLetter) -> Self {
        let state = if letter.is_open() { LetterState::Open } else { LetterState::Closed };
        let (topic, partition, offset) = (letter.source_topic, letter.source_partition, letter.source_offset);
        Self {
            id: format!("{topic}-{partition}-{offset}"),
            reason: letter.reason,
            step: letter.step,
            detail: letter.detail,
            source: LetterSource { topic, partition, offset },
            at: letter.dead_at,
            key: letter.key,
            payload_base64: STANDARD.encode(&letter.payload),
            payload_text: String::from_utf8(letter.payload).ok(),
            payload_bytes: letter.payload_bytes,
            state,
            redrive: letter.word.map(RedriveBody::from),
        }
    }
}

/// Dead letters, newest first
///
/// Read from the end of their topic.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    operation_id = "list_dead_letters",
    tag = "Fleet",
    params(DeadLettersParams),
    responses((status = 200, description = "A page", body = DeadLettersBody), AdminProblems),
    security(("key" = []))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::DeadLetters);
    let params = Params::parse(&uri, DeadLettersParams::GROUPS)?;
    api.access.read_all(&headers)?;
    let code = params.one("reason")?;
    let reason =
        code.map(|code| Reason::from_code(code).ok_or_else(|| bad_parameter("reason", "is not one of the list")));
    let reason = reason.transpose()?;
    let state = params.one("state")?;
    let is_open = match state {
        None => None,
        Some(OPEN) => Some(true),
        Some(CLOSED) => Some(false),
        Some(_) => return Err(bad_parameter("state", "is open or closed")),
    };
    let list = List::of(&["dead-letters", code.unwrap_or_default(), state.unwrap_or_default()]);
    let below = params.one("cursor")?.map(|cursor| list.position(cursor)).transpose()?;
    let below = below.map(|below| below.parse().map_err(|_| Problem::bad_cursor("is not a cursor of this API")));
    let page = api.dead_letters.page(Shown { reason, is_open }, below.transpose()?, limit(&params)?).await?;
    let next_cursor = page.below.map(|below| list.cursor(&below.to_string()));
    let data: Vec<LetterBody> = page.letters.into_iter().map(LetterBody::from).collect();
    timer.done(data.len());
    private(&DeadLettersBody { data, has_more: next_cursor.is_some(), next_cursor })
}

/// One dead letter, whole
///
/// With the record's own bytes and headers, and what became of it.
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{letter_id}",
    operation_id = "get_dead_letter",
    tag = "Fleet",
    params(LetterPath, LetterParams),
    responses(
        (status = 200, description = "The letter", body = WholeBody),
        (status = 404, description = "There is none", body = ProblemBody, content_type = "application/problem+json"),
        AdminProblems,
    ),
    security(("key" = []))
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let timer = Timer::start(&api.metrics, Endpoint::DeadLetter);
    Params::parse(&uri, LetterParams::GROUPS)?;
    api.access.read_all(&headers)?;
    let id = id.parse().map_err(|error| Problem::not_found(format!("the id {error}")))?;
    let found = api.dead_letters.letter(id).await?;
    let (letter, whole) = found.ok_or_else(|| Problem::not_found("no such dead letter"))?;
    timer.done(1);
    private(&WholeBody::new(letter, &whole))
}
