//! Applying a re-pricing, and taking it back: some charges a request, until there are no more.
//!
//! A request ends where its time does, at the first charge that was not answered, or at its limit; `next_after` says how
//! far everything was. Whoever goes on there, or begins anew, leaves nothing out and posts nothing twice.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::crashpoint;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::repricing::{RepricedAccount, RepricingDocument, RepricingState, question_key};
use tollbooth_schemas::v1::{self, PostPurchase, PreparePurchase, PurchaseSource, Reprice, command, reply::Outcome};

use super::answers::{Became, LineBody, RunBody};
use super::place::{Place, begun, ended};
use super::plan::{Book, Change, undoing};
use super::read::{Period, Reader};
use super::{ANSWER, ENTRIES_MAX, LATE_RETRY_AFTER_S, book, found, plan_of, publish};
use crate::app::{App, parse_json};
use crate::commands::check::Check;
use crate::commands::{Order, ask_meter, request_id};

/// Most charges of one request.
const CHARGES_MAX: usize = 500;
const CHARGES_DEFAULT: usize = 200;
/// Most charges of a period that were made anew: each once by this re-pricing and once back, and as many by others.
const UNDO_ENTRIES_MAX: usize = 4 * ENTRIES_MAX;
/// Between two looks whether ClickHouse has the newest entry.
const BEHIND_PAUSE: Duration = Duration::from_millis(100);

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

impl Asked {
    fn check(&self) -> Result<(usize, Option<Place>), Problem> {
        let mut check = Check::default();
        let limit = self.limit.unwrap_or(CHARGES_DEFAULT);
        check.that((1..=CHARGES_MAX).contains(&limit), "/limit", &format!("must be 1 to {CHARGES_MAX}"));
        let after = self.after.as_ref().map(|text| text.parse::<Place>().ok());
        check.that(after != Some(None), "/after", "must be next_after of the answer before");
        check.conclude((limit, after.flatten()))
    }
}

/// One request.
struct Run<'a> {
    app: &'a App,
    admin: &'a Principal,
    document: &'a RepricingDocument,
    to: RepricingState,
    /// What is not answered then is pending.
    until: Instant,
}

pub(super) async fn run(
    app: &App,
    repricing_id: &str,
    request: Request,
    to: RepricingState,
) -> Result<Response<Body>, Problem> {
    let until = Instant::now() + Duration::from_millis(app.config.http.request_timeout_ms).saturating_sub(ANSWER);
    let admin = app.admin(request.headers(), Scope::Money)?;
    let request_id = request_id(&request);
    let (headers, body, _admitted) = app.admit(&admin, request).await?;
    let asked: Asked = parse_json(&headers, &body)?;
    let (limit, after) = asked.check()?;
    let _turn = app.repricings.turn()?;
    let document = found(app, repricing_id)?;
    ensure_can(&document, &asked, to)?;
    let name = if to == RepricingState::Undoing { "undo_repricing" } else { "apply_repricing" };
    let action = Action::new(&admin, &request_id, name).resource(Some(repricing_id));
    let done = async {
        if let Some(begun) = begun(&document, to) {
            publish(app, &begun).await?;
        }
        let run = Run { app, admin: &admin, document: &document, to, until };
        let (answer, next_after) = run.carry_out(limit, after.as_ref()).await?;
        if answer.has_any() {
            crashpoint::hit("ingest.repricing_chunk");
        }
        note_how_far(app, repricing_id, (to, after.as_ref(), next_after.as_ref()), until).await;
        Ok(answer)
    };
    let answer = app.trail.around(action, done, |_| Told::by_status(200)).await?;
    let mut response = Json(&answer).into_response();
    if answer.is_pending() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(LATE_RETRY_AFTER_S));
    }
    Ok(response)
}

/// The answer says how far it is whether this can be written or not.
async fn note_how_far(
    app: &App,
    repricing_id: &str,
    (to, after, next_after): (RepricingState, Option<&Place>, Option<&Place>),
    until: Instant,
) {
    let Some(document) = app.repricings.get(repricing_id) else { return };
    let Some(ended) = ended(&document, to, after, next_after) else { return };
    match timeout_at(until + ANSWER / 2, publish(app, &ended)).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => tracing::warn!(repricing_id, problem = problem.code(), "how far it is was not written"),
        Err(_) => tracing::warn!(repricing_id, "how far it is was not written in time"),
    }
}

fn ensure_can(document: &RepricingDocument, asked: &Asked, to: RepricingState) -> Result<(), Problem> {
    if asked.digest != document.digest {
        let title = "The preview was another one";
        let detail = "the digest is not that of this re-pricing: look at its preview again";
        return Err(Problem::new("preview_differs", StatusCode::CONFLICT, title).with_detail(detail));
    }
    match (document.state, to) {
        (RepricingState::Undoing | RepricingState::Undone, RepricingState::Applying) => Err(is_taken_back()),
        (RepricingState::Previewed, RepricingState::Undoing) => {
            Err(Problem::conflict("the re-pricing was not applied: there is nothing to take back"))
        }
        _ => Ok(()),
    }
}

fn is_taken_back() -> Problem {
    Problem::conflict("the re-pricing is being taken back: preview another one")
}

impl Run<'_> {
    /// The answer, and the place up to which everything was answered where that is not the end.
    async fn carry_out(&self, limit: usize, after: Option<&Place>) -> Result<(RunBody, Option<Place>), Problem> {
        let mut answer = RunBody::new(&self.document.repricing_id);
        let (mut room, mut place) = (limit, after.cloned());
        let mut is_first = true;
        for account in &self.document.accounts {
            let account_id = account.account_id.as_str();
            let Some(behind) = Place::behind(after, account_id) else { continue };
            if room == 0 || (!is_first && !self.has_time()) {
                return Ok(stopped(answer, place));
            }
            is_first = false;
            let mut changes = match self.changes_of(account).await {
                Ok(changes) => changes,
                // What was done is told, and the next request hears why it goes no further.
                Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE && answer.has_any() => {
                    return Ok(stopped(answer, place));
                }
                Err(problem) => return Err(problem),
            };
            changes.retain(|change| change.seq > behind);
            let is_cut = changes.len() > room;
            changes.truncate(room);
            room = room.saturating_sub(changes.len());
            let lines = join_all(changes.iter().map(|change| self.send(&account.account_id, change))).await;
            let (mut up_to, mut is_answered) = (behind, true);
            for (change, line) in changes.iter().zip(lines) {
                let line = line?;
                is_answered &= line.outcome != Became::Pending;
                up_to = if is_answered { change.seq } else { up_to };
                answer.add(line);
            }
            place = Some(Place::new(account_id, up_to));
            if is_cut || !is_answered {
                return Ok(stopped(answer, place));
            }
        }
        Ok((answer, None))
    }

    /// For looking at another account, and for its commands.
    fn has_time(&self) -> bool {
        let needed = self.app.config.lookup_timeout() * 2 + ANSWER;
        Instant::now() + needed < self.until
    }

    async fn changes_of(&self, account: &RepricedAccount) -> Result<Vec<Change>, Problem> {
        if self.to == RepricingState::Undoing {
            return self.undoing(account).await;
        }
        let Self { app, document, .. } = self;
        let state = app.repricings.get(&document.repricing_id).map(|document| document.state);
        if matches!(state, Some(RepricingState::Undoing | RepricingState::Undone)) {
            return Err(is_taken_back());
        }
        let (books, currency) = book(app, document.price_version)?;
        let book = Book { books: &books, version: document.price_version, currency: &currency };
        let account_id = account.account_id.as_str();
        let plan = plan_of(app, account_id, self.period(), account.as_of_seq, book).await?;
        if plan.digest() != account.digest {
            // The entries never change: a projection that is being filled anew has not all of them.
            let detail =
                format!("the charges of {account_id} are not those that were seen: is ClickHouse being filled?");
            return Err(Problem::unavailable(LATE_RETRY_AFTER_S).with_detail(detail));
        }
        Ok(plan.changes)
    }

    const fn period(&self) -> Period {
        Period { from_ms: self.document.from_ms, to_ms: self.document.to_ms }
    }

    /// What is to be taken back is found in ClickHouse, so it must have all that was sent before: the account's newest
    /// entry is asked for behind those commands, in the same partition.
    async fn undoing(&self, account: &RepricedAccount) -> Result<Vec<Change>, Problem> {
        let reader = Reader(&self.app.charges);
        let ids = [account.account_id.to_string()];
        let newest = self.newest_seq(&account.account_id).await?;
        let patience = Instant::now() + self.app.config.lookup_timeout();
        while reader.accounts(&ids).await?.first().is_none_or(|row| row.as_of_seq < newest) {
            if Instant::now() >= patience.min(self.until) {
                let detail = format!("ClickHouse does not have seq {newest} of {} yet", account.account_id);
                return Err(Problem::unavailable(LATE_RETRY_AFTER_S).with_detail(detail));
            }
            tokio::time::sleep(BEHIND_PAUSE).await;
        }
        let (id, most) = (&self.document.repricing_id, UNDO_ENTRIES_MAX);
        let entries = reader.made_anew(account.account_id.as_str(), self.period(), id, most + 1).await?;
        if entries.len() > most {
            let detail = format!("{} has more than {most} re-priced charges of the period", account.account_id);
            return Err(Problem::invalid(detail));
        }
        Ok(undoing(&entries, id))
    }

    /// A question that posts nothing tells it.
    async fn newest_seq(&self, account_id: &AccountId) -> Result<u64, Problem> {
        let purchase = PostPurchase {
            payment_id: self.document.repricing_id.clone(),
            amount_micros: 1,
            source: PurchaseSource::Manual.into(),
            ..PostPurchase::default()
        };
        let order = Order {
            account_id,
            idempotency_key: &question_key(&self.document.repricing_id),
            body_hash: Vec::new(),
            actor: self.admin.key_id.as_str(),
            body: command::Body::PreparePurchase(PreparePurchase { purchase: Some(purchase) }),
        };
        let reply = timeout_at(self.until, ask_meter(self.app, order)).await.unwrap_or(Ok(None))?;
        match reply.and_then(|reply| reply.outcome) {
            Some(Outcome::Accepted(stands)) => Ok(stands.account_seq),
            Some(Outcome::Rejected(why)) if why.status >= 500 => {
                Err(Problem::unavailable(LATE_RETRY_AFTER_S).with_detail(why.detail))
            }
            Some(Outcome::Rejected(why)) => Err(Problem::conflict(why.detail)),
            None => Err(Problem::unavailable(LATE_RETRY_AFTER_S).with_detail("the meter does not answer in time")),
        }
    }

    /// One charge. What was not acknowledged may be there all the same: sent again, nothing is posted twice.
    async fn send(&self, account_id: &AccountId, change: &Change) -> Result<LineBody, Problem> {
        let is_undo = self.to == RepricingState::Undoing;
        let command: Reprice = change.command(&self.document.repricing_id, is_undo);
        let (seq, idempotency_key) = (command.seq, command.idempotency_key());
        let order = Order {
            account_id,
            idempotency_key: &idempotency_key,
            body_hash: command.body_hash(),
            actor: self.admin.key_id.as_str(),
            body: command::Body::Reprice(command),
        };
        let reply = match timeout_at(self.until, ask_meter(self.app, order)).await.unwrap_or(Ok(None)) {
            Ok(reply) => reply,
            Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => None,
            Err(problem) => return Err(problem),
        };
        let line = |outcome| LineBody::new(entry_id(account_id.as_str(), seq), outcome);
        Ok(match reply.and_then(|reply: v1::Reply| reply.outcome) {
            Some(Outcome::Accepted(accepted)) if accepted.replayed => line(Became::AlreadyPosted),
            Some(Outcome::Accepted(_)) => line(Became::Posted),
            // The meter cannot say it yet; everything else it said.
            Some(Outcome::Rejected(why)) if why.status == 503 => line(Became::Pending).because(&why),
            Some(Outcome::Rejected(why)) => line(Became::LeftOut).because(&why),
            None => line(Became::Pending),
        })
    }
}

fn stopped(mut answer: RunBody, place: Option<Place>) -> (RunBody, Option<Place>) {
    answer.go_on_behind(place.as_ref());
    (answer, place)
}
