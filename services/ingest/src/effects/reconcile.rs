//! Asks Stripe for payments whose money is taken, and tells the ledger of them: what nobody else told (the client never
//! came back, the webhook was lost, a process died between Stripe's yes and the ledger) is posted so. The same for money that
//! went back. And gives up what waits for a payer who left.
//!
//! Said under keys of the payment's, the refund's and the dispute's ids, so that what was told before changes nothing. Several
//! processes may do it at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tollbooth_chassis::shutdown::Shutdown;

use super::metrics::{EffectsMetrics, Reconciled};
use crate::app::now_ms;
use crate::commands::CommandDesk;
use crate::config::IngestConfig;
use crate::payments::PaymentMetrics;
use crate::payments::stripe::{Cause, Ended, Intent, MethodError, NotPaid, Paid, Stripe, is_open_purchase};
use crate::produce::EdgeProducer;
use crate::settle::{Settled, Teller, since_s};

/// Who asks, in the ledger.
const ACTOR: &str = "effects";
const DAY_S: i64 = 86_400;
/// A payer may take days over a bank's confirmation, and Stripe's own webhooks come again for three.
const SHORT_S: i64 = 3 * DAY_S;
/// At the start and once a day: whatever stood still for so long is made good. Stripe keeps its events as long.
const LONG_S: i64 = 30 * DAY_S;
/// Pages of a hundred, of one round: beyond it the oldest are left out, and it is said.
const PAGES_MAX: usize = 1_000;

/// Why a round did not look at all payments, or the ledger does not know of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NotAll {
    #[error(transparent)]
    Provider(#[from] MethodError),
    /// What it did not answer comes in the next round.
    #[error("the ledger does not answer, or the provider about one payment")]
    Late,
    #[error("there are more than {PAGES_MAX} pages: the oldest were left out")]
    Pages,
}

/// How a round ended that came to its last page.
const fn ended(has_more: bool, is_whole: bool) -> Result<(), NotAll> {
    match (has_more, is_whole) {
        (true, _) => Err(NotAll::Pages),
        (false, false) => Err(NotAll::Late),
        (false, true) => Ok(()),
    }
}

/// What went back, as a list of Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Refunds,
    Disputes,
}

/// The task.
pub(super) struct Reconciliation {
    stripe: Arc<Stripe>,
    desk: CommandDesk,
    producer: Arc<EdgeProducer>,
    metrics: EffectsMetrics,
    payments: PaymentMetrics,
    every: Duration,
    after_s: i64,
    /// How long a purchase waits for its payer.
    life_s: i64,
    reply_timeout: Duration,
    age_max_ms: i64,
    /// Ids of intents, and of refunds and disputes with how they stood, that need not be told of again. No more than a long
    /// round and a day have.
    told: HashSet<String>,
    /// Those that a person is to look at: they are counted in every round, and logged once.
    logged: HashSet<String>,
    next_long_s: i64,
}

impl Reconciliation {
    pub(super) fn new(
        config: &IngestConfig,
        stripe: Arc<Stripe>,
        desk: CommandDesk,
        producer: Arc<EdgeProducer>,
        (metrics, payments): (EffectsMetrics, PaymentMetrics),
    ) -> Self {
        let section = &config.purchases.stripe;
        // Else a provider that never answers would never look stale.
        metrics.reconciled_at.set(now_ms() / 1_000);
        Self {
            stripe,
            desk,
            producer,
            metrics,
            payments,
            every: Duration::from_millis(section.reconcile_every_ms),
            after_s: i64::try_from(section.reconcile_after_ms / 1_000).unwrap_or(i64::MAX),
            life_s: i64::try_from(config.purchases.expire_after_ms / 1_000).unwrap_or(i64::MAX),
            reply_timeout: Duration::from_millis(config.commands.reply_timeout_ms),
            age_max_ms: config.payment_age_ms_max(),
            told: HashSet::new(),
            logged: HashSet::new(),
            next_long_s: 0,
        }
    }

    /// Round after round, until the shutdown.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        // The first round has the most to tell, right at the start.
        tokio::select! {
            () = shutdown.triggered() => {}
            () = self.desk.followed() => {}
        }
        while !shutdown.is_triggered() {
            let round = async {
                self.round().await;
                tokio::time::sleep(self.every).await;
            };
            tokio::select! {
                () = shutdown.triggered() => {}
                () = round => {}
            }
        }
    }

    async fn round(&mut self) {
        let now_s = now_ms() / 1_000;
        let is_long = now_s >= self.next_long_s;
        let mut seen = HashSet::new();
        let from_s = now_s - if is_long { LONG_S } else { SHORT_S };
        let looked = self.look_at_all(from_s, now_s, &mut seen).await;
        if is_long && matches!(looked, Ok(()) | Err(NotAll::Pages)) {
            self.told.retain(|id| seen.contains(id));
            self.logged.retain(|id| seen.contains(id));
        }
        match looked {
            Ok(()) => {
                if is_long {
                    self.next_long_s = now_s + DAY_S;
                }
                self.metrics.reconciled_at.set(now_s);
            }
            Err(error) => tracing::warn!(%error, "payments cannot be reconciled, trying again"),
        }
    }

    async fn look_at_all(&mut self, from_s: i64, now_s: i64, seen: &mut HashSet<String>) -> Result<(), NotAll> {
        let taken = self.look(from_s, now_s.saturating_sub(self.after_s), seen).await;
        let refunded = self.look_back(List::Refunds, from_s, seen).await;
        // A dispute takes its time: what it moved, and moved again, is of as long ago as the ledger is told of.
        let from_s = if from_s <= now_s - LONG_S { since_s(self.age_max_ms) } else { from_s };
        let disputed = self.look_back(List::Disputes, from_s, seen).await;
        taken.and(refunded).and(disputed)
    }

    async fn look(&mut self, from_s: i64, before_s: i64, seen: &mut HashSet<String>) -> Result<(), NotAll> {
        let mut behind = None;
        let mut is_whole = true;
        for _ in 0..PAGES_MAX {
            let (intents, next) = self.stripe.list(from_s, before_s, behind.as_deref()).await?;
            let is_live = self.stripe.is_live();
            for intent in intents.iter().filter(|intent| intent.livemode == is_live) {
                seen.insert(intent.id.clone());
                if !self.told.contains(&intent.id) {
                    is_whole &= self.see_to(intent).await;
                }
            }
            behind = next;
            if behind.is_none() {
                break;
            }
        }
        ended(behind.is_some(), is_whole)
    }

    /// Whether there is nothing left to do about it now.
    async fn see_to(&mut self, intent: &Intent) -> bool {
        match Paid::of(intent, since_s(self.age_max_ms)) {
            Ok(paid) => self.paid(intent, &paid).await,
            Err(NotPaid::Foreign) => true,
            Err(NotPaid::Open) => {
                let is_over = intent.created < now_ms() / 1_000 - self.life_s;
                if is_over && is_open_purchase(intent) { self.give_up(intent).await } else { true }
            }
            Err(why @ (NotPaid::Changed | NotPaid::TooOld)) => {
                self.metrics.reconciled(Reconciled::Refused);
                if self.logged.insert(intent.id.clone()) {
                    tracing::error!(intent = intent.id, %why, "money is taken that is not posted");
                }
                true
            }
        }
    }

    async fn paid(&mut self, intent: &Intent, paid: &Paid) -> bool {
        let what = match self.teller().paid(paid).await {
            Settled::Nothing | Settled::Known => Reconciled::Known,
            Settled::Posted => {
                let (payment_id, account_id) = (&paid.posting.payment_id, &paid.account_id);
                tracing::warn!(payment_id, %account_id, "a payment that nobody told of is posted");
                Reconciled::Posted
            }
            Settled::Unclear | Settled::Refused => Reconciled::Refused,
            Settled::Late => Reconciled::Late,
        };
        self.metrics.reconciled(what);
        if matches!(what, Reconciled::Posted | Reconciled::Known) {
            self.told.insert(intent.id.clone());
        }
        what != Reconciled::Late
    }

    /// Its payer left. Whoever pays at the last moment is posted instead.
    async fn give_up(&mut self, intent: &Intent) -> bool {
        match self.stripe.end(intent, Cause::Left).await {
            Ok(Ended::Canceled) => {
                tracing::info!(intent = intent.id, "a purchase that its payer left is given up");
                self.metrics.reconciled(Reconciled::Expired);
                true
            }
            // As every other one that is taken, in this round already.
            Ok(Ended::Taken(taken)) => match Paid::of(&taken, since_s(self.age_max_ms)) {
                Ok(paid) => self.paid(&taken, &paid).await,
                Err(_) => true,
            },
            Ok(Ended::UnderWay) => true,
            Err(error) => {
                tracing::warn!(intent = intent.id, ?error, "a purchase that its payer left cannot be given up yet");
                false
            }
        }
    }

    /// What went back, by one of Stripe's lists.
    async fn look_back(&mut self, list: List, from_s: i64, seen: &mut HashSet<String>) -> Result<(), NotAll> {
        let mut behind: Option<String> = None;
        let mut is_whole = true;
        for _ in 0..PAGES_MAX {
            // Each as it stands, and the intent that it is of.
            let (found, next): (Vec<(String, Option<String>)>, _) = match list {
                List::Refunds => {
                    let (refunds, next) = self.stripe.list_refunds(from_s, behind.as_deref()).await?;
                    let of = |refund: crate::payments::stripe::Refund| {
                        (format!("{} {}", refund.id, refund.status.unwrap_or_default()), refund.payment_intent)
                    };
                    (refunds.into_iter().map(of).collect(), next)
                }
                List::Disputes => {
                    let (disputes, next) = self.stripe.list_disputes(from_s, behind.as_deref()).await?;
                    let of = |dispute: crate::payments::stripe::Dispute| {
                        (format!("{} {}", dispute.id, dispute.balance_transactions.len()), dispute.payment_intent)
                    };
                    (disputes.into_iter().map(of).collect(), next)
                }
            };
            for (state, intent_id) in found {
                let Some(intent_id) = intent_id else { continue };
                seen.insert(state.clone());
                if !self.told.contains(&state) {
                    is_whole &= self.went_back(state, &intent_id).await;
                }
            }
            behind = next;
            if behind.is_none() {
                break;
            }
        }
        ended(behind.is_some(), is_whole)
    }

    async fn went_back(&mut self, state: String, intent_id: &str) -> bool {
        let since_s = since_s(self.age_max_ms);
        match self.teller().went_back(&self.stripe, &self.payments, intent_id, since_s).await {
            Settled::Nothing | Settled::Known | Settled::Posted => {
                self.told.insert(state);
                true
            }
            Settled::Unclear | Settled::Refused => {
                self.metrics.reconciled(Reconciled::Refused);
                true
            }
            Settled::Late => {
                self.metrics.reconciled(Reconciled::Late);
                false
            }
        }
    }

    fn teller(&self) -> Teller<'_> {
        Teller { desk: &self.desk, producer: &self.producer, patience: self.reply_timeout, actor: ACTOR }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_left_pages_or_answers_out_is_not_whole() {
        assert_eq!(ended(false, true), Ok(()));
        assert_eq!(ended(false, false), Err(NotAll::Late));
        assert_eq!((ended(true, true), ended(true, false)), (Err(NotAll::Pages), Err(NotAll::Pages)));
    }
}
