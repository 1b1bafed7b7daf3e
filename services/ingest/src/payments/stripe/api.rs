//! The few things that are asked of Stripe.

use axum::http::Method;
use serde::de::DeserializeOwned;
use tollbooth_schemas::AccountId;

use super::client::{Call, CallError, Client, ClientError, Operation};
use super::objects::{CheckoutPage, Dispute, Intent, IntentStatus, Made, Page, Refund, SavedMethod};
use super::{ACCOUNT, NAME, Occasion, PAYMENT};
use crate::config::StripeSection;
use crate::payments::PaymentMetrics;

/// A page's size; Stripe's largest.
const PAGE: usize = 100;
/// Pages about one intent. Nobody gives a payment back in so many parts.
const PAGES_OF_INTENT_MAX: usize = 100;

/// Why something about a payment method cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MethodError {
    /// It is none, or of another customer.
    #[error("the customer has no such payment method")]
    Unknown,
    /// It is none, or of the other mode (live, test).
    #[error("the payment provider does not know the customer")]
    UnknownCustomer,
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
        let known = self.find_all(payment_id).await?;
        if known.len() > 1 {
            tracing::error!(payment_id, intents = known.len(), "one payment has several intents");
        }
        Ok(known.into_iter().max_by_key(|intent| progress(intent.status)))
    }

    /// All intents of a payment, as they stand now: one as a rule.
    pub(super) async fn find_all(&self, payment_id: &str) -> Result<Vec<Intent>, CallError> {
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
        Ok(known)
    }

    /// The newest intents of a customer. A list is never behind, as the search is.
    pub(super) async fn newest_of(&self, customer_id: &str) -> Result<Vec<Intent>, CallError> {
        let form = vec![("customer", customer_id.to_owned()), ("limit", PAGE.to_string())];
        let page: Page<Intent> = self.get(Operation::ListIntents, "/v1/payment_intents".to_owned(), form).await?;
        Ok(page.data)
    }

    /// Ends an intent; Stripe refuses it where the money is taken. Of itself harmless to repeat.
    pub(super) async fn cancel(&self, intent_id: &str, reason: &str) -> Result<Intent, CallError> {
        let path = format!("/v1/payment_intents/{intent_id}/cancel");
        let form = vec![("cancellation_reason", reason.to_owned())];
        let call = Call { operation: Operation::CancelIntent, method: Method::POST, path, form, idempotency_key: None };
        Ok(self.client.call(&call).await?.object)
    }

    /// What was given back of an intent.
    pub(crate) async fn refunds_of(&self, intent_id: &str) -> Result<Vec<Refund>, CallError> {
        self.all_of(Operation::ListRefunds, "/v1/refunds", intent_id, |refund: &Refund| refund.id.clone()).await
    }

    /// What was disputed of an intent.
    pub(crate) async fn disputes_of(&self, intent_id: &str) -> Result<Vec<Dispute>, CallError> {
        self.all_of(Operation::ListDisputes, "/v1/disputes", intent_id, |dispute: &Dispute| dispute.id.clone()).await
    }

    /// Everything of a list that is about an intent.
    async fn all_of<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &str,
        intent_id: &str,
        id_of: impl Fn(&T) -> String,
    ) -> Result<Vec<T>, CallError> {
        let mut all: Vec<T> = Vec::new();
        for _ in 0..PAGES_OF_INTENT_MAX {
            let mut form = vec![("payment_intent", intent_id.to_owned()), ("limit", PAGE.to_string())];
            form.extend(all.last().map(|last| ("starting_after", id_of(last))));
            let page: Page<T> = self.get(operation, path.to_owned(), form).await?;
            let is_last = !page.has_more || page.data.is_empty();
            all.extend(page.data);
            if is_last {
                return Ok(all);
            }
        }
        tracing::error!(intent_id, path, "more than can be looked at: a part of it is not told of");
        Err(CallError::NoAnswer)
    }

    /// Refunds made since an instant, newest first, behind one of them; `None` behind the last.
    pub(crate) async fn list_refunds(
        &self,
        from_s: i64,
        behind: Option<&str>,
    ) -> Result<(Vec<Refund>, Option<String>), MethodError> {
        let form = since(from_s, behind);
        let page: Page<Refund> = self.get(Operation::ListRefunds, "/v1/refunds".to_owned(), form).await?;
        let next = page.data.last().filter(|_| page.has_more).map(|last| last.id.clone());
        Ok((page.data, next))
    }

    /// As [`Self::list_refunds`], of disputes.
    pub(crate) async fn list_disputes(
        &self,
        from_s: i64,
        behind: Option<&str>,
    ) -> Result<(Vec<Dispute>, Option<String>), MethodError> {
        let form = since(from_s, behind);
        let page: Page<Dispute> = self.get(Operation::ListDisputes, "/v1/disputes".to_owned(), form).await?;
        let next = page.data.last().filter(|_| page.has_more).map(|last| last.id.clone());
        Ok((page.data, next))
    }

    pub(crate) async fn read(&self, intent_id: &str) -> Result<Intent, CallError> {
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

    /// Makes the customer of an account, in place of one that is not known any more; once a day at most.
    pub(crate) async fn create_customer(
        &self,
        account_id: &AccountId,
        instead_of: Option<&str>,
    ) -> Result<String, MethodError> {
        let mut key = format!("customer:{account_id}");
        if let Some(customer_id) = instead_of {
            key = format!("{key}:{customer_id}");
        }
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
        let page = self.client.call::<CheckoutPage>(&call).await.map_err(|error| match error {
            CallError::Refused(error) if error.param.as_deref() == Some("customer") => MethodError::UnknownCustomer,
            error => error.into(),
        })?;
        page.object.url.ok_or(MethodError::NoAnswer)
    }
}

/// A page of what was made since an instant.
fn since(from_s: i64, behind: Option<&str>) -> Vec<(&'static str, String)> {
    let mut form = vec![("created[gte]", from_s.to_string()), ("limit", PAGE.to_string())];
    form.extend(behind.map(|id| ("starting_after", id.to_owned())));
    form
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
