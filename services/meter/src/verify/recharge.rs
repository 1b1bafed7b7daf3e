//! Credit that is bought by itself, told again from the entries: each request against the rule, what was available, what
//! was asked for before on that day and in that month, and the failures in a row.

use chrono_tz::Tz;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_schemas::{
    Money,
    ids::{entry_id, recharge_id},
    time::DAY_MS,
    v1::{
        Entry, LedgerRecord, PurchaseSource, RechargeFailed, RechargeRequested, RechargeSet, SourceTopic, entry::Kind,
        recharge_set::Size,
    },
};

use super::{
    audit::Audit,
    calendar,
    report::{Checked, Defect},
};

/// A recharge is asked for within this time, as long as the meter goes on posting.
const LATE_MS_MAX: i64 = 600_000;
/// How long an answer is waited for.
const ANSWER_MS: i64 = 7 * DAY_MS;
const MINUTE_MS: i64 = 60_000;
/// 1.00
const LEAST: i128 = 1_000_000;
/// 10,000.00: the most of a rule that does not say it.
const MOST: i128 = 10_000_000_000;

#[derive(Debug)]
struct Asked {
    id: String,
    amount: i128,
    at_ms: i64,
    /// When the day and the month end that it is of.
    ends_ms: [i64; 2],
    counts: bool,
}

/// The last recharge that was paid under the rule.
#[derive(Debug)]
struct Paid {
    at_ms: i64,
    amount: i128,
    /// That the balance came to since.
    highest: i128,
    /// In a row, before it, that were paid although the one before was mostly there.
    unused: u32,
}

impl Paid {
    fn is_unused(&self, balance: i128, threshold: i64) -> bool {
        balance >= i128::from(threshold) && 2 * (self.highest - balance) < self.amount
    }

    /// 10 minutes, 20, 40 and so on; 6 hours at most.
    fn pause_ends_ms(&self) -> i64 {
        let minutes = (0..self.unused).fold(10_i64, |minutes, _| (minutes * 2).min(360));
        self.at_ms + minutes * MINUTE_MS
    }
}

/// See the module. Amounts are millionths.
#[derive(Debug, Default)]
pub(super) struct Recharges {
    rule: RechargeSet,
    asked: Vec<Asked>,
    is_under_way: bool,
    failures: u32,
    not_before_ms: i64,
    low_since_ms: Option<i64>,
    paid: Option<Paid>,
    /// Before the entry that is looked at.
    available: i128,
    balance: i128,
}

/// What the rule asks for at an instant at which too little is available.
enum Wanted {
    Now(i128),
    /// The caps leave too little on that day or in that month.
    Later,
    Never,
}

impl Recharges {
    /// The most that a rule up to a target asks for at once.
    fn most(&self) -> i128 {
        let between = match self.rule.size {
            Some(Size::TargetMicros(target)) => i128::from(target) - i128::from(self.rule.threshold_micros),
            _ => 0,
        };
        self.rule.amount_max_micros.map_or(between.max(MOST), i128::from)
    }

    /// A rule that does not say its bound may be of a release that knew none: that one asked for whatever was missing, and
    /// without pause.
    const fn is_of_before(&self) -> bool {
        self.rule.amount_max_micros.is_none()
    }

    /// When something is asked for: since there is too little, after the pause that the last one left.
    fn due_ms(&self, with_unused: bool) -> i64 {
        let Some(since_ms) = self.low_since_ms else { return i64::MAX };
        let paid =
            self.paid.as_ref().filter(|paid| with_unused && paid.is_unused(self.balance, self.rule.threshold_micros));
        since_ms.max(self.not_before_ms).max(paid.map_or(0, Paid::pause_ends_ms))
    }

    /// When the day or the month ends that an earlier request is of and that has not ended.
    fn running(&self, window: usize, at_ms: i64) -> Option<i64> {
        self.asked.iter().map(|asked| asked.ends_ms[window]).find(|ends_ms| *ends_ms > at_ms)
    }

    fn wanted(&self, at_ms: i64, most: i128) -> Wanted {
        let exact = match self.rule.size {
            Some(Size::AmountMicros(micros)) => i128::from(micros),
            Some(Size::TargetMicros(micros)) => LEAST.max(i128::from(micros) - self.available).min(most),
            None => return Wanted::Never,
        };
        let cents = exact.div_euclid(10_000) + i128::from(exact.rem_euclid(10_000) != 0);
        let mut wanted = cents * 10_000;
        let bound = i128::from(Money::MAX.micros());
        if wanted > bound || self.balance + wanted > bound {
            return Wanted::Never;
        }
        let caps = [self.rule.daily_cap_micros, self.rule.monthly_cap_micros];
        for (window, cap) in caps.into_iter().enumerate() {
            let Some(cap) = cap else { continue };
            let counted = self.asked.iter().filter(|asked| asked.counts && asked.ends_ms[window] > at_ms);
            let left = i128::from(cap) - counted.map(|asked| asked.amount).sum::<i128>();
            if left < LEAST {
                return Wanted::Later;
            }
            wanted = wanted.min(left);
        }
        Wanted::Now(wanted)
    }

    fn request(&mut self, zone: Tz, name: (&str, u64), posting: (i64, &Entry), of: &RechargeRequested) -> Vec<String> {
        let (posted_at_ms, entry) = posting;
        let mut wrong = Vec::new();
        let mut must = |holds: bool, why: &str| {
            if !holds {
                wrong.push(format!("a recharge {why}"));
            }
        };
        must(self.rule.enabled && !self.is_under_way, "while one is under way, or without a rule");
        let threshold = i128::from(self.rule.threshold_micros);
        let told = (i128::from(of.available_micros), i128::from(of.threshold_micros));
        must(
            self.available < threshold && told == (self.available, threshold),
            "with enough available, or told otherwise",
        );
        let since_ms = self.due_ms(!self.is_of_before());
        must((since_ms..=posted_at_ms).contains(&entry.occurred_at_ms), "that is not due yet");
        must(of.recharge_id == recharge_id(name.0, name.1), "with an id of its own");
        let amount = i128::from(of.amount_micros);
        let is_wanted = |most| matches!(self.wanted(posted_at_ms, most), Wanted::Now(wanted) if wanted == amount);
        must(is_wanted(self.most()) || self.is_of_before() && is_wanted(i128::MAX), "of another amount");
        let (day, month) = (calendar::day(zone, posted_at_ms), calendar::month(zone, posted_at_ms));
        let ends_ms = [of.day_ends_at_ms, of.month_ends_at_ms];
        let [day_end, month_end] = ends_ms;
        // One that is under way ends when it was going to; a new one is of the zone.
        let ends = match self.running(0, posted_at_ms) {
            Some(running) => running == day_end,
            None => calendar::day(zone, day_end - 1) == day && calendar::day(zone, day_end) != day,
        };
        let month_ends = match self.running(1, posted_at_ms) {
            Some(running) => running == month_end,
            None => calendar::begins(zone, month_end) == Some(month.next()),
        };
        must(ends && month_ends, "whose day or month ends at another time");
        must(entry.source_topic() == SourceTopic::Tick, "that a command made");
        self.is_under_way = true;
        let id = of.recharge_id.clone();
        self.asked.push(Asked { id, amount, at_ms: posted_at_ms, ends_ms, counts: true });
        wrong
    }

    fn failure(&mut self, posting: (i64, &Entry), of: &RechargeFailed) -> Vec<String> {
        let (posted_at_ms, entry) = posting;
        let mut wrong = Vec::new();
        self.failures += 1;
        // One minute, doubled with every failure in a row, six hours at most.
        let minutes = (1..self.failures).fold(1_i64, |minutes, _| (minutes * 2).min(360));
        self.not_before_ms = of.retry_at_ms;
        if of.failures != self.failures || of.retry_at_ms != posted_at_ms + minutes * MINUTE_MS {
            wrong.push(format!("the {}th failure in a row, tried again at {}", of.failures, of.retry_at_ms));
        }
        let newest = self.asked.last_mut().filter(|_| std::mem::take(&mut self.is_under_way));
        match newest.filter(|asked| asked.id == of.recharge_id && asked.amount == i128::from(of.amount_micros)) {
            None => wrong.push(format!("{} fails, which is not under way", of.recharge_id)),
            Some(asked) => {
                asked.counts = false;
                let given_up_ms = asked.at_ms + ANSWER_MS;
                let is_tick = entry.source_topic() == SourceTopic::Tick;
                let in_time = entry.occurred_at_ms == given_up_ms && posted_at_ms >= given_up_ms;
                if is_tick && !(in_time && of.reason == "no_answer") {
                    wrong.push(format!("{} was given up before its time", of.recharge_id));
                }
            }
        }
        wrong
    }

    fn take_in(&mut self, zone: Tz, name: (&str, u64), posting: (i64, &Entry), kind: &Kind) -> Vec<String> {
        match kind {
            Kind::RechargeSet(set) => {
                self.rule = *set;
                (self.failures, self.not_before_ms, self.low_since_ms, self.paid) = (0, 0, None, None);
                Vec::new()
            }
            Kind::RechargeRequested(of) => self.request(zone, name, posting, of),
            Kind::RechargeFailed(of) => self.failure(posting, of),
            Kind::Purchase(of) if of.source() == PurchaseSource::AutoRecharge && self.is_under_way => {
                if let Some(asked) = self.asked.last().filter(|asked| asked.id == of.payment_id) {
                    self.is_under_way = false;
                    (self.failures, self.not_before_ms) = (0, posting.0 + MINUTE_MS);
                    let (threshold, amount) = (self.rule.threshold_micros, asked.amount);
                    let before = self.paid.take().filter(|paid| paid.is_unused(self.balance, threshold));
                    let unused = before.filter(|_| self.rule.enabled).map_or(0, |paid| paid.unused + 1);
                    self.paid = Some(Paid { at_ms: posting.0, amount, highest: self.balance + amount, unused });
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// What is left after an entry.
    fn look(&mut self, posted_at_ms: i64, balance: i64, held: i64) {
        self.balance = i128::from(balance);
        self.available = self.balance - i128::from(held);
        if let Some(paid) = &mut self.paid {
            paid.highest = paid.highest.max(self.balance);
        }
        if self.rule.enabled && self.available < i128::from(self.rule.threshold_micros) {
            self.low_since_ms.get_or_insert(posted_at_ms);
        } else {
            self.low_since_ms = None;
            if self.failures == 0 {
                self.not_before_ms = 0;
            }
        }
    }

    /// Whether something should have been posted by an instant that was not.
    fn is_overdue(&self, by_ms: i64) -> bool {
        if self.is_under_way {
            return self.asked.last().is_some_and(|asked| asked.at_ms + ANSWER_MS < by_ms);
        }
        self.due_ms(true) < by_ms && matches!(self.wanted(by_ms, self.most()), Wanted::Now(_))
    }
}

impl Audit {
    /// After the entry's place in the chain and what it holds were taken in.
    pub(super) fn check_recharge(&mut self, account: u32, record: &LedgerRecord, entry: &Entry, kind: &Kind) {
        let Some(at) = self.accounts.get_mut(account as usize) else { return };
        let is_about = matches!(kind, Kind::RechargeSet(_) | Kind::RechargeRequested(_) | Kind::RechargeFailed(_));
        if at.recharges.is_none() && !is_about {
            return;
        }
        let zone = at.zone();
        let recharges = at.recharges.get_or_insert_default();
        let wrong = recharges.take_in(zone, (&record.account_id, entry.seq), (record.posted_at_ms, entry), kind);
        recharges.look(record.posted_at_ms, entry.balance_after_micros, entry.held_after_micros);
        self.report.checked(Checked::Recharges, u64::from(matches!(kind, Kind::RechargeRequested(_))));
        for why in wrong {
            let name = entry_id(&record.account_id, entry.seq);
            self.report.defect(Defect::RechargeOff, || format!("{name}: {why}"));
        }
    }

    /// Nothing that is due is left out.
    pub(super) fn finish_recharges(&mut self) {
        for account in &self.accounts {
            let Some(recharges) = &account.recharges else { continue };
            let home = partition_for(account.id.as_bytes(), self.options.partitions);
            let newest = home.and_then(|home| self.posted_at_ms.get(&home)).copied().unwrap_or_default();
            if recharges.is_overdue(newest.saturating_sub(LATE_MS_MAX)) {
                self.report.defect(Defect::RechargeOff, || format!("{}: a recharge is due, and not there", account.id));
            }
        }
    }
}
