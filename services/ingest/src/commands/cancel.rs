//! `POST /v1/accounts/{account_id}/purchases/{purchase_id}/cancel`: whoever buys leaves a purchase that waits for them.
//!
//! The provider decides what came first. A purchase whose money was taken is posted instead, under the key that everybody
//! else who knows of it posts it under; one that is canceled takes no money any more, and its repeat is told so.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use tollbooth_chassis::auth::Principal;
use tollbooth_chassis::http::RequestId;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::trail::{Action, Told};
use tollbooth_schemas::audit::AuditOutcome;
use tollbooth_schemas::ids::is_purchase_id;
use tollbooth_schemas::keys::Scope;
use tollbooth_schemas::v1::{self, command};
use tollbooth_schemas::{AccountId, Money};

use super::purchases::{Standing, Status, no_provider, posting_identity};
use super::{Asker, Order, account_of_path, answer, ask_meter, request_id};
use crate::app::App;
use crate::payments::{GivenUp, PaymentError, PaymentProvider};
use crate::produce::RETRY_AFTER_S;

/// A purchase that is being left.
struct Leaving {
    app: Arc<App>,
    provider: Arc<dyn PaymentProvider>,
    account_id: AccountId,
    purchase_id: String,
    actor: Arc<Principal>,
    request_id: RequestId,
}

/// Of itself harmless to repeat, so that it needs no `Idempotency-Key`.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Path((account, purchase_id)): Path<(String, String)>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let actor = app.authenticate(request.headers())?;
    Asker::AccountOf(&account, Scope::Purchases).check(&actor)?;
    let request_id = request_id(&request);
    // There is nothing to say in it.
    let (_, _, _admitted) = app.admit(&actor, request).await?;
    let account_id = account_of_path(&account)?;
    let provider = app.payments.clone().ok_or_else(no_provider)?;
    if app.stripe.is_some() {
        app.gate.ensure_current()?;
    }
    let patience = app.config.command_time_max();
    let late = answer::late(&Standing::of(&*provider, &purchase_id, Status::Pending));
    let told = (purchase_id.clone(), provider.name(), provider.is_sandbox());
    let leaving = Leaving { app, provider, account_id, purchase_id, actor, request_id };
    // A task of its own: a client that leaves must not end what stands between the provider's word and the ledger.
    let outcome = match tokio::time::timeout(patience, tokio::spawn(leaving.run())).await {
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

fn unknown() -> Problem {
    Problem::not_found("the account has no such purchase at the provider: if it was begun just now, try again")
}

impl Leaving {
    async fn run(self) -> Result<Response<Body>, Problem> {
        // What is asked of the provider is made of it.
        if !is_purchase_id(&self.purchase_id) {
            return Err(unknown());
        }
        let action = Action::new(&self.actor, &self.request_id, "cancel_purchase");
        let action = action.account(Some(&self.account_id)).resource(Some(&self.purchase_id));
        let tell = |response: &Response<Body>| Told {
            outcome: response.extensions().get().copied().unwrap_or(AuditOutcome::Succeeded),
            ..Told::by_status(response.status().as_u16())
        };
        self.app.trail.around(action, self.leave(), tell).await
    }

    async fn leave(&self) -> Result<Response<Body>, Problem> {
        let patience = Duration::from_millis(self.app.config.purchases.provider_timeout_ms);
        let asked = self.provider.give_up(&self.account_id, &self.purchase_id);
        let answer = tokio::time::timeout(patience, asked).await.unwrap_or(Err(PaymentError::NoAnswer));
        match answer {
            Ok(GivenUp::Canceled) => Ok(Json(self.standing(Status::Canceled)).into_response()),
            Ok(GivenUp::Taken(amount)) => self.post(amount).await,
            Ok(GivenUp::UnderWay) | Err(PaymentError::NoAnswer) => Ok(self.pending()),
            Ok(GivenUp::Unknown) => Err(unknown()),
            Err(PaymentError::Unavailable) => {
                Err(Problem::unavailable(RETRY_AFTER_S).with_detail("the payment provider does not work"))
            }
            Err(error) => Err(Problem::conflict(format!("its money is taken, and it is not posted: {error}"))),
        }
    }

    /// Success came first. Said as the purchase itself says it: it is posted once.
    async fn post(&self, amount: Money) -> Result<Response<Body>, Problem> {
        let posting = v1::PostPurchase {
            payment_id: self.purchase_id.clone(),
            provider: self.provider.name().to_owned(),
            amount_micros: amount.micros(),
            source: v1::PurchaseSource::Manual.into(),
        };
        let (idempotency_key, body_hash) = posting_identity(&posting, "manual");
        let order = Order {
            account_id: &self.account_id,
            idempotency_key: &idempotency_key,
            body_hash,
            actor: self.actor.key_id.as_str(),
            body: command::Body::PostPurchase(posting),
        };
        let Some(reply) = ask_meter(&self.app, order).await? else { return Ok(self.pending()) };
        let accepted = answer::accepted(reply).inspect_err(|problem| {
            tracing::error!(purchase_id = self.purchase_id, %problem, "paid, and refused by the ledger");
        })?;
        answer::carried_out(&self.account_id, &accepted, StatusCode::OK, |_| Some(self.standing(Status::Succeeded)))
    }

    /// Whether money is taken is not known yet.
    fn pending(&self) -> Response<Body> {
        let mut answer = answer::late(&self.standing(Status::Pending));
        answer.extensions_mut().insert(AuditOutcome::Pending);
        answer
    }

    fn standing(&self, status: Status) -> Standing<'_> {
        Standing::of(&*self.provider, &self.purchase_id, status)
    }
}
