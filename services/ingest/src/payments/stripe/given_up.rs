//! Giving a purchase up: the intent is canceled at Stripe, unless its money was taken first.
//!
//! Stripe decides which of the two came first: it cancels no intent that succeeded, and takes no money by one that is
//! canceled. What it refuses to cancel is read anew and says itself how it stands.

use tollbooth_schemas::AccountId;

use super::client::CallError;
use super::objects::{Intent, IntentStatus};
use super::{ACCOUNT, NotPaid, Occasion, PAYMENT, Paid, SOURCE, Stripe, of_reading};
use crate::payments::{GivenUp, PaymentError};

/// Why an intent is canceled, as Stripe has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Whoever buys says so.
    Asked,
    /// Nobody came back to it.
    Left,
}

impl Cause {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Asked => "requested_by_customer",
            Self::Left => "abandoned",
        }
    }
}

/// How an intent stands after it was to be canceled.
#[derive(Debug)]
pub(crate) enum Ended {
    Canceled,
    /// Its money is taken.
    Taken(Box<Intent>),
    UnderWay,
}

/// Whether an intent is a purchase of ours by hand that still could take money. A recharge has nobody to wait for: the
/// ledger ends it.
pub(crate) fn is_open_purchase(intent: &Intent) -> bool {
    let is_ours = intent.metadata.contains_key(ACCOUNT) && intent.metadata.contains_key(PAYMENT);
    let is_by_hand = intent.metadata.get(SOURCE).is_some_and(|source| source == Occasion::Purchase.source());
    is_ours && is_by_hand && is_open(intent.status)
}

/// Whether Stripe may take money by it yet, and lets it be canceled.
const fn is_open(status: IntentStatus) -> bool {
    matches!(
        status,
        IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation | IntentStatus::RequiresAction
    )
}

impl Stripe {
    /// Cancels an intent, or says what came first.
    pub(crate) async fn end(&self, intent: &Intent, cause: Cause) -> Result<Ended, CallError> {
        let after = if is_open(intent.status) {
            match self.cancel(&intent.id, cause.text()).await {
                Ok(after) => after,
                // It succeeded meanwhile, or the bank is at it.
                Err(CallError::Refused(_) | CallError::Declined(_)) => self.read(&intent.id).await?,
                Err(error) => return Err(error),
            }
        } else {
            intent.clone()
        };
        Ok(match after.status {
            IntentStatus::Canceled => Ended::Canceled,
            IntentStatus::Succeeded => Ended::Taken(Box::new(after)),
            _ => Ended::UnderWay,
        })
    }

    /// As [`crate::payments::PaymentProvider::give_up`]; `customer_id` is the account's. What was made before `since_s` is
    /// not posted.
    pub(super) async fn give_up(
        &self,
        account_id: &AccountId,
        payment_id: &str,
        customer_id: Option<&str>,
        since_s: i64,
    ) -> Result<GivenUp, PaymentError> {
        let is_theirs = |intent: &Intent| {
            let says = |key: &str, text: &str| intent.metadata.get(key).is_some_and(|found| found == text);
            says(ACCOUNT, account_id.as_str()) && says(PAYMENT, payment_id) && says(SOURCE, Occasion::Purchase.source())
        };
        let reading = |error: CallError| of_reading(&error);
        let mut known = self.find_all(payment_id).await.map_err(reading)?;
        if known.is_empty()
            && let Some(customer_id) = customer_id
        {
            // Who leaves the bank's page at once is quicker than the search, which is up to a minute behind.
            known = self.newest_of(customer_id).await.map_err(reading)?;
        }
        known.retain(is_theirs);
        let mut outcome = GivenUp::Unknown;
        // As a rule it is one. None of them may be left that a repeat of the purchase could confirm.
        for intent in &known {
            match self.end(intent, Cause::Asked).await.map_err(reading)? {
                Ended::Taken(intent) => return taken(&intent, since_s),
                Ended::UnderWay => outcome = GivenUp::UnderWay,
                Ended::Canceled if outcome == GivenUp::Unknown => outcome = GivenUp::Canceled,
                Ended::Canceled => {}
            }
        }
        Ok(outcome)
    }
}

fn taken(intent: &Intent, since_s: i64) -> Result<GivenUp, PaymentError> {
    match Paid::of(intent, since_s) {
        Ok(paid) => {
            let amount = tollbooth_schemas::Money::from_micros(paid.posting.amount_micros);
            Ok(GivenUp::Taken(amount.ok_or(PaymentError::Mismatch)?))
        }
        Err(NotPaid::TooOld) => Err(PaymentError::TooOld),
        Err(NotPaid::Changed | NotPaid::Foreign) => Err(PaymentError::Mismatch),
        Err(NotPaid::Open) => Err(PaymentError::NoAnswer),
    }
}
