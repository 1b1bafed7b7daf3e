//! What the parties cost: spend and holds per event, exact, so that a budget is.

use hashbrown::{Equivalent, HashMap};
use tollbooth_schemas::{
    Money,
    v1::{BudgetRule, Entry, EventDefined},
};

use crate::{
    fold::{At, FoldError},
    state::ViewMut,
};

/// Most events of an account whose spend is kept. Beyond it a new one is not tracked and cannot be defined.
pub const EVENTS_MAX: u32 = 10_000;

/// The highest mark of its budget that the account was told of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The entry that set the rules it was told by; those of another are over.
    pub set_seq: u64,
    /// 0: none.
    pub percent: u32,
}

/// What an account spent on an event, from the first entry that names it on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Charges less what was given back, in micro-units. A sum of entries may go beyond what one of them can.
    pub spent_micros: i128,
    /// In open holds that name it, in micro-units.
    pub held_micros: i64,
    /// As last defined.
    pub budget: Option<Money>,
    /// Whether holds beyond the budget are refused.
    pub refuses_holds: bool,
    /// Of its budget.
    pub told: Told,
}

impl Event {
    pub(crate) fn hold(&mut self, amount: Money) {
        // Part of what the account holds, which is checked: it cannot saturate.
        self.held_micros = self.held_micros.saturating_add(amount.micros());
    }

    /// By how much a hold would take spend and holds beyond a budget that refuses it, in micro-units.
    #[must_use]
    pub fn beyond_budget(&self, hold: Money) -> Option<i128> {
        let budget = self.budget.filter(|_| self.refuses_holds)?;
        let taken = self.spent_micros.saturating_add(i128::from(self.held_micros));
        let beyond = taken.saturating_add(i128::from(hold.micros())).saturating_sub(i128::from(budget.micros()));
        (beyond > 0).then_some(beyond)
    }
}

/// An event's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EventKey {
    pub(crate) account_id: Box<str>,
    pub(crate) event_id: Box<str>,
}

/// What an [`EventKey`] is looked up by; hashes alike.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct EventRef<'a> {
    pub(crate) account_id: &'a str,
    pub(crate) event_id: &'a str,
}

impl Equivalent<EventKey> for EventRef<'_> {
    fn equivalent(&self, key: &EventKey) -> bool {
        self.event_id == &*key.event_id && self.account_id == &*key.account_id
    }
}

impl From<&EventRef<'_>> for EventKey {
    fn from(EventRef { account_id, event_id }: &EventRef<'_>) -> Self {
        Self { account_id: (*account_id).into(), event_id: (*event_id).into() }
    }
}

/// What a batch changes: a few of each of many accounts.
pub(crate) type ChangedEvents = HashMap<EventKey, Event>;

/// By account, then event.
pub(crate) type EventTable = HashMap<Box<str>, HashMap<Box<str>, Event>>;

pub(crate) fn get<'a>(table: &'a EventTable, account_id: &str, event_id: &str) -> Option<&'a Event> {
    table.get(account_id).and_then(|events| events.get(event_id))
}

/// Changes an event that is tracked, or can be from now on.
pub(crate) fn change(state: &mut impl ViewMut, at: At<'_>, event_id: &str, apply: impl Fn(&mut Event)) {
    if event_id.is_empty() || state.change_event(at.account_id, event_id, &apply) {
        return;
    }
    let Some(account) = state.account_mut(at.account_id) else { return };
    if account.events_tracked >= EVENTS_MAX {
        return;
    }
    account.events_tracked = account.events_tracked.saturating_add(1);
    let mut event = Event::default();
    apply(&mut event);
    state.insert_event(at.account_id, event_id, event);
}

/// Counts an entry's money for the event it names.
pub(crate) fn count(state: &mut impl ViewMut, at: At<'_>, entry: &Entry) {
    if entry.amount_micros != 0 {
        let spent = i128::from(entry.amount_micros);
        change(state, at, entry.event_id(), |event| event.spent_micros = event.spent_micros.saturating_sub(spent));
    }
}

pub(crate) fn define(state: &mut impl ViewMut, at: At<'_>, defined: &EventDefined) -> Result<(), FoldError> {
    let budget =
        defined.budget_micros.map(|micros| Money::from_micros(micros).ok_or_else(|| at.chain())).transpose()?;
    let refuses_holds = defined.on_exceeded() == BudgetRule::RefuseHolds;
    change(state, at, &defined.event_id, |event| {
        event.budget = budget;
        event.refuses_holds = refuses_holds;
    });
    Ok(())
}
