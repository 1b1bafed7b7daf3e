//! Membership in the meter's consumer group: which partitions this process serves.
//!
//! The group's consumer reads nothing (its partitions are paused at once); each worker has a reader of its own. The
//! call-back only hands over: it tells slots what is wanted, and on revocation waits until the worker has let go.
//!
//! A consumer that the group has fenced cannot be used any more; a new one takes its place, and the process stays.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, RwLock};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata},
    error::KafkaError,
    types::RDKafkaRespErr,
};
use tollbooth_chassis::{
    kafka::{ClientKind, KafkaClients, Watch, log_error, log_line},
    ops::Component,
    shutdown::Shutdown,
};

use crate::metrics::{FencedBy, Metrics};

/// How long a revocation waits for a worker in the middle of a commit. Beyond it the partition is given back all the
/// same: the next owner's fence ends what is open.
const REVOKE_WAIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// Twice fenced within this time is no accident: another process has the same `member_id`.
const FENCED_AGAIN_WITHIN: Duration = Duration::from_secs(60);

/// Which assignment of a partition, counted up; a worker serves one.
pub type Epoch = u64;

/// What the group says about one partition, and what its worker does.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SlotState {
    pub(crate) wanted: Option<Epoch>,
    pub(crate) serving: Option<Epoch>,
    closed: bool,
}

impl SlotState {
    #[cfg(test)]
    pub(crate) const fn new() -> Self {
        Self { wanted: None, serving: None, closed: false }
    }

    pub(crate) const fn assign(&mut self, epoch: Epoch) {
        self.wanted = Some(epoch);
    }

    pub(crate) const fn withdraw(&mut self) {
        self.wanted = None;
    }

    /// The assignment that is served from here on, if there is one.
    pub(crate) const fn begin(&mut self) -> Option<Epoch> {
        if self.wanted.is_some() {
            self.serving = self.wanted;
        }
        self.wanted
    }

    /// Whether the partition is still this assignment's.
    pub(crate) fn is_owned(&self, epoch: Epoch) -> bool {
        self.wanted == Some(epoch)
    }

    /// The worker has let go; where it gave up by itself, the partition is not taken again before it is assigned anew.
    pub(crate) fn done(&mut self, epoch: Epoch) {
        self.serving = None;
        if self.is_owned(epoch) {
            self.wanted = None;
        }
    }
}

/// Where the group's word about one partition meets its worker.
#[derive(Debug, Default)]
pub struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

impl Slot {
    pub(crate) fn assign(&self, epoch: Epoch) {
        self.state.lock().assign(epoch);
        self.changed.notify_all();
    }

    pub(crate) fn withdraw(&self) {
        self.state.lock().withdraw();
        self.changed.notify_all();
    }

    /// Waits until the worker has let go of the partition; `false`: not by then.
    pub(crate) fn wait_released(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.serving.is_some() {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        true
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.withdraw();
        state.closed = true;
        self.changed.notify_all();
    }

    /// Blocks until the partition is assigned; `None` when the process ends.
    #[must_use]
    pub fn next(&self) -> Option<Epoch> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(epoch) = state.begin() {
                return Some(epoch);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Whether the partition is still this assignment's.
    #[must_use]
    pub fn owned(&self, epoch: Epoch) -> bool {
        self.state.lock().is_owned(epoch)
    }

    /// Blocks until the partition is no longer this assignment's.
    pub fn wait_withdrawn(&self, epoch: Epoch) {
        let mut state = self.state.lock();
        while state.is_owned(epoch) {
            self.changed.wait(&mut state);
        }
    }

    /// The worker has let go: see [`SlotState::done`].
    pub fn done(&self, epoch: Epoch) {
        self.state.lock().done(epoch);
        self.changed.notify_all();
    }
}

/// What the process as a whole is told.
#[derive(Debug, Default)]
struct Requests {
    rejoin: bool,
    fatal: Option<String>,
}

/// What outlives a consumer.
#[derive(Debug)]
struct Group {
    slots: Vec<Slot>,
    topics: [String; 2],
    epochs: Mutex<Epoch>,
    requests: Mutex<Requests>,
    metrics: Metrics,
    component: Component,
}

/// The group's call-backs.
#[derive(Debug)]
struct MemberContext {
    group: Arc<Group>,
    watch: Watch,
}

impl ClientContext for MemberContext {
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

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.group.metrics.rebalances.inc();
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.group.assigned(consumer, partitions);
        } else {
            self.group.revoked(consumer);
        }
    }
}

impl Group {
    fn assigned(&self, consumer: &BaseConsumer<MemberContext>, partitions: &mut TopicPartitionList) {
        let [usage, commands] = [0, 1].map(|index| numbers(partitions, &self.topics[index]));
        if usage != commands {
            self.request_end(format!(
                "the group assigned usage {usage:?} and commands {commands:?}: every member must use the range assignor, \
                 and both topics must have the same partition count"
            ));
            return;
        }
        // An empty list exists, and its elements cannot be asked for.
        if !usage.is_empty() {
            drop(partitions.set_all_offsets(Offset::End));
        }
        if let Err(error) = consumer.assign(partitions).and_then(|()| consumer.pause(partitions)) {
            self.request_end(format!("cannot take the assignment: {error}"));
            return;
        }
        tracing::info!(partitions = ?usage, "assigned");
        for partition in &usage {
            let mut epoch = self.epochs.lock();
            *epoch += 1;
            if let Some(slot) = usize::try_from(*partition).ok().and_then(|index| self.slots.get(index)) {
                slot.assign(*epoch);
            }
        }
        self.component.ready();
    }

    fn revoked(&self, consumer: &BaseConsumer<MemberContext>) {
        // The eager protocol takes everything back at each rebalance; state stays warm and is folded on from there.
        self.withdraw();
        tracing::info!("revoked");
        if let Err(error) = consumer.unassign() {
            tracing::error!(%error, "cannot drop the assignment");
        }
    }

    /// Takes every partition back and waits until the workers have let go.
    fn withdraw(&self) {
        let deadline = Instant::now() + REVOKE_WAIT;
        // All are told before one is waited for: they finish side by side.
        self.slots.iter().for_each(Slot::withdraw);
        for (partition, slot) in self.slots.iter().enumerate() {
            if !slot.wait_released(deadline) {
                tracing::warn!(partition, "given back in the middle of a transaction: the next owner's fence ends it");
            }
        }
    }

    fn request_end(&self, why: String) {
        self.requests.lock().fatal.get_or_insert(why);
    }
}

fn numbers(partitions: &TopicPartitionList, topic: &str) -> Vec<i32> {
    if partitions.count() == 0 {
        return Vec::new();
    }
    let elements = partitions.elements();
    let mut numbers: Vec<i32> =
        elements.iter().filter(|element| element.topic() == topic).map(|element| element.partition()).collect();
    numbers.sort_unstable();
    numbers
}

/// The process's membership.
pub struct Member {
    clients: KafkaClients,
    config: ClientConfig,
    group: Arc<Group>,
    /// `None` only while one takes the place of another.
    consumer: RwLock<Option<BaseConsumer<MemberContext>>>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("slots", &self.group.slots.len()).finish_non_exhaustive()
    }
}

fn consumer(
    clients: &KafkaClients,
    config: &mut ClientConfig,
    group: &Arc<Group>,
) -> Result<BaseConsumer<MemberContext>, KafkaError> {
    let watch = clients.watch(ClientKind::MeterMember, config);
    BaseConsumer::from_config_and_context(config, MemberContext { group: Arc::clone(group), watch })
}

impl Member {
    /// Joins nothing yet: see [`Member::run`].
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(
        clients: &KafkaClients,
        group: &str,
        member_id: &str,
        topics: [String; 2],
        partitions: i32,
        metrics: Metrics,
        component: Component,
    ) -> Result<Self, KafkaError> {
        let mut config = clients.member_consumer(group, member_id);
        // This consumer is paused for good: it must neither fail for want of an offset nor hold memory.
        config.set("auto.offset.reset", "latest").set("queued.max.messages.kbytes", "64");
        component.not_ready("joining the group");
        let group = Arc::new(Group {
            slots: (0..partitions).map(|_| Slot::default()).collect(),
            topics,
            epochs: Mutex::new(0),
            requests: Mutex::new(Requests::default()),
            metrics,
            component,
        });
        let clients = clients.clone();
        let consumer = consumer(&clients, &mut config, &group)?;
        Ok(Self { clients, config, group, consumer: RwLock::new(Some(consumer)) })
    }

    /// The slot of a partition.
    #[must_use]
    pub fn slot(&self, partition: i32) -> Option<&Slot> {
        usize::try_from(partition).ok().and_then(|index| self.group.slots.get(index))
    }

    /// Who this member is to the group right now.
    #[must_use]
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.read().as_ref().and_then(Consumer::group_metadata)
    }

    /// A worker lost its partition to a fence: the group is asked again who owns what.
    pub fn request_rejoin(&self) {
        self.group.requests.lock().rejoin = true;
    }

    /// Something that nobody understands happened: the process ends with a non-zero status.
    pub fn request_end(&self, why: String) {
        self.group.request_end(why);
    }

    /// Serves the group until `shutdown`, then lets the workers finish.
    ///
    /// # Errors
    /// The reason to leave with a non-zero status.
    pub fn run(&self, shutdown: &Shutdown) -> Result<(), String> {
        let outcome = self.serve(shutdown);
        let deadline = Instant::now() + REVOKE_WAIT;
        self.group.slots.iter().for_each(Slot::close);
        for slot in &self.group.slots {
            // In vain or not: every worker's thread is joined.
            slot.wait_released(deadline);
        }
        outcome
    }

    fn serve(&self, shutdown: &Shutdown) -> Result<(), String> {
        let mut renewed: Option<Instant> = None;
        self.subscribe()?;
        while !shutdown.is_triggered() {
            self.poll();
            if let Some(why) = self.fatal() {
                if renewed.is_some_and(|at| at.elapsed() < FENCED_AGAIN_WITHIN) {
                    return Err(format!("{why}; twice within a minute: is member_id this process's alone?"));
                }
                renewed = Some(Instant::now());
                self.renew(&why)?;
            }
            let (rejoin, fatal) = {
                let mut requests = self.group.requests.lock();
                (std::mem::take(&mut requests.rejoin), requests.fatal.take())
            };
            if let Some(why) = fatal {
                return Err(why);
            }
            if rejoin {
                tracing::warn!("asking the group again who owns what");
                self.with_consumer(|consumer| consumer.unsubscribe());
                self.subscribe()?;
            }
        }
        Ok(())
    }

    fn with_consumer<T>(&self, call: impl FnOnce(&BaseConsumer<MemberContext>) -> T) -> Option<T> {
        self.consumer.read().as_ref().map(call)
    }

    /// The group's consumer is paused: what comes are rebalances (in the call-back) and errors.
    fn poll(&self) {
        let error = self.with_consumer(|consumer| consumer.poll(POLL).and_then(Result::err)).flatten();
        if let Some(error) = error {
            tracing::warn!(%error, "the group's consumer");
        }
    }

    fn subscribe(&self) -> Result<(), String> {
        let topics = self.group.topics.each_ref().map(String::as_str);
        match self.with_consumer(|consumer| consumer.subscribe(&topics)) {
            // A consumer that the group has fenced refuses everything; it is replaced where that is found out.
            Some(Err(_)) if self.fatal().is_some() => Ok(()),
            Some(Err(error)) => Err(format!("cannot join the group: {error}")),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Why the consumer cannot be used any more, if that is so: the group has fenced it.
    fn fatal(&self) -> Option<String> {
        let fatal = self.with_consumer(|consumer| consumer.client().fatal_error()).flatten();
        fatal.map(|(code, reason)| format!("the group does not take this member any more ({code}): {reason}"))
    }

    /// Gives every partition up and joins again with a new consumer.
    fn renew(&self, why: &str) -> Result<(), String> {
        tracing::warn!(%why, "joining the group again");
        self.group.metrics.fenced(FencedBy::Group);
        self.group.component.not_ready(format!("joining the group again: {why}"));
        self.group.withdraw();
        // Closed before the next one joins: its last call-back would withdraw that one's partitions. And not under the
        // lock: a worker may still ask for the group's metadata.
        let fenced = self.consumer.write().take();
        drop(fenced);
        let consumer =
            consumer(&self.clients, &mut self.config.clone(), &self.group).map_err(|error| error.to_string())?;
        *self.consumer.write() = Some(consumer);
        self.subscribe()
    }
}
