//! A whole state against itself: what the fold checks entry by entry, summed up anew.

use hashbrown::HashMap;
use tollbooth_schemas::Money;

use crate::{
    alerts::Alerts,
    due::{Due, What},
    holds::Hold,
    recharge::Recharge,
    state::{State, View as _},
};

/// What a state contradicts itself in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{account_id}: {what}")]
pub struct AuditError {
    /// Whose.
    pub account_id: String,
    /// Which sum does not come out.
    pub what: &'static str,
}

#[derive(Default)]
struct Open<'a> {
    holds: u32,
    held_micros: i128,
    by_event: HashMap<&'a str, i128>,
    expiring_lots: usize,
    recharge: bool,
    alerts: usize,
}

impl State {
    /// Sums every account up anew: what is held is the sum of its open holds, per event too; its lots sum to its bonus;
    /// and everything that expires, and nothing else, is due. Reads all that is open: for the end of a restore and for
    /// tests.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn audit(&self) -> Result<(), AuditError> {
        let open = self.sum_due()?;
        let nothing = Open::default();
        for (id, account) in self.accounts() {
            let wrong = |what| Err(AuditError { account_id: id.to_owned(), what });
            let open = open.get(id).unwrap_or(&nothing);
            if (open.holds, open.held_micros) != (account.holds_open, i128::from(account.held.micros())) {
                return wrong("what is held is not the sum of the open holds");
            }
            let lots = account.lots().iter();
            let bonus = lots.fold(0_i128, |sum, lot| sum.saturating_add(i128::from(lot.remaining.micros())));
            if bonus != i128::from(account.bonus.micros())
                || account.lots().iter().any(|lot| lot.remaining <= Money::ZERO)
            {
                return wrong("the lots do not sum to the bonus");
            }
            if open.expiring_lots != account.lots().iter().filter(|lot| lot.expires_at_ms.is_some()).count() {
                return wrong("a lot that expires is not due");
            }
            if account.fee_due().is_some_and(|(period, at_ms)| !self.fees.contains(&Due::fee(id, period, at_ms))) {
                return wrong("the plan fee that comes next is not due");
            }
            let recharge = account.recharge.as_deref();
            if recharge.is_some_and(|recharge| !recharge.is_settled(account)) {
                return wrong("the recharge is not what the balance and the rule make of it");
            }
            if recharge.and_then(Recharge::due_at_ms).is_some() != open.recharge {
                return wrong("the recharge is not due");
            }
            let alerts = account.alerts.as_deref();
            if alerts.is_some_and(|alerts| !alerts.is_settled(account)) {
                return wrong("the balance is below what nobody was told of");
            }
            if alerts.is_some_and(|alerts| !alerts.booths_are_in_order()) {
                return wrong("booths are looked at that should not be, or their hours are not in order");
            }
            if alerts.map_or(0, |alerts| alerts.pending().len()) != open.alerts {
                return wrong("an alert that was raised is not due");
            }
            let events = self.events.get(id);
            if events.map_or(0, |events| u32::try_from(events.len()).unwrap_or(u32::MAX)) != account.events_tracked {
                return wrong("the tracked events are not counted");
            }
            for (event_id, event) in events.into_iter().flatten() {
                if i128::from(event.held_micros) != open.by_event.get(&**event_id).copied().unwrap_or(0) {
                    return wrong("what is held for an event is not the sum of its open holds");
                }
            }
        }
        if self.fees.len() != self.accounts().filter(|(_, account)| account.fee_due().is_some()).count() {
            return Err(AuditError { account_id: String::new(), what: "a plan fee is due that does not come next" });
        }
        let opened = self.holds.values().filter(|hold| matches!(hold, Hold::Open(_))).count();
        let due = open.values().fold(0_usize, |sum, open| sum.saturating_add(usize::try_from(open.holds).unwrap_or(0)));
        if opened != due {
            return Err(AuditError { account_id: String::new(), what: "an open hold is not due" });
        }
        Ok(())
    }

    /// Everything that is due, by account; each of it must be there.
    fn sum_due(&self) -> Result<HashMap<&str, Open<'_>>, AuditError> {
        let mut accounts: HashMap<&str, Open<'_>> = HashMap::new();
        for due in &self.due {
            let wrong = |what| Err(AuditError { account_id: due.account_id.to_string(), what });
            let open = accounts.entry(&due.account_id).or_default();
            match &due.what {
                What::Hold(hold_id) => match self.hold(&due.account_id, hold_id) {
                    Some(Hold::Open(hold)) if hold.expires_at_ms == due.at_ms => {
                        let micros = i128::from(hold.amount.micros());
                        open.holds = open.holds.saturating_add(1);
                        open.held_micros = open.held_micros.saturating_add(micros);
                        let of_event = open.by_event.entry(&*hold.event_id).or_default();
                        *of_event = of_event.saturating_add(micros);
                    }
                    _ => return wrong("a hold that is due is not open"),
                },
                What::Bonus(granted_seq) => {
                    let lot = self.account(&due.account_id).and_then(|account| account.lot(*granted_seq));
                    if lot.and_then(|lot| lot.expires_at_ms) != Some(due.at_ms) {
                        return wrong("a lot that is due has nothing left");
                    }
                    open.expiring_lots = open.expiring_lots.saturating_add(1);
                }
                What::Recharge => {
                    let recharge = self.account(&due.account_id).and_then(|account| account.recharge.as_deref());
                    if recharge.and_then(Recharge::due_at_ms) != Some(due.at_ms) {
                        return wrong("a recharge is due that is not");
                    }
                    open.recharge = true;
                }
                What::Alert(number) => {
                    let alerts = self.account(&due.account_id).and_then(|account| account.alerts.as_deref());
                    let mut pending = alerts.map_or(&[][..], Alerts::pending).iter();
                    if !pending.any(|alert| (alert.number, alert.crossed_at_ms) == (*number, due.at_ms)) {
                        return wrong("an alert is due that was not raised");
                    }
                    open.alerts = open.alerts.saturating_add(1);
                }
                // In an index of its own.
                What::Fee(_) => return wrong("a plan fee is due among what expires"),
            }
        }
        Ok(accounts)
    }
}
