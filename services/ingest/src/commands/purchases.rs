//! Buying credit: the ledger is asked whether it would post, the provider takes the money, the ledger posts.
//!
//! Nothing about a purchase is kept here. Its id is a function of account and `Idempotency-Key`; it is the provider's
//! idempotency key and, with a prefix, the command's. So a repeat of the request finishes whatever was left between the
//! provider's yes and the ledger, here or at another instance, and takes and posts nothing twice.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Json, body};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollbooth_chassis::crashpoint;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::Told;
use tollbooth_schemas::audit::AuditOutcome;
use tollbooth_schemas::command::{body_hash, payment_key};
use tollbooth_schemas::ids::derived_payment_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::v1::{self, command::Body};
use tollbooth_schemas::{AccountId, Amount, Money};

use super::check::Check;
use super::{Asker, Call, Order, account_of_path, answer, ask_meter, receive, under_way};
use crate::app::{App, parse_json};
use crate::config::PurchasesSection;
use crate::payments::{
    Confirmation, Occasion, Payment, PaymentError, PaymentMethod, PaymentOrder, PaymentProvider, reason_text,
};
use crate::produce::RETRY_AFTER_S;

/// A hundredth, in micro-units: cards take no smaller part.
pub(super) const CENT_MICROS: i64 = 10_000;

/// `POST /v1/accounts/{account_id}/purchases`
// No `Debug`: nothing may show how somebody pays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purchase {
    amount: Money,
    #[serde(default)]
    payment_method: Option<String>,
}

/// `POST /v1/accounts/{account_id}/purchases/{purchase_id}/confirm`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    approve: bool,
}

impl Purchase {
    fn check(&self, bounds: &PurchasesSection) -> Result<(), Problem> {
        let PurchasesSection { amount_min, amount_max, .. } = bounds;
        let mut check = Check::default();
        let within = (*amount_min..=*amount_max).contains(&self.amount);
        check.that(within, "/amount", &format!("must be {amount_min} to {amount_max}"));
        check.that(self.amount.micros() % CENT_MICROS == 0, "/amount", "must be whole hundredths");
        check.conclude(())
    }
}

/// How a purchase stands, beside the ledger's answer where there is one.
#[derive(Debug, Serialize)]
pub(super) struct Standing<'a> {
    purchase_id: &'a str,
    status: Status,
    provider: &'static str,
    sandbox: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(provider: &dyn PaymentProvider, purchase_id: &'a str, status: Status) -> Self {
        let (provider, sandbox) = (provider.name(), provider.is_sandbox());
        Self { purchase_id, status, provider, sandbox, next_action: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Pending,
    NeedsAction,
    Succeeded,
    Canceled,
}

#[derive(Debug, Serialize)]
struct NextAction {
    url: String,
}

/// A purchase that is under way.
struct Buying {
    app: Arc<App>,
    provider: Arc<dyn PaymentProvider>,
    account_id: AccountId,
    purchase_id: String,
    call: Call,
    purchase: Purchase,
}

pub(crate) fn no_provider() -> Problem {
    Problem::new("no_payment_provider", StatusCode::CONFLICT, "No payment provider is configured")
}

/// `POST /v1/accounts/{account_id}/purchases`
pub(crate) async fn buy(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let call = receive(&app, Asker::AccountOf(&account, Scope::Purchases), Duration::ZERO, request).await?;
    let account_id = account_of_path(&account)?;
    let purchase: Purchase = parse_json(&call.headers, &call.body)?;
    let provider = app.payments.clone().ok_or_else(no_provider)?;
    if app.stripe.is_some() {
        // What the account has saved stands in `registry`.
        app.gate.ensure_current()?;
    }
    let purchase_id = derived_payment_id(&account_id, &call.idempotency_key);
    let patience = app.config.command_time_max();
    let pending = Standing::of(&*provider, &purchase_id, Status::Pending);
    let late = answer::late(&pending);
    let told = (purchase_id.clone(), provider.name(), provider.is_sandbox());
    let buying = Buying { app, provider, account_id, purchase_id, call, purchase };
    // A task of its own: a client that leaves must not end what stands between the provider's yes and the ledger.
    let outcome = match tokio::time::timeout(patience, tokio::spawn(buying.run())).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(Problem::internal(error)),
        Err(_) => Ok(late),
    };
    let (purchase_id, provider, is_sandbox) = told;
    outcome.map_err(|problem| {
        let problem = problem.with_extension("purchase_id", purchase_id).with_extension("provider", provider);
        problem.with_extension("sandbox", is_sandbox)
    })
}

/// Key and hash of a posting. Whoever tells the ledger of a payment tells it the same: both are functions of its facts.
pub(crate) fn posting_identity(posting: &v1::PostPurchase, source: &str) -> (String, Vec<u8>) {
    let amount = Money::from_micros(posting.amount_micros).unwrap_or_default();
    let facts = json!([posting.payment_id, posting.provider, amount, source]);
    (payment_key(&posting.payment_id), body_hash("post_purchase", facts.to_string().as_bytes()))
}

impl Buying {
    async fn run(self) -> Result<Response<body::Body>, Problem> {
        self.purchase.check(&self.app.config.purchases)?;
        let key = &self.call.idempotency_key;
        let Some(_under_way) = self.app.commands.begin(self.account_id.as_str(), key) else {
            return Err(under_way());
        };
        let action = self.call.action(&self.account_id, &format!("purchase:{}", self.purchase_id));
        let tell = |response: &Response<body::Body>| Told {
            outcome: response
                .extensions()
                .get()
                .copied()
                .unwrap_or(Told::by_status(response.status().as_u16()).outcome),
            ..Told::by_status(response.status().as_u16())
        };
        self.app.trail.around(action, self.buy(), tell).await
    }

    async fn buy(&self) -> Result<Response<body::Body>, Problem> {
        // Money that the ledger would not post must not be taken.
        let question = v1::PreparePurchase { purchase: Some(self.posting()) };
        let Some(reply) = self.ask(Body::PreparePurchase(question)).await? else { return Ok(self.pending()) };
        let prepared = answer::accepted(reply)?;
        if prepared.replayed {
            return self.posted(&prepared);
        }
        match self.pay(prepared.currency).await? {
            None => Ok(self.pending()),
            Some(Payment::Succeeded) => self.post().await,
            Some(Payment::NeedsAction { url }) => {
                let next_action = Some(NextAction { url });
                let mut answer = Json(Standing { next_action, ..self.standing(Status::NeedsAction) }).into_response();
                // For the trail: the payer has yet to do something.
                answer.extensions_mut().insert(AuditOutcome::Pending);
                Ok(answer)
            }
            Some(Payment::Failed { reason }) => {
                let problem = Problem::new("payment_failed", StatusCode::PAYMENT_REQUIRED, "The payment failed");
                let text = reason_text(reason);
                Err(problem
                    .with_detail(format!("{text}; another try needs another Idempotency-Key"))
                    .with_extension("reason", reason))
            }
        }
    }

    /// How the provider says that the payment stands; `None`: it does not say in time.
    async fn pay(&self, currency: String) -> Result<Option<Payment>, Problem> {
        let order = PaymentOrder {
            payment_id: self.purchase_id.clone(),
            account_id: self.account_id.clone(),
            amount: Amount { amount: self.purchase.amount, currency },
            method: PaymentMethod(self.purchase.payment_method.clone()),
            occasion: Occasion::Purchase,
        };
        let patience = Duration::from_millis(self.app.config.purchases.provider_timeout_ms);
        let answer = tokio::time::timeout(patience, self.provider.pay(&order)).await;
        let error = match answer.unwrap_or(Err(PaymentError::NoAnswer)) {
            Ok(payment) => return Ok(Some(payment)),
            Err(error) => error,
        };
        let wrong = |pointer| Problem::invalid(error.to_string()).with_error(pointer, error.to_string());
        Err(match error {
            PaymentError::NoAnswer => {
                tracing::warn!(purchase_id = self.purchase_id, "the payment provider does not answer");
                return Ok(None);
            }
            PaymentError::Mismatch => Problem::idempotency_mismatch(error.to_string()),
            PaymentError::UnknownMethod => wrong("/payment_method"),
            PaymentError::Amount => wrong("/amount"),
            PaymentError::NoSavedMethod => {
                let title = "The account has no saved payment method";
                Problem::new("no_payment_method", StatusCode::CONFLICT, title)
                    .with_detail("save a card first: POST .../payment-method/setup answers with a page for it")
            }
            PaymentError::TooOld => {
                let title = "The purchase is too old";
                Problem::new("purchase_too_old", StatusCode::CONFLICT, title)
                    .with_detail("this Idempotency-Key is of a purchase that is too old; buy with a new key")
            }
            // An earlier try may have taken the money: another key would take it again.
            PaymentError::Unavailable => Problem::unavailable(RETRY_AFTER_S).with_detail(
                "the payment provider does not work; repeat the request later, with the same Idempotency-Key",
            ),
        })
    }

    /// The money is taken: from here on everything ends in the ledger, now or at a repeat.
    async fn post(&self) -> Result<Response<body::Body>, Problem> {
        crashpoint::hit("ingest.payment_taken");
        let Some(reply) = self.ask(Body::PostPurchase(self.posting())).await? else { return Ok(self.pending()) };
        let accepted = answer::accepted(reply).inspect_err(|problem| {
            tracing::error!(purchase_id = self.purchase_id, %problem, "paid, and refused by the ledger");
        })?;
        self.posted(&accepted)
    }

    fn posted(&self, accepted: &v1::Accepted) -> Result<Response<body::Body>, Problem> {
        let standing = self.standing(Status::Succeeded);
        answer::carried_out(&self.account_id, accepted, StatusCode::OK, |_| Some(standing))
    }

    fn pending(&self) -> Response<body::Body> {
        answer::late(&self.standing(Status::Pending))
    }

    fn standing(&self, status: Status) -> Standing<'_> {
        Standing::of(&*self.provider, &self.purchase_id, status)
    }

    fn posting(&self) -> v1::PostPurchase {
        v1::PostPurchase {
            payment_id: self.purchase_id.clone(),
            provider: self.provider.name().to_owned(),
            amount_micros: self.purchase.amount.micros(),
            source: v1::PurchaseSource::Manual.into(),
        }
    }

    async fn ask(&self, body: Body) -> Result<Option<v1::Reply>, Problem> {
        let (idempotency_key, body_hash) = posting_identity(&self.posting(), "manual");
        let order = Order {
            account_id: &self.account_id,
            idempotency_key: &idempotency_key,
            body_hash,
            actor: self.call.actor.key_id.as_str(),
            body,
        };
        ask_meter(&self.app, order).await
    }
}

/// `POST /v1/accounts/{account_id}/purchases/{purchase_id}/confirm`: the payer's part in the sandbox. Moves no money, and
/// needs no key of its own: repeat the purchase to have it posted.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Path((account, purchase_id)): Path<(String, String)>,
    request: Request,
) -> Result<Response<body::Body>, Problem> {
    let actor = app.authenticate(request.headers())?;
    Asker::AccountOf(&account, Scope::Purchases).check(&actor)?;
    let (headers, body, _admitted) = app.admit(&actor, request).await?;
    let Confirm { approve } = parse_json(&headers, &body)?;
    let sandbox = app.sandbox.as_ref().ok_or_else(no_provider)?;
    let confirmation = if approve { Confirmation::Approved } else { Confirmation::Declined };
    if sandbox.confirm(&account, &purchase_id, confirmation) {
        let status = if approve { "approved" } else { "declined" };
        let answer = json!({ "purchase_id": purchase_id, "status": status, "provider": "sandbox", "sandbox": true });
        return Ok(Json(answer).into_response());
    }
    let detail = "the sandbox has no such purchase that needs an action: order it first";
    Err(Problem::not_found(detail).with_extension("sandbox", true))
}
