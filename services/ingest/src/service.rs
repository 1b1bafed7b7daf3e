//! Starting, running and ending the service.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::Registry;
use rdkafka::admin::AdminClient;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use tokio::net::TcpListener;
use tollbooth_chassis::auth::{Gate, KeyRing, RootKeyError};
use tollbooth_chassis::dead_letters::DeadLetters;
use tollbooth_chassis::http::Server;
use tollbooth_chassis::kafka::table::{TableError, TopicTable};
use tollbooth_chassis::kafka::{KafkaClients, KafkaStatistics, LogContext, NoteProducer, TopicError, ensure_topics};
use tollbooth_chassis::key_usage;
use tollbooth_chassis::ops::{Component, Health};
use tollbooth_chassis::shutdown::{Drain, Shutdown};
use tollbooth_chassis::traces::{Traces, TracesError};
use tollbooth_chassis::trail::Trail;

use crate::admission::Admission;
use crate::app::{App, router};
use crate::charges::Charges;
use crate::commands::{CommandDesk, Repricings, replies};
use crate::config::{IngestConfig, Provider, SettingError};
use crate::effects::SenderError;
use crate::metrics::IngestMetrics;
use crate::payments::stripe::{ClientError, StripeProvider};
use crate::payments::{Metered, Payers, PaymentProvider, Sandbox};
use crate::price_books::{PriceBooks, Shelf};
use crate::produce::EdgeProducer;
use crate::stripe_webhook;
use crate::webhooks::{Deliveries, Endpoints, Webhooks};

const REACH_EVERY: Duration = Duration::from_millis(200);
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// Beyond the connections' own patience, so that the server's word comes first.
const DRAIN_SLACK: Duration = Duration::from_secs(1);

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be kept.
    #[error("configuration: {0}")]
    Setting(#[from] SettingError),
    /// The configured admin key is none.
    #[error("configuration: {0}")]
    RootKey(#[from] RootKeyError),
    /// The topics are not as they must be.
    #[error(transparent)]
    Topics(#[from] TopicError),
    /// A Kafka client cannot be made.
    #[error("cannot create a Kafka client: {0}")]
    Kafka(#[from] KafkaError),
    /// A reader of a whole topic cannot be started.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A metric's name is taken.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// What tells endpoints cannot be made.
    #[error("configuration: {0}")]
    Sender(#[from] SenderError),
    /// The payment provider's client cannot be made.
    #[error("configuration: {0}")]
    Payments(#[from] ClientError),
    /// Spans cannot be sent.
    #[error("configuration: {0}")]
    Traces(#[from] TracesError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Creates the topics that are missing and refuses those that differ.
///
/// # Errors
/// [`StartError`]
pub async fn prepare_topics(config: &IngestConfig) -> Result<(), StartError> {
    let clients = KafkaClients::new(config.kafka.clone());
    let admin = AdminClient::from_config_and_context(&clients.base(), LogContext)?;
    let outcome = ensure_topics(&admin, &config.topic_specs()).await;
    end_aside(admin);
    if let Err(TopicError::Unreachable { .. }) = &outcome {
        // What it says is in the log; that it could be asked is of no interest.
        drop(tokio::task::spawn_blocking(move || clients.tell_why_unreachable()).await);
    }
    Ok(outcome?)
}

/// Drops a Kafka client on a thread of its own: ending one was seen to take seconds, which nobody needs to wait for
/// once nothing is left to be acknowledged.
fn end_aside(client: impl Send + 'static) {
    let ended = std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(client));
    if let Err(error) = ended {
        tracing::warn!(%error, "a Kafka client ends on the caller's thread");
    }
}

/// The service, connected and reading; it answers requests once [`Ingest::serve`] runs.
pub struct Ingest {
    app: Arc<App>,
    /// Of the trail, and of what is told of keys.
    notes: NoteProducer,
    traces: Traces,
    health: Health,
    shutdown: Shutdown,
    readers: Readers,
}

/// The threads that follow topics. They read on while requests are finished: a command that is under way at a shutdown
/// waits for a reply, a price book for its own record. Dropping this asks them to end.
struct Readers {
    shutdown: Shutdown,
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.shutdown.trigger("nobody waits for what is read any more");
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Ingest {
    /// Sets up clients and readers; the topics must exist. Returns before they have caught up: `health` says when.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(
        config: IngestConfig,
        registry: &Registry,
        health: Health,
        shutdown: Shutdown,
    ) -> Result<Self, StartError> {
        config.check()?;
        let topics = config.topic_set();
        let statistics = KafkaStatistics::register(registry)?;
        let traces = Traces::start(&config.traces, "ingest", registry)?;
        let clients = KafkaClients::new(config.kafka.clone()).with_statistics(statistics);
        let metrics = IngestMetrics::register(registry, |topic| topic.name(&topics))?;
        let keys = KeyRing::new(config.admin_key.expose())?;
        health.end_on_failure(shutdown.clone());
        let mut readers = Readers { shutdown: Shutdown::new(), threads: Vec::new() };

        let (ring, endpoints) = (keys.clone(), Endpoints::default());
        let (payers, repricings) = (Payers::default(), Repricings::default());
        let (known, known_payers, previewed) = (endpoints.clone(), payers.clone(), repricings.clone());
        let mut key_table = TopicTable::spawn(
            &clients,
            &topics.registry(),
            health.component("registry"),
            readers.shutdown.clone(),
            move |record| {
                known.apply(record.key.unwrap_or_default(), record.payload);
                known_payers.apply(record.key.unwrap_or_default(), record.payload);
                previewed.apply(record.key.unwrap_or_default(), record.payload);
                if let Err(error) = ring.apply(record.key.unwrap_or_default(), record.payload) {
                    tracing::error!(offset = record.offset, %error, "a record of the registry is left out");
                }
            },
        )?;
        readers.threads.extend(key_table.take_thread().map(|thread| ("registry", thread)));

        let shelf = Shelf::default();
        let filled = shelf.clone();
        let mut book_table = TopicTable::spawn(
            &clients,
            &topics.price_book(),
            health.component("price_book"),
            readers.shutdown.clone(),
            move |record| filled.apply(record),
        )?;
        readers.threads.extend(book_table.take_thread().map(|thread| ("price_book", thread)));

        let deliveries = Deliveries::default();
        let filled = deliveries.clone();
        let mut delivery_table = TopicTable::spawn(
            &clients,
            &topics.deliveries(),
            health.component("deliveries"),
            readers.shutdown.clone(),
            move |record| filled.apply(&record),
        )?;
        readers.threads.extend(delivery_table.take_thread().map(|thread| ("deliveries", thread)));
        let webhooks = Webhooks::new(&config, endpoints, deliveries, delivery_table);

        let (dead_letters, thread) = DeadLetters::follow(&clients, &topics.dead_letter(), readers.shutdown.clone())?;
        readers.threads.push(("dead letters", thread));

        let commands = CommandDesk::new();
        let component = health.component("replies");
        let thread = replies::spawn(&clients, topics.replies(), commands.clone(), component, readers.shutdown.clone())?;
        readers.threads.push(("replies", thread));

        let component = health.component("producer");
        let producer = EdgeProducer::new(&config, &clients, metrics.clone(), component, shutdown.clone())?;
        let registry_age_max = Duration::from_millis(config.registry_age_max_ms);
        let (mut sandbox, mut stripe) = (None, None);
        let provider: Option<Arc<dyn PaymentProvider>> = match config.purchases.provider {
            Provider::None => None,
            Provider::Sandbox => Some(Arc::clone(sandbox.insert(Arc::new(Sandbox::new(config.purchases.life())))) as _),
            Provider::Stripe => {
                let (section, counted) = (&config.purchases.stripe, metrics.payments.clone());
                let (api, provider) =
                    StripeProvider::start(section, payers.clone(), counted, config.payment_age_ms_max())?;
                stripe = Some(api);
                Some(Arc::new(provider))
            }
        };
        let payments = provider.map(|provider| Metered::of(provider, metrics.payments.clone()));
        let notes = NoteProducer::new(&clients)?;
        let trail = Trail::new(notes.clone(), topics.audit(), config.audit_timeout(), metrics.trail.clone());
        let gate = Gate::new(keys, key_table, registry_age_max);
        let gate = match config.forwarding()? {
            Some(forwarding) => gate.with_forwarding(forwarding),
            None => gate,
        };
        let app = App {
            gate,
            admission: Admission::new(config.admission.clone(), metrics.clone()),
            price_books: PriceBooks::new(shelf, Arc::new(book_table)),
            charges: Charges::new(config.clickhouse.as_ref(), config.lookup_timeout()),
            payments,
            sandbox,
            stripe,
            payers,
            payment_webhooks: tokio::sync::Semaphore::new(stripe_webhook::UNDER_WAY_MAX),
            config,
            producer,
            metrics,
            commands,
            webhooks,
            repricings,
            trail,
            key_changes: tokio::sync::Mutex::default(),
            dead_letters,
        };
        Ok(Self { app: Arc::new(app), notes, traces, health, shutdown, readers })
    }

    /// Answers requests until the shutdown, then finishes what is under way. Returns whether everything ended in time.
    pub async fn serve(self, listener: TcpListener) -> bool {
        let Self { app, notes, traces, health, shutdown, mut readers } = self;
        tokio::spawn(watch_producer(Arc::clone(&app), health.component("producer"), shutdown.clone()));
        let limits = app.config.http;
        let routes = router(Arc::clone(&app));
        let until = shutdown.clone();
        let server = Server::new(limits).with_traces(traces.clone());
        let server = tokio::spawn(async move { server.serve(listener, routes, until).await });
        let (ring, topic) = (app.gate.keys().clone(), app.config.topic_set().key_usage());
        let telling = key_usage::tell(ring, notes.clone(), topic, key_usage::TELL_EVERY, shutdown.clone());
        let telling = tokio::spawn(telling);
        let http_patience = Duration::from_millis(limits.drain_timeout_ms) + DRAIN_SLACK;
        let flush_patience = app.config.delivery_timeout() + DRAIN_SLACK;
        let mut drain = Drain::new(health)
            .step("http", http_patience, async move {
                if let Err(error) = server.await {
                    tracing::error!(%error, "the server ended by a panic");
                }
            })
            .step("use of keys", key_usage::END_PATIENCE, async move {
                if let Err(error) = telling.await {
                    tracing::error!(%error, "telling when keys were used ended by a panic");
                }
            })
            .step("producer", flush_patience, flush(Arc::clone(&app)));
        let threads = std::mem::take(&mut readers.threads);
        drain = drain.step("end of reading", DRAIN_SLACK, async move { drop(readers) });
        for (name, thread) in threads {
            drain = drain.thread(name, Duration::from_secs(5), thread);
        }
        let in_time = drain.run(&shutdown).await;
        traces.end().await;
        end_aside((app, notes));
        in_time
    }
}

async fn flush(app: Arc<App>) {
    let limit = app.config.delivery_timeout();
    match tokio::task::spawn_blocking(move || app.producer.flush(limit)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "not everything was acknowledged at the end"),
        Err(error) => tracing::error!(%error, "flushing the producer"),
    }
}

/// Readiness of the producer, then its queue's gauge.
async fn watch_producer(app: Arc<App>, component: Component, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        let asked = Arc::clone(&app);
        match tokio::task::spawn_blocking(move || asked.producer.reach_broker()).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => component.not_ready(format!("no broker answers: {error}")),
            Err(error) => tracing::error!(%error, "asking for a broker"),
        }
        tokio::time::sleep(REACH_EVERY).await;
    }
    component.ready();
    while !shutdown.is_triggered() {
        app.metrics.producer_queue_records.set(app.producer.queued());
        tokio::select! {
            () = shutdown.triggered() => {}
            () = tokio::time::sleep(GAUGES_EVERY) => {}
        }
    }
}
