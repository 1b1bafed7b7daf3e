//! A provider that takes no money: what becomes of a payment is the test card's word.
//!
//! It remembers payments as a provider does, but in memory: after a restart a payment begins anew. That takes nothing
//! from anybody, and the ledger posts it once all the same.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tollbooth_schemas::AccountId;

use super::{Answer, GivenUp, GivingUp, Payment, PaymentError, PaymentOrder, PaymentProvider};

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
    made_at: Instant,
}

#[derive(Debug, Default)]
struct Payments {
    by_id: HashMap<String, Remembered>,
    /// Oldest first.
    ids: VecDeque<String>,
}

/// The sandbox of one process.
#[derive(Debug)]
pub(crate) struct Sandbox {
    payments: Mutex<Payments>,
    /// How long a payment waits for its payer.
    expire_after: Duration,
}

impl Sandbox {
    pub(crate) fn new(expire_after: Duration) -> Self {
        Self { payments: Mutex::default(), expire_after }
    }

    /// Plays the payer's part. `false`: the account has no such payment that needs an action here, or had another one
    /// done to it.
    pub(crate) fn confirm(&self, account_id: &str, payment_id: &str, confirmation: Confirmation) -> bool {
        let wanted = match confirmation {
            Confirmation::Approved => Payment::Succeeded,
            Confirmation::Declined => not_confirmed(),
        };
        let mut payments = self.payments.lock();
        let Some(payment) = payments.of(account_id, payment_id) else { return false };
        payment.expire(Instant::now(), self.expire_after);
        if matches!(payment.stands, Payment::NeedsAction { .. }) {
            payment.stands = wanted.clone();
        }
        payment.stands == wanted
    }

    /// See [`PaymentProvider::give_up`].
    fn end(&self, account_id: &str, payment_id: &str) -> GivenUp {
        let mut payments = self.payments.lock();
        let Some(payment) = payments.of(account_id, payment_id) else { return GivenUp::Unknown };
        match payment.stands {
            Payment::Succeeded => GivenUp::Taken(payment.order.amount.amount),
            Payment::Failed { .. } => GivenUp::Canceled,
            Payment::NeedsAction { .. } => {
                payment.stands = canceled();
                GivenUp::Canceled
            }
        }
    }

    /// How a payment stands at an instant, and whether that is answered.
    fn stands(&self, order: &PaymentOrder, now: Instant) -> Result<(Payment, bool), PaymentError> {
        let card = Card::of(order.method.0.as_deref()).ok_or(PaymentError::UnknownMethod)?;
        let mut payments = self.payments.lock();
        if let Some(known) = payments.by_id.get_mut(&order.payment_id) {
            known.expire(now, self.expire_after);
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
        payments.remember(Remembered { order: order.clone(), stands: stands.clone(), made_at: now });
        Ok((stands, card != Card::TimesOut))
    }
}

impl Remembered {
    /// A payer who did nothing for so long left.
    fn expire(&mut self, now: Instant, after: Duration) {
        let is_over = now.saturating_duration_since(self.made_at) >= after;
        if is_over && matches!(self.stands, Payment::NeedsAction { .. }) {
            self.stands = canceled();
        }
    }
}

impl Payments {
    fn of(&mut self, account_id: &str, payment_id: &str) -> Option<&mut Remembered> {
        self.by_id.get_mut(payment_id).filter(|payment| payment.order.account_id.as_str() == account_id)
    }

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

fn not_confirmed() -> Payment {
    Payment::Failed { reason: "authentication_failed" }
}

fn canceled() -> Payment {
    Payment::Failed { reason: "canceled" }
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
            let (stands, is_answered) = self.stands(order, Instant::now())?;
            if !is_answered {
                std::future::pending::<()>().await;
            }
            Ok(stands)
        })
    }

    fn look<'a>(&'a self, order: &'a PaymentOrder) -> Answer<'a> {
        Box::pin(async move {
            let payments = self.payments.lock();
            let known = payments.by_id.get(&order.payment_id).filter(|known| known.order == *order);
            known.map(|known| known.stands.clone()).ok_or(PaymentError::TooOld)
        })
    }

    fn give_up<'a>(&'a self, account_id: &'a AccountId, payment_id: &'a str) -> GivingUp<'a> {
        Box::pin(async move { Ok(self.end(account_id.as_str(), payment_id)) })
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

    const DAY: Duration = Duration::from_secs(86_400);

    fn sandbox() -> Sandbox {
        Sandbox::new(DAY)
    }

    fn stands(sandbox: &Sandbox, order: &PaymentOrder) -> Result<(Payment, bool), PaymentError> {
        sandbox.stands(order, Instant::now())
    }

    #[test]
    fn what_is_given_up_takes_nothing_and_what_was_taken_is_not_given_up() {
        let sandbox = sandbox();
        let needed = order("pay_1", "4000002500003155");
        assert_eq!(sandbox.end("acc_luna", "pay_1"), GivenUp::Unknown);
        stands(&sandbox, &needed).unwrap();
        assert_eq!(sandbox.end("acc_sol", "pay_1"), GivenUp::Unknown);
        for _ in 0..2 {
            assert_eq!(sandbox.end("acc_luna", "pay_1"), GivenUp::Canceled);
        }
        assert!(!sandbox.confirm("acc_luna", "pay_1", Confirmation::Approved));
        assert_eq!(stands(&sandbox, &needed), Ok((canceled(), true)));
        // The payer was quicker.
        let quick = order("pay_2", "4000002500003155");
        stands(&sandbox, &quick).unwrap();
        assert!(sandbox.confirm("acc_luna", "pay_2", Confirmation::Approved));
        assert_eq!(sandbox.end("acc_luna", "pay_2"), GivenUp::Taken("50".parse().unwrap()));
        assert_eq!(stands(&sandbox, &quick), Ok((Payment::Succeeded, true)));
    }

    #[test]
    fn a_payer_who_stays_away_loses_the_payment_and_who_paid_does_not() {
        let sandbox = sandbox();
        let begin = Instant::now();
        let (needed, paid) = (order("pay_1", "4000002500003155"), order("pay_2", "4242424242424242"));
        for order in [&needed, &paid] {
            sandbox.stands(order, begin).unwrap();
        }
        let waits = |at| matches!(sandbox.stands(&needed, at), Ok((Payment::NeedsAction { .. }, true)));
        assert!(waits(begin + DAY - Duration::from_millis(1)));
        assert!(!waits(begin + DAY));
        assert_eq!(sandbox.stands(&needed, begin), Ok((canceled(), true)), "for good");
        assert_eq!(sandbox.stands(&paid, begin + DAY), Ok((Payment::Succeeded, true)));
    }

    #[test]
    fn a_payment_stands_as_it_stood_whoever_asks_how_often() {
        let sandbox = sandbox();
        for (card, expected) in [("4242424242424242", Payment::Succeeded), ("4000000000000002", declined())] {
            for _ in 0..2 {
                assert_eq!(stands(&sandbox, &order(card, card)), Ok((expected.clone(), true)));
            }
        }
        assert_eq!(stands(&sandbox, &order("pay_1", "4111111111111111")), Err(PaymentError::UnknownMethod));
    }

    #[test]
    fn a_time_out_is_one_of_the_answer_and_not_of_the_payment() {
        let sandbox = sandbox();
        assert_eq!(stands(&sandbox, &order("pay_1", "4000000000000119")), Ok((Payment::Succeeded, false)));
        assert_eq!(stands(&sandbox, &order("pay_1", "4000000000000119")), Ok((Payment::Succeeded, true)));
    }

    #[test]
    fn an_id_is_for_one_order() {
        let sandbox = sandbox();
        stands(&sandbox, &order("pay_1", "4242424242424242")).unwrap();
        let mut dearer = order("pay_1", "4242424242424242");
        dearer.amount.amount = "51".parse().unwrap();
        assert_eq!(stands(&sandbox, &dearer), Err(PaymentError::Mismatch));
    }

    #[test]
    fn the_payers_action_counts_once_and_for_the_own_account() {
        let sandbox = sandbox();
        let confirm = |account, id, what| sandbox.confirm(account, id, what);
        let needed = order("pay_1", "4000002500003155");
        assert!(!confirm("acc_luna", "pay_1", Confirmation::Approved), "nobody ordered it yet");
        assert!(matches!(stands(&sandbox, &needed), Ok((Payment::NeedsAction { .. }, true))));
        assert!(!confirm("acc_sol", "pay_1", Confirmation::Approved));
        assert!(confirm("acc_luna", "pay_1", Confirmation::Declined));
        assert!(confirm("acc_luna", "pay_1", Confirmation::Declined), "a repeat");
        assert!(!confirm("acc_luna", "pay_1", Confirmation::Approved), "it failed for good");
        assert_eq!(stands(&sandbox, &needed), Ok((not_confirmed(), true)));
    }

    #[test]
    fn of_too_many_payments_the_oldest_is_forgotten() {
        let sandbox = sandbox();
        for index in 0..=PAYMENTS_MAX {
            stands(&sandbox, &order(&format!("pay_{index}"), "4242424242424242")).unwrap();
        }
        let payments = sandbox.payments.lock();
        assert_eq!((payments.by_id.len(), payments.ids.len()), (PAYMENTS_MAX, PAYMENTS_MAX));
        assert!(!payments.by_id.contains_key("pay_0") && payments.by_id.contains_key("pay_1"));
    }
}
