//! `tollbooth-ingest effects`: carries out what the meter decided and wrote to `outbox`.
//!
//! An effect was decided exactly once; here it is carried out at least once, and ends in a command. Its id is the payment
//! provider's idempotency key, and the command's key is derived from it: however often a record is read, money is taken
//! and posted once. A record counts as read when its command is durable, so that nothing is lost with the process.
//!
//! A process of its own, because it holds the payment secrets. With Stripe it also asks for payments that nobody told of.

mod carry;
mod lag;
mod metrics;
mod notify;
mod reader;
mod reconcile;
mod tracker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::Registry;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::kafka::{KafkaClients, KafkaStatistics};
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::{Drain, Shutdown};

use crate::commands::{CommandDesk, replies};
use crate::config::{IngestConfig, Provider, SettingError};
use crate::metrics::IngestMetrics;
use crate::payments::stripe::{Stripe, StripeProvider};
use crate::payments::{Metered, Payers, PaymentMetrics, PaymentProvider, Sandbox};
use crate::produce::EdgeProducer;
use crate::service::StartError;
use carry::Carrier;
use lag::Lag;
use metrics::EffectsMetrics;
pub use notify::SenderError;
use notify::{Notify, Owned};
use reader::Reader;
use reconcile::Reconciliation;

/// What is under way at the end may finish within this; what does not is done again at the next start.
const DRAIN: Duration = Duration::from_secs(5);

/// Registers the metrics of the effects' own, for the documented table.
#[cfg(test)]
pub(crate) fn register_metrics(registry: &Registry) -> Result<(), prometheus::Error> {
    let metrics = EffectsMetrics::register(registry)?;
    metrics.lag_records.with_label_values(&["group", "topic", "0"]).set(0);
    Ok(())
}

/// The process, reading; it ends after [`Effects::run`].
#[derive(Debug)]
pub struct Effects {
    reader: JoinHandle<()>,
    tables: Vec<(&'static str, JoinHandle<()>)>,
    health: Health,
    shutdown: Shutdown,
}

type Paying = (Arc<dyn PaymentProvider>, Option<Arc<Stripe>>);

/// Who is asked for payments.
fn provider(config: &IngestConfig, payers: &Payers, metrics: &PaymentMetrics) -> Result<Paying, StartError> {
    let (provider, stripe): Paying = match config.purchases.provider {
        Provider::None => {
            let reason = "is none: what accounts recharge by themselves could not be paid".to_owned();
            return Err(SettingError { key: "purchases.provider", reason }.into());
        }
        Provider::Sandbox => (Arc::new(Sandbox::new(config.purchases.life())), None),
        Provider::Stripe => {
            let section = &config.purchases.stripe;
            let (stripe, provider) =
                StripeProvider::start(section, payers.clone(), metrics.clone(), config.payment_age_ms_max())?;
            (Arc::new(provider), Some(stripe))
        }
    };
    Ok((Metered::of(provider, metrics.clone()), stripe))
}

impl Effects {
    /// Sets up clients and begins to read; the topics must exist. Call inside a runtime.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(
        config: &IngestConfig,
        registry: &Registry,
        health: Health,
        shutdown: Shutdown,
    ) -> Result<Self, StartError> {
        config.check()?;
        let topics = config.topic_set();
        let metrics = EffectsMetrics::register(registry)?;
        let produced = IngestMetrics::register(registry, |topic| topic.name(&topics))?;
        let payers = Payers::default();
        let counted = produced.payments.clone();
        let (provider, stripe) = provider(config, &payers, &counted)?;
        health.end_on_failure(shutdown.clone());
        let component = health.component("producer");
        component.ready();
        let statistics = KafkaStatistics::register(registry)?;
        let clients = KafkaClients::new(config.kafka.clone()).with_statistics(statistics);
        let producer = Arc::new(EdgeProducer::new(config, &clients, produced, component, shutdown.clone())?);
        let owned = Owned::default();
        let notify = Notify::start(config, &clients, &topics, &producer, &metrics, owned.clone(), &health, &shutdown)?;
        let (notifier, mut tables) =
            notify.map_or((None, Vec::new()), |notify| (Some(notify.notifier), notify.threads));
        let desk = CommandDesk::new();
        let (component, until) = (health.component("replies"), shutdown.clone());
        tables.push(("replies", replies::spawn(&clients, topics.replies(), desk.clone(), component, until)?));
        let mut payer_table = None;
        if let Some(stripe) = stripe {
            let (component, until) = (health.component("payers"), shutdown.clone());
            let mut table = TopicTable::spawn(&clients, &topics.registry(), component, until, move |record| {
                payers.apply(record.key.unwrap_or_default(), record.payload);
            })?;
            tables.extend(table.take_thread().map(|thread| ("payers", thread)));
            payer_table = Some(Arc::new(table));
            let task =
                Reconciliation::new(config, stripe, desk.clone(), Arc::clone(&producer), (metrics.clone(), counted));
            tokio::spawn(task.run(shutdown.clone()));
        }
        let lag = Lag::new(&clients, &config.effects.group, topics.outbox(), topics.partitions, &metrics)?;
        let until = shutdown.clone();
        let thread = std::thread::Builder::new().name("outbox-lag".to_owned()).spawn(move || lag.run(&until))?;
        tables.push(("outbox lag", thread));
        let carrier = Carrier::new(config, provider, (producer, desk), notifier, payer_table, metrics.clone());
        let reader =
            Reader::new(&clients, config, topics.outbox(), carrier, metrics, health.component("outbox"), owned)?;
        let until = shutdown.clone();
        let reader = std::thread::Builder::new().name("outbox".to_owned()).spawn(move || reader.run(&until, DRAIN))?;
        Ok(Self { reader, tables, health, shutdown })
    }

    /// Carries out effects until the shutdown. Returns whether what was under way ended in time.
    pub async fn run(self) -> bool {
        let patience = DRAIN + Duration::from_secs(2);
        let mut drain = Drain::new(self.health).thread("outbox", patience, self.reader);
        for (name, thread) in self.tables {
            drain = drain.thread(name, patience, thread);
        }
        drain.run(&self.shutdown).await
    }
}
