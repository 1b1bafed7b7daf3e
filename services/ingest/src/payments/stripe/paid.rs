//! What an intent whose money is taken says to the ledger: the same that whoever ordered it would have said.

use tollbooth_schemas::v1::{self, PurchaseSource};
use tollbooth_schemas::{AccountId, Amount, Money};

use super::objects::{Intent, IntentStatus};
use super::{ACCOUNT, AMOUNT, NAME, Occasion, PAYMENT, SOURCE, minor_units};

/// A payment that is to be posted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paid {
    pub(crate) account_id: AccountId,
    pub(crate) posting: v1::PostPurchase,
    /// In words, as [`crate::commands::posting_identity`] takes it.
    pub(crate) source: &'static str,
}

/// Why an intent is nothing to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPaid {
    /// Something else is paid through the same Stripe account.
    #[error("it is not a payment of ours")]
    Foreign,
    /// Its money is not taken.
    #[error("its money is not taken")]
    Open,
    /// It is ours, and says something that we never wrote.
    #[error("it is not as it was ordered: somebody changed it at Stripe")]
    Changed,
    /// The ledger may have forgotten that it was posted.
    #[error("it is too old to be posted without a person's look")]
    TooOld,
}

impl Paid {
    /// What is to be posted of an intent; none that was made before `since_s`.
    pub(crate) fn of(intent: &Intent, since_s: i64) -> Result<Self, NotPaid> {
        let text = |key: &str| intent.metadata.get(key).map(String::as_str);
        let (Some(account), Some(payment_id)) = (text(ACCOUNT), text(PAYMENT)) else { return Err(NotPaid::Foreign) };
        if intent.status != IntentStatus::Succeeded {
            return Err(NotPaid::Open);
        }
        let occasion = Occasion::ALL.into_iter().find(|occasion| text(SOURCE) == Some(occasion.source()));
        let (Ok(account_id), Some(occasion), Some(amount)) =
            (account.parse(), occasion, text(AMOUNT).and_then(ordered))
        else {
            return Err(NotPaid::Changed);
        };
        let is_as_ordered = intent.currency.eq_ignore_ascii_case(&amount.currency)
            && minor_units(&amount) == Some(intent.amount_received);
        if !is_as_ordered {
            return Err(NotPaid::Changed);
        }
        if intent.created < since_s {
            return Err(NotPaid::TooOld);
        }
        let source = match occasion {
            Occasion::Purchase => PurchaseSource::Manual,
            Occasion::Recharge => PurchaseSource::AutoRecharge,
        };
        let posting = v1::PostPurchase {
            payment_id: payment_id.to_owned(),
            provider: NAME.to_owned(),
            amount_micros: amount.amount.micros(),
            source: source.into(),
        };
        Ok(Self { account_id, posting, source: occasion.source() })
    }
}

/// `"50.00 USD"`
fn ordered(text: &str) -> Option<Amount> {
    let (amount, currency) = text.split_once(' ')?;
    let amount: Money = amount.parse().ok()?;
    Some(Amount { amount, currency: currency.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn intent(change: impl FnOnce(&mut Value)) -> Intent {
        let mut value = json!({
            "id": "pi_1", "status": "succeeded", "amount": 5_000, "amount_received": 5_000, "currency": "usd",
            "created": 100, "livemode": false,
            "metadata": {"tollbooth_account": "acc_luna", "tollbooth_payment": "pay_1", "tollbooth_source": "manual",
                         "tollbooth_amount": "50.00 USD", "tollbooth_method": "saved"},
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_paid_is_posted_as_it_was_ordered() {
        let paid = Paid::of(&intent(|_| {}), 100).unwrap();
        assert_eq!((paid.account_id.as_str(), paid.source), ("acc_luna", "manual"));
        let expected = v1::PostPurchase {
            payment_id: "pay_1".to_owned(),
            provider: "stripe".to_owned(),
            amount_micros: 50_000_000,
            source: PurchaseSource::Manual.into(),
        };
        assert_eq!(paid.posting, expected);
        let recharge = intent(|intent| intent["metadata"]["tollbooth_source"] = json!("auto_recharge"));
        let paid = Paid::of(&recharge, 100).unwrap();
        assert_eq!((paid.posting.source, paid.source), (PurchaseSource::AutoRecharge.into(), "auto_recharge"));
    }

    #[test]
    fn what_is_not_ours_not_taken_changed_or_forgotten_is_not_posted() {
        type Change = fn(&mut Value);
        let cases: [(Change, NotPaid); 9] = [
            (|intent| intent["metadata"] = json!({}), NotPaid::Foreign),
            (|intent| intent["metadata"] = json!({"tollbooth_account": "acc_luna"}), NotPaid::Foreign),
            (|intent| intent["status"] = json!("processing"), NotPaid::Open),
            (|intent| intent["amount_received"] = json!(4_999), NotPaid::Changed),
            (|intent| intent["currency"] = json!("eur"), NotPaid::Changed),
            (|intent| intent["metadata"]["tollbooth_amount"] = json!("50.01 USD"), NotPaid::Changed),
            (|intent| intent["metadata"]["tollbooth_account"] = json!("luna"), NotPaid::Changed),
            (|intent| intent["metadata"]["tollbooth_source"] = json!("gift"), NotPaid::Changed),
            (|intent| intent["created"] = json!(99), NotPaid::TooOld),
        ];
        for (change, expected) in cases {
            assert_eq!(Paid::of(&intent(change), 100), Err(expected));
        }
    }
}
