//! Buying credit by itself, when too little is available.
//!
//! At most one recharge is under way: asked for by an entry, ended by the purchase with its id, by a failure, or by a tick
//! when no answer came for a week. When the next thing is due (asking, or that end) is a function of what was folded: it is
//! worked out anew after every entry of an account that has a rule, so that an account without one pays nothing for it.
//!
//! Too little is a state, not an event: whatever made it so, and whatever a recharge that did not reach leaves, is seen.

mod image;

use std::sync::Arc;

pub(crate) use image::RechargeImage;

use tollbooth_schemas::{
    Money,
    ids::recharge_id,
    time::DAY_MS,
    v1::{Purchase, PurchaseSource, RechargeFailed, RechargeRequested, RechargeSet, entry::Kind, recharge_set::Size},
    zone::next_day_start_ms,
};

use crate::{
    account::Account,
    due::Due,
    fold::{At, FoldError},
    period::{Period, zone_of},
    place::Draft,
    state::ViewMut,
};

/// The least that is bought: providers take no less.
pub(crate) const PAYMENT_MIN: Money = match Money::from_micros(1_000_000) {
    Some(money) => money,
    None => Money::ZERO,
};
/// The most that is bought at once by a rule up to a target that does not say it: those of before it was asked for.
const PAYMENT_MAX: Money = match Money::from_micros(10_000_000_000) {
    Some(money) => money,
    None => Money::ZERO,
};
/// A hundredth: cards take no smaller part.
pub(crate) const CENT_MICROS: i64 = 10_000;
/// How long an answer is waited for: as long as the request is kept.
const ANSWER_MS_MAX: i64 = 7 * DAY_MS;
/// Pause after a recharge that did not reach.
const PAUSE_MS: i64 = 60_000;
/// Pause after one whose money is mostly there still; each further one doubles it, up to a bound.
const UNUSED_MS_MIN: i64 = 600_000;
const UNUSED_MS_MAX: i64 = 6 * 3_600_000;
/// Pause after the first failure; each further one doubles it, up to a bound.
const RETRY_MS_MIN: i64 = 60_000;
const RETRY_MS_MAX: i64 = 6 * 3_600_000;

/// When and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    threshold: Money,
    size: Amount,
    /// Bought at once at most.
    most: Option<Money>,
    daily_cap: Option<Money>,
    monthly_cap: Option<Money>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Fixed(Money),
    UpTo(Money),
}

/// What was asked for in a day or a month, failures aside.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Window {
    ends_at_ms: i64,
    asked: Money,
}

impl Window {
    /// What a cap leaves at an instant.
    fn left(&self, cap: Money, at_ms: i64) -> Money {
        let asked = if at_ms < self.ends_at_ms { self.asked } else { Money::ZERO };
        cap.checked_sub(asked).unwrap_or_default().max(Money::ZERO)
    }

    /// When it ends, where it has not: a zone that was set meanwhile is that of the next one.
    fn running(&self, at_ms: i64) -> Option<i64> {
        (at_ms < self.ends_at_ms).then_some(self.ends_at_ms)
    }

    fn add(&mut self, ends_at_ms: i64, amount: Money) {
        let asked = if ends_at_ms == self.ends_at_ms { self.asked } else { Money::ZERO };
        // Beyond the bound it is beyond every cap, too.
        *self = Self { ends_at_ms, asked: asked.checked_add(amount).unwrap_or(Money::MAX) };
    }

    fn take_back(&mut self, amount: Money) {
        self.asked = self.asked.checked_sub(amount).unwrap_or_default().max(Money::ZERO);
    }
}

impl Rule {
    /// What would be bought, the caps aside. Cut before it is rounded: what is missing to a target has no bound.
    fn wanted(self, available: Money) -> Option<Money> {
        whole_cents(match self.size {
            Amount::Fixed(amount) => amount,
            Amount::UpTo(target) => {
                let missing = target.checked_sub(available).unwrap_or(Money::MAX);
                missing.max(PAYMENT_MIN).min(self.most.unwrap_or_else(|| self.most_of_before(target)))
            }
        })
    }

    /// What lies between threshold and target was allowed, however much it is.
    fn most_of_before(self, target: Money) -> Money {
        target.checked_sub(self.threshold).unwrap_or_default().max(PAYMENT_MAX)
    }
}

/// The last one that was paid. Holds leave less available and cost nothing: where they are all that does, more money is no
/// use, and whoever places them would have the card charged as often as he likes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bought {
    at_ms: i64,
    amount: Money,
    /// The most that the balance came to since.
    balance_max: Money,
    /// How many in a row were bought while the one before was unused.
    unused_before: u32,
}

impl Bought {
    /// The balance alone is enough, and less than half of the money was spent.
    fn is_unused(&self, balance: Money, threshold: Money) -> bool {
        let spent = self.balance_max.checked_sub(balance).unwrap_or(Money::MAX).micros();
        balance >= threshold && spent.saturating_mul(2) < self.amount.micros()
    }

    fn pause_ends_ms(&self) -> i64 {
        self.at_ms.saturating_add(doubled(UNUSED_MS_MIN, self.unused_before, UNUSED_MS_MAX))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct UnderWay {
    id: Box<str>,
    amount: Money,
    asked_at_ms: i64,
}

/// The rule of an account, and how it stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Recharge {
    /// `None`: off.
    rule: Option<Rule>,
    under_way: Option<UnderWay>,
    /// In a row.
    failures: u32,
    /// Nothing is asked for before.
    not_before_ms: i64,
    day: Window,
    month: Window,
    /// `None`: none was since the rule was set.
    bought: Option<Bought>,
    /// Since when too little is available.
    low_since_ms: Option<i64>,
    /// When something is due: asking, or giving up the answer.
    due_at_ms: Option<i64>,
}

enum Ask {
    Now(Money),
    /// The caps leave too little before.
    At(i64),
    /// The balance would leave its bound.
    Never,
}

impl Recharge {
    pub(crate) const fn due_at_ms(&self) -> Option<i64> {
        self.due_at_ms
    }

    /// The recharge that is under way has this id.
    pub(crate) fn is_under_way(&self, recharge_id: &str) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| *under_way.id == *recharge_id)
    }

    fn is_low(&self, account: &Account) -> bool {
        self.rule.is_some_and(|rule| account.available() < rule.threshold)
    }

    /// What would be bought at an instant at which too little is available.
    fn ask(&self, account: &Account, at_ms: i64) -> Ask {
        let Some(rule) = self.rule else { return Ask::Never };
        let Some(wanted) = rule.wanted(account.available()) else { return Ask::Never };
        if account.balance.checked_add(wanted).is_none() {
            return Ask::Never;
        }
        let (mut amount, mut free_at_ms) = (wanted, at_ms);
        for (cap, window) in [(rule.daily_cap, &self.day), (rule.monthly_cap, &self.month)] {
            let Some(cap) = cap else { continue };
            let left = window.left(cap, at_ms);
            amount = amount.min(left);
            if left < PAYMENT_MIN {
                free_at_ms = free_at_ms.max(window.ends_at_ms);
            }
        }
        if free_at_ms > at_ms { Ask::At(free_at_ms) } else { Ask::Now(amount) }
    }

    /// Nothing is asked for before, as long as the money of the last one is there.
    fn unused_until_ms(&self, account: &Account) -> i64 {
        let (Some(rule), Some(bought)) = (self.rule, &self.bought) else { return 0 };
        if bought.is_unused(account.balance, rule.threshold) { bought.pause_ends_ms() } else { 0 }
    }

    /// Ends what is under way: `balance` has its money.
    fn paid(&mut self, balance: Money, at_ms: i64) {
        let Some(UnderWay { amount, .. }) = self.under_way.take() else { return };
        (self.failures, self.not_before_ms) = (0, at_ms.saturating_add(PAUSE_MS));
        let before = balance.checked_sub(amount).unwrap_or_default();
        let unused = self.bought.as_ref().zip(self.rule).filter(|(last, rule)| last.is_unused(before, rule.threshold));
        let unused_before = unused.map_or(0, |(last, _)| last.unused_before.saturating_add(1));
        self.bought = Some(Bought { at_ms, amount, balance_max: balance, unused_before });
    }

    fn next_due(&self, account: &Account, low_since_ms: Option<i64>) -> Option<i64> {
        if let Some(under_way) = &self.under_way {
            return Some(under_way.asked_at_ms.saturating_add(ANSWER_MS_MAX));
        }
        let at_ms = low_since_ms?.max(self.not_before_ms).max(self.unused_until_ms(account));
        match self.ask(account, at_ms) {
            Ask::Now(_) => Some(at_ms),
            Ask::At(at_ms) => Some(at_ms),
            Ask::Never => None,
        }
    }

    /// Whether what is due is what should be.
    pub(crate) fn is_settled(&self, account: &Account) -> bool {
        self.low_since_ms.is_some() == self.is_low(account)
            && self.next_due(account, self.low_since_ms) == self.due_at_ms
    }

    /// The failure that ends the recharge under way.
    pub(crate) fn failure(&self, reason: &str, now_ms: i64) -> Option<RechargeFailed> {
        let under_way = self.under_way.as_ref()?;
        let failures = self.failures.saturating_add(1);
        Some(RechargeFailed {
            recharge_id: under_way.id.to_string(),
            reason: reason.to_owned(),
            failures,
            retry_at_ms: now_ms.saturating_add(retry_ms(failures)),
            amount_micros: under_way.amount.micros(),
        })
    }
}

/// Rounded up: a recharge that reaches, reaches.
fn whole_cents(amount: Money) -> Option<Money> {
    let above = amount.micros().checked_rem(CENT_MICROS)?;
    if above == 0 {
        Some(amount)
    } else {
        Money::from_micros(amount.micros().checked_add(CENT_MICROS)?.checked_sub(above)?)
    }
}

fn retry_ms(failures: u32) -> i64 {
    doubled(RETRY_MS_MIN, failures.saturating_sub(1), RETRY_MS_MAX)
}

fn doubled(ms: i64, times: u32, ms_max: i64) -> i64 {
    ms.saturating_mul(1_i64.wrapping_shl(times.min(20))).min(ms_max)
}

/// What is due at that instant: a request, or the end of one without an answer.
pub(crate) fn at_due(account: &Account, account_id: &str, due_at_ms: i64, now_ms: i64) -> Option<Draft> {
    let recharge = account.recharge.as_ref().filter(|recharge| recharge.due_at_ms == Some(due_at_ms))?;
    if let Some(failed) = recharge.failure("no_answer", now_ms) {
        return Some(Draft::of(due_at_ms, Kind::RechargeFailed(failed)));
    }
    // What the caps leave only grows with time.
    let (Ask::Now(amount), Some(rule)) = (recharge.ask(account, now_ms), recharge.rule) else { return None };
    let zone = zone_of(account.time_zone());
    let requested = RechargeRequested {
        recharge_id: recharge_id(account_id, account.seq.checked_add(1)?),
        amount_micros: amount.micros(),
        available_micros: account.available().micros(),
        threshold_micros: rule.threshold.micros(),
        day_ends_at_ms: recharge.day.running(now_ms).or_else(|| next_day_start_ms(zone, now_ms))?,
        month_ends_at_ms: recharge.month.running(now_ms).or_else(|| Period::of(zone, now_ms)?.next().start_ms(zone))?,
    };
    Some(Draft::of(due_at_ms, Kind::RechargeRequested(requested)))
}

/// The newest word. What is under way stays so: money may have been taken.
pub(crate) fn set(state: &mut impl ViewMut, at: At<'_>, set: &RechargeSet) -> Result<(), FoldError> {
    let rule = if set.enabled { Some(rule_of(set).ok_or_else(|| at.recharge())?) } else { None };
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let recharge = Arc::make_mut(account.recharge.get_or_insert_default());
    (recharge.rule, recharge.failures, recharge.not_before_ms) = (rule, 0, 0);
    // A fresh start is due now, not when too little was left.
    recharge.low_since_ms = None;
    recharge.bought = None;
    Ok(())
}

fn rule_of(set: &RechargeSet) -> Option<Rule> {
    let amount = |micros: i64| Money::from_micros(micros).filter(|amount| !amount.is_negative());
    let size = match set.size? {
        Size::AmountMicros(micros) => Amount::Fixed(amount(micros)?),
        Size::TargetMicros(micros) => Amount::UpTo(amount(micros)?),
    };
    let cap = |micros: Option<i64>| micros.map_or(Some(None), |micros| amount(micros).map(Some));
    let (daily_cap, monthly_cap) = (cap(set.daily_cap_micros)?, cap(set.monthly_cap_micros)?);
    let most = cap(set.amount_max_micros)?;
    Some(Rule { threshold: amount(set.threshold_micros)?, size, most, daily_cap, monthly_cap })
}

fn of<'a>(state: &'a mut impl ViewMut, at: At<'_>) -> Result<&'a mut Recharge, FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    Ok(Arc::make_mut(account.recharge.as_mut().ok_or_else(|| at.recharge())?))
}

pub(crate) fn requested(state: &mut impl ViewMut, at: At<'_>, requested: &RechargeRequested) -> Result<(), FoldError> {
    let amount = Money::from_micros(requested.amount_micros).filter(|amount| *amount > Money::ZERO);
    let amount = amount.ok_or_else(|| at.recharge())?;
    let recharge = of(state, at)?;
    if recharge.under_way.is_some() {
        return Err(at.recharge());
    }
    let id = requested.recharge_id.as_str().into();
    recharge.under_way = Some(UnderWay { id, amount, asked_at_ms: at.posted_at_ms });
    recharge.day.add(requested.day_ends_at_ms, amount);
    recharge.month.add(requested.month_ends_at_ms, amount);
    Ok(())
}

pub(crate) fn failed(state: &mut impl ViewMut, at: At<'_>, failed: &RechargeFailed) -> Result<(), FoldError> {
    let recharge = of(state, at)?;
    let under_way = recharge.under_way.take().filter(|under_way| *under_way.id == *failed.recharge_id);
    let amount = under_way.ok_or_else(|| at.recharge())?.amount;
    (recharge.failures, recharge.not_before_ms) = (failed.failures, failed.retry_at_ms);
    // Nothing was asked for since: the windows are those of this one.
    recharge.day.take_back(amount);
    recharge.month.take_back(amount);
    Ok(())
}

/// A purchase ends the recharge that is under way where it is that one's. Money of one that was given up counts as money.
pub(crate) fn purchased(state: &mut impl ViewMut, at: At<'_>, purchase: &Purchase) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let balance = account.balance;
    let recharge = account.recharge.as_mut().filter(|recharge| recharge.is_under_way(&purchase.payment_id));
    if let Some(recharge) = recharge.filter(|_| purchase.source() == PurchaseSource::AutoRecharge) {
        Arc::make_mut(recharge).paid(balance, at.posted_at_ms);
    }
    Ok(())
}

/// Works out anew what is due; after every entry of an account with a rule.
pub(crate) fn settle(state: &mut impl ViewMut, at: At<'_>) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let Some(recharge) = account.recharge.as_deref() else { return Ok(()) };
    let is_low = recharge.is_low(account);
    let low_since_ms = is_low.then(|| recharge.low_since_ms.unwrap_or(at.posted_at_ms));
    let due_at_ms = recharge.next_due(account, low_since_ms);
    let before = recharge.due_at_ms;
    // One that reached needs no pause; failures keep theirs.
    let is_over = !is_low && recharge.failures == 0 && recharge.not_before_ms != 0;
    let balance = account.balance;
    let is_more = recharge.bought.as_ref().is_some_and(|bought| bought.balance_max < balance);
    if low_since_ms == recharge.low_since_ms && due_at_ms == before && !is_over && !is_more {
        return Ok(());
    }
    if let Some(recharge) = &mut account.recharge {
        let recharge = Arc::make_mut(recharge);
        if let Some(bought) = &mut recharge.bought {
            bought.balance_max = bought.balance_max.max(balance);
        }
        (recharge.low_since_ms, recharge.due_at_ms) = (low_since_ms, due_at_ms);
        if is_over {
            recharge.not_before_ms = 0;
        }
    }
    if before != due_at_ms {
        if let Some(at_ms) = before {
            state.remove_due(Due::recharge(at.account_id, at_ms));
        }
        if let Some(at_ms) = due_at_ms {
            state.add_due(Due::recharge(at.account_id, at_ms));
        }
    }
    Ok(())
}
