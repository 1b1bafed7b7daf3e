//! Asks Stripe for payments whose money is taken, and tells the ledger of them: what nobody else told (the client never
//! came back, the webhook was lost, a process died between Stripe's yes and the ledger) is posted so.
//!
//! Said under the payment's id, so that what was told before changes nothing. Several processes may do it at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::v1::{command::Body, reply::Outcome};

use super::metrics::{EffectsMetrics, Reconciled};
use crate::app::now_ms;
use crate::commands::{CommandDesk, Order, ask, posting_identity};
use crate::config::IngestConfig;
use crate::payments::stripe::{MethodError, NotPaid, Paid, Stripe};
use crate::produce::EdgeProducer;

/// Who asks, in the ledger.
const ACTOR: &str = "effects";
const DAY_S: i64 = 86_400;
/// A payer may take days over a bank's confirmation, and Stripe's own webhooks come again for three.
const SHORT_S: i64 = 3 * DAY_S;
/// At the start and once a day: whatever stood still for so long is made good. Stripe keeps its events as long.
const LONG_S: i64 = 30 * DAY_S;
/// Pages of a hundred, of one round: beyond it the oldest are left out, and it is said.
const PAGES_MAX: usize = 1_000;

/// The task.
pub(super) struct Reconciliation {
    stripe: Arc<Stripe>,
    desk: CommandDesk,
    producer: Arc<EdgeProducer>,
    metrics: EffectsMetrics,
    every: Duration,
    after_s: i64,
    reply_timeout: Duration,
    age_max_ms: i64,
    /// Ids of intents that need not be told of again. No more than a long round and a day have.
    told: HashSet<String>,
    next_long_s: i64,
}

impl Reconciliation {
    pub(super) fn new(
        config: &IngestConfig,
        stripe: Arc<Stripe>,
        desk: CommandDesk,
        producer: Arc<EdgeProducer>,
        metrics: EffectsMetrics,
    ) -> Self {
        let section = &config.purchases.stripe;
        Self {
            stripe,
            desk,
            producer,
            metrics,
            every: Duration::from_millis(section.reconcile_every_ms),
            after_s: i64::try_from(section.reconcile_after_ms / 1_000).unwrap_or(i64::MAX),
            reply_timeout: Duration::from_millis(config.commands.reply_timeout_ms),
            age_max_ms: config.payment_age_ms_max(),
            told: HashSet::new(),
            next_long_s: 0,
        }
    }

    /// Round after round, until the shutdown.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
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
        match self.look(from_s, now_s.saturating_sub(self.after_s), &mut seen).await {
            Ok(()) => {
                if is_long {
                    self.next_long_s = now_s + DAY_S;
                    self.told.retain(|id| seen.contains(id));
                }
                self.metrics.reconciled_at.set(now_s);
            }
            Err(error) => tracing::warn!(%error, "payments cannot be reconciled, trying again"),
        }
    }

    async fn look(&mut self, from_s: i64, before_s: i64, seen: &mut HashSet<String>) -> Result<(), MethodError> {
        let mut behind = None;
        let mut is_whole = true;
        for _ in 0..PAGES_MAX {
            let (intents, next) = self.stripe.list(from_s, before_s, behind.as_deref()).await?;
            for intent in intents.iter().filter(|intent| intent.livemode == self.stripe.is_live()) {
                seen.insert(intent.id.clone());
                if self.told.contains(&intent.id) {
                    continue;
                }
                match Paid::of(intent, (now_ms() - self.age_max_ms) / 1_000) {
                    Ok(paid) => {
                        let what = self.tell(&paid).await;
                        self.metrics.reconciled(what);
                        is_whole &= what != Reconciled::Late;
                        if matches!(what, Reconciled::Posted | Reconciled::Known) {
                            self.told.insert(intent.id.clone());
                        }
                    }
                    Err(NotPaid::Foreign | NotPaid::Open) => {}
                    Err(why @ (NotPaid::Changed | NotPaid::TooOld)) => {
                        tracing::error!(intent = intent.id, %why, "money is taken that is not posted");
                        self.metrics.reconciled(Reconciled::Refused);
                        // It stays so: a person was told once.
                        self.told.insert(intent.id.clone());
                    }
                }
            }
            behind = next;
            if behind.is_none() {
                // What the ledger did not answer comes in the next round.
                return if is_whole { Ok(()) } else { Err(MethodError::NoAnswer) };
            }
        }
        tracing::error!(pages = PAGES_MAX, "more payments than one round looks at: the oldest were left out");
        Ok(())
    }

    async fn tell(&self, paid: &Paid) -> Reconciled {
        let (idempotency_key, body_hash) = posting_identity(&paid.posting, paid.source);
        let order = Order {
            account_id: &paid.account_id,
            idempotency_key: &idempotency_key,
            body_hash,
            actor: ACTOR,
            body: Body::PostPurchase(paid.posting.clone()),
        };
        let (payment_id, account_id) = (&paid.posting.payment_id, &paid.account_id);
        let reply = ask(&self.desk, &self.producer, self.reply_timeout, order).await;
        match reply.ok().flatten().and_then(|reply| reply.outcome) {
            Some(Outcome::Accepted(accepted)) if accepted.replayed => Reconciled::Known,
            Some(Outcome::Accepted(_)) => {
                tracing::warn!(payment_id, %account_id, "a payment that nobody told of is posted");
                Reconciled::Posted
            }
            Some(Outcome::Rejected(rejected)) => {
                tracing::error!(payment_id, %account_id, code = rejected.code, "paid, and refused by the ledger");
                Reconciled::Refused
            }
            None => Reconciled::Late,
        }
    }
}
