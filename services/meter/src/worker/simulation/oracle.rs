//! What must be true at the end of a run, found out from the log alone and without the core.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use prost::Message as _;
use tollbooth_schemas::{
    dead_letter::header,
    v1::{Command, Entry, HoldOutcome, LedgerRecord, Reply, SourceTopic, command::Body, entry::Kind, reply::Outcome},
};

use super::{
    fleet::{GHOST, PRICES, UNPRICED},
    log::Stored,
    world::World,
};

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Broken {
    /// Acknowledged, and in no entry and no dead letter that it should be in.
    Lost,
    /// Charged, posted or answered twice.
    Doubled,
    /// Posted though it should not be, or otherwise than it should.
    Wrong,
    /// `seq`, balance or what is held does not follow from the entry before.
    Chain,
    /// A balance is not the sum of what was acknowledged.
    Balance,
    /// A command was not answered, or the answer is not what stands in the ledger.
    Answer,
    /// The committed offsets are not what the ledger says.
    Offsets,
    /// What a meter has in memory is not the fold of its ledger.
    State,
    /// Something is not done for good.
    Stuck,
    /// A worker panicked, refused its partition, or wanted its process to leave.
    Outrage,
}

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) broken: Broken,
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.broken, self.what)
    }
}

/// What a usage record comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Charge(i64),
    Failure,
    /// A duplicate, or stale.
    Nothing,
    Dead(&'static str),
}

#[derive(Default)]
struct Operation {
    /// By which attempt.
    charged: Option<i64>,
    failed: BTreeSet<i64>,
}

/// Goes through the log of one partition.
struct Oracle<'w> {
    world: &'w World,
    partition: i32,
    found: Vec<Violation>,
    ledger: Vec<(LedgerRecord, Entry)>,
    /// Reasons, by source topic and offset.
    dead: BTreeMap<(String, i64), Vec<String>>,
    /// What is charged, and what is posted by commands.
    charged: BTreeMap<String, i64>,
    posted: BTreeMap<String, i64>,
}

/// Everything that is wrong.
pub(super) fn examine(world: &World) -> Vec<Violation> {
    let mut found = Vec::new();
    for partition in 0..world.settings.partitions {
        let mut oracle = Oracle {
            world,
            partition,
            found: Vec::new(),
            ledger: Vec::new(),
            dead: BTreeMap::new(),
            charged: BTreeMap::new(),
            posted: BTreeMap::new(),
        };
        oracle.read();
        oracle.usage();
        oracle.commands();
        oracle.chains();
        oracle.offsets();
        found.append(&mut oracle.found);
    }
    found
}

impl Oracle<'_> {
    fn wrong(&mut self, broken: Broken, what: &str) {
        self.found.push(Violation { broken, what: format!("partition {}: {what}", self.partition) });
    }

    fn all(&self, topic: &str, partition: i32) -> Vec<(i64, std::rc::Rc<Stored>)> {
        self.world.log.all(&self.world.place(topic, partition))
    }

    fn read(&mut self) {
        for (_, stored) in self.all(&self.world.topics.ledger(), self.partition) {
            let record = LedgerRecord::decode(stored.payload.as_slice()).expect("a ledger record");
            let entries = record.entries.clone();
            self.ledger.extend(entries.into_iter().map(|entry| (record.clone(), entry)));
        }
        for (_, letter) in self.all(&self.world.topics.dead_letter(), 0) {
            let of = |name: &str| {
                let found = letter.headers.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
            };
            if of(header::SOURCE_PARTITION) == self.partition.to_string() {
                let offset = of(header::SOURCE_OFFSET).parse().expect("an offset");
                self.dead.entry((of(header::SOURCE_TOPIC), offset)).or_default().push(of(header::REASON));
            }
        }
    }

    fn entries_of(&self, topic: SourceTopic, offset: i64) -> Vec<Entry> {
        let is_it = |entry: &&Entry| entry.source_topic() == topic && entry.source_offset == offset;
        self.ledger.iter().map(|(_, entry)| entry).filter(is_it).cloned().collect()
    }

    /// Each record by the operation's life, in the order of the log.
    fn usage(&mut self) {
        let topic = self.world.topics.usage();
        let mut operations: BTreeMap<(String, String), Operation> = BTreeMap::new();
        for (offset, stored) in self.all(&topic, self.partition) {
            let account = String::from_utf8_lossy(&stored.key).into_owned();
            let expected = expected(&account, &stored.payload, &mut operations);
            let found = self.entries_of(SourceTopic::Usage, offset);
            let dead = self.dead.get(&(topic.clone(), offset)).cloned().unwrap_or_default();
            let name = format!("usage {offset} of {account}, {expected:?}");
            let amount = match expected {
                Expected::Charge(amount) => Some(amount),
                Expected::Failure => Some(0),
                Expected::Nothing | Expected::Dead(_) => None,
            };
            if let Expected::Charge(amount) = expected {
                *self.charged.entry(account).or_default() += amount;
            }
            match (amount, found.as_slice()) {
                (Some(_), []) => self.wrong(Broken::Lost, &format!("{name}: no entry")),
                (Some(amount), [entry]) if entry.amount_micros != -amount => {
                    self.wrong(Broken::Wrong, &format!("{name}: posted as {}", entry.amount_micros));
                }
                (None, []) | (Some(_), [_]) => {}
                (None, [entry, ..]) if entry.amount_micros == 0 => {
                    self.wrong(Broken::Wrong, &format!("{name}: posted as a failure, seq {}", entry.seq));
                }
                (_, several) => self.wrong(Broken::Doubled, &format!("{name}: {} entries", several.len())),
            }
            match (expected, dead.as_slice()) {
                (Expected::Dead(reason), [found]) if found == reason => {}
                (Expected::Dead(_), []) => self.wrong(Broken::Lost, &format!("{name}: no dead letter")),
                (Expected::Dead(_), [_, _, ..]) => self.wrong(Broken::Doubled, &format!("{name}: {dead:?}")),
                (_, []) => {}
                _ => self.wrong(Broken::Wrong, &format!("{name}: dead letter {dead:?}")),
            }
        }
    }

    /// Each key is carried out once, each record answered once.
    fn commands(&mut self) {
        let topic = self.world.topics.commands();
        let mut replies: BTreeMap<String, Vec<Reply>> = BTreeMap::new();
        for (_, stored) in self.all(&self.world.topics.replies(), 0) {
            let reply = Reply::decode(stored.payload.as_slice()).expect("a reply");
            replies.entry(reply.correlation_id.clone()).or_default().push(reply);
        }
        let mut carried_out: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (record, entry) in &self.ledger {
            if let Some(command) = &entry.command {
                *carried_out.entry((record.account_id.clone(), command.idempotency_key.clone())).or_default() += 1;
            }
        }
        let mut seen = BTreeSet::new();
        for (offset, stored) in self.all(&topic, self.partition) {
            let Ok(command) = Command::decode(stored.payload.as_slice()) else {
                if self.dead.get(&(topic.clone(), offset)).map(Vec::as_slice) != Some(&["malformed".to_owned()]) {
                    self.wrong(Broken::Lost, &format!("command {offset} is none, and no dead letter"));
                }
                continue;
            };
            let key = (command.account_id.clone(), command.idempotency_key.clone());
            let count = carried_out.get(&key).copied().unwrap_or_default();
            let name = format!("command {offset} {key:?}");
            let may_be_refused = !matches!(command.body, Some(Body::OpenAccount(_) | Body::PostAdjustment(_)));
            match count {
                0 if !may_be_refused => self.wrong(Broken::Lost, &format!("{name}: no entry")),
                0 | 1 => {}
                _ => self.wrong(Broken::Doubled, &format!("{name}: {count} entries")),
            }
            if let (true, Some(Body::PostAdjustment(posting))) = (seen.insert(key.clone()), &command.body) {
                *self.posted.entry(key.0.clone()).or_default() += posting.amount_micros;
            }
            match replies.get(&command.correlation_id).map(Vec::as_slice) {
                Some([reply]) => match &reply.outcome {
                    Some(Outcome::Accepted(_)) if count == 1 => {}
                    Some(Outcome::Rejected(_)) if may_be_refused => {}
                    other => self.wrong(Broken::Answer, &format!("{name}: {count} entries, answered {other:?}")),
                },
                None | Some([]) => self.wrong(Broken::Answer, &format!("{name}: no answer")),
                Some(several) => self.wrong(Broken::Doubled, &format!("{name}: {} answers", several.len())),
            }
        }
    }

    /// Entry by entry, and the balance at the end.
    fn chains(&mut self) {
        let mut accounts: BTreeMap<String, (u64, i64, i64)> = BTreeMap::new();
        let mut holds: BTreeMap<(String, String), i64> = BTreeMap::new();
        let (mut posted_at_ms, mut sources) = (0, BTreeSet::new());
        for (record, entry) in std::mem::take(&mut self.ledger) {
            let account = record.account_id.clone();
            let (seq, balance, held) = accounts.get(&account).copied().unwrap_or_default();
            let name = format!("{account} seq {}", entry.seq);
            let mut freed = |hold: &str| holds.remove(&(account.clone(), hold.to_owned())).map(|amount| -amount);
            let moved = match &entry.kind {
                Some(Kind::HoldPlaced(placed)) => {
                    holds.insert((account.clone(), placed.hold_id.clone()), placed.amount_micros);
                    Some(placed.amount_micros)
                }
                Some(Kind::HoldReleased(released)) => freed(&released.hold_id),
                Some(Kind::Usage(usage)) => match usage.hold_outcome() {
                    HoldOutcome::Captured | HoldOutcome::ReleasedByFailure => freed(&usage.hold_id),
                    _ => Some(0),
                },
                _ => Some(0),
            };
            let follows = entry.seq == seq + 1
                && entry.balance_after_micros == balance + entry.amount_micros
                && moved.is_some_and(|moved| entry.held_after_micros == held + moved);
            if !follows {
                self.wrong(Broken::Chain, &format!("{name} follows ({seq}, {balance}, held {held})"));
            }
            if record.posted_at_ms < posted_at_ms {
                self.wrong(Broken::Chain, &format!("{name}: posted at {} after {posted_at_ms}", record.posted_at_ms));
            }
            posted_at_ms = record.posted_at_ms;
            let is_tick = entry.source_topic() == SourceTopic::Tick;
            if !is_tick && !sources.insert((entry.source_topic, entry.source_offset)) {
                self.wrong(Broken::Doubled, &format!("{name}: source {} again", entry.source_offset));
            }
            accounts.insert(account, (entry.seq, entry.balance_after_micros, entry.held_after_micros));
        }
        for (account, (_, balance, _)) in accounts {
            let of = |sums: &BTreeMap<String, i64>| sums.get(&account).copied().unwrap_or_default();
            let expected = of(&self.posted) - of(&self.charged);
            if balance != expected {
                self.wrong(Broken::Balance, &format!("{account} has {balance}, not {expected}"));
            }
        }
    }

    fn offsets(&mut self) {
        for topic in [self.world.topics.usage(), self.world.topics.commands()] {
            let place = self.world.place(&topic, self.partition);
            let (committed, end) =
                (self.world.log.committed_offset(&place).unwrap_or_default(), self.world.log.end(&place));
            if committed != end {
                self.wrong(Broken::Offsets, &format!("{topic} is committed up to {committed} of {end}"));
            }
        }
    }
}

fn expected(account: &str, payload: &[u8], operations: &mut BTreeMap<(String, String), Operation>) -> Expected {
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(payload) else { return Expected::Dead("malformed") };
    let data = &event["data"];
    if account.starts_with(GHOST) {
        return Expected::Dead("unknown_account");
    }
    let (attempt, is_success) = (data["attempt"].as_i64().expect("a number"), data["status"] == "success");
    let key = (account.to_owned(), data["operation_id"].as_str().expect("a text").to_owned());
    let operation = operations.entry(key).or_default();
    match (operation.charged, is_success) {
        (Some(_), true) => Expected::Nothing,
        (Some(charged), false) if attempt < charged => Expected::Nothing,
        (Some(_), false) => Expected::Dead("failed_after_charge"),
        (None, true) if data["engine"] == UNPRICED => Expected::Dead("no_price"),
        (None, true) => {
            operation.charged = Some(attempt);
            let price = PRICES.iter().find(|(engine, _)| data["engine"] == *engine).expect("a price").1;
            let quantity: i64 = data["quantity"].as_str().and_then(|text| text.parse().ok()).expect("a quantity");
            Expected::Charge(price * quantity)
        }
        (None, false) if operation.failed.insert(attempt) => Expected::Failure,
        (None, false) => Expected::Nothing,
    }
}
