//! Stripe: payments with a customer's saved card, by PaymentIntents.
//!
//! What keeps money from being taken twice: a payment is one intent, and Stripe takes an intent's money once, however often
//! it is confirmed. The intent is made without being confirmed, under our payment's id as `Idempotency-Key`; Stripe forgets
//! such keys after a day, so it is looked for by the same id in its metadata before. Only then it is confirmed. Whatever is
//! lost in between (an answer, this process), the next one who asks finds the intent and how it stands.

mod api;
mod client;
mod declines;
mod event;
mod given_up;
mod minor;
#[cfg(test)]
mod mock_tests;
mod objects;
mod paid;
mod returned;
mod signature;

use std::sync::Arc;

use tollbooth_schemas::AccountId;

use super::{Answer, GivingUp, Occasion, Payers, Payment, PaymentError, PaymentMetrics, PaymentOrder, PaymentProvider};
use crate::app::now_ms;
use crate::config::StripeSection;
use crate::payers::is_id;
pub(crate) use api::{MethodError, Stripe};
pub(crate) use client::CallError;
pub use client::ClientError;
pub(crate) use client::{Called, Operation};
pub(crate) use event::{About, Event, Heard};
pub(crate) use given_up::{Cause, Ended, is_open_purchase};
use minor::minor_units;
use objects::IntentStatus;
pub(crate) use objects::{Dispute, Intent, Refund, SetupIntent};
pub(crate) use paid::{NotPaid, Paid};
pub(crate) use returned::{Movement, Movements, Way};
pub(crate) use signature::{SignatureError, verify};

/// Its name in the ledger.
pub(crate) const NAME: &str = "stripe";

/// Of an intent's metadata: whose payment, which, for what, how much and how.
const ACCOUNT: &str = "tollbooth_account";
const PAYMENT: &str = "tollbooth_payment";
const SOURCE: &str = "tollbooth_source";
const AMOUNT: &str = "tollbooth_amount";
const METHOD: &str = "tollbooth_method";
/// Stands for the one that is saved.
const SAVED: &str = "saved";

/// The provider.
#[derive(Debug)]
pub(crate) struct StripeProvider {
    stripe: Arc<Stripe>,
    payers: Payers,
    /// Of what was made longer ago the ledger may have forgotten that it posted it.
    age_ms_max: i64,
}

impl StripeProvider {
    /// Sets up provider and client.
    pub(crate) fn start(
        section: &StripeSection,
        payers: Payers,
        metrics: PaymentMetrics,
        age_ms_max: i64,
    ) -> Result<(Arc<Stripe>, Self), ClientError> {
        let stripe = Arc::new(Stripe::new(section, metrics)?);
        Ok((Arc::clone(&stripe), Self { stripe, payers, age_ms_max }))
    }

    /// How the payment of an order stands; unless money may be taken for it, it is neither made nor confirmed.
    async fn stands(&self, order: &PaymentOrder, may_take: bool) -> Result<Payment, PaymentError> {
        let minor = minor_units(&order.amount).ok_or(PaymentError::Amount)?;
        let intent = match self.stripe.find(&order.payment_id).await.map_err(|error| of_reading(&error))? {
            Some(known) => known,
            None if !may_take => return Err(PaymentError::TooOld),
            None => self.make(order, minor).await?,
        };
        if !is_of(&intent, order, minor) {
            return Err(PaymentError::Mismatch);
        }
        if intent.created < (now_ms() - self.age_ms_max) / 1_000 {
            return Err(PaymentError::TooOld);
        }
        if intent.status == IntentStatus::RequiresConfirmation {
            return if may_take { self.confirm(order, &intent).await } else { Err(PaymentError::TooOld) };
        }
        standing(&intent)
    }

    async fn make(&self, order: &PaymentOrder, minor: i64) -> Result<Intent, PaymentError> {
        let payer = self.payers.get(order.account_id.as_str()).filter(|payer| payer.provider == NAME);
        let payer = payer.ok_or(PaymentError::NoSavedMethod)?;
        let method = match order.method.0.as_deref() {
            Some(named) => Some(named).filter(|named| is_id("pm_", named)).ok_or(PaymentError::UnknownMethod)?,
            None => payer.payment_method_id.as_deref().ok_or(PaymentError::NoSavedMethod)?,
        };
        let form = form_of(order, minor, &payer.customer_id, method);
        self.stripe.create(&order.payment_id, form).await.map_err(|error| of_making(&error))
    }

    async fn confirm(&self, order: &PaymentOrder, intent: &Intent) -> Result<Payment, PaymentError> {
        match self.stripe.confirm(&intent.id, order.occasion).await {
            Ok(confirmed) => standing(&confirmed),
            Err(CallError::Declined(error)) => match &error.payment_intent {
                Some(intent) if intent.status == IntentStatus::Succeeded => Ok(Payment::Succeeded),
                _ => Ok(Payment::Failed { reason: declines::reason(&error) }),
            },
            // Somebody else confirmed it meanwhile, or it was canceled: it says itself how it stands.
            Err(CallError::Refused(_)) => {
                let intent = self.stripe.read(&intent.id).await.map_err(|error| of_reading(&error))?;
                standing(&intent)
            }
            Err(CallError::Unauthorized) => Err(PaymentError::Unavailable),
            Err(CallError::NoAnswer) => Err(PaymentError::NoAnswer),
        }
    }
}

impl PaymentProvider for StripeProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_sandbox(&self) -> bool {
        false
    }

    fn pay<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a> {
        Box::pin(self.stands(order, true))
    }

    fn look<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a> {
        Box::pin(self.stands(order, false))
    }

    fn give_up<'a>(&'a self, account_id: &'a AccountId, payment_id: &'a str) -> GivingUp<'a> {
        Box::pin(async move {
            let payer = self.payers.get(account_id.as_str()).filter(|payer| payer.provider == NAME);
            let customer_id = payer.as_ref().map(|payer| payer.customer_id.as_str());
            let since_s = (now_ms() - self.age_ms_max) / 1_000;
            self.stripe.give_up(account_id, payment_id, customer_id, since_s).await
        })
    }
}

/// What an intent of an order is made of. It takes no money before it is confirmed.
fn form_of(order: &PaymentOrder, minor: i64, customer_id: &str, method_id: &str) -> Vec<(&'static str, String)> {
    vec![
        ("amount", minor.to_string()),
        ("currency", order.amount.currency.to_ascii_lowercase()),
        ("customer", customer_id.to_owned()),
        ("payment_method", method_id.to_owned()),
        ("payment_method_types[]", "card".to_owned()),
        ("metadata[tollbooth_account]", order.account_id.to_string()),
        ("metadata[tollbooth_payment]", order.payment_id.clone()),
        ("metadata[tollbooth_source]", order.occasion.source().to_owned()),
        ("metadata[tollbooth_amount]", amount_text(order)),
        ("metadata[tollbooth_method]", method_text(order).to_owned()),
    ]
}

/// The amount as the ledger writes it, so that whoever reads the intent later can compare.
fn amount_text(order: &PaymentOrder) -> String {
    format!("{} {}", order.amount.amount, order.amount.currency)
}

fn method_text(order: &PaymentOrder) -> &str {
    order.method.0.as_deref().unwrap_or(SAVED)
}

/// Whether an intent is what the order would make. What is saved for the account may be another card by now.
fn is_of(intent: &Intent, order: &PaymentOrder, minor: i64) -> bool {
    let says = |key: &str, text: &str| intent.metadata.get(key).is_some_and(|found| found == text);
    intent.amount == minor
        && intent.currency.eq_ignore_ascii_case(&order.amount.currency)
        && says(ACCOUNT, order.account_id.as_str())
        && says(PAYMENT, &order.payment_id)
        && says(SOURCE, order.occasion.source())
        && says(METHOD, method_text(order))
}

fn standing(intent: &Intent) -> Result<Payment, PaymentError> {
    match intent.status {
        IntentStatus::Succeeded => Ok(Payment::Succeeded),
        IntentStatus::RequiresAction => {
            let redirect = intent.next_action.as_ref().and_then(|action| action.redirect_to_url.as_ref());
            match redirect.and_then(|redirect| redirect.url.clone()) {
                Some(url) => Ok(Payment::NeedsAction { url }),
                None => {
                    tracing::error!(intent = intent.id, "an action is needed that no page is for");
                    Err(PaymentError::NoAnswer)
                }
            }
        }
        // It had a payment method, so that one failed.
        IntentStatus::RequiresPaymentMethod => {
            Ok(Payment::Failed { reason: intent.last_payment_error.as_ref().map_or("card_declined", declines::reason) })
        }
        IntentStatus::Canceled => Ok(Payment::Failed { reason: "canceled" }),
        // On its way, or nothing that a card payment with these settings can be.
        IntentStatus::Processing
        | IntentStatus::RequiresConfirmation
        | IntentStatus::RequiresCapture
        | IntentStatus::Unknown => Err(PaymentError::NoAnswer),
    }
}

fn of_reading(error: &CallError) -> PaymentError {
    match error {
        CallError::NoAnswer => PaymentError::NoAnswer,
        CallError::Unauthorized | CallError::Refused(_) | CallError::Declined(_) => PaymentError::Unavailable,
    }
}

/// Why an intent could not be made. No money was asked for yet.
fn of_making(error: &CallError) -> PaymentError {
    let (CallError::Refused(error) | CallError::Declined(error)) = error else { return of_reading(error) };
    let param = error.param.as_deref().unwrap_or_default();
    match (error.kind.as_str(), error.code.as_deref().unwrap_or_default(), param) {
        // The intent is there, made of something else: of another order, or of the card that was saved then. The search finds
        // it within a minute, and it says itself which.
        ("idempotency_error", _, _) => PaymentError::NoAnswer,
        (_, "amount_too_small" | "amount_too_large" | "invalid_charge_amount", _) | (_, _, "amount" | "currency") => {
            PaymentError::Amount
        }
        (_, _, "payment_method") => PaymentError::UnknownMethod,
        (_, _, "customer") => PaymentError::NoSavedMethod,
        (kind, code, param) => {
            tracing::error!(kind, code, param, "the payment provider refuses to make a payment");
            PaymentError::Unavailable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::objects::ApiError;
    use super::*;

    fn intent(status: &str) -> Intent {
        serde_json::from_value(serde_json::json!({
            "id": "pi_1", "status": status, "amount": 5_000, "currency": "usd", "created": 1, "livemode": false,
        }))
        .unwrap()
    }

    #[test]
    fn an_intents_state_is_a_payments_and_what_is_not_known_is_asked_again() {
        for (status, expected) in [
            ("succeeded", Ok(Payment::Succeeded)),
            ("requires_payment_method", Ok(Payment::Failed { reason: "card_declined" })),
            ("canceled", Ok(Payment::Failed { reason: "canceled" })),
            ("processing", Err(PaymentError::NoAnswer)),
            ("requires_action", Err(PaymentError::NoAnswer)),
            ("requires_capture", Err(PaymentError::NoAnswer)),
            ("of_tomorrow", Err(PaymentError::NoAnswer)),
        ] {
            assert_eq!(standing(&intent(status)), expected, "{status}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_order_is_told_from_what_is_wrong_with_us() {
        let refused = |kind: &str, code: &str, param: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (code, param) = (text(code), text(param));
            of_making(&CallError::Refused(ApiError { kind: kind.to_owned(), code, param, ..ApiError::default() }))
        };
        let invalid = "invalid_request_error";
        for (found, expected) in [
            (refused("idempotency_error", "", ""), PaymentError::NoAnswer),
            (refused(invalid, "amount_too_small", ""), PaymentError::Amount),
            (refused(invalid, "", "currency"), PaymentError::Amount),
            (refused(invalid, "resource_missing", "payment_method"), PaymentError::UnknownMethod),
            (refused(invalid, "resource_missing", "customer"), PaymentError::NoSavedMethod),
            (refused(invalid, "parameter_unknown", "metadat"), PaymentError::Unavailable),
            (of_making(&CallError::NoAnswer), PaymentError::NoAnswer),
            (of_making(&CallError::Unauthorized), PaymentError::Unavailable),
        ] {
            assert_eq!(found, expected);
        }
    }
}
