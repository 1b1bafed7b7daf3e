//! A batch that is decided and not yet committed, on top of the committed state.

use tollbooth_schemas::{
    Money,
    v1::{Entry, SourceTopic},
};

use crate::{
    account::Account,
    counters::Counter,
    digest::{self, Digest, DigestMap},
    due::Due,
    events::{self, Event, EventTable},
    fold::{self, FoldError},
    holds::Hold,
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
    pub(crate) events: EventTable,
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

/// A committed state seen through a batch's changes.
#[derive(Debug)]
pub struct Overlay<'a> {
    base: &'a State,
    delta: Delta,
}

impl<'a> Overlay<'a> {
    /// Nothing changed yet.
    #[must_use]
    pub fn new(base: &'a State) -> Self {
        Self { base, delta: Delta::default() }
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
        self.delta.operations.get(key).or_else(|| self.base.operations.get(key)).copied()
    }

    fn answer(&self, account_id: &str, idempotency_key: &str) -> Option<&Answer> {
        let key = digest::of_pair(account_id, idempotency_key);
        self.delta.answers.get(&key).or_else(|| self.base.answers.get(&key))
    }

    fn hold(&self, account_id: &str, hold_id: &str) -> Option<&Hold> {
        let key = digest::of_pair(account_id, hold_id);
        self.delta.holds.get(&key).or_else(|| self.base.holds.get(&key))
    }

    fn event(&self, account_id: &str, event_id: &str) -> Option<&Event> {
        events::get(&self.delta.events, account_id, event_id).or_else(|| self.base.event(account_id, event_id))
    }

    fn counter(&self, key: &Digest) -> Option<Counter> {
        self.delta.counters.get(key).or_else(|| self.base.counters.get(key)).copied()
    }

    fn refunded(&self, key: &Digest, seq: u64) -> Money {
        match self.delta.refunds.get(key) {
            Some(refunded) if refunded.seq == seq => refunded.amount,
            Some(_) => Money::ZERO,
            None => self.base.refunded(key, seq),
        }
    }
}

impl ViewMut for Overlay<'_> {
    fn account_mut(&mut self, id: &str) -> Option<&mut Account> {
        if !self.delta.accounts.contains_key(id) {
            let account = self.base.account(id)?.clone();
            self.delta.accounts.insert(id.into(), account);
        }
        self.delta.accounts.get_mut(id)
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
        if let Some(event) = self.delta.events.get_mut(account_id).and_then(|events| events.get_mut(event_id)) {
            apply(event);
            return true;
        }
        let Some(mut event) = self.base.event(account_id, event_id).copied() else { return false };
        apply(&mut event);
        self.insert_event(account_id, event_id, event);
        true
    }

    fn insert_event(&mut self, account_id: &str, event_id: &str, event: Event) {
        self.delta.events.entry(account_id.into()).or_default().insert(event_id.into(), event);
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
