//! The drift watch: what ClickHouse holds is compared with itself, all the time and at low cost.
//!
//! A turn takes the next few accounts and asks one question about them: whether their entries are gapless and each
//! balance follows from the one before, whether the kept balance is the last entry's, and whether the rollups sum to what
//! the entries do. The accounts follow each other in the tables' own order, so that a turn reads a small, contiguous part
//! of them. After the last one it begins anew.
//!
//! A look that falls between the parts of an insert sees a difference that is none. So what differs is asked again while
//! no insert is under way, and only what differs then is drift. It stays in the gauges until a later look finds it mended.
//!
//! What it found is also written to the table `drift`, where those can read it who cannot ask this process.
//!
//! Tables that agree with each other may still lack, all of them, what the ledger topic has: [`topic`] holds them against it.
//!
//! It compares sums. That every single row is what its record says, only `verify` proves.

mod figures;
pub(super) mod metrics;
mod store;
mod told;
mod topic;
mod totals;

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tollbooth_chassis::shutdown::Shutdown;

use super::Context;
use super::error::SinkError;
use figures::Drift;
use store::Scope;
use told::{Told, now_ms};

/// Most accounts of one turn.
const ACCOUNTS_MAX: u64 = 1_000;
/// Most accounts with a difference that are remembered, and asked for anew each turn. Somebody looks long before.
const KNOWN_MAX: usize = 1_000;
/// How often it is written down that nothing has changed. What has, is at once.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// The watch beside an active sink. Dropping it ends the watch.
pub(super) struct Watching(Option<Halves>);

struct Halves {
    of_tables: AbortHandle,
    of_topic: Option<JoinHandle<()>>,
    stop: Shutdown,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let Some(Halves { of_tables, of_topic, stop }) = &mut self.0 else { return };
        of_tables.abort();
        stop.trigger("the watch of the ledger topic, which ends with the active sink");
        // It asks by the runtime that may end after this. A panic in it was told by the panic hook.
        drop(of_topic.take().map(JoinHandle::join));
    }
}

/// Watches until the answer is dropped.
pub(super) fn watch(context: &Context) -> Watching {
    let pause = Duration::from_millis(context.config.drift_interval_ms);
    if pause.is_zero() {
        return Watching(None);
    }
    let (context, watched) = (context.clone(), context.clone());
    let mut watch = Watch { began_at_ms: now_ms(), ..Watch::default() };
    let handle = context.runtime.clone();
    let task = handle.spawn(async move {
        loop {
            let started = Instant::now();
            match watch.turn(&context).await {
                Ok(()) => context.metrics.drift.looked(started.elapsed()),
                Err(error) => tracing::warn!(%error, "the drift watch could not look"),
            }
            tokio::time::sleep(pause).await;
        }
    });
    // Also where its thread does not begin, so that this grows old.
    watched.metrics.drift.topic_went_on();
    let stop = Shutdown::new();
    let of_topic = topic::watch(watched, pause, stop.clone())
        .inspect_err(|error| tracing::error!(%error, "nobody holds the tables against the ledger topic"))
        .ok();
    Watching(Some(Halves { of_tables: task.abort_handle(), of_topic, stop }))
}

/// Where the watch stands.
#[derive(Debug, Default)]
struct Watch {
    /// The last account that was looked at; empty: begin anew.
    after: String,
    known: BTreeMap<String, Drift>,
    began_at_ms: i64,
    /// When it had last looked at every account.
    passed_at_ms: Option<i64>,
    /// When it was last written down what is known.
    told_at: Option<Instant>,
}

impl Watch {
    async fn turn(&mut self, context: &Context) -> Result<(), SinkError> {
        let store = &context.store;
        let (scope, next) = store.next_accounts(&self.after, ACCOUNTS_MAX, context.config.drift_rows_max).await?;
        let looked_at = store.figures(&scope).await?;
        let mut suspects: Vec<String> =
            looked_at.iter().filter(|(_, figures)| figures.drift().is_some()).map(|(id, _)| id.clone()).collect();
        // Also those of before: they may be mended, wherever they lie.
        suspects.extend(self.known.keys().filter(|id| !looked_at.contains_key(*id)).cloned());
        suspects.truncate(KNOWN_MAX);
        let confirmed = self.confirm(context, suspects).await?;
        let has_changed = self.known != confirmed;
        self.note(confirmed);
        context.metrics.drift.counted(looked_at.len(), &self.known);
        if next.is_none() {
            context.metrics.drift.passed();
            self.passed_at_ms = Some(now_ms());
        }
        self.after = next.unwrap_or_default();
        self.tell(context, has_changed).await
    }

    /// Writes down what is known, for those who cannot ask this process.
    async fn tell(&mut self, context: &Context, has_changed: bool) -> Result<(), SinkError> {
        if !has_changed && self.told_at.is_some_and(|told_at| told_at.elapsed() < TELL_INTERVAL) {
            return Ok(());
        }
        let told = Told { began_at_ms: self.began_at_ms, passed_at_ms: self.passed_at_ms };
        context.store.tell_drift(told, &self.known).await?;
        self.told_at = Some(Instant::now());
        Ok(())
    }

    /// Asks again while nothing is inserted.
    async fn confirm(&self, context: &Context, suspects: Vec<String>) -> Result<BTreeMap<String, Drift>, SinkError> {
        if suspects.is_empty() {
            return Ok(BTreeMap::new());
        }
        let _no_insert = context.inserts.lock().await;
        let figures = context.store.figures(&Scope::Of(suspects)).await?;
        Ok(figures.into_iter().filter_map(|(id, figures)| Some((id, figures.drift()?))).collect())
    }

    fn note(&mut self, confirmed: BTreeMap<String, Drift>) {
        for (account_id, drift) in &confirmed {
            if self.known.get(account_id) != Some(drift) {
                tracing::error!(account_id, ?drift, "drift: run verify");
            }
        }
        for account_id in self.known.keys().filter(|id| !confirmed.contains_key(*id)) {
            tracing::info!(account_id, "the drift is mended");
        }
        self.known = confirmed;
    }
}
