//! Reading and waiting of one stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::response::sse::Event;
use tokio::sync::OwnedSemaphorePermit;
use tollbooth_chassis::http::WriteTimeout;
use tollbooth_chassis::shutdown::Shutdown;

use super::events::event;
use super::{Feed, Out};
use crate::access::Access;
use crate::activity::ActivityRow;
use crate::clock::now_ms;
use crate::config::StreamSection;
use crate::live::{LiveView, STALE_AFTER_MS, Watch};
use crate::metrics::StreamMetrics;
use crate::prices::Prices;
use crate::store::Store;

/// Entries taken from memory at once: all that a stream holds while its client does not read, some 30 KiB.
const TAKE_ENTRIES: usize = 64;
/// Entries asked of ClickHouse at once.
const TAKE_STORED: usize = 256;

/// What a stream is opened with.
pub struct Opening {
    /// Whose.
    pub account_id: String,
    /// ISO 4217.
    pub currency: String,
    /// Where it begins and what it sends.
    pub feed: Feed,
    /// The request's headers: the key is looked at again and again.
    pub headers: HeaderMap,
    /// Of its connection: whether it ends since nobody reads it.
    pub write_timeout: WriteTimeout,
    /// Its place among all streams.
    pub permit: OwnedSemaphorePermit,
    /// Tells of newer entries; begun before anything is read.
    pub watch: Watch,
    /// Keys.
    pub access: Arc<Access>,
    /// Newest entries.
    pub view: Arc<LiveView>,
    /// Older ones.
    pub store: Arc<Store>,
    /// Names.
    pub prices: Arc<Prices>,
    /// Metrics.
    pub metrics: StreamMetrics,
    /// Settings.
    pub settings: StreamSection,
    /// Ends all streams: clients come back to another process with their ids.
    pub ending: Shutdown,
}

/// A stream under way.
pub struct Stream {
    opening: Opening,
    opened_at_ms: i64,
    check_at: Instant,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("feed", &self.opening.feed).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.opening.metrics.connections.dec();
        if self.opening.write_timeout.has_passed() {
            self.opening.metrics.dropped.inc();
        }
    }
}

/// What was read.
enum Read {
    /// Nothing new.
    Nothing,
    /// Something.
    Some,
    /// The account is not known any more, or not yet again.
    Gone,
}

impl Stream {
    /// Begins.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        opening.metrics.connections.inc();
        let check_at = Instant::now() + Duration::from_millis(opening.settings.heartbeat_ms);
        Self { opening, opened_at_ms: now_ms(), check_at }
    }

    /// The next event; `None`: the stream ends, because the process does or the key may not read any more.
    pub async fn next(&mut self) -> Option<Result<Event, axum::Error>> {
        loop {
            if self.opening.ending.is_triggered() {
                return None;
            }
            if let Some(out) = self.opening.feed.pop(Instant::now()) {
                return Some(self.write(out));
            }
            match self.read().await {
                Read::Some => continue,
                Read::Gone => return None,
                Read::Nothing => {}
            }
            // Due while it was read.
            if let Some(out) = self.opening.feed.pop(Instant::now()) {
                return Some(self.write(out));
            }
            if !self.wait().await {
                return None;
            }
        }
    }

    /// Waits for something to do. Returns whether the stream goes on.
    async fn wait(&mut self) -> bool {
        let now = Instant::now();
        let Opening { feed, watch, ending, settings, access, headers, account_id, .. } = &mut self.opening;
        let wake_at = feed.due_at(now).map_or(self.check_at, |due_at| due_at.min(self.check_at));
        tokio::select! {
            () = watch.changed() => {}
            () = ending.triggered() => return false,
            () = tokio::time::sleep_until(wake_at.into()) => {}
        }
        if Instant::now() < self.check_at {
            return true;
        }
        self.check_at = Instant::now() + Duration::from_millis(settings.heartbeat_ms);
        match access.read_account(headers, account_id) {
            Ok(_) => true,
            // Keys cannot be judged at the moment: that is no reason to cut off who was let in.
            Err(problem) => problem.status().is_server_error(),
        }
    }

    fn write(&self, out: Out) -> Result<Event, axum::Error> {
        let Opening { account_id, currency, feed, prices, metrics, .. } = &self.opening;
        match &out {
            // Of what was posted before, the client's own absence would be measured.
            Out::Transaction(row) | Out::Alert(row) if row.posted_at_ms >= self.opened_at_ms => {
                // A duration for a histogram, no money: the loss of precision is nothing.
                metrics.ledger_to_sse.observe((now_ms() - row.posted_at_ms).max(0) as f64 / 1_000.0);
            }
            Out::Resync(reason) => metrics.resynced(reason),
            _ => {}
        }
        let (event, kind) = event(account_id, currency, &prices.names(), out, feed.position());
        metrics.sent(kind);
        event
    }

    /// Takes entries that are there: from memory, or what memory has dropped from ClickHouse.
    async fn read(&mut self) -> Read {
        let Self { opening: Opening { feed, view, account_id, .. }, opened_at_ms, .. } = self;
        let next_seq = feed.next_seq();
        let Some(since) = view.since(account_id, next_seq, TAKE_ENTRIES) else { return Read::Gone };
        let (newest_seq, confirmed_at_ms) = (since.balance.seq, since.confirmed_at_ms);
        feed.set_stale((now_ms() - confirmed_at_ms > STALE_AFTER_MS).then_some(confirmed_at_ms));
        if newest_seq.saturating_add(1) < next_seq && confirmed_at_ms > *opened_at_ms {
            // The client comes from a ledger that went further than this one does.
            feed.skip_to(newest_seq, "ahead");
            return Read::Some;
        }
        feed.take_balance(since.balance);
        if !feed.wants_entries() || newest_seq < next_seq {
            return Read::Nothing;
        }
        if next_seq < since.oldest_seq {
            return self.read_stored(next_seq, newest_seq, since.oldest_seq).await;
        }
        let last_seq = since.records.last().map_or(newest_seq, |record| record.last_seq);
        let to_seq = last_seq.min(next_seq.saturating_add(TAKE_ENTRIES as u64 - 1));
        let rows = since.records.iter().filter_map(|record| record.decode()).flat_map(|record| {
            let wanted = record.entries.iter().filter(|entry| (next_seq..=to_seq).contains(&entry.seq));
            wanted.filter_map(|entry| ActivityRow::of_entry(&record, entry)).collect::<Vec<_>>()
        });
        feed.take(rows.collect(), to_seq);
        Read::Some
    }

    async fn read_stored(&mut self, next_seq: u64, newest_seq: u64, oldest_seq: u64) -> Read {
        let Opening { feed, store, account_id, settings, .. } = &mut self.opening;
        if newest_seq - next_seq >= settings.resume_entries_max {
            feed.skip_to(newest_seq, "too_far_behind");
            return Read::Some;
        }
        let rows = match store.entries_from(account_id, next_seq, oldest_seq, TAKE_STORED).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::debug!(%error, "a stream cannot be resumed");
                feed.skip_to(newest_seq, "history_unavailable");
                return Read::Some;
            }
        };
        // The ledger has no gaps: rows that do not join on are rows that ClickHouse does not have (yet).
        let joins = rows.iter().zip(next_seq..).all(|(row, seq)| row.seq == seq);
        match rows.last().map(|row| row.seq) {
            Some(to_seq) if joins => feed.take(rows, to_seq),
            _ => feed.skip_to(newest_seq, "gap"),
        }
        Read::Some
    }
}
