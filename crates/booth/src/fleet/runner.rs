//! Plays a profile: open-loop pacing, so that a slow system under test shows as a backlog and not as a lower rate.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    draft::Draft,
    generator::{Generator, GeneratorConfig},
    links::{Links, LinksError, Ready},
    population::Population,
    status::StatusLine,
};
use crate::journal::Line;

const TICK: Duration = Duration::from_millis(10);
/// Records of one tick; a longer backlog of the plan is worked off over several.
const TICK_RECORDS_MAX: u64 = 5_000;

/// How long and how fast.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Records per second, mean; repeats not counted.
    pub rate: f64,
    /// The run ends after this time.
    pub duration: Option<Duration>,
    /// The run ends after so many records.
    pub count: Option<u64>,
    /// After its end, how long it waits for answers.
    pub drain: Duration,
    /// Prints a line every two seconds.
    pub status: bool,
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Begins every id.
    pub run_id: String,
    /// Of the random stream.
    pub seed: u64,
    /// What was played.
    pub profile: String,
    /// From the first record to the last.
    pub elapsed_s: f64,
    /// Records sent for the first time.
    pub planned: u64,
    /// Bytes sent once more.
    pub duplicates: u64,
    /// Of `planned`, those with a fault in them.
    pub faults: u64,
    /// Of all, those straight into Kafka.
    pub kafka_sent: u64,
    /// Records and repeats that were acknowledged, also of earlier runs' outboxes.
    pub acknowledged: u64,
    /// Refused by ingest.
    pub parked: u64,
    /// Waiting in outboxes at the end.
    pub pending: u64,
    /// Requests that had to be repeated.
    pub retries: u64,
    /// Acknowledgements per second until the last record was planned, the wait for answers not counted.
    pub acknowledged_per_s: f64,
    /// How far the plan was behind its time at most.
    pub behind_max_s: f64,
    /// Whether everything had its answer.
    pub drained: bool,
}

/// Something to be sent later.
enum Later {
    First(Box<Draft>),
    Again(Box<Draft>),
}

struct Due {
    at: Instant,
    // Equal instants keep the order in which they were planned.
    number: u64,
    later: Later,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

pub(crate) struct Runner {
    links: Links,
    ready: Ready,
    generator: Generator,
    config: GeneratorConfig,
    pace: Pace,
    later: BinaryHeap<Reverse<Due>>,
    numbered: u64,
    made: u64,
    behind_max_s: f64,
}

impl Runner {
    pub(crate) fn new(
        links: Links,
        ready: Ready,
        config: GeneratorConfig,
        population: Arc<Population>,
        pace: Pace,
    ) -> Self {
        let generator = Generator::new(config.clone(), population);
        Self {
            links,
            ready,
            generator,
            config,
            pace,
            later: BinaryHeap::new(),
            numbered: 0,
            made: 0,
            behind_max_s: 0.0,
        }
    }

    /// Runs until its time or count is over or `stop` is ready, then waits for answers.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Summary, LinksError> {
        let run_id = self.config.run_id.clone();
        self.links.tracker.write(&[Line::Run {
            run_id: run_id.clone(),
            seed: self.config.seed,
            profile: self.config.profile.code().to_owned(),
            started_at: chrono::Utc::now().timestamp_millis(),
        }])?;
        let started = Instant::now();
        self.play(stop).await?;
        let elapsed = started.elapsed();
        let in_time = self.links.tracker.counts.acknowledged.load(Relaxed);
        let drained = self.drain().await?;
        let ended_at = chrono::Utc::now().timestamp_millis();
        self.links.tracker.write(&[Line::End { run_id, ended_at }])?;
        Ok(self.summary(elapsed, in_time, drained))
    }

    async fn play(&mut self, stop: impl Future<Output = ()>) -> Result<(), LinksError> {
        let mut stop = std::pin::pin!(stop);
        let mut ticker = interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut status = StatusLine::new(self.pace.status);
        let started = Instant::now();
        let mut last = started;
        let mut owed: f64 = 0.0;
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                _ = ticker.tick() => {}
            }
            let now = Instant::now();
            let rate = self.pace.rate * self.config.profile.shape(now.duration_since(started).as_secs_f64());
            owed += rate * now.duration_since(last).as_secs_f64();
            last = now;
            self.behind_max_s = self.behind_max_s.max(if rate > 0.0 { (owed - 1.0).max(0.0) / rate } else { 0.0 });
            let records = self.records_of_tick(owed);
            // Thousands at most: exact.
            #[allow(clippy::cast_precision_loss)]
            let made = records as f64;
            owed -= made;
            self.send_new(records).await?;
            self.send_due(Instant::now()).await?;
            status.show(&self.links, self.config.profile, self.pace.rate);
            let over = self.pace.duration.is_some_and(|duration| started.elapsed() >= duration)
                || self.pace.count.is_some_and(|count| self.made >= count);
            if over {
                return Ok(());
            }
        }
    }

    fn records_of_tick(&self, owed: f64) -> u64 {
        // Saturates; bounded right after.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let records = owed.max(0.0) as u64;
        let left = self.pace.count.map_or(u64::MAX, |count| count.saturating_sub(self.made));
        records.min(TICK_RECORDS_MAX).min(left)
    }

    async fn send_new(&mut self, records: u64) -> Result<(), LinksError> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        let mut drafts = Vec::new();
        for _ in 0..records {
            drafts.extend(self.generator.next(now_ms));
        }
        self.made += records;
        let now = Instant::now();
        for draft in &drafts {
            if let Some(after) = draft.duplicate_after {
                let mut again = draft.clone();
                again.then = None;
                self.schedule(now + after, Later::Again(Box::new(again)));
            }
        }
        self.links.send(&mut drafts).await
    }

    fn schedule(&mut self, at: Instant, later: Later) {
        self.numbered += 1;
        self.later.push(Reverse(Due { at, number: self.numbered, later }));
    }

    /// Sends what is due: repeats, and what an acknowledgement let go.
    async fn send_due(&mut self, now: Instant) -> Result<(), LinksError> {
        while let Ok((after, draft)) = self.ready.try_recv() {
            self.schedule(now + after, Later::First(draft));
        }
        let (mut first, mut again) = (Vec::new(), Vec::new());
        while self.later.peek().is_some_and(|Reverse(due)| due.at <= now) {
            match self.later.pop() {
                Some(Reverse(Due { later: Later::First(draft), .. })) => first.push(*draft),
                Some(Reverse(Due { later: Later::Again(draft), .. })) => again.push(*draft),
                None => break,
            }
        }
        if !first.is_empty() {
            self.links.send(&mut first).await?;
        }
        if !again.is_empty() {
            self.links.repeat(&again).await?;
        }
        Ok(())
    }

    /// Waits until everything has its answer; `false` if it took too long.
    async fn drain(&mut self) -> Result<bool, LinksError> {
        let deadline = Instant::now() + self.pace.drain;
        let mut ticker = interval(TICK);
        loop {
            ticker.tick().await;
            self.send_due(Instant::now()).await?;
            if self.later.is_empty() && self.links.is_idle() && self.ready.is_empty() {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    fn summary(&self, played: Duration, in_time: u64, drained: bool) -> Summary {
        let counts = &self.links.tracker.counts;
        let stats = self.links.stats();
        // Counts stay far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let acknowledged_per_s = in_time as f64 / played.as_secs_f64().max(0.001);
        Summary {
            run_id: self.config.run_id.clone(),
            seed: self.config.seed,
            profile: self.config.profile.code().to_owned(),
            elapsed_s: played.as_secs_f64(),
            planned: counts.planned.load(Relaxed),
            duplicates: counts.duplicates.load(Relaxed),
            faults: counts.faults.load(Relaxed),
            kafka_sent: counts.kafka_sent.load(Relaxed),
            acknowledged: counts.acknowledged.load(Relaxed),
            parked: counts.parked.load(Relaxed),
            pending: stats.pending,
            retries: stats.retries,
            acknowledged_per_s,
            behind_max_s: self.behind_max_s,
            drained,
        }
    }
}
