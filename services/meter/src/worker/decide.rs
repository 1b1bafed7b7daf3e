//! Deciding a batch on an overlay: no I/O, so that an aborted batch is decided again from the same records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tollbooth_chassis::traces::TRACEPARENT;
use tollbooth_ledger::{
    CommandDecision, CommandInput, Dead, Delta, Digest, Due, FoldError, Key, Limits, Overlay, PriceBooks, State,
    UsageDecision, UsageInput, View as _, apply_command, apply_usage, tick,
};
use tollbooth_schemas::{
    dead_letter::{LetterOutcome, Reason},
    ids::entry_id,
    v1::{
        Command, Entry, HoldOutcome, OutboxRecord, PurchasePosted, RedriveLetter, Rejected, Reply, SourceTopic,
        command::Body, entry::Kind, outbox_record::Effect, reply,
    },
};

use super::{WorkerError, dead_letter::Redriven, decode, outside::SourceRecord, records::Records, trace::Traced};
use crate::{
    metrics::{BatchCounts, Input, OTHER_ENGINE, Outcome},
    store::{Store, StoreError},
};

/// The core's refusals of commands that a price book published just now would turn round.
const LACKS_PRICE: [&str; 4] = ["unknown_plan", "no_price", "engine_retired", "unit_mismatch"];

/// What holds for every record of a batch.
pub(super) struct Rules<'a> {
    pub(super) books: PriceBooks,
    pub(super) limits: &'a Limits,
    pub(super) partitions: i32,
    pub(super) input_generation: u32,
    /// Posting time of the batch.
    pub(super) now_ms: i64,
    /// Whether anybody asks for traces.
    pub(super) traces: bool,
}

/// A record that needs a person.
pub(super) struct DeadLetter<R> {
    pub(super) record: R,
    pub(super) dead: Dead,
    pub(super) step: &'static str,
}

/// What a batch writes and changes.
pub(super) struct Output<R> {
    /// What goes to the ledger.
    pub(super) records: Records,
    /// With the instance that waits.
    pub(super) replies: Vec<(String, Reply)>,
    pub(super) dead: Vec<DeadLetter<R>>,
    /// What became of dead letters that were driven again.
    pub(super) redriven: Vec<Redriven>,
    /// Effects for somebody else to carry out.
    pub(super) outbox: Vec<OutboxRecord>,
    pub(super) counts: BatchCounts,
    /// When each posted usage record was received.
    pub(super) received_at_ms: Vec<i64>,
    /// Records that came with a trace.
    pub(super) traced: Vec<Traced<R>>,
    /// A command was refused for a plan or a price that no price book names.
    command_lacks_price: bool,
    /// Usage names a hold that was never placed.
    has_unknown_hold: bool,
}

impl<R> Default for Output<R> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            replies: Vec::new(),
            dead: Vec::new(),
            redriven: Vec::new(),
            outbox: Vec::new(),
            counts: BatchCounts::default(),
            received_at_ms: Vec::new(),
            traced: Vec::new(),
            command_lacks_price: false,
            has_unknown_hold: false,
        }
    }
}

impl<R> Output<R> {
    /// What was refused that a look-up could turn round.
    pub(super) fn refusals(&self) -> Refusals {
        let mut refusals = Refusals { lacks_command: self.has_unknown_hold, no_price: self.command_lacks_price };
        for letter in &self.dead {
            match letter.dead.reason {
                Reason::UnknownAccount => refusals.lacks_command = true,
                Reason::NoPrice | Reason::EngineRetired | Reason::UnitMismatch => refusals.no_price = true,
                _ => {}
            }
        }
        refusals
    }

    /// Where the price book could not be looked up: nobody is told that a plan or a price does not exist which may have
    /// been published. A command that was refused is judged anew when it is sent again.
    pub(super) fn refuse_for_now(&mut self) {
        for (_, reply) in &mut self.replies {
            if let Some(reply::Outcome::Rejected(why)) = &mut reply.outcome
                && LACKS_PRICE.contains(&why.code.as_str())
            {
                let detail = "what the price books say is not known at the moment; send the command again";
                *why = rejected(503, "price_book_unavailable", detail);
            }
        }
        for redriven in &mut self.redriven {
            if LACKS_PRICE.contains(&redriven.reason.as_str()) {
                "price_book_unavailable".clone_into(&mut redriven.reason);
                "what the price books say is not known at the moment; drive it again".clone_into(&mut redriven.detail);
            }
        }
    }

    fn push(&mut self, account_id: &str, entry: Entry) {
        if let Some(entry_type) = entry.entry_type() {
            self.counts.post(entry_type, entry.is_failed());
        }
        self.records.push(account_id, entry);
    }
}

/// What could turn a refusal round: a record that was appended before it and not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusals {
    /// A command may open the account, or place the hold.
    pub(super) lacks_command: bool,
    /// A price book may name the price, or the plan.
    pub(super) no_price: bool,
}

/// Decides records one after the other.
pub(super) struct Decider<'a, R> {
    rules: Rules<'a>,
    state: &'a State,
    /// Has what is not in memory.
    store: Option<&'a Store>,
    overlay: Overlay<'a>,
    output: Output<R>,
}

impl<'a, 'b, R: SourceRecord<'b>> Decider<'a, R> {
    pub(super) fn new(state: &'a State, rules: Rules<'a>) -> Self {
        let overlay = Overlay::new(state);
        Self { rules, state, store: None, overlay, output: Output::default() }
    }

    /// For so much usage.
    pub(super) fn with_room(mut self, records: usize) -> Self {
        self.overlay = self.overlay.with_room(records);
        self.output.received_at_ms.reserve(records);
        self
    }

    pub(super) const fn with_store(mut self, store: Option<&'a Store>) -> Self {
        self.store = store;
        self
    }

    /// Fetches what is looked up next and is not in memory. The core itself reads nothing.
    fn recall(&mut self, store: &Store, keys: impl IntoIterator<Item = Key>) -> Result<(), StoreError> {
        for key in keys {
            if store.may_have(&key)
                && !self.overlay.knows(&key)
                && let Some(row) = store.remembered(&key)?
            {
                self.overlay.recall(key.digest(), row);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Delta, Output<R>) {
        (self.overlay.into_delta(), self.output)
    }

    /// Carries out what was due in the committed state. Before the records: what ends in this batch is gone for all of them.
    pub(super) fn ticks(&mut self, due: &[Due]) -> Result<(), WorkerError> {
        for due in due {
            if let Some(entry) = tick(&self.overlay, &self.rules.books, due, self.rules.now_ms) {
                self.post(due.account_id(), entry, None)?;
            }
        }
        Ok(())
    }

    /// Commands, in order.
    pub(super) fn commands(&mut self, records: impl Iterator<Item = R>) -> Result<(), WorkerError> {
        for record in records {
            if !self.skip(record, Input::Commands, SourceTopic::Commands) {
                self.command(record)?;
            }
        }
        Ok(())
    }

    /// Usage, in order.
    pub(super) fn usage(&mut self, records: impl Iterator<Item = R>) -> Result<(), WorkerError> {
        for record in records {
            if !self.skip(record, Input::Usage, SourceTopic::Usage) {
                self.usage_record(record)?;
            }
        }
        Ok(())
    }

    /// At or below what the ledger says was posted: after a reset of the group's offsets nobody is charged twice.
    fn skip(&mut self, record: R, input: Input, topic: SourceTopic) -> bool {
        let folded = self.state.folded_offset(self.rules.input_generation, topic);
        let skip = folded.is_some_and(|folded| record.offset() <= folded);
        if skip {
            self.output.counts.skipped(input);
        }
        skip
    }

    fn command(&mut self, record: R) -> Result<(), WorkerError> {
        let command = match decode::command(record, self.rules.partitions) {
            Ok(command) => command,
            Err(dead) => {
                self.dead(record, Input::Commands, dead, "decode");
                return Ok(());
            }
        };
        let input = CommandInput { command: &command, offset: record.offset() };
        if let Some(store) = self.store {
            self.recall(store, input.looks_up())?;
        }
        let rules = &self.rules;
        let decided = catch_unwind(AssertUnwindSafe(|| {
            apply_command(&self.overlay, &rules.books, rules.limits, input, rules.now_ms)
        }));
        let Concluded { entries, reply, dead } = Concluded::of(decided, &command);
        if let Some(Body::RedriveLetter(letter)) = &command.body {
            self.redriven(record, &command, letter, entries.last(), &reply);
        }
        if dead.is_none() {
            let outcome = match (&reply.outcome, entries.is_empty()) {
                (Some(reply::Outcome::Rejected(_)), _) => "rejected",
                (_, true) => "repeated",
                (_, false) => "posted",
            };
            self.trace(record, outcome, entries.last().map(|entry| (command.account_id.as_str(), entry.seq)));
        }
        for entry in entries {
            self.post(&command.account_id, entry, None)?;
        }
        if let Some(dead) = dead {
            self.dead(record, Input::Commands, dead, "apply");
        }
        self.output.command_lacks_price |= LACKS_PRICE.iter().any(|code| is_rejected_with(&reply, code));
        if !command.reply_to.is_empty() {
            self.output.replies.push((command.reply_to, reply));
        }
        Ok(())
    }

    /// What became of a letter stands beside it, in the transaction of its entry. A repetition says nothing new.
    fn redriven(&mut self, record: R, command: &Command, letter: &RedriveLetter, entry: Option<&Entry>, reply: &Reply) {
        let Some(id) = letter.id() else { return };
        let Some(redriven) = Redriven::of(id, (record.partition(), record.offset()), command, entry, reply) else {
            return;
        };
        self.output.counts.redriven(redriven.outcome);
        let outcome = match (redriven.outcome, entry) {
            (LetterOutcome::Posted, Some(entry)) if entry.is_failed() => Some(Outcome::Failed),
            (LetterOutcome::Posted, _) => Some(Outcome::Charged),
            (LetterOutcome::Duplicate, _) => Some(Outcome::Duplicate),
            (LetterOutcome::Stale, _) => Some(Outcome::Stale),
            // It was counted when it became a letter. And the meter dismisses nothing.
            (LetterOutcome::Refused | LetterOutcome::Dismissed, _) => None,
        };
        if let Some(outcome) = outcome {
            self.output.counts.outcome(outcome);
        }
        self.output.redriven.push(redriven);
    }

    fn usage_record(&mut self, record: R) -> Result<(), WorkerError> {
        let event = match decode::usage(record, self.rules.partitions) {
            Ok(event) => event,
            Err(dead) => {
                self.dead(record, Input::Usage, dead, "decode");
                return Ok(());
            }
        };
        let received_at_ms = record.appended_ms().unwrap_or(self.rules.now_ms);
        let account_id = event.account_id.clone();
        let input = UsageInput::new(event, record.offset(), received_at_ms);
        let operation = input.operation();
        if let Some(store) = self.store {
            self.recall(store, input.looks_up())?;
        }
        match self.decide(input) {
            UsageDecision::Post(entry) => {
                let outcome = if entry.is_failed() { Outcome::Failed } else { Outcome::Charged };
                self.output.counts.outcome(outcome);
                self.output.received_at_ms.push(received_at_ms);
                self.output.has_unknown_hold |= names_unknown_hold(&entry);
                self.trace(
                    record,
                    if entry.is_failed() { "failed" } else { "charged" },
                    Some((&*account_id, entry.seq)),
                );
                self.post(&account_id, *entry, Some(operation))?;
            }
            UsageDecision::Duplicate => {
                self.output.counts.outcome(Outcome::Duplicate);
                self.trace(record, "duplicate", None);
            }
            UsageDecision::Stale => {
                self.output.counts.outcome(Outcome::Stale);
                self.trace(record, "stale", None);
            }
            UsageDecision::Dead(dead) => {
                if matches!(dead.reason, Reason::NoPrice | Reason::EngineRetired | Reason::UnitMismatch) {
                    self.unpriced(record, dead.reason);
                }
                self.dead(record, Input::Usage, dead, "apply");
            }
        }
        Ok(())
    }

    /// Counts it by its engine, for which it is read once more: the others are not to pay for it.
    fn unpriced(&mut self, record: R, reason: Reason) {
        let event = decode::usage(record, self.rules.partitions).ok();
        let engine = event.as_ref().map(|event| &*event.engine.0);
        let known = engine.filter(|engine| self.rules.books.has_engine(engine));
        self.output.counts.unpriced(known.unwrap_or(OTHER_ENGINE), reason);
    }

    fn decide(&self, input: UsageInput<'_>) -> UsageDecision {
        let rules = &self.rules;
        let decide = || apply_usage(&self.overlay, &rules.books, rules.limits, input, rules.now_ms);
        catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| UsageDecision::Dead(internal()))
    }

    fn post(&mut self, account_id: &str, entry: Entry, operation: Option<Digest>) -> Result<(), FoldError> {
        self.overlay.post(self.rules.input_generation, account_id, self.rules.now_ms, &entry, operation)?;
        if let Some(effect) = effect_of(&entry) {
            self.output.outbox.push(OutboxRecord {
                account_id: account_id.to_owned(),
                seq: entry.seq,
                posted_at_ms: self.rules.now_ms,
                currency: self
                    .overlay
                    .account(account_id)
                    .map(|account| account.currency().to_owned())
                    .unwrap_or_default(),
                effect: Some(effect),
            });
        }
        self.output.push(account_id, entry);
        Ok(())
    }

    /// Notes what became of a record that came with a trace. Whether it is sampled is looked at once it is committed.
    fn trace(&mut self, record: R, outcome: &'static str, entry: Option<(&str, u64)>) {
        if self.rules.traces && record.header(TRACEPARENT).is_some() {
            let entry_id = entry.map(|(account_id, seq)| entry_id(account_id, seq));
            self.output.traced.push(Traced { record, outcome, entry_id, failed: false });
        }
    }

    fn dead(&mut self, record: R, input: Input, dead: Dead, step: &'static str) {
        self.output.counts.dead(input, dead.reason);
        if self.rules.traces && record.header(TRACEPARENT).is_some() {
            self.output.traced.push(Traced { record, outcome: dead.reason.code(), entry_id: None, failed: true });
        }
        self.output.dead.push(DeadLetter { record, dead, step });
    }
}

/// What somebody else is to carry out, or to be told.
fn effect_of(entry: &Entry) -> Option<Effect> {
    match entry.kind.as_ref()? {
        Kind::RechargeRequested(requested) => Some(Effect::RechargeRequested(requested.clone())),
        Kind::RechargeFailed(failed) => Some(Effect::RechargeFailed(failed.clone())),
        Kind::AlertRaised(alert) => Some(Effect::AlertRaised(alert.clone())),
        Kind::Purchase(purchase) => Some(Effect::PurchasePosted(PurchasePosted {
            purchase: Some(purchase.clone()),
            amount_micros: entry.amount_micros,
            balance_micros: entry.balance_after_micros,
        })),
        _ => None,
    }
}

fn internal() -> Dead {
    Dead { reason: Reason::Internal, detail: "the core failed on this record; it is kept".to_owned() }
}

fn rejected(status: u32, code: &str, detail: &str) -> Rejected {
    Rejected { status, code: code.to_owned(), detail: detail.to_owned(), ..Rejected::default() }
}

fn names_unknown_hold(entry: &Entry) -> bool {
    entry.usage().is_some_and(|usage| usage.hold_outcome() == HoldOutcome::Unknown)
}

fn is_rejected_with(reply: &Reply, code: &str) -> bool {
    matches!(&reply.outcome, Some(reply::Outcome::Rejected(why)) if why.code == code)
}

/// What a command comes to.
struct Concluded {
    entries: Vec<Entry>,
    reply: Reply,
    dead: Option<Dead>,
}

impl Concluded {
    /// Where the core failed, the record is kept, and whoever waits for the answer is told.
    fn of(decided: std::thread::Result<CommandDecision>, command: &Command) -> Self {
        match decided {
            Ok(CommandDecision::Post(entry, reply)) => Self { entries: vec![*entry], reply, dead: None },
            Ok(CommandDecision::PostTwo(entries, reply)) => Self { entries: (*entries).into(), reply, dead: None },
            Ok(CommandDecision::Answer(reply)) => Self { entries: Vec::new(), reply, dead: None },
            Err(_) => {
                let why = rejected(500, "internal", "the command could not be decided; it is kept as a dead letter");
                let reply = Reply {
                    correlation_id: command.correlation_id.clone(),
                    account_id: command.account_id.clone(),
                    outcome: Some(reply::Outcome::Rejected(why)),
                };
                Self { entries: Vec::new(), reply, dead: Some(internal()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use prometheus::{Registry, TextEncoder};
    use prost::Message as _;
    use rdkafka::{
        Offset, TopicPartitionList,
        config::FromClientConfig,
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, Producer as _},
    };
    use tollbooth_chassis::{
        config::KafkaSection,
        kafka::{
            KafkaClients, ReaderTuning,
            batch::{Batch, BatchLimit, BatchReader},
        },
    };
    use tollbooth_schemas::{
        price_book::PriceBook,
        time::rfc3339,
        topics::TopicSet,
        v1::{LedgerRecord, OpenAccount},
    };

    use super::*;
    use crate::metrics::Metrics;

    fn now_ms() -> i64 {
        chrono::Utc::now().timestamp_millis()
    }

    fn open(plan: &str) -> Command {
        let opening = OpenAccount {
            plan: plan.to_owned(),
            currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            ..OpenAccount::default()
        };
        Command {
            account_id: "acc_a".to_owned(),
            idempotency_key: format!("open on {plan}"),
            reply_to: "ingest".to_owned(),
            correlation_id: "c1".to_owned(),
            body: Some(Body::OpenAccount(opening)),
            ..Command::default()
        }
    }

    fn usage(engine: &str) -> Vec<u8> {
        let event = serde_json::json!({
            "specversion": "1.0", "id": engine, "source": "/booths/b", "type": "tollbooth.usage.v1",
            "subject": "acc_a", "time": rfc3339(now_ms()),
            "data": {"operation_id": engine, "attempt": 1, "service": "ai_modify", "engine": engine, "unit": "image",
                     "quantity": "1", "status": "success"}
        });
        event.to_string().into_bytes()
    }

    /// Records as a worker gets them.
    fn read(payloads: &[Vec<u8>]) -> Vec<Batch> {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("t", 1, 1).unwrap();
        let clients =
            KafkaClients::new(KafkaSection { bootstrap: mock.bootstrap_servers(), ..KafkaSection::default() });
        let wait = Duration::from_secs(30);
        let producer = BaseProducer::from_config(&clients.edge_producer(1024, wait)).unwrap();
        for payload in payloads {
            let mut record = BaseRecord::to("t").partition(0).key("acc_a").payload(payload.as_slice());
            if payload.starts_with(b"{") {
                let content_type =
                    rdkafka::message::Header { key: "content-type", value: Some("application/cloudevents+json") };
                record = record.headers(rdkafka::message::OwnedHeaders::new().insert(content_type));
            }
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(wait).unwrap();
        let mut reader = BatchReader::new(&clients.reader("g", ReaderTuning::default())).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(0)).unwrap();
        reader.assign(&list).unwrap();
        let (mut batches, deadline) = (Vec::<Batch>::new(), Instant::now() + wait);
        while batches.iter().map(Batch::len).sum::<usize>() < payloads.len() {
            assert!(Instant::now() < deadline, "the records arrive");
            batches.push(reader.read(BatchLimit { records: 100, bytes: 1 << 20 }, Duration::from_millis(50)).unwrap());
        }
        batches
    }

    /// `nano` has a price, `vintage` is named and has none.
    fn books() -> PriceBooks {
        let book: PriceBook = serde_json::from_value(serde_json::json!({
            "version": 1, "currency": "USD", "effective_from": "2020-01-01T00:00:00Z",
            "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
            "services": [{"code": "ai_modify", "name": "AI Modify"}],
            "engines": [{"code": "nano", "name": "Nano"}, {"code": "vintage", "name": "Vintage"}],
            "prices": [{"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit",
                        "plans": {"basic": "0.20"}}]
        }))
        .unwrap();
        let mut books = PriceBooks::default();
        assert!(books.publish(book));
        books
    }

    fn limits() -> Limits {
        Limits::from_days(35, 3_600_000, 90).unwrap()
    }

    fn rules(limits: &Limits) -> Rules<'_> {
        Rules { books: books(), limits, partitions: 1, input_generation: 0, now_ms: now_ms(), traces: false }
    }

    /// With `acc_a` open on the basic plan, by the command at offset 0.
    fn state(limits: &Limits) -> State {
        let mut state = State::new(limits);
        let batches = read(&[open("basic").encode_to_vec()]);
        let mut decider = Decider::new(&state, rules(limits));
        decider.commands(batches.iter().flat_map(Batch::iter)).unwrap();
        let (_, output) = decider.finish();
        let fold = |_: &str, bytes: &[u8]| state.fold(&LedgerRecord::decode(bytes).unwrap());
        output.records.each(0, now_ms(), fold).unwrap();
        state
    }

    #[test]
    fn a_command_that_the_core_fails_on_is_answered_and_kept() {
        let decided = catch_unwind(|| -> CommandDecision { panic!("a defect") });
        let Concluded { entries, reply, dead } = Concluded::of(decided, &open("basic"));
        assert!(entries.is_empty());
        assert_eq!(dead.unwrap().reason, Reason::Internal);
        assert_eq!((reply.correlation_id.as_str(), reply.account_id.as_str()), ("c1", "acc_a"));
        let Some(reply::Outcome::Rejected(why)) = reply.outcome else { panic!("accepted") };
        assert_eq!((why.status, why.code.as_str()), (500, "internal"));
    }

    #[test]
    fn a_plan_that_no_book_names_is_looked_up_and_not_denied_where_that_fails() {
        let limits = limits();
        let (state, batches) = (State::new(&limits), read(&[open("pro").encode_to_vec()]));
        let mut decider = Decider::new(&state, rules(&limits));
        decider.commands(batches.iter().flat_map(Batch::iter)).unwrap();
        let (_, mut output) = decider.finish();
        assert_eq!(output.refusals(), Refusals { lacks_command: false, no_price: true });
        assert!(is_rejected_with(&output.replies[0].1, "unknown_plan"));
        output.refuse_for_now();
        assert!(is_rejected_with(&output.replies[0].1, "price_book_unavailable"));
    }

    #[test]
    fn what_is_counted_stands_under_its_topic_and_under_engines_that_a_price_book_names() {
        let limits = limits();
        let state = state(&limits);
        // given a command that was folded, one that is none, and usage without a price
        let commands = read(&[open("basic").encode_to_vec(), b"{".to_vec()]);
        let events = read(&[usage("vintage"), usage("nano"), usage("made_up"), usage("made_up_too")]);
        let mut decider = Decider::new(&state, rules(&limits));
        decider.commands(commands.iter().flat_map(Batch::iter)).unwrap();
        decider.usage(events.iter().flat_map(Batch::iter)).unwrap();
        let (_, output) = decider.finish();
        // when the batch is committed
        let registry = Registry::new();
        let topics = TopicSet { prefix: String::new(), partitions: 1 };
        Metrics::new(&registry, "g", &topics).unwrap().committed(&output.counts, "0");
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        // then
        for line in [
            r#"tollbooth_meter_skipped_total{topic="commands"} 1"#,
            r#"tollbooth_meter_skipped_total{topic="usage"} 0"#,
            r#"tollbooth_dlq_records_total{reason="malformed",topic="commands"} 1"#,
            r#"tollbooth_dlq_records_total{reason="malformed",topic="usage"} 0"#,
            r#"tollbooth_dlq_records_total{reason="no_price",topic="usage"} 3"#,
            r#"tollbooth_rating_failures_total{engine="vintage",reason="no_price"} 1"#,
            r#"tollbooth_rating_failures_total{engine="other",reason="no_price"} 2"#,
            r#"tollbooth_rating_failures_total{engine="other",reason="engine_retired"} 0"#,
            "tollbooth_ledger_conflicts_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("made_up"));
    }
}
