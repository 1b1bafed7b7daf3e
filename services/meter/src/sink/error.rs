//! What ends or interrupts a sink.

use rdkafka::error::KafkaError;
use tollbooth_chassis::causes::Causes;
use tollbooth_chassis::kafka::txn::TxnError;

use super::migrate::MigrationError;
use super::wire::WireError;

/// Why the sink is not at work.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The cluster did not answer, or refused.
    #[error("Kafka, {doing}: {source}")]
    Kafka {
        /// What was asked of it.
        doing: &'static str,
        /// librdkafka's reason.
        source: KafkaError,
    },
    /// A transactional call failed.
    #[error("committing the sink's offsets: {0}")]
    Transaction(#[from] TxnError),
    /// ClickHouse did not answer, or refused.
    #[error("ClickHouse, {doing}: {}", Causes(source))]
    ClickHouse {
        /// What was asked of it.
        doing: &'static str,
        /// The client's reason.
        source: clickhouse::error::Error,
    },
    /// The database cannot be brought to this release's schema, or belongs to another ledger.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// A record is not what this release can turn into rows.
    #[error("ledger partition {partition}, offset {offset}: {source}")]
    Record {
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
        /// What is wrong.
        source: WireError,
    },
    /// Committed offsets and the database contradict each other.
    #[error("{0}")]
    Contradiction(String),
    /// A range that was read before gives other records now.
    #[error(
        "ledger partition {partition}: offsets {begin} to {end} were a block before and cannot be read again: {why}"
    )]
    RangeChanged {
        /// Partition.
        partition: i32,
        /// Its first offset.
        begin: i64,
        /// One past its last record.
        end: i64,
        /// What differs.
        why: String,
    },
    /// The sink's own threads cannot be started.
    #[error("cannot start the sink: {0}")]
    Start(#[from] std::io::Error),
    /// Its metrics are registered already.
    #[error("cannot register the sink's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What is to be done about a [`SinkError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Take everything up again from what was committed, after a pause.
    Restart,
    /// A person has to look: trying again gives the same.
    Stop,
}

impl SinkError {
    /// Stable machine-readable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Kafka { .. } => "kafka",
            Self::Transaction(_) => "transaction",
            Self::ClickHouse { .. } => "clickhouse",
            Self::Migration(_) => "migration",
            Self::Record { .. } => "record",
            Self::Contradiction(_) => "contradiction",
            Self::RangeChanged { .. } => "range_changed",
            Self::Start(_) => "start",
            Self::Metrics(_) => "metrics",
        }
    }

    /// Whether taking up the work again can help.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            // Every class ends this activation. A new producer is made for the next one, so that even what is fatal to a
            // client is not fatal to the process.
            Self::Kafka { .. } | Self::Transaction(_) | Self::ClickHouse { .. } => Remedy::Restart,
            Self::Migration(error) if error.is_transient() => Remedy::Restart,
            _ => Remedy::Stop,
        }
    }
}
