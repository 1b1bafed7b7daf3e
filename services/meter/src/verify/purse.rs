//! What an account keeps beside its balance, told again from its entries: holds, bonus lots, what was given back, spend
//! per event. Written apart from the meter's own fold.

use hashbrown::{HashMap, HashSet};
use tollbooth_schemas::v1::{
    BonusExpired, BonusGranted, BudgetRule, Entry, EventDefined, HoldOutcome, HoldPlaced, HoldReleaseCause,
    HoldReleased, Purchase, SourceTopic, Usage, UsageStatus, entry::Kind,
};

use super::report::Defect;

/// Longest time a hold may be given, in milliseconds.
const HOLD_MS_MAX: i64 = 86_400_000;

/// A defect, and why it is one.
pub(super) type Complaint = (Defect, String);

#[derive(Debug)]
struct Hold {
    amount: i64,
    expires_at_ms: i64,
    event_id: Box<str>,
    /// Posting time of the entry that ended it.
    ended_at_ms: Option<i64>,
}

#[derive(Debug)]
struct Lot {
    granted_seq: u64,
    expires_at_ms: Option<i64>,
    remaining: i64,
}

#[derive(Debug, Default)]
struct Event {
    spent: i128,
    held: i128,
    /// Of one that refuses holds beyond it.
    budget: Option<i128>,
    /// Whether it refuses or only warns.
    any_budget: Option<i128>,
}

/// See the module. Amounts are millionths.
#[derive(Debug, Default)]
pub(super) struct Purse {
    holds: HashMap<Box<str>, Hold>,
    lots: Vec<Lot>,
    /// What was given back of a charge, by its `seq`.
    refunded: HashMap<u64, i128>,
    events: HashMap<Box<str>, Event>,
    paused: HashSet<Box<str>>,
    payments: HashSet<Box<str>>,
    credit_limit: i64,
    fee_period: Box<str>,
    /// Given back by the entry before, for the charge that is made anew.
    on_the_way: i64,
    /// Bonuses ever granted.
    pub(super) grants: u64,
}

/// An entry, and the account before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posting<'a> {
    pub(super) entry: &'a Entry,
    pub(super) posted_at_ms: i64,
    pub(super) held_before: i64,
    /// How long what has ended is remembered.
    pub(super) retention_ms: i64,
}

impl Posting<'_> {
    fn is_tick(&self) -> bool {
        self.entry.source_topic() == SourceTopic::Tick
    }

    fn is_remembered(&self, at_ms: i64) -> bool {
        self.posted_at_ms.saturating_sub(at_ms) <= self.retention_ms
    }
}

fn held(why: impl Into<String>) -> Complaint {
    (Defect::HeldOff, why.into())
}

fn bonus(why: impl Into<String>) -> Complaint {
    (Defect::BonusOff, why.into())
}

fn content(why: impl Into<String>) -> Complaint {
    (Defect::WrongContent, why.into())
}

impl Purse {
    /// How many events were named so far.
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }

    /// Spend and budget of an event that has one.
    pub(super) fn budget(&self, event_id: &str) -> Option<(i128, i128)> {
        let event = self.events.get(event_id)?;
        Some((event.spent, event.any_budget?))
    }

    /// Takes an entry in, and says what is wrong with it. What is held must have changed by exactly what comes back.
    pub(super) fn take_in(&mut self, posting: Posting<'_>, kind: &Kind, complaints: &mut Vec<Complaint>) -> i128 {
        let entry = posting.entry;
        // What was given back right before pays for the charge that is made anew.
        let covered = std::mem::take(&mut self.on_the_way);
        let draws = match kind {
            Kind::BonusExpired(_) => 0,
            Kind::Repriced(_) => self.draw(entry.amount_micros.saturating_add(covered)),
            _ => self.draw(entry.amount_micros),
        };
        if entry.is_first_of_two() {
            self.on_the_way = entry.amount_micros;
        }
        if i128::from(entry.from_bonus_micros) != i128::from(draws) {
            complaints.push(bonus(format!("{} drawn from bonuses, expected {draws}", entry.from_bonus_micros)));
        }
        self.count_spend(entry);
        let (moved, found) = match kind {
            Kind::Usage(usage) => self.usage(posting, usage),
            Kind::HoldPlaced(placed) => self.place(posting, placed),
            Kind::HoldReleased(released) => self.release(posting, released),
            other => (0, self.holds_nothing(posting, other)),
        };
        complaints.extend(found.err());
        moved
    }

    /// Kinds that leave alone what is held.
    fn holds_nothing(&mut self, posting: Posting<'_>, kind: &Kind) -> Result<(), Complaint> {
        match kind {
            Kind::BonusGranted(granted) => self.grant(posting, granted),
            Kind::BonusExpired(expired) => self.expire(posting, expired),
            Kind::Purchase(purchase) => self.purchase(posting.entry, purchase),
            Kind::PlanFee(fee) if *fee.period <= *self.fee_period => {
                Err((Defect::Doubled, format!("the fee of {} after that of {}", fee.period, self.fee_period)))
            }
            Kind::PlanFee(fee) => {
                self.fee_period = fee.period.as_str().into();
                Ok(())
            }
            Kind::CreditLimitSet(set) => {
                self.credit_limit = set.credit_limit_micros;
                if set.credit_limit_micros < 0 { Err(content("a credit limit below 0")) } else { Ok(()) }
            }
            Kind::EventDefined(defined) => {
                self.define(defined);
                Ok(())
            }
            Kind::BoothSet(set) => {
                if set.paused {
                    self.paused.insert(set.booth_id.as_str().into());
                } else {
                    self.paused.remove(set.booth_id.as_str());
                }
                Ok(())
            }
            Kind::AccountOpened(_)
            | Kind::Adjustment(_)
            | Kind::PlanChanged(_)
            | Kind::RechargeSet(_)
            | Kind::RechargeRequested(_)
            | Kind::RechargeFailed(_)
            | Kind::AlertsSet(_)
            | Kind::AlertRaised(_)
            | Kind::ProfileSet(_)
            | Kind::Reversal(_)
            | Kind::Repriced(_)
            | Kind::Usage(_)
            | Kind::HoldPlaced(_)
            | Kind::HoldReleased(_) => Ok(()),
        }
    }

    /// How much of a charge comes out of bonuses: all they have, those that end soonest first.
    fn draw(&mut self, amount: i64) -> i64 {
        let mut left = amount.min(0).saturating_neg();
        let wanted = left;
        self.lots.sort_by_key(|lot| (lot.expires_at_ms.unwrap_or(i64::MAX), lot.granted_seq));
        for lot in &mut self.lots {
            let taken = lot.remaining.min(left);
            lot.remaining -= taken;
            left -= taken;
        }
        self.lots.retain(|lot| lot.remaining > 0);
        wanted - left
    }

    fn count_spend(&mut self, entry: &Entry) {
        if entry.amount_micros != 0 && !entry.event_id().is_empty() {
            self.event(entry.event_id()).spent -= i128::from(entry.amount_micros);
        }
    }

    fn event(&mut self, event_id: &str) -> &mut Event {
        self.events.entry(event_id.into()).or_default()
    }

    fn usage(&mut self, posting: Posting<'_>, usage: &Usage) -> (i128, Result<(), Complaint>) {
        let is_success = usage.status() == UsageStatus::Success;
        let known = self.holds.get(usage.hold_id.as_str());
        let (expected, also) = match known.map(|hold| hold.ended_at_ms) {
            _ if usage.hold_id.is_empty() => (HoldOutcome::None, HoldOutcome::None),
            Some(None) if is_success => (HoldOutcome::Captured, HoldOutcome::Captured),
            Some(None) => (HoldOutcome::ReleasedByFailure, HoldOutcome::ReleasedByFailure),
            Some(Some(ended_at_ms)) if posting.is_remembered(ended_at_ms) => {
                (HoldOutcome::EndedBefore, HoldOutcome::EndedBefore)
            }
            // Forgotten by whole weeks: some are remembered longer.
            Some(Some(_)) => (HoldOutcome::EndedBefore, HoldOutcome::Unknown),
            // A ledger may begin with entries of a release that knew no holds.
            None => (HoldOutcome::Unknown, HoldOutcome::None),
        };
        let outcome = HoldOutcome::try_from(usage.hold_outcome);
        let found = if outcome == Ok(expected) || outcome == Ok(also) {
            Ok(())
        } else {
            Err(held(format!("{outcome:?} of {:?}, expected {expected:?}", usage.hold_id)))
        };
        let ends = matches!(outcome, Ok(HoldOutcome::Captured | HoldOutcome::ReleasedByFailure));
        (if ends { self.end(posting, &usage.hold_id) } else { 0 }, found)
    }

    /// Ends an open hold; what is no longer held, negative.
    fn end(&mut self, posting: Posting<'_>, hold_id: &str) -> i128 {
        let Some(hold) = self.holds.get_mut(hold_id).filter(|hold| hold.ended_at_ms.is_none()) else { return 0 };
        hold.ended_at_ms = Some(posting.posted_at_ms);
        let (amount, event_id) = (i128::from(hold.amount), hold.event_id.clone());
        if !event_id.is_empty() {
            self.event(&event_id).held -= amount;
        }
        -amount
    }

    fn place(&mut self, posting: Posting<'_>, placed: &HoldPlaced) -> (i128, Result<(), Complaint>) {
        let found = self.may_place(posting, placed);
        let hold = Hold {
            amount: placed.amount_micros,
            expires_at_ms: placed.expires_at_ms,
            event_id: placed.event_id.as_str().into(),
            ended_at_ms: None,
        };
        self.holds.insert(placed.hold_id.as_str().into(), hold);
        if !placed.event_id.is_empty() {
            self.event(&placed.event_id).held += i128::from(placed.amount_micros);
        }
        (placed.amount_micros.into(), found)
    }

    fn may_place(&self, posting: Posting<'_>, placed: &HoldPlaced) -> Result<(), Complaint> {
        let Posting { entry, posted_at_ms, held_before, .. } = posting;
        if let Some(before) = self.holds.get(placed.hold_id.as_str())
            && before.ended_at_ms.is_none_or(|ended_at_ms| posting.is_remembered(ended_at_ms))
        {
            return Err((Defect::Doubled, format!("hold {:?} was placed before", placed.hold_id)));
        }
        let lasts_ms = placed.expires_at_ms.saturating_sub(posted_at_ms);
        if placed.amount_micros < 0 || !(1..=HOLD_MS_MAX).contains(&lasts_ms) {
            return Err(held(format!("a hold of {} for {lasts_ms} ms", placed.amount_micros)));
        }
        if self.paused.contains(placed.booth_id.as_str()) {
            return Err(held(format!("a hold of {:?}, which is paused", placed.booth_id)));
        }
        let amount = i128::from(placed.amount_micros);
        let available = i128::from(entry.balance_after_micros) - i128::from(held_before);
        if amount > available + i128::from(self.credit_limit) {
            return Err(held(format!("{amount} held of {available} and a credit limit of {}", self.credit_limit)));
        }
        if let Some((event, budget)) =
            self.events.get(placed.event_id.as_str()).and_then(|event| event.budget.map(|budget| (event, budget)))
            && event.spent + event.held + amount > budget
        {
            return Err(held(format!("beyond the budget of {:?}", placed.event_id)));
        }
        Ok(())
    }

    fn release(&mut self, posting: Posting<'_>, released: &HoldReleased) -> (i128, Result<(), Complaint>) {
        let found = self.may_release(posting, released);
        (self.end(posting, &released.hold_id), found)
    }

    fn may_release(&self, posting: Posting<'_>, released: &HoldReleased) -> Result<(), Complaint> {
        let hold = self.holds.get(released.hold_id.as_str()).filter(|hold| hold.ended_at_ms.is_none());
        let Some(hold) = hold else { return Err(held(format!("{:?} is not open", released.hold_id))) };
        if hold.amount != released.amount_micros {
            return Err(held(format!("{} released of {}", released.amount_micros, hold.amount)));
        }
        match released.cause() {
            HoldReleaseCause::Voided if !posting.is_tick() => Ok(()),
            HoldReleaseCause::Expired if posting.is_tick() => ended(posting, Some(hold.expires_at_ms)),
            cause => Err(content(format!("{cause:?} from {:?}", posting.entry.source_topic()))),
        }
    }

    fn grant(&mut self, posting: Posting<'_>, granted: &BonusGranted) -> Result<(), Complaint> {
        let Posting { entry, posted_at_ms, .. } = posting;
        self.grants += 1;
        let expires_at_ms = granted.expires_at_ms;
        self.lots.push(Lot { granted_seq: entry.seq, expires_at_ms, remaining: entry.amount_micros.max(0) });
        if entry.amount_micros <= 0 || expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= posted_at_ms) {
            return Err(bonus(format!("a bonus of {} until {expires_at_ms:?}", entry.amount_micros)));
        }
        Ok(())
    }

    fn expire(&mut self, posting: Posting<'_>, expired: &BonusExpired) -> Result<(), Complaint> {
        let Some(at) = self.lots.iter().position(|lot| lot.granted_seq == expired.granted_seq) else {
            return Err(bonus(format!("nothing is left of the bonus of seq {}", expired.granted_seq)));
        };
        let lot = self.lots.remove(at);
        if posting.entry.amount_micros != -lot.remaining {
            return Err(bonus(format!("{} expired of {}", posting.entry.amount_micros, lot.remaining)));
        }
        if !posting.is_tick() {
            return Err(content("an expiry that no instant made"));
        }
        ended(posting, lot.expires_at_ms)
    }

    fn purchase(&mut self, entry: &Entry, purchase: &Purchase) -> Result<(), Complaint> {
        if !self.payments.insert(purchase.payment_id.as_str().into()) {
            return Err((Defect::Doubled, format!("payment {:?} posted before", purchase.payment_id)));
        }
        if entry.amount_micros <= 0 { Err(content("a purchase that brings nothing")) } else { Ok(()) }
    }

    fn define(&mut self, defined: &EventDefined) {
        let refuses = defined.on_exceeded() == BudgetRule::RefuseHolds;
        let event = self.event(&defined.event_id);
        event.any_budget = defined.budget_micros.map(i128::from);
        event.budget = event.any_budget.filter(|_| refuses);
    }

    /// Gives back a part of a charge; `false` where it is more than that.
    pub(super) fn give_back(&mut self, original_seq: u64, amount: i64, charged: i64) -> GivenBack {
        let refunded = self.refunded.entry(original_seq).or_default();
        *refunded += i128::from(amount);
        match (*refunded).cmp(&i128::from(charged)) {
            // Of a charge of nothing, nothing: it is made anew.
            _ if amount <= 0 && amount != charged => GivenBack::TooMuch,
            std::cmp::Ordering::Less => GivenBack::InPart,
            std::cmp::Ordering::Equal => GivenBack::Whole,
            std::cmp::Ordering::Greater => GivenBack::TooMuch,
        }
    }
}

/// What is left of a charge after a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenBack {
    /// Something.
    InPart,
    /// Nothing.
    Whole,
    /// Less than nothing.
    TooMuch,
}

/// Not before its instant, and dated to it.
fn ended(posting: Posting<'_>, expires_at_ms: Option<i64>) -> Result<(), Complaint> {
    let Posting { entry, posted_at_ms, .. } = posting;
    if expires_at_ms == Some(entry.occurred_at_ms) && posted_at_ms >= entry.occurred_at_ms {
        return Ok(());
    }
    Err(content(format!("expired at {}, was to at {expires_at_ms:?}", entry.occurred_at_ms)))
}
