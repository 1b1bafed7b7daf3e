//! Tries what waits until it is delivered or dead.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinSet;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::webhooks::{CONFIRM, DEAD_MAX, Delivery, DeliveryState, WebhookDocument};

use super::Owned;
use super::send::{Failure, Sender};
use crate::app::now_ms;
use crate::config::WebhooksSection;
use crate::effects::metrics::{Delivered, EffectsMetrics};
use crate::produce::{EdgeProducer, ProduceError, Topic};
use crate::webhooks::{Deliveries, Endpoints};

const EVERY: Duration = Duration::from_millis(50);
/// Tries under way at once.
const UNDER_WAY_MAX: usize = 256;
/// Of these, those of one endpoint: one that is slow takes no more.
const ENDPOINT_UNDER_WAY_MAX: usize = 2;
/// Longest reason that is kept.
const REASON_CHARS_MAX: usize = 300;

/// When it is tried again, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    min_ms: u64,
    max_ms: u64,
    for_ms: i64,
}

impl From<&WebhooksSection> for Patience {
    fn from(section: &WebhooksSection) -> Self {
        let for_ms = i64::try_from(section.retry_for_ms).unwrap_or(i64::MAX);
        Self { min_ms: section.retry_min_ms, max_ms: section.retry_max_ms, for_ms }
    }
}

impl Patience {
    /// Twice as long each time, up to its bound; `jitter` of 0 to 400 makes it 0.8 to 1.2 of that, so that what failed
    /// together is not tried together.
    fn pause_ms(self, attempts: u32, jitter: u64) -> i64 {
        let doublings = attempts.saturating_sub(1).min(62);
        let pause = self.min_ms.saturating_mul(1_u64.wrapping_shl(doublings)).min(self.max_ms);
        i64::try_from(pause.saturating_mul(800_u64.saturating_add(jitter)) / 1_000).unwrap_or(i64::MAX)
    }

    /// The delivery after a try that failed.
    fn after(self, delivery: &Delivery, failure: &Failure, now_ms: i64, jitter: u64) -> Delivery {
        let attempts = delivery.attempts.saturating_add(1);
        let next_at_ms = now_ms.saturating_add(self.pause_ms(attempts, jitter));
        let is_over = failure.is_final || next_at_ms.saturating_sub(delivery.since_ms) > self.for_ms;
        Delivery {
            state: if is_over { DeliveryState::Dead } else { DeliveryState::Waiting },
            attempts,
            next_at_ms,
            last_error: Some(failure.reason.chars().take(REASON_CHARS_MAX).collect()),
            ..delivery.clone()
        }
    }
}

/// Endpoint and message.
type Key = (String, String);

/// See the module.
pub(super) struct Courier {
    pub(super) endpoints: Endpoints,
    pub(super) deliveries: Deliveries,
    pub(super) registry: Arc<TopicTable>,
    pub(super) table: Arc<TopicTable>,
    pub(super) producer: Arc<EdgeProducer>,
    pub(super) sender: Arc<Sender>,
    pub(super) metrics: EffectsMetrics,
    pub(super) owned: Owned,
    pub(super) partitions: i32,
    pub(super) patience: Patience,
}

impl Courier {
    /// What is under way at the end is tried again at the next start.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let courier = Arc::new(self);
        // A try under way, or the offset of what it came to: until that is read back, what is read is the past.
        let mut busy: HashMap<Key, Option<i64>> = HashMap::new();
        let mut tries: JoinSet<(Key, Result<i64, ProduceError>)> = JoinSet::new();
        while !shutdown.is_triggered() {
            while let Some(ended) = tries.try_join_next() {
                // A try that panicked stays busy until the process starts anew; its endpoint has other slots.
                let Ok((key, offset)) = ended else { continue };
                match offset {
                    Ok(offset) => busy.insert(key, Some(offset)),
                    // It could not be written down, so it is tried once more.
                    Err(_) => busy.remove(&key),
                };
            }
            let position = courier.table.position();
            busy.retain(|_, offset| offset.is_none_or(|offset| position <= offset));
            // An endpoint that is not read yet would look deleted.
            if courier.registry.caught_up() && courier.table.caught_up() {
                courier.begin(&mut busy, &mut tries).await;
            }
            tokio::select! {
                () = shutdown.triggered() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn begin(
        self: &Arc<Self>,
        busy: &mut HashMap<Key, Option<i64>>,
        tries: &mut JoinSet<(Key, Result<i64, ProduceError>)>,
    ) {
        let now_ms = now_ms();
        let (mut waiting, mut dead) = (0_usize, 0_usize);
        for webhook_id in self.deliveries.endpoints() {
            let of_endpoint = self.deliveries.in_state(&webhook_id, DeliveryState::Waiting);
            let is_own = of_endpoint.first().is_some_and(|delivery| {
                self.owned.contains(partition_for(delivery.account_id.as_str().as_bytes(), self.partitions))
            });
            dead = dead.saturating_add(self.forget_oldest(&webhook_id).await);
            waiting = waiting.saturating_add(of_endpoint.len());
            if !is_own {
                continue;
            }
            let mut under_way = busy.iter().filter(|((of, _), offset)| *of == webhook_id && offset.is_none()).count();
            for delivery in of_endpoint.into_iter().filter(|delivery| delivery.next_at_ms <= now_ms) {
                if under_way >= ENDPOINT_UNDER_WAY_MAX || tries.len() >= UNDER_WAY_MAX {
                    break;
                }
                let key = (webhook_id.clone(), delivery.message_id.clone());
                if busy.contains_key(&key) {
                    continue;
                }
                under_way = under_way.saturating_add(1);
                busy.insert(key.clone(), None);
                let courier = Arc::clone(self);
                tries.spawn(async move { (key, courier.attempt(&delivery).await) });
            }
        }
        self.metrics.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.metrics.dead.set(i64::try_from(dead).unwrap_or(i64::MAX));
    }

    /// How many are dead of an endpoint; beyond the bound the oldest is forgotten.
    async fn forget_oldest(&self, webhook_id: &str) -> usize {
        let count = self.deliveries.count(webhook_id, DeliveryState::Dead);
        let oldest = if count > DEAD_MAX {
            self.deliveries.in_state(webhook_id, DeliveryState::Dead).into_iter().next()
        } else {
            None
        };
        if let Some(oldest) = oldest {
            tracing::warn!(
                webhook_id,
                message_id = oldest.message_id,
                "too many dead deliveries: the oldest is forgotten"
            );
            if let Err(error) = self.producer.forget(Topic::Deliveries, oldest.record_key().as_bytes()).await {
                tracing::warn!(webhook_id, %error, "a dead delivery cannot be forgotten");
            }
        }
        count
    }

    /// One try; the offset of what it came to.
    async fn attempt(&self, delivery: &Delivery) -> Result<i64, ProduceError> {
        let key = delivery.record_key();
        let endpoint = self.endpoints.get(&delivery.webhook_id);
        let is_meant = |endpoint: &Arc<WebhookDocument>| endpoint.is_told() || delivery.event_type == CONFIRM;
        let Some(endpoint) = endpoint.filter(is_meant) else {
            // Deleted, or nobody said that they want it: nobody is there to be told.
            return self.producer.forget(Topic::Deliveries, key.as_bytes()).await;
        };
        let is_mail = endpoint.mail_address().is_some();
        let failure = match self.sender.send(&endpoint, delivery).await {
            Ok(()) => {
                self.metrics.delivered(is_mail, Delivered::Yes);
                return self.producer.forget(Topic::Deliveries, key.as_bytes()).await;
            }
            Err(failure) => failure,
        };
        let after = self.patience.after(delivery, &failure, now_ms(), rand::rng().random_range(0..=400));
        let is_dead = after.state == DeliveryState::Dead;
        self.metrics.delivered(is_mail, if is_dead { Delivered::Dead } else { Delivered::NotYet });
        let (webhook_id, attempts) = (&after.webhook_id, after.attempts);
        tracing::warn!(webhook_id, attempts, is_dead, error = after.last_error.as_deref(), "not delivered");
        let payload = serde_json::to_vec(&after).unwrap_or_default();
        self.producer.send_one(Topic::Deliveries, key.as_bytes(), &payload).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS_3: Patience = Patience { min_ms: 5_000, max_ms: 21_600_000, for_ms: 3 * 86_400_000 };

    fn delivery() -> Delivery {
        Delivery {
            webhook_id: "whk_1".to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            message_id: "msg_1".to_owned(),
            event_type: "ping".to_owned(),
            body: "{}".to_owned(),
            state: DeliveryState::Waiting,
            since_ms: 1_000,
            attempts: 0,
            next_at_ms: 1_000,
            last_error: None,
        }
    }

    #[test]
    fn pauses_double_up_to_six_hours_give_or_take_a_fifth() {
        let pauses = |jitter| [1, 2, 5, 13, 14, 40].map(|attempts| DAYS_3.pause_ms(attempts, jitter));
        assert_eq!(pauses(200), [5_000, 10_000, 80_000, 20_480_000, 21_600_000, 21_600_000]);
        assert_eq!((pauses(0)[0], pauses(400)[0]), (4_000, 6_000));
    }

    #[test]
    fn it_is_tried_for_three_days_and_then_dead() {
        let failure = |is_final| Failure { reason: "answered 500".to_owned(), is_final };
        let (mut tried, mut now_ms) = (delivery(), 1_000);
        while tried.state == DeliveryState::Waiting {
            now_ms = tried.next_at_ms;
            tried = DAYS_3.after(&tried, &failure(false), now_ms, 200);
        }
        assert!((2 * 86_400_000..=3 * 86_400_000).contains(&(now_ms - 1_000)), "{now_ms}");
        assert_eq!((tried.attempts > 20, tried.last_error.as_deref()), (true, Some("answered 500")));
        assert_eq!(DAYS_3.after(&delivery(), &failure(true), 1_000, 0).state, DeliveryState::Dead);
    }
}
