//! What a partition knows: a fold of its ledger.

use std::collections::BTreeSet;

use tollbooth_schemas::{
    Money,
    time::DAY_MS,
    v1::{Entry, LedgerRecord, SourceTopic, Usage, UsageStatus},
};

use crate::{
    account::Account,
    counters::Counter,
    digest::{self, Digest, DigestMap, Facts},
    due::{Due, Ticks},
    events::{self, Event, EventKey, EventTable},
    fold::{self, FoldError},
    holds::Hold,
    image::{Changed, Key, Remembered},
    overlay::{Delta, DueChange},
    refunds::Refunded,
    tables::Generations,
};

/// Bounds of what is accepted and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Usage that occurred longer than this before its receipt is refused.
    pub age_max_ms: i64,
    /// Usage that occurred further than this after its receipt is refused.
    pub future_max_ms: i64,
    /// How many posting weeks operations and command answers are kept.
    pub retention_weeks: u16,
    /// A dead letter that occurred longer ago than this is not driven again: its operation may have been charged and
    /// forgotten.
    pub redrive_max_ms: i64,
}

/// How many days before the end of the retention dead letters are not driven again any more. More than a clock is off,
/// and than a charge may lie before its occurrence (the future limit).
const REDRIVE_SPARE_DAYS: u16 = 10;

impl Limits {
    /// Limits of whole days; retention is rounded up to weeks, plus the running one.
    ///
    /// `None` where the age limit lies beyond the retention: an operation could then be charged a second time after
    /// its id is forgotten.
    #[must_use]
    pub fn from_days(age_days: u16, future_max_ms: i64, retention_days: u16) -> Option<Self> {
        if age_days > retention_days {
            return None;
        }
        let retention_weeks = retention_days.div_ceil(7).checked_add(1)?;
        let redrive_days = retention_days.saturating_sub(REDRIVE_SPARE_DAYS);
        Some(Self {
            age_max_ms: i64::from(age_days).checked_mul(DAY_MS)?,
            future_max_ms,
            retention_weeks,
            redrive_max_ms: i64::from(redrive_days).checked_mul(DAY_MS)?,
        })
    }
}

/// The week number of an instant, counted from the epoch.
pub(crate) fn week_of(ms: i64) -> u16 {
    let weeks = ms.checked_div(DAY_MS.saturating_mul(7)).unwrap_or_default();
    u16::try_from(weeks).unwrap_or(u16::MAX)
}

/// Where an operation stands: failed, or charged for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Of the entry that charged it, else of its last failure's.
    pub seq: u64,
    /// What it was charged; not less what was given back since.
    pub amount: Money,
    /// Charged: [`digest::memo`]. Failed: a bit for each of the attempts 1 to 64 that is listed.
    pub(crate) memo: u64,
    /// Charged: that attempt. Failed: the highest one.
    pub(crate) attempt: u32,
    /// Of its last entry.
    pub(crate) week: u16,
    /// Final.
    pub charged: bool,
}

impl Operation {
    /// After `usage` was posted as `entry`, in a week, of an account whose zone was changed before or not.
    pub(crate) fn after(before: Option<Self>, usage: &Usage, entry: &Entry, (week, has_moved): (u16, bool)) -> Self {
        let seq = entry.seq;
        if usage.status() == UsageStatus::Success {
            let amount = Money::from_micros(entry.amount_micros).unwrap_or_default().negated();
            let memo = digest::memo(&Facts::of_usage(usage, entry.occurred_at_ms, has_moved));
            return Self { seq, amount, memo, attempt: usage.attempt, week, charged: true };
        }
        // After a charge nothing is listed; where a ledger says so all the same, its memo is no list of attempts.
        let failed = before.filter(|operation| !operation.charged);
        let (listed, highest) = failed.map_or((0, 0), |operation| (operation.memo, operation.attempt));
        let memo = listed | attempt_bit(usage.attempt);
        Self { seq, amount: Money::ZERO, memo, attempt: highest.max(usage.attempt), week, charged: false }
    }

    /// Whether this failed attempt stands in the ledger. Beyond attempt 64 only a higher one is new.
    pub(crate) const fn lists_failure(&self, attempt: u32) -> bool {
        if attempt > 64 { attempt <= self.attempt } else { self.memo & attempt_bit(attempt) != 0 }
    }
}

/// Bytes of one operation in its table, the table's spare room aside.
pub const OPERATION_ENTRY_BYTES: usize = size_of::<(Digest, Operation)>();

const fn attempt_bit(attempt: u32) -> u64 {
    match attempt {
        1..=64 => 1_u64.wrapping_shl(attempt.wrapping_sub(1)),
        _ => 0,
    }
}

/// The answer to a command that was carried out, kept with its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub(crate) body_hash: Box<[u8]>,
    pub(crate) seq: u64,
    pub(crate) amount: Money,
    pub(crate) balance: Money,
    pub(crate) held: Money,
    /// Of the hold that was placed or voided.
    pub(crate) hold_amount: Money,
    pub(crate) posted_at_ms: i64,
    pub(crate) week: u16,
}

impl Answer {
    pub(crate) fn of(entry: &Entry, body_hash: &[u8], posted_at_ms: i64) -> Self {
        let money = |micros| Money::from_micros(micros).unwrap_or_default();
        Self {
            body_hash: body_hash.into(),
            seq: entry.seq,
            amount: money(entry.amount_micros),
            balance: money(entry.balance_after_micros),
            held: money(entry.held_after_micros),
            hold_amount: money(entry.hold_amount_micros()),
            posted_at_ms,
            week: week_of(posted_at_ms),
        }
    }
}

/// A state that can be looked at: the committed one, or one with a batch on top.
pub trait View {
    /// The first posting week whose operations, answers and ended holds are remembered in `week`, both counted from the epoch. What
    /// lies before it is forgotten, whether it was swept out or not.
    fn first_kept(&self, week: u16) -> u16;
    /// The account, if it was opened.
    fn account(&self, id: &str) -> Option<&Account>;
    /// The operation of an account, if it is known.
    fn operation(&self, key: &Digest) -> Option<Operation>;
    /// The answer to a command, if it was carried out.
    fn answer(&self, account_id: &str, idempotency_key: &str) -> Option<&Answer>;
    /// The hold of an account, if it is known.
    fn hold(&self, account_id: &str, hold_id: &str) -> Option<&Hold>;
    /// What an account spent on an event, if it is tracked.
    fn event(&self, account_id: &str, event_id: &str) -> Option<&Event>;
    /// What a price has counted of an account in a month, whether it is still remembered or not.
    fn counter(&self, key: &Digest) -> Option<Counter>;
    /// What was given back of the charge that an operation posted as `seq`.
    fn refunded(&self, key: &Digest, seq: u64) -> Money;
}

/// A state that [`fold`](crate::fold) can change.
pub(crate) trait ViewMut: View {
    fn account_mut(&mut self, id: &str) -> Option<&mut Account>;
    fn insert_account(&mut self, id: &str, account: Account);
    fn insert_operation(&mut self, key: Digest, operation: Operation);
    fn insert_answer(&mut self, key: Digest, answer: Answer);
    fn insert_hold(&mut self, account_id: &str, hold_id: &str, hold: Hold);
    fn insert_refunded(&mut self, key: Digest, refunded: Refunded);
    fn insert_counter(&mut self, key: Digest, counter: Counter);
    /// Changes a tracked event; `false`: it is not.
    fn change_event(&mut self, account_id: &str, event_id: &str, apply: impl Fn(&mut Event)) -> bool;
    fn insert_event(&mut self, account_id: &str, event_id: &str, event: Event);
    fn add_due(&mut self, due: Due);
    fn remove_due(&mut self, due: Due);
    /// Raises what is known to be folded; a tick has no offset.
    fn advance(&mut self, input_generation: u32, topic: SourceTopic, offset: i64, posted_at_ms: i64);
}

/// Highest source offset folded, per input generation and topic.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Positions(pub(crate) Vec<((u32, SourceTopic), i64)>);

impl Positions {
    pub(crate) fn get(&self, input_generation: u32, topic: SourceTopic) -> Option<i64> {
        let key = (input_generation, topic);
        self.0.iter().find(|(known, _)| *known == key).map(|(_, offset)| *offset)
    }

    pub(crate) fn raise(&mut self, input_generation: u32, topic: SourceTopic, offset: i64) {
        if topic == SourceTopic::Tick {
            return;
        }
        let key = (input_generation, topic);
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, highest)) => *highest = offset.max(*highest),
            None => self.0.push((key, offset)),
        }
    }

    pub(crate) fn raise_all(&mut self, other: &Self) {
        for ((input_generation, topic), offset) in &other.0 {
            self.raise(*input_generation, *topic, *offset);
        }
    }
}

/// Everything one partition's ledger says, or as much of it as is in memory: where it is [kept](State::keep_changes)
/// outside, operations, answers, ended holds and refunds are [recalled](State::recall) before they are asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    pub(crate) accounts: hashbrown::HashMap<Box<str>, Account>,
    pub(crate) operations: Generations<Operation>,
    pub(crate) answers: Generations<Answer>,
    /// Open ones.
    pub(crate) holds: DigestMap<Hold>,
    pub(crate) ended_holds: Generations<Hold>,
    pub(crate) refunds: Generations<Refunded>,
    /// By account, price row and month.
    pub(crate) counters: DigestMap<Counter>,
    pub(crate) events: EventTable,
    /// Of every open hold, every lot that expires, every recharge that is to be asked for or given up, and
    /// every alert that has no entry yet.
    pub(crate) due: BTreeSet<Due>,
    /// Of every account the month that comes next. Apart, because they wait while the price books are not known.
    pub(crate) fees: BTreeSet<Due>,
    pub(crate) positions: Positions,
    pub(crate) posted_at_ms: i64,
    /// What of the accounts, events, open holds and counts was not written out yet; `None`: nothing ever is.
    pub(crate) changed: Option<Box<Changed>>,
    retention_weeks: u16,
    dropped_before_week: u16,
}

impl State {
    /// Knows nothing, and is going to keep operations, command answers and ended holds for `retention_weeks` of the limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            accounts: hashbrown::HashMap::default(),
            operations: Generations::default(),
            answers: Generations::default(),
            holds: DigestMap::default(),
            ended_holds: Generations::default(),
            refunds: Generations::default(),
            counters: DigestMap::default(),
            events: EventTable::default(),
            due: BTreeSet::default(),
            fees: BTreeSet::default(),
            positions: Positions::default(),
            posted_at_ms: 0,
            changed: None,
            retention_weeks: limits.retention_weeks,
            dropped_before_week: 0,
        }
    }

    /// Latest posting time folded; the next one is not before it.
    #[must_use]
    pub const fn posted_at_ms(&self) -> i64 {
        self.posted_at_ms
    }

    /// Highest offset of a source topic that made an entry.
    #[must_use]
    pub fn folded_offset(&self, input_generation: u32, topic: SourceTopic) -> Option<i64> {
        self.positions.get(input_generation, topic)
    }

    /// How many accounts, operations and command answers are in memory.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.accounts.len(), self.operations.len(), self.answers.len())
    }

    /// Bytes the operation table takes, its spare room included.
    #[must_use]
    pub fn operation_bytes(&self) -> usize {
        self.operations.allocation_bytes()
    }

    /// The first posting week of which anything is remembered, counted from the epoch.
    #[must_use]
    pub fn first_kept_week(&self) -> u16 {
        self.first_kept(week_of(self.posted_at_ms))
    }

    /// Takes over what a committed batch changed.
    pub fn merge(&mut self, delta: Delta) {
        if let Some(changed) = &mut self.changed {
            changed.merge(&delta);
        }
        self.accounts.extend(delta.accounts);
        self.operations.extend(delta.operations);
        self.answers.extend(delta.answers);
        for (key, hold) in delta.holds {
            self.put_hold(key, hold);
        }
        self.refunds.extend(delta.refunds);
        self.counters.extend(delta.counters);
        for (EventKey { account_id, event_id }, event) in delta.events {
            self.events.entry(account_id).or_default().insert(event_id, event);
        }
        for change in delta.due {
            match change {
                DueChange::Add(due) => self.add_due(due),
                DueChange::Remove(due) => self.remove_due(due),
            }
        }
        self.positions.raise_all(&delta.positions);
        self.posted_at_ms = self.posted_at_ms.max(delta.posted_at_ms);
    }

    /// Takes over a record of the ledger, in order.
    ///
    /// # Errors
    /// [`FoldError`] where the ledger contradicts itself or was written by a later release.
    pub fn fold(&mut self, record: &LedgerRecord) -> Result<(), FoldError> {
        fold::fold(self, record)
    }

    /// What is due at an instant, soonest first, at most `max`: each goes through [`tick`](crate::tick).
    #[must_use]
    pub fn due_until(&self, now_ms: i64, max: usize, ticks: Ticks) -> Vec<Due> {
        let reached = |due: &&Due| due.at_ms <= now_ms;
        let mut all: Vec<Due> = self.due.iter().take_while(reached).take(max).cloned().collect();
        if ticks == Ticks::All && self.fees.first().is_some_and(|due| reached(&due)) {
            all.extend(self.fees.iter().take_while(reached).take(max).cloned());
            all.sort_unstable();
            all.truncate(max);
        }
        all
    }

    /// Sweeps out operations, answers and ended holds of posting weeks beyond the retention. Whole weeks at a time, and a function
    /// of posting time alone, so that a replay forgets the same. When it is called changes what memory holds and nothing
    /// else: what is due for the sweep is forgotten already.
    pub fn drop_expired(&mut self) {
        let first_kept = self.first_kept(week_of(self.posted_at_ms));
        if first_kept <= self.dropped_before_week {
            return;
        }
        self.operations.retain(|operation| operation.week >= first_kept);
        self.answers.retain(|answer| answer.week >= first_kept);
        self.refunds.retain(|refunded| refunded.week >= first_kept);
        self.ended_holds.retain(|hold| !matches!(hold, Hold::Ended { week } if *week < first_kept));
        let changed = &mut self.changed;
        self.counters.retain(|key, counter| {
            let keeps = counter.week >= first_kept;
            if let Some(changed) = changed.as_mut().filter(|_| !keeps) {
                changed.counter(*key);
            }
            keeps
        });
        self.dropped_before_week = first_kept;
    }

    fn put_hold(&mut self, key: Digest, hold: Hold) {
        if matches!(hold, Hold::Open(_)) {
            self.holds.insert(key, hold);
        } else {
            self.holds.remove(&key);
            self.ended_holds.insert(key, hold);
        }
    }

    pub(crate) fn hold_by_key(&self, key: &Digest) -> Option<&Hold> {
        self.holds.get(key).or_else(|| self.ended_holds.get(key))
    }

    /// Whether memory has the row, so that it need not be looked up elsewhere.
    #[must_use]
    pub fn knows(&self, key: &Key) -> bool {
        match key {
            Key::Operation(digest) => self.operations.get(digest).is_some(),
            Key::Answer(digest) => self.answers.get(digest).is_some(),
            Key::Hold(digest) => self.hold_by_key(digest).is_some(),
            Key::Refund(digest) => self.refunds.get(digest).is_some(),
        }
    }

    /// Takes in a row that was kept outside of memory, so that what is decided or folded next sees it.
    pub fn recall(&mut self, key: Digest, remembered: Remembered) {
        match remembered {
            Remembered::Operation(operation) => self.operations.recall(key, operation),
            Remembered::Answer(answer) => self.answers.recall(key, answer),
            Remembered::Hold(hold) => self.ended_holds.recall(key, hold),
            Remembered::Refund(refunded) => self.refunds.recall(key, refunded),
        }
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(id, account)| (&**id, account))
    }
}

impl View for State {
    fn first_kept(&self, week: u16) -> u16 {
        week.saturating_sub(self.retention_weeks)
    }

    fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id)
    }

    fn operation(&self, key: &Digest) -> Option<Operation> {
        self.operations.get(key).copied()
    }

    fn answer(&self, account_id: &str, idempotency_key: &str) -> Option<&Answer> {
        self.answers.get(&digest::of_pair(account_id, idempotency_key))
    }

    fn hold(&self, account_id: &str, hold_id: &str) -> Option<&Hold> {
        self.hold_by_key(&digest::of_pair(account_id, hold_id))
    }

    fn event(&self, account_id: &str, event_id: &str) -> Option<&Event> {
        events::get(&self.events, account_id, event_id)
    }

    fn counter(&self, key: &Digest) -> Option<Counter> {
        self.counters.get(key).copied()
    }

    fn refunded(&self, key: &Digest, seq: u64) -> Money {
        self.refunds.get(key).filter(|refunded| refunded.seq == seq).map_or(Money::ZERO, |refunded| refunded.amount)
    }
}

impl ViewMut for State {
    fn account_mut(&mut self, id: &str) -> Option<&mut Account> {
        if let Some(changed) = &mut self.changed {
            changed.account(id);
        }
        self.accounts.get_mut(id)
    }

    fn insert_account(&mut self, id: &str, account: Account) {
        if let Some(changed) = &mut self.changed {
            changed.account(id);
        }
        self.accounts.insert(id.into(), account);
    }

    fn insert_operation(&mut self, key: Digest, operation: Operation) {
        self.operations.insert(key, operation);
    }

    fn insert_answer(&mut self, key: Digest, answer: Answer) {
        self.answers.insert(key, answer);
    }

    fn insert_hold(&mut self, account_id: &str, hold_id: &str, hold: Hold) {
        self.put_hold(digest::of_pair(account_id, hold_id), hold);
    }

    fn insert_refunded(&mut self, key: Digest, refunded: Refunded) {
        self.refunds.insert(key, refunded);
    }

    fn insert_counter(&mut self, key: Digest, counter: Counter) {
        if let Some(changed) = &mut self.changed {
            changed.counter(key);
        }
        self.counters.insert(key, counter);
    }

    fn change_event(&mut self, account_id: &str, event_id: &str, apply: impl Fn(&mut Event)) -> bool {
        let event = self.events.get_mut(account_id).and_then(|events| events.get_mut(event_id));
        let is_tracked = event.map(apply).is_some();
        if let Some(changed) = self.changed.as_mut().filter(|_| is_tracked) {
            changed.event(account_id, event_id);
        }
        is_tracked
    }

    fn insert_event(&mut self, account_id: &str, event_id: &str, event: Event) {
        if let Some(changed) = &mut self.changed {
            changed.event(account_id, event_id);
        }
        self.events.entry(account_id.into()).or_default().insert(event_id.into(), event);
    }

    fn add_due(&mut self, due: Due) {
        if let Some(changed) = &mut self.changed {
            changed.due(&due);
        }
        let index = if due.is_fee() { &mut self.fees } else { &mut self.due };
        index.insert(due);
    }

    fn remove_due(&mut self, due: Due) {
        if let Some(changed) = &mut self.changed {
            changed.due(&due);
        }
        let index = if due.is_fee() { &mut self.fees } else { &mut self.due };
        index.remove(&due);
    }

    fn advance(&mut self, input_generation: u32, topic: SourceTopic, offset: i64, posted_at_ms: i64) {
        self.positions.raise(input_generation, topic, offset);
        self.posted_at_ms = self.posted_at_ms.max(posted_at_ms);
    }
}
