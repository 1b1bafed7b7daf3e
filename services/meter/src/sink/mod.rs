//! The sink: rows of the ledger land in ClickHouse, exactly once.
//!
//! One sink is active, by Kafka's word (`lease`). It reads every partition of the ledger, committed records only, and
//! makes blocks of them ([`block`], [`rows`]). For each block it first commits where it stands and what it is about to
//! insert ([`offsets`]), then inserts under a token that names the ranges ([`store`]), and says with the next commit that
//! it is done. After a crash the intended ranges are read again and, unless they stand in every table already
//! ([`witness`]), inserted again under the same token: the tables that have the block refuse it, those that do not take it.
//!
//! Blocking, on a thread of its own; inserts run on a small runtime beside it while the next block is read.

mod active;
pub mod block;
mod columns;
pub mod config;
mod drift;
pub mod error;
mod filling;
mod lease;
pub mod metrics;
pub mod migrate;
pub mod offsets;
pub mod rows;
pub mod store;
pub mod wire;
pub mod witness;

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tollbooth_chassis::config::{ClickHouseSection, KafkaSection};
use tollbooth_chassis::kafka::{KafkaClients, LogContext, ReaderTuning};
use tollbooth_chassis::ops::{Component, Health};
use tollbooth_chassis::priority;
use tollbooth_chassis::shutdown::Shutdown;

pub use config::SinkConfig;
pub use error::{Remedy, SinkError};
pub use metrics::SinkMetrics;
pub use migrate::{Binding, MigrationError};

use active::{Active, Ended};
use lease::Lease;
use store::Store;

/// Name of the sink's condition on the operations listener.
pub const COMPONENT: &str = "sink";
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the standby waits for the lease before it looks whether the process is to end.
const STANDBY_POLL: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(200);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a sink is made of.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// `[sink]`.
    pub sink: SinkConfig,
    /// `[kafka]`.
    pub kafka: KafkaSection,
    /// `[clickhouse]`.
    pub clickhouse: ClickHouseSection,
    /// Names this process in the lease's group, the same after a restart; two processes never share one.
    pub instance_id: String,
}

/// What every part of a running sink needs. Cloning is cheap.
#[derive(Debug, Clone)]
struct Context {
    config: Arc<SinkConfig>,
    clients: Arc<KafkaClients>,
    binding: Binding,
    store: Store,
    metrics: SinkMetrics,
    component: Component,
    runtime: tokio::runtime::Handle,
    /// Held while a block is inserted; the drift watch takes it to look at tables that agree. In it: where what stands in the
    /// tables ends, by partition; `None` while nobody knows.
    inserts: Arc<tokio::sync::Mutex<Option<Vec<i64>>>>,
}

impl Context {
    fn transactional_id(&self) -> String {
        self.config.transactional_id(&self.binding.ledger_topic)
    }
}

/// Runs the sink until `shutdown`. Blocks: call it on a thread of its own, outside any runtime.
///
/// What passes by itself (an engine that is down, a fencing, a lost lease) is waited for. Nothing of this slows a debit.
///
/// # Errors
/// [`SinkError`] where a person has to look: another ledger's database, a changed migration, an entry of an unknown kind.
/// The condition [`COMPONENT`] then says why; what was inserted stays, and a later start goes on from there.
pub fn run(options: &SinkOptions, registry: &Registry, health: &Health, shutdown: &Shutdown) -> Result<(), SinkError> {
    priority::yield_to_debits();
    let topic = options.kafka.topic("ledger");
    let metrics = SinkMetrics::register(registry, &options.sink.offsets_group, &options.sink.lease_group, &topic)?;
    let component = health.component(COMPONENT);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sink-insert")
        .enable_all()
        .build()?;
    let outcome = supervise(options, &metrics, &component, runtime.handle(), shutdown);
    metrics.stand_by();
    if let Err(error) = &outcome {
        component.not_ready(error.to_string());
        tracing::error!(code = error.code(), %error, "the sink has stopped; debits go on");
    }
    // An insert that was given up may still be under way; its block is repeated by the next start.
    runtime.shutdown_background();
    outcome
}

fn supervise(
    options: &SinkOptions,
    metrics: &SinkMetrics,
    component: &Component,
    runtime: &tokio::runtime::Handle,
    shutdown: &Shutdown,
) -> Result<(), SinkError> {
    let mut pause = RESTART_PAUSE_MIN;
    while !shutdown.is_triggered() {
        let started = std::time::Instant::now();
        let outcome =
            prepare(options, metrics, component, runtime).and_then(|context| serve(&context, options, shutdown));
        let error = match outcome {
            Ok(()) => return Ok(()),
            Err(error) if error.remedy() == Remedy::Stop => return Err(error),
            Err(error) => error,
        };
        metrics.stand_by();
        component.not_ready(error.to_string());
        // A long life before says that this is no tight loop of failures.
        if started.elapsed() > RESTART_PAUSE_MAX {
            pause = RESTART_PAUSE_MIN;
        }
        tracing::warn!(code = error.code(), %error, pause_ms = pause.as_millis(), "the sink starts again");
        if shutdown.wait_blocking(pause) {
            break;
        }
        pause = (pause * 2).min(RESTART_PAUSE_MAX);
    }
    Ok(())
}

/// Asks the cluster who it is.
fn prepare(
    options: &SinkOptions,
    metrics: &SinkMetrics,
    component: &Component,
    runtime: &tokio::runtime::Handle,
) -> Result<Context, SinkError> {
    let clients = KafkaClients::new(options.kafka.clone()).with_statistics(metrics.statistics.clone());
    Ok(Context {
        binding: binding(&clients, &options.kafka.topic("ledger"))?,
        store: Store::new(&options.clickhouse, &options.sink),
        config: Arc::new(options.sink.clone()),
        clients: Arc::new(clients),
        metrics: metrics.clone(),
        component: component.clone(),
        runtime: runtime.clone(),
        inserts: Arc::default(),
    })
}

/// The ledger of this cluster: what a database is bound to.
///
/// # Errors
/// When the cluster does not answer or has no such topic.
pub fn binding(clients: &KafkaClients, ledger_topic: &str) -> Result<Binding, SinkError> {
    const DOING: &str = "ask for the ledger topic";
    let failed = |source| SinkError::Kafka { doing: DOING, source };
    let config = clients.reader("tollbooth-metadata", ReaderTuning::default());
    let consumer = BaseConsumer::from_config_and_context(&config, LogContext).map_err(failed)?;
    let metadata = consumer.fetch_metadata(Some(ledger_topic), METADATA_TIMEOUT).map_err(failed)?;
    let count =
        metadata.topics().iter().find(|topic| topic.name() == ledger_topic).map_or(0, |topic| topic.partitions().len());
    let missing =
        || failed(rdkafka::error::KafkaError::Global(rdkafka::error::RDKafkaErrorCode::UnknownTopicOrPartition));
    let partitions = i32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(missing)?;
    let cluster_id = consumer.client().fetch_cluster_id(METADATA_TIMEOUT).ok_or_else(missing)?;
    Ok(Binding { cluster_id, ledger_topic: ledger_topic.to_owned(), partitions })
}

/// Waits for the lease and works while it is held, again and again.
fn serve(context: &Context, options: &SinkOptions, shutdown: &Shutdown) -> Result<(), SinkError> {
    let lease_topic = options.kafka.topic("sink-lease");
    let group = &context.config.lease_group;
    let rebalances = context.metrics.rebalances().clone();
    let lease = Lease::join(&context.clients, group, &lease_topic, &options.instance_id, rebalances)?;
    // A standby is as ready as it can be.
    while !shutdown.is_triggered() {
        if !lease.poll(STANDBY_POLL)? {
            context.component.ready();
            continue;
        }
        let Some(active) = Active::start(context, &lease, shutdown)? else {
            context.metrics.stand_by();
            continue;
        };
        tracing::info!(
            topic = context.binding.ledger_topic,
            database = context.store.database(),
            "this sink is active"
        );
        let watching = drift::watch(context);
        let ended = active.run();
        drop(watching);
        match ended? {
            Ended::Shutdown => return Ok(()),
            Ended::LeaseLost => tracing::info!("another sink is active"),
        }
        context.metrics.stand_by();
    }
    Ok(())
}
