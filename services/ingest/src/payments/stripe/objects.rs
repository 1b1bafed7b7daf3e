//! What we read of Stripe's objects, in the pinned version of its API. What we do not need is not read, so that what Stripe
//! adds breaks nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The version that requests ask for and events must be set to: <https://docs.stripe.com/api/versioning>.
pub(crate) const API_VERSION: &str = "2026-08-26.dahlia";

/// <https://docs.stripe.com/api/payment_intents/object>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) status: IntentStatus,
    /// In the currency's smallest unit.
    #[serde(default)]
    pub(crate) amount: i64,
    #[serde(default)]
    pub(crate) amount_received: i64,
    /// Lower case.
    #[serde(default)]
    pub(crate) currency: String,
    /// Seconds since the epoch.
    pub(crate) created: i64,
    pub(crate) livemode: bool,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) next_action: Option<NextAction>,
    #[serde(default)]
    pub(crate) last_payment_error: Option<ApiError>,
}

/// <https://docs.stripe.com/payments/paymentintents/lifecycle>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Canceled,
    Succeeded,
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// What the payer must do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct NextAction {
    #[serde(default)]
    pub(crate) redirect_to_url: Option<Redirect>,
}

/// A page of the bank.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Redirect {
    #[serde(default)]
    pub(crate) url: Option<String>,
}

/// <https://docs.stripe.com/api/errors>
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) decline_code: Option<String>,
    #[serde(default)]
    pub(crate) param: Option<String>,
    #[serde(default)]
    pub(crate) payment_intent: Option<Box<Intent>>,
}

/// The body of an answer that is an error.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default)]
    pub(crate) error: ApiError,
}

/// A page of a list, or of what was searched.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    pub(crate) has_more: bool,
}

/// <https://docs.stripe.com/api/payment_methods/object>
#[derive(Debug, Deserialize)]
pub(crate) struct SavedMethod {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) customer: Option<String>,
}

/// Money that was given back: <https://docs.stripe.com/api/refunds/object>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    /// In the currency's smallest unit.
    pub(crate) amount: i64,
    /// Lower case.
    pub(crate) currency: String,
    /// Seconds since the epoch.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) payment_intent: Option<String>,
}

/// What a payer's bank takes back: <https://docs.stripe.com/api/disputes/object>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    /// In the currency's smallest unit.
    pub(crate) amount: i64,
    /// Lower case.
    pub(crate) currency: String,
    /// Seconds since the epoch.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) payment_intent: Option<String>,
    /// Money that it moved: none while it is an inquiry, then what was taken, then what came again.
    #[serde(default)]
    pub(crate) balance_transactions: Vec<BalanceTransaction>,
}

/// <https://docs.stripe.com/api/balance_transactions/object>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct BalanceTransaction {
    /// In the smallest unit of the currency that Stripe settles in. Below zero: it was taken.
    pub(crate) amount: i64,
    /// Seconds since the epoch.
    pub(crate) created: i64,
}

/// What an object of an event is about.
#[derive(Debug, Deserialize)]
pub(crate) struct OfIntent {
    #[serde(default)]
    pub(crate) payment_intent: Option<String>,
}

/// An object of which nothing but its id matters.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: String,
}

/// <https://docs.stripe.com/api/checkout/sessions/object>
#[derive(Debug, Deserialize)]
pub(crate) struct CheckoutPage {
    #[serde(default)]
    pub(crate) url: Option<String>,
}

/// <https://docs.stripe.com/api/setup_intents/object>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SetupIntent {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) customer: Option<String>,
    #[serde(default)]
    pub(crate) payment_method: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}
