//! The one producer behind all routes: idempotent, acknowledged by all in-sync replicas, bounded.

mod receipts;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use tollbooth_chassis::kafka::{ClientKind, KafkaClients, Watch, log_error, log_line};
use tollbooth_chassis::ops::Component;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_chassis::traces;
use tollbooth_schemas::topics::TopicSet;

use crate::config::IngestConfig;
use crate::metrics::IngestMetrics;
pub(crate) use receipts::Delivered;
use receipts::{Receipts, Ticket};

/// Seconds a client is asked to wait when the producer cannot take more.
pub(crate) const RETRY_AFTER_S: u32 = 1;
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// What ingest writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Usage,
    Commands,
    Registry,
    PriceBook,
    Deliveries,
    DeadLetter,
}

impl Topic {
    pub(crate) const ALL: [Self; 6] =
        [Self::Usage, Self::Commands, Self::Registry, Self::PriceBook, Self::Deliveries, Self::DeadLetter];

    pub(crate) fn name(self, topics: &TopicSet) -> String {
        match self {
            Self::Usage => topics.usage(),
            Self::Commands => topics.commands(),
            Self::Registry => topics.registry(),
            Self::PriceBook => topics.price_book(),
            Self::Deliveries => topics.deliveries(),
            Self::DeadLetter => topics.dead_letter(),
        }
    }
}

/// Why a record is not acknowledged. All of them can be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProduceError {
    /// The producer's queue is full: the brokers take less than clients send.
    #[error("the queue to the brokers is full")]
    QueueFull,
    /// The brokers did not acknowledge it. It may be there nevertheless.
    #[error("the brokers did not acknowledge it: {0}")]
    Unacknowledged(RDKafkaErrorCode),
    /// Nobody would read the reply yet: nothing was sent.
    #[error("replies are not followed yet")]
    NoReplies,
}

impl From<ProduceError> for Problem {
    fn from(error: ProduceError) -> Self {
        let detail = match error {
            ProduceError::QueueFull => "the queue to the brokers is full: send it again",
            ProduceError::Unacknowledged(_) => "the brokers did not acknowledge it: send it again with the same id",
            ProduceError::NoReplies => "replies cannot be read yet, and nothing was sent: send it again",
        };
        Self::unavailable(RETRY_AFTER_S).with_detail(detail)
    }
}

struct DeliveryContext {
    receipts: Arc<Receipts>,
    watch: Watch,
    component: Component,
    shutdown: Shutdown,
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            // An idempotent producer that lost its place in the sequence refuses everything from here on.
            self.component.failed(format!("the producer is broken: {reason}"));
            self.shutdown.trigger("the producer is broken");
        }
        log_error(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.watch.take(statistics);
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        self.receipts.settle(Ticket::decode(opaque), outcome);
    }
}

/// The producer and who waits for it.
pub(crate) struct EdgeProducer {
    producer: ThreadedProducer<DeliveryContext>,
    receipts: Arc<Receipts>,
    names: [String; Topic::ALL.len()],
}

impl std::fmt::Debug for EdgeProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeProducer").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Records of one request on their way.
#[derive(Debug)]
pub(crate) struct Sending<'p> {
    producer: &'p EdgeProducer,
    topic: Topic,
    slot: u32,
    unsent: usize,
    delivered: oneshot::Receiver<Delivered>,
}

impl EdgeProducer {
    pub(crate) fn new(
        config: &IngestConfig,
        clients: &KafkaClients,
        metrics: IngestMetrics,
        component: Component,
        shutdown: Shutdown,
    ) -> Result<Self, KafkaError> {
        let mut settings = clients.edge_producer(config.producer.queue_kbytes_max, config.delivery_timeout());
        settings.set("linger.ms", config.producer.linger_ms.to_string());
        let receipts = Arc::new(Receipts::new(metrics));
        let watch = clients.watch(ClientKind::EdgeProducer, &mut settings);
        let context = DeliveryContext { receipts: Arc::clone(&receipts), watch, component, shutdown };
        let producer = ThreadedProducer::from_config_and_context(&settings, context)?;
        let topics = config.topic_set();
        Ok(Self { producer, receipts, names: Topic::ALL.map(|topic| topic.name(&topics)) })
    }

    /// Begins to send up to `records` records of one request.
    pub(crate) fn begin(&self, topic: Topic, records: usize) -> Sending<'_> {
        let (slot, delivered) = self.receipts.open(topic, records);
        Sending { producer: self, topic, slot, unsent: records, delivered }
    }

    /// Sends one record and waits for its acknowledgement; the offset is returned.
    pub(crate) async fn send_one(&self, topic: Topic, key: &[u8], payload: &[u8]) -> Result<i64, ProduceError> {
        self.send_record(topic, key, Some(payload)).await
    }

    /// Writes a tombstone: a compacted topic forgets the key.
    pub(crate) async fn forget(&self, topic: Topic, key: &[u8]) -> Result<i64, ProduceError> {
        self.send_record(topic, key, None).await
    }

    async fn send_record(&self, topic: Topic, key: &[u8], payload: Option<&[u8]>) -> Result<i64, ProduceError> {
        let mut sending = self.begin(topic, 1);
        sending.send_or_forget(0, key, payload, None)?;
        let delivered = sending.finish().await?;
        match delivered.failed.first() {
            None => Ok(delivered.offset),
            Some((_, code)) => Err(ProduceError::Unacknowledged(*code)),
        }
    }

    /// Records that are queued or unacknowledged.
    pub(crate) fn queued(&self) -> i64 {
        i64::from(self.producer.in_flight_count())
    }

    /// Blocks until a broker answers for the usage topic, at most two seconds.
    pub(crate) fn reach_broker(&self) -> Result<(), KafkaError> {
        let metadata =
            self.producer.client().fetch_metadata(Some(&self.names[Topic::Usage as usize]), METADATA_TIMEOUT)?;
        match metadata.topics().first() {
            Some(topic) if topic.error().is_none() && !topic.partitions().is_empty() => Ok(()),
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    }

    /// Blocks until everything queued was acknowledged or given up.
    pub(crate) fn flush(&self, limit: Duration) -> Result<(), KafkaError> {
        self.producer.flush(limit)
    }
}

impl Sending<'_> {
    /// Queues one record. `index` names it in [`Delivered::failed`].
    pub(crate) fn send(
        &mut self,
        index: u16,
        key: &[u8],
        payload: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> Result<(), ProduceError> {
        self.send_or_forget(index, key, Some(payload), headers)
    }

    fn send_or_forget(
        &mut self,
        index: u16,
        key: &[u8],
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), ProduceError> {
        let opaque = Ticket { slot: self.slot, index }.encode();
        let name = &self.producer.names[self.topic as usize];
        let mut record = BaseRecord::with_opaque_to(name, opaque).key(key);
        record.payload = payload;
        record.headers = traces::carry(headers);
        match self.producer.producer.send(record) {
            Ok(()) => {
                self.unsent = self.unsent.saturating_sub(1);
                Ok(())
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Err(ProduceError::QueueFull),
            Err((error, _)) => {
                Err(ProduceError::Unacknowledged(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)))
            }
        }
    }

    /// Waits for what was queued. Ends by itself: the producer gives a record up after its delivery timeout.
    ///
    /// # Errors
    /// When nothing is known of any of them.
    pub(crate) async fn finish(mut self) -> Result<Delivered, ProduceError> {
        let delivered = std::mem::replace(&mut self.delivered, oneshot::channel().1);
        // Gives the receipt's unsent rest back.
        drop(self);
        // The receipt is always settled; were it not, nothing may be claimed as acknowledged.
        delivered.await.map_err(|_| ProduceError::Unacknowledged(RDKafkaErrorCode::Unknown))
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.unsent > 0 {
            self.producer.receipts.withdraw(self.slot, self.unsent);
        }
    }
}

/// The header of a structured-mode record.
pub(crate) fn structured_headers() -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(1)
        .insert(Header { key: "content-type", value: Some(tollbooth_schemas::usage::STRUCTURED_CONTENT_TYPE) })
}
