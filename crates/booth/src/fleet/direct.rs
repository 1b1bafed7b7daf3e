//! Booth backends that write straight into Kafka.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::mpsc;
use tollbooth_chassis::kafka::partition_for;

use super::{draft::Message, tracker::Tracker};

const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);
const REDELIVERY_WAIT: Duration = Duration::from_millis(500);

/// What came back for a record.
enum Outcome {
    Delivered(String),
    Failed(Box<Message>, String),
}

struct Context(mpsc::UnboundedSender<Outcome>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Message>;

    fn delivery(&self, result: &DeliveryResult<'_>, message: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(_) => Outcome::Delivered(message.id),
            Err((error, _)) => Outcome::Failed(message, error.to_string()),
        };
        // Nobody listens any more when the run has ended.
        drop(self.0.send(outcome));
    }
}

type Client = ThreadedProducer<Context>;

/// The producer, idempotent and with acks from all replicas.
pub(crate) struct Direct {
    bootstrap: String,
    topic: String,
    partitions: i32,
    client: Mutex<Arc<Client>>,
    outcomes: mpsc::UnboundedSender<Outcome>,
    in_flight: AtomicU64,
}

fn client(bootstrap: &str, outcomes: mpsc::UnboundedSender<Outcome>) -> Result<Client, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "tollbooth-fleet")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        // A broker may be away for as long as it likes: giving a record up would only send it again behind others.
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.kbytes", "131072")
        .create_with_context(Context(outcomes))
}

impl Direct {
    /// Connects, and asks how many partitions the topic has. Blocks.
    pub(crate) fn connect(bootstrap: &str, topic: &str, tracker: &Arc<Tracker>) -> Result<Arc<Self>, KafkaError> {
        let (outcomes, receiver) = mpsc::unbounded_channel();
        let client = client(bootstrap, outcomes.clone())?;
        let metadata = client.client().fetch_metadata(Some(topic), Duration::from_secs(30))?;
        let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        if partitions == 0 {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic));
        }
        let direct = Arc::new(Self {
            bootstrap: bootstrap.to_owned(),
            topic: topic.to_owned(),
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            client: Mutex::new(Arc::new(client)),
            outcomes,
            in_flight: AtomicU64::new(0),
        });
        tokio::spawn(listen(Arc::clone(&direct), receiver, Arc::clone(tracker)));
        Ok(direct)
    }

    /// Records without an answer.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Hands a record to the producer; waits while its queue is full.
    pub(crate) async fn send(&self, message: Message) {
        self.in_flight.fetch_add(1, Relaxed);
        self.produce(Box::new(message)).await;
    }

    async fn produce(&self, mut message: Box<Message>) {
        loop {
            let client = Arc::clone(&self.client.lock());
            // The opaque owns the message for a re-send, so the record borrows copies.
            let (key, value, headers) = (message.key.clone(), message.value.clone(), message.headers());
            let misplace = message.misplace && self.partitions > 1;
            let mut record: BaseRecord<'_, str, [u8], Box<Message>> =
                BaseRecord::with_opaque_to(&self.topic, message).payload(value.as_slice()).headers(headers);
            if let Some(key) = &key {
                record = record.key(key);
                if misplace {
                    let own = partition_for(key.as_bytes(), self.partitions).unwrap_or(0);
                    record = record.partition((own + 1) % self.partitions);
                }
            }
            let Err((error, record)) = client.send(record) else { return };
            message = record.delivery_opaque;
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                tokio::time::sleep(QUEUE_FULL_WAIT).await;
            } else {
                tracing::warn!(%error, "record not taken, tried again");
                tokio::time::sleep(REDELIVERY_WAIT).await;
                self.replace_broken(&client);
            }
        }
    }

    /// An idempotent producer that met a fatal error takes nothing more.
    fn replace_broken(&self, broken: &Arc<Client>) {
        let mut current = self.client.lock();
        if broken.client().fatal_error().is_none() || !Arc::ptr_eq(&current, broken) {
            return;
        }
        match client(&self.bootstrap, self.outcomes.clone()) {
            Ok(fresh) => *current = Arc::new(fresh),
            Err(error) => tracing::error!(%error, "no new producer"),
        }
    }
}

/// Takes delivery reports in groups, so that the journal gets one line for many.
async fn listen(direct: Arc<Direct>, mut outcomes: mpsc::UnboundedReceiver<Outcome>, tracker: Arc<Tracker>) {
    let mut group = Vec::new();
    while outcomes.recv_many(&mut group, 5_000).await > 0 {
        let mut delivered = Vec::new();
        let mut failed = Vec::new();
        for outcome in group.drain(..) {
            match outcome {
                Outcome::Delivered(id) => delivered.push(id),
                Outcome::Failed(message, error) => {
                    tracing::warn!(error, id = message.id, "record not delivered, sent again");
                    failed.push(message);
                }
            }
        }
        let answered = delivered.len() as u64;
        tracker.acked(delivered);
        direct.in_flight.fetch_sub(answered, Relaxed);
        if !failed.is_empty() {
            tracker.unanswered(failed.iter().map(|message| message.id.clone()).collect());
            let broken = Arc::clone(&direct.client.lock());
            direct.replace_broken(&broken);
            tokio::time::sleep(REDELIVERY_WAIT).await;
            for message in failed {
                direct.produce(message).await;
            }
        }
    }
}
