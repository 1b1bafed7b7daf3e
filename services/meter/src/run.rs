//! Wiring of `tollbooth-meter run`: topics, price book, membership, workers, sink; and the way out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use prometheus::Registry;
use rdkafka::{admin::AdminClient, config::FromClientConfigAndContext};
use tollbooth_chassis::{
    kafka::{KafkaClients, KafkaStatistics, LogContext, TopicError, TopicSpec, Watermarks, ensure_topics},
    ops::{self, Health},
    shutdown::{Drain, Shutdown},
    telemetry,
    traces::Traces,
};

use crate::{
    config::MeterConfig,
    dead_letters, generation,
    member::Member,
    metrics::Metrics,
    price_books::PriceBookView,
    sink::{self, SinkError, SinkOptions},
    store::{Checkpoints, StoreSettings},
    watchdog,
    worker::{self, Context, Kafka, StateMemory},
};

const PRICE_BOOK_WAIT: Duration = Duration::from_secs(60);
const CLUSTER_ID_WAIT: Duration = Duration::from_secs(30);
const DRAIN_WAIT: Duration = Duration::from_secs(40);

/// Creates the topics that are missing and checks the others.
///
/// # Errors
/// When the cluster differs from the settings, or cannot be reached.
pub async fn prepare_topics(config: &MeterConfig, clients: &KafkaClients) -> anyhow::Result<()> {
    let admin = AdminClient::from_config_and_context(&clients.base(), LogContext)?;
    let specs = TopicSpec::all(&config.topic_set(), config.topics.replication);
    let outcome = ensure_topics(&admin, &specs).await;
    if let Err(TopicError::Unreachable { .. }) = &outcome {
        let clients = clients.clone();
        // What it says is in the log; that it could be asked is of no interest.
        drop(tokio::task::spawn_blocking(move || clients.tell_why_unreachable()).await);
    }
    outcome.context("topics")
}

/// As [`prepare_topics`], and nothing after it.
///
/// # Errors
/// When the cluster differs from the settings, or cannot be reached.
pub async fn topics(config: MeterConfig) -> anyhow::Result<()> {
    prepare_topics(&config, &KafkaClients::new(config.kafka.clone())).await
}

/// Runs the meter, and the sink beside it where it is enabled, until a signal.
///
/// # Errors
/// What keeps it from starting, or ends it: the process leaves with a non-zero status.
pub async fn run(config: MeterConfig) -> anyhow::Result<()> {
    config.limits()?;
    let registry = telemetry::registry("meter", env!("CARGO_PKG_VERSION"))?;
    let health = Health::new();
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    health.end_on_failure(shutdown.clone());
    // Before anybody can ask: without a condition a process is ready.
    let topics = health.component("topics");
    listen(&config.ops_listen, "ops_listen", &registry, &health).await?;

    let meter = Meter::prepare(&config, &registry, &health).await?;
    topics.ready();
    let mut drain = Drain::new(health.clone());
    let ended = meter.start(&shutdown)?;
    drain = drain.step("workers", DRAIN_WAIT, async move { drop(ended.done.await) });
    if config.sink_enabled {
        let sink = spawn_sink(&config, &shutdown).await?;
        drain = drain.step("sink", DRAIN_WAIT, async move { drop(sink.await) });
    }
    drain.run(&shutdown).await;
    let traces = meter.context.traces.clone();
    meter.close();
    traces.end().await;
    let failure = ended.failure.lock().take();
    if let Some(why) = failure {
        bail!(why);
    }
    let liveness = health.liveness();
    if !liveness.is_ok() {
        bail!("a part of the meter failed: {:?}", liveness.components);
    }
    Ok(())
}

/// A meter that is wired: it knows the prices, and is no member of its group yet.
#[derive(Debug)]
pub struct Meter {
    context: Arc<Context>,
    /// Later than the workers': the tail end of a shutdown needs prices until the last batch is committed.
    tables: Shutdown,
    /// How long a worker may be silent.
    stuck_after: Duration,
}

/// Tells when the workers have ended, and why.
#[derive(Debug)]
pub struct Ended {
    done: tokio::sync::oneshot::Receiver<()>,
    failure: Arc<parking_lot::Mutex<Option<String>>>,
}

impl Ended {
    /// Blocks until every worker has let go.
    ///
    /// # Errors
    /// The reason to leave with a non-zero status.
    pub fn wait(self) -> Result<(), String> {
        // A sender that is gone has nothing more to do either.
        drop(self.done.blocking_recv());
        self.failure.lock().take().map_or(Ok(()), Err)
    }
}

impl Meter {
    /// Checks or makes the topics and reads the price book to its end.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn prepare(config: &MeterConfig, registry: &Registry, health: &Health) -> anyhow::Result<Self> {
        let limits = config.limits()?;
        let statistics = KafkaStatistics::register(registry)?;
        let clients = KafkaClients::new(config.kafka.clone()).with_statistics(statistics);
        let prepared = prepare_topics(config, &clients).await;
        // Whatever is wrong with the topics: where it is half of a restore, that is what has to be said.
        if !prepared.as_ref().is_err_and(is_unreachable) {
            ensure_generation(config, &clients).await?;
        }
        prepared?;
        let (topics, partitions) = (config.topic_set(), config.topics.partitions);
        let metrics = Metrics::new(registry, &config.group, &topics)?;
        let store = store_settings(config, &clients, &topics.ledger(), limits.retention_weeks).await?;
        let checkpoints =
            if store.is_some() { Checkpoints::new(&config.store.checkpoint)?.map(Arc::new) } else { None };
        let tables = Shutdown::new();
        let books = read_price_books(config, &clients, health, &tables).await?;
        let member = Member::new(
            &clients,
            &config.group,
            &config.instance_id(),
            [topics.usage(), topics.commands()],
            partitions,
            metrics.clone(),
            health.component("group"),
        )?;
        let outside = Kafka {
            watermarks: Watermarks::new(&clients)?,
            clients,
            topics: topics.clone(),
            group: config.group.clone(),
            queues: config.queue_shares(),
            input_generation: config.input_generation,
            books,
            member,
            produce_errors: metrics.produce_errors.clone(),
        };
        let context = Arc::new(Context {
            topics,
            limits,
            batch: config.batch.clone(),
            input_generation: config.input_generation,
            memory: StateMemory::new(partitions, config.operations_mib_max << 20),
            store,
            checkpoints,
            metrics,
            traces: Traces::start(&config.traces, "meter", registry)?,
            health: health.clone(),
            outside,
        });
        Ok(Self { context, tables, stuck_after: Duration::from_secs(config.worker_stuck_seconds) })
    }

    /// The workers, and the membership that feeds them, on threads of their own, until `shutdown`; a failure triggers it.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(&self, shutdown: &Shutdown) -> anyhow::Result<Ended> {
        dead_letters::watch(&self.context, shutdown.clone())?;
        watchdog::watch(Arc::clone(&self.context), self.stuck_after, shutdown.clone())?;
        let workers = (0..self.context.topics.partitions)
            .map(|partition| worker::spawn(Arc::clone(&self.context), partition))
            .collect::<Result<Vec<_>, _>>()?;
        let (tell, done) = tokio::sync::oneshot::channel();
        let failure = Arc::new(parking_lot::Mutex::new(None));
        let (context, shutdown, noted) = (Arc::clone(&self.context), shutdown.clone(), Arc::clone(&failure));
        std::thread::Builder::new().name("member".to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| context.outside.member.run(&shutdown)));
            if let Err(why) = outcome.unwrap_or_else(|_| Err("the member panicked".to_owned())) {
                tracing::error!(%why, "the meter ends");
                shutdown.trigger(why.clone());
                *noted.lock() = Some(why);
            }
            for worker in workers {
                // A worker that panicked has told so through the panic hook.
                drop(worker.join());
            }
            // Nobody waits any more where the deadline of the drain has passed.
            tell.send(()).unwrap_or_default();
        })?;
        Ok(Ended { done, failure })
    }

    /// Once the workers have ended: prices are not needed any more.
    pub fn close(self) {
        self.tables.trigger("drained");
    }
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TopicError::Unreachable { .. }))
}

async fn ensure_generation(config: &MeterConfig, clients: &KafkaClients) -> anyhow::Result<()> {
    let (asking, group, topics) = (clients.clone(), config.group.clone(), config.topic_set());
    let marks = tokio::task::spawn_blocking(move || generation::marks(&asking, &group, &topics)).await?;
    Ok(generation::check(config.input_generation, &marks.context("cannot ask for the group's offsets")?)?)
}

/// `None`: there are no stores. Without the cluster's id nobody could tell another cluster's store.
async fn store_settings(
    config: &MeterConfig,
    clients: &KafkaClients,
    ledger: &str,
    retention_weeks: u16,
) -> anyhow::Result<Option<StoreSettings>> {
    if config.store.dir.is_empty() {
        return Ok(None);
    }
    let admin = AdminClient::from_config_and_context(&clients.base(), LogContext)?;
    let ask = move || admin.inner().fetch_cluster_id(CLUSTER_ID_WAIT);
    let cluster_id = tokio::task::spawn_blocking(ask).await?.context("the brokers did not tell the cluster's id")?;
    let partitions = config.topics.partitions;
    Ok(StoreSettings::new(&config.store, cluster_id, ledger.to_owned(), partitions, retention_weeks))
}

async fn read_price_books(
    config: &MeterConfig,
    clients: &KafkaClients,
    health: &Health,
    tables: &Shutdown,
) -> anyhow::Result<PriceBookView> {
    let stale_after = Duration::from_secs(config.price_book_stale_seconds);
    let topic = config.topic_set().price_book();
    let books = PriceBookView::spawn(clients, &topic, stale_after, health, tables.clone())?;
    let books = tokio::task::spawn_blocking(move || {
        let fresh = books.wait_caught_up(PRICE_BOOK_WAIT);
        (books, fresh)
    });
    let (books, fresh) = books.await?;
    if !fresh {
        tables.trigger("not read");
        bail!("the price book was not read to its end within {PRICE_BOOK_WAIT:?}");
    }
    Ok(books)
}

/// The operations listener.
///
/// # Errors
/// When the port is taken; the message says what to set.
pub async fn listen(address: &str, key: &str, registry: &Registry, health: &Health) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        let variable = key.to_uppercase();
        format!("cannot listen on {address}: set {key} (TOLLBOOTH_METER__{variable}) to another address")
    })?;
    // Serves to the end of the process, so that a drain can be watched.
    drop(ops::spawn(listener, registry.clone(), health.clone()));
    Ok(())
}

/// The sink on a thread of its own, with its own operations listener; the future ends with it.
async fn spawn_sink(
    config: &MeterConfig,
    shutdown: &Shutdown,
) -> anyhow::Result<impl Future<Output = Result<(), SinkError>> + Send + use<>> {
    let registry = telemetry::registry("sink", env!("CARGO_PKG_VERSION"))?;
    let health = Health::new();
    // The sink takes it over; before anybody can ask, because without a condition a process is ready.
    drop(health.component(sink::COMPONENT));
    listen(&config.sink_ops_listen, "sink_ops_listen", &registry, &health).await?;
    let options = SinkOptions {
        sink: config.sink.clone(),
        kafka: config.kafka.clone(),
        clickhouse: config.clickhouse.clone(),
        instance_id: format!("{}-sink", config.instance_id()),
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    let shutdown = shutdown.clone();
    std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
        let outcome = sink::run(&options, &registry, &health, &shutdown);
        health.begin_shutdown();
        drop(tell.send(outcome));
    })?;
    // The sender is dropped without a word only where the thread panicked, and the panic hook has told.
    Ok(async move { told.await.unwrap_or(Ok(())) })
}

/// Runs the sink alone, until a signal.
///
/// # Errors
/// What a person has to look at: the process leaves with a non-zero status.
pub async fn sink(config: MeterConfig) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    let clients = KafkaClients::new(config.kafka.clone());
    prepare_topics(&config, &clients).await?;
    Ok(spawn_sink(&config, &shutdown).await?.await?)
}
