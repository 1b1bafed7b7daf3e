//! Who is told outside: endpoints of an account, what is on its way to them, and their secrets.
//!
//! Both tables are topics that every process follows: `registry` has the endpoints, `deliveries` what waits or is dead.

pub(crate) mod address;
mod pace;
mod routes;
mod secrets;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tollbooth_chassis::kafka::table::{TableRecord, TopicTable};
use tollbooth_schemas::webhooks::{Delivery, DeliveryState, REGISTRY_KEY_PREFIX, WebhookDocument};

use crate::config::IngestConfig;
use address::Reach;
use pace::Pace;
pub(crate) use routes::{confirm, create, dead, delete, list, ping, replay, rotate};
pub(crate) use secrets::{Secrets, signature};

/// Every endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endpoints(Arc<Mutex<BTreeMap<String, Arc<WebhookDocument>>>>);

impl Endpoints {
    /// Takes a record of `registry`; those of other documents are none of its.
    pub(crate) fn apply(&self, record_key: &[u8], payload: Option<&[u8]>) {
        let key = std::str::from_utf8(record_key).ok().and_then(|key| key.strip_prefix(REGISTRY_KEY_PREFIX));
        let Some(webhook_id) = key else { return };
        match payload.map(serde_json::from_slice::<WebhookDocument>) {
            None => {
                self.0.lock().remove(webhook_id);
            }
            Some(Ok(document)) => self.insert(document),
            Some(Err(error)) => tracing::error!(webhook_id, %error, "a record of the registry is no endpoint"),
        }
    }

    pub(crate) fn insert(&self, document: WebhookDocument) {
        self.0.lock().insert(document.webhook_id.clone(), Arc::new(document));
    }

    pub(crate) fn remove(&self, webhook_id: &str) {
        self.0.lock().remove(webhook_id);
    }

    pub(crate) fn get(&self, webhook_id: &str) -> Option<Arc<WebhookDocument>> {
        self.0.lock().get(webhook_id).cloned()
    }

    /// Of an account, oldest first.
    pub(crate) fn of(&self, account_id: &str) -> Vec<Arc<WebhookDocument>> {
        let mut found: Vec<_> =
            self.0.lock().values().filter(|document| document.account_id.as_str() == account_id).cloned().collect();
        found.sort_by(|one, other| (one.created_at_ms, &one.webhook_id).cmp(&(other.created_at_ms, &other.webhook_id)));
        found
    }
}

/// What routes need of them.
#[derive(Debug)]
pub(crate) struct Webhooks {
    pub(crate) endpoints: Endpoints,
    pub(crate) deliveries: Deliveries,
    /// That fills `deliveries`.
    pub(crate) table: TopicTable,
    /// `None`: there are no webhooks.
    pub(crate) secrets: Option<Secrets>,
    pub(crate) reach: Reach,
    pub(crate) has_mail: bool,
    mail_addresses_max: usize,
    pace: Pace,
    /// Of what is replayed.
    replays: Pace,
    /// One process makes one endpoint after the other, so that the limit holds; two processes may pass it by one each.
    pub(crate) creating: tokio::sync::Mutex<()>,
}

impl Webhooks {
    pub(crate) fn new(config: &IngestConfig, endpoints: Endpoints, deliveries: Deliveries, table: TopicTable) -> Self {
        let secrets = Secrets::new(config.webhooks.secret.expose());
        let (reach, has_mail) = (Reach::of(config), !config.mail.host.is_empty());
        Self {
            endpoints,
            deliveries,
            table,
            secrets,
            reach,
            has_mail,
            mail_addresses_max: config.webhooks.mail_addresses_max,
            pace: Pace::new(config.webhooks.messages_per_hour_max, "pings and new mail addresses"),
            replays: Pace::new(config.webhooks.replays_per_hour_max, "replayed messages"),
            creating: tokio::sync::Mutex::default(),
        }
    }
}

/// By endpoint, then message.
type Waiting = BTreeMap<String, BTreeMap<String, Arc<Delivery>>>;

/// What waits or is dead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deliveries(Arc<Mutex<Waiting>>);

impl Deliveries {
    /// Takes a record of `deliveries`.
    pub(crate) fn apply(&self, record: &TableRecord<'_>) {
        let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
        let Some((webhook_id, message_id)) = key.and_then(|key| key.split_once('/')) else { return };
        let mut all = self.0.lock();
        match record.payload.map(serde_json::from_slice::<Delivery>) {
            Some(Ok(delivery)) => {
                all.entry(webhook_id.to_owned()).or_default().insert(message_id.to_owned(), Arc::new(delivery));
            }
            Some(Err(error)) => tracing::error!(offset = record.offset, %error, "a record is no delivery"),
            None => {
                let of_endpoint = all.get_mut(webhook_id);
                let is_over = of_endpoint.is_some_and(|deliveries| {
                    deliveries.remove(message_id);
                    deliveries.is_empty()
                });
                if is_over {
                    all.remove(webhook_id);
                }
            }
        }
    }

    pub(crate) fn get(&self, webhook_id: &str, message_id: &str) -> Option<Arc<Delivery>> {
        self.0.lock().get(webhook_id)?.get(message_id).cloned()
    }

    /// Of an endpoint in that state, oldest first.
    pub(crate) fn in_state(&self, webhook_id: &str, state: DeliveryState) -> Vec<Arc<Delivery>> {
        let all = self.0.lock();
        let deliveries = all.get(webhook_id).into_iter().flat_map(BTreeMap::values);
        let mut found: Vec<_> = deliveries.filter(|delivery| delivery.state == state).cloned().collect();
        found.sort_by(|one, other| (one.since_ms, &one.message_id).cmp(&(other.since_ms, &other.message_id)));
        found
    }

    /// How many are in that state.
    pub(crate) fn count(&self, webhook_id: &str, state: DeliveryState) -> usize {
        let all = self.0.lock();
        let deliveries = all.get(webhook_id).into_iter().flat_map(BTreeMap::values);
        deliveries.filter(|delivery| delivery.state == state).count()
    }

    /// Endpoints that something waits for or is dead of.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(key: &'a str, payload: Option<&'a [u8]>) -> TableRecord<'a> {
        TableRecord { offset: 0, key: Some(key.as_bytes()), payload, timestamp_ms: None }
    }

    #[test]
    fn a_delivery_stands_until_its_tombstone() {
        let deliveries = Deliveries::default();
        let mut delivery = Delivery {
            webhook_id: "whk_1".to_owned(),
            account_id: "acc_luna".parse().unwrap(),
            message_id: "msg_1".to_owned(),
            event_type: "ping".to_owned(),
            body: "{}".to_owned(),
            state: DeliveryState::Waiting,
            since_ms: 1,
            attempts: 0,
            next_at_ms: 1,
            last_error: None,
        };
        deliveries.apply(&record("whk_1/msg_1", Some(&serde_json::to_vec(&delivery).unwrap())));
        assert_eq!(deliveries.count("whk_1", DeliveryState::Waiting), 1);
        delivery.state = DeliveryState::Dead;
        deliveries.apply(&record("whk_1/msg_1", Some(&serde_json::to_vec(&delivery).unwrap())));
        assert_eq!(deliveries.count("whk_1", DeliveryState::Waiting), 0);
        assert_eq!(deliveries.in_state("whk_1", DeliveryState::Dead)[0].message_id, "msg_1");
        deliveries.apply(&record("whk_1/msg_1", Some(b"{")));
        deliveries.apply(&record("whk_2/msg_1", None));
        assert_eq!(deliveries.endpoints(), ["whk_1"]);
        deliveries.apply(&record("whk_1/msg_1", None));
        assert_eq!((deliveries.endpoints(), deliveries.get("whk_1", "msg_1")), (vec![], None));
    }
}
