//! How an entry changes a state. The only way a state changes.
//!
//! What must hold after every entry is checked here, in production too: the balance is the one before and the amount,
//! what is held is the sum of the open holds, bonus lots have what is drawn from them, no charge is given back beyond
//! its amount. A ledger that breaks one of these is not served.

use tollbooth_schemas::{
    Money,
    v1::{Entry, LedgerRecord, SourceTopic, entry::Kind},
};

use crate::{
    account::{Account, Lot},
    alerts, counters,
    digest::{self, Digest},
    due::Due,
    events, fees,
    holds::{self, Move},
    profile, recharge, refunds, repricing,
    state::{Answer, Operation, ViewMut, week_of},
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
    /// `held_after` is not the sum of the open holds, or the entry opens or ends one that is not there.
    #[error("{account_id} seq {seq}: what is held is not the sum of the open holds")]
    Held {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// A bonus lot does not have what the entry takes out of it.
    #[error("{account_id} seq {seq}: the parts do not sum to the balance")]
    Parts {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// More is given back than was charged.
    #[error("{account_id} seq {seq}: gives back more than was charged")]
    Refund {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// A charge is made anew without the one that it replaces having been given back.
    #[error("{account_id} seq {seq}: replaces a charge that was not given back")]
    Repriced {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// A recharge is asked for while one is under way, or one ends that is not; or a rule is none.
    #[error("{account_id} seq {seq}: the recharge does not follow from what was before")]
    Recharge {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// The month had counted something else before than the entry says.
    #[error("{account_id} seq {seq}: does not follow from what the month had counted")]
    Counter {
        /// Whose.
        account_id: String,
        /// Where.
        seq: u64,
    },
    /// An alert that was not raised, or says it otherwise.
    #[error("{account_id} seq {seq}: the alert does not follow from what was before")]
    Alert {
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

/// Where in the ledger an entry stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) account_id: &'a str,
    pub(crate) seq: u64,
    pub(crate) posted_at_ms: i64,
    /// Whether the account's zone was changed before.
    pub(crate) has_moved: bool,
}

impl At<'_> {
    pub(crate) fn unknown(self) -> FoldError {
        FoldError::UnknownKind { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn chain(self) -> FoldError {
        FoldError::Chain { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn held(self) -> FoldError {
        FoldError::Held { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn parts(self) -> FoldError {
        FoldError::Parts { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn refund(self) -> FoldError {
        FoldError::Refund { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn repriced(self) -> FoldError {
        FoldError::Repriced { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn recharge(self) -> FoldError {
        FoldError::Recharge { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn counter(self) -> FoldError {
        FoldError::Counter { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn alert(self) -> FoldError {
        FoldError::Alert { account_id: self.account_id.to_owned(), seq: self.seq }
    }

    pub(crate) fn opening(self) -> FoldError {
        FoldError::Opening { account_id: self.account_id.to_owned(), seq: self.seq }
    }
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
    let at = At { account_id, seq: entry.seq, posted_at_ms, has_moved: false };
    let kind = entry.kind.as_ref().ok_or_else(|| at.unknown())?;
    if let Kind::AccountOpened(opened) = kind {
        if state.account(account_id).is_some() {
            return Err(at.opening());
        }
        let account = Account::open(&opened.name, &opened.plan, &opened.currency, &opened.time_zone);
        state.insert_account(account_id, account);
    }
    let account = state.account_mut(account_id).ok_or_else(|| at.opening())?;
    let at = At { has_moved: account.has_moved_before(entry.seq), ..at };
    chain(account, at, entry)?;
    let has_recharge = account.recharge.is_some() || matches!(kind, Kind::RechargeSet(_));
    let has_alerts = account.alerts.is_some() || matches!(kind, Kind::AlertsSet(_) | Kind::Purchase(_));
    match Move::of(kind) {
        Move::None if entry.held_after_micros != account.held.micros() => return Err(at.held()),
        Move::None => {}
        Move::Opens(placed) => holds::open(state, at, placed, entry.held_after_micros)?,
        Move::Ends(hold_id) => holds::end(state, at, hold_id, entry.held_after_micros)?,
    }
    if entry.from_bonus_micros != 0 {
        draw(state, at, entry)?;
    }
    fold_kind(state, at, entry, kind, operation)?;
    // Between the two nothing was crossed: money is on its way from one charge to the other.
    let is_whole = !entry.is_first_of_two();
    if has_recharge && is_whole {
        recharge::settle(state, at)?;
    }
    if has_alerts && is_whole {
        alerts::observe(state, at, entry, kind)?;
    }
    if let Some(command) = &entry.command {
        let key = digest::of_pair(account_id, &command.idempotency_key);
        state.insert_answer(key, Answer::of(entry, &command.body_hash, posted_at_ms));
    }
    let topic = SourceTopic::try_from(entry.source_topic).unwrap_or(SourceTopic::Unspecified);
    state.advance(input_generation, topic, entry.source_offset, posted_at_ms);
    Ok(())
}

/// The next `seq`, and the balance before plus the amount.
fn chain(account: &mut Account, at: At<'_>, entry: &Entry) -> Result<(), FoldError> {
    if account.seq.checked_add(1) != Some(at.seq) {
        return Err(FoldError::Gap { account_id: at.account_id.to_owned(), before: account.seq, found: at.seq });
    }
    let balance = Money::from_micros(entry.amount_micros).and_then(|amount| account.balance.checked_add(amount));
    let balance = balance.filter(|balance| balance.micros() == entry.balance_after_micros);
    account.balance = balance.ok_or_else(|| at.chain())?;
    account.seq = at.seq;
    Ok(())
}

/// What only this kind of entry changes.
fn fold_kind(
    state: &mut impl ViewMut,
    at: At<'_>,
    entry: &Entry,
    kind: &Kind,
    operation: Option<Digest>,
) -> Result<(), FoldError> {
    match kind {
        Kind::Usage(usage) => {
            let derived = || digest::of_operation(at.account_id, &usage.operation_id, usage.attempt);
            let key = operation.unwrap_or_else(derived);
            let week = week_of(at.posted_at_ms);
            // Forgotten by its week, whether it was swept out or not: a replay sweeps at other moments.
            let before = state.operation(&key).filter(|operation| operation.week >= state.first_kept(week));
            state.insert_operation(key, Operation::after(before, usage, entry, (week, at.has_moved)));
            counters::count(state, at, usage)?;
            events::count(state, at, entry);
        }
        Kind::Reversal(reversal) => {
            refunds::fold(state, at, reversal, entry)?;
            counters::give_back(state, at, reversal)?;
            events::count(state, at, entry);
        }
        Kind::Repriced(repriced) => {
            repricing::fold(state, at, repriced, entry)?;
            events::count(state, at, entry);
        }
        Kind::PlanChanged(changed) => account_of(state, at)?.set_plan(changed.effective_at_ms, &changed.plan),
        Kind::CreditLimitSet(set) => {
            let limit = Money::from_micros(set.credit_limit_micros).filter(|limit| !limit.is_negative());
            account_of(state, at)?.credit_limit = limit.ok_or_else(|| at.held())?;
        }
        Kind::BonusGranted(granted) => {
            let remaining = Money::from_micros(entry.amount_micros).ok_or_else(|| at.parts())?;
            let lot = Lot { granted_seq: at.seq, expires_at_ms: granted.expires_at_ms, remaining };
            account_of(state, at)?.grant(lot).ok_or_else(|| at.parts())?;
            if let Some(expires_at_ms) = granted.expires_at_ms {
                state.add_due(Due::bonus(at.account_id, at.seq, expires_at_ms));
            }
        }
        Kind::BonusExpired(expired) => {
            let ended = account_of(state, at)?.end_lot(expired.granted_seq);
            let ended = ended.filter(|lot| lot.remaining.negated().micros() == entry.amount_micros);
            forget_lot(state, at, &ended.ok_or_else(|| at.parts())?);
        }
        Kind::AccountOpened(_) => fees::begin(state, at)?,
        Kind::PlanFee(fee) => fees::fold(state, at, fee)?,
        Kind::EventDefined(defined) => events::define(state, at, defined)?,
        Kind::BoothSet(set) => account_of(state, at)?.set_booth(&set.booth_id, set.paused),
        Kind::Purchase(purchase) => recharge::purchased(state, at, purchase)?,
        Kind::RechargeSet(set) => recharge::set(state, at, set)?,
        Kind::RechargeRequested(requested) => recharge::requested(state, at, requested)?,
        Kind::RechargeFailed(failed) => recharge::failed(state, at, failed)?,
        Kind::AlertsSet(set) => alerts::set(state, at, set)?,
        Kind::AlertRaised(alert) => alerts::raised(state, at, alert)?,
        Kind::ProfileSet(set) => profile::set(state, at, set)?,
        Kind::Adjustment(_) | Kind::HoldPlaced(_) | Kind::HoldReleased(_) => {}
    }
    Ok(())
}

fn account_of<'a>(state: &'a mut impl ViewMut, at: At<'_>) -> Result<&'a mut Account, FoldError> {
    state.account_mut(at.account_id).ok_or_else(|| at.opening())
}

/// Takes what the entry says out of the bonus lots. The entry's word counts, not today's rule: an old ledger folds alike.
fn draw(state: &mut impl ViewMut, at: At<'_>, entry: &Entry) -> Result<(), FoldError> {
    let within = entry.from_bonus_micros > 0 && entry.amount_micros <= entry.from_bonus_micros.saturating_neg();
    let amount = Money::from_micros(entry.from_bonus_micros).filter(|_| within);
    let ended = amount.and_then(|amount| account_of(state, at).ok()?.draw(amount));
    for lot in ended.ok_or_else(|| at.parts())? {
        forget_lot(state, at, &lot);
    }
    Ok(())
}

/// A lot that ended no longer expires.
fn forget_lot(state: &mut impl ViewMut, at: At<'_>, lot: &Lot) {
    if let Some(expires_at_ms) = lot.expires_at_ms {
        state.remove_due(Due::bonus(at.account_id, lot.granted_seq, expires_at_ms));
    }
}
