//! The few things that are asked of Stripe.

use axum::http::Method;
use serde::de::DeserializeOwned;
use tollbooth_schemas::AccountId;

use super::client::{Call, CallError, Client, ClientError, Operation};
use super::objects::{CheckoutPage, Intent, IntentStatus, Made, Page, SavedMethod};
use super::{ACCOUNT, NAME, Occasion, PAYMENT};
use crate::config::StripeSection;
use crate::payments::PaymentMetrics;

/// A page's size; Stripe's largest.
const PAGE: usize = 100;

/// Why something about a payment method cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MethodError {
    /// It is none, or of another customer.
    #[error("the customer has no such payment method")]
    Unknown,
    /// Nobody knows.
    #[error("the payment provider does not answer")]
    NoAnswer,
    /// The provider does not work for us.
    #[error("the payment provider refuses this installation")]
    Unavailable,
}

impl From<CallError> for MethodError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoAnswer => Self::NoAnswer,
            CallError::Unauthorized | CallError::Declined(_) => Self::Unavailable,
            CallError::Refused(_) => Self::Unknown,
        }
    }
}

/// Stripe, as we use it.
#[derive(Debug)]
pub(crate) struct Stripe {
    client: Client,
    return_url: String,
    is_live: bool,
}

impl Stripe {
    pub(super) fn new(section: &StripeSection, metrics: PaymentMetrics) -> Result<Self, ClientError> {
        let client = Client::new(&section.api_url, &section.secret_key, metrics)?;
        Ok(Self { client, return_url: section.return_url.clone(), is_live: section.is_live() })
    }

    /// Whether real money moves.
    pub(crate) const fn is_live(&self) -> bool {
        self.is_live
    }

    /// Any request, for tests of what Stripe itself allows.
    #[cfg(test)]
    pub(super) async fn raw(&self, call: &Call<'_>) -> Result<serde_json::Value, CallError> {
        Ok(self.client.call(call).await?.object)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: String,
        form: Vec<(&'static str, String)>,
    ) -> Result<T, CallError> {
        let call = Call { operation, method: Method::GET, path, form, idempotency_key: None };
        Ok(self.client.call(&call).await?.object)
    }

    /// The intent of a payment, as it stands now.
    pub(super) async fn find(&self, payment_id: &str) -> Result<Option<Intent>, CallError> {
        let query = format!("metadata['{PAYMENT}']:'{payment_id}'");
        let path = "/v1/payment_intents/search".to_owned();
        let form = vec![("query", query), ("limit", "10".to_owned())];
        let found: Page<Intent> = self.get(Operation::FindIntent, path, form).await?;
        // An index may say more than was asked for, and is always a little late.
        let is_meant = |intent: &Intent| intent.metadata.get(PAYMENT).is_some_and(|id| id == payment_id);
        let mut known = Vec::new();
        for intent in found.data.into_iter().filter(is_meant) {
            known.push(self.read(&intent.id).await?);
        }
        if known.len() > 1 {
            tracing::error!(payment_id, intents = known.len(), "one payment has several intents");
        }
        Ok(known.into_iter().max_by_key(|intent| progress(intent.status)))
    }

    pub(super) async fn read(&self, intent_id: &str) -> Result<Intent, CallError> {
        self.get(Operation::ReadIntent, format!("/v1/payment_intents/{intent_id}"), Vec::new()).await
    }

    /// Makes an intent that takes no money yet; the same key makes the same one.
    pub(super) async fn create(&self, key: &str, form: Vec<(&'static str, String)>) -> Result<Intent, CallError> {
        let path = "/v1/payment_intents".to_owned();
        let idempotency_key = Some(key);
        let call = Call { operation: Operation::CreateIntent, method: Method::POST, path, form, idempotency_key };
        let made = self.client.call::<Intent>(&call).await?;
        // What was answered before is how it stood then.
        if made.is_replayed { self.read(&made.object.id).await } else { Ok(made.object) }
    }

    /// Has the money taken. Of itself harmless to repeat: what is confirmed is not confirmed again.
    pub(super) async fn confirm(&self, intent_id: &str, occasion: Occasion) -> Result<Intent, CallError> {
        let form = match occasion {
            Occasion::Purchase => vec![("return_url", self.return_url.clone())],
            Occasion::Recharge => vec![("off_session", "true".to_owned())],
        };
        let path = format!("/v1/payment_intents/{intent_id}/confirm");
        let call =
            Call { operation: Operation::ConfirmIntent, method: Method::POST, path, form, idempotency_key: None };
        Ok(self.client.call(&call).await?.object)
    }

    /// Intents made within a time, newest first, behind one of them; `None` behind the last.
    pub(crate) async fn list(
        &self,
        from_s: i64,
        before_s: i64,
        behind: Option<&str>,
    ) -> Result<(Vec<Intent>, Option<String>), MethodError> {
        let mut form = vec![
            ("created[gte]", from_s.to_string()),
            ("created[lt]", before_s.to_string()),
            ("limit", PAGE.to_string()),
        ];
        form.extend(behind.map(|id| ("starting_after", id.to_owned())));
        let page: Page<Intent> = self.get(Operation::ListIntents, "/v1/payment_intents".to_owned(), form).await?;
        let next = page.data.last().filter(|_| page.has_more).map(|last| last.id.clone());
        Ok((page.data, next))
    }

    /// Makes the customer of an account; once a day at most.
    pub(crate) async fn create_customer(&self, account_id: &AccountId) -> Result<String, MethodError> {
        let key = format!("customer:{account_id}");
        let form = vec![
            ("description", format!("{NAME} customer of {account_id}")),
            ("metadata[tollbooth_account]", account_id.to_string()),
        ];
        let (path, method) = ("/v1/customers".to_owned(), Method::POST);
        let call = Call { operation: Operation::CreateCustomer, method, path, form, idempotency_key: Some(&key) };
        Ok(self.client.call::<Made>(&call).await?.object.id)
    }

    /// Whether that payment method is the customer's.
    pub(crate) async fn check_method(&self, customer_id: &str, method_id: &str) -> Result<(), MethodError> {
        let path = format!("/v1/payment_methods/{method_id}");
        let saved: SavedMethod = self.get(Operation::ReadMethod, path, Vec::new()).await?;
        let is_theirs = saved.id == method_id && saved.customer.as_deref() == Some(customer_id);
        if is_theirs { Ok(()) } else { Err(MethodError::Unknown) }
    }

    /// A page of Stripe's own on which a card is saved for the account.
    pub(crate) async fn set_up_page(&self, account_id: &AccountId, customer_id: &str) -> Result<String, MethodError> {
        let form = vec![
            ("mode", "setup".to_owned()),
            ("customer", customer_id.to_owned()),
            ("payment_method_types[]", "card".to_owned()),
            ("success_url", self.return_url.clone()),
            ("cancel_url", self.return_url.clone()),
            ("setup_intent_data[metadata][tollbooth_account]", account_id.to_string()),
        ];
        let (path, method) = ("/v1/checkout/sessions".to_owned(), Method::POST);
        let call = Call { operation: Operation::SetUpMethod, method, path, form, idempotency_key: None };
        self.client.call::<CheckoutPage>(&call).await?.object.url.ok_or(MethodError::NoAnswer)
    }
}

/// Of several intents of one payment, the one that came furthest says how it stands.
const fn progress(status: IntentStatus) -> u8 {
    match status {
        IntentStatus::Canceled => 0,
        IntentStatus::RequiresConfirmation => 1,
        IntentStatus::RequiresPaymentMethod => 2,
        IntentStatus::Unknown => 3,
        IntentStatus::RequiresAction => 4,
        IntentStatus::RequiresCapture => 5,
        IntentStatus::Processing => 6,
        IntentStatus::Succeeded => 7,
    }
}

/// Whose a set-up is, by what we wrote on it.
pub(super) fn account_of(metadata: &std::collections::BTreeMap<String, String>) -> Option<AccountId> {
    metadata.get(ACCOUNT)?.parse().ok()
}
