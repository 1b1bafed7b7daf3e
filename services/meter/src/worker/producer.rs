//! The partition's transactional producer.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use prometheus::IntCounter;
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Message, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use tollbooth_chassis::kafka::{
    KafkaClients, log_error, log_line,
    txn::{self, TxnError},
};

/// Notes where in the ledger this producer's records landed, and counts what was not acknowledged.
pub(super) struct Context {
    ledger: String,
    highest: Arc<AtomicI64>,
    /// By topic.
    errors: Vec<(String, IntCounter)>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        match result {
            Ok(message) if message.topic() == self.ledger => {
                self.highest.fetch_max(message.offset(), Ordering::Relaxed);
            }
            Ok(_) => {}
            // What an abort takes back was not refused by anybody.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight), _)) => {
            }
            // It fails the commit; nothing to do about it here.
            Err((_, message)) => {
                let counter = self.errors.iter().find(|(topic, _)| topic == message.topic());
                if let Some((_, counter)) = counter {
                    counter.inc();
                }
            }
        }
    }
}

/// A transactional producer that fences its predecessors.
pub(super) struct Producer {
    pub(super) inner: BaseProducer<Context>,
    highest: Arc<AtomicI64>,
}

impl Producer {
    /// For a partition of `ledger`; holds `queue_kbytes_max` of what is not acknowledged.
    pub(super) fn new(
        clients: &KafkaClients,
        ledger: &str,
        partition: i32,
        queue_kbytes_max: u32,
        errors: Vec<(String, IntCounter)>,
    ) -> Result<Self, KafkaError> {
        let mut transactional_id = format!("{ledger}-{partition}");
        if cfg!(feature = "planted-no-fencing") {
            transactional_id = format!("{transactional_id}-{}", std::process::id());
        }
        let highest = Arc::new(AtomicI64::new(-1));
        let context = Context { ledger: ledger.to_owned(), highest: Arc::clone(&highest), errors };
        let config = clients.transactional_producer_within(&transactional_id, queue_kbytes_max);
        let inner = BaseProducer::from_config_and_context(&config, context)?;
        Ok(Self { inner, highest })
    }

    /// The offset after the highest ledger record delivered so far.
    pub(super) fn ledger_end(&self) -> Option<i64> {
        let highest = self.highest.load(Ordering::Relaxed);
        (highest >= 0).then(|| highest + 1)
    }

    /// Whether there are records whose outcome was not looked at.
    pub(super) fn has_unreported(&self) -> bool {
        self.inner.in_flight_count() > 0
    }

    /// Queues a record of the open transaction.
    pub(super) fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        payload: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> Result<(), TxnError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).key(key).payload(payload);
        if let Some(headers) = headers {
            record = record.headers(headers);
        }
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    txn::serve_reports(&self.inner);
                    record = back;
                }
                Err((error, _)) => return Err(txn::classify_send(&self.inner, &error)),
            }
        }
    }
}
