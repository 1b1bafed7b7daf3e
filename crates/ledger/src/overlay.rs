//! A batch that is decided and not yet committed, on top of the committed state.

use tollbooth_schemas::v1::{Entry, SourceTopic};

use crate::{
    digest::{self, Digest, DigestMap},
    fold::{self, FoldError},
    state::{Account, Answer, Operation, Positions, State, View, ViewMut},
};

/// What a batch changes; dropped when its transaction is aborted.
#[derive(Debug, Default)]
pub struct Delta {
    pub(crate) accounts: hashbrown::HashMap<Box<str>, Account>,
    pub(crate) operations: DigestMap<Operation>,
    pub(crate) answers: DigestMap<Answer>,
    pub(crate) positions: Positions,
    pub(crate) posted_at_ms: i64,
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

    fn advance(&mut self, input_generation: u32, topic: SourceTopic, offset: i64, posted_at_ms: i64) {
        self.delta.positions.raise(input_generation, topic, offset);
        self.delta.posted_at_ms = self.delta.posted_at_ms.max(posted_at_ms);
    }
}
