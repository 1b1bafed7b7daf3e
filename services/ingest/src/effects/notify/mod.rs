//! Telling endpoints: what was decided is written to `deliveries` for each endpoint that wants it, and only then counts as
//! carried out; from there it is tried until it is delivered or dead.
//!
//! Both steps are at least once: the message's id, a function of the ledger's entry, is the same every time. Nothing of it
//! stands between a payment and its provider, and an endpoint that does not answer holds up nothing but itself.

mod courier;
mod message;
mod send;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::topics::TopicSet;
use tollbooth_schemas::v1::OutboxRecord;
use tollbooth_schemas::webhooks::{Delivery, DeliveryState, WAITING_MAX};

use super::metrics::EffectsMetrics;
use crate::app::now_ms;
use crate::config::IngestConfig;
use crate::produce::{EdgeProducer, Topic};
use crate::service::StartError;
use crate::webhooks::{Deliveries, Endpoints, Secrets};
use courier::Courier;
use message::Message;
use send::Sender;
pub use send::SenderError;

const CATCH_UP: Duration = Duration::from_millis(20);
const AGAIN: Duration = Duration::from_millis(500);

/// Which partitions of the outbox this process reads: what it decided for their accounts is this one's to deliver.
#[derive(Debug, Clone, Default)]
pub(super) struct Owned(Arc<Mutex<Vec<i32>>>);

impl Owned {
    pub(super) fn set(&self, partitions: Vec<i32>) {
        *self.0.lock() = partitions;
    }

    fn contains(&self, partition: Option<i32>) -> bool {
        partition.is_some_and(|partition| self.0.lock().contains(&partition))
    }
}

/// Writes what is to be delivered.
pub(super) struct Notifier {
    endpoints: Endpoints,
    deliveries: Deliveries,
    registry: Arc<TopicTable>,
    table: Arc<TopicTable>,
    producer: Arc<EdgeProducer>,
}

/// Both halves, and the threads that read for them.
pub(super) struct Notify {
    pub(super) notifier: Notifier,
    pub(super) threads: Vec<(&'static str, JoinHandle<()>)>,
}

impl Notify {
    /// Begins to deliver; `None`: there are no webhooks here, and nobody is told.
    #[allow(clippy::too_many_arguments)] // Called once, where all of them are made.
    pub(super) fn start(
        config: &IngestConfig,
        clients: &KafkaClients,
        topics: &TopicSet,
        producer: &Arc<EdgeProducer>,
        metrics: &EffectsMetrics,
        owned: Owned,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, StartError> {
        let Some(secrets) = Secrets::new(config.webhooks.secret.expose()) else { return Ok(None) };
        let sender = Sender::new(config, secrets)?;
        let (endpoints, deliveries) = (Endpoints::default(), Deliveries::default());
        let (known, filled) = (endpoints.clone(), deliveries.clone());
        let mut registry = TopicTable::spawn(
            clients,
            &topics.registry(),
            health.component("registry"),
            shutdown.clone(),
            move |record| known.apply(record.key.unwrap_or_default(), record.payload),
        )?;
        let mut table = TopicTable::spawn(
            clients,
            &topics.deliveries(),
            health.component("deliveries"),
            shutdown.clone(),
            move |record| filled.apply(&record),
        )?;
        let threads = [("registry", registry.take_thread()), ("deliveries", table.take_thread())];
        let threads = threads.into_iter().filter_map(|(name, thread)| Some((name, thread?))).collect();
        let (registry, table) = (Arc::new(registry), Arc::new(table));
        let courier = Courier {
            endpoints: endpoints.clone(),
            deliveries: deliveries.clone(),
            registry: Arc::clone(&registry),
            table: Arc::clone(&table),
            producer: Arc::clone(producer),
            sender: Arc::new(sender),
            metrics: metrics.clone(),
            owned,
            partitions: topics.partitions,
            patience: (&config.webhooks).into(),
        };
        tokio::spawn(courier.run(shutdown.clone()));
        let notifier = Notifier { endpoints, deliveries, registry, table, producer: Arc::clone(producer) };
        Ok(Some(Self { notifier, threads }))
    }
}

impl Notifier {
    /// Returns once it is written down for every endpoint that wants it.
    pub(super) async fn tell(&self, record: &OutboxRecord) {
        let (Some(message), Ok(account_id)) = (Message::of(record), record.account_id.parse()) else { return };
        // An endpoint that is not read yet would not be told.
        while !(self.registry.caught_up() && self.table.caught_up()) {
            tokio::time::sleep(CATCH_UP).await;
        }
        for endpoint in self.endpoints.of(&record.account_id) {
            let webhook_id = endpoint.webhook_id.as_str();
            let is_known = self.deliveries.get(webhook_id, &message.message_id).is_some();
            if is_known || !endpoint.is_told() || !endpoint.wants(message.event_type) {
                continue;
            }
            let is_full = self.deliveries.count(webhook_id, DeliveryState::Waiting) >= WAITING_MAX;
            let now_ms = now_ms();
            self.write(&Delivery {
                webhook_id: webhook_id.to_owned(),
                account_id: tollbooth_schemas::AccountId::clone(&account_id),
                message_id: message.message_id.clone(),
                event_type: message.event_type.to_owned(),
                body: message.body.clone(),
                state: if is_full { DeliveryState::Dead } else { DeliveryState::Waiting },
                since_ms: now_ms,
                attempts: 0,
                next_at_ms: now_ms,
                last_error: is_full.then(|| format!("{WAITING_MAX} deliveries wait already")),
            })
            .await;
        }
    }

    /// Until the brokers have it.
    async fn write(&self, delivery: &Delivery) {
        let Ok(payload) = serde_json::to_vec(delivery) else { return };
        while let Err(error) =
            self.producer.send_one(Topic::Deliveries, delivery.record_key().as_bytes(), &payload).await
        {
            tracing::warn!(webhook_id = delivery.webhook_id, %error, "a delivery cannot be written down, trying again");
            tokio::time::sleep(AGAIN).await;
        }
    }
}
