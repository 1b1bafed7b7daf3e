//! A producer for few and small records, each waited for or left to itself: the audit trail, the use of keys, sign-outs.
//!
//! Apart from the producer behind the HTTP requests, so that none of these waits behind a backlog of theirs.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::clients::KafkaClients;
use super::statistics::{ClientKind, WatchedContext};

/// Memory of what is not acknowledged; beyond it a record is refused at once.
const QUEUE_KBYTES_MAX: u32 = 4 * 1024;
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// A handle; cloning gives another one to the same producer.
#[derive(Clone)]
pub struct NoteProducer(FutureProducer<WatchedContext>);

impl std::fmt::Debug for NoteProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoteProducer")
    }
}

impl NoteProducer {
    /// Connects when something is sent.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(clients: &KafkaClients) -> Result<Self, KafkaError> {
        let mut config = clients.edge_producer(QUEUE_KBYTES_MAX, DELIVERY_TIMEOUT);
        config.set("linger.ms", "1");
        let context = WatchedContext::new(clients.watch(ClientKind::NotesProducer, &mut config));
        FutureProducer::from_config_and_context(&config, context).map(Self)
    }

    /// Queues a record; the future is its acknowledgement and may be dropped. Ends by itself: the producer gives a record
    /// up after 15 s.
    ///
    /// # Errors
    /// When it is not queued; in the future, when it is not acknowledged. It may be there nevertheless.
    pub fn send(
        &self,
        topic: &str,
        key: &str,
        payload: &[u8],
    ) -> Result<impl Future<Output = Result<(), KafkaError>> + Send + use<>, KafkaError> {
        let record = FutureRecord::to(topic).key(key).payload(payload);
        let delivery = self.0.send_result(record).map_err(|(error, _)| error)?;
        Ok(async move {
            match delivery.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(error),
                Err(_) => Err(KafkaError::MessageProduction(RDKafkaErrorCode::Unknown)),
            }
        })
    }
}
