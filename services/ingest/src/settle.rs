//! Telling the ledger what became of a payment at Stripe: that its money was taken, that it went back, that it came again.
//!
//! Whoever tells (a webhook, reconciliation) reads at Stripe how things stand and says each movement under a key of its own,
//! so that each is posted once. The payment comes first: nothing is taken off that was never put on.

use std::time::Duration;

use tollbooth_schemas::AccountId;
use tollbooth_schemas::v1::{command::Body, reply::Outcome};

use crate::app::now_ms;
use crate::commands::{CommandDesk, Order, ask, posting_identity};
use crate::payments::PaymentMetrics;
use crate::payments::stripe::{CallError, Movement, Movements, NotPaid, Paid, Stripe};
use crate::produce::EdgeProducer;

/// What came of telling; of several the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Settled {
    /// Nothing of ours.
    Nothing,
    /// The ledger knew all of it.
    Known,
    /// It stands there now.
    Posted,
    /// A person has to look: asking again does not help.
    Unclear,
    /// The ledger refuses something.
    Refused,
    /// Somebody did not answer: it has to be asked again.
    Late,
}

/// Who tells.
#[derive(Clone, Copy)]
pub(crate) struct Teller<'a> {
    pub(crate) desk: &'a CommandDesk,
    pub(crate) producer: &'a EdgeProducer,
    pub(crate) patience: Duration,
    /// In the ledger.
    pub(crate) actor: &'static str,
}

impl Teller<'_> {
    /// That a payment's money is taken.
    pub(crate) async fn paid(&self, paid: &Paid) -> Settled {
        let (key, hash) = posting_identity(&paid.posting, paid.source);
        let body = Body::PostPurchase(paid.posting.clone());
        self.tell(&paid.account_id, &paid.posting.payment_id, (key, hash, body)).await
    }

    /// In their order: nothing comes again that was not taken.
    async fn all_moved(&self, paid: &Paid, movements: &[Movement], metrics: &PaymentMetrics, since_s: i64) -> Settled {
        let (Some(first), Some(last)) = (movements.first(), movements.last()) else { return Settled::Nothing };
        if first.at_s < since_s {
            // Whether the ledger was ever told of the first is not to be known any more, and giving alone would be a gift.
            if last.at_s < since_s {
                return Settled::Nothing;
            }
            let payment_id = &paid.posting.payment_id;
            tracing::error!(payment_id, ?last, "money came again that went too long ago: post an adjustment");
            return Settled::Unclear;
        }
        let mut outcome = Settled::Nothing;
        for movement in movements {
            outcome = outcome.max(self.moved(paid, movement, metrics).await);
            if outcome > Settled::Posted {
                break;
            }
        }
        outcome
    }

    async fn moved(&self, paid: &Paid, movement: &Movement, metrics: &PaymentMetrics) -> Settled {
        let (account_id, payment_id) = (&paid.account_id, paid.posting.payment_id.as_str());
        if let Some(stop) = movement.stop() {
            let stopped = self.tell(account_id, payment_id, stop).await;
            if stopped > Settled::Posted {
                return stopped;
            }
        }
        let settled = self.tell(account_id, payment_id, movement.posting(payment_id)).await;
        if settled == Settled::Posted {
            metrics.returned(movement.way);
            tracing::warn!(payment_id, %account_id, ?movement, "money of a payment moved at the provider");
        }
        settled
    }

    async fn tell(&self, account_id: &AccountId, payment_id: &str, command: (String, Vec<u8>, Body)) -> Settled {
        let (idempotency_key, body_hash, body) = command;
        let order = Order { account_id, idempotency_key: &idempotency_key, body_hash, actor: self.actor, body };
        let reply = ask(self.desk, self.producer, self.patience, order).await;
        let reply = reply.inspect_err(|error| tracing::warn!(payment_id, %error, "the ledger cannot be told"));
        match reply.ok().flatten().and_then(|reply| reply.outcome) {
            Some(Outcome::Accepted(accepted)) if accepted.replayed => Settled::Known,
            Some(Outcome::Accepted(_)) => Settled::Posted,
            Some(Outcome::Rejected(rejected)) => {
                let code = rejected.code;
                tracing::error!(payment_id, %account_id, code, idempotency_key, "the ledger refuses what the provider did");
                Settled::Refused
            }
            None => Settled::Late,
        }
    }

    /// Everything that moved of an intent's money. What moved before `since_s` is not told of: the ledger may have forgotten
    /// that it knows it.
    pub(crate) async fn went_back(
        &self,
        stripe: &Stripe,
        metrics: &PaymentMetrics,
        intent_id: &str,
        since_s: i64,
    ) -> Settled {
        let intent = match stripe.read(intent_id).await {
            Ok(intent) => intent,
            Err(error) => return of_reading(intent_id, &error),
        };
        let paid = match Paid::of(&intent, i64::MIN) {
            Ok(paid) => paid,
            Err(NotPaid::Foreign | NotPaid::Open | NotPaid::TooOld) => return Settled::Nothing,
            Err(why @ NotPaid::Changed) => {
                tracing::error!(intent_id, %why, "money went back of a payment that was not posted");
                return Settled::Unclear;
            }
        };
        if intent.created >= since_s {
            let posted = self.paid(&paid).await;
            if posted > Settled::Posted {
                return posted;
            }
        }
        let (refunds, disputes) = match (stripe.refunds_of(intent_id).await, stripe.disputes_of(intent_id).await) {
            (Ok(refunds), Ok(disputes)) => (refunds, disputes),
            (Err(error), _) | (_, Err(error)) => return of_reading(intent_id, &error),
        };
        let refunds = refunds.iter().map(|refund| Movements::of_refund(refund, &intent.currency));
        let disputes = disputes.iter().map(|dispute| Movements::of_dispute(dispute, &intent.currency));
        let mut outcome = Settled::Nothing;
        for Movements { movements, is_clear } in refunds.chain(disputes) {
            if !is_clear {
                tracing::error!(intent_id, "what moved of a payment's money is not clear: look at it at the provider");
                outcome = outcome.max(Settled::Unclear);
            }
            outcome = outcome.max(self.all_moved(&paid, &movements, metrics, since_s).await);
        }
        outcome
    }
}

/// Since when what moved is told of.
pub(crate) fn since_s(age_ms_max: i64) -> i64 {
    (now_ms() - age_ms_max) / 1_000
}

fn of_reading(intent_id: &str, error: &CallError) -> Settled {
    match error {
        CallError::NoAnswer | CallError::Unauthorized => Settled::Late,
        CallError::Refused(_) | CallError::Declined(_) => {
            tracing::error!(intent_id, ?error, "the payment provider does not say what moved of a payment's money");
            Settled::Unclear
        }
    }
}
