//! Everything wired together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tollbooth_chassis::auth::{Gate, KeyRing, RootKeyError};
use tollbooth_chassis::dead_letters::DeadLetters as Index;
use tollbooth_chassis::http::Server;
use tollbooth_chassis::kafka::table::{TableError, TopicTable};
use tollbooth_chassis::kafka::{KafkaClients, KafkaStatistics, NoteProducer};
use tollbooth_chassis::key_usage::{self, KeyUses};
use tollbooth_chassis::ops::{self, Health};
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::seal::WeakSecret;
use tollbooth_chassis::shutdown::{Drain, Shutdown};
use tollbooth_chassis::telemetry::{self, TelemetryError};
use tollbooth_chassis::traces::{Traces, TracesError};
use tollbooth_chassis::trail::Trail;

use crate::access::Access;
use crate::access::ended::EndedSessions;
use crate::access::sign_out::{self, SignOuts};
use crate::answers::{Answers, Asker, Cubes, Parties};
use crate::audit::AuditTrail;
use crate::clock::now_ms;
use crate::config::{QueryConfig, SettingError};
use crate::dead_letters::DeadLetters;
use crate::forward::Forwarder;
use crate::live::{Following, LiveView, RecentLimits, SunkOffsets, Tail, TailError};
use crate::metrics::Metrics;
use crate::prices::Prices;
use crate::routes::{Api, read_ahead, router};
use crate::site::Site;
use crate::store::Store;

/// How long the audit trail is waited for before a portal token is made.
const AUDIT_PATIENCE: Duration = Duration::from_secs(5);
const THREAD_DEADLINE: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(5);
/// As long as ClickHouse does not answer: a start shall not wait for the next turn.
const PING_AGAIN: Duration = Duration::from_millis(500);

/// Why the service cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A setting cannot be kept.
    #[error("configuration: {0}")]
    Setting(#[from] SettingError),
    /// A secret that was made here is too short: cannot happen.
    #[error("session.secret {0}")]
    Secret(#[from] WeakSecret),
    /// The pages' headers cannot be made: the settings are checked for that.
    #[error("dashboard: {0}")]
    Site(Problem),
    /// The first admin key is none.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// Metrics.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Spans cannot be sent.
    #[error("configuration: {0}")]
    Traces(#[from] TracesError),
    /// A topic cannot be followed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting to change.
        key: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The live view ended.
    #[error("live view: {0}")]
    Live(TailError),
    /// The sink's offsets cannot be asked for.
    #[error("sink offsets: {0}")]
    SunkOffsets(#[source] rdkafka::error::KafkaError),
    /// A component failed for good, such as the reader of a topic: what it knows is not what the topic says.
    #[error("failed: {0}")]
    Failed(String),
    /// What is written to the audit trail, and told of keys, has no client.
    #[error("cannot create a Kafka client: {0}")]
    Producer(#[source] rdkafka::error::KafkaError),
    /// Something did not end in time.
    #[error("not everything ended in time")]
    Drain,
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where `/metrics` and the health routes listen.
    pub ops_address: SocketAddr,
    drain: Drain,
    failure: Arc<Mutex<Option<TailError>>>,
    traces: Traces,
    health: Health,
    shutdown: Shutdown,
}

impl Service {
    /// Starts everything; returns when both addresses are listened on. The engines may come later.
    ///
    /// # Errors
    /// [`ServiceError`]
    pub async fn start(config: QueryConfig, shutdown: Shutdown) -> Result<Self, ServiceError> {
        config.check()?;
        let registry = telemetry::registry("query", env!("CARGO_PKG_VERSION"))?;
        let health = Health::new();
        health.end_on_failure(shutdown.clone());
        let metrics = Metrics::register(&registry)?;
        let statistics = KafkaStatistics::register(&registry)?;
        let traces = Traces::start(&config.traces, "query", &registry)?;
        let clients = KafkaClients::new(config.kafka.clone()).with_statistics(statistics);
        let listener = listen(config.listen, "listen").await?;
        let ops_listener = listen(config.ops_listen, "ops_listen").await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let ops_address = ops_listener.local_addr().unwrap_or(config.ops_listen);
        drop(ops::spawn(ops_listener, registry, health.clone()));

        // The readers end after the listener: a request under way may be waiting for what they read.
        let readers = Shutdown::new();
        let drain_patience = Duration::from_millis(config.http.drain_timeout_ms) + Duration::from_secs(1);
        let server = Server::new(config.http).with_traces(traces.clone());
        let Started { api, sign_outs, telling, threads, failure } =
            start_readers(config, clients, metrics, &health, &readers, &shutdown)?;
        let api = Arc::new(api);
        tokio::spawn(read_ahead(Arc::clone(&api)));
        let routes = router(api);
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { server.serve(listener, routes, shutdown).await }
        });
        let serving = async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the listener ended");
            }
        };
        let telling = async move {
            if let Err(error) = telling.await {
                tracing::error!(%error, "telling when keys were used ended by a panic");
            }
        };
        let drain = Drain::new(health.clone()).step("http", drain_patience, serving);
        let last_sign_outs = async move { sign_outs.end_telling().await };
        let drain = drain.step("sign-outs", sign_out::END_PATIENCE, last_sign_outs);
        let mut drain = drain.step("use of keys", key_usage::END_PATIENCE, telling).step(
            "end of reading",
            THREAD_DEADLINE,
            async move { readers.trigger("no request is under way") },
        );
        for (name, thread) in threads {
            drain = drain.thread(name, THREAD_DEADLINE, thread);
        }
        tracing::info!(%address, %ops_address, "query is listening");
        Ok(Self { address, ops_address, drain, failure, traces, health, shutdown })
    }

    /// Waits for the end and for everything to finish.
    ///
    /// # Errors
    /// When the live view or the reader of a topic failed, or something did not end in time.
    pub async fn run(self) -> Result<(), ServiceError> {
        let in_time = self.drain.run(&self.shutdown).await;
        self.traces.end().await;
        if let Some(failure) = self.failure.lock().take() {
            return Err(ServiceError::Live(failure));
        }
        let report = self.health.liveness();
        if !report.is_ok() {
            let failed = report.components.into_iter().filter(|(_, state)| state != "ok");
            let failed: Vec<String> = failed.map(|(name, why)| format!("{name}: {why}")).collect();
            return Err(ServiceError::Failed(failed.join("; ")));
        }
        if in_time { Ok(()) } else { Err(ServiceError::Drain) }
    }
}

/// What answers requests, and the threads that it lives on.
struct Started {
    api: Api,
    sign_outs: Arc<SignOuts>,
    telling: tokio::task::JoinHandle<()>,
    threads: Vec<(&'static str, JoinHandle<()>)>,
    failure: Arc<Mutex<Option<TailError>>>,
}

fn start_readers(
    config: QueryConfig,
    clients: KafkaClients,
    metrics: Metrics,
    health: &Health,
    readers: &Shutdown,
    ending: &Shutdown,
) -> Result<Started, ServiceError> {
    let prices = Arc::new(Prices::default());
    let store = Store::new(
        &config.clickhouse,
        config.store,
        metrics.clickhouse.clone(),
        metrics.pages.clone(),
        health.component("clickhouse"),
        Arc::clone(&prices),
    );
    let store = Arc::new(if config.answers.carried_s_max > 0 { store.of_one_server() } else { store });
    let view = Arc::new(LiveView::new(RecentLimits {
        bytes_max: config.live.recent_bytes_max,
        entries_per_account_max: config.live.recent_entries_per_account_max,
    }));
    let keys = KeyRing::new(config.admin_key.expose())?;
    let mut registry_table = follow_keys(&clients, health, readers, keys.clone())?;
    let mut price_table = follow_prices(&clients, health, readers, Arc::clone(&prices))?;
    let topic = clients.section().topic("dead-letter");
    let followed = Index::follow(&clients, &topic, readers.clone());
    let (letters, letters_thread) = followed.map_err(ServiceError::Thread)?;
    let dead_letters = DeadLetters::new(clients.clone(), letters);
    let audit = AuditTrail::new(clients.clone());
    let key_uses = KeyUses::default();
    let mut use_table = follow_key_uses(&clients, readers, key_uses.clone())?;
    let notes = NoteProducer::new(&clients).map_err(ServiceError::Producer)?;
    let section = clients.section();
    let (audit_topic, usage_topic) = (section.topic("audit"), section.topic("key-usage"));
    let age_max = Duration::from_millis(config.registry_age_max_ms);
    let ended = EndedSessions::default();
    let mut ended_table = follow_ended(&clients, health, readers, ended.clone())?;
    let ended_thread = ended_table.take_thread();
    let ended_topic = section.topic("ended-sessions");
    let sign_outs = SignOuts::new(ended, ended_table, age_max, notes.clone(), ended_topic, metrics.sign_outs.clone());
    let sign_outs = Arc::new(sign_outs);
    tokio::spawn(Arc::clone(&sign_outs).keep_telling(ending.clone()));
    let trail = Trail::new(notes.clone(), audit_topic, AUDIT_PATIENCE, metrics.trail.clone());
    let telling = key_usage::tell(keys.clone(), notes, usage_topic, key_usage::TELL_EVERY, ending.clone());
    let telling = tokio::spawn(telling);
    let topic = config.kafka.topic("ledger");
    let sunk = SunkOffsets::new(&clients, topic.clone(), &config.live.offsets_group, Arc::clone(&view))
        .map_err(ServiceError::SunkOffsets)?;
    let tail = Tail {
        topic,
        clients,
        view: Arc::clone(&view),
        store: Arc::clone(&store),
        settings: config.live.clone(),
        metrics: metrics.live.clone(),
        component: health.component("live-view"),
        shutdown: readers.clone(),
    };
    let Following { thread, failure } = tail.spawn().map_err(ServiceError::Thread)?;
    let tables = [
        ("registry", registry_table.take_thread()),
        ("price book", price_table.take_thread()),
        ("use of keys", use_table.take_thread()),
        ("ended sessions", ended_thread),
    ];
    let tables = tables.into_iter().filter_map(|(name, thread)| Some((name, thread?)));
    let followers = [("live view", thread), ("dead letters", letters_thread)];
    let threads = followers.into_iter().chain(tables).collect();
    tokio::spawn(ping(Arc::clone(&store), readers.clone()));
    let gate = Gate::new(keys, registry_table, age_max);
    let access = Access::new(gate, Arc::clone(&sign_outs), &config.session, &config.rate)?;
    let asker = Asker {
        store: Arc::clone(&store),
        view: Arc::clone(&view),
        sunk: sunk.clone(),
        rows_max: config.limits.groups_max,
        is_exact: config.answers.carried_s_max > 0,
    };
    let cubes = Cubes::new(
        config.answers,
        asker.clone(),
        Duration::from_millis(config.store.queue_wait_ms),
        metrics.kept.clone(),
    );
    let api = Api {
        access: Arc::new(access),
        forwarder: Forwarder::new(&config.forward, metrics.forward.clone())?,
        site: Site::new(&config.dashboard).map_err(ServiceError::Site)?,
        answers: Answers::new(config.answers, Arc::clone(&view), metrics.kept.clone()),
        parties: Parties::new(
            config.answers,
            asker.clone(),
            Duration::from_millis(config.store.queue_wait_ms),
            metrics.kept.clone(),
        ),
        cubes: Arc::new(cubes),
        asker,
        view,
        store,
        sunk,
        prices,
        dead_letters,
        audit,
        trail,
        key_uses,
        price_table,
        metrics,
        stream_places: Arc::new(Semaphore::new(config.stream.connections_max.min(Semaphore::MAX_PERMITS))),
        ending: ending.clone(),
        config,
    };
    Ok(Started { api, sign_outs, telling, threads, failure })
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, ServiceError> {
    TcpListener::bind(address).await.map_err(|source| ServiceError::Listen { address, key, source })
}

fn follow_keys(
    clients: &KafkaClients,
    health: &Health,
    readers: &Shutdown,
    keys: KeyRing,
) -> Result<TopicTable, TableError> {
    let topic = clients.section().topic("registry");
    TopicTable::spawn(clients, &topic, health.component("registry"), readers.clone(), move |record| {
        if let Err(error) = keys.apply(record.key.unwrap_or_default(), record.payload) {
            tracing::error!(offset = record.offset, %error, "a record of the registry cannot be read");
        }
    })
}

/// When keys were used is good to know, and no reason to answer nobody: its state is in no report.
fn follow_key_uses(clients: &KafkaClients, readers: &Shutdown, uses: KeyUses) -> Result<TopicTable, TableError> {
    let topic = clients.section().topic("key-usage");
    let component = Health::new().component("key-usage");
    TopicTable::spawn(clients, &topic, component, readers.clone(), move |record| {
        uses.apply(record.key.unwrap_or_default(), record.payload);
    })
}

fn follow_ended(
    clients: &KafkaClients,
    health: &Health,
    readers: &Shutdown,
    ended: EndedSessions,
) -> Result<TopicTable, TableError> {
    let topic = clients.section().topic("ended-sessions");
    TopicTable::spawn(clients, &topic, health.component("ended-sessions"), readers.clone(), move |record| {
        if let Err(error) = ended.apply(record.key.unwrap_or_default(), record.payload, now_ms()) {
            tracing::error!(offset = record.offset, %error, "a record of the ended sessions cannot be read");
        }
    })
}

fn follow_prices(
    clients: &KafkaClients,
    health: &Health,
    readers: &Shutdown,
    prices: Arc<Prices>,
) -> Result<TopicTable, TableError> {
    let topic = clients.section().topic("price-book");
    TopicTable::spawn(clients, &topic, health.component("price-book"), readers.clone(), move |record| {
        prices.apply(record.offset, record.payload);
    })
}

/// Keeps the ClickHouse component of the health report current while nobody asks for history.
async fn ping(store: Arc<Store>, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        let has_answered = store.ping().await;
        pause(&shutdown, if has_answered { PING_EVERY } else { PING_AGAIN }).await;
    }
}

async fn pause(shutdown: &Shutdown, time: Duration) {
    tokio::select! {
        () = shutdown.triggered() => {}
        () = tokio::time::sleep(time) => {}
    }
}
