//! `POST /v1/dead-letters/dismiss`: nothing will be charged for dead letters, by the word of a person.
//!
//! The word stands in the topic behind the letter, where whoever reads letters reads it. Nothing about it is kept here: what
//! the brokers did not acknowledge may be there all the same, and said once more it changes nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use rdkafka::message::{Header, OwnedHeaders};
use serde::Deserialize;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::dead_letters::Letter;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::dead_letter::{LetterId, LetterOutcome, Reason, header};
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::time::{rfc3339, serde_rfc3339_option};

use super::check::Check;
use super::letters::{Answer, Asked, Became, Chosen, Line, choose, ensure_read};
use super::request_id;
use crate::app::{App, now_ms, parse_json};
use crate::produce::{ProduceError, Topic};

/// How long the answer waits for the words to be read back.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(2);

/// Which letters, and why nothing is charged for them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dismissal {
    #[serde(default)]
    note: String,
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default, with = "serde_rfc3339_option")]
    before: Option<i64>,
    #[serde(default)]
    after: Option<i64>,
    #[serde(default)]
    limit: Option<usize>,
}

impl Dismissal {
    fn check(self) -> Result<(Chosen, String), Problem> {
        let Self { note, ids, reason, before, after, limit } = self;
        let mut check = Check::default();
        check.optional_words(Some(&note), "/note");
        let chosen = Asked { ids, reason, before, after, limit }.check(&mut check);
        check.conclude((chosen, note))
    }
}

/// `POST /v1/dead-letters/dismiss`
pub(crate) async fn dismiss(State(app): State<Arc<App>>, request: Request) -> Result<Response<body::Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::DeadLetters)?;
    let request_id = request_id(&request);
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let asked: Dismissal = parse_json(&headers, &body)?;
    let (chosen, note) = asked.check()?;
    ensure_read(&app)?;
    let action = Action::new(&admin, &request_id, "dismiss_dead_letters").resource(chosen.resource().as_deref());
    let dismissed = async { Ok(dismiss_all(&app, &admin, &chosen, &note).await) };
    let answer = app.trail.around(action, dismissed, |_| Told::by_status(200)).await?;
    Ok(Json(answer).into_response())
}

async fn dismiss_all(app: &App, admin: &Principal, chosen: &Chosen, note: &str) -> Answer {
    let (letters, open, mut results) = choose(app, chosen);
    let said = say(app, &letters, |letter| word(&letter.id, note, admin.key_id.as_str())).await;
    results.extend(
        letters
            .iter()
            .zip(said)
            .map(|(letter, is_said)| Line::new(&letter.id, if is_said { Became::Dismissed } else { Became::Pending })),
    );
    Answer::new(&letters, open).of(results)
}

/// The word about a letter, as the meter says its own.
fn word(id: &LetterId, note: &str, key_id: &str) -> OwnedHeaders {
    let (partition, offset, at) = (id.partition.to_string(), id.offset.to_string(), rfc3339(now_ms()));
    let own = [
        (header::OUTCOME, LetterOutcome::Dismissed.code()),
        (header::DETAIL, note),
        (header::SOURCE_TOPIC, &id.topic),
        (header::SOURCE_PARTITION, &partition),
        (header::SOURCE_OFFSET, &offset),
        (header::REDRIVEN_BY, key_id),
        (header::REDRIVEN_AT, &at),
    ];
    own.iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }))
}

/// Writes a word about each letter; which of them the brokers have acknowledged.
async fn say(app: &App, letters: &[Letter], word: impl Fn(&Letter) -> OwnedHeaders) -> Vec<bool> {
    let mut is_said = vec![false; letters.len()];
    if letters.is_empty() {
        return is_said;
    }
    let mut sending = app.producer.begin(Topic::DeadLetter, letters.len());
    for ((index, letter), is_said) in (0_u16..).zip(letters).zip(&mut is_said) {
        // The topic has one partition, and nobody looks for a letter by its key.
        let sent = sending.send(index, letter.id.to_string().as_bytes(), b"", Some(word(letter)));
        *is_said = sent.inspect_err(|error| late(&letter.id, *error)).is_ok();
    }
    let delivered = match sending.finish().await {
        Ok(delivered) => delivered,
        Err(error) => {
            tracing::warn!(%error, "nothing is known of a dismissal");
            return vec![false; letters.len()];
        }
    };
    for (index, code) in delivered.failed {
        let index = usize::from(index);
        if let (Some(is_said), Some(letter)) = (is_said.get_mut(index), letters.get(index)) {
            late(&letter.id, ProduceError::Unacknowledged(code));
            *is_said = false;
        }
    }
    // Whoever asks next is told of it. Where it is read late it is said all the same.
    if is_said.contains(&true) && !app.dead_letters.reached(delivered.offset, READ_BACK_PATIENCE).await {
        tracing::debug!(offset = delivered.offset, "a dismissal is not read back yet");
    }
    is_said
}

fn late(id: &LetterId, error: ProduceError) {
    tracing::warn!(letter = %id, %error, "a dismissal is not acknowledged");
}
