//! Carrying one effect out: the provider is asked until it answers, and the ledger is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use tokio::sync::Semaphore;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_schemas::command::{body_hash, recharge_failed_key};
use tollbooth_schemas::v1::{self, command::Body, outbox_record::Effect, reply::Outcome};
use tollbooth_schemas::{Amount, Money};

use super::metrics::{Attempt, EffectsMetrics, Reconciled};
use super::notify::Notifier;
use crate::app::now_ms;
use crate::commands::{CommandDesk, Waiting, posting_identity};
use crate::config::IngestConfig;
use crate::payments::{Occasion, Payment, PaymentError, PaymentMethod, PaymentOrder, PaymentProvider};
use crate::produce::{EdgeProducer, Topic};

/// Who asks, in the ledger.
/// What rules ask for at most that were set before they had a bound of their own, whatever `purchases.amount_max` is now.
const OLD_RULES_MAX: Money = match Money::from_micros(10_000_000_000) {
    Some(money) => money,
    None => Money::ZERO,
};
const ACTOR: &str = "effects";
const CATCH_UP: Duration = Duration::from_millis(20);
/// How long the ledger is not told of a recharge because its word on it could not be heard.
const FOLLOWED_MAX: Duration = Duration::from_secs(10);
/// How long the ledger's word on a recharge is listened for. Nothing waits for it.
const LISTEN_MAX: Duration = Duration::from_secs(60);
/// The ledger gives a recharge up after seven days, and may ask for another one. A day before, no money is taken for it any
/// more.
const TAKE_MS_MAX: i64 = 6 * 86_400_000;

/// Carries effects out.
pub(super) struct Carrier {
    provider: Arc<dyn PaymentProvider>,
    producer: Arc<EdgeProducer>,
    desk: CommandDesk,
    /// `None`: nobody is told.
    notifier: Option<Notifier>,
    /// What says who pays for an account; `None`: the provider does not ask.
    payers: Option<Arc<TopicTable>>,
    metrics: EffectsMetrics,
    sandbox_card: String,
    /// Of one payment.
    amount_max: Money,
    provider_timeout: Duration,
    /// Of payments that are asked for at once.
    places: Semaphore,
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

/// What a provider's answer comes to; `None`: it is asked again.
fn ended(answer: &Result<Payment, PaymentError>) -> Option<Ended> {
    Some(match answer {
        Ok(Payment::Succeeded) => Ended::Paid,
        // Nobody is there to do anything.
        Ok(Payment::NeedsAction { .. }) => Ended::NotPaid("authentication_required"),
        Ok(Payment::Failed { reason }) => Ended::NotPaid(reason),
        Err(PaymentError::UnknownMethod) => Ended::NotPaid("unknown_payment_method"),
        Err(PaymentError::NoSavedMethod) => Ended::NotPaid("no_payment_method"),
        Err(PaymentError::Amount) => Ended::NotPaid("invalid_amount"),
        Err(PaymentError::Mismatch) => Ended::NotPaid("payment_mismatch"),
        Err(PaymentError::TooOld) => Ended::NotPaid("payment_too_old"),
        // What is wrong with us is no failure of the account's.
        Err(PaymentError::NoAnswer | PaymentError::Unavailable) => return None,
    })
}

impl Carrier {
    pub(super) fn new(
        config: &IngestConfig,
        provider: Arc<dyn PaymentProvider>,
        (producer, desk): (Arc<EdgeProducer>, CommandDesk),
        notifier: Option<Notifier>,
        payers: Option<Arc<TopicTable>>,
        metrics: EffectsMetrics,
    ) -> Self {
        Self {
            provider,
            producer,
            desk,
            notifier,
            payers,
            metrics,
            sandbox_card: config.effects.sandbox_card.expose().to_owned(),
            amount_max: config.purchases.amount_max,
            provider_timeout: Duration::from_millis(config.purchases.provider_timeout_ms),
            places: Semaphore::new(config.effects.concurrency_max),
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
                self.recharge(record.account_id, record.seq, record.posted_at_ms, record.currency, recharge).await;
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

    async fn recharge(
        &self,
        account_id: String,
        seq: u64,
        decided_at_ms: i64,
        currency: String,
        recharge: v1::RechargeRequested,
    ) {
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
            occasion: Occasion::Recharge,
        };
        // A card that is not read yet would look like none.
        while self.payers.as_ref().is_some_and(|payers| !payers.caught_up()) {
            tokio::time::sleep(CATCH_UP).await;
        }
        let ended = if order.amount.amount > self.amount_max.max(OLD_RULES_MAX) {
            // The rule has the bound, too. What an earlier process took is told of all the same.
            tracing::error!(account_id, recharge_id = order.payment_id, %amount, "a recharge of more than any rule may ask for");
            match self.pay(&order, i64::MIN).await {
                Ended::NotPaid("payment_too_old") => Ended::NotPaid("amount_too_high"),
                ended => ended,
            }
        } else {
            self.pay(&order, decided_at_ms.saturating_add(TAKE_MS_MAX)).await
        };
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

    /// Money is taken until then; later it is only asked whether it was.
    async fn pay(&self, order: &PaymentOrder, until_ms: i64) -> Ended {
        for tries in 0.. {
            // Given back before the pause: who waits for a second try keeps nobody from the first.
            let place = self.places.acquire().await;
            let asked = Instant::now();
            let answer = if now_ms() < until_ms { self.provider.pay(order) } else { self.provider.look(order) };
            let answer = tokio::time::timeout(self.provider_timeout, answer).await;
            drop(place);
            if let Some(ended) = ended(&answer.unwrap_or(Err(PaymentError::NoAnswer))) {
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
                let idempotency_key = recharge_failed_key(&recharge_id);
                let hash = body_hash("fail_recharge", format!("{recharge_id} {reason}").as_bytes());
                let failed = v1::FailRecharge { recharge_id, reason: (*reason).to_owned() };
                (idempotency_key, hash, Body::FailRecharge(failed))
            }
        }
    }

    /// Until the brokers have it: what the provider did must not be forgotten. It waits for replies to be followed, but not
    /// for ever: money that was taken is posted, also where the ledger's word on it cannot be heard.
    async fn tell(&self, command: v1::Command) {
        if tokio::time::timeout(FOLLOWED_MAX, self.desk.followed()).await.is_err() {
            tracing::warn!(account_id = command.account_id, "replies cannot be read: the ledger is told all the same");
        }
        let waiting = self.desk.wait();
        let (reply_to, correlation_id) = (self.desk.instance_id().to_owned(), waiting.correlation_id.clone());
        let command = v1::Command { reply_to, correlation_id, ..command };
        let payload = command.encode_to_vec();
        for tries in 0.. {
            match self.producer.send_one(Topic::Commands, command.account_id.as_bytes(), &payload).await {
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(account_id = command.account_id, %error, "the ledger cannot be told, trying again");
                    tokio::time::sleep(self.retry.after(tries)).await;
                }
            }
        }
        // The effect is carried out; whether the ledger takes it nobody here can change, and somebody is to know.
        tokio::spawn(listen(waiting, command, self.metrics.clone()));
    }
}

/// Money that was taken and that the ledger refuses is for a person.
async fn listen(mut waiting: Waiting, told: v1::Command, metrics: EffectsMetrics) {
    let reply = tokio::time::timeout(LISTEN_MAX, &mut waiting.reply).await.ok().and_then(Result::ok);
    let Some(Outcome::Rejected(rejected)) = reply.and_then(|reply| reply.outcome) else { return };
    let (account_id, code) = (told.account_id, rejected.code);
    match told.body {
        Some(Body::PostPurchase(posting)) => {
            tracing::error!(payment_id = posting.payment_id, account_id, code, "paid, and refused by the ledger");
            metrics.reconciled(Reconciled::Refused);
        }
        Some(Body::FailRecharge(failed)) => {
            // As a rule it was told of before, or given up since.
            tracing::warn!(recharge_id = failed.recharge_id, account_id, code, "the ledger does not take the failure");
        }
        _ => {}
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
    fn what_a_provider_says_ends_a_recharge_and_what_nobody_knows_does_not() {
        let url = "/confirm".to_owned();
        assert_eq!(ended(&Ok(Payment::Succeeded)), Some(Ended::Paid));
        for (answer, reason) in [
            (Ok(Payment::NeedsAction { url }), "authentication_required"),
            (Ok(Payment::Failed { reason: "card_declined" }), "card_declined"),
            (Err(PaymentError::UnknownMethod), "unknown_payment_method"),
            (Err(PaymentError::Mismatch), "payment_mismatch"),
            (Err(PaymentError::NoSavedMethod), "no_payment_method"),
            (Err(PaymentError::Amount), "invalid_amount"),
            (Err(PaymentError::TooOld), "payment_too_old"),
        ] {
            assert_eq!(ended(&answer), Some(Ended::NotPaid(reason)));
        }
        for unknown in [PaymentError::NoAnswer, PaymentError::Unavailable] {
            assert_eq!(ended(&Err(unknown)), None);
        }
    }
}
