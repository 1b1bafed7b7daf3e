//! Reads the outbox as a member of a group, and commits what is carried out.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tollbooth_chassis::kafka::{ClientKind, KafkaClients, WatchedContext};
use tollbooth_chassis::ops::Component;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_schemas::v1;

use super::carry::Carrier;
use super::metrics::EffectsMetrics;
use super::notify::Owned;
use super::tracker::Tracker;
use crate::app::now_ms;
use crate::config::IngestConfig;

const POLL: Duration = Duration::from_millis(50);

/// A record's partition and offset.
type Place = (i32, i64);

/// One thread reads; the effects are tasks.
pub(super) struct Reader {
    consumer: BaseConsumer<WatchedContext>,
    topic: String,
    carrier: Arc<Carrier>,
    metrics: EffectsMetrics,
    component: Component,
    runtime: Handle,
    tracker: Tracker,
    carried_out: (Sender<Place>, Receiver<Place>),
    backlog_max: usize,
    is_holding_back: bool,
    owned: Owned,
}

impl Reader {
    pub(super) fn new(
        clients: &KafkaClients,
        config: &IngestConfig,
        topic: String,
        carrier: Carrier,
        metrics: EffectsMetrics,
        component: Component,
        owned: Owned,
    ) -> Result<Self, KafkaError> {
        let mut settings = clients.member_consumer(&config.effects.group, &config.effects.member_id);
        // What a new group finds was decided and never carried out. What was carried out before and is read again, the
        // ids make harmless.
        settings.set("auto.offset.reset", "earliest");
        let context = WatchedContext::new(clients.watch(ClientKind::OutboxMember, &mut settings));
        let consumer: BaseConsumer<WatchedContext> = BaseConsumer::from_config_and_context(&settings, context)?;
        consumer.subscribe(&[&topic])?;
        Ok(Self {
            consumer,
            topic,
            carrier: Arc::new(carrier),
            metrics,
            component,
            runtime: Handle::current(),
            tracker: Tracker::default(),
            carried_out: channel(),
            backlog_max: config.effects.backlog_max,
            is_holding_back: false,
            owned,
        })
    }

    /// Reads until the shutdown; then what is under way has `patience` to end.
    pub(super) fn run(mut self, shutdown: &Shutdown, patience: Duration) {
        while !shutdown.is_triggered() {
            while let Ok(place) = self.carried_out.1.try_recv() {
                self.settle(place, CommitMode::Async);
            }
            self.hold_back();
            self.show();
            self.tell_owned();
            match self.consumer.poll(POLL) {
                None => self.tell_ready(),
                Some(Ok(message)) => {
                    let (place, record) = self.read(&message);
                    drop(message);
                    self.begin(place, record);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "reading the outbox");
                    self.component.not_ready(format!("the outbox cannot be read: {error}"));
                }
            }
        }
        let deadline = Instant::now() + patience;
        while self.tracker.under_way() > 0 {
            match self.carried_out.1.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(place) => self.settle(place, CommitMode::Sync),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    fn tell_owned(&self) {
        if let Ok(assigned) = self.consumer.assignment() {
            // The binding fails on the elements of an empty list.
            let elements = if assigned.count() == 0 { Vec::new() } else { assigned.elements() };
            self.owned.set(elements.iter().map(TopicPartitionListElem::partition).collect());
        }
    }

    fn tell_ready(&self) {
        if self.consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
            self.component.ready();
        }
    }

    /// The effect of a record; what is none is left out, or the group would stand still over it.
    fn read(&self, message: &BorrowedMessage<'_>) -> (Place, Option<v1::OutboxRecord>) {
        let place = (message.partition(), message.offset());
        let record = v1::OutboxRecord::decode(message.payload().unwrap_or_default());
        let record = record.inspect_err(|error| {
            tracing::error!(partition = place.0, offset = place.1, %error, "a record of the outbox is no effect");
            self.metrics.unreadable.inc();
        });
        (place, record.ok())
    }

    fn begin(&mut self, place: Place, record: Option<v1::OutboxRecord>) {
        let decided_at_ms = record.as_ref().map_or(i64::MAX, |record| record.posted_at_ms);
        if !self.tracker.begin(place.0, place.1, decided_at_ms) {
            return;
        }
        let Some(record) = record else { return self.settle(place, CommitMode::Async) };
        let (carrier, carried_out) = (Arc::clone(&self.carrier), self.carried_out.0.clone());
        self.runtime.spawn(async move {
            carrier.carry_out(record).await;
            if carried_out.send(place).is_err() {
                tracing::debug!("carried out while the process ends: it comes again, and changes nothing");
            }
        });
    }

    /// Commits where all below is carried out.
    fn settle(&mut self, (partition, offset): Place, mode: CommitMode) {
        let Some(next) = self.tracker.done(partition, offset) else { return };
        let mut list = TopicPartitionList::new();
        let listed = list.add_partition_offset(&self.topic, partition, Offset::Offset(next));
        // Of a partition that has moved on, the new owner does it again.
        if let Err(error) = listed.and_then(|()| self.consumer.commit(&list, mode)) {
            tracing::warn!(partition, next, %error, "cannot commit what was carried out of the outbox");
        }
    }

    /// With enough under way nothing is read, while the group still hears from us.
    fn hold_back(&mut self) {
        let is_full = self.tracker.under_way() >= self.backlog_max;
        if !is_full && !self.is_holding_back {
            return;
        }
        let changed = self.consumer.assignment().and_then(|assigned| {
            if is_full { self.consumer.pause(&assigned) } else { self.consumer.resume(&assigned) }
        });
        match changed {
            Ok(()) => self.is_holding_back = is_full,
            Err(error) => tracing::warn!(%error, "cannot hold the outbox back"),
        }
    }

    fn show(&self) {
        self.metrics.under_way.set(i64::try_from(self.tracker.under_way()).unwrap_or(i64::MAX));
        let age_ms = self.tracker.oldest_ms().map_or(0, |decided_at_ms| now_ms().saturating_sub(decided_at_ms));
        self.metrics.oldest_age.set(age_ms.max(0) / 1_000);
    }
}
