//! A partition without a log: decide, fold, keep the records.

use tollbooth_ledger::{
    CommandDecision, CommandInput, Delta, Event, Limits, Overlay, PriceBooks, State, Ticks, UsageDecision, UsageInput,
    View as _, apply_command, apply_usage, due, tick,
};
use tollbooth_schemas::{
    Money,
    dead_letter::Reason,
    price_book::PriceBook,
    usage::{UsageEvent, parse_structured},
    v1::{
        Accepted, Command, Entry, LedgerRecord, OpenAccount, PostAdjustment, Rejected, Reply, Usage, command::Body,
        entry::Kind, reply::Outcome,
    },
};

pub(crate) const ACCOUNT: &str = "acc_luna";
/// 2026-11-21T20:15:03Z.
pub(crate) const NOW_MS: i64 = 1_795_292_103_000;

pub(crate) struct Partition {
    pub(crate) state: State,
    pub(crate) books: PriceBooks,
    pub(crate) limits: Limits,
    pub(crate) ledger: Vec<LedgerRecord>,
    pub(crate) now_ms: i64,
    pub(crate) offset: i64,
    pub(crate) audits: bool,
}

/// What a partition is given: a usage event's JSON, or a command.
pub(crate) enum Input {
    Usage(String),
    Command(Box<Command>),
}

pub(crate) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn book(json: &serde_json::Value) -> PriceBook {
    let book: PriceBook = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(book.check(), vec![], "the test's own price book");
    book
}

pub(crate) fn sample_book() -> serde_json::Value {
    serde_json::json!({
        "version": 1, "currency": "USD", "effective_from": "2025-01-01T00:00:00Z",
        "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "39.00"},
                  {"code": "pro", "name": "Pro", "monthly_fee": "79.00"}],
        "services": [{"code": "ai_modify", "name": "AI Modify"}, {"code": "sms", "name": "SMS"},
                     {"code": "video", "name": "Video"}],
        "engines": [{"code": "nano", "name": "Nano"}, {"code": "intl", "name": "Intl"}, {"code": "sora", "name": "Sora"}],
        "prices": [
            {"service": "ai_modify", "engine": "nano", "unit": "image", "model": "per_unit",
             "plans": {"basic": "0.20", "pro": "0.16"}},
            {"service": "sms", "engine": "intl", "country": "DE", "unit": "segment", "model": "per_unit",
             "plans": {"basic": "0.10"}},
            {"service": "sms", "engine": "intl", "unit": "segment", "model": "per_unit", "plans": {"basic": "0.35"}},
            {"service": "video", "engine": "sora", "unit": "second", "model": "flat", "plans": {"basic": "0.30"},
             "effective_to": "2026-09-24T00:00:00Z"}
        ]
    })
}

/// A usage event as a booth would write it; `change` edits its JSON.
pub(crate) fn event(operation: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut event = serde_json::json!({
        "specversion": "1.0", "id": "b17-1", "source": "/booths/bth_17", "type": "tollbooth.usage.v1",
        "subject": ACCOUNT, "time": "2026-11-21T20:15:00Z",
        "data": {"operation_id": operation, "attempt": 1, "event_id": "evt_gala", "booth_id": "bth_17",
                 "service": "ai_modify", "engine": "nano", "unit": "image", "quantity": "1", "status": "success"}
    });
    change(&mut event);
    event.to_string()
}

pub(crate) fn success(operation: &str) -> String {
    event(operation, |_| {})
}

pub(crate) fn failed(operation: &str, attempt: u32) -> String {
    event(operation, |event| {
        event["data"]["status"] = "failed".into();
        event["data"]["attempt"] = attempt.into();
        event["data"]["error_code"] = "provider_timeout".into();
    })
}

impl Partition {
    /// With the sample prices and no account.
    pub(crate) fn empty() -> Self {
        let mut books = PriceBooks::default();
        assert!(books.publish(book(&sample_book())));
        let limits = Limits::from_days(35, 3_600_000, 90).unwrap();
        Self { state: State::new(&limits), books, limits, ledger: Vec::new(), now_ms: NOW_MS, offset: 0, audits: true }
    }

    /// With an account on the basic plan and 10.00 of credit.
    pub(crate) fn open() -> Self {
        let mut partition = Self::empty();
        partition.command("open", open("basic"));
        partition.command("credit", adjustment("10"));
        partition
    }

    pub(crate) fn usage(&mut self, json: &str) -> UsageDecision {
        let event = parse_structured(json.as_bytes()).unwrap();
        self.usage_event(event)
    }

    fn usage_event(&mut self, event: UsageEvent<'_>) -> UsageDecision {
        self.offset += 1;
        let account_id = event.account_id.to_string();
        let input = UsageInput::new(event, self.offset, self.now_ms);
        let decision = apply_usage(&self.state, &self.books, &self.limits, input, self.now_ms);
        if let UsageDecision::Post(entry) = &decision {
            self.post(&account_id, entry);
        }
        decision
    }

    pub(crate) fn command(&mut self, key: &str, body: Body) -> Outcome {
        self.command_with_hash(key, body, key)
    }

    pub(crate) fn command_with_hash(&mut self, key: &str, body: Body, hash: &str) -> Outcome {
        self.carry_out(&Command { body_hash: hash.as_bytes().to_vec(), ..command(ACCOUNT, key, body) })
    }

    /// Opens a further account on the basic plan.
    pub(crate) fn account_in(&mut self, account_id: &str, currency: &str) {
        let Body::OpenAccount(mut opening) = open("basic") else { unreachable!() };
        opening.currency = currency.to_owned();
        let outcome = self.carry_out(&command(account_id, "open", Body::OpenAccount(opening)));
        assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    }

    pub(crate) fn carry_out(&mut self, command: &Command) -> Outcome {
        self.offset += 1;
        let input = CommandInput { command, offset: self.offset };
        let reply: Reply = match apply_command(&self.state, &self.books, &self.limits, input, self.now_ms) {
            CommandDecision::Post(entry, reply) => {
                self.post(&command.account_id, &entry);
                reply
            }
            CommandDecision::PostTwo(entries, reply) => {
                self.post_all(&command.account_id, &*entries);
                reply
            }
            CommandDecision::Answer(reply) => reply,
        };
        reply.outcome.unwrap()
    }

    /// Decides all of it on one overlay and merges that; gives back each decision in words.
    pub(crate) fn batch(&mut self, inputs: &[Input]) -> Vec<String> {
        let mut overlay = Overlay::new(&self.state);
        let mut decisions = Vec::new();
        for input in inputs {
            self.offset += 1;
            let posted = match input {
                Input::Usage(json) => {
                    let event = parse_structured(json.as_bytes()).unwrap();
                    let account_id = event.account_id.to_string();
                    let input = UsageInput::new(event, self.offset, self.now_ms);
                    let operation = input.operation();
                    let decision = apply_usage(&overlay, &self.books, &self.limits, input, self.now_ms);
                    decisions.push(format!("{decision:?}"));
                    match decision {
                        UsageDecision::Post(entry) => vec![(account_id, *entry, Some(operation))],
                        _ => Vec::new(),
                    }
                }
                Input::Command(command) => {
                    let input = CommandInput { command, offset: self.offset };
                    let decision = apply_command(&overlay, &self.books, &self.limits, input, self.now_ms);
                    decisions.push(format!("{decision:?}"));
                    match decision {
                        CommandDecision::Post(entry, _) => vec![(command.account_id.clone(), *entry, None)],
                        CommandDecision::PostTwo(entries, _) => {
                            entries.into_iter().map(|entry| (command.account_id.clone(), entry, None)).collect()
                        }
                        CommandDecision::Answer(_) => Vec::new(),
                    }
                }
            };
            for (account_id, entry, operation) in posted {
                overlay.post(0, &account_id, self.now_ms, &entry, operation).unwrap();
                self.ledger.push(record(&account_id, self.now_ms, entry));
            }
        }
        let delta = overlay.into_delta();
        self.state.merge(delta);
        decisions
    }

    /// As [`Self::command`], without the audit after it: for thousands.
    pub(crate) fn command_unchecked(&mut self, key: &str, body: Body) -> Outcome {
        self.audits = false;
        let outcome = self.command(key, body);
        self.audits = true;
        outcome
    }

    fn post(&mut self, account_id: &str, entry: &Entry) {
        self.post_all(account_id, std::slice::from_ref(entry));
    }

    fn post_all(&mut self, account_id: &str, entries: &[Entry]) {
        let mut overlay = Overlay::new(&self.state);
        for entry in entries {
            overlay.post(0, account_id, self.now_ms, entry, None).unwrap();
        }
        let delta: Delta = overlay.into_delta();
        self.state.merge(delta);
        if self.audits {
            assert_eq!(self.state.audit(), Ok(()));
        }
        self.ledger.extend(entries.iter().map(|entry| record(account_id, self.now_ms, entry.clone())));
    }

    /// Carries out everything that is due at `now_ms`, and gives back how many entries that took.
    pub(crate) fn tick(&mut self) -> usize {
        let entries = self.ledger.len();
        while due(&self.state, Ticks::All).is_some_and(|next| next <= self.now_ms) {
            let before = self.ledger.len();
            for due in self.state.due_until(self.now_ms, 1_000, Ticks::All) {
                if let Some(entry) = tick(&self.state, &self.books, &due, self.now_ms) {
                    self.post(due.account_id(), &entry);
                }
            }
            assert!(self.ledger.len() > before, "something due was left");
        }
        self.ledger.len() - entries
    }

    pub(crate) fn last(&self) -> &Entry {
        &self.ledger.last().unwrap().entries[0]
    }

    pub(crate) fn account(&self) -> &tollbooth_ledger::Account {
        self.state.account(ACCOUNT).unwrap()
    }

    pub(crate) fn held(&self) -> Money {
        self.account().held
    }

    pub(crate) fn event(&self, event_id: &str) -> Event {
        self.state.event(ACCOUNT, event_id).copied().unwrap_or_default()
    }

    pub(crate) fn balance(&self) -> Money {
        self.state.account(ACCOUNT).unwrap().balance
    }
}

fn record(account_id: &str, posted_at_ms: i64, entry: Entry) -> LedgerRecord {
    LedgerRecord { account_id: account_id.to_owned(), posted_at_ms, input_generation: 0, entries: vec![entry] }
}

pub(crate) fn command(account_id: &str, key: &str, body: Body) -> Command {
    Command {
        account_id: account_id.to_owned(),
        idempotency_key: key.to_owned(),
        body_hash: key.as_bytes().to_vec(),
        actor: "key_root".to_owned(),
        body: Some(body),
        ..Command::default()
    }
}

pub(crate) fn open(plan: &str) -> Body {
    Body::OpenAccount(OpenAccount {
        name: "Luna".to_owned(),
        plan: plan.to_owned(),
        currency: "USD".to_owned(),
        time_zone: "America/New_York".to_owned(),
        occurred_at_ms: None,
    })
}

pub(crate) fn adjustment(amount: &str) -> Body {
    Body::PostAdjustment(PostAdjustment {
        amount_micros: money(amount).micros(),
        reason: "top_up".to_owned(),
        note: String::new(),
        occurred_at_ms: None,
    })
}

pub(crate) fn posted(decision: UsageDecision) -> Entry {
    match decision {
        UsageDecision::Post(entry) => *entry,
        other => panic!("expected an entry, got {other:?}"),
    }
}

pub(crate) fn dead(decision: UsageDecision) -> Reason {
    match decision {
        UsageDecision::Dead(dead) => dead.reason,
        other => panic!("expected a dead letter, got {other:?}"),
    }
}

pub(crate) fn accepted(outcome: Outcome) -> Accepted {
    match outcome {
        Outcome::Accepted(accepted) => accepted,
        Outcome::Rejected(rejected) => panic!("rejected: {rejected:?}"),
    }
}

pub(crate) fn rejected(outcome: Outcome) -> Rejected {
    match outcome {
        Outcome::Rejected(rejected) => rejected,
        Outcome::Accepted(accepted) => panic!("accepted: {accepted:?}"),
    }
}

/// Status and code of a refusal.
pub(crate) fn refused(outcome: Outcome) -> (u32, String) {
    let rejected = rejected(outcome);
    (rejected.status, rejected.code)
}

pub(crate) fn usage_of(entry: &Entry) -> &Usage {
    entry.usage().unwrap()
}

pub(crate) fn kind_of(entry: &Entry) -> &Kind {
    entry.kind.as_ref().unwrap()
}
