//! Names, labels and buckets.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use tollbooth_schemas::{
    dead_letter::{LetterOutcome, Reason},
    ledger::EntryType,
    topics::TopicSet,
};

use super::{ABORT_CAUSES, FencedBy, Metrics, OTHER_ENGINE, Outcome, PRICELESS};
use crate::store::{CheckpointError, StoreError};

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
                "Open dead letters: neither posted nor dismissed, by the reason of the newest judgement.",
            )?,
            dead_letters_oldest_age: dead_letter_gauges(
                "tollbooth_dlq_oldest_age_seconds",
                "Time since the oldest open dead letter was put there; 0 without one.",
            )?,
            redriven: LetterOutcome::OF_REDRIVE
                .iter()
                .map(|outcome| redriven.with_label_values(&[outcome.code()]))
                .collect(),
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
            worker_silent: gauges(
                "tollbooth_meter_worker_silent_seconds",
                "How long ago the partition's worker last made a turn; 0 where none serves it here.",
                &["partition"],
            )?,
            topics,
            group: group.to_owned(),
        })
    }
}
