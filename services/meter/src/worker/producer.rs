//! The partition's transactional producer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
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
    ClientKind, KafkaClients, Watch, log_error, log_line,
    txn::{self, TxnError},
};
use tollbooth_ledger::{Defect, planted};

use super::outside::Producer;

/// Notes where in the ledger this producer's records landed, and counts what was not acknowledged.
pub(super) struct Context {
    ledger: String,
    highest: Arc<AtomicI64>,
    /// By topic.
    errors: Vec<(String, IntCounter)>,
    watch: Watch,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.watch.take(statistics);
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
pub(crate) struct KafkaProducer {
    pub(super) inner: BaseProducer<Context>,
    highest: Arc<AtomicI64>,
}

/// The id under which a partition is written, whoever does it: it says who is thrown out.
pub(crate) fn transactional_id(ledger: &str, partition: i32, process: u32) -> String {
    let id = format!("{ledger}-{partition}");
    // A planted defect: an id of each process's own fences nobody.
    if planted(Defect::NoFencing) { format!("{id}-{process}") } else { id }
}

impl KafkaProducer {
    /// For a partition of `ledger`; holds `queue_kbytes_max` of what is not acknowledged.
    pub(super) fn new(
        clients: &KafkaClients,
        ledger: &str,
        partition: i32,
        queue_kbytes_max: u32,
        errors: Vec<(String, IntCounter)>,
    ) -> Result<Self, KafkaError> {
        let transactional_id = transactional_id(ledger, partition, std::process::id());
        let highest = Arc::new(AtomicI64::new(-1));
        let mut config = clients.transactional_producer_within(&transactional_id, queue_kbytes_max);
        let watch = clients.watch(ClientKind::MeterProducer, &mut config);
        let context = Context { ledger: ledger.to_owned(), highest: Arc::clone(&highest), errors, watch };
        let inner = BaseProducer::from_config_and_context(&config, context)?;
        Ok(Self { inner, highest })
    }
}

impl Producer for KafkaProducer {
    async fn fence(&self, limit: Duration, allowed: impl Fn() -> bool) -> Result<bool, TxnError> {
        txn::init_while(&self.inner, limit, allowed)
    }

    fn begin(&self) -> Result<(), TxnError> {
        txn::begin(&self.inner)
    }

    fn ledger_end(&self) -> Option<i64> {
        let highest = self.highest.load(Ordering::Relaxed);
        (highest >= 0).then(|| highest + 1)
    }

    fn has_unreported(&self) -> bool {
        self.inner.in_flight_count() > 0
    }

    fn send(
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

    fn attend(&self) {
        self.inner.poll(Duration::ZERO);
    }

    async fn drain(&self) {
        txn::drain(&self.inner);
    }

    async fn commit(&self) -> Result<(), TxnError> {
        txn::commit(&self.inner)
    }

    async fn abort(&self) -> Result<(), TxnError> {
        txn::abort(&self.inner)
    }
}
