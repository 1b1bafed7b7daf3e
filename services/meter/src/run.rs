//! Wiring of `tollbooth-meter run`: topics, price book, membership, workers, sink; and the way out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use anyhow::{Context as _, bail};
use prometheus::Registry;
use rdkafka::{admin::AdminClient, config::FromClientConfigAndContext};
use tollbooth_chassis::{
    kafka::{KafkaClients, LogContext, TopicSpec, ensure_topics},
    ops::{self, Health},
    shutdown::{Drain, Shutdown},
    telemetry,
};

use crate::{
    config::MeterConfig,
    member::Member,
    metrics::Metrics,
    price_books::PriceBookView,
    sink::{self, SinkError, SinkOptions},
    worker::{self, Context},
};

const PRICE_BOOK_WAIT: Duration = Duration::from_secs(60);
const DRAIN_WAIT: Duration = Duration::from_secs(40);

/// Creates the topics that are missing and checks the others.
///
/// # Errors
/// When the cluster differs from the settings, or cannot be reached.
pub async fn prepare_topics(config: &MeterConfig, clients: &KafkaClients) -> anyhow::Result<()> {
    let admin = AdminClient::from_config_and_context(&clients.base(), LogContext)?;
    let specs = TopicSpec::all(&config.topic_set(), config.topics.replication);
    ensure_topics(&admin, &specs).await.context("topics")
}

/// Runs the meter, and the sink beside it where it is enabled, until a signal.
///
/// # Errors
/// What keeps it from starting, or ends it: the process leaves with a non-zero status.
pub async fn run(config: MeterConfig) -> anyhow::Result<()> {
    let limits = config.limits()?;
    let registry = telemetry::registry("meter", env!("CARGO_PKG_VERSION"))?;
    let health = Health::new();
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    listen(&config.ops_listen, "ops_listen", &registry, &health).await?;

    let clients = KafkaClients::new(config.kafka.clone());
    prepare_topics(&config, &clients).await?;
    let topics = config.topic_set();
    let inputs = [topics.usage(), topics.commands()];
    let metrics = Metrics::new(&registry, &config.group, inputs.clone())?;
    // The readers of the tail end of a shutdown need prices until the last batch is committed.
    let tables_shutdown = Shutdown::new();
    let books = PriceBookView::spawn(
        &clients,
        &topics.price_book(),
        Duration::from_secs(config.price_book_stale_seconds),
        health.component("price-book"),
        tables_shutdown.clone(),
    )?;
    let books = tokio::task::spawn_blocking(move || {
        let fresh = books.wait_caught_up(PRICE_BOOK_WAIT);
        (books, fresh)
    });
    let (books, fresh) = books.await?;
    if !fresh {
        bail!("the price book was not read to its end within {PRICE_BOOK_WAIT:?}");
    }
    let group = health.component("group");
    let member = Member::new(
        &clients,
        &config.group,
        &config.member_id,
        inputs,
        config.topics.partitions,
        metrics.clone(),
        group,
    )?;
    let context = Arc::new(Context {
        clients,
        topics,
        group: config.group.clone(),
        limits,
        batch: config.batch.clone(),
        input_generation: config.input_generation,
        operation_bytes_max: config.operations_mib_max << 20,
        operation_bytes: (0..config.topics.partitions).map(|_| AtomicUsize::new(0)).collect(),
        books,
        member,
        metrics,
        health: health.clone(),
    });
    let mut drain = Drain::new(health.clone());
    let ended = start(&context, config.topics.partitions, &shutdown)?;
    drain = drain.step("workers", DRAIN_WAIT, async move { drop(ended.done.await) });
    if config.sink_enabled {
        let sink = spawn_sink(&config, &shutdown).await?;
        drain = drain.step("sink", DRAIN_WAIT, async move { drop(sink.await) });
    }
    drain.run(&shutdown).await;
    tables_shutdown.trigger("drained");
    let failure = ended.failure.lock().take();
    failure.map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
}

struct Ended {
    done: tokio::sync::oneshot::Receiver<()>,
    failure: Arc<parking_lot::Mutex<Option<String>>>,
}

/// The workers, and the membership that feeds them, on threads of their own.
fn start(context: &Arc<Context>, partitions: i32, shutdown: &Shutdown) -> anyhow::Result<Ended> {
    let workers = (0..partitions)
        .map(|partition| worker::spawn(Arc::clone(context), partition))
        .collect::<Result<Vec<_>, _>>()?;
    let (tell, done) = tokio::sync::oneshot::channel();
    let failure = Arc::new(parking_lot::Mutex::new(None));
    let (context, shutdown, noted) = (Arc::clone(context), shutdown.clone(), Arc::clone(&failure));
    std::thread::Builder::new().name("member".to_owned()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| context.member.run(&shutdown)));
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
    listen(&config.sink_ops_listen, "sink_ops_listen", &registry, &health).await?;
    let options = SinkOptions {
        sink: config.sink.clone(),
        kafka: config.kafka.clone(),
        clickhouse: config.clickhouse.clone(),
        instance_id: format!("{}-sink", config.member_id),
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
