//! Every metric of the meter, bound once at start. Labels come from enums, never from input.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use tollbooth_chassis::{dead_letters::Open, kafka::txn::TxnError};
use tollbooth_schemas::{
    dead_letter::{Reason, RedriveOutcome},
    ledger::EntryType,
    topics::TopicSet,
};

use crate::store::{CheckpointError, StoreError};

/// What became of a reported operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Charged.
    Charged,
    /// Listed with 0.00.
    Failed,
    /// Known already.
    Duplicate,
    /// A failure of an earlier attempt.
    Stale,
    /// A dead letter `conflict` or `failed_after_charge`.
    Conflict,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Charged, Self::Failed, Self::Duplicate, Self::Stale, Self::Conflict];

    const fn code(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Conflict => "conflict",
        }
    }
}

/// Counts of one batch; added to the metrics once it is committed, so that an aborted one counts nothing.
#[derive(Debug, Default, Clone)]
pub struct BatchCounts {
    outcomes: [u64; 5],
    posts: [u64; EntryType::ALL.len()],
    failed_posts: u64,
    /// By input.
    dead: [[u64; Reason::ALL.len()]; 2],
    /// By engine; few distinct ones, and nothing where every record has its price.
    unpriced: Vec<((String, Reason), u64)>,
    /// By input.
    skipped: [u64; 2],
    redriven: [u64; RedriveOutcome::ALL.len()],
}

/// The engine's label for what no price book names: what a booth sends is no label.
pub const OTHER_ENGINE: &str = "other";
/// Why usage has no price.
const PRICELESS: [Reason; 3] = [Reason::NoPrice, Reason::EngineRetired, Reason::UnitMismatch];

impl BatchCounts {
    /// One report of an operation.
    pub fn outcome(&mut self, outcome: Outcome) {
        self.outcomes[outcome as usize] += 1;
    }

    /// One entry.
    pub fn post(&mut self, entry_type: EntryType, failed: bool) {
        if failed {
            self.failed_posts += 1;
        } else if let Some(index) = EntryType::ALL.iter().position(|known| *known == entry_type) {
            self.posts[index] += 1;
        }
    }

    /// One record at or below what was folded.
    pub fn skipped(&mut self, input: Input) {
        self.skipped[input as usize] += 1;
    }

    /// One usage record without a price; `engine` stands in a price book, or is [`OTHER_ENGINE`].
    pub fn unpriced(&mut self, engine: &str, reason: Reason) {
        match self.unpriced.iter_mut().find(|((known, why), _)| known == engine && *why == reason) {
            Some((_, count)) => *count += 1,
            None => self.unpriced.push(((engine.to_owned(), reason), 1)),
        }
    }

    /// One dead letter was driven again.
    pub fn redriven(&mut self, outcome: RedriveOutcome) {
        if let Some(index) = RedriveOutcome::ALL.iter().position(|known| *known == outcome) {
            self.redriven[index] += 1;
        }
    }

    /// One dead letter.
    pub fn dead(&mut self, input: Input, reason: Reason) {
        if let Some(index) = Reason::ALL.iter().position(|known| *known == reason) {
            self.dead[input as usize][index] += 1;
        }
        if matches!(reason, Reason::Conflict | Reason::FailedAfterCharge) {
            self.outcome(Outcome::Conflict);
        }
    }
}

/// Handles of the meter's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    outcomes: [IntCounter; 5],
    posts: Vec<IntCounter>,
    failed_posts: IntCounter,
    /// By input, then as [`Reason::ALL`].
    dead: [Vec<IntCounter>; 2],
    conflicts: IntCounter,
    rating_failures: IntCounterVec,
    skipped: [IntCounter; 2],
    /// Time from a transaction's first record to the last acknowledgement.
    pub produce_duration: Histogram,
    /// Records that were not acknowledged, by topic.
    pub produce_errors: Vec<(String, IntCounter)>,
    /// Open dead letters, as [`Reason::ALL`].
    dead_letters: Vec<IntGauge>,
    /// Age of the oldest of them, as [`Reason::ALL`].
    dead_letters_oldest_age: Vec<IntGauge>,
    /// As [`RedriveOutcome::ALL`].
    redriven: Vec<IntCounter>,
    /// Time from decision to commit of a batch.
    pub post_duration: Histogram,
    /// Time that pricing and deciding a batch took.
    pub rating_duration: Histogram,
    /// Records a batch.
    pub batch_records: Histogram,
    /// Receipt to commit, per record.
    pub ingest_to_ledger: Histogram,
    committed: IntCounter,
    aborted: IntCounter,
    /// By cause, as [`ABORT_CAUSES`].
    aborts: [IntCounter; ABORT_CAUSES.len()],
    /// By the coordinator of the transactions, and by that of the group.
    fenced: [IntCounter; 2],
    /// Rebalances seen.
    pub rebalances: IntCounter,
    /// Time of the last commit, by partition.
    last_commit: IntGaugeVec,
    lag_records: IntGaugeVec,
    lag_seconds: IntGaugeVec,
    /// Operation ids held, all partitions.
    operations: IntGaugeVec,
    operation_bytes: IntGaugeVec,
    accounts: IntGaugeVec,
    negative: IntGaugeVec,
    below_threshold: IntGaugeVec,
    store_bytes: IntGaugeVec,
    store_reads: IntCounter,
    store_discarded: IntCounterVec,
    checkpoints: IntCounterVec,
    checkpoint_refused: IntCounterVec,
    checkpoint_offset: IntGaugeVec,
    checkpoint_time: IntGaugeVec,
    /// Time that a write of a store took.
    pub store_write_duration: Histogram,
    restore_remaining: IntGaugeVec,
    restore_seconds: HistogramVec,
    serving: IntGaugeVec,
    refused: IntGaugeVec,
    topics: [String; 2],
    group: String,
}

/// What a look over a partition's state shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct StateSizes {
    /// Accounts.
    pub accounts: usize,
    /// Accounts below zero.
    pub negative: usize,
    /// Accounts below the warning threshold.
    pub below_threshold: usize,
    /// Operation ids.
    pub operations: usize,
    /// Bytes they take.
    pub operation_bytes: usize,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
    /// Looks at the disk since the last time.
    pub store_reads: u64,
}

/// What a partition's state was made of when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// It was in memory.
    Warm,
    /// It was in its store on this machine.
    Store,
    /// It was in a checkpoint elsewhere.
    Checkpoint,
    /// The whole ledger was folded.
    Cold,
}

impl Restored {
    /// As logs and metrics name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Store => "store",
            Self::Checkpoint => "checkpoint",
            Self::Cold => "cold",
        }
    }
}

/// Why a transaction was not committed: the codes of [`TxnError`].
const ABORT_CAUSES: [&str; 5] = ["abortable", "fenced", "group_lost", "retriable", "fatal"];

/// Who told this process that another one has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FencedBy {
    /// A younger producer has the partition's transactional id.
    Transaction,
    /// Another process has the `member_id`.
    Group,
}

impl FencedBy {
    const ALL: [Self; 2] = [Self::Transaction, Self::Group];

    const fn code(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Group => "group",
        }
    }
}

/// One of the two input topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `usage`.
    Usage,
    /// `commands`.
    Commands,
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn new(registry: &Registry, group: &str, set: &TopicSet) -> Result<Self, prometheus::Error> {
        let topics = [set.usage(), set.commands()];
        let counters = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| -> Result<Histogram, prometheus::Error> {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let seconds = || prometheus::exponential_buckets(0.001, 2.0, 15);
        let outcomes = counters(
            "tollbooth_meter_operations_total",
            "Reports of operations, by what became of them.",
            &["outcome"],
        )?;
        let posts = counters("tollbooth_ledger_posts_total", "Entries posted.", &["type", "status"])?;
        let dead = counters(
            "tollbooth_dlq_records_total",
            "Records put to the dead letters, by the topic they came from.",
            &["topic", "reason"],
        )?;
        let conflicts = counters(
            "tollbooth_ledger_conflicts_total",
            "Reports that contradict a charge: conflict and failed_after_charge.",
            &[],
        )?;
        let rating_failures = counters(
            "tollbooth_rating_failures_total",
            "Usage without a price; engine is other where no price book names it.",
            &["engine", "reason"],
        )?;
        for reason in PRICELESS {
            // There from the start: an increase from nothing is not seen as one.
            rating_failures.with_label_values(&[OTHER_ENGINE, reason.code()]);
        }
        let dead_letter_gauges = |name: &str, help: &str| -> Result<Vec<IntGauge>, prometheus::Error> {
            let (gauges, topic) = (gauges(name, help, &["topic", "reason"])?, set.dead_letter());
            Ok(Reason::ALL.iter().map(|reason| gauges.with_label_values(&[topic.as_str(), reason.code()])).collect())
        };
        let redriven = counters(
            "tollbooth_dlq_redriven_total",
            "Dead letters that were driven again, by what became of them.",
            &["outcome"],
        )?;
        let produce_errors =
            counters("tollbooth_broker_produce_errors_total", "Records that were not acknowledged.", &["topic"])?;
        let produce_duration = HistogramVec::new(
            HistogramOpts::new(
                "tollbooth_broker_produce_duration_seconds",
                "Time from a transaction's first record to the last acknowledgement.",
            )
            .buckets(seconds()?),
            &["topic"],
        )?;
        registry.register(Box::new(produce_duration.clone()))?;
        let skipped =
            counters("tollbooth_meter_skipped_total", "Records skipped because their offset was folded.", &["topic"])?;
        let stages = HistogramVec::new(
            HistogramOpts::new("tollbooth_e2e_latency_seconds", "Time from receipt to a stage.").buckets(seconds()?),
            &["stage"],
        )?;
        registry.register(Box::new(stages.clone()))?;
        let restore_seconds = HistogramVec::new(
            HistogramOpts::new("tollbooth_meter_restore_seconds", "Time from assignment to serving.")
                .buckets(prometheus::exponential_buckets(0.01, 2.0, 15)?),
            &["state"],
        )?;
        registry.register(Box::new(restore_seconds.clone()))?;
        let transactions = counters("tollbooth_meter_transactions_total", "Transactions ended.", &["outcome"])?;
        let aborts = counters(
            "tollbooth_meter_transaction_aborts_total",
            "Transactions that were not committed, by what the broker said; their records are decided again.",
            &["cause"],
        )?;
        let fenced = counters(
            "tollbooth_meter_fenced_total",
            "How often this process was told that another one has its place.",
            &["by"],
        )?;
        let store_discarded = counters(
            "tollbooth_meter_store_discarded_total",
            "Stores that were not used and are built anew.",
            &["reason"],
        )?;
        for reason in StoreError::CODES {
            store_discarded.with_label_values(&[reason]);
        }
        let checkpoints = counters("tollbooth_meter_checkpoints_total", "Checkpoints made, or not.", &["outcome"])?;
        for outcome in ["made", "failed"] {
            checkpoints.with_label_values(&[outcome]);
        }
        let checkpoint_refused =
            counters("tollbooth_meter_checkpoint_refused_total", "Checkpoints that were not used.", &["reason"])?;
        for reason in CheckpointError::CODES {
            checkpoint_refused.with_label_values(&[reason]);
        }
        let store_reads =
            counters("tollbooth_meter_store_reads_total", "Look-ups that were not answered by memory.", &[])?;
        let rebalances = counters("tollbooth_consumer_rebalances_total", "Rebalances of the group.", &["group"])?;
        Ok(Self {
            outcomes: Outcome::ALL.map(|outcome| outcomes.with_label_values(&[outcome.code()])),
            posts: EntryType::ALL.iter().map(|known| posts.with_label_values(&[known.code(), "success"])).collect(),
            failed_posts: posts.with_label_values(&[EntryType::Consume.code(), "failed"]),
            dead: topics.each_ref().map(|topic| {
                Reason::ALL.iter().map(|reason| dead.with_label_values(&[topic.as_str(), reason.code()])).collect()
            }),
            conflicts: conflicts.with_label_values::<&str>(&[]),
            rating_failures,
            skipped: topics.each_ref().map(|topic| skipped.with_label_values(&[topic.as_str()])),
            produce_duration: produce_duration.with_label_values(&[set.ledger().as_str()]),
            produce_errors: [set.ledger(), set.replies(), set.outbox(), set.dead_letter()]
                .map(|topic| {
                    let counter = produce_errors.with_label_values(&[topic.as_str()]);
                    (topic, counter)
                })
                .to_vec(),
            dead_letters: dead_letter_gauges(
                "tollbooth_dlq_records",
                "Open dead letters: those that were not driven again, or were refused again, by the newest reason.",
            )?,
            dead_letters_oldest_age: dead_letter_gauges(
                "tollbooth_dlq_oldest_age_seconds",
                "Time since the oldest open dead letter was put there; 0 without one.",
            )?,
            redriven: RedriveOutcome::ALL.iter().map(|outcome| redriven.with_label_values(&[outcome.code()])).collect(),
            post_duration: histogram(
                "tollbooth_ledger_post_duration_seconds",
                "Time from reading a batch to its commit.",
                seconds()?,
            )?,
            rating_duration: histogram(
                "tollbooth_rating_duration_seconds",
                "Time to price and decide a batch.",
                prometheus::exponential_buckets(0.000_01, 4.0, 10)?,
            )?,
            batch_records: histogram(
                "tollbooth_meter_batch_records",
                "Records in a transaction.",
                prometheus::exponential_buckets(1.0, 4.0, 9)?,
            )?,
            ingest_to_ledger: stages.with_label_values(&["ingest_to_ledger"]),
            committed: transactions.with_label_values(&["committed"]),
            aborted: transactions.with_label_values(&["aborted"]),
            aborts: ABORT_CAUSES.map(|cause| aborts.with_label_values(&[cause])),
            fenced: FencedBy::ALL.map(|by| fenced.with_label_values(&[by.code()])),
            rebalances: rebalances.with_label_values(&[group]),
            last_commit: gauges(
                "tollbooth_consumer_last_commit_timestamp_seconds",
                "When the partition last committed.",
                &["group", "partition"],
            )?,
            lag_records: gauges(
                "tollbooth_consumer_lag_records",
                "Records not yet consumed.",
                &["group", "topic", "partition"],
            )?,
            lag_seconds: gauges(
                "tollbooth_consumer_lag_seconds",
                "Age of the last consumed record while there is more.",
                &["group", "topic", "partition"],
            )?,
            operations: gauges(
                "tollbooth_meter_operation_ids",
                "Operation ids known, in memory or in the store.",
                &["partition"],
            )?,
            operation_bytes: gauges(
                "tollbooth_meter_operation_id_bytes",
                "Memory they take, filters included.",
                &["partition"],
            )?,
            accounts: gauges("tollbooth_meter_accounts", "Accounts open.", &["partition"])?,
            negative: gauges("tollbooth_accounts_negative", "Accounts below zero.", &["partition"])?,
            below_threshold: gauges("tollbooth_accounts_below_threshold", "Accounts below 10.00.", &["partition"])?,
            store_bytes: gauges("tollbooth_meter_store_bytes", "Disk that the store takes.", &["partition"])?,
            store_reads: store_reads.with_label_values::<&str>(&[]),
            store_discarded,
            checkpoints,
            checkpoint_refused,
            checkpoint_offset: gauges(
                "tollbooth_meter_checkpoint_offset",
                "The ledger's offset that the newest checkpoint made here goes up to.",
                &["partition"],
            )?,
            checkpoint_time: gauges(
                "tollbooth_meter_checkpoint_timestamp_seconds",
                "When it was made.",
                &["partition"],
            )?,
            store_write_duration: histogram(
                "tollbooth_meter_store_write_duration_seconds",
                "Time that a write of a partition's store took; the partition waits meanwhile.",
                seconds()?,
            )?,
            restore_remaining: gauges(
                "tollbooth_meter_restore_remaining_records",
                "Ledger offsets still to be folded before the partition is served.",
                &["partition"],
            )?,
            restore_seconds,
            serving: gauges(
                "tollbooth_meter_partition_serving",
                "1 while the partition is served here.",
                &["partition"],
            )?,
            refused: gauges(
                "tollbooth_meter_partition_refused",
                "1 while the partition is assigned here and must not be served; /readyz says why.",
                &["partition"],
            )?,
            topics,
            group: group.to_owned(),
        })
    }

    /// Adds what a committed batch did.
    pub fn committed(&self, counts: &BatchCounts, partition: &str) {
        for (counter, count) in self.outcomes.iter().zip(counts.outcomes) {
            counter.inc_by(count);
        }
        for (counter, count) in self.posts.iter().zip(counts.posts) {
            counter.inc_by(count);
        }
        self.failed_posts.inc_by(counts.failed_posts);
        for (counters, counts) in self.dead.iter().zip(counts.dead) {
            for (counter, count) in counters.iter().zip(counts) {
                counter.inc_by(count);
            }
        }
        for (counter, count) in self.redriven.iter().zip(counts.redriven) {
            counter.inc_by(count);
        }
        self.conflicts.inc_by(counts.outcomes[Outcome::Conflict as usize]);
        for ((engine, reason), count) in &counts.unpriced {
            self.rating_failures.with_label_values(&[engine.as_str(), reason.code()]).inc_by(*count);
        }
        for (counter, count) in self.skipped.iter().zip(counts.skipped) {
            counter.inc_by(count);
        }
        self.committed.inc();
        let now = chrono::Utc::now().timestamp();
        self.last_commit.with_label_values(&[self.group.as_str(), partition]).set(now);
    }

    /// What is open of the dead letters.
    pub fn open_letters(&self, by_reason: &[(Reason, Open)], now_ms: i64) {
        for (reason, open) in by_reason {
            let Some(index) = Reason::ALL.iter().position(|known| known == reason) else { continue };
            let age_ms = open.oldest_ms.map_or(0, |oldest_ms| (now_ms - oldest_ms).max(0));
            self.dead_letters[index].set(i64::try_from(open.count).unwrap_or(i64::MAX));
            self.dead_letters_oldest_age[index].set(age_ms / 1000);
        }
    }

    /// One transaction was not committed.
    pub fn aborted(&self, why: &TxnError) {
        self.aborted.inc();
        if let Some(index) = ABORT_CAUSES.iter().position(|cause| *cause == why.code()) {
            self.aborts[index].inc();
        }
        if matches!(why, TxnError::Fenced(_)) {
            self.fenced(FencedBy::Transaction);
        }
    }

    /// This process was told that another one has its place.
    pub fn fenced(&self, by: FencedBy) {
        self.fenced[by as usize].inc();
    }

    /// How far a partition of an input is behind.
    pub fn lag(&self, input: Input, partition: &str, records: i64, seconds: i64) {
        let labels = [self.group.as_str(), self.topics[input as usize].as_str(), partition];
        self.lag_records.with_label_values(&labels).set(records);
        self.lag_seconds.with_label_values(&labels).set(seconds);
    }

    /// What a partition holds.
    pub fn sizes(&self, partition: &str, sizes: &StateSizes) {
        self.accounts.with_label_values(&[partition]).set(gauge(sizes.accounts));
        self.negative.with_label_values(&[partition]).set(gauge(sizes.negative));
        self.below_threshold.with_label_values(&[partition]).set(gauge(sizes.below_threshold));
        self.operations.with_label_values(&[partition]).set(gauge(sizes.operations));
        self.operation_bytes.with_label_values(&[partition]).set(gauge(sizes.operation_bytes));
        self.store_bytes.with_label_values(&[partition]).set(i64::try_from(sizes.store_bytes).unwrap_or(i64::MAX));
        self.store_reads.inc_by(sizes.store_reads);
    }

    /// Progress of a restore.
    pub fn restoring(&self, partition: &str, remaining: i64) {
        self.restore_remaining.with_label_values(&[partition]).set(remaining);
    }

    /// A store is not used.
    pub fn store_discarded(&self, reason: &str) {
        self.store_discarded.with_label_values(&[reason]).inc();
    }

    /// What came of making a checkpoint; `Some`: it goes up to that offset of the ledger.
    pub fn checkpoint(&self, partition: &str, next_offset: Option<i64>) {
        let outcome = if next_offset.is_some() { "made" } else { "failed" };
        self.checkpoints.with_label_values(&[outcome]).inc();
        if let Some(next_offset) = next_offset {
            self.checkpoint_offset.with_label_values(&[partition]).set(next_offset);
            let now = chrono::Utc::now().timestamp();
            self.checkpoint_time.with_label_values(&[partition]).set(now);
        }
    }

    /// A checkpoint is not used.
    pub fn checkpoint_refused(&self, reason: &str) {
        self.checkpoint_refused.with_label_values(&[reason]).inc();
    }

    /// The end of a restore.
    pub fn restored(&self, partition: &str, source: Restored, elapsed: std::time::Duration) {
        self.restore_seconds.with_label_values(&[source.code()]).observe(elapsed.as_secs_f64());
        self.restore_remaining.with_label_values(&[partition]).set(0);
        self.serving.with_label_values(&[partition]).set(1);
    }

    /// Whether the partition is assigned here and must not be served.
    pub fn refused(&self, partition: &str, is_refused: bool) {
        self.refused.with_label_values(&[partition]).set(i64::from(is_refused));
    }

    /// The partition was given up: its gauges would lie from here on.
    pub fn given_up(&self, partition: &str) {
        self.serving.with_label_values(&[partition]).set(0);
        self.sizes(partition, &StateSizes::default());
        for topic in &self.topics {
            let labels = [self.group.as_str(), topic.as_str(), partition];
            // Absent already is as good as removed.
            drop(self.lag_records.remove_label_values(&labels));
            drop(self.lag_seconds.remove_label_values(&labels));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use rdkafka::error::{KafkaError, RDKafkaErrorCode};
    use tollbooth_chassis::{metric_table, telemetry};

    use super::*;

    fn metrics(registry: &Registry) -> Metrics {
        let topics = TopicSet { prefix: "tollbooth.".to_owned(), partitions: 1 };
        Metrics::new(registry, "tollbooth-meter", &topics).unwrap()
    }

    /// Touches what has no sample before something happens.
    fn exercise(metrics: &Metrics) {
        let mut counts = BatchCounts::default();
        counts.unpriced(OTHER_ENGINE, Reason::NoPrice);
        metrics.committed(&counts, "0");
        metrics.lag(Input::Usage, "0", 0, 0);
        metrics.sizes("0", &StateSizes::default());
        metrics.restored("0", Restored::Warm, Duration::ZERO);
        metrics.restored("0", Restored::Cold, Duration::ZERO);
        metrics.refused("0", false);
    }

    #[tokio::test]
    async fn every_metric_is_documented_and_has_bounded_labels() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        let of_process = |name: &str| !metric_table::is_common(name);
        let registry = telemetry::registry("meter", "0").unwrap();
        exercise(&metrics(&registry));
        let rows = metric_table::section(&registry, of_process).unwrap();
        metric_table::keep(&document, "meter", &rows).unwrap();

        let registry = telemetry::registry("sink", "0").unwrap();
        crate::sink::SinkMetrics::register(&registry, "ledger-sink", "tollbooth-sink", "tollbooth.ledger")
            .unwrap()
            .exercise();
        let rows = metric_table::section(&registry, of_process).unwrap();
        metric_table::keep(&document, "sink", &rows).unwrap();
    }

    #[test]
    fn a_transaction_that_was_not_committed_is_counted_by_its_cause() {
        // given
        let registry = Registry::new();
        let metrics = metrics(&registry);

        // when
        metrics.aborted(&TxnError::Abortable(KafkaError::Global(RDKafkaErrorCode::MessageTimedOut)));
        metrics.aborted(&TxnError::Fenced(KafkaError::Global(RDKafkaErrorCode::ProducerFenced)));
        metrics.fenced(FencedBy::Group);

        // then
        assert_eq!((metrics.committed.get(), metrics.aborted.get()), (0, 2));
        assert_eq!(metrics.aborts.each_ref().map(IntCounter::get), [1, 1, 0, 0, 0]);
        assert_eq!(metrics.fenced.each_ref().map(IntCounter::get), [1, 1]);
    }
}
