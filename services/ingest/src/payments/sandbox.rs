//! A provider that takes no money: what becomes of a payment is the test card's word.
//!
//! It remembers payments as a provider does, but in memory: after a restart a payment begins anew. That takes nothing
//! from anybody, and the ledger posts it once all the same.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::{Answer, Payment, PaymentError, PaymentOrder, PaymentProvider};

/// Payments remembered; of more the oldest is forgotten.
const PAYMENTS_MAX: usize = 10_000;

/// What a test card does. The numbers are those that payment providers publish for tests; none of them is anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Card {
    Approves,
    Declines,
    NeedsAction,
    /// Takes the money and answers nothing, the first time.
    TimesOut,
}

impl Card {
    /// Absent: the card that the account is taken to have saved.
    fn of(number: Option<&str>) -> Option<Self> {
        match number {
            None | Some("4242424242424242") => Some(Self::Approves),
            Some("4000000000000002") => Some(Self::Declines),
            Some("4000002500003155") => Some(Self::NeedsAction),
            Some("4000000000000119") => Some(Self::TimesOut),
            Some(_) => None,
        }
    }
}

/// What the payer did where an action was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    Approved,
    Declined,
}

#[derive(Debug)]
struct Remembered {
    order: PaymentOrder,
    stands: Payment,
}

#[derive(Debug, Default)]
struct Payments {
    by_id: HashMap<String, Remembered>,
    /// Oldest first.
    ids: VecDeque<String>,
}

/// The sandbox of one process.
#[derive(Debug, Default)]
pub(crate) struct Sandbox(Mutex<Payments>);

impl Sandbox {
    /// Plays the payer's part. `false`: the account has no such payment that needs an action here, or had another one
    /// done to it.
    pub(crate) fn confirm(&self, account_id: &str, payment_id: &str, confirmation: Confirmation) -> bool {
        let wanted = match confirmation {
            Confirmation::Approved => Payment::Succeeded,
            Confirmation::Declined => declined(),
        };
        let mut payments = self.0.lock();
        let found = payments.by_id.get_mut(payment_id);
        let Some(payment) = found.filter(|payment| payment.order.account_id.as_str() == account_id) else {
            return false;
        };
        if matches!(payment.stands, Payment::NeedsAction { .. }) {
            payment.stands = wanted.clone();
        }
        payment.stands == wanted
    }

    /// How a payment stands, and whether that is answered.
    fn stands(&self, order: &PaymentOrder) -> Result<(Payment, bool), PaymentError> {
        let card = Card::of(order.method.0.as_deref()).ok_or(PaymentError::UnknownMethod)?;
        let mut payments = self.0.lock();
        if let Some(known) = payments.by_id.get(&order.payment_id) {
            return if known.order == *order { Ok((known.stands.clone(), true)) } else { Err(PaymentError::Mismatch) };
        }
        let stands = match card {
            Card::Approves | Card::TimesOut => Payment::Succeeded,
            Card::Declines => declined(),
            Card::NeedsAction => {
                let PaymentOrder { account_id, payment_id, .. } = order;
                Payment::NeedsAction { url: format!("/v1/accounts/{account_id}/purchases/{payment_id}/confirm") }
            }
        };
        payments.remember(Remembered { order: order.clone(), stands: stands.clone() });
        Ok((stands, card != Card::TimesOut))
    }
}

impl Payments {
    fn remember(&mut self, payment: Remembered) {
        if self.ids.len() >= PAYMENTS_MAX
            && let Some(oldest) = self.ids.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.ids.push_back(payment.order.payment_id.clone());
        self.by_id.insert(payment.order.payment_id.clone(), payment);
    }
}

fn declined() -> Payment {
    Payment::Failed { reason: "card_declined" }
}

impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn is_sandbox(&self) -> bool {
        true
    }

    fn pay<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a> {
        Box::pin(async move {
            let (stands, is_answered) = self.stands(order)?;
            if !is_answered {
                std::future::pending::<()>().await;
            }
            Ok(stands)
        })
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::Amount;

    use super::super::{Occasion, PaymentMethod};
    use super::*;

    fn order(payment_id: &str, card: &str) -> PaymentOrder {
        PaymentOrder {
            payment_id: payment_id.to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            amount: Amount { amount: "50".parse().unwrap(), currency: "USD".to_owned() },
            method: PaymentMethod(Some(card.to_owned())),
            occasion: Occasion::Purchase,
        }
    }

    #[test]
    fn a_payment_stands_as_it_stood_whoever_asks_how_often() {
        let sandbox = Sandbox::default();
        for (card, stands) in [("4242424242424242", Payment::Succeeded), ("4000000000000002", declined())] {
            for _ in 0..2 {
                assert_eq!(sandbox.stands(&order(card, card)), Ok((stands.clone(), true)));
            }
        }
        assert_eq!(sandbox.stands(&order("pay_1", "4111111111111111")), Err(PaymentError::UnknownMethod));
    }

    #[test]
    fn a_time_out_is_one_of_the_answer_and_not_of_the_payment() {
        let sandbox = Sandbox::default();
        assert_eq!(sandbox.stands(&order("pay_1", "4000000000000119")), Ok((Payment::Succeeded, false)));
        assert_eq!(sandbox.stands(&order("pay_1", "4000000000000119")), Ok((Payment::Succeeded, true)));
    }

    #[test]
    fn an_id_is_for_one_order() {
        let sandbox = Sandbox::default();
        sandbox.stands(&order("pay_1", "4242424242424242")).unwrap();
        let mut dearer = order("pay_1", "4242424242424242");
        dearer.amount.amount = "51".parse().unwrap();
        assert_eq!(sandbox.stands(&dearer), Err(PaymentError::Mismatch));
    }

    #[test]
    fn the_payers_action_counts_once_and_for_the_own_account() {
        let sandbox = Sandbox::default();
        let confirm = |account, id, what| sandbox.confirm(account, id, what);
        let needed = order("pay_1", "4000002500003155");
        assert!(!confirm("acc_luna", "pay_1", Confirmation::Approved), "nobody ordered it yet");
        assert!(matches!(sandbox.stands(&needed), Ok((Payment::NeedsAction { .. }, true))));
        assert!(!confirm("acc_sol", "pay_1", Confirmation::Approved));
        assert!(confirm("acc_luna", "pay_1", Confirmation::Declined));
        assert!(confirm("acc_luna", "pay_1", Confirmation::Declined), "a repeat");
        assert!(!confirm("acc_luna", "pay_1", Confirmation::Approved), "it failed for good");
        assert_eq!(sandbox.stands(&needed), Ok((declined(), true)));
    }

    #[test]
    fn of_too_many_payments_the_oldest_is_forgotten() {
        let sandbox = Sandbox::default();
        for index in 0..=PAYMENTS_MAX {
            sandbox.stands(&order(&format!("pay_{index}"), "4242424242424242")).unwrap();
        }
        let payments = sandbox.0.lock();
        assert_eq!((payments.by_id.len(), payments.ids.len()), (PAYMENTS_MAX, PAYMENTS_MAX));
        assert!(!payments.by_id.contains_key("pay_0") && payments.by_id.contains_key("pay_1"));
    }
}
