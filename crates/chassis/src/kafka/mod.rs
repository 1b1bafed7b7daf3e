//! Kafka clients, set up in one place, and the few things librdkafka needs to be told.
//!
//! - [`KafkaClients`]: client configurations by role.
//! - [`partition_for`]: the partition a key belongs to, as the Java clients compute it.
//! - [`ensure_topics`]: creates what is missing, refuses what differs.
//! - [`txn`]: transactions, with every error in one of five classes.
//! - [`batch`]: reading many records with one call.
//! - [`table`]: a topic with one partition, followed into memory.
//! - [`NoteProducer`]: few and small records, each waited for.
//! - [`KafkaStatistics`]: what clients say of themselves, as metrics.
//! - [`Watermarks`]: where partitions begin and end, asked past the readers.
//! - [`outlast`]: asking again while a broker is lost.

pub mod batch;
mod clients;
mod failover;
mod murmur2;
mod notes;
mod statistics;
pub mod table;
mod topics;
pub mod txn;
mod watermarks;

pub use clients::{KafkaClients, LogContext, ReaderTuning, log_error, log_line};
pub use failover::{NotOutlasted, ends, is_passing, outlast};
pub use murmur2::{murmur2, partition_for};
pub use notes::NoteProducer;
pub use statistics::{ClientKind, KafkaStatistics, Watch, WatchedContext};
pub use topics::{TopicError, TopicSpec, ensure_topics};
pub use watermarks::Watermarks;
