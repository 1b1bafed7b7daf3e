//! A meter of the tests' own: reads `commands`, answers on `replies`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prost::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::{Message, Offset, TopicPartitionList};
use tollbooth_schemas::v1::{self, command::Body, reply::Outcome};

use crate::stand::{PARTITIONS, Stand};

/// Reads `commands` and answers on `replies` until it is dropped.
pub(crate) struct FakeMeter {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeMeter {
    pub(crate) fn start(stand: &Stand, judge: impl Fn(&v1::Command) -> Outcome + Send + 'static) -> Self {
        Self::start_with_silence(stand, move |command| Some(judge(command)))
    }

    /// `None`: the reply is lost.
    pub(crate) fn start_with_silence(
        stand: &Stand,
        judge: impl Fn(&v1::Command) -> Option<Outcome> + Send + 'static,
    ) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", stand.mock.bootstrap_servers()).set("group.id", "meter");
        let consumer: BaseConsumer = config.create().unwrap();
        let producer: BaseProducer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&stand.topics.commands(), partition, Offset::Offset(0)).unwrap();
        }
        consumer.assign(&list).unwrap();
        let replies = stand.topics.replies();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                producer.poll(Duration::ZERO);
                let Some(message) = consumer.poll(Duration::from_millis(10)) else { continue };
                let Ok(message) = message else { continue };
                let command = v1::Command::decode(message.payload().unwrap()).unwrap();
                assert_eq!(message.key(), Some(command.account_id.as_bytes()));
                let Some(outcome) = judge(&command) else { continue };
                let reply = v1::Reply {
                    correlation_id: command.correlation_id.clone(),
                    account_id: command.account_id.clone(),
                    outcome: Some(outcome),
                };
                let payload = reply.encode_to_vec();
                producer.send(BaseRecord::to(&replies).key(&command.reply_to).payload(&payload)).unwrap();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for FakeMeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().unwrap().join().is_err() && !std::thread::panicking() {
            panic!("the meter panicked");
        }
    }
}

/// Carries everything out; a hold takes 1.50.
pub(crate) fn accepted(command: &v1::Command) -> Outcome {
    let amount_micros = match &command.body {
        Some(Body::PostAdjustment(adjustment)) => adjustment.amount_micros,
        Some(Body::PostPurchase(purchase)) => purchase.amount_micros,
        _ => 0,
    };
    let is_hold = matches!(&command.body, Some(Body::PlaceHold(_) | Body::VoidHold(_)));
    let is_question = matches!(&command.body, Some(Body::PreparePurchase(_)));
    Outcome::Accepted(v1::Accepted {
        replayed: false,
        seq: if is_question { 0 } else { 7 },
        amount_micros,
        balance_micros: 100_000_000 + amount_micros,
        held_micros: 1_500_000,
        posted_at_ms: 1_763_756_103_120,
        currency: "USD".to_owned(),
        hold_amount_micros: if is_hold { 1_500_000 } else { 0 },
        account_seq: if is_question { 6 } else { 0 },
    })
}

/// Refuses everything.
pub(crate) fn refused(status: u32, code: &str) -> Outcome {
    let (code, detail) = (code.to_owned(), "because".to_owned());
    Outcome::Rejected(v1::Rejected { status, code, detail, ..v1::Rejected::default() })
}
