//! Everything wired together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tollbooth_chassis::auth::{KeyRing, RootKeyError};
use tollbooth_chassis::http::Server;
use tollbooth_chassis::kafka::KafkaClients;
use tollbooth_chassis::kafka::table::{TableError, TopicTable};
use tollbooth_chassis::ops::{self, Health};
use tollbooth_chassis::shutdown::{Drain, Shutdown};
use tollbooth_chassis::telemetry::{self, TelemetryError};

use crate::access::Access;
use crate::config::QueryConfig;
use crate::live::{Following, LiveView, RecentLimits, Tail, TailError};
use crate::metrics::Metrics;
use crate::prices::Prices;
use crate::routes::{Api, router};
use crate::store::Store;

const THREAD_DEADLINE: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(5);

/// Why the service cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The first admin key is none.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// Metrics.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
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
    shutdown: Shutdown,
}

impl Service {
    /// Starts everything; returns when both addresses are listened on. The engines may come later.
    ///
    /// # Errors
    /// [`ServiceError`]
    pub async fn start(config: QueryConfig, shutdown: Shutdown) -> Result<Self, ServiceError> {
        let registry = telemetry::registry("query", env!("CARGO_PKG_VERSION"))?;
        let health = Health::new();
        let metrics = Metrics::register(&registry)?;
        let listener = listen(config.listen, "listen").await?;
        let ops_listener = listen(config.ops_listen, "ops_listen").await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let ops_address = ops_listener.local_addr().unwrap_or(config.ops_listen);
        drop(ops::spawn(ops_listener, registry, health.clone()));

        let clients = KafkaClients::new(config.kafka.clone());
        let store_component = health.component("clickhouse");
        let store = Arc::new(Store::new(
            &config.clickhouse,
            config.store,
            metrics.clickhouse_inflight.clone(),
            store_component,
        ));
        let limits = RecentLimits {
            bytes_max: config.live.recent_bytes_max,
            entries_per_account_max: config.live.recent_entries_per_account_max,
        };
        let view = Arc::new(LiveView::new(limits));
        let prices = Arc::new(Prices::default());
        let keys = KeyRing::new(config.admin_key.expose())?;
        let mut registry_table = follow_keys(&clients, &health, &shutdown, keys.clone())?;
        let mut price_table = follow_prices(&clients, &health, &shutdown, Arc::clone(&prices))?;
        let table_threads = [registry_table.take_thread(), price_table.take_thread()];
        let tail = Tail {
            topic: config.kafka.topic("ledger"),
            clients,
            view: Arc::clone(&view),
            store: Arc::clone(&store),
            settings: config.live,
            metrics: metrics.live.clone(),
            component: health.component("live-view"),
            shutdown: shutdown.clone(),
        };
        let Following { thread: tail_thread, failure } = tail.spawn().map_err(ServiceError::Thread)?;
        tokio::spawn(ping(Arc::clone(&store), shutdown.clone()));

        let server = Server::new(config.http);
        let drain_patience = Duration::from_millis(config.http.drain_timeout_ms) + Duration::from_secs(1);
        let api = Api { access: Access::new(keys, registry_table), view, store, prices, metrics, config };
        let routes = router(Arc::new(api));
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { server.serve(listener, routes, shutdown).await }
        });
        let serving = async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the listener ended");
            }
        };
        let mut drain = Drain::new(health).step("http", drain_patience, serving);
        drain = drain.thread("live-view", THREAD_DEADLINE, tail_thread);
        for thread in table_threads.into_iter().flatten() {
            drain = drain.thread("topic table", THREAD_DEADLINE, thread);
        }
        tracing::info!(%address, %ops_address, "query is listening");
        Ok(Self { address, ops_address, drain, failure, shutdown })
    }

    /// Waits for the end and for everything to finish.
    ///
    /// # Errors
    /// When the live view failed, or something did not end in time.
    pub async fn run(self) -> Result<(), ServiceError> {
        let in_time = self.drain.run(&self.shutdown).await;
        if let Some(failure) = self.failure.lock().take() {
            return Err(ServiceError::Live(failure));
        }
        if in_time { Ok(()) } else { Err(ServiceError::Drain) }
    }
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, ServiceError> {
    TcpListener::bind(address).await.map_err(|source| ServiceError::Listen { address, key, source })
}

fn follow_keys(
    clients: &KafkaClients,
    health: &Health,
    shutdown: &Shutdown,
    keys: KeyRing,
) -> Result<TopicTable, TableError> {
    let topic = clients.section().topic("registry");
    TopicTable::spawn(clients, &topic, health.component("registry"), shutdown.clone(), move |record| {
        if let Err(error) = keys.apply(record.key.unwrap_or_default(), record.payload) {
            tracing::error!(offset = record.offset, %error, "a record of the registry cannot be read");
        }
    })
}

fn follow_prices(
    clients: &KafkaClients,
    health: &Health,
    shutdown: &Shutdown,
    prices: Arc<Prices>,
) -> Result<TopicTable, TableError> {
    let topic = clients.section().topic("price-book");
    TopicTable::spawn(clients, &topic, health.component("price-book"), shutdown.clone(), move |record| {
        prices.apply(record.offset, record.payload);
    })
}

/// Keeps the ClickHouse component of the health report current while nobody asks for history.
async fn ping(store: Arc<Store>, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        store.ping().await;
        tokio::select! {
            () = shutdown.triggered() => {}
            () = tokio::time::sleep(PING_EVERY) => {}
        }
    }
}
