//! Who takes the money of a purchase.

mod sandbox;

use std::fmt;
use std::pin::Pin;

use tollbooth_schemas::{AccountId, Amount};

pub(crate) use sandbox::{Confirmation, Sandbox};

/// A payment to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentOrder {
    /// Ours, a function of the request: the provider's idempotency key.
    pub(crate) payment_id: String,
    pub(crate) account_id: AccountId,
    pub(crate) amount: Amount,
    pub(crate) method: PaymentMethod,
}

/// What names how to pay; absent: the one that the provider has saved for the account. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PaymentMethod(pub(crate) Option<String>);

impl fmt::Debug for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentMethod")
    }
}

/// How a payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payment {
    /// The money is taken.
    Succeeded,
    /// The payer must do something there first.
    NeedsAction {
        /// Where, a URI reference.
        url: String,
    },
    /// For good: another try is another payment.
    Failed {
        /// The provider's code, snake case.
        reason: &'static str,
    },
}

/// Why a provider does not say how a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PaymentError {
    /// The payment's id was used for another order.
    #[error("the payment was ordered otherwise before")]
    Mismatch,
    /// There is no such way to pay.
    #[error("the provider does not know this payment method")]
    UnknownMethod,
}

/// An answer that is on its way.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Payment, PaymentError>> + Send + 'a>>;

/// A payment provider.
pub(crate) trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Its name in the ledger.
    fn name(&self) -> &'static str;

    /// Whether no real money moves.
    fn is_sandbox(&self) -> bool;

    /// Makes the payment, or says how the one with this id stands *now*: the same order may come any number of times, and
    /// takes money once. May never answer; whether the money was taken is then unknown until it is asked again.
    fn pay<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a>;
}
