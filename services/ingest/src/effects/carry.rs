//! Carrying one effect out: the provider is asked until it answers, and the ledger is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use tollbooth_schemas::command::body_hash;
use tollbooth_schemas::v1::{self, command::Body, outbox_record::Effect};
use tollbooth_schemas::{Amount, Money};

use super::metrics::{Attempt, EffectsMetrics};
use super::notify::Notifier;
use crate::app::now_ms;
use crate::commands::posting_identity;
use crate::config::IngestConfig;
use crate::payments::{Payment, PaymentError, PaymentMethod, PaymentOrder, PaymentProvider};
use crate::produce::{EdgeProducer, Topic};

/// Who asks, in the ledger.
const ACTOR: &str = "effects";

/// Carries effects out.
pub(super) struct Carrier {
    provider: Arc<dyn PaymentProvider>,
    producer: Arc<EdgeProducer>,
    /// `None`: nobody is told.
    notifier: Option<Notifier>,
    metrics: EffectsMetrics,
    sandbox_card: String,
    provider_timeout: Duration,
    retry: Pauses,
}

/// Pauses between tries: each is twice the one before, up to a bound.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    min: Duration,
    max: Duration,
}

impl Pauses {
    fn after(self, tries: u32) -> Duration {
        self.min.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(self.max)
    }
}

/// How a recharge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    Paid,
    NotPaid(&'static str),
}

/// What a provider's answer comes to.
fn ended(answer: &Result<Payment, PaymentError>) -> Ended {
    match answer {
        Ok(Payment::Succeeded) => Ended::Paid,
        // Nobody is there to do anything.
        Ok(Payment::NeedsAction { .. }) => Ended::NotPaid("authentication_required"),
        Ok(Payment::Failed { reason }) => Ended::NotPaid(reason),
        Err(PaymentError::UnknownMethod) => Ended::NotPaid("unknown_payment_method"),
        Err(PaymentError::Mismatch) => Ended::NotPaid("payment_mismatch"),
    }
}

impl Carrier {
    pub(super) fn new(
        config: &IngestConfig,
        provider: Arc<dyn PaymentProvider>,
        producer: Arc<EdgeProducer>,
        notifier: Option<Notifier>,
        metrics: EffectsMetrics,
    ) -> Self {
        Self {
            provider,
            producer,
            notifier,
            metrics,
            sandbox_card: config.effects.sandbox_card.expose().to_owned(),
            provider_timeout: Duration::from_millis(config.purchases.provider_timeout_ms),
            retry: Pauses {
                min: Duration::from_millis(config.effects.retry_min_ms),
                max: Duration::from_millis(config.effects.retry_max_ms),
            },
        }
    }

    /// Returns once the effect has ended and the command that says so is durable, or once all who are to be told of it
    /// stand in `deliveries`.
    pub(super) async fn carry_out(&self, record: v1::OutboxRecord) {
        match record.effect {
            Some(Effect::RechargeRequested(recharge)) => {
                self.recharge(record.account_id, record.seq, record.currency, recharge).await;
            }
            Some(_) => {
                if let Some(notifier) = &self.notifier {
                    notifier.tell(&record).await;
                }
            }
            None => {
                let v1::OutboxRecord { account_id, seq, .. } = record;
                tracing::error!(account_id, seq, "the outbox has an effect that this release does not know");
                self.metrics.unreadable.inc();
            }
        }
    }

    async fn recharge(&self, account_id: String, seq: u64, currency: String, recharge: v1::RechargeRequested) {
        let (Ok(payer), Some(amount)) = (account_id.parse(), Money::from_micros(recharge.amount_micros)) else {
            tracing::error!(account_id, seq, "the outbox has a recharge that cannot be paid");
            self.metrics.unreadable.inc();
            return;
        };
        let order = PaymentOrder {
            payment_id: recharge.recharge_id,
            account_id: payer,
            amount: Amount { amount, currency },
            method: self.method(),
        };
        let ended = self.pay(&order).await;
        tracing::info!(account_id, recharge_id = order.payment_id, ?ended, "recharge");
        let (idempotency_key, body_hash, body) = self.answer(&order, &ended);
        self.tell(v1::Command {
            account_id,
            idempotency_key,
            body_hash,
            actor: ACTOR.to_owned(),
            received_at_ms: now_ms(),
            body: Some(body),
            ..v1::Command::default()
        })
        .await;
    }

    /// The one that the provider has saved for the account.
    fn method(&self) -> PaymentMethod {
        PaymentMethod(self.provider.is_sandbox().then(|| self.sandbox_card.clone()))
    }

    async fn pay(&self, order: &PaymentOrder) -> Ended {
        for tries in 0.. {
            let asked = Instant::now();
            if let Ok(answer) = tokio::time::timeout(self.provider_timeout, self.provider.pay(order)).await {
                let ended = ended(&answer);
                let attempt = if ended == Ended::Paid { Attempt::Succeeded } else { Attempt::Failed };
                self.metrics.attempted(attempt, asked.elapsed());
                return ended;
            }
            tracing::warn!(recharge_id = order.payment_id, tries, "the payment provider does not answer");
            self.metrics.attempted(Attempt::NoAnswer, asked.elapsed());
            tokio::time::sleep(self.retry.after(tries)).await;
        }
        unreachable!("tries do not end")
    }

    /// The command that ends the recharge: its key is a function of the recharge alone.
    fn answer(&self, order: &PaymentOrder, ended: &Ended) -> (String, Vec<u8>, Body) {
        let recharge_id = order.payment_id.clone();
        match ended {
            Ended::Paid => {
                let posting = v1::PostPurchase {
                    payment_id: recharge_id,
                    provider: self.provider.name().to_owned(),
                    amount_micros: order.amount.amount.micros(),
                    source: v1::PurchaseSource::AutoRecharge.into(),
                };
                let (idempotency_key, body_hash) = posting_identity(&posting, "auto_recharge");
                (idempotency_key, body_hash, Body::PostPurchase(posting))
            }
            Ended::NotPaid(reason) => {
                let idempotency_key = format!("recharge-failed:{recharge_id}");
                let hash = body_hash("fail_recharge", format!("{recharge_id} {reason}").as_bytes());
                let failed = v1::FailRecharge { recharge_id, reason: (*reason).to_owned() };
                (idempotency_key, hash, Body::FailRecharge(failed))
            }
        }
    }

    /// Until the brokers have it: what the provider did must not be forgotten.
    async fn tell(&self, command: v1::Command) {
        let payload = command.encode_to_vec();
        for tries in 0.. {
            match self.producer.send_one(Topic::Commands, command.account_id.as_bytes(), &payload).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(account_id = command.account_id, %error, "the ledger cannot be told, trying again");
                    tokio::time::sleep(self.retry.after(tries)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let pauses = Pauses { min: Duration::from_secs(1), max: Duration::from_secs(60) };
        let seconds: Vec<u64> = [0, 1, 5, 6, 31, 32, u32::MAX].map(|tries| pauses.after(tries).as_secs()).to_vec();
        assert_eq!(seconds, [1, 2, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn whatever_a_provider_says_ends_a_recharge() {
        let url = "/confirm".to_owned();
        assert_eq!(ended(&Ok(Payment::Succeeded)), Ended::Paid);
        for (answer, reason) in [
            (Ok(Payment::NeedsAction { url }), "authentication_required"),
            (Ok(Payment::Failed { reason: "card_declined" }), "card_declined"),
            (Err(PaymentError::UnknownMethod), "unknown_payment_method"),
            (Err(PaymentError::Mismatch), "payment_mismatch"),
        ] {
            assert_eq!(ended(&answer), Ended::NotPaid(reason));
        }
    }
}
