//! Ending in order: readiness off, no new work, drain with a deadline each, exit.
//!
//! [`Shutdown`] is the signal, usable from async tasks and from OS threads. [`Drain`] is the order: steps run one after
//! the other, as they were added, each with its own deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::ops::Health;

#[derive(Debug)]
struct Inner {
    triggered: watch::Sender<bool>,
    // OS threads wait here; a watch channel has no blocking wait with a deadline.
    reason: Mutex<Option<String>>,
    changed: Condvar,
}

/// The one "please end" of a process. Cloning gives another handle to the same signal; it is never taken back.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Inner>);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A signal that nobody has given yet.
    #[must_use]
    pub fn new() -> Self {
        let (triggered, _) = watch::channel(false);
        Self(Arc::new(Inner { triggered, reason: Mutex::new(None), changed: Condvar::new() }))
    }

    /// Asks the process to end. The first reason is kept.
    pub fn trigger(&self, reason: impl Into<String>) {
        let mut kept = self.0.reason.lock();
        if kept.is_none() {
            let reason = reason.into();
            tracing::info!(%reason, "shutting down");
            *kept = Some(reason);
            self.0.triggered.send_replace(true);
            self.0.changed.notify_all();
        }
    }

    /// Whether the end was asked for. One atomic load: fit for every turn of a loop.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.0.triggered.borrow()
    }

    /// Why, once triggered.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.reason.lock().clone()
    }

    /// Completes when the end is asked for, at once if it was already.
    pub async fn triggered(&self) {
        let mut receiver = self.0.triggered.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        if receiver.wait_for(|triggered| *triggered).await.is_err() {
            tracing::error!("shutdown signal lost");
        }
    }

    /// Blocks the thread until the end is asked for, at most `timeout`. Returns whether it was: a sleep that ends early.
    #[must_use]
    pub fn wait_blocking(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut reason = self.0.reason.lock();
        while reason.is_none() {
            if self.0.changed.wait_until(&mut reason, deadline).timed_out() {
                break;
            }
        }
        reason.is_some()
    }

    /// Triggers on SIGTERM and SIGINT; a second signal ends the process at once with status 130. Call inside a runtime.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen_for_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if shutdown.is_triggered() {
                    tracing::warn!(signal = name, "second signal, leaving at once");
                    std::process::exit(130);
                }
                shutdown.trigger(name);
            }
        });
        Ok(())
    }
}

type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What happens after [`Shutdown`], in order.
pub struct Drain {
    health: Health,
    steps: Vec<(&'static str, Duration, Step)>,
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|(name, deadline, _)| (name, deadline))).finish()
    }
}

impl Drain {
    /// A drain without steps; `health` is told first.
    #[must_use]
    pub fn new(health: Health) -> Self {
        Self { health, steps: Vec::new() }
    }

    /// Adds a step: a future that completes when the component has ended. It is polled only once its turn has come;
    /// components stop taking work by watching [`Shutdown`] themselves.
    #[must_use]
    pub fn step(
        mut self,
        name: &'static str,
        deadline: Duration,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.steps.push((name, deadline, Box::pin(ended)));
        self
    }

    /// Adds an OS thread that watches [`Shutdown`] itself.
    #[must_use]
    pub fn thread(self, name: &'static str, deadline: Duration, handle: JoinHandle<()>) -> Self {
        self.step(name, deadline, async move {
            // Polled, because a blocking join could not be given up at the deadline.
            while !handle.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if handle.join().is_err() {
                tracing::error!(component = name, "thread ended by a panic");
            }
        })
    }

    /// Waits for `shutdown`, turns readiness off, then runs the steps. Returns whether all met their deadlines.
    pub async fn run(self, shutdown: &Shutdown) -> bool {
        shutdown.triggered().await;
        self.health.begin_shutdown();
        let mut all_in_time = true;
        for (component, deadline, ended) in self.steps {
            let started = Instant::now();
            let in_time = tokio::time::timeout(deadline, ended).await.is_ok();
            let elapsed_ms = started.elapsed().as_millis();
            if in_time {
                tracing::info!(component, elapsed_ms, "drained");
            } else {
                tracing::error!(component, elapsed_ms, "not drained in time, leaving it behind");
                all_in_time = false;
            }
        }
        all_in_time
    }
}
