//! Applying a re-pricing, and taking it back: some charges a request, until there are no more.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::join_all;
use serde::Deserialize;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::repricing::{RepricedAccount, RepricingDocument, RepricingState};
use tollbooth_schemas::v1::{self, Reprice, command, reply::Outcome};

use super::answers::{Became, LineBody, RunBody};
use super::plan::{Book, Change, undoing};
use super::read::{Period, Reader};
use super::{ENTRIES_MAX, book, found, plan_of, publish};
use crate::app::{App, parse_json};
use crate::commands::check::Check;
use crate::commands::{Order, ask_meter, request_id};

/// Most charges of one request.
const CHARGES_MAX: usize = 500;
const CHARGES_DEFAULT: usize = 200;

/// The body of both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// That of the preview: what is applied is what was seen.
    digest: String,
    #[serde(default)]
    limit: Option<usize>,
    /// `next_after` of the answer before.
    #[serde(default)]
    after: Option<String>,
}

/// Account and entry behind which a run goes on.
type After = (String, u64);

impl Asked {
    fn check(&self) -> Result<(usize, Option<After>), Problem> {
        let mut check = Check::default();
        let limit = self.limit.unwrap_or(CHARGES_DEFAULT);
        check.that((1..=CHARGES_MAX).contains(&limit), "/limit", &format!("must be 1 to {CHARGES_MAX}"));
        let after = self.after.as_ref().map(|text| {
            let (account_id, seq) = text.split_once('/')?;
            Some((account_id.to_owned(), seq.parse().ok()?))
        });
        check.that(after != Some(None), "/after", "must be next_after of the answer before");
        check.conclude((limit, after.flatten()))
    }
}

pub(super) async fn run(
    app: &App,
    repricing_id: &str,
    request: Request,
    to: RepricingState,
) -> Result<Response<Body>, Problem> {
    let admin = app.admin(request.headers(), Scope::Money)?;
    let request_id = request_id(&request);
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let asked: Asked = parse_json(&headers, &body)?;
    let (limit, after) = asked.check()?;
    let document = found(app, repricing_id)?;
    ensure_can(&document, &asked, to)?;
    let name = if to == RepricingState::Undoing { "undo_repricing" } else { "apply_repricing" };
    let action = Action::new(&admin, &request_id, name).resource(Some(repricing_id));
    let done = async {
        let become_state = async |state: RepricingState| {
            let is_new = app.repricings.get(repricing_id).is_some_and(|document| document.state != state);
            if is_new { publish(app, &RepricingDocument { state, ..(*document).clone() }).await } else { Ok(()) }
        };
        // Once it was tried to its end, trying again posts nothing that was not left open.
        if !(document.state == RepricingState::Applied && to == RepricingState::Applying) {
            become_state(to).await?;
        }
        let answer = carry_out(app, &admin, &document, to, limit, after).await?;
        let is_over = answer.next_after.is_none() && !answer.counts.contains_key(&Became::Pending);
        if is_over && to == RepricingState::Applying {
            become_state(RepricingState::Applied).await?;
        }
        Ok(answer)
    };
    let answer = app.trail.around(action, done, |_| Told::by_status(200)).await?;
    Ok(Json(answer).into_response())
}

fn ensure_can(document: &RepricingDocument, asked: &Asked, to: RepricingState) -> Result<(), Problem> {
    if asked.digest != document.digest {
        let title = "The preview was another one";
        let detail = "the digest is not that of this re-pricing: look at its preview again";
        return Err(Problem::new("preview_differs", StatusCode::CONFLICT, title).with_detail(detail));
    }
    match (document.state, to) {
        (RepricingState::Undoing, RepricingState::Applying) => {
            Err(Problem::conflict("the re-pricing is being taken back: preview another one"))
        }
        (RepricingState::Previewed, RepricingState::Undoing) => {
            Err(Problem::conflict("the re-pricing was not applied: there is nothing to take back"))
        }
        _ => Ok(()),
    }
}

async fn carry_out(
    app: &App,
    admin: &Principal,
    document: &RepricingDocument,
    to: RepricingState,
    limit: usize,
    after: Option<After>,
) -> Result<RunBody, Problem> {
    let (mut results, mut counts) = (Vec::new(), BTreeMap::new());
    let (mut room, mut next_after) = (limit, None);
    for account in &document.accounts {
        let account_id = account.account_id.as_str();
        let behind = match &after {
            Some((before, _)) if account_id < before.as_str() => continue,
            Some((same, seq)) if same == account_id => *seq,
            _ => 0,
        };
        let mut changes = changes_of(app, document, account, to).await?;
        changes.retain(|change| change.seq > behind);
        let cut = changes.len() > room;
        changes.truncate(room);
        room = room.saturating_sub(changes.len());
        let commands = changes.iter().map(|change| {
            let command = change.command(&document.repricing_id, to == RepricingState::Undoing);
            send(app, admin, &account.account_id, command)
        });
        for line in join_all(commands).await {
            let line = line?;
            *counts.entry(line.outcome).or_insert(0) += 1;
            if line.outcome.is_told() {
                results.push(line);
            }
        }
        if cut || room == 0 {
            let last = changes.last().map_or(behind, |change| change.seq);
            next_after = Some(format!("{account_id}/{last}"));
            break;
        }
    }
    Ok(RunBody { repricing_id: document.repricing_id.clone(), counts, next_after, results })
}

async fn changes_of(
    app: &App,
    document: &RepricingDocument,
    account: &RepricedAccount,
    to: RepricingState,
) -> Result<Vec<Change>, Problem> {
    let period = Period { from_ms: document.from_ms, to_ms: document.to_ms };
    let account_id = account.account_id.as_str();
    if to == RepricingState::Undoing {
        let entries = Reader(&app.charges).entries(account_id, period, u64::MAX, 4 * ENTRIES_MAX).await?;
        return Ok(undoing(&entries, &document.repricing_id));
    }
    let (books, currency) = book(app, document.price_version)?;
    let book = Book { books: &books, version: document.price_version, currency: &currency };
    let plan = plan_of(app, account_id, period, account.as_of_seq, book).await?;
    if plan.digest() != account.digest {
        // The entries never change: a projection that is being filled anew has not all of them.
        let detail = format!("the charges of {account_id} are not those that were seen: is ClickHouse being filled?");
        return Err(Problem::unavailable(super::super::LATE_RETRY_AFTER_S).with_detail(detail));
    }
    Ok(plan.changes)
}

/// One charge. What was not acknowledged may be there all the same: sent again, nothing is posted twice.
async fn send(app: &App, admin: &Principal, account_id: &AccountId, command: Reprice) -> Result<LineBody, Problem> {
    let (seq, idempotency_key) = (command.seq, command.idempotency_key());
    let order = Order {
        account_id,
        idempotency_key: &idempotency_key,
        body_hash: command.body_hash(),
        actor: admin.key_id.as_str(),
        body: command::Body::Reprice(command),
    };
    let reply = match ask_meter(app, order).await {
        Ok(reply) => reply,
        Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => None,
        Err(problem) => return Err(problem),
    };
    let line = |outcome| LineBody::new(entry_id(account_id.as_str(), seq), outcome);
    Ok(match reply.and_then(|reply: v1::Reply| reply.outcome) {
        Some(Outcome::Accepted(accepted)) if accepted.replayed => line(Became::AlreadyPosted),
        Some(Outcome::Accepted(_)) => line(Became::Posted),
        Some(Outcome::Rejected(why)) if why.status >= 500 => line(Became::Pending).because(&why),
        Some(Outcome::Rejected(why)) => line(Became::LeftOut).because(&why),
        None => line(Became::Pending),
    })
}
