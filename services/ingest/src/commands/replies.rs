//! Follows `replies` from its end: the meter's answers to this process's commands.

use std::thread::JoinHandle;
use std::time::Duration;

use prost::Message as _;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use tollbooth_chassis::kafka::{ClientKind, KafkaClients, ReaderTuning, WatchedContext, ends};
use tollbooth_chassis::ops::Component;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::v1;

use super::CommandDesk;

const PARTITION: i32 = 0;
const POLL: Duration = Duration::from_millis(100);
const RETRY_EVERY: Duration = Duration::from_millis(200);
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts the reader's thread; `component` is ready once it stands at the topic's end.
pub(crate) fn spawn(
    clients: &KafkaClients,
    topic: String,
    desk: CommandDesk,
    component: Component,
    shutdown: Shutdown,
) -> Result<JoinHandle<()>, crate::StartError> {
    // A reply is waited for by a person: fetches are held short.
    let tuning = ReaderTuning { queued_kbytes_max: 8 * 1024, fetch_wait_ms: 100, ..ReaderTuning::default() };
    let mut config = clients.reader(&format!("{topic}-reader"), tuning);
    let context = WatchedContext::new(clients.watch(ClientKind::RepliesReader, &mut config));
    let consumer: BaseConsumer<WatchedContext> = BaseConsumer::from_config_and_context(&config, context)?;
    let reader = ReplyReader { consumer, topic, desk };
    let thread = std::thread::Builder::new().name("replies".to_owned()).spawn(move || {
        while !shutdown.is_triggered() {
            match reader.assign_at_end() {
                Ok(()) => {
                    reader.desk.set_followed(true);
                    component.ready();
                    reader.follow(&shutdown);
                    reader.desk.set_followed(false);
                }
                Err(error) => {
                    tracing::debug!(%error, "the end of the replies is not known");
                    if shutdown.wait_blocking(RETRY_EVERY) {
                        break;
                    }
                }
            }
        }
    });
    Ok(thread?)
}

struct ReplyReader {
    consumer: BaseConsumer<WatchedContext>,
    topic: String,
    desk: CommandDesk,
}

impl ReplyReader {
    /// Nothing before the end matters: commands are sent once the desk is told that this is done, or their replies are not
    /// waited for.
    fn assign_at_end(&self) -> Result<(), KafkaError> {
        let (_, high) = ends(&self.consumer, &self.topic, PARTITION, WATERMARK_TIMEOUT)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, PARTITION, Offset::Offset(high))?;
        self.consumer.assign(&list)
    }

    /// Returns at the shutdown, or when the position is gone.
    fn follow(&self, shutdown: &Shutdown) {
        while !shutdown.is_triggered() {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) if message.key() == Some(self.desk.instance_id().as_bytes()) => {
                    self.take(message.payload().unwrap_or_default());
                }
                // For another instance.
                Some(Ok(_)) => {}
                Some(Err(error)) if is_position_gone(&error) => {
                    tracing::warn!(%error, "the position in the replies is gone, going on at the end");
                    return;
                }
                Some(Err(error)) => tracing::warn!(%error, "reading replies"),
            }
        }
    }

    fn take(&self, payload: &[u8]) {
        match v1::Reply::decode(payload) {
            Ok(reply) => self.desk.deliver(reply),
            Err(error) => tracing::error!(%error, "a record of the replies topic is not a reply"),
        }
    }
}

fn is_position_gone(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange))
}
