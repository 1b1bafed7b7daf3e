//! Money set aside: held from the moment its entry stands until the one that ends it.

use tollbooth_schemas::{
    Money,
    v1::{HoldOutcome, HoldPlaced, HoldReleased, Usage, UsageStatus, entry::Kind},
};

use crate::{
    due::Due,
    events,
    fold::{At, FoldError},
    state::{View, ViewMut, week_of},
};

/// Most open holds of an account.
pub const OPEN_HOLDS_MAX: u32 = 10_000;

/// Where a hold stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Its amount is part of what is held.
    Open(Box<OpenHold>),
    /// Captured, voided or expired; kept for the retention so that its id is not taken a second time.
    Ended {
        /// Posting week of the entry that ended it.
        week: u16,
    },
}

/// Money set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHold {
    /// How much.
    pub amount: Money,
    /// From then on a tick may end it.
    pub expires_at_ms: i64,
    /// The event it is for; empty: none.
    pub event_id: Box<str>,
}

/// What usage does to the hold it names.
pub(crate) struct Effect {
    pub(crate) outcome: HoldOutcome,
    /// What is no longer held.
    pub(crate) released: Money,
}

/// The hold, unless it ended beyond the retention: then it is forgotten, whether the table was swept or not.
pub(crate) fn known<'a>(view: &'a impl View, account_id: &str, hold_id: &str, now_ms: i64) -> Option<&'a Hold> {
    view.hold(account_id, hold_id).filter(|hold| match hold {
        Hold::Open(_) => true,
        Hold::Ended { week } => *week >= view.first_kept(week_of(now_ms)),
    })
}

/// Usage always posts; a hold it names ends with it, whatever was held.
pub(crate) fn effect(view: &impl View, account_id: &str, usage: &Usage, now_ms: i64) -> Effect {
    let nothing = |outcome| Effect { outcome, released: Money::ZERO };
    if usage.hold_id.is_empty() {
        return nothing(HoldOutcome::None);
    }
    match known(view, account_id, &usage.hold_id, now_ms) {
        Some(Hold::Open(hold)) if usage.status() == UsageStatus::Success => {
            Effect { outcome: HoldOutcome::Captured, released: hold.amount }
        }
        Some(Hold::Open(hold)) => Effect { outcome: HoldOutcome::ReleasedByFailure, released: hold.amount },
        Some(Hold::Ended { .. }) => nothing(HoldOutcome::EndedBefore),
        None => nothing(HoldOutcome::Unknown),
    }
}

/// What an entry does to holds.
pub(crate) enum Move<'a> {
    None,
    Opens(&'a HoldPlaced),
    Ends(&'a str),
}

impl<'a> Move<'a> {
    pub(crate) fn of(kind: &'a Kind) -> Self {
        match kind {
            Kind::Usage(usage) if usage.hold_outcome != 0 => match usage.hold_outcome() {
                HoldOutcome::Captured | HoldOutcome::ReleasedByFailure => Self::Ends(&usage.hold_id),
                HoldOutcome::None | HoldOutcome::EndedBefore | HoldOutcome::Unknown => Self::None,
            },
            Kind::HoldPlaced(placed) => Self::Opens(placed),
            Kind::HoldReleased(HoldReleased { hold_id, .. }) => Self::Ends(hold_id),
            _ => Self::None,
        }
    }
}

/// Opens a hold: what is held rises by exactly its amount.
pub(crate) fn open(
    state: &mut impl ViewMut,
    at: At<'_>,
    placed: &HoldPlaced,
    held_after_micros: i64,
) -> Result<(), FoldError> {
    let amount = Money::from_micros(placed.amount_micros).filter(|amount| !amount.is_negative());
    let amount = amount.ok_or_else(|| at.held())?;
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let held = account.held.checked_add(amount).filter(|held| held.micros() == held_after_micros);
    account.held = held.ok_or_else(|| at.held())?;
    account.holds_open = account.holds_open.checked_add(1).ok_or_else(|| at.held())?;
    if let Some(Hold::Open(_)) = state.hold(at.account_id, &placed.hold_id) {
        return Err(at.held());
    }
    let event_id = placed.event_id.as_str().into();
    let hold = OpenHold { amount, expires_at_ms: placed.expires_at_ms, event_id };
    state.insert_hold(at.account_id, &placed.hold_id, Hold::Open(Box::new(hold)));
    state.add_due(Due::hold(at.account_id, &placed.hold_id, placed.expires_at_ms));
    events::change(state, at, &placed.event_id, |event| event.hold(amount));
    Ok(())
}

/// Ends an open hold: what is held falls by exactly its amount.
pub(crate) fn end(
    state: &mut impl ViewMut,
    at: At<'_>,
    hold_id: &str,
    held_after_micros: i64,
) -> Result<(), FoldError> {
    let Some(Hold::Open(hold)) = state.hold(at.account_id, hold_id).cloned() else { return Err(at.held()) };
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let held = account.held.checked_sub(hold.amount);
    let held = held.filter(|held| !held.is_negative() && held.micros() == held_after_micros);
    account.held = held.ok_or_else(|| at.held())?;
    account.holds_open = account.holds_open.checked_sub(1).ok_or_else(|| at.held())?;
    state.insert_hold(at.account_id, hold_id, Hold::Ended { week: week_of(at.posted_at_ms) });
    state.remove_due(Due::hold(at.account_id, hold_id, hold.expires_at_ms));
    events::change(state, at, &hold.event_id, |event| event.hold(hold.amount.negated()));
    Ok(())
}
