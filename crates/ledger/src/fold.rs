//! How an entry changes a state. The only way a state changes.

use tollbooth_schemas::{
    Money,
    v1::{Entry, LedgerRecord, SourceTopic, entry::Kind},
};

use crate::{
    digest::{self, Digest},
    state::{Account, Answer, Operation, ViewMut, week_of},
};

/// A ledger that cannot be folded: its partition must not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// Written by a later release.
    #[error("{account_id} seq {seq}: an entry of a kind this release does not know")]
    UnknownKind {
        /// Whose.
        account_id: String,
        /// Which.
        seq: u64,
    },
    /// Entries are missing or doubled.
    #[error("{account_id}: seq {found} follows {before}")]
    Gap {
        /// Whose.
        account_id: String,
        /// The last one folded.
        before: u64,
        /// The one that came.
        found: u64,
    },
    /// `balance_after` is not the balance before plus the amount, or is out of range.
    #[error("{account_id} seq {seq}: the balance chain is broken")]
    Chain {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// An entry of an account that was never opened, or a second opening.
    #[error("{account_id} seq {seq}: opened twice or not at all")]
    Opening {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
}

/// Takes over every entry of a record. Never consults dedupe: what stands in the ledger happened.
///
/// # Errors
/// [`FoldError`] where the ledger contradicts itself or was written by a later release.
pub(crate) fn fold(state: &mut impl ViewMut, record: &LedgerRecord) -> Result<(), FoldError> {
    for entry in &record.entries {
        fold_entry(state, record.input_generation, &record.account_id, record.posted_at_ms, entry, None)?;
    }
    Ok(())
}

/// One entry, before its record is put together; `operation`: its digest, where it was computed already.
pub(crate) fn fold_entry(
    state: &mut impl ViewMut,
    input_generation: u32,
    account_id: &str,
    posted_at_ms: i64,
    entry: &Entry,
    operation: Option<Digest>,
) -> Result<(), FoldError> {
    let seq = entry.seq;
    let owned = || account_id.to_owned();
    let kind = entry.kind.as_ref().ok_or_else(|| FoldError::UnknownKind { account_id: owned(), seq })?;
    if let Kind::AccountOpened(opened) = kind {
        if state.account(account_id).is_some() {
            return Err(FoldError::Opening { account_id: owned(), seq });
        }
        let account = Account::open(&opened.name, &opened.plan, &opened.currency, &opened.time_zone);
        state.insert_account(account_id, account);
    }
    let account = state.account_mut(account_id).ok_or_else(|| FoldError::Opening { account_id: owned(), seq })?;
    if account.seq.checked_add(1) != Some(seq) {
        return Err(FoldError::Gap { account_id: owned(), before: account.seq, found: seq });
    }
    let balance = Money::from_micros(entry.amount_micros).and_then(|amount| account.balance.checked_add(amount));
    match (balance, Money::from_micros(entry.held_after_micros)) {
        (Some(balance), Some(held)) if balance.micros() == entry.balance_after_micros => {
            account.seq = seq;
            account.balance = balance;
            account.held = held;
        }
        _ => return Err(FoldError::Chain { account_id: owned(), seq }),
    }
    match kind {
        Kind::PlanChanged(changed) => account.set_plan(changed.effective_at_ms, &changed.plan),
        Kind::Usage(usage) => {
            let derived = || digest::of_operation(account_id, &usage.operation_id, usage.attempt);
            let key = operation.unwrap_or_else(derived);
            let week = week_of(posted_at_ms);
            // Forgotten by its week, whether it was swept out or not: a replay sweeps at other moments.
            let before = state.operation(&key).filter(|operation| operation.week >= state.first_kept(week));
            state.insert_operation(key, Operation::after(before, usage, seq, week));
        }
        Kind::AccountOpened(_) | Kind::Adjustment(_) => {}
    }
    if let Some(command) = &entry.command {
        let key = digest::of_pair(account_id, &command.idempotency_key);
        state.insert_answer(key, Answer::of(entry, &command.body_hash, posted_at_ms));
    }
    let topic = SourceTopic::try_from(entry.source_topic).unwrap_or(SourceTopic::Unspecified);
    state.advance(input_generation, topic, entry.source_offset, posted_at_ms);
    Ok(())
}
