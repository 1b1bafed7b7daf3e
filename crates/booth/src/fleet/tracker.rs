//! What was sent, what was promised, what comes next.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::draft::Draft;
use crate::{
    booth::Observer,
    journal::{self, Line},
    outbox::Item,
    transport::Problem,
};

/// A draft that may be sent once its first attempt is acknowledged.
type Then = (Duration, Box<Draft>);

/// Counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) planned: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) kafka_sent: AtomicU64,
}

/// Shared by all ways out. Writes the journal before and after.
pub(crate) struct Tracker {
    journal: Mutex<journal::Writer>,
    waiting: Mutex<HashMap<String, Then>>,
    ready: mpsc::UnboundedSender<Then>,
    pub(crate) counts: Counts,
    // A journal that cannot be written makes every later promise worthless: the run ends.
    failed: Mutex<Option<String>>,
}

impl Tracker {
    pub(crate) fn new(journal: journal::Writer) -> (Arc<Self>, mpsc::UnboundedReceiver<Then>) {
        let (ready, receiver) = mpsc::unbounded_channel();
        let tracker = Self {
            journal: Mutex::new(journal),
            waiting: Mutex::new(HashMap::new()),
            ready,
            counts: Counts::default(),
            failed: Mutex::new(None),
        };
        (Arc::new(tracker), receiver)
    }

    /// Writes lines down before the thing is done.
    pub(crate) fn write(&self, lines: &[Line]) -> io::Result<()> {
        self.journal.lock().write(lines)
    }

    /// Writes drafts down and remembers what follows them. Call it before any of them leaves.
    pub(crate) fn plan(&self, drafts: &mut [Draft]) -> io::Result<()> {
        let lines: Vec<Line> = drafts.iter().map(|draft| Line::Planned(draft.planned())).collect();
        self.write(&lines)?;
        let mut waiting = self.waiting.lock();
        for draft in drafts {
            self.counts.planned.fetch_add(1, Relaxed);
            self.counts.faults.fetch_add(u64::from(draft.fault.is_some()), Relaxed);
            if let Some(then) = draft.then.take() {
                waiting.insert(draft.report.id.clone(), then);
            }
        }
        Ok(())
    }

    /// Writes down that these ids are sent once more.
    pub(crate) fn repeat(&self, ids: impl IntoIterator<Item = String>) -> io::Result<()> {
        let lines: Vec<Line> = ids.into_iter().map(|id| Line::Duplicate { id }).collect();
        self.counts.duplicates.fetch_add(lines.len() as u64, Relaxed);
        self.write(&lines)
    }

    /// Writes down what is durable, and lets go what waited for it.
    pub(crate) fn acked(&self, ids: Vec<String>) {
        if ids.is_empty() {
            return;
        }
        self.counts.acknowledged.fetch_add(ids.len() as u64, Relaxed);
        {
            let mut waiting = self.waiting.lock();
            for then in ids.iter().filter_map(|id| waiting.remove(id)) {
                // The run has ended when nobody listens.
                drop(self.ready.send(then));
            }
        }
        self.note(&Line::Acked { at: chrono::Utc::now().timestamp_millis(), ids });
    }

    /// Writes down what is about to be sent once more, because nobody knows whether it has arrived.
    pub(crate) fn unanswered(&self, ids: Vec<String>) {
        self.note(&Line::Unanswered { ids });
    }

    /// How many drafts wait for an acknowledgement.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Why the journal cannot be written any more.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failed.lock().clone()
    }

    fn note(&self, line: &Line) {
        if let Err(error) = self.journal.lock().write([line]) {
            tracing::error!(%error, "journal write failed");
            *self.failed.lock() = Some(error.to_string());
        }
    }
}

/// Listens to one outbox.
pub(crate) struct Listener(pub(crate) Arc<Tracker>);

impl Observer for Listener {
    fn acknowledged(&self, items: &[Item]) {
        self.0.acked(items.iter().map(|item| item.id.clone()).collect());
    }

    fn unanswered(&self, items: &[Item]) {
        self.0.unanswered(items.iter().map(|item| item.id.clone()).collect());
    }

    fn parked(&self, item: &Item, problem: &Problem) {
        self.0.counts.parked.fetch_add(1, Relaxed);
        // What was to follow never comes: its first attempt is nowhere.
        self.0.waiting.lock().remove(&item.id);
        let line = Line::Parked { id: item.id.clone(), status: problem.status, code: problem.code.clone() };
        self.0.note(&line);
    }
}
