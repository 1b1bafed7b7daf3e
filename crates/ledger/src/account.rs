//! An account as of its last folded entry.
//!
//! Every batch clones the accounts it touches, so what rarely changes (profile) and what few accounts have (bonus lots,
//! paused booths) is shared until it changes, and what can be many (holds, operations, events) lives in tables of its own.

mod image;

use std::{collections::BTreeSet, sync::Arc};

use tollbooth_schemas::{Money, v1::Entry};

use crate::{
    alerts::Alerts,
    period::{Period, zone_of},
    profile::{Moved, Profile},
    recharge::Recharge,
};

/// Most bonus lots of an account that have something left.
pub const BONUS_LOTS_MAX: usize = 1_000;
/// Most paused booths of an account.
pub const PAUSED_BOOTHS_MAX: usize = 10_000;

/// An account as of its last folded entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Of its last entry.
    pub seq: u64,
    /// What is left.
    pub balance: Money,
    /// Authorized and not captured; part of the balance. The sum of the open holds.
    pub held: Money,
    /// How far below zero a hold may reach.
    pub credit_limit: Money,
    /// What is left in bonus lots; part of the balance.
    pub bonus: Money,
    /// How many holds are open.
    pub holds_open: u32,
    /// How many events are tracked for it.
    pub(crate) events_tracked: u32,
    /// The latest month whose plan fee is posted.
    pub(crate) fee_period: Option<Period>,
    /// The month whose plan fee is posted next, when it begins.
    pub(crate) fee_next: Option<Period>,
    /// What it is called, its currency, zone and plans.
    pub(crate) profile: Arc<Profile>,
    /// Soonest expiry first. Never empty.
    lots: Option<Arc<Vec<Lot>>>,
    /// `None`: no rule was ever set.
    pub(crate) recharge: Option<Arc<Recharge>>,
    /// `None`: nothing was ever bought, and no rules set.
    pub(crate) alerts: Option<Arc<Alerts>>,
    /// Never empty.
    paused: Option<Arc<BTreeSet<Box<str>>>>,
    /// `None`: the zone is the one of the opening, and always was.
    pub(crate) moved: Option<Arc<Moved>>,
}

/// The two parts of a balance; their sum is the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Bought or adjusted; never expires. Below zero: owed.
    pub purchased: Money,
    /// Given; never below zero.
    pub bonus: Money,
}

/// A bonus that has something left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// The entry that granted it.
    pub granted_seq: u64,
    /// `None`: never.
    pub expires_at_ms: Option<i64>,
    /// More than zero.
    pub remaining: Money,
}

impl Lot {
    /// The order lots are drawn in: soonest expiry, of two alike the older one, those that never expire last.
    fn rank(&self) -> (i64, u64) {
        (self.expires_at_ms.unwrap_or(i64::MAX), self.granted_seq)
    }
}

impl Account {
    pub(crate) fn open(name: &str, plan: &str, currency: &str, time_zone: &str) -> Self {
        Self {
            seq: 0,
            balance: Money::ZERO,
            held: Money::ZERO,
            credit_limit: Money::ZERO,
            bonus: Money::ZERO,
            holds_open: 0,
            events_tracked: 0,
            fee_period: None,
            fee_next: None,
            profile: Arc::new(Profile {
                currency: currency.to_owned(),
                time_zone: time_zone.to_owned(),
                name: name.to_owned(),
                plans: vec![(i64::MIN, plan.to_owned())],
            }),
            lots: None,
            recharge: None,
            alerts: None,
            paused: None,
            moved: None,
        }
    }

    /// As it stands after an entry that gives money back: for placing the one behind it.
    pub(crate) fn after(&self, entry: &Entry) -> Option<Self> {
        let balance = Money::from_micros(entry.balance_after_micros)?;
        Some(Self { seq: entry.seq, balance, ..self.clone() })
    }

    /// ISO 4217.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.profile.currency
    }

    /// IANA name; of its newest word.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.profile.time_zone
    }

    /// As people read it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// What can still be spent, the credit limit aside.
    #[must_use]
    pub fn available(&self) -> Money {
        // Beyond the bound only for a debt of 10^12 with holds on top.
        self.balance.checked_sub(self.held).unwrap_or(Money::MAX.negated())
    }

    /// What of the balance was bought and what was given.
    #[must_use]
    pub fn parts(&self) -> Parts {
        // Never beyond the bound: lots are drawn first, so the purchased part falls only while there is no bonus, and
        // never rises above the balance.
        let purchased = self.balance.checked_sub(self.bonus).unwrap_or(Money::MAX.negated());
        Parts { purchased, bonus: self.bonus }
    }

    /// Bonuses that have something left, in the order they are drawn.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        self.lots.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The lot of a grant, while it has something left.
    pub(crate) fn lot(&self, granted_seq: u64) -> Option<&Lot> {
        self.lots().iter().find(|lot| lot.granted_seq == granted_seq)
    }

    /// The latest month whose plan fee is posted, `2026-11`.
    #[must_use]
    pub fn fee_posted(&self) -> Option<String> {
        self.fee_period.map(|period| period.to_string())
    }

    /// The month whose plan fee comes next, and the instant at which it begins.
    pub(crate) fn fee_due(&self) -> Option<(Period, i64)> {
        let period = self.fee_next?;
        Some((period, period.start_ms(zone_of(self.time_zone()))?))
    }

    /// Whether the zone was changed before an entry.
    pub(crate) fn has_moved_before(&self, seq: u64) -> bool {
        self.moved.as_ref().is_some_and(|moved| moved.seq < seq)
    }

    /// The zone that it was opened in.
    pub(crate) fn opening_zone(&self) -> &str {
        self.moved.as_ref().map_or(self.time_zone(), |moved| &moved.from)
    }

    /// Whether holds of that booth are refused.
    #[must_use]
    pub fn is_paused(&self, booth_id: &str) -> bool {
        self.paused.as_ref().is_some_and(|paused| paused.contains(booth_id))
    }

    /// How many booths are paused.
    pub(crate) fn paused_booths(&self) -> usize {
        self.paused.as_ref().map_or(0, |paused| paused.len())
    }

    /// The plan whose prices apply to work of that instant.
    #[must_use]
    pub fn plan_at(&self, occurred_at_ms: i64) -> &str {
        let plans = &self.profile.plans;
        let after = plans.partition_point(|(from, _)| *from <= occurred_at_ms);
        let index = after.saturating_sub(1);
        plans.get(index).map_or("", |(_, plan)| plan.as_str())
    }

    /// A later word about the same instant wins.
    pub(crate) fn set_plan(&mut self, effective_at_ms: i64, plan: &str) {
        let plans = &mut Arc::make_mut(&mut self.profile).plans;
        let at = plans.partition_point(|(from, _)| *from <= effective_at_ms);
        plans.insert(at, (effective_at_ms, plan.to_owned()));
    }

    pub(crate) fn set_booth(&mut self, booth_id: &str, paused: bool) {
        if self.is_paused(booth_id) == paused {
            return;
        }
        let set = Arc::make_mut(self.paused.get_or_insert_default());
        if paused {
            set.insert(booth_id.into());
        } else {
            set.remove(booth_id);
        }
        if set.is_empty() {
            self.paused = None;
        }
    }

    /// How much of a charge comes out of bonus lots: all there is, before the purchased part.
    pub(crate) fn bonus_for(&self, charge: Money) -> Money {
        if charge.is_negative() { Money::ZERO } else { charge.min(self.bonus) }
    }

    /// Takes a new lot in. `None` where it has nothing or the bonus part leaves its bound.
    pub(crate) fn grant(&mut self, lot: Lot) -> Option<()> {
        if lot.remaining <= Money::ZERO {
            return None;
        }
        self.bonus = self.bonus.checked_add(lot.remaining)?;
        let lots = Arc::make_mut(self.lots.get_or_insert_default());
        let at = lots.partition_point(|known| known.rank() < lot.rank());
        lots.insert(at, lot);
        Some(())
    }

    /// Takes `amount` out of the lots, soonest expiry first, and gives back those that have nothing left then.
    /// `None` where there is less than that.
    pub(crate) fn draw(&mut self, amount: Money) -> Option<Vec<Lot>> {
        if amount.is_negative() || amount > self.bonus {
            return None;
        }
        let mut left = amount;
        let lots = Arc::make_mut(self.lots.get_or_insert_default());
        let mut used_up = 0_usize;
        for lot in lots.iter_mut() {
            let taken = lot.remaining.min(left);
            lot.remaining = lot.remaining.checked_sub(taken)?;
            left = left.checked_sub(taken)?;
            if lot.remaining > Money::ZERO {
                break;
            }
            used_up = used_up.checked_add(1)?;
        }
        let ended = lots.drain(..used_up).collect();
        self.bonus = self.bonus.checked_sub(amount)?;
        self.forget_no_lots();
        (left == Money::ZERO).then_some(ended)
    }

    /// Ends a lot with all it has left.
    pub(crate) fn end_lot(&mut self, granted_seq: u64) -> Option<Lot> {
        let at = self.lots().iter().position(|lot| lot.granted_seq == granted_seq)?;
        let lot = Arc::make_mut(self.lots.as_mut()?).remove(at);
        self.bonus = self.bonus.checked_sub(lot.remaining)?;
        self.forget_no_lots();
        Some(lot)
    }

    fn forget_no_lots(&mut self) {
        if self.lots().is_empty() {
            self.lots = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_words_about_the_same_instant_the_later_one_counts() {
        let mut account = Account::open("Luna", "basic", "USD", "Europe/Berlin");
        for (effective_at_ms, plan) in [(100, "pro"), (300, "max"), (100, "plus"), (200, "basic"), (300, "pro")] {
            account.set_plan(effective_at_ms, plan);
        }
        let plans: Vec<&str> = [i64::MIN, 99, 100, 199, 200, 299, 300, i64::MAX].map(|at| account.plan_at(at)).to_vec();
        assert_eq!(plans, ["basic", "basic", "plus", "plus", "basic", "basic", "pro", "pro"]);
        // A change dated to the very beginning of time takes the opening's place.
        account.set_plan(i64::MIN, "early");
        assert_eq!((account.plan_at(i64::MIN), account.plan_at(99), account.plan_at(100)), ("early", "early", "plus"));
    }
}
