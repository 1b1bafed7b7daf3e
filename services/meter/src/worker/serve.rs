//! The loop: take, decide, write in one transaction, merge.

use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::{
    Offset, TopicPartitionList,
    message::{Header, OwnedHeaders},
};
use tollbooth_chassis::{
    crashpoint,
    kafka::{
        batch::{Batch, BatchLimit, BatchReader, Record},
        txn::{self, TxnError},
    },
};
use tollbooth_ledger::{Delta, PriceBooks};
use tollbooth_schemas::{
    Money,
    dead_letter::{self, header},
    time::rfc3339,
};

use super::{
    Worker, WorkerError,
    decide::{DeadLetter, Decider, Output, Refusals, Rules},
    producer::Producer,
    restore::{BROKER_WAIT, Ready},
};
use crate::{
    member::Epoch,
    metrics::{Input, StateSizes},
};

/// How often lag and sizes are looked at.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(5);
/// How long a look-up before a refusal may take; beyond it the batch is read and decided again.
const LOOK_UP_WAIT: Duration = Duration::from_secs(5);
/// Pauses between two tries of a transaction that was aborted; the first try again comes at once.
const ABORT_PAUSE_MIN: Duration = Duration::from_millis(50);
const ABORT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Balance below which an account counts as low in the gauge.
const LOW_BALANCE: Option<Money> = Money::from_micros(10_000_000);

/// Everything taken for one transaction; kept until it is committed, so that an abort loses nothing.
struct Taken {
    commands: Vec<Batch>,
    usage: Option<Batch>,
    since: Instant,
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.records() == 0
    }

    fn records(&self) -> usize {
        self.commands.iter().map(Batch::len).sum::<usize>() + self.usage.as_ref().map_or(0, Batch::len)
    }

    fn last(batch: &Batch) -> Option<Record<'_>> {
        batch.len().checked_sub(1).and_then(|index| batch.get(index))
    }
}

/// What came of deciding a batch and writing it.
enum Attempt {
    /// It stands in the ledger.
    Committed(Delta, [i64; 2]),
    /// A backlog of commands, from which these were taken, goes first: usage may be about accounts it opens.
    CommandsFirst(Vec<Batch>),
}

fn look_up_late(what: &'static str) -> WorkerError {
    let source = rdkafka::error::KafkaError::Global(rdkafka::error::RDKafkaErrorCode::OperationTimedOut);
    WorkerError::Kafka { what, source }
}

/// The wall clock, as milliseconds since the epoch.
fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Worker {
    /// Serves the partition until it is withdrawn.
    pub(super) fn serve(&mut self, epoch: Epoch) -> Result<(), WorkerError> {
        let Some(mut ready) = self.prepare(epoch)? else { return Ok(()) };
        if let Some(component) = &self.component {
            component.ready();
        }
        let mut last_seen = [None; 2];
        let mut looked = Instant::now();
        while self.owned(epoch) {
            let taken = self.take(&mut ready)?;
            if !taken.is_empty() {
                note_last(&taken, &mut last_seen);
                self.carry_out(&mut ready, taken, epoch)?;
            }
            if looked.elapsed() > HOUSEKEEPING_EVERY {
                looked = Instant::now();
                self.housekeeping(&ready, &last_seen)?;
            }
        }
        Ok(())
    }

    /// Commands first, up to a bound; with one in hand, usage waits for no company.
    fn take(&mut self, ready: &mut Ready) -> Result<Taken, WorkerError> {
        let is_fresh = self.context.books.is_fresh();
        self.tell_pause(!is_fresh);
        let config = &self.context.batch;
        let since = Instant::now();
        let command_limit = BatchLimit { records: config.command_records_max, bytes: config.usage_bytes_max };
        let commands =
            ready.commands.read(command_limit, Duration::ZERO).map_err(WorkerError::kafka("cannot read commands"))?;
        let linger = Duration::from_millis(if commands.is_empty() { config.linger_ms } else { 0 });
        let usage = if is_fresh {
            let limit = BatchLimit { records: config.usage_records_max, bytes: config.usage_bytes_max };
            Some(ready.usage.fill(limit, linger).map_err(WorkerError::kafka("cannot read usage"))?)
        } else {
            std::thread::park_timeout(linger);
            None
        };
        Ok(Taken { commands: vec![commands], usage, since })
    }

    /// Readiness follows the pause, at its begin and at its end.
    fn tell_pause(&mut self, is_paused: bool) {
        if is_paused != self.is_paused
            && let Some(component) = &self.component
        {
            self.is_paused = is_paused;
            if is_paused {
                component.not_ready("the price book was not read to its end: usage is paused");
            } else {
                component.ready();
            }
        }
    }

    /// One transaction, tried again from the same records while the broker asks for an abort.
    fn carry_out(&mut self, ready: &mut Ready, mut taken: Taken, epoch: Epoch) -> Result<(), WorkerError> {
        let mut pause = Duration::ZERO;
        loop {
            match self.attempt(ready, &mut taken) {
                Ok(Attempt::Committed(delta, next)) => {
                    self.state.merge(delta);
                    self.state.drop_expired(&self.context.limits);
                    ready.next = next;
                    if let Some(end) = ready.producer.ledger_end() {
                        self.ledger_position = self.ledger_position.max(Some(end));
                    }
                    return Ok(());
                }
                Ok(Attempt::CommandsFirst(late)) => {
                    taken.commands.extend(late);
                    let commands = std::mem::take(&mut taken.commands);
                    self.carry_out(ready, Taken { commands, usage: None, since: taken.since }, epoch)?;
                }
                Err(WorkerError::Transaction(TxnError::Abortable(why))) => {
                    tracing::warn!(partition = self.partition, error = %why, "transaction aborted, tried again");
                    self.context.metrics.aborted();
                    txn::abort(&ready.producer.inner)?;
                    std::thread::park_timeout(pause);
                    pause = (pause * 2).clamp(ABORT_PAUSE_MIN, ABORT_PAUSE_MAX);
                }
                Err(error) => {
                    self.context.metrics.aborted();
                    if let WorkerError::Transaction(TxnError::GroupLost(_)) = error {
                        // Best effort: what is left open, the next owner's fence ends.
                        drop(txn::abort(&ready.producer.inner));
                    }
                    return Err(error);
                }
            }
            if !self.owned(epoch) {
                return Ok(());
            }
        }
    }

    fn attempt(&self, ready: &mut Ready, taken: &mut Taken) -> Result<Attempt, WorkerError> {
        let now_ms = now_ms().max(self.state.posted_at_ms());
        let mut books = self.context.books.snapshot();
        let mut looked_up = Refusals::default();
        loop {
            let deciding = Instant::now();
            let (delta, output) = self.decide(taken, books.clone(), now_ms)?;
            self.context.metrics.rating_duration.observe(deciding.elapsed().as_secs_f64());
            let refusals = output.refusals();
            if refusals.unknown_account && !looked_up.unknown_account {
                looked_up.unknown_account = true;
                let (late, is_end) = self.commands_to_end(ready, next_offsets(taken, ready.next)[1])?;
                if !is_end {
                    return Ok(Attempt::CommandsFirst(late));
                }
                if !late.is_empty() {
                    drop(output);
                    taken.commands.extend(late);
                    continue;
                }
            }
            if refusals.no_price && !looked_up.no_price {
                looked_up.no_price = true;
                self.price_books_to_end(&ready.usage)?;
                let newest = self.context.books.snapshot();
                if newest.len() != books.len() {
                    books = newest;
                    continue;
                }
            }
            let next = next_offsets(taken, ready.next);
            self.transact(&ready.producer, &output, next, now_ms)?;
            self.committed(taken, &output);
            return Ok(Attempt::Committed(delta, next));
        }
    }

    /// Pure: the same records on the same state give the same output.
    fn decide<'t>(&self, taken: &'t Taken, books: PriceBooks, now_ms: i64) -> Result<(Delta, Output<'t>), WorkerError> {
        let context = &self.context;
        let rules = Rules {
            books,
            limits: &context.limits,
            partitions: context.topics.partitions,
            input_generation: context.input_generation,
            now_ms,
        };
        let mut decider = Decider::new(&self.state, rules);
        for batch in &taken.commands {
            decider.commands(batch.iter())?;
        }
        if let Some(usage) = &taken.usage {
            decider.usage(usage.iter())?;
        }
        Ok(decider.finish())
    }

    /// Commands up to the topic's end as of now: whatever could have opened an account before a record of this batch
    /// was appended lies below it. `false`: a transaction's worth of them, and the end lies further on.
    ///
    /// A refusal is final, so one that was not looked up to the end is an error: the batch is read and decided again.
    fn commands_to_end(&self, ready: &mut Ready, mut next: i64) -> Result<(Vec<Batch>, bool), WorkerError> {
        let topic = self.context.topics.commands();
        let (_, end) = ready
            .commands
            .watermarks(&topic, self.partition, BROKER_WAIT)
            .map_err(WorkerError::kafka("cannot ask for the commands' end"))?;
        let records_max = self.context.batch.command_records_max;
        let deadline = Instant::now() + LOOK_UP_WAIT;
        let (mut late, mut records) = (Vec::new(), 0);
        while next < end {
            if records >= records_max {
                return Ok((late, false));
            }
            if Instant::now() > deadline {
                return Err(look_up_late("the commands were not read to their end"));
            }
            let limit = BatchLimit { records: records_max - records, bytes: self.context.batch.usage_bytes_max };
            let batch = ready
                .commands
                .read(limit, Duration::from_millis(50))
                .map_err(WorkerError::kafka("cannot read commands"))?;
            if let Some(record) = Taken::last(&batch) {
                next = record.offset() + 1;
                records += batch.len();
                late.push(batch);
            } else if let Ok(Some(position)) = ready.commands.position(&topic, self.partition) {
                // The tail may be markers of a transactional writer.
                next = next.max(position);
            }
        }
        Ok((late, true))
    }

    /// The price books as published before now.
    fn price_books_to_end(&self, reader: &BatchReader) -> Result<(), WorkerError> {
        let topic = self.context.topics.price_book();
        let (_, end) = reader
            .watermarks(&topic, 0, BROKER_WAIT)
            .map_err(WorkerError::kafka("cannot ask for the price book's end"))?;
        if self.context.books.wait_for_end(end, LOOK_UP_WAIT) {
            Ok(())
        } else {
            Err(look_up_late("the price book was not read to its end"))
        }
    }

    /// Everything of a batch, with the offsets, in one transaction.
    fn transact(
        &self,
        producer: &Producer,
        output: &Output<'_>,
        next: [i64; 2],
        now_ms: i64,
    ) -> Result<(), WorkerError> {
        let topics = &self.context.topics;
        txn::begin(&producer.inner)?;
        if cfg!(feature = "planted-commit-before-produce") {
            self.send_offsets(producer, next)?;
            txn::commit(&producer.inner)?;
            crashpoint::hit("meter.in_transaction");
            txn::begin(&producer.inner)?;
        }
        let ledger = topics.ledger();
        output.records.each(self.context.input_generation, now_ms, |account_id, record| {
            producer.send(&ledger, self.partition, account_id.as_bytes(), record, None)
        })?;
        let replies = topics.replies();
        for (instance, reply) in &output.replies {
            producer.send(&replies, 0, instance.as_bytes(), &reply.encode_to_vec(), None)?;
        }
        let dead_letters = topics.dead_letter();
        for letter in &output.dead {
            let key = cut(letter.record.key().unwrap_or_default(), dead_letter::KEY_BYTES_MAX);
            let payload = cut(letter.record.payload().unwrap_or_default(), dead_letter::BYTES_MAX);
            producer.send(&dead_letters, 0, key, payload, Some(dead_letter_headers(letter, now_ms)))?;
        }
        crashpoint::hit("meter.in_transaction");
        if !cfg!(feature = "planted-commit-before-produce") {
            self.send_offsets(producer, next)?;
        }
        txn::commit(&producer.inner)?;
        Ok(())
    }

    /// In every transaction, also one that writes nothing else: the group's word on who owns the partition.
    fn send_offsets(&self, producer: &Producer, next: [i64; 2]) -> Result<(), WorkerError> {
        if cfg!(feature = "planted-no-fencing") {
            return Ok(());
        }
        let topics = &self.context.topics;
        let mut offsets = TopicPartitionList::new();
        for (topic, next) in [(topics.usage(), next[0]), (topics.commands(), next[1])] {
            offsets
                .add_partition_offset(&topic, self.partition, Offset::Offset(next))
                .map_err(WorkerError::kafka("cannot list the offsets"))?;
        }
        let unknown = rdkafka::error::KafkaError::Global(rdkafka::error::RDKafkaErrorCode::UnknownMemberId);
        let group = self.context.member.group_metadata().ok_or(TxnError::GroupLost(unknown))?;
        txn::send_offsets(&producer.inner, &offsets, &group)?;
        Ok(())
    }

    fn committed(&self, taken: &Taken, output: &Output<'_>) {
        let metrics = &self.context.metrics;
        metrics.committed(&output.counts, &self.label);
        metrics.post_duration.observe(taken.since.elapsed().as_secs_f64());
        #[allow(clippy::cast_precision_loss)] // A histogram's sum is approximate anyway.
        metrics.batch_records.observe(taken.records() as f64);
        let now_ms = now_ms();
        let latency = metrics.ingest_to_ledger.local();
        for received_at_ms in &output.received_at_ms {
            let elapsed = u64::try_from(now_ms - received_at_ms).unwrap_or_default();
            latency.observe(Duration::from_millis(elapsed).as_secs_f64());
        }
        latency.flush();
    }

    fn housekeeping(&self, ready: &Ready, last_seen: &[Option<i64>; 2]) -> Result<(), WorkerError> {
        self.check_memory()?;
        let (accounts, operations, _) = self.state.sizes();
        let low = LOW_BALANCE.unwrap_or_default();
        let mut sizes =
            StateSizes { accounts, operations, operation_bytes: self.state.operation_bytes(), ..StateSizes::default() };
        for (_, account) in self.state.accounts() {
            sizes.negative += usize::from(account.balance.is_negative());
            sizes.below_threshold += usize::from(account.balance < low);
        }
        self.context.metrics.sizes(&self.label, &sizes);
        let topics = &self.context.topics;
        for (input, topic, reader) in
            [(Input::Usage, topics.usage(), &ready.usage), (Input::Commands, topics.commands(), &ready.commands)]
        {
            // A broker that is away makes the lag unknown, not the worker fail.
            let Ok((_, end)) = reader.watermarks(&topic, self.partition, Duration::from_secs(1)) else { continue };
            let records = (end - ready.next[input as usize]).max(0);
            let age = last_seen[input as usize].map_or(0, |seen| (now_ms() - seen).max(0) / 1000);
            self.context.metrics.lag(input, &self.label, records, if records == 0 { 0 } else { age });
        }
        Ok(())
    }
}

/// The next offsets of usage and commands once a batch is committed.
fn next_offsets(taken: &Taken, before: [i64; 2]) -> [i64; 2] {
    let after = |batch: &Batch| Taken::last(batch).map(|record| record.offset() + 1);
    let usage = taken.usage.as_ref().and_then(after).unwrap_or(before[0]);
    let commands = taken.commands.iter().filter_map(after).max().unwrap_or(before[1]);
    [usage, commands]
}

/// Append times of the last records, for the lag in time.
fn note_last(taken: &Taken, last_seen: &mut [Option<i64>; 2]) {
    let seen =
        |batch: &Batch| Taken::last(batch).and_then(|record| record.timestamp()).map(|timestamp| timestamp.millis);
    last_seen[0] = taken.usage.as_ref().and_then(seen).or(last_seen[0]);
    last_seen[1] = taken.commands.iter().filter_map(seen).next_back().or(last_seen[1]);
}

fn dead_letter_headers(letter: &DeadLetter<'_>, now_ms: i64) -> OwnedHeaders {
    let record = letter.record;
    let received_at = record.timestamp().map(|timestamp| rfc3339(timestamp.millis)).unwrap_or_default();
    let own = [
        (header::REASON, letter.dead.reason.code().to_owned()),
        (header::DETAIL, letter.dead.detail.clone()),
        (header::STEP, letter.step.to_owned()),
        (header::SOURCE_TOPIC, record.topic().to_owned()),
        (header::SOURCE_PARTITION, record.partition().to_string()),
        (header::SOURCE_OFFSET, record.offset().to_string()),
        (header::RECEIVED_AT, received_at),
        (header::DEAD_AT, rfc3339(now_ms)),
    ];
    // The original's headers first: binary-mode attributes live there, and a re-drive needs them.
    let mut headers = OwnedHeaders::new();
    let mut header_bytes = 0;
    for (key, value) in record.headers() {
        header_bytes += key.len() + value.map_or(0, <[u8]>::len);
        if header_bytes <= dead_letter::HEADER_BYTES_MAX {
            headers = headers.insert(Header { key, value });
        }
    }
    for (key, value) in &own {
        headers = headers.insert(Header { key, value: Some(value.as_str()) });
    }
    let original_bytes = record.payload().unwrap_or_default().len();
    if original_bytes > dead_letter::BYTES_MAX {
        let value = original_bytes.to_string();
        headers = headers.insert(Header { key: header::ORIGINAL_BYTES, value: Some(value.as_str()) });
    }
    headers
}

fn cut(bytes: &[u8], bytes_max: usize) -> &[u8] {
    bytes.get(..bytes_max).unwrap_or(bytes)
}
