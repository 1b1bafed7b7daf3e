//! An entry's place in its account's ledger.

use tollbooth_schemas::{
    Money,
    v1::{Entry, SourceTopic, entry::Kind},
};

use crate::account::Account;

/// What is to be posted, before it has its place in the ledger.
pub(crate) struct Draft {
    amount: Money,
    /// What `held` changes by.
    held: Money,
    /// How much of a charge was given back for it right before: that draws no bonus.
    covered: Money,
    occurred_at_ms: i64,
    kind: Kind,
}

impl Draft {
    /// No money moves.
    pub(crate) const fn of(occurred_at_ms: i64, kind: Kind) -> Self {
        Self { amount: Money::ZERO, held: Money::ZERO, covered: Money::ZERO, occurred_at_ms, kind }
    }

    pub(crate) fn amount(self, amount: Money) -> Self {
        Self { amount, ..self }
    }

    pub(crate) fn held(self, held: Money) -> Self {
        Self { held, ..self }
    }

    pub(crate) fn covered(self, covered: Money) -> Self {
        Self { covered, ..self }
    }
}

/// The entry as the account's next one. `None` where the balance or what is held would leave its bound.
pub(crate) fn place(account: Option<&Account>, draft: Draft, topic: SourceTopic, offset: i64) -> Option<Entry> {
    let zero = || (0, Money::ZERO, Money::ZERO);
    let (seq, balance, held) = account.map_or_else(zero, |account| (account.seq, account.balance, account.held));
    // An expiry names its lot; it draws on no other.
    let draws = !matches!(draft.kind, Kind::BonusExpired(_));
    let from_bonus = account.filter(|_| draws).map_or(Money::ZERO, |account| {
        let uncovered = draft.amount.negated().checked_sub(draft.covered);
        uncovered.map_or(Money::ZERO, |charge| account.bonus_for(charge))
    });
    Some(Entry {
        seq: seq.checked_add(1)?,
        amount_micros: draft.amount.micros(),
        balance_after_micros: balance.checked_add(draft.amount)?.micros(),
        held_after_micros: held.checked_add(draft.held)?.micros(),
        occurred_at_ms: draft.occurred_at_ms,
        source_topic: topic.into(),
        source_offset: offset,
        command: None,
        from_bonus_micros: from_bonus.micros(),
        kind: Some(draft.kind),
    })
}
