//! `POST /v1/dead-letters/redrive`: dead letters are judged once more, one, some, or all of a reason.
//!
//! Each becomes a command of its own to the account that it is about, under a key that only its source decides. Nothing
//! about it is kept here: asked twice, by two people, or of two processes, the meter posts it once and says so again.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::dead_letters::{Letter, Whole};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::dead_letter::{LetterId, LetterOutcome, Reason, header};
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::redrive;
use tollbooth_schemas::time::parse_rfc3339_ms;
use tollbooth_schemas::topics::without_generation;
use tollbooth_schemas::v1::{self, LetterHeader, RedriveLetter, command::Body, reply::Outcome};

use super::check::Check;
use super::letters::{Answer, Asked, Became, Chosen, Line, choose, ensure_read};
use super::{LATE_RETRY_AFTER_S, Order, ask_meter, request_id};
use crate::app::{App, parse_json};

const FETCH_PATIENCE: Duration = Duration::from_secs(5);

/// `POST /v1/dead-letters/redrive`
pub(crate) async fn redrive(State(app): State<Arc<App>>, request: Request) -> Result<Response<body::Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::DeadLetters)?;
    let request_id = request_id(&request);
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let asked: Asked = parse_json(&headers, &body)?;
    let mut check = Check::default();
    let chosen = asked.check(&mut check);
    let chosen = check.conclude(chosen)?;
    ensure_read(app.as_ref())?;
    let action = Action::new(&admin, &request_id, "redrive_dead_letters").resource(chosen.resource().as_deref());
    let answer = app.trail.around(action, drive_all(&app, &admin, &chosen), |_| Told::by_status(200)).await?;
    Ok(Json(answer).into_response())
}

async fn drive_all(app: &App, admin: &Principal, chosen: &Chosen) -> Result<Answer, Problem> {
    let (letters, open, mut results) = choose(app, chosen);
    let answer = Answer::new(&letters, open);
    let wholes = fetch(app, &letters).await?;
    let tried = letters.iter().map(|letter| {
        let whole = wholes.iter().find(|whole| whole.offset == letter.offset);
        drive(app, admin, letter, whole)
    });
    for line in join_all(tried).await {
        results.push(line?);
    }
    Ok(answer.of(results))
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
        Some(Outcome::Rejected(why)) => match LetterOutcome::from_code(&why.code) {
            Some(LetterOutcome::Duplicate) => Line::new(id, Became::Duplicate),
            Some(LetterOutcome::Stale) => Line::new(id, Became::Stale),
            _ => Line::new(id, Became::Refused).because(&why.code, &why.detail),
        },
        None => Line::new(id, Became::Pending),
    }
}
