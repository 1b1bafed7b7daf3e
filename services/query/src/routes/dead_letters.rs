//! `GET /v1/dead-letters`: what could not be charged, for an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::dead_letter::Reason;
use utoipa::ToSchema;

use super::parties::limit;
use super::{Api, Timer, private};
use crate::activity::LIMIT_MAX;
use crate::cursor::List;
use crate::dead_letters::DeadLetter;
use crate::metrics::Endpoint;
use crate::openapi::AdminProblems;
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
        Parameter { name: "limit", kind: Number(1, LIMIT_MAX as u64), about: "Most rows of the page; by default 50." },
        Parameter { name: "cursor", kind: Text, about: "`next_cursor` of the page before, with the same `reason`." },
    ]
}

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
    /// The record's bytes, the first 16 KiB of them, as text; null where they are none.
    payload_text: Option<String>,
    /// The same in base64.
    payload_base64: String,
    /// How many bytes the record has.
    payload_bytes: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterSource)]
struct LetterSource {
    topic: String,
    partition: i64,
    offset: i64,
}

impl From<DeadLetter> for LetterBody {
    fn from(letter: DeadLetter) -> Self {
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
    let list = List::of(&["dead-letters", code.unwrap_or_default()]);
    let below = params.one("cursor")?.map(|cursor| list.position(cursor)).transpose()?;
    let below = below.map(|below| below.parse().map_err(|_| Problem::bad_cursor("is not a cursor of this API")));
    let page = api.dead_letters.page(reason, below.transpose()?, limit(&params)?).await?;
    let next_cursor = page.below.map(|below| list.cursor(&below.to_string()));
    let data: Vec<LetterBody> = page.letters.into_iter().map(LetterBody::from).collect();
    timer.done(data.len());
    private(&DeadLettersBody { data, has_more: next_cursor.is_some(), next_cursor })
}
