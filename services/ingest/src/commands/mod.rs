//! Commands: what changes an account other than usage. Sent to `commands`, answered with the meter's reply.

mod accounts;
mod alerts;
mod answer;
mod cancel;
mod check;
mod currency;
mod desk;
mod dismiss;
mod documents;
mod holds;
mod idempotency;
mod letters;
mod profile;
mod purchases;
mod recharge;
mod redrive;
mod refunds;
mod refusal;
pub(crate) mod replies;
mod repricings;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::HeaderMap;
use prost::Message;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::{BodyLimit, RequestId};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::AccountId;
use tollbooth_schemas::command::body_hash;
use tollbooth_schemas::ids::{IdError, entry_id};
use tollbooth_schemas::keys::{KeyKind, Scope};
use tollbooth_schemas::v1::{self, command::Body, reply::Outcome};

use crate::app::{App, now_ms};
use crate::produce::{EdgeProducer, ProduceError, Topic};
pub(crate) use accounts::{change_plan, grant_bonus, open_account, post_adjustment, post_plan_fee, set_credit_limit};
pub(crate) use alerts::set as set_alerts;
pub(crate) use cancel::cancel as cancel_purchase;
pub(crate) use desk::{CommandDesk, Waiting};
pub(crate) use dismiss::dismiss as dismiss_letters;
pub(crate) use holds::{place as place_hold, void as void_hold};
use idempotency::idempotency_key;
pub(crate) use profile::set as set_profile;
pub(crate) use purchases::{buy, confirm as confirm_purchase, no_provider, posting_identity};
pub(crate) use recharge::set as set_recharge;
pub(crate) use redrive::redrive as redrive_letters;
pub(crate) use refunds::refund;
pub(crate) use repricings::{
    Repricings, apply as apply_repricing, list as list_repricings, preview as preview_repricing,
    show as show_repricing, undo as undo_repricing,
};
pub(crate) use settings::{define_event, set_booth};

/// How long a command waits for the reader of replies to have its position; then it is not sent. Of the time that its reply
/// may take.
const FOLLOWED_MAX: Duration = Duration::from_secs(1);
/// Seconds after which a late command is worth repeating.
const LATE_RETRY_AFTER_S: u32 = 2;

/// Whose command it is, and what a narrowed key needs for it; an admin's always is.
#[derive(Debug, Clone, Copy)]
enum Asker<'a> {
    Admin(Scope),
    /// Who holds a key of that account.
    AccountOf(&'a str, Scope),
    /// Who holds a key of a booth of that account.
    BoothOf(&'a str),
}

impl Asker<'_> {
    fn check(self, principal: &Principal) -> Result<(), Problem> {
        let (scope, own) = match self {
            Self::Admin(scope) => (scope, None),
            Self::AccountOf(id, scope) => (scope, Some((KeyKind::Account, id))),
            Self::BoothOf(id) => (Scope::Holds, Some((KeyKind::Booth, id))),
        };
        let is_own = own.is_some_and(|(kind, id)| principal.kind == kind && principal.may_access(id));
        if principal.is_admin() || is_own {
            return principal.require(scope);
        }
        Err(Problem::forbidden(match self {
            Self::Admin(_) => "an admin key (tb_ak_...) is needed",
            Self::AccountOf(..) => "a key of the account (tb_sk_...) or of an admin is needed",
            Self::BoothOf(_) => "a booth key of the account (tb_bk_...) or one of an admin is needed",
        }))
    }
}

/// A request that was authenticated and read.
struct Call {
    actor: Arc<Principal>,
    request_id: RequestId,
    idempotency_key: String,
    headers: HeaderMap,
    body: bytes::Bytes,
    _admitted: crate::admission::Admitted,
}

/// `extra` is what the command takes beside acknowledgement and reply.
async fn receive(app: &App, asker: Asker<'_>, extra: Duration, mut request: Request) -> Result<Call, Problem> {
    let actor = app.authenticate(request.headers())?;
    asker.check(&actor)?;
    let idempotency_key = idempotency_key(request.headers())?;
    let request_id = request_id(&request);
    // What a slow body took would be missing for acknowledgement and reply: a late command is 202, never 504.
    if let Some(limit) = request.extensions_mut().get_mut::<BodyLimit>() {
        let needed = app.config.command_time_max() + extra;
        limit.deadline = limit.deadline.and_then(|deadline| deadline.checked_sub(needed));
    }
    let (headers, body, admitted) = app.admit(&actor, request).await?;
    Ok(Call { actor, request_id, idempotency_key, headers, body, _admitted: admitted })
}

/// What the request is known by in logs and answers.
pub(crate) fn request_id(request: &Request) -> RequestId {
    request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| RequestId::of(request.headers()))
}

fn account_of_path(text: &str) -> Result<AccountId, Problem> {
    text.parse().map_err(|error| Problem::not_found(format!("the account's id {error}")))
}

fn of_path<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::not_found(format!("the id {error}")))
}

/// A command that is ready to be sent.
pub(crate) struct Order<'a> {
    pub(crate) account_id: &'a AccountId,
    pub(crate) idempotency_key: &'a str,
    pub(crate) body_hash: Vec<u8>,
    pub(crate) actor: &'a str,
    pub(crate) body: Body,
}

impl Call {
    /// Sends what was asked for; `name` and the body's bytes are what its repetition is known by.
    async fn carry_out(
        &self,
        app: &App,
        account_id: &AccountId,
        name: &str,
        body: Body,
    ) -> Result<Option<v1::Reply>, Problem> {
        let Some(_under_way) = app.commands.begin(account_id.as_str(), &self.idempotency_key) else {
            return Err(under_way());
        };
        let body_hash = body_hash(name, &self.body);
        let (idempotency_key, actor) = (self.idempotency_key.as_str(), self.actor.key_id.as_str());
        let asked = ask_meter(app, Order { account_id, idempotency_key, body_hash, actor, body });
        // What a booth does is its work: the ledger tells of it, and the trail would slow its holds down.
        if self.actor.kind == KeyKind::Booth {
            return asked.await;
        }
        app.trail.around(self.action(account_id, name), asked, |reply| told(account_id, reply.as_ref())).await
    }

    /// For the trail: `name` is that of a command, with what it is about behind a colon.
    fn action(&self, account_id: &AccountId, name: &str) -> Action {
        let (name, resource) = name.split_once(':').map_or((name, None), |(name, resource)| (name, Some(resource)));
        let action = Action::new(&self.actor, &self.request_id, name);
        action.account(Some(account_id)).resource(resource).idempotency_key(&self.idempotency_key)
    }
}

/// What the meter's reply says to the trail; none in time is durable all the same.
fn told(account_id: &AccountId, reply: Option<&v1::Reply>) -> Told {
    match reply.map(|reply| &reply.outcome) {
        None => Told::by_status(202),
        Some(Some(Outcome::Accepted(accepted))) => {
            let entry_id = (accepted.seq > 0).then(|| entry_id(account_id.as_str(), accepted.seq));
            Told { entry_id, ..Told::by_status(200) }
        }
        Some(Some(Outcome::Rejected(rejected))) => {
            let status = u16::try_from(rejected.status).unwrap_or(500);
            Told { code: Some(rejected.code.clone()), ..Told::by_status(status) }
        }
        Some(None) => Told::by_status(500),
    }
}

fn under_way() -> Problem {
    Problem::conflict("a request with this Idempotency-Key is under way")
}

/// Sends a command and waits for the meter's reply; `None` where it is late: the command is durable all the same.
pub(crate) async fn ask_meter(app: &App, order: Order<'_>) -> Result<Option<v1::Reply>, Problem> {
    let patience = Duration::from_millis(app.config.commands.reply_timeout_ms);
    let reply = ask(&app.commands, &app.producer, patience, order).await?;
    if reply.is_none() {
        app.metrics.replies_late.inc();
    }
    Ok(reply)
}

/// As [`ask_meter`], for whoever has a desk and a producer. Nothing is sent before replies are followed.
pub(crate) async fn ask(
    desk: &CommandDesk,
    producer: &EdgeProducer,
    patience: Duration,
    order: Order<'_>,
) -> Result<Option<v1::Reply>, ProduceError> {
    let asked_at = Instant::now();
    let followed = tokio::time::timeout(FOLLOWED_MAX.min(patience / 2), desk.followed()).await;
    followed.map_err(|_| ProduceError::NoReplies)?;
    let patience = patience.saturating_sub(asked_at.elapsed());
    let mut waiting = desk.wait();
    let command = v1::Command {
        account_id: order.account_id.to_string(),
        idempotency_key: order.idempotency_key.to_owned(),
        body_hash: order.body_hash,
        actor: order.actor.to_owned(),
        received_at_ms: now_ms(),
        reply_to: desk.instance_id().to_owned(),
        correlation_id: waiting.correlation_id.clone(),
        body: Some(order.body),
    };
    let key = order.account_id.as_str().as_bytes();
    producer.send_one(Topic::Commands, key, &command.encode_to_vec()).await?;
    Ok(tokio::time::timeout(patience, &mut waiting.reply).await.ok().and_then(Result::ok))
}
