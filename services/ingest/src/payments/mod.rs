//! Who takes the money of a purchase.

mod metered;
mod payers;
mod reasons;
mod sandbox;
pub(crate) mod stripe;

use std::fmt;
use std::pin::Pin;

use tollbooth_schemas::{AccountId, Amount, Money};

pub(crate) use metered::{Metered, PaymentMetrics};
pub(crate) use payers::Payers;
pub(crate) use reasons::text as reason_text;
pub(crate) use sandbox::{Confirmation, Sandbox};

/// A payment to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentOrder {
    /// Ours, a function of the request: the provider's idempotency key.
    pub(crate) payment_id: String,
    pub(crate) account_id: AccountId,
    pub(crate) amount: Amount,
    pub(crate) method: PaymentMethod,
    pub(crate) occasion: Occasion,
}

/// What a payment is for, and with that, whether somebody is there to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Somebody buys.
    Purchase,
    /// A rule does; nobody is there.
    Recharge,
}

impl Occasion {
    pub(crate) const ALL: [Self; 2] = [Self::Purchase, Self::Recharge];

    /// The source in the ledger, as text.
    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::Purchase => "manual",
            Self::Recharge => "auto_recharge",
        }
    }
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
        /// One of [`reasons`], snake case.
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
    /// The account has no saved one, and the order names none.
    #[error("the account has no saved payment method")]
    NoSavedMethod,
    /// The currency cannot be paid in that amount.
    #[error("the provider does not take this amount of this currency")]
    Amount,
    /// Nobody knows: it has to be asked again.
    #[error("the payment provider does not answer")]
    NoAnswer,
    /// The ledger may have forgotten what became of it, or nobody waits for it any more: no money is taken and nothing is
    /// to be posted.
    #[error("the payment is too old")]
    TooOld,
    /// The provider does not work for us, whoever pays. For whoever runs this to repair; then it has to be asked again, for
    /// an earlier try may have taken the money.
    #[error("the payment provider refuses this installation")]
    Unavailable,
}

/// What giving a purchase up came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// It takes no money any more, whoever repeats it.
    Canceled,
    /// Its money was taken first, so much: it is to be posted.
    Taken(Money),
    /// The bank is at it: nobody can say yet.
    UnderWay,
    /// The account has no such purchase.
    Unknown,
}

/// Giving up that is on its way.
pub(crate) type GivingUp<'a> = Pin<Box<dyn Future<Output = Result<GivenUp, PaymentError>> + Send + 'a>>;

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

    /// Says how the payment stands and takes no money for it; [`PaymentError::TooOld`] where none was asked for.
    fn look<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a>;

    /// Ends a purchase that waits for its payer, unless its money is taken: success wins, and whoever asks has to post it.
    fn give_up<'a>(&'a self, account_id: &'a AccountId, payment_id: &'a str) -> GivingUp<'a>;
}
