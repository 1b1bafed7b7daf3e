//! Simulated gateways: each carries many booths over one outbox, so that a disk sync is shared.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::tracker::{Listener, Tracker};
use crate::{Booth, BoothConfig, BoothError, EnqueueError, HttpTransport, OutboxError, Stats};

/// Events between the plan and the disk; beyond them the plan waits.
const QUEUED_MAX: usize = 20_000;
/// Events that one write gathers.
const GROUP_MAX: usize = 5_000;

/// How long a disk that refused is left alone.
const DISK_PAUSE: Duration = Duration::from_millis(500);

/// An encoded event with its id.
pub(crate) type Encoded = (String, Vec<u8>);

struct Gateway {
    booth: Arc<Booth>,
    /// Events that are queued or being written.
    unwritten: Arc<AtomicU64>,
    queue: mpsc::Sender<Encoded>,
    tasks: [JoinHandle<()>; 2],
}

/// All gateways of a fleet.
pub(crate) struct Gateways(Vec<Gateway>);

impl Gateways {
    /// Opens `count` outboxes below `dir`, with what an earlier run left in them, and begins to send.
    pub(crate) async fn open(
        dir: &Path,
        count: usize,
        config: &BoothConfig,
        tracker: &Arc<Tracker>,
    ) -> Result<Self, BoothError> {
        let client = config.client.clone().unwrap_or_default();
        let mut gateways = Vec::with_capacity(count);
        for index in 0..count.max(1) {
            let transport = HttpTransport::new(
                client.clone(),
                &config.ingest_url,
                &config.api_key,
                config.gzip,
                config.request_timeout,
            )?;
            let listener = Listener(Arc::clone(tracker));
            let dir = dir.join(format!("gateway-{index:02}"));
            let booth = Booth::open_with(dir, config.clone(), Box::new(transport), Some(Box::new(listener))).await?;
            gateways.push(Gateway::start(Arc::new(booth)));
        }
        Ok(Self(gateways))
    }

    /// Queues an event of a booth. Waits when the disk is behind.
    pub(crate) async fn send(&self, booth_number: u32, event: Encoded) -> bool {
        let count = self.0.len().max(1);
        let index = usize::try_from(booth_number).unwrap_or(0) % count;
        match self.0.get(index) {
            Some(gateway) => {
                gateway.unwritten.fetch_add(1, Relaxed);
                gateway.queue.send(event).await.is_ok()
            }
            None => false,
        }
    }

    /// The sum over all of them.
    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for gateway in &self.0 {
            let stats = gateway.booth.stats();
            sum.enqueued += stats.enqueued;
            sum.acknowledged += stats.acknowledged;
            sum.parked += stats.parked;
            sum.pending += stats.pending;
            sum.pending_bytes += stats.pending_bytes;
            sum.retries += stats.retries;
            sum.torn_bytes += stats.torn_bytes;
            sum.last_error = sum.last_error.or(stats.last_error);
        }
        sum
    }

    /// Whether nothing is on its way to the disk or from it.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.iter().all(|gateway| gateway.unwritten.load(Relaxed) == 0 && gateway.booth.stats().pending == 0)
    }

    /// Whether one of them can no longer write or send.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.iter().any(|gateway| gateway.tasks.iter().any(JoinHandle::is_finished))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Gateway {
    fn start(booth: Arc<Booth>) -> Self {
        let (queue, events) = mpsc::channel(QUEUED_MAX);
        let unwritten = Arc::new(AtomicU64::new(0));
        let writing = tokio::spawn(write(Arc::clone(&booth), events, Arc::clone(&unwritten)));
        let sending = Arc::clone(&booth);
        let sending = tokio::spawn(async move {
            while let Err(error) = sending.run().await {
                if !is_passing(&error) {
                    tracing::error!(%error, "gateway stopped sending");
                    break;
                }
                tracing::warn!(%error, "gateway sends again soon");
                tokio::time::sleep(DISK_PAUSE).await;
            }
        });
        Self { booth, unwritten, queue, tasks: [writing, sending] }
    }
}

/// Whether the queue can be gone on with: a disk that refused, not one whose content is wrong.
const fn is_passing(error: &BoothError) -> bool {
    matches!(error, BoothError::Outbox(OutboxError::Io(_)))
}

async fn write(booth: Arc<Booth>, mut events: mpsc::Receiver<Encoded>, unwritten: Arc<AtomicU64>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while events.recv_many(&mut group, GROUP_MAX).await > 0 {
        loop {
            let taken = booth.enqueue_encoded(group.iter().map(|(id, event)| (id, event))).await;
            match taken {
                Ok(()) => break,
                // The queue in front fills and the plan waits: an outage shows as a late plan, never as loss.
                Err(EnqueueError::Full { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
                // A full disk is one for a while. What was taken of it all the same goes by the same ids.
                Err(EnqueueError::Disk(error)) if matches!(*error, OutboxError::Io(_)) => {
                    tracing::warn!(%error, "gateway writes again soon");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(%error, "gateway stopped writing");
                    return;
                }
            }
        }
        unwritten.fetch_sub(group.len() as u64, Relaxed);
        group.clear();
    }
}
