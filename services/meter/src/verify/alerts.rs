//! What an account wants to be told of, told again from the entries: every crossing has its alert, once, as it was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    ids::entry_id,
    v1::{AlertKind, AlertRaised, AlertsSet, BoothSpike, Entry, LedgerRecord, SourceTopic, UsageStatus, entry::Kind},
};

use super::{
    audit::Audit,
    report::{Checked, Defect},
};

/// An alert has its entry within this time, as long as the meter goes on posting.
const LATE_MS_MAX: i64 = 600_000;
const HOUR_MS: i64 = 3_600_000;
/// Hours that the time to empty is reckoned from, the running one included.
const WINDOW_HOURS: i64 = 24;
/// Hours that a booth's average is of, how few say nothing, and how many booths are looked at.
const PAST_HOURS: usize = 24;
const PAST_HOURS_MIN: usize = 6;
const BOOTHS: usize = 1_000;
/// A booth that rested for longer makes room.
const REST_HOURS: i64 = 35 * 24;

/// As `reason` in rows.
pub(super) const fn code(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Unspecified => "",
        AlertKind::BalanceBelow => "balance_below",
        AlertKind::BelowTopUpPercent => "below_top_up_percent",
        AlertKind::EventBudget => "event_budget",
        AlertKind::RechargeFailed => "recharge_failed",
        AlertKind::EmptySoon => "empty_soon",
        AlertKind::BoothSpike => "booth_spike",
    }
}

/// See the module. Amounts are millionths.
#[derive(Debug, Default)]
pub(super) struct AlertWatch {
    rules: Option<AlertsSet>,
    /// What was told and not armed since, by kind and threshold or percent, and event.
    told: BTreeSet<(i32, i64, Box<str>)>,
    bought: i128,
    /// Hour and sum of charges, oldest first.
    hours: VecDeque<(i64, i128)>,
    /// Of booths, charges by the hour of their occurrence.
    booths: BTreeMap<Box<str>, BTreeMap<i64, i128>>,
    /// The hour in which a booth last looked for room.
    looked_for_room: Option<i64>,
    raised: u64,
    /// Without an entry yet.
    expected: Vec<AlertRaised>,
}

/// An entry, and what stands after it.
#[derive(Clone, Copy)]
struct After<'a> {
    seq: u64,
    posted_at_ms: i64,
    occurred_at_ms: i64,
    balance: i64,
    kind: &'a Kind,
    /// The event it names, its spend and its budget.
    event: Option<(&'a str, i128, i128)>,
    names: &'a str,
}

impl After<'_> {
    fn is_bought(&self) -> bool {
        matches!(self.kind, Kind::Purchase(_))
    }

    /// Whether a balance is below, or is back for certain.
    fn against(&self, threshold: i128) -> (bool, bool) {
        let balance = i128::from(self.balance);
        let back = threshold + (threshold / 20).max(1_000_000);
        (balance < threshold, balance >= back || (self.is_bought() && balance >= threshold))
    }
}

fn narrow(micros: i128) -> i64 {
    i64::try_from(micros).unwrap_or(if micros > 0 { i64::MAX } else { i64::MIN })
}

impl AlertWatch {
    fn look(&mut self, after: After<'_>, amount: i64) {
        if after.is_bought() {
            self.bought = amount.into();
        }
        let Some(rules) = self.rules.clone() else { return };
        if matches!(after.kind, Kind::Usage(of) if of.status() == UsageStatus::Success) && amount < 0 {
            self.count(after.posted_at_ms, -i128::from(amount));
        }
        for micros in &rules.balance_below_micros {
            let alert = AlertRaised { threshold_micros: *micros, ..kind(AlertKind::BalanceBelow) };
            self.judge(after, *micros, after.against((*micros).into()), alert);
        }
        let bought = self.bought;
        for percent in rules.below_top_up_percents.iter().filter(|_| bought > 0) {
            let threshold = bought * i128::from(*percent) / 100;
            let told = kind(AlertKind::BelowTopUpPercent);
            let alert = AlertRaised { threshold_micros: narrow(threshold), percent: *percent, ..told };
            self.judge(after, (*percent).into(), after.against(threshold), alert);
        }
        if rules.recharge_failed {
            let mut alert = kind(AlertKind::RechargeFailed);
            let is_failed = if let Kind::RechargeFailed(of) = after.kind {
                (alert.recharge_id, alert.reason) = (of.recharge_id.clone(), of.reason.clone());
                true
            } else {
                false
            };
            let is_armed = after.is_bought() || matches!(after.kind, Kind::RechargeSet(_));
            self.judge(after, 0, (is_failed, is_armed), alert);
        }
        if let Some(hours) = rules.empty_in_hours {
            let spent = self.spent(after.posted_at_ms);
            let (have, need) = (i128::from(after.balance) * i128::from(WINDOW_HOURS), spent * i128::from(hours));
            let is_low = spent > 0 && have < need;
            let is_back = !is_low && (after.is_bought() || have * 4 >= need * 5);
            let alert = AlertRaised { hours, spent_micros: narrow(spent), ..kind(AlertKind::EmptySoon) };
            self.judge(after, 0, (is_low, is_back), alert);
        }
        self.look_at_budget(after, &rules.event_budget_percents);
        if let (Kind::Usage(of), Some(rule)) = (after.kind, rules.booth_spike)
            && amount < 0
            && !of.booth_id.is_empty()
        {
            self.look_at_booth(after, &of.booth_id, -i128::from(amount), rule);
        }
    }

    /// An hour is judged by charges of it alone, as long as the booth has none of a later one.
    fn look_at_booth(&mut self, after: After<'_>, booth: &str, charge: i128, rule: BoothSpike) {
        let hour = after.occurred_at_ms.div_euclid(HOUR_MS);
        if !self.booths.contains_key(booth) && !self.has_room(after.posted_at_ms.div_euclid(HOUR_MS)) {
            return;
        }
        let hours = self.booths.entry(booth.into()).or_default();
        let newest = hours.last_key_value().map(|(newest, _)| *newest);
        let is_told_before = spike(hours, hour - 1, rule).is_some();
        *hours.entry(hour).or_default() += charge;
        while hours.len() > PAST_HOURS + 1 {
            hours.pop_first();
        }
        let found = spike(hours, hour, rule);
        let name: (i32, i64, Box<str>) = (AlertKind::BoothSpike.into(), 0, booth.into());
        if newest.is_some_and(|newest| hour < newest) {
            return;
        }
        if newest != Some(hour) && !is_told_before {
            self.told.remove(&name);
        }
        if let Some(found) = found
            && self.told.insert(name)
        {
            self.expect(after, AlertRaised { booth_id: booth.to_owned(), times: rule.times, ..found });
        }
    }

    fn has_room(&mut self, hour: i64) -> bool {
        if self.booths.len() >= BOOTHS && self.looked_for_room.is_none_or(|looked| looked < hour) {
            self.looked_for_room = Some(hour);
            self.booths.retain(|_, hours| hours.keys().any(|of| *of >= hour - REST_HOURS));
        }
        self.booths.len() < BOOTHS
    }

    fn count(&mut self, at_ms: i64, charge: i128) {
        let hour = at_ms.div_euclid(HOUR_MS);
        match self.hours.back_mut() {
            Some((newest, sum)) if *newest == hour => *sum += charge,
            _ => self.hours.push_back((hour, charge)),
        }
        while self.hours.len() > 24 {
            self.hours.pop_front();
        }
    }

    fn spent(&self, at_ms: i64) -> i128 {
        let after = at_ms.div_euclid(HOUR_MS) - WINDOW_HOURS;
        self.hours.iter().filter(|(hour, _)| *hour > after).map(|(_, sum)| sum).sum()
    }

    /// Of several marks the highest is told, and counts for those below it.
    fn look_at_budget(&mut self, after: After<'_>, marks: &[u32]) {
        let name =
            |mark: u32| -> (i32, i64, Box<str>) { (AlertKind::EventBudget.into(), mark.into(), after.names.into()) };
        let at_least = |percent: u32| {
            let event = after.event.filter(|(_, spent, _)| *spent > 0);
            event.is_some_and(|(_, spent, budget)| spent * 100 >= budget * i128::from(percent))
        };
        let mut highest = None;
        for mark in marks.iter().copied() {
            if !at_least(mark.saturating_sub(5)) {
                self.told.remove(&name(mark));
            }
            highest = highest.max(Some(mark).filter(|mark| at_least(*mark)));
        }
        let Some(percent) = highest.filter(|mark| !self.told.contains(&name(*mark))) else { return };
        self.told.extend(marks.iter().copied().filter(|mark| *mark <= percent).map(name));
        let (event_id, spent, budget) = after.event.unwrap_or_default();
        self.expect(
            after,
            AlertRaised {
                percent,
                event_id: event_id.to_owned(),
                threshold_micros: narrow(budget),
                spent_micros: narrow(spent),
                ..kind(AlertKind::EventBudget)
            },
        );
    }

    fn judge(&mut self, after: After<'_>, mark: i64, (is_crossed, is_armed): (bool, bool), alert: AlertRaised) {
        let name = (alert.kind, mark, "".into());
        if is_crossed {
            if self.told.insert(name) {
                self.expect(after, alert);
            }
        } else if is_armed {
            self.told.remove(&name);
        }
    }

    fn expect(&mut self, after: After<'_>, alert: AlertRaised) {
        self.raised += 1;
        self.expected.push(AlertRaised {
            number: self.raised,
            crossed_seq: after.seq,
            crossed_at_ms: after.posted_at_ms,
            balance_micros: after.balance,
            ..alert
        });
    }

    /// An alert stands; what is wrong with it.
    fn said(&mut self, entry: &Entry, alert: &AlertRaised) -> Option<&'static str> {
        let Some(at) = self.expected.iter().position(|expected| expected == alert) else {
            // A number that is taken up is not missing as well.
            self.expected.retain(|expected| expected.number != alert.number);
            return Some("an alert that nothing crossed, or that says it otherwise");
        };
        self.expected.remove(at);
        let in_order = entry.occurred_at_ms == alert.crossed_at_ms && entry.source_topic() == SourceTopic::Tick;
        (!in_order).then_some("an alert of another time, or that a command made")
    }
}

/// Whether an hour is so many times those before it, and what is said of it then.
fn spike(hours: &BTreeMap<i64, i128>, hour: i64, rule: BoothSpike) -> Option<AlertRaised> {
    let spent = hours.get(&hour).copied()?;
    let before: Vec<i128> = hours.range(..hour).rev().take(PAST_HOURS).map(|(_, spent)| *spent).collect();
    let (count, sum) = (before.len() as i128, before.iter().sum::<i128>());
    let at_least = i128::from(rule.at_least_micros);
    if before.len() < PAST_HOURS_MIN || spent < at_least || spent * count < sum * i128::from(rule.times) {
        return None;
    }
    // The smallest whole amount that is no less than so many times the average.
    let reached = -(-(sum * i128::from(rule.times))).div_euclid(count);
    Some(AlertRaised {
        hour_at_ms: hour * HOUR_MS,
        hours: u32::try_from(count).unwrap_or(u32::MAX),
        spent_micros: narrow(spent),
        threshold_micros: narrow(reached.max(at_least)),
        usual_micros: narrow(sum.div_euclid(count)),
        ..kind(AlertKind::BoothSpike)
    })
}

fn kind(kind: AlertKind) -> AlertRaised {
    AlertRaised { kind: kind.into(), ..AlertRaised::default() }
}

impl Audit {
    /// After the entry's place in the chain, what it holds and what its event spent were taken in.
    pub(super) fn check_alerts(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, kind: &Kind) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let is_about = matches!(kind, Kind::AlertsSet(_) | Kind::AlertRaised(_) | Kind::Purchase(_));
        if at.alerts.is_none() && !is_about {
            return;
        }
        let watch = at.alerts.get_or_insert_default();
        let mut wrong = None;
        match kind {
            Kind::AlertsSet(rules) => {
                watch.rules = Some(rules.clone());
                watch.told.clear();
                if rules.booth_spike.is_none() {
                    watch.booths.clear();
                    watch.looked_for_room = None;
                }
            }
            Kind::AlertRaised(alert) => wrong = watch.said(entry, alert),
            _ => {}
        }
        let names = match kind {
            Kind::EventDefined(defined) => &*defined.event_id,
            _ => entry.event_id(),
        };
        let event = at.purse.budget(names).map(|(spent, budget)| (names, spent, budget));
        let (seq, posted_at_ms, balance) = (entry.seq, record.posted_at_ms, entry.balance_after_micros);
        let occurred_at_ms = entry.occurred_at_ms;
        watch.look(After { seq, posted_at_ms, occurred_at_ms, balance, kind, event, names }, entry.amount_micros);
        self.report.checked(Checked::Alerts, u64::from(matches!(kind, Kind::AlertRaised(_))));
        if let Some(why) = wrong {
            self.report.defect(Defect::AlertOff, || format!("{}: {why}", entry_id(&record.account_id, seq)));
        }
    }

    /// Nothing that was crossed is left out.
    pub(super) fn finish_alerts(&mut self) {
        for account in &self.accounts {
            let Some(watch) = &account.alerts else { continue };
            let home = partition_for(account.id.as_bytes(), self.options.partitions);
            let newest = home.and_then(|home| self.posted_at_ms.get(&home)).copied().unwrap_or_default();
            let by_ms = newest.saturating_sub(LATE_MS_MAX);
            for missing in watch.expected.iter().filter(|alert| alert.crossed_at_ms < by_ms) {
                let (number, seq) = (missing.number, missing.crossed_seq);
                self.report.defect(Defect::AlertOff, || {
                    format!("{}: alert {number}, crossed by seq {seq}, is not there", account.id)
                });
            }
        }
    }
}
