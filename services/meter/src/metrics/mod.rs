//! Every metric of the meter, bound once at start. Labels come from enums, never from input.

mod counts;
mod register;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tollbooth_chassis::{dead_letters::Open, kafka::txn::TxnError};
use tollbooth_schemas::dead_letter::Reason;

use counts::{ABORT_CAUSES, PRICELESS};
pub use counts::{BatchCounts, FencedBy, Input, OTHER_ENGINE, Outcome, Restored, StateSizes};

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
    /// As [`LetterOutcome::OF_REDRIVE`].
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
    worker_silent: IntGaugeVec,
    topics: [String; 2],
    group: String,
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Metrics {
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

    /// How long ago the partition's worker last made a turn; zero where it has none to make.
    pub fn worker_silent(&self, partition: i32, silent: std::time::Duration) {
        let seconds = i64::try_from(silent.as_secs()).unwrap_or(i64::MAX);
        self.worker_silent.with_label_values(&[partition.to_string().as_str()]).set(seconds);
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

    use prometheus::Registry;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};
    use tollbooth_chassis::{metric_table, telemetry};
    use tollbooth_schemas::topics::TopicSet;

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
        metrics.checkpoint("0", Some(0));
        metrics.worker_silent(0, Duration::ZERO);
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
