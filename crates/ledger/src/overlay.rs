//! A batch that is decided and not yet committed, on top of the committed state.

use hashbrown::hash_map::EntryRef;
use tollbooth_schemas::{
    Money,
    v1::{Entry, SourceTopic},
};

use crate::{
    account::Account,
    counters::Counter,
    digest::{self, Digest, DigestMap},
    due::Due,
    events::{ChangedEvents, Event, EventRef},
    fold::{self, FoldError},
    holds::Hold,
    image::{Key, Remembered},
    refunds::Refunded,
    state::{Answer, Operation, Positions, State, View, ViewMut},
};

/// What a batch changes; dropped when its transaction is aborted.
#[derive(Debug, Default)]
pub struct Delta {
    pub(crate) accounts: hashbrown::HashMap<Box<str>, Account>,
    pub(crate) operations: DigestMap<Operation>,
    pub(crate) answers: DigestMap<Answer>,
    pub(crate) holds: DigestMap<Hold>,
    pub(crate) refunds: DigestMap<Refunded>,
    pub(crate) counters: DigestMap<Counter>,
    pub(crate) events: ChangedEvents,
    /// In order: what a batch adds it may remove again.
    pub(crate) due: Vec<DueChange>,
    pub(crate) positions: Positions,
    pub(crate) posted_at_ms: i64,
}

#[derive(Debug)]
pub(crate) enum DueChange {
    Add(Due),
    Remove(Due),
}

/// Rows that are not in memory otherwise, for as long as a batch is decided.
#[derive(Debug, Default)]
struct Recalled {
    operations: DigestMap<Operation>,
    answers: DigestMap<Answer>,
    holds: DigestMap<Hold>,
    refunds: DigestMap<Refunded>,
}

/// A committed state seen through a batch's changes.
#[derive(Debug)]
pub struct Overlay<'a> {
    base: &'a State,
    delta: Delta,
    recalled: Recalled,
}

impl<'a> Overlay<'a> {
    /// Nothing changed yet.
    #[must_use]
    pub fn new(base: &'a State) -> Self {
        Self { base, delta: Delta::default(), recalled: Recalled::default() }
    }

    /// Makes room for so many operations at once, instead of again and again on the way.
    #[must_use]
    pub fn with_room(mut self, operations: usize) -> Self {
        self.delta.operations.reserve(operations);
        self
    }

    /// Whether memory has the row, so that it need not be looked up elsewhere.
    #[must_use]
    pub fn knows(&self, key: &Key) -> bool {
        match key {
            Key::Operation(digest) => self.operation(digest).is_some(),
            Key::Answer(digest) => self.answer_by_key(digest).is_some(),
            Key::Hold(digest) => self.hold_by_key(digest).is_some(),
            Key::Refund(digest) => {
                self.delta.refunds.contains_key(digest)
                    || self.base.refunds.get(digest).is_some()
                    || self.recalled.refunds.contains_key(digest)
            }
        }
    }

    /// Takes in a row that was kept outside of memory, so that what is decided next sees it. It is no change.
    pub fn recall(&mut self, key: Digest, remembered: Remembered) {
        match remembered {
            Remembered::Operation(operation) => drop(self.recalled.operations.insert(key, operation)),
            Remembered::Answer(answer) => drop(self.recalled.answers.insert(key, answer)),
            Remembered::Hold(hold) => drop(self.recalled.holds.insert(key, hold)),
            Remembered::Refund(refunded) => drop(self.recalled.refunds.insert(key, refunded)),
        }
    }

    fn answer_by_key(&self, key: &Digest) -> Option<&Answer> {
        let known = self.delta.answers.get(key).or_else(|| self.base.answers.get(key));
        known.or_else(|| self.recalled.answers.get(key))
    }

    fn hold_by_key(&self, key: &Digest) -> Option<&Hold> {
        let known = self.delta.holds.get(key).or_else(|| self.base.hold_by_key(key));
        known.or_else(|| self.recalled.holds.get(key))
    }

    /// Folds an entry that was decided on this overlay; usage with its [`UsageInput::operation`](crate::UsageInput::operation).
    ///
    /// # Errors
    /// [`FoldError`] where it does not follow from the state: a defect, since it was decided on it.
    pub fn post(
        &mut self,
        input_generation: u32,
        account_id: &str,
        posted_at_ms: i64,
        entry: &Entry,
        operation: Option<Digest>,
    ) -> Result<(), FoldError> {
        fold::fold_entry(self, input_generation, account_id, posted_at_ms, entry, operation)
    }

    /// The changes, to be merged once they are committed.
    #[must_use]
    pub fn into_delta(self) -> Delta {
        self.delta
    }
}

impl View for Overlay<'_> {
    fn first_kept(&self, week: u16) -> u16 {
        self.base.first_kept(week)
    }

    fn account(&self, id: &str) -> Option<&Account> {
        self.delta.accounts.get(id).or_else(|| self.base.account(id))
    }

    fn operation(&self, key: &Digest) -> Option<Operation> {
        let known = self.delta.operations.get(key).or_else(|| self.base.operations.get(key));
        known.or_else(|| self.recalled.operations.get(key)).copied()
    }

    fn answer(&self, account_id: &str, idempotency_key: &str) -> Option<&Answer> {
        self.answer_by_key(&digest::of_pair(account_id, idempotency_key))
    }

    fn hold(&self, account_id: &str, hold_id: &str) -> Option<&Hold> {
        self.hold_by_key(&digest::of_pair(account_id, hold_id))
    }

    fn event(&self, account_id: &str, event_id: &str) -> Option<&Event> {
        let changed = self.delta.events.get(&EventRef { account_id, event_id });
        changed.or_else(|| self.base.event(account_id, event_id))
    }

    fn counter(&self, key: &Digest) -> Option<Counter> {
        self.delta.counters.get(key).or_else(|| self.base.counters.get(key)).copied()
    }

    fn refunded(&self, key: &Digest, seq: u64) -> Money {
        let known = self.delta.refunds.get(key).or_else(|| self.base.refunds.get(key));
        let known = known.or_else(|| self.recalled.refunds.get(key));
        known.filter(|refunded| refunded.seq == seq).map_or(Money::ZERO, |refunded| refunded.amount)
    }
}

impl ViewMut for Overlay<'_> {
    fn account_mut(&mut self, id: &str) -> Option<&mut Account> {
        match self.delta.accounts.entry_ref(id) {
            EntryRef::Occupied(changed) => Some(changed.into_mut()),
            EntryRef::Vacant(unchanged) => {
                let account = self.base.account(id)?.clone();
                Some(unchanged.insert_with_key(id.into(), account))
            }
        }
    }

    fn insert_account(&mut self, id: &str, account: Account) {
        self.delta.accounts.insert(id.into(), account);
    }

    fn insert_operation(&mut self, key: Digest, operation: Operation) {
        self.delta.operations.insert(key, operation);
    }

    fn insert_answer(&mut self, key: Digest, answer: Answer) {
        self.delta.answers.insert(key, answer);
    }

    fn insert_hold(&mut self, account_id: &str, hold_id: &str, hold: Hold) {
        self.delta.holds.insert(digest::of_pair(account_id, hold_id), hold);
    }

    fn insert_refunded(&mut self, key: Digest, refunded: Refunded) {
        self.delta.refunds.insert(key, refunded);
    }

    fn insert_counter(&mut self, key: Digest, counter: Counter) {
        self.delta.counters.insert(key, counter);
    }

    fn change_event(&mut self, account_id: &str, event_id: &str, apply: impl Fn(&mut Event)) -> bool {
        let name = EventRef { account_id, event_id };
        match self.delta.events.entry_ref(&name) {
            EntryRef::Occupied(mut changed) => apply(changed.get_mut()),
            EntryRef::Vacant(unchanged) => {
                let Some(event) = self.base.event(account_id, event_id) else { return false };
                apply(unchanged.insert_with_key((&name).into(), *event));
            }
        }
        true
    }

    fn insert_event(&mut self, account_id: &str, event_id: &str, event: Event) {
        self.delta.events.insert((&EventRef { account_id, event_id }).into(), event);
    }

    fn add_due(&mut self, due: Due) {
        self.delta.due.push(DueChange::Add(due));
    }

    fn remove_due(&mut self, due: Due) {
        self.delta.due.push(DueChange::Remove(due));
    }

    fn advance(&mut self, input_generation: u32, topic: SourceTopic, offset: i64, posted_at_ms: i64) {
        self.delta.positions.raise(input_generation, topic, offset);
        self.delta.posted_at_ms = self.delta.posted_at_ms.max(posted_at_ms);
    }
}
