//! The world as a worker sees it: readers, a producer, questions. Every call travels there, happens, and travels back.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Headers as _, OwnedHeaders},
};
use tollbooth_chassis::kafka::{
    batch::{self, BatchLimit},
    txn::TxnError,
};
use tollbooth_ledger::PriceBooks;

use super::{
    faults::{Effect, Fault, Kind, Side},
    log::{Fenced, Place, Stored},
    world::{Input, Shared, Until},
};
use crate::{
    member::Epoch,
    price_books::NotPriced,
    worker::{
        outside::{Batch, Outside, Producer, Reader, Reads, SourceRecord},
        producer::transactional_id,
    },
};

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4)
}

fn failed(code: RDKafkaErrorCode) -> KafkaError {
    KafkaError::Global(code)
}

fn fenced(_: Fenced) -> TxnError {
    TxnError::Fenced(failed(RDKafkaErrorCode::ProducerFenced))
}

/// One process's way to the world.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) world: Shared,
    pub(super) process: usize,
}

impl Ends {
    fn until(&self, until_ms: i64) -> Until {
        Until { world: Rc::clone(&self.world), until_ms }
    }

    async fn travel(&self, effect: Effect, side: Side) {
        let until_ms = self.world.borrow_mut().travel(self.process, effect, side);
        self.until(until_ms).await;
    }

    fn strikes(&self, kind: Kind, probability: f64, fault: Fault) -> bool {
        let mut world = self.world.borrow_mut();
        let strikes = world.strikes(kind, probability);
        if strikes {
            world.fault(self.process, fault);
        }
        strikes
    }

    /// A question that the broker may leave without an answer.
    async fn ask(&self) -> Result<(), KafkaError> {
        self.travel(Effect::Ask, Side::Before).await;
        if self.strikes(Kind::Broker, 0.02, Fault::Silent) {
            return Err(failed(RDKafkaErrorCode::OperationTimedOut));
        }
        Ok(())
    }
}

impl Outside for Ends {
    type Reader = SimReader;
    type Producer = SimProducer;

    fn now_ms(&self) -> i64 {
        let world = self.world.borrow();
        world.broker_ms() + world.processes[self.process].clock_ms
    }

    fn instant(&self) -> Instant {
        self.world.borrow().instant()
    }

    async fn pause(&self, wait: Duration) {
        let until_ms = self.world.borrow().now_ms + millis(wait).max(1);
        self.until(until_ms).await;
    }

    fn owns(&self, partition: i32, epoch: Epoch) -> bool {
        let world = self.world.borrow();
        usize::try_from(partition).is_ok_and(|index| world.processes[self.process].slots[index].owned(epoch))
    }

    async fn until_withdrawn(&self, partition: i32, epoch: Epoch) {
        // Nothing that happens here is a reason to refuse a partition.
        let why = format!("partition {partition} was refused by meter {}", self.process);
        self.world.borrow_mut().outrage.get_or_insert(why);
        while self.owns(partition, epoch) {
            self.pause(Duration::from_millis(500)).await;
        }
    }

    fn ask_group(&self) {
        let mut world = self.world.borrow_mut();
        world.processes[self.process].asks_group = true;
    }

    fn end_process(&self, why: String) {
        self.world.borrow_mut().outrage.get_or_insert(format!("meter {} is to leave: {why}", self.process));
    }

    fn reader(&self, reads: Reads) -> Result<SimReader, KafkaError> {
        let input = match reads {
            Reads::Usage => Input::Usage,
            Reads::Commands => Input::Commands,
        };
        Ok(SimReader { ends: self.clone(), input, place: ("".into(), 0), position: 0 })
    }

    fn producer(&self, partition: i32) -> Result<SimProducer, KafkaError> {
        let world = self.world.borrow();
        let ledger = world.topics.ledger();
        // As unlike another process's as its number is.
        let number = world.processes[self.process].life * 100 + u32::try_from(self.process).unwrap_or_default();
        Ok(SimProducer {
            ends: self.clone(),
            id: transactional_id(&ledger, partition, number),
            ledger: (ledger.into(), partition),
            epoch: Cell::new(0),
            queue: RefCell::default(),
            trouble: RefCell::default(),
            highest: Cell::new(-1),
        })
    }

    async fn send_offsets(
        &self,
        producer: &SimProducer,
        partition: i32,
        next: &[(String, i64)],
    ) -> Result<(), TxnError> {
        producer.ensure_fine()?;
        // What the process believes when it asks.
        let member = self.world.borrow().processes[self.process].member;
        self.travel(Effect::Offsets, Side::Before).await;
        producer.abort_strikes(Effect::Offsets)?;
        {
            let world = &mut *self.world.borrow_mut();
            let offsets = next.iter().map(|(topic, next)| (world.place(topic, partition), *next)).collect();
            let (id, epoch) = (&producer.id, producer.epoch.get());
            let is_member =
                member.is_some_and(|(id, generation)| world.group.takes_offsets(self.process, id, generation));
            if is_member {
                world.log.add_offsets(id, epoch, offsets, world.now_ms).map_err(fenced)?;
            } else {
                // The coordinator of the transaction is asked first: it may know of a fence.
                world.log.add_offsets(id, epoch, Vec::new(), world.now_ms).map_err(fenced)?;
                return Err(TxnError::GroupLost(failed(RDKafkaErrorCode::IllegalGeneration)));
            }
        }
        self.travel(Effect::Offsets, Side::After).await;
        Ok(())
    }

    async fn ends(&self, topic: &str, partition: i32, _: Duration) -> Result<(i64, i64), KafkaError> {
        self.ask().await?;
        let world = self.world.borrow();
        assert_ne!(world.panics_at.as_deref(), Some(topic), "planned");
        Ok((0, world.log.end(&world.place(topic, partition))))
    }

    fn books(&self) -> PriceBooks {
        let world = self.world.borrow();
        let until_ms = world.reached_ms(self.process, Input::Books);
        let known = world.books.iter().rev().find(|(published_ms, _)| *published_ms <= until_ms);
        known.map(|(_, books)| books.clone()).unwrap_or_default()
    }

    fn ensure_books_usable(&self) -> Result<(), NotPriced> {
        if self.world.borrow().are_books_stale(self.process) { Err(NotPriced::Stale) } else { Ok(()) }
    }

    async fn books_to_end(&self, deadline: Instant) -> Result<(), NotPriced> {
        self.travel(Effect::Books, Side::Before).await;
        let published_ms = {
            let world = self.world.borrow();
            world.books.iter().rev().map(|(published_ms, _)| *published_ms).find(|at| *at <= world.now_ms)
        };
        loop {
            let (reached_ms, now) = {
                let world = self.world.borrow();
                (world.reached_ms(self.process, Input::Books), world.instant())
            };
            if published_ms.is_none_or(|published_ms| published_ms <= reached_ms) {
                return Ok(());
            }
            if now >= deadline {
                return Err(NotPriced::Stale);
            }
            self.pause(Duration::from_millis(100)).await;
        }
    }
}

/// Records of one read.
pub(super) struct SimBatch {
    place: Place,
    records: Vec<(i64, Rc<Stored>)>,
    begin_ms: i64,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct SimRecord<'b> {
    batch: &'b SimBatch,
    index: usize,
}

impl<'b> SimRecord<'b> {
    fn stored(self) -> &'b Stored {
        &self.batch.records[self.index].1
    }
}

impl<'b> SourceRecord<'b> for SimRecord<'b> {
    fn topic(self) -> &'b str {
        &self.batch.place.0
    }

    fn partition(self) -> i32 {
        self.batch.place.1
    }

    fn offset(self) -> i64 {
        self.batch.records[self.index].0
    }

    fn key(self) -> Option<&'b [u8]> {
        Some(&self.stored().key)
    }

    fn payload(self) -> Option<&'b [u8]> {
        Some(&self.stored().payload)
    }

    fn appended_ms(self) -> Option<i64> {
        Some(self.batch.begin_ms + self.stored().at_ms)
    }

    fn headers(self) -> impl Iterator<Item = batch::Header<'b>> {
        self.stored().headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice())))
    }
}

impl Batch for SimBatch {
    type Record<'b> = SimRecord<'b>;

    fn len(&self) -> usize {
        self.records.len()
    }

    fn get(&self, index: usize) -> Option<SimRecord<'_>> {
        (index < self.records.len()).then_some(SimRecord { batch: self, index })
    }

    fn iter(&self) -> impl Iterator<Item = SimRecord<'_>> {
        (0..self.records.len()).map(|index| SimRecord { batch: self, index })
    }
}

/// Reads one partition.
pub(super) struct SimReader {
    ends: Ends,
    input: Input,
    place: Place,
    position: i64,
}

impl SimReader {
    fn take(&mut self, limit: BatchLimit) -> SimBatch {
        let world = self.ends.world.borrow();
        // The ledger is folded to its end however long that takes; what is late are inputs.
        let is_ledger = *self.place.0 == *world.topics.ledger();
        let until_ms = if is_ledger { world.now_ms } else { world.reached_ms(self.ends.process, self.input) };
        let (records, position) = world.log.read(&self.place, self.position, limit.records, until_ms);
        self.position = position;
        SimBatch { place: self.place.clone(), records, begin_ms: super::world::BEGIN_MS }
    }
}

impl Reader for SimReader {
    type Batch = SimBatch;

    fn assign(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), KafkaError> {
        (self.place, self.position) = ((topic.into(), partition), offset);
        Ok(())
    }

    async fn read(&mut self, limit: BatchLimit, wait: Duration) -> Result<SimBatch, KafkaError> {
        self.ends.travel(Effect::Read, Side::Before).await;
        if self.ends.strikes(Kind::Broker, 0.000_5, Fault::Unread) {
            return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown));
        }
        let batch = self.take(limit);
        if !batch.is_empty() || wait.is_zero() {
            return Ok(batch);
        }
        self.ends.pause(wait).await;
        Ok(self.take(limit))
    }

    async fn fill(&mut self, limit: BatchLimit, wait: Duration) -> Result<SimBatch, KafkaError> {
        self.ends.travel(Effect::Read, Side::Before).await;
        self.ends.pause(wait).await;
        Ok(self.take(limit))
    }

    fn position(&self, _: &str, _: i32) -> Result<Option<i64>, KafkaError> {
        Ok(Some(self.position))
    }

    async fn stable(&self, topic: &str, partition: i32, _: Duration) -> Result<i64, KafkaError> {
        self.ends.ask().await?;
        let world = self.ends.world.borrow();
        Ok(world.log.stable(&world.place(topic, partition)))
    }

    async fn committed(&self, topic: &str, partition: i32, _: Duration) -> Result<Option<i64>, KafkaError> {
        self.ends.ask().await?;
        let world = self.ends.world.borrow();
        Ok(world.log.committed_offset(&world.place(topic, partition)))
    }
}

/// Writes in transactions.
pub(super) struct SimProducer {
    ends: Ends,
    id: String,
    ledger: Place,
    epoch: Cell<u32>,
    /// In the process's memory: gone with it.
    queue: RefCell<Vec<(Place, Stored)>>,
    /// Why the open transaction, or all of it, has failed.
    trouble: RefCell<Option<TxnError>>,
    highest: Cell<i64>,
}

impl SimProducer {
    fn ensure_fine(&self) -> Result<(), TxnError> {
        self.trouble.borrow().clone().map_or(Ok(()), Err)
    }

    fn fail(&self, error: TxnError) -> TxnError {
        *self.trouble.borrow_mut() = Some(error.clone());
        error
    }

    fn abort_strikes(&self, effect: Effect) -> Result<(), TxnError> {
        if self.ends.strikes(Kind::Abort, 0.02, Fault::Aborted(effect)) {
            return Err(self.fail(TxnError::Abortable(failed(RDKafkaErrorCode::RequestTimedOut))));
        }
        Ok(())
    }

    /// Sends a part of what is queued.
    async fn deliver(&self) -> Result<(), TxnError> {
        self.ends.travel(Effect::Produce, Side::Before).await;
        self.abort_strikes(Effect::Produce)?;
        {
            let world = &mut *self.ends.world.borrow_mut();
            let queued = self.queue.borrow().len();
            let count = usize::try_from(world.between(1, 4)).unwrap_or(1).min(queued);
            for (place, record) in self.queue.borrow_mut().drain(..count) {
                let produced = world.log.produce(&self.id, self.epoch.get(), &place, record, world.now_ms);
                let offset = produced.map_err(|error| self.fail(fenced(error)))?;
                if place == self.ledger {
                    self.highest.set(self.highest.get().max(offset));
                }
            }
        }
        self.ends.travel(Effect::Produce, Side::After).await;
        Ok(())
    }

    async fn end(&self, effect: Effect, commits: bool) -> Result<(), TxnError> {
        self.ends.travel(effect, Side::Before).await;
        if commits {
            self.abort_strikes(effect)?;
        }
        {
            let world = &mut *self.ends.world.borrow_mut();
            let ended = world.log.end_transaction(&self.id, self.epoch.get(), commits, world.now_ms);
            ended.map_err(|error| self.fail(fenced(error)))?;
            let what = if commits { "committed" } else { "aborted" };
            world.tell(|| format!("meter {}: {} {what}", self.ends.process, self.id));
        }
        self.ends.travel(effect, Side::After).await;
        Ok(())
    }
}

impl Producer for SimProducer {
    async fn fence(&self, _: Duration, allowed: impl Fn() -> bool) -> Result<bool, TxnError> {
        if !allowed() {
            return Ok(false);
        }
        self.ends.travel(Effect::Fence, Side::Before).await;
        {
            let world = &mut *self.ends.world.borrow_mut();
            self.epoch.set(world.log.init(&self.id, world.now_ms));
            world.tell(|| format!("meter {}: {} fenced, epoch {}", self.ends.process, self.id, self.epoch.get()));
        }
        self.ends.travel(Effect::Fence, Side::After).await;
        Ok(true)
    }

    fn begin(&self) -> Result<(), TxnError> {
        self.ensure_fine()
    }

    fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        payload: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> Result<(), TxnError> {
        self.ensure_fine()?;
        let headers = headers.iter().flat_map(|headers| headers.iter());
        let headers =
            headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect();
        let place = self.ends.world.borrow().place(topic, partition);
        self.queue.borrow_mut().push((place, Stored::new(key, payload, headers)));
        Ok(())
    }

    fn ledger_end(&self) -> Option<i64> {
        (self.highest.get() >= 0).then(|| self.highest.get() + 1)
    }

    fn has_unreported(&self) -> bool {
        !self.queue.borrow().is_empty()
    }

    async fn drain(&self) {
        while self.has_unreported() {
            if self.deliver().await.is_err() {
                self.queue.borrow_mut().clear();
            }
        }
    }

    async fn commit(&self) -> Result<(), TxnError> {
        self.drain().await;
        self.ensure_fine()?;
        self.end(Effect::Commit, true).await
    }

    async fn abort(&self) -> Result<(), TxnError> {
        self.queue.borrow_mut().clear();
        if matches!(*self.trouble.borrow(), Some(TxnError::Fenced(_))) {
            return self.ensure_fine();
        }
        *self.trouble.borrow_mut() = None;
        self.end(Effect::Abort, false).await
    }
}
