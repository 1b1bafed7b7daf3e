//! Client configurations by role. The properties that a promise hangs on are set last and cannot be overridden.

use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};

use super::statistics::{ClientKind, KafkaStatistics, Watch};
use crate::config::KafkaSection;

/// Longest silence of a transaction before the broker ends it. An open one holds back every committed reader, so this
/// bounds how long a killed meter can.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(12);
/// Silence after which a transactional producer's connection is closed; librdkafka takes off up to 2 s.
///
/// Offsets that are sent to a group whose coordinator was lost wait until any connection of the client opens or closes: it
/// looks for the next coordinator at no other time, and keeps to no time limit (librdkafka #5511, #5456). While a worker
/// waits so, nothing is sent, and nothing would ever change. Much less than [`TRANSACTION_TIMEOUT`], so that the
/// transaction still stands then.
const TRANSACTION_IDLE: Duration = Duration::from_secs(5);
/// Room of a transactional producer's queue where nobody says otherwise.
const TRANSACTION_QUEUE_KBYTES: u32 = 128 * 1024;
/// How long a group member may be silent before its partitions move.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long brokers that do not answer are asked why.
const WHY_PATIENCE: Duration = Duration::from_secs(3);
const WHY_POLLS: usize = 20;

/// Makes client configurations for one service.
#[derive(Debug, Clone)]
pub struct KafkaClients {
    section: KafkaSection,
    statistics: KafkaStatistics,
}

/// How a reader trades memory for round trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderTuning {
    /// Most bytes of one partition a fetch asks for. Default 4 MiB.
    pub partition_fetch_bytes_max: u32,
    /// Most bytes fetched ahead of the application, all partitions together. Default 64 MiB.
    pub queued_kbytes_max: u32,
    /// Records of a partition below which more are fetched ahead: as many as are taken at once, and while that is worked on.
    /// More of them only touch memory that nobody needs yet. Default 100,000.
    pub queued_records_min: u32,
    /// How long the broker may hold a fetch while there is nothing new. Default 50.
    pub fetch_wait_ms: u32,
    /// Whether the end of a partition is reported as an event. Not for [`super::batch::BatchReader`].
    pub partition_eof: bool,
}

impl Default for ReaderTuning {
    fn default() -> Self {
        Self {
            partition_fetch_bytes_max: 4 * 1024 * 1024,
            queued_kbytes_max: 64 * 1024,
            queued_records_min: 100_000,
            fetch_wait_ms: 50,
            partition_eof: false,
        }
    }
}

impl KafkaClients {
    /// For the cluster of this section.
    #[must_use]
    pub fn new(section: KafkaSection) -> Self {
        Self { section, statistics: KafkaStatistics::default() }
    }

    /// Whose clients tell their statistics there, where they are [watched](Self::watch).
    #[must_use]
    pub fn with_statistics(mut self, statistics: KafkaStatistics) -> Self {
        self.statistics = statistics;
        self
    }

    /// Has a client of this configuration tell its statistics to what is given back, which belongs into its context. Only
    /// for a client that is polled all the time: what it tells waits in its queue until then.
    #[must_use]
    pub fn watch(&self, kind: ClientKind, config: &mut ClientConfig) -> Watch {
        if self.statistics.is_on() {
            config.set("statistics.interval.ms", self.section.statistics_interval_ms.to_string());
        }
        self.statistics.watch(kind)
    }

    /// The section itself, for topic names.
    #[must_use]
    pub fn section(&self) -> &KafkaSection {
        &self.section
    }

    /// Bootstrap, client id and the pass-through settings. Also the configuration of an admin client.
    #[must_use]
    pub fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // Quick to come back after a broker's restart: the defaults back off up to 10 s.
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("socket.nagle.disable", "true").set("socket.keepalive.enable", "true");
        config.set("client.id", &self.section.client_id);
        for (key, value) in &self.section.settings {
            // No property of librdkafka has an underscore that matters here; variables cannot carry dots.
            config.set(key.replace('_', "."), value);
        }
        config.set("bootstrap.servers", &self.section.bootstrap);
        config.set("allow.auto.create.topics", "false");
        config.set_log_level(RDKafkaLogLevel::Notice);
        config
    }

    /// Has the log say why no broker answers: a password that is wrong, an authority that is not trusted. The calls of an
    /// admin client only say that nobody did; librdkafka tells the reason to whom it may call back. Blocks for seconds.
    pub fn tell_why_unreachable(&self) {
        let producer: BaseProducer<LogContext> = match BaseProducer::from_config_and_context(&self.base(), LogContext) {
            Ok(producer) => producer,
            Err(error) => return tracing::error!(%error, "cannot create a Kafka client"),
        };
        if producer.client().fetch_metadata(None, WHY_PATIENCE).is_err() {
            for _ in 0..WHY_POLLS {
                producer.poll(WHY_PATIENCE / 60);
            }
        }
    }

    /// The producer behind HTTP requests: idempotent, acknowledged by all in-sync replicas, `queue_kbytes_max` of memory;
    /// beyond it `QueueFull` is the caller's back-pressure. A record gives up after `delivery_timeout`.
    #[must_use]
    pub fn edge_producer(&self, queue_kbytes_max: u32, delivery_timeout: Duration) -> ClientConfig {
        let mut config = self.producer();
        config
            .set("linger.ms", "5")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.kbytes", queue_kbytes_max.to_string())
            .set("queue.buffering.max.messages", "1000000")
            .set("delivery.timeout.ms", millis(delivery_timeout));
        config
    }

    /// A transactional producer whose queue holds 128 MiB. Use a `BaseProducer` on a thread of its own, and
    /// [`super::txn`].
    #[must_use]
    pub fn transactional_producer(&self, transactional_id: &str) -> ClientConfig {
        self.transactional_producer_within(transactional_id, TRANSACTION_QUEUE_KBYTES)
    }

    /// As [`transactional_producer`](Self::transactional_producer), with `queue_kbytes_max` of memory for what is not
    /// acknowledged; beyond it `QueueFull`: poll, then send again.
    #[must_use]
    pub fn transactional_producer_within(&self, transactional_id: &str, queue_kbytes_max: u32) -> ClientConfig {
        let mut config = self.producer();
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", millis(TRANSACTION_TIMEOUT))
            // librdkafka demands that a record's own deadline lies within the transaction's.
            .set("delivery.timeout.ms", millis(TRANSACTION_TIMEOUT))
            .set("connections.max.idle.ms", millis(TRANSACTION_IDLE))
            .set("linger.ms", "1")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", queue_kbytes_max.to_string());
        config
    }

    fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("message.max.bytes", "4000000")
            // The Java clients' default. librdkafka's own (CRC32) would put an account elsewhere than every other client.
            .set("partitioner", "murmur2_random")
            // The next transaction's first produce may meet the previous one's end and is retried after this.
            .set("retry.backoff.ms", "20");
        config
    }

    /// A member of a consumer group that gets equal partition numbers of its topics (assignor `range`), with a static
    /// identity, committed records only, and no commits of its own.
    #[must_use]
    pub fn member_consumer(&self, group: &str, instance_id: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        config
            .set("group.instance.id", instance_id)
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", millis(SESSION_TIMEOUT))
            .set("heartbeat.interval.ms", "3000")
            .set("max.poll.interval.ms", "300000")
            .set("fetch.wait.max.ms", "50");
        config
    }

    /// A consumer that only uses `assign`. librdkafka asks for a group id nevertheless; `group` appears nowhere unless
    /// its offsets are sent or fetched.
    #[must_use]
    pub fn reader(&self, group: &str, tuning: ReaderTuning) -> ClientConfig {
        let mut config = self.consumer(group);
        config
            .set("fetch.wait.max.ms", tuning.fetch_wait_ms.to_string())
            .set("fetch.message.max.bytes", tuning.partition_fetch_bytes_max.to_string())
            .set("queued.max.messages.kbytes", tuning.queued_kbytes_max.to_string())
            .set("queued.min.messages", tuning.queued_records_min.to_string())
            .set("enable.partition.eof", tuning.partition_eof.to_string());
        config
    }

    fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            // A missing offset is an error to be looked at, never a silent jump to either end.
            .set("auto.offset.reset", "error")
            // After an error the next fetch of that partition; the default of 500 ms is felt at every fail-over.
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.queue.backoff.ms", "10");
        config
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// A client context that logs through `tracing` and does nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for LogContext {}

impl rdkafka::producer::ProducerContext for LogContext {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

/// One line of librdkafka's log; call it from `ClientContext::log`.
pub fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// A client-wide error; call it from `ClientContext::error`. A warning: librdkafka heals what it reports here (a broker
/// that went away), and what it cannot heal comes back from the call that needed it.
pub fn log_error(error: &KafkaError, reason: &str) {
    tracing::warn!(target: "librdkafka", %error, "{reason}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn librdkafka_speaks_tls_and_scram() {
        let settings = [("security_protocol", "SASL_SSL"), ("sasl_mechanism", "SCRAM-SHA-512"), ("sasl_username", "u")];
        let settings = settings.into_iter().chain([("sasl_password", "p")]);
        let settings: BTreeMap<_, _> = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let clients = KafkaClients::new(KafkaSection { settings, ..KafkaSection::default() });
        // A librdkafka that was built without refuses the value itself.
        clients.base().create_native_config().unwrap();
        clients.transactional_producer("t").create_native_config().unwrap();
    }
}
