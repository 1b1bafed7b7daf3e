//! Commands: what changes an account other than usage. Sent to `commands`, answered with the meter's reply.

mod accounts;
mod alerts;
mod answer;
mod check;
mod currency;
mod desk;
mod documents;
mod holds;
mod idempotency;
mod purchases;
mod recharge;
mod redrive;
mod refunds;
mod refusal;
pub(crate) mod replies;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderMap;
use prost::Message;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::BodyLimit;
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::AccountId;
use tollbooth_schemas::command::body_hash;
use tollbooth_schemas::ids::IdError;
use tollbooth_schemas::keys::KeyKind;
use tollbooth_schemas::v1::{self, command::Body};

use crate::app::{App, now_ms};
use crate::produce::Topic;
pub(crate) use accounts::{change_plan, grant_bonus, open_account, post_adjustment, post_plan_fee, set_credit_limit};
pub(crate) use alerts::set as set_alerts;
pub(crate) use desk::CommandDesk;
pub(crate) use holds::{place as place_hold, void as void_hold};
use idempotency::idempotency_key;
pub(crate) use purchases::{buy, confirm as confirm_purchase, posting_identity};
pub(crate) use recharge::set as set_recharge;
pub(crate) use redrive::redrive as redrive_letters;
pub(crate) use refunds::refund;
pub(crate) use settings::{define_event, set_booth};

/// Seconds after which a late command is worth repeating.
const LATE_RETRY_AFTER_S: u32 = 2;

/// Whose command it is; an admin's always is.
#[derive(Debug, Clone, Copy)]
enum Asker<'a> {
    Admin,
    /// Who holds a key of that account.
    AccountOf(&'a str),
    /// Who holds a key of a booth of that account.
    BoothOf(&'a str),
}

impl Asker<'_> {
    fn check(self, principal: &Principal) -> Result<(), Problem> {
        let (kind, account_id, needed) = match self {
            _ if principal.is_admin() => return Ok(()),
            Self::Admin => return Err(Problem::forbidden("an admin key (tb_ak_...) is needed")),
            Self::AccountOf(id) => (KeyKind::Account, id, "a key of the account (tb_sk_...) or of an admin is needed"),
            Self::BoothOf(id) => {
                (KeyKind::Booth, id, "a booth key of the account (tb_bk_...) or one of an admin is needed")
            }
        };
        if principal.kind == kind && principal.may_access(account_id) {
            Ok(())
        } else {
            Err(Problem::forbidden(needed))
        }
    }
}

/// A request that was authenticated and read.
struct Call {
    actor: Arc<Principal>,
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
    // What a slow body took would be missing for acknowledgement and reply: a late command is 202, never 504.
    if let Some(limit) = request.extensions_mut().get_mut::<BodyLimit>() {
        let needed = app.config.command_time_max() + extra;
        limit.deadline = limit.deadline.and_then(|deadline| deadline.checked_sub(needed));
    }
    let (headers, body, admitted) = app.admit(&actor, request).await?;
    Ok(Call { actor, idempotency_key, headers, body, _admitted: admitted })
}

fn account_of_path(text: &str) -> Result<AccountId, Problem> {
    text.parse().map_err(|error| Problem::not_found(format!("the account's id {error}")))
}

fn of_path<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::not_found(format!("the id {error}")))
}

/// A command that is ready to be sent.
struct Order<'a> {
    account_id: &'a AccountId,
    idempotency_key: &'a str,
    body_hash: Vec<u8>,
    actor: &'a str,
    body: Body,
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
        ask_meter(app, Order { account_id, idempotency_key, body_hash, actor, body }).await
    }
}

fn under_way() -> Problem {
    Problem::conflict("a request with this Idempotency-Key is under way")
}

/// Sends a command and waits for the meter's reply; `None` where it is late: the command is durable all the same.
async fn ask_meter(app: &App, order: Order<'_>) -> Result<Option<v1::Reply>, Problem> {
    let mut waiting = app.commands.wait();
    let command = v1::Command {
        account_id: order.account_id.to_string(),
        idempotency_key: order.idempotency_key.to_owned(),
        body_hash: order.body_hash,
        actor: order.actor.to_owned(),
        received_at_ms: now_ms(),
        reply_to: app.commands.instance_id().to_owned(),
        correlation_id: waiting.correlation_id.clone(),
        body: Some(order.body),
    };
    let patience = Duration::from_millis(app.config.commands.reply_timeout_ms);
    let key = order.account_id.as_str().as_bytes();
    app.producer.send_one(Topic::Commands, key, &command.encode_to_vec()).await?;
    match tokio::time::timeout(patience, &mut waiting.reply).await {
        Ok(Ok(reply)) => Ok(Some(reply)),
        _ => {
            app.metrics.replies_late.inc();
            Ok(None)
        }
    }
}
