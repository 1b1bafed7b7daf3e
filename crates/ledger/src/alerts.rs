//! What an account wants to be told of.
//!
//! Every entry of an account that has rules is looked at. A rule that is crossed is *told*: what is to be said is written
//! down as it was at the crossing, and a tick makes the entry of it, whose effect leaves through the outbox. What was told
//! is told again only after it was armed anew: by a balance that is back above what it fell below by a margin, or by a
//! purchase that brings it there at all. Thus a balance that trembles around a threshold says so once, and a crossing that
//! a purchase undoes in the same moment is not missed. Events and booths keep what was told of them themselves.
//!
//! All of it is a function of what was folded, in whole numbers.

mod image;

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use tollbooth_schemas::{
    Money,
    v1::{AlertKind, AlertRaised, AlertsSet, Entry, RechargeFailed, Usage, entry::Kind},
};

pub(crate) use image::AlertsImage;

use crate::{
    account::Account,
    booths::{BoothCharge, Booths},
    burn::{Burn, WINDOW_HOURS},
    due::Due,
    events::{Event, Told},
    fold::{At, FoldError},
    place::Draft,
    state::ViewMut,
};

/// Most amounts of one document.
pub const BALANCE_MARKS_MAX: usize = 10;
/// Most percents of the last purchase, and of a budget, of one document.
pub const PERCENT_MARKS_MAX: usize = 5;
/// Largest percent of a budget.
pub const BUDGET_PERCENT_MAX: u32 = 1_000;
/// Longest time to empty that can be asked for: 30 days.
pub const EMPTY_IN_HOURS_MAX: u32 = 720;
/// How many times its average hour a booth can be asked to spend.
pub const SPIKE_TIMES: RangeInclusive<u32> = 2..=100;

/// An amount is armed anew a twentieth above it, and at least this much.
const MARGIN_MIN_MICROS: i128 = 1_000_000;
/// A budget's mark is armed anew so many points below it.
const BUDGET_MARGIN_PERCENT: u32 = 5;

/// A rule about the account as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Below(i64),
    BelowTopUp(u32),
    RechargeFailed,
    EmptySoon,
}

/// The rules of an account, and how they stand; from the first purchase on, or the first rules.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Alerts {
    /// Amount of the last purchase; zero: none yet.
    top_up: Money,
    rules: AlertsSet,
    /// The entry that set them; 0: none did.
    set_seq: u64,
    told: BTreeSet<Rule>,
    burn: Burn,
    /// How many were raised so far.
    raised: u64,
    /// Raised, and without an entry yet; oldest first.
    pending: Vec<AlertRaised>,
    /// None without a rule about them.
    booths: Booths,
}

/// What an entry left.
#[derive(Clone, Copy)]
struct Left<'a> {
    at: At<'a>,
    balance: i128,
    top_up: i128,
    spent: i128,
    kind: &'a Kind,
}

impl Left<'_> {
    fn is_purchase(&self) -> bool {
        matches!(self.kind, Kind::Purchase(_))
    }

    /// Of a balance that fell below an amount, or is back.
    fn against(&self, threshold: i128) -> Stand {
        if self.balance < threshold {
            Stand::Crossed
        } else if self.is_purchase() || self.balance >= threshold.saturating_add(margin(threshold)) {
            Stand::Armed
        } else {
            Stand::Between
        }
    }

    /// Whether the balance lasts for so many hours, at the rate of the window.
    fn lasts(&self, hours: u32) -> Stand {
        let have = self.balance.saturating_mul(i128::from(WINDOW_HOURS));
        let need = self.spent.saturating_mul(i128::from(hours));
        if self.spent > 0 && have < need {
            Stand::Crossed
        } else if self.is_purchase() || have.saturating_mul(4) >= need.saturating_mul(5) {
            Stand::Armed
        } else {
            Stand::Between
        }
    }
}

/// Of a rule after an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    Crossed,
    /// Neither: as it was.
    Between,
    Armed,
}

fn margin(threshold: i128) -> i128 {
    threshold.checked_div(20).unwrap_or_default().max(MARGIN_MIN_MICROS)
}

/// So many hundredths, rounded down.
fn hundredths(of: i128, percent: u32) -> i128 {
    of.saturating_mul(i128::from(percent)).checked_div(100).unwrap_or_default()
}

fn micros(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

impl Alerts {
    pub(crate) fn pending(&self) -> &[AlertRaised] {
        &self.pending
    }

    fn raise(&mut self, left: &Left<'_>, alert: AlertRaised) -> u64 {
        self.raised = self.raised.saturating_add(1);
        self.pending.push(AlertRaised {
            number: self.raised,
            crossed_seq: left.at.seq,
            crossed_at_ms: left.at.posted_at_ms,
            balance_micros: micros(left.balance),
            ..alert
        });
        self.raised
    }

    /// Every rule about the account as a whole: how it stands, and what would be said.
    fn stands(&self, left: Left<'_>) -> impl Iterator<Item = (Rule, Stand, AlertRaised)> {
        let below = self.rules.balance_below_micros.iter().map(move |amount| {
            let alert = of(AlertKind::BalanceBelow, |alert| alert.threshold_micros = *amount);
            (Rule::Below(*amount), left.against(i128::from(*amount)), alert)
        });
        let percents = self.rules.below_top_up_percents.iter().filter(move |_| left.top_up > 0);
        let percents = percents.map(move |percent| {
            let threshold = hundredths(left.top_up, *percent);
            let alert = of(AlertKind::BelowTopUpPercent, |alert| {
                (alert.threshold_micros, alert.percent) = (micros(threshold), *percent);
            });
            (Rule::BelowTopUp(*percent), left.against(threshold), alert)
        });
        let recharge = self.rules.recharge_failed.then(|| {
            let (stand, failed) = match left.kind {
                Kind::RechargeFailed(failed) => (Stand::Crossed, Some(failed)),
                Kind::Purchase(_) | Kind::RechargeSet(_) => (Stand::Armed, None),
                _ => (Stand::Between, None),
            };
            (Rule::RechargeFailed, stand, recharge_failed(failed))
        });
        let empty = self.rules.empty_in_hours.map(|hours| {
            let alert = of(AlertKind::EmptySoon, |alert| {
                (alert.hours, alert.spent_micros) = (hours, micros(left.spent));
            });
            (Rule::EmptySoon, left.lasts(hours), alert)
        });
        below.chain(percents).chain(recharge).chain(empty)
    }

    /// Whether every rule that the balance alone decides is told where it must be.
    pub(crate) fn is_settled(&self, account: &Account) -> bool {
        let balance = i128::from(account.balance.micros());
        let top_up = i128::from(self.top_up.micros());
        let below = self.rules.balance_below_micros.iter();
        let below = below.map(|amount| (Rule::Below(*amount), i128::from(*amount)));
        let percents = self.rules.below_top_up_percents.iter().filter(|_| top_up > 0);
        let percents = percents.map(|percent| (Rule::BelowTopUp(*percent), hundredths(top_up, *percent)));
        below.chain(percents).all(|(rule, threshold)| balance >= threshold || self.told.contains(&rule))
    }

    /// Whether the booths that are looked at are those that may be.
    pub(crate) fn booths_are_in_order(&self) -> bool {
        self.booths.is_in_order() && (self.rules.booth_spike.is_some() || self.booths == Booths::default())
    }

    /// What an event's spend reached of its budget, and what of it is to be said.
    fn event(&self, event: &Event) -> (Told, Option<u32>) {
        let known = if event.told.set_seq == self.set_seq { event.told.percent } else { 0 };
        let reached = |points: u32| {
            let marks = self.rules.event_budget_percents.iter().copied();
            let spent = event.spent_micros;
            let budget = event.budget.filter(|_| spent > 0).map(|budget| i128::from(budget.micros()));
            let is_reached = |mark: &u32| {
                let share = budget.map(|budget| budget.saturating_mul(i128::from(mark.saturating_sub(points))));
                share.is_some_and(|share| spent.saturating_mul(100) >= share)
            };
            marks.filter(is_reached).max().unwrap_or_default()
        };
        let (now, kept) = (reached(0), known.min(reached(BUDGET_MARGIN_PERCENT)));
        (Told { set_seq: self.set_seq, percent: now.max(kept) }, (now > kept).then_some(now))
    }
}

fn of(kind: AlertKind, say: impl FnOnce(&mut AlertRaised)) -> AlertRaised {
    let mut alert = AlertRaised { kind: kind.into(), ..AlertRaised::default() };
    say(&mut alert);
    alert
}

fn recharge_failed(failed: Option<&RechargeFailed>) -> AlertRaised {
    of(AlertKind::RechargeFailed, |alert| {
        if let Some(failed) = failed {
            (alert.recharge_id, alert.reason) = (failed.recharge_id.clone(), failed.reason.clone());
        }
    })
}

/// The newest word: a fresh start, told at once of whatever is crossed then. What was raised before is still said.
pub(crate) fn set(state: &mut impl ViewMut, at: At<'_>, rules: &AlertsSet) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let alerts = Arc::make_mut(account.alerts.get_or_insert_default());
    (alerts.rules, alerts.set_seq) = (rules.clone(), at.seq);
    alerts.told.clear();
    // Their past is theirs, whatever the rule is; without one nobody asks for it.
    if rules.booth_spike.is_none() {
        alerts.booths = Booths::default();
    }
    Ok(())
}

/// The entry of what was raised; `None` where it stands already.
pub(crate) fn at_due(account: &Account, number: u64) -> Option<Draft> {
    let alert = account.alerts.as_deref()?.pending.iter().find(|alert| alert.number == number)?;
    Some(Draft::of(alert.crossed_at_ms, Kind::AlertRaised(alert.clone())))
}

/// An alert is said as it was raised, once.
pub(crate) fn raised(state: &mut impl ViewMut, at: At<'_>, alert: &AlertRaised) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let alerts = Arc::make_mut(account.alerts.as_mut().ok_or_else(|| at.alert())?);
    let index = alerts.pending.iter().position(|pending| pending == alert).ok_or_else(|| at.alert())?;
    alerts.pending.remove(index);
    state.remove_due(Due::alert(at.account_id, alert.number, alert.crossed_at_ms));
    Ok(())
}

/// Looks at what an entry left; after every entry of an account with rules.
pub(crate) fn observe(state: &mut impl ViewMut, at: At<'_>, entry: &Entry, kind: &Kind) -> Result<(), FoldError> {
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    if let Kind::Purchase(_) = kind {
        let top_up = Money::from_micros(entry.amount_micros).ok_or_else(|| at.chain())?;
        Arc::make_mut(account.alerts.get_or_insert_default()).top_up = top_up;
    }
    let balance = account.balance;
    let Some(alerts) = account.alerts.as_mut().filter(|alerts| alerts.set_seq != 0) else { return Ok(()) };
    if matches!(kind, Kind::Usage(_)) && entry.amount_micros < 0 {
        Arc::make_mut(alerts).burn.add(at.posted_at_ms, entry.amount_micros.unsigned_abs());
    }
    let (balance, top_up) = (i128::from(balance.micros()), i128::from(alerts.top_up.micros()));
    let left = Left { at, balance, top_up, spent: alerts.burn.spent(at.posted_at_ms), kind };
    let mut changes = Vec::new();
    for (rule, stand, alert) in alerts.stands(left) {
        match (alerts.told.contains(&rule), stand) {
            (false, Stand::Crossed) => changes.push((rule, Some(alert))),
            (true, Stand::Armed) => changes.push((rule, None)),
            _ => {}
        }
    }
    let mut numbers = Vec::new();
    for (rule, crossed) in changes {
        let alerts = Arc::make_mut(alerts);
        match crossed {
            Some(alert) => {
                alerts.told.insert(rule);
                numbers.push(alerts.raise(&left, alert));
            }
            None => {
                alerts.told.remove(&rule);
            }
        }
    }
    let looks_at_booths = alerts.rules.booth_spike.is_some();
    numbers.extend(look_at_event(state, left, entry)?);
    if let Kind::Usage(usage) = kind
        && looks_at_booths
    {
        numbers.extend(look_at_booth(state, left, entry, usage)?);
    }
    for number in numbers {
        state.add_due(Due::alert(at.account_id, number, at.posted_at_ms));
    }
    Ok(())
}

fn look_at_event(state: &mut impl ViewMut, left: Left<'_>, entry: &Entry) -> Result<Option<u64>, FoldError> {
    let at = left.at;
    let event_id = match left.kind {
        Kind::EventDefined(defined) => &*defined.event_id,
        _ => entry.event_id(),
    };
    // An event beyond those that are tracked has no budget.
    let Some(event) = state.event(at.account_id, event_id).copied() else { return Ok(None) };
    let account = state.account_mut(at.account_id).ok_or_else(|| at.opening())?;
    let Some(alerts) = &mut account.alerts else { return Ok(None) };
    let (told, crossed) = alerts.event(&event);
    let number = crossed.map(|percent| {
        let budget = event.budget.unwrap_or_default();
        let alert = of(AlertKind::EventBudget, |alert| {
            (alert.percent, alert.event_id) = (percent, event_id.to_owned());
            (alert.threshold_micros, alert.spent_micros) = (budget.micros(), micros(event.spent_micros));
        });
        Arc::make_mut(alerts).raise(&left, alert)
    });
    if told != event.told {
        state.change_event(at.account_id, event_id, |event| event.told = told);
    }
    Ok(number)
}

fn look_at_booth(
    state: &mut impl ViewMut,
    left: Left<'_>,
    entry: &Entry,
    usage: &Usage,
) -> Result<Option<u64>, FoldError> {
    if entry.amount_micros >= 0 || usage.booth_id.is_empty() {
        return Ok(None);
    }
    let account = state.account_mut(left.at.account_id).ok_or_else(|| left.at.opening())?;
    let Some(alerts) = &mut account.alerts else { return Ok(None) };
    let alerts = Arc::make_mut(alerts);
    let Some(rule) = alerts.rules.booth_spike else { return Ok(None) };
    let charge = BoothCharge {
        booth_id: &usage.booth_id,
        micros: entry.amount_micros.unsigned_abs(),
        occurred_at_ms: entry.occurred_at_ms,
        posted_at_ms: left.at.posted_at_ms,
    };
    let spike = alerts.booths.charge(&rule, alerts.set_seq, charge);
    Ok(spike.map(|spike| {
        let alert = of(AlertKind::BoothSpike, |alert| {
            (alert.booth_id, alert.times) = (usage.booth_id.clone(), rule.times);
            (alert.hour_at_ms, alert.hours) = (spike.hour_at_ms, spike.hours);
            (alert.spent_micros, alert.usual_micros) = (micros(spike.spent), micros(spike.usual));
            alert.threshold_micros = micros(spike.threshold);
        });
        alerts.raise(&left, alert)
    }))
}
