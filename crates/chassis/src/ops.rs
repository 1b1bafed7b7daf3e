//! The operations listener: `/metrics`, `/livez`, `/readyz` on a port of its own.
//!
//! Readiness is a set of named conditions; the body of `/readyz` says which one is missing and why. A component may also be
//! [degraded](Component::degraded): the process still serves what it can, and the body says what it cannot. Liveness fails only
//! where a restart helps: a component that reported [`Component::failed`] or missed its own heartbeat.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry, TextEncoder};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::shutdown::Shutdown;

/// Readiness and liveness of a process, as its components report them.
#[derive(Debug, Clone)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    components: Mutex<BTreeMap<String, Arc<ComponentState>>>,
    shutting_down: AtomicBool,
    // Shared with the components, which may report from threads that know nothing of the process.
    on_failure: Arc<OnceLock<Shutdown>>,
    // Heartbeats are kept as milliseconds since this instant: one atomic store a beat.
    origin: Instant,
}

#[derive(Debug)]
struct ComponentState {
    not_ready: Mutex<Option<String>>,
    degraded: Mutex<Option<String>>,
    failed: Mutex<Option<String>>,
    last_beat_ms: AtomicU64,
    beat_within_ms: AtomicU64,
}

/// One named condition. Dropping it leaves the last report standing.
#[derive(Debug, Clone)]
pub struct Component {
    state: Arc<ComponentState>,
    on_failure: Arc<OnceLock<Shutdown>>,
    origin: Instant,
}

/// The body of `/readyz` and `/livez`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `"ok"` or `"failing"`.
    pub status: &'static str,
    /// Every component: `"ok"`, or why not; `"degraded: "` and why, where it keeps nothing from being ready.
    pub components: BTreeMap<String, String>,
}

impl Report {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Healthy and ready: there is no component yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            components: Mutex::new(BTreeMap::new()),
            shutting_down: AtomicBool::new(false),
            on_failure: Arc::default(),
            origin: Instant::now(),
        }))
    }

    /// Adds a condition that is not met yet (`"starting"`), or gives another handle to one of that name.
    #[must_use]
    pub fn component(&self, name: impl Into<String>) -> Component {
        let mut components = self.0.components.lock();
        let state = components.entry(name.into()).or_insert_with(|| {
            Arc::new(ComponentState {
                not_ready: Mutex::new(Some("starting".to_owned())),
                degraded: Mutex::new(None),
                failed: Mutex::new(None),
                last_beat_ms: AtomicU64::new(0),
                beat_within_ms: AtomicU64::new(0),
            })
        });
        Component { state: Arc::clone(state), on_failure: Arc::clone(&self.0.on_failure), origin: self.0.origin }
    }

    /// A handle to the condition of that name, where there is one.
    #[must_use]
    pub fn known(&self, name: &str) -> Option<Component> {
        let state = self.0.components.lock().get(name).map(Arc::clone)?;
        Some(Component { state, on_failure: Arc::clone(&self.0.on_failure), origin: self.0.origin })
    }

    /// From here on a component that [failed](Component::failed) asks the process to end: only a restart helps, and not
    /// every supervisor asks `/livez`. The first call counts. Whoever leaves the process asks [`liveness`](Self::liveness)
    /// for its status.
    pub fn end_on_failure(&self, shutdown: Shutdown) {
        // Later calls change nothing, as documented.
        self.0.on_failure.get_or_init(|| shutdown);
    }

    /// Takes a condition away, such as that of a partition given back.
    pub fn remove(&self, name: &str) {
        self.0.components.lock().remove(name);
    }

    /// Not ready from here on, whatever the components say.
    pub fn begin_shutdown(&self) {
        self.0.shutting_down.store(true, Ordering::Release);
    }

    /// What `/readyz` answers now.
    #[must_use]
    pub fn readiness(&self) -> Report {
        let mut report = self.report(|state| state.not_ready.lock().clone());
        for (name, state) in self.0.components.lock().iter() {
            let Some(why) = state.degraded.lock().clone() else { continue };
            if let Some(said) = report.components.get_mut(name).filter(|said| *said == "ok") {
                *said = format!("degraded: {why}");
            }
        }
        if self.0.shutting_down.load(Ordering::Acquire) {
            report.status = "failing";
            report.components.insert("process".to_owned(), "shutting down".to_owned());
        }
        report
    }

    /// What `/livez` answers now.
    #[must_use]
    pub fn liveness(&self) -> Report {
        let now_ms = elapsed_ms(self.0.origin);
        self.report(|state| {
            let within_ms = state.beat_within_ms.load(Ordering::Relaxed);
            let silent_ms = now_ms.saturating_sub(state.last_beat_ms.load(Ordering::Relaxed));
            let stuck = within_ms > 0 && silent_ms > within_ms;
            state.failed.lock().clone().or_else(|| stuck.then(|| format!("no progress for {silent_ms} ms")))
        })
    }

    fn report(&self, trouble: impl Fn(&ComponentState) -> Option<String>) -> Report {
        let components: BTreeMap<String, Option<String>> =
            self.0.components.lock().iter().map(|(name, state)| (name.clone(), trouble(state))).collect();
        Report {
            status: if components.values().all(Option::is_none) { "ok" } else { "failing" },
            components: components
                .into_iter()
                .map(|(name, trouble)| (name, trouble.unwrap_or_else(|| "ok".to_owned())))
                .collect(),
        }
    }
}

impl Component {
    /// The condition is met.
    pub fn ready(&self) {
        *self.state.not_ready.lock() = None;
        *self.state.degraded.lock() = None;
    }

    /// Something is away that the process can do without for a while; `why` is shown to the operator. Until
    /// [`ready`](Self::ready). Readiness stays as it is.
    pub fn degraded(&self, why: impl Into<String>) {
        *self.state.degraded.lock() = Some(why.into());
    }

    /// The condition is not met; `why` is shown to the operator.
    pub fn not_ready(&self, why: impl Into<String>) {
        *self.state.not_ready.lock() = Some(why.into());
    }

    /// Broken for good: only a restart helps. Also no longer ready. Ends the process where
    /// [`Health::end_on_failure`] says so.
    pub fn failed(&self, why: impl Into<String>) {
        let why = why.into();
        self.not_ready(why.clone());
        *self.state.failed.lock() = Some(why.clone());
        if let Some(shutdown) = self.on_failure.get() {
            shutdown.trigger(why);
        }
    }

    /// Promises a [`beat`](Self::beat) at least every `within`; liveness fails when one is missing.
    pub fn expect_beats(&self, within: Duration) {
        self.beat();
        self.state.beat_within_ms.store(u64::try_from(within.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes the promise of [`expect_beats`](Self::expect_beats) back, at the orderly end of a loop.
    pub fn end_beats(&self) {
        self.state.beat_within_ms.store(0, Ordering::Relaxed);
        self.state.last_beat_ms.store(0, Ordering::Relaxed);
    }

    /// Progress was made. One atomic store.
    pub fn beat(&self) {
        // 0 says that there was none.
        self.state.last_beat_ms.store(elapsed_ms(self.origin).max(1), Ordering::Relaxed);
    }

    /// How long ago it last [beat](Self::beat), promised or not; `None`: never, or not since [`end_beats`](Self::end_beats).
    #[must_use]
    pub fn silent(&self) -> Option<Duration> {
        let last_ms = Some(self.state.last_beat_ms.load(Ordering::Relaxed)).filter(|last_ms| *last_ms > 0)?;
        Some(Duration::from_millis(elapsed_ms(self.origin).saturating_sub(last_ms)))
    }
}

fn elapsed_ms(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// `tollbooth_ready`, read when it is asked for.
struct Readiness {
    health: Health,
    gauge: IntGauge,
}

impl Collector for Readiness {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(i64::from(self.health.readiness().is_ok()));
        self.gauge.collect()
    }
}

/// Shows as `tollbooth_ready` what `/readyz` says.
///
/// # Errors
/// When the name is taken.
pub fn register_readiness(registry: &Registry, health: &Health) -> Result<(), prometheus::Error> {
    let gauge = IntGauge::new("tollbooth_ready", "1 while /readyz says ok; its body says what is missing.")?;
    registry.register(Box::new(Readiness { health: health.clone(), gauge }))
}

/// The routes of the operations listener.
pub fn router(registry: Registry, health: Health) -> Router {
    if let Err(error) = register_readiness(&registry, &health) {
        tracing::warn!(%error, "readiness is no metric here");
    }
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|State((_, health)): State<(Registry, Health)>| async move { answer(&health.liveness()) }))
        .route(
            "/readyz",
            get(|State((_, health)): State<(Registry, Health)>| async move { answer(&health.readiness()) }),
        )
        .with_state((registry, health))
}

/// Serves the operations listener until the process ends: an operator wants to see a drain, too.
#[must_use]
pub fn spawn(listener: TcpListener, registry: Registry, health: Health) -> JoinHandle<()> {
    let server = crate::http::Server::new(crate::http::HttpLimits::default());
    let router = router(registry, health);
    // A signal of its own that nobody gives.
    tokio::spawn(async move { server.serve(listener, router, Shutdown::new()).await })
}

async fn metrics(State((registry, _)): State<(Registry, Health)>) -> Response<Body> {
    let mut text = String::with_capacity(16 * 1024);
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "cannot encode metrics");
        return respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics cannot be encoded\n".to_owned());
    }
    respond(StatusCode::OK, prometheus::TEXT_FORMAT, text)
}

fn answer(report: &Report) -> Response<Body> {
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond(status, "application/json", serde_json::to_string(report).unwrap_or_default())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
