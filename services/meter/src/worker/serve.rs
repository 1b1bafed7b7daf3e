//! The loop: take, decide, write in one transaction, merge.

use std::time::{Duration, Instant};

use prost::Message as _;
use tollbooth_chassis::kafka::batch::BatchLimit;
use tollbooth_ledger::{Defect, Delta, Due, PriceBooks, Ticks, due, planted};
use tollbooth_schemas::dead_letter as letters;

use super::{
    Worker, WorkerError, dead_letter,
    decide::{Decider, Output, Refusals, Rules},
    housekeeping::InHand,
    look_up::Reach,
    outside::{Batch, BatchOf, Outside, Producer, Reader as _, SourceRecord},
    restore::Ready,
    transaction::{self, Ending, Part},
};
use crate::{member::Epoch, metrics::Input, store::hash_of_record};

/// How long usage waits after a look-up that came to nothing. Commands go on.
const HOLD_PAUSE: Duration = Duration::from_secs(2);
/// How long plan fees wait when the price books cannot be read to their end. Everything else goes on.
const FEES_PAUSE: Duration = Duration::from_secs(10);
/// Most of what is due that one transaction carries out; the rest comes with the next one.
const TICKS_MAX: usize = 1_000;
/// A batch is waited for to be complete when the one before held this part of what it may.
const BEHIND_PART: usize = 4;
/// Pauses between two tries of a transaction that was aborted; the first try again comes at once.
const ABORT_PAUSE_MIN: Duration = Duration::from_millis(50);
const ABORT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Everything taken for one transaction; kept until it is committed, so that an abort loses nothing.
pub(super) struct Taken<B> {
    pub(super) commands: Vec<B>,
    pub(super) usage: Option<B>,
    pub(super) since: Instant,
}

impl<B: Batch> Taken<B> {
    fn is_empty(&self) -> bool {
        self.records() == 0
    }

    fn records(&self) -> usize {
        self.commands.iter().map(Batch::len).sum::<usize>() + self.usage.as_ref().map_or(0, Batch::len)
    }

    /// The next offsets of usage and commands once it is committed.
    pub(super) fn next_offsets(&self, before: [i64; 2]) -> [i64; 2] {
        let after = |batch: &B| last_of(batch).map(|record| record.offset() + 1);
        let usage = self.usage.as_ref().and_then(after).unwrap_or(before[0]);
        let commands = self.commands.iter().filter_map(after).max().unwrap_or(before[1]);
        [usage, commands]
    }

    /// Append times of the oldest records, of usage and commands.
    fn first_appended(&self) -> [Option<i64>; 2] {
        let first = |batch: &B| batch.get(0).and_then(SourceRecord::appended_ms);
        [self.usage.as_ref().and_then(first), self.commands.iter().find_map(first)]
    }

    /// Append times of the newest records, of usage and commands.
    fn last_appended(&self) -> [Option<i64>; 2] {
        let last = |batch: &B| last_of(batch).and_then(SourceRecord::appended_ms);
        [self.usage.as_ref().and_then(last), self.commands.iter().rev().find_map(last)]
    }
}

pub(super) fn last_of<B: Batch>(batch: &B) -> Option<B::Record<'_>> {
    batch.len().checked_sub(1).and_then(|index| batch.get(index))
}

/// Usage that has left the reader and is not decided yet: commands go first, or a look-up came to nothing.
pub(super) struct Held<B> {
    usage: B,
    since: Instant,
}

/// Why usage waits that could be read.
pub(super) struct Hold {
    until: Instant,
    why: String,
}

/// What a transaction has moved.
struct Committed {
    /// Next offsets of usage and commands.
    next: [i64; 2],
    /// Hash of its last record of the ledger; `None`: it had none.
    last_hash: Option<u64>,
}

/// What came of deciding a batch and writing it.
enum Attempt<B> {
    /// It stands in the ledger.
    Committed(Box<Delta>, Committed),
    /// Its commands go first, these that were read for it included; usage may be about accounts they open. `why`: what
    /// could have turned a refusal round is not known, so that nothing is refused.
    UsageLater { late: Vec<B>, why: Option<String> },
}

impl<O: Outside> Worker<O> {
    /// Serves the partition until it is withdrawn.
    pub(super) async fn serve(&mut self, epoch: Epoch) -> Result<(), WorkerError> {
        let Some(mut ready) = self.prepare(epoch).await? else { return Ok(()) };
        if let Some(component) = &self.component {
            component.ready();
        }
        while self.owned(epoch) {
            self.turned();
            let taken = self.take(&mut ready).await?;
            let is_idle = taken.is_empty();
            if !is_idle || self.until_due(&ready).is_some_and(|wait| wait.is_zero()) {
                reached(&mut ready, taken.first_appended());
                self.carry_out(&mut ready, taken, epoch).await?;
            }
            self.keep(false)?;
            if is_idle {
                ready.producer.attend();
                self.tidy_store()?;
            }
            self.housekeeping(&mut ready, InHand::Nothing).await?;
        }
        // In order: whoever has the partition next on this machine folds nothing.
        self.keep(true)
    }

    /// Commands first, up to a bound. Usage waits for company, but not while a command is in hand: somebody waits for that.
    ///
    /// So it is the commands' queue that the time is spent on, and the first one ends it. Where usage fills a good part of
    /// a batch, it is waited for itself: it may be complete before the time is up.
    async fn take(&mut self, ready: &mut Ready<O>) -> Result<Taken<BatchOf<O>>, WorkerError> {
        let usage_waits = self.usage_waits(ready);
        let config = &self.context.batch;
        let since = self.now();
        let command_limit = BatchLimit { records: config.command_records_max, bytes: config.usage_bytes_max };
        let linger = config.linger(ready.took);
        let linger = self.until_due(ready).map_or(linger, |wait| wait.min(linger));
        let (is_held, is_behind) = (ready.held.is_some(), std::mem::take(&mut ready.is_behind));
        let command_wait = if usage_waits || !(is_held || is_behind) { linger } else { Duration::ZERO };
        let read = ready.commands.read(command_limit, command_wait).await;
        let commands = read.map_err(WorkerError::kafka("cannot read commands"))?;
        let usage_wait = if is_behind && commands.is_empty() { linger } else { Duration::ZERO };
        let commands_only = |commands| Taken { commands: vec![commands], usage: None, since };
        if usage_waits {
            ready.usage.attend();
            return Ok(commands_only(commands));
        }
        if let Some(Held { usage, since }) = ready.held.take() {
            return Ok(Taken { usage: Some(usage), since, ..commands_only(commands) });
        }
        let limit = BatchLimit { records: config.usage_records_max, bytes: config.usage_bytes_max };
        let usage = ready.usage.fill(limit, usage_wait).await.map_err(WorkerError::kafka("cannot read usage"))?;
        ready.is_behind = usage.len() >= config.usage_records_max / BEHIND_PART;
        Ok(Taken { usage: Some(usage), ..commands_only(commands) })
    }

    /// How long nothing is due; `None`: nothing ever is.
    fn until_due(&self, ready: &Ready<O>) -> Option<Duration> {
        let wait_ms = due(&self.state, self.ticks(ready))?.saturating_sub(self.posting_ms());
        Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default()))
    }

    /// The posting time of what is posted now: never before what was posted.
    fn posting_ms(&self) -> i64 {
        self.context.outside.now_ms().max(self.state.posted_at_ms())
    }

    /// Whether usage stays where it is for now. Readiness follows, at the begin and at the end of it.
    fn usage_waits(&mut self, ready: &mut Ready<O>) -> bool {
        let now = self.now();
        if ready.held.is_none() && ready.hold.as_ref().is_some_and(|hold| hold.until <= now) {
            // It was a command that could not be looked up: no usage has to be decided for this to be over.
            ready.hold = None;
        }
        let trouble = self.context.outside.ensure_books_usable().err().map(|why| why.to_string());
        let waits = trouble.is_some() || ready.hold.as_ref().is_some_and(|hold| now < hold.until);
        let why = trouble.or_else(|| ready.hold.as_ref().map(|hold| hold.why.clone()));
        if why != self.paused
            && let Some(component) = &self.component
        {
            match &why {
                Some(why) => component.not_ready(format!("usage is paused: {why}")),
                None => component.ready(),
            }
            self.paused = why;
        }
        waits
    }

    /// One transaction, tried again from the same records while the broker asks for an abort.
    async fn carry_out(
        &mut self,
        ready: &mut Ready<O>,
        mut taken: Taken<BatchOf<O>>,
        epoch: Epoch,
    ) -> Result<(), WorkerError> {
        let begun = self.now();
        let mut pause = Duration::ZERO;
        let mut looks_up = true;
        loop {
            match self.attempt(ready, &mut taken, looks_up).await {
                Ok(Attempt::Committed(delta, Committed { next, last_hash })) => {
                    self.state.merge(*delta);
                    self.state.drop_expired();
                    ready.next = next;
                    ready.took = self.now().saturating_duration_since(begun);
                    reached(ready, taken.last_appended());
                    if taken.usage.as_ref().is_some_and(|usage| !usage.is_empty()) {
                        ready.hold = None;
                    }
                    self.set_folded(self.folded().committed(ready.producer.ledger_end(), last_hash));
                    return Ok(());
                }
                Ok(Attempt::UsageLater { late, why }) => {
                    taken.commands.extend(late);
                    // A batch without usage leaves alone what waits from the one before.
                    if let Some(usage) = taken.usage.take().filter(|usage| !usage.is_empty()) {
                        ready.held = Some(Held { usage, since: taken.since });
                    }
                    if let Some(why) = why {
                        tracing::warn!(partition = self.partition, %why, "usage waits, commands go on");
                        looks_up = false;
                        ready.hold = Some(Hold { until: self.now() + HOLD_PAUSE, why });
                    }
                    if taken.is_empty() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    if let WorkerError::Transaction(why) = &error {
                        self.context.metrics.aborted(why);
                    }
                    match error.ending() {
                        Ending::Again => {
                            self.turned();
                            tracing::warn!(partition = self.partition, %error, "transaction aborted, tried again");
                            ready.producer.abort().await?;
                            self.housekeeping(ready, InHand::Batch).await?;
                            self.context.outside.pause(pause).await;
                            pause = (pause * 2).clamp(ABORT_PAUSE_MIN, ABORT_PAUSE_MAX);
                        }
                        Ending::Aborted => {
                            // Best effort: what is left open, the next owner's fence ends.
                            drop(ready.producer.abort().await);
                            return Err(error);
                        }
                        Ending::Left => return Err(error),
                    }
                }
            }
            if !self.owned(epoch) {
                return Ok(());
            }
        }
    }

    /// What is due. A fee is posted by price books that were read to their end just now: there is one a month, and what
    /// it says is final.
    async fn due(&self, ready: &mut Ready<O>, now_ms: i64) -> Vec<Due> {
        let due = self.state.due_until(now_ms, TICKS_MAX, self.ticks(ready));
        if !due.iter().any(Due::is_fee) {
            return due;
        }
        let known = match self.context.outside.ensure_books_usable() {
            Ok(()) => self.price_books_to_end(ready).await,
            Err(why) => Err(why.to_string()),
        };
        let Err(why) = known else { return due };
        tracing::warn!(partition = self.partition, %why, "plan fees wait, everything else goes on");
        ready.fees_wait = Some(self.now() + FEES_PAUSE);
        self.state.due_until(now_ms, TICKS_MAX, Ticks::WithoutFees)
    }

    /// `looks_up`: whether a refusal is looked up first. Without it there is no usage in the batch.
    async fn attempt(
        &mut self,
        ready: &mut Ready<O>,
        taken: &mut Taken<BatchOf<O>>,
        looks_up: bool,
    ) -> Result<Attempt<BatchOf<O>>, WorkerError> {
        debug_assert!(looks_up || taken.usage.is_none());
        let now_ms = self.posting_ms();
        let due = self.due(ready, now_ms).await;
        let mut books = self.context.outside.books();
        let mut looked_up = Refusals { lacks_command: !looks_up, no_price: !looks_up };
        loop {
            let deciding = self.now();
            let (delta, mut output) = self.decide(taken, &due, books.clone(), now_ms)?;
            self.context.metrics.rating_duration.observe(self.seconds_since(deciding));
            let refusals = output.refusals();
            if refusals.lacks_command && !looked_up.lacks_command {
                looked_up.lacks_command = true;
                match self.commands_to_end(ready, taken).await? {
                    (late, Reach::End) if late.is_empty() => {}
                    (late, Reach::End) => {
                        drop(output);
                        taken.commands.extend(late);
                        continue;
                    }
                    (late, Reach::Bound) => return Ok(Attempt::UsageLater { late, why: None }),
                    (late, Reach::Short(why)) => {
                        return Ok(Attempt::UsageLater { late, why: Some(why.to_string()) });
                    }
                }
            }
            if refusals.no_price && !looked_up.no_price {
                looked_up.no_price = true;
                if let Err(why) = self.price_books_to_end(ready).await {
                    return Ok(Attempt::UsageLater { late: Vec::new(), why: Some(why) });
                }
                let newest = self.context.outside.books();
                if newest.len() != books.len() {
                    books = newest;
                    continue;
                }
            }
            if !looks_up {
                output.refuse_for_now();
            }
            let next = taken.next_offsets(ready.next);
            let delta = self.merged_too_early(delta);
            let last_hash = self.transact(&ready.producer, &output, next, now_ms).await?;
            self.committed(taken, &output);
            return Ok(Attempt::Committed(Box::new(delta), Committed { next, last_hash }));
        }
    }

    /// Pure: the same records on the same state at the same time give the same output.
    fn decide<'t>(
        &self,
        taken: &'t Taken<BatchOf<O>>,
        due: &[Due],
        books: PriceBooks,
        now_ms: i64,
    ) -> Result<(Delta, OutputOf<'t, O>), WorkerError> {
        let context = &self.context;
        let rules = Rules {
            books,
            limits: &context.limits,
            partitions: context.topics.partitions,
            input_generation: context.input_generation,
            now_ms,
            traces: context.traces.are_on(),
        };
        let store = self.kept.as_ref().map(|kept| &kept.store);
        let records = taken.usage.as_ref().map_or(0, Batch::len);
        let mut decider = Decider::new(&self.state, rules).with_store(store).with_room(records);
        decider.ticks(due)?;
        for batch in &taken.commands {
            decider.commands(batch.iter())?;
        }
        if let Some(usage) = &taken.usage {
            decider.usage(usage.iter())?;
        }
        Ok(decider.finish())
    }

    /// Everything of a batch, with the offsets, in one transaction. Gives back the hash of its last record of the ledger.
    async fn transact(
        &self,
        producer: &O::Producer,
        output: &OutputOf<'_, O>,
        next: [i64; 2],
        now_ms: i64,
    ) -> Result<Option<u64>, WorkerError> {
        let (mut producing, mut last_hash) = (self.now(), None);
        for part in transaction::parts() {
            match part {
                Part::Begin => {
                    producer.begin()?;
                    producing = self.now();
                }
                Part::Records => {
                    let acknowledged = producer.ledger_end();
                    last_hash = self.produce(producer, output, now_ms)?;
                    transaction::pass_fault_point(producer, acknowledged).await;
                }
                Part::Offsets => self.send_offsets(producer, next).await?,
                Part::Commit => {
                    if producer.has_unreported() {
                        producer.drain().await;
                        self.context.metrics.produce_duration.observe(self.seconds_since(producing));
                    }
                    producer.commit().await?;
                    transaction::pass_planted_fault_point();
                }
            }
        }
        Ok(last_hash)
    }

    /// Queues everything that a batch writes. Gives back the hash of its last record of the ledger.
    fn produce(
        &self,
        producer: &O::Producer,
        output: &OutputOf<'_, O>,
        now_ms: i64,
    ) -> Result<Option<u64>, WorkerError> {
        let topics = &self.context.topics;
        let (ledger, mut last_hash) = (topics.ledger(), None);
        output.records.each(self.context.input_generation, now_ms, |account_id, record| {
            last_hash = Some(hash_of_record(record));
            producer.send(&ledger, self.partition, account_id.as_bytes(), record, None)
        })?;
        let replies = topics.replies();
        for (instance, reply) in &output.replies {
            producer.send(&replies, 0, instance.as_bytes(), &reply.encode_to_vec(), None)?;
        }
        let outbox = topics.outbox();
        for effect in &output.outbox {
            let key = effect.account_id.as_bytes();
            producer.send(&outbox, self.partition, key, &effect.encode_to_vec(), None)?;
        }
        let dead_letters = topics.dead_letter();
        for letter in &output.dead {
            let key = dead_letter::cut(letter.record.key().unwrap_or_default(), letters::KEY_BYTES_MAX);
            let payload = dead_letter::cut(letter.record.payload().unwrap_or_default(), letters::BYTES_MAX);
            let headers = dead_letter::headers(letter, self.context.input_generation, now_ms);
            producer.send(&dead_letters, 0, key, payload, Some(headers))?;
        }
        for redriven in &output.redriven {
            let key = redriven.account_id.as_bytes();
            producer.send(&dead_letters, 0, key, &[], Some(redriven.headers(now_ms)))?;
        }
        Ok(last_hash)
    }

    async fn send_offsets(&self, producer: &O::Producer, next: [i64; 2]) -> Result<(), WorkerError> {
        let topics = &self.context.topics;
        let next = [(topics.usage(), next[0]), (topics.commands(), next[1])];
        self.context.outside.send_offsets(producer, self.partition, &next).await?;
        Ok(())
    }

    /// A planted defect: the state knows of a batch before the log does.
    fn merged_too_early(&mut self, mut delta: Delta) -> Delta {
        if planted(Defect::MergeBeforeCommit) {
            self.state.merge(std::mem::take(&mut delta));
        }
        delta
    }

    fn committed(&self, taken: &Taken<BatchOf<O>>, output: &OutputOf<'_, O>) {
        let metrics = &self.context.metrics;
        metrics.committed(&output.counts, &self.label);
        metrics.post_duration.observe(self.seconds_since(taken.since));
        #[allow(clippy::cast_precision_loss)] // A histogram's sum is approximate anyway.
        metrics.batch_records.observe(taken.records() as f64);
        let now_ms = self.context.outside.now_ms();
        let latency = metrics.ingest_to_ledger.local();
        for received_at_ms in &output.received_at_ms {
            let elapsed = u64::try_from(now_ms - received_at_ms).unwrap_or_default();
            latency.observe(Duration::from_millis(elapsed).as_secs_f64());
        }
        latency.flush();
        for traced in &output.traced {
            self.context.traces.note(traced.passed(now_ms));
        }
    }

    /// What counts of what is due.
    fn ticks(&self, ready: &Ready<O>) -> Ticks {
        let waits = ready.fees_wait.is_some_and(|until| self.now() < until);
        if waits { Ticks::WithoutFees } else { Ticks::All }
    }

    pub(super) fn now(&self) -> Instant {
        self.context.outside.instant()
    }

    fn seconds_since(&self, then: Instant) -> f64 {
        self.now().saturating_duration_since(then).as_secs_f64()
    }
}

/// What deciding a batch gives.
type OutputOf<'t, O> = Output<<BatchOf<O> as Batch>::Record<'t>>;

/// Notes how far the inputs were read, for the lag in time.
fn reached<O: Outside>(ready: &mut Ready<O>, [usage, commands]: [Option<i64>; 2]) {
    ready.lag.reached(Input::Usage, usage);
    ready.lag.reached(Input::Commands, commands);
}
