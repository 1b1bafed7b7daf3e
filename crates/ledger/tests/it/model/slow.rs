//! An independent, slow, obvious ledger: lists that are searched from the start, and no code of the crate.
//!
//! It is written from the semantics of `docs/ledger.md`. Every sum is taken anew from what was posted.

mod alerts;
mod counted;
mod recharge;
mod redrive;
mod reprice;

use super::{
    core::FREE_FROM_MS,
    steps::{BOUND, Body, Place, RENAMED, RechargeSize, Report, Size, Work},
    zones::Zone,
};
use alerts::Alerts;
use recharge::{Ask, AskLine, Paid, RuleLine};
use redrive::LetterLine;

/// What a step did, as both ledgers tell it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Posted(Posted),
    /// Answered as before.
    Replayed {
        seq: u64,
    },
    /// Status, code, what was missing.
    Refused(u32, &'static str, i64),
    Duplicate,
    Stale,
    Dead(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posted {
    pub(crate) seq: u64,
    pub(crate) kind: &'static str,
    pub(crate) amount: i64,
    pub(crate) from_bonus: i64,
    pub(crate) balance: i64,
    pub(crate) held: i64,
    pub(crate) occurred_at_ms: i64,
    /// Usage: what became of the hold. Refund: the quantity given back.
    pub(crate) note: i64,
}

pub(crate) const NO_HOLD: i64 = 0;
pub(crate) const CAPTURED: i64 = 1;
pub(crate) const RELEASED: i64 = 2;
pub(crate) const ENDED: i64 = 3;
pub(crate) const UNKNOWN: i64 = 4;

#[derive(Debug, Clone)]
struct HoldLine {
    hold: u64,
    amount: i64,
    expires_at_ms: i64,
    event: u64,
    open: bool,
}

#[derive(Debug, Clone)]
struct LotLine {
    seq: u64,
    expires_at_ms: Option<i64>,
    left: i64,
}

#[derive(Debug, Clone)]
struct ReportLine {
    operation: u64,
    attempt: u32,
    success: bool,
    quantity: i64,
    work: Work,
}

/// A charge that was posted, with what was given back of it.
#[derive(Debug, Clone)]
struct ChargeLine {
    report: Report,
    amount: i64,
    occurred_at_ms: i64,
    refunded: i64,
    forgotten: bool,
    plan: &'static str,
    book: u32,
    /// The month that counted it, and what that had counted before it.
    month: i64,
    before: i64,
    /// By a charge at another price.
    replaced: bool,
}

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Hold(u64),
    /// By the entry that granted it.
    Lot(u64),
    Fee,
    Recharge,
    Alert(u64),
}

#[derive(Debug, Clone)]
struct EventLine {
    event: u64,
    budget: Option<i64>,
    refuses: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Account {
    open: bool,
    zone: Zone,
    is_renamed: bool,
    /// Amount and event of everything posted.
    posted: Vec<(i64, u64)>,
    plans: Vec<(i64, &'static str)>,
    holds: Vec<HoldLine>,
    lots: Vec<LotLine>,
    reports: Vec<ReportLine>,
    charges: Vec<ChargeLine>,
    events: Vec<EventLine>,
    paused: Vec<u64>,
    /// Of each month and kind of work that is counted.
    counts: Vec<counted::CountLine>,
    limit: i64,
    /// Months since the year 0: the latest one with a fee, and the one that comes by itself.
    fee_month: Option<i64>,
    fee_next: i64,
    rule: Option<RuleLine>,
    asks: Vec<AskLine>,
    /// Since the last recharge that was paid, or the last word about the rule.
    failures: u32,
    not_before_ms: i64,
    low_since_ms: Option<i64>,
    /// The balance after everything that was posted, and how many there were when the rule was set.
    looks: Vec<i64>,
    rule_looks: usize,
    alerts: Alerts,
    letters: Vec<LetterLine>,
    /// The event that a definition is about, and the booth that a report is of.
    defines: u64,
    works_at: u64,
    /// Of the step.
    now_ms: i64,
    last_command: Option<(Body, Option<u64>)>,
}

type Decision = Result<Draft, Outcome>;

struct Draft {
    kind: &'static str,
    amount: i128,
    occurred_at_ms: i64,
    note: i64,
}

fn refuse(status: u32, code: &'static str) -> Outcome {
    Outcome::Refused(status, code, 0)
}

fn draft(kind: &'static str, amount: i64, occurred_at_ms: i64) -> Draft {
    Draft { kind, amount: i128::from(amount), occurred_at_ms, note: 0 }
}

/// As months since the year 0 are counted.
fn month_of_2026(month: u64) -> i64 {
    2026 * 12 + i64::try_from(month).unwrap() - 1
}

fn in_bound(micros: i128) -> bool {
    micros.abs() <= i128::from(BOUND)
}

impl Account {
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// What it is called, and its zone.
    pub(crate) fn profile(&self) -> (&str, &str) {
        (if self.is_renamed { RENAMED } else { "Luna" }, self.zone.name())
    }

    pub(crate) fn seq(&self) -> u64 {
        self.posted.len() as u64
    }

    pub(crate) fn balance(&self) -> i64 {
        self.posted.iter().map(|(amount, _)| amount).sum()
    }

    pub(crate) fn held(&self) -> i64 {
        self.holds.iter().filter(|line| line.open).map(|line| line.amount).sum()
    }

    pub(crate) fn bonus(&self) -> i64 {
        self.lots.iter().map(|lot| lot.left).sum()
    }

    /// Seq and rest of each lot, in the order they are drawn.
    pub(crate) fn lots(&self) -> Vec<(u64, i64)> {
        let mut lots: Vec<&LotLine> = self.lots.iter().filter(|lot| lot.left > 0).collect();
        lots.sort_by_key(|lot| (lot.expires_at_ms.is_none(), lot.expires_at_ms, lot.seq));
        lots.iter().map(|lot| (lot.seq, lot.left)).collect()
    }

    pub(crate) fn spent(&self, event: u64) -> i128 {
        -self.posted.iter().filter(|(_, of)| *of == event).map(|(amount, _)| i128::from(*amount)).sum::<i128>()
    }

    pub(crate) fn event_held(&self, event: u64) -> i64 {
        self.holds.iter().filter(|line| line.open && line.event == event).map(|line| line.amount).sum()
    }

    fn plan_at(&self, at_ms: i64) -> &'static str {
        // The latest word about the latest instant not after it.
        let mut found = self.plans[0];
        for (from, plan) in &self.plans {
            if *from <= at_ms && *from >= found.0 {
                found = (*from, plan);
            }
        }
        found.1
    }

    pub(crate) fn forget(&mut self) {
        self.reports.clear();
        self.holds.retain(|line| line.open);
        self.charges.iter_mut().for_each(|charge| charge.forgotten = true);
        self.counts.clear();
        self.letters.iter_mut().for_each(|letter| letter.posted = None);
        self.last_command = None;
    }

    /// What happens at an instant, soonest first; of one instant holds by id, then lots by age, then the fee.
    fn due_things(&self) -> Vec<(i64, Thing)> {
        let holds = self.holds.iter().filter(|line| line.open).map(|line| (line.expires_at_ms, Thing::Hold(line.hold)));
        let lots = self.lots.iter().filter(|lot| lot.left > 0);
        let lots = lots.filter_map(|lot| Some((lot.expires_at_ms?, Thing::Lot(lot.seq))));
        let fee = self.open.then(|| (self.zone.month_start(self.fee_next), Thing::Fee));
        let recharge = self.recharge_due().map(|at_ms| (at_ms, Thing::Recharge));
        let alerts = self.alert_dues().map(|(at_ms, number)| (at_ms, Thing::Alert(number)));
        let mut due: Vec<(i64, Thing)> = holds.chain(lots).chain(fee).chain(recharge).chain(alerts).collect();
        due.sort_unstable();
        due
    }

    /// Its instants.
    pub(crate) fn due(&self) -> Vec<i64> {
        self.due_things().into_iter().map(|(at_ms, _)| at_ms).collect()
    }

    /// Carries out what is due. What one of it uses up is not there for the next.
    pub(crate) fn tick(&mut self, now_ms: i64) -> Vec<Posted> {
        self.now_ms = now_ms;
        let reached = self.due_things().into_iter().filter(|(at_ms, _)| *at_ms <= now_ms).collect::<Vec<_>>();
        reached.into_iter().filter_map(|(at_ms, thing)| self.carry_out_due(at_ms, thing)).collect()
    }

    fn carry_out_due(&mut self, at_ms: i64, thing: Thing) -> Option<Posted> {
        match thing {
            Thing::Hold(hold) => {
                self.holds.iter_mut().find(|line| line.open && line.hold == hold)?.open = false;
                Some(self.post(&draft("hold_released", 0, at_ms), 0, 0))
            }
            Thing::Lot(seq) => {
                let lot = self.lots.iter_mut().find(|lot| lot.left > 0 && lot.seq == seq)?;
                let left = std::mem::take(&mut lot.left);
                Some(self.post(&draft("bonus_expiry", -left, at_ms), 0, 0))
            }
            Thing::Recharge if self.recharge_due() != Some(at_ms) => None,
            Thing::Recharge if self.under_way().is_some() => {
                let note = self.fail_recharge();
                Some(self.post(&Draft { note, ..draft("recharge_failed", 0, at_ms) }, 0, 0))
            }
            Thing::Recharge => {
                let Ask::Now(amount) = self.ask(self.now_ms) else { panic!("due, and nothing to ask for") };
                self.ask_for(amount);
                Some(self.post(&Draft { note: amount, ..draft("recharge_requested", 0, at_ms) }, 0, 0))
            }
            Thing::Alert(number) => {
                let line = self.alerts.lines.iter_mut().find(|line| line.number == number).unwrap();
                line.said = true;
                let note = line.note;
                Some(self.post(&Draft { note, ..draft("alert_raised", 0, at_ms) }, 0, 0))
            }
            Thing::Fee => {
                let fee = self.fee_at(at_ms);
                let fee = if in_bound(i128::from(self.balance()) - i128::from(fee)) { fee } else { 0 };
                self.settle_month(self.fee_next);
                let kind = if fee == 0 { "no_plan_fee" } else { "plan_fee" };
                let from_bonus = self.draw(fee.into());
                Some(self.post(&draft(kind, -fee, at_ms), from_bonus, 0))
            }
        }
    }

    /// The fee of the plan at an instant.
    fn fee_at(&self, at_ms: i64) -> i64 {
        match self.plan_at(at_ms) {
            "pro" => 790_000,
            _ if at_ms >= FREE_FROM_MS => 0,
            _ => 390_000,
        }
    }

    fn settle_month(&mut self, month: i64) {
        self.fee_month = Some(month);
        self.fee_next = self.fee_next.max(month + 1);
    }

    fn post(&mut self, draft: &Draft, from_bonus: i64, event: u64) -> Posted {
        let amount = i64::try_from(draft.amount).unwrap();
        self.posted.push((amount, event));
        self.look_at_what_is_left();
        let (defines, booth) = (std::mem::take(&mut self.defines), std::mem::take(&mut self.works_at));
        self.look_at_alerts(draft.kind, amount, event.max(defines));
        self.look_at_booth(draft.kind, amount, booth, draft.occurred_at_ms);
        Posted {
            seq: self.seq(),
            kind: draft.kind,
            amount,
            from_bonus,
            balance: self.balance(),
            held: self.held(),
            occurred_at_ms: draft.occurred_at_ms,
            note: draft.note,
        }
    }

    /// Draws lots one micro-unit's owner after the other, soonest expiry first.
    fn draw(&mut self, charge: i128) -> i64 {
        let mut left = i64::try_from(charge.max(0)).unwrap();
        let mut drawn = 0;
        for (seq, _) in self.lots() {
            let lot = self.lots.iter_mut().find(|lot| lot.seq == seq).unwrap();
            let taken = left.min(lot.left);
            lot.left -= taken;
            left -= taken;
            drawn += taken;
        }
        drawn
    }

    pub(crate) fn usage(&mut self, report: Report, now_ms: i64) -> Outcome {
        self.now_ms = now_ms;
        let occurred_at_ms = now_ms - report.late_ms;
        let outcome = self.take_report(report, occurred_at_ms);
        if matches!(outcome, Outcome::Dead(_)) {
            self.letters.push(LetterLine { report, occurred_at_ms, posted: None });
        }
        outcome
    }

    fn take_report(&mut self, report: Report, occurred_at_ms: i64) -> Outcome {
        if !self.open {
            return Outcome::Dead("unknown_account");
        }
        let charge = self.reports.iter().find(|line| line.operation == report.operation && line.success).cloned();
        if let Some(charge) = charge {
            return match report.success {
                true if (charge.quantity, charge.work) == (report.quantity, report.work) => Outcome::Duplicate,
                true => Outcome::Dead("conflict"),
                false if report.attempt < charge.attempt => Outcome::Stale,
                false => Outcome::Dead("failed_after_charge"),
            };
        }
        let listed = |line: &&ReportLine| line.operation == report.operation && line.attempt == report.attempt;
        if !report.success && self.reports.iter().any(|line| listed(&line)) {
            return Outcome::Duplicate;
        }
        let plan = self.plan_at(occurred_at_ms);
        let amount = match report.success {
            false => 0,
            true => match self.price(plan, report.work, report.quantity, occurred_at_ms) {
                Some(amount) if in_bound(i128::from(self.balance()) - i128::from(amount)) => amount,
                _ => return Outcome::Dead("out_of_range"),
            },
        };
        let hold = self.holds.iter_mut().find(|line| line.hold == report.hold);
        let note = match hold {
            _ if report.hold == 0 => NO_HOLD,
            None => UNKNOWN,
            Some(line) if !line.open => ENDED,
            Some(line) => {
                line.open = false;
                if report.success { CAPTURED } else { RELEASED }
            }
        };
        let from_bonus = self.draw(i128::from(amount));
        let month = self.zone.month(occurred_at_ms);
        let before = self.counted(report.work, month);
        self.works_at = report.booth;
        let entry = self.post(&Draft { note, ..draft("consume", -amount, occurred_at_ms) }, from_bonus, report.event);
        let Report { operation, attempt, success, quantity, work, .. } = report;
        self.reports.push(ReportLine { operation, attempt, success, quantity, work });
        if success {
            self.count(work, month, quantity);
            let book = if occurred_at_ms < FREE_FROM_MS { 1 } else { 2 };
            let line = ChargeLine {
                report,
                amount,
                occurred_at_ms,
                refunded: 0,
                forgotten: false,
                plan,
                book,
                month,
                before,
                replaced: false,
            };
            self.charges.push(line);
        }
        Outcome::Posted(entry)
    }

    /// A command anew, or the last one again.
    pub(crate) fn again(&mut self, other_body: bool, now_ms: i64) -> Option<Outcome> {
        let (body, seq) = self.last_command?;
        Some(match seq {
            Some(_) if other_body => refuse(422, "idempotency_mismatch"),
            Some(seq) => Outcome::Replayed { seq },
            None => self.command(body, now_ms),
        })
    }

    pub(crate) fn command(&mut self, body: Body, now_ms: i64) -> Outcome {
        self.now_ms = now_ms;
        let outcome = match body {
            Body::Redrive { letter } => self.redrive(letter),
            Body::Reprice { pick, book, wrong } => self.reprice(pick, book, wrong),
            _ => match self.decide(body, now_ms) {
                Err(refused) => refused,
                Ok(draft) if !in_bound(i128::from(self.balance()) + draft.amount) => refuse(422, "out_of_range"),
                Ok(draft) => Outcome::Posted(self.carry_out(body, &draft, now_ms)),
            },
        };
        let seq = match &outcome {
            Outcome::Posted(posted) => Some(posted.seq),
            Outcome::Replayed { seq } => Some(*seq),
            _ => None,
        };
        self.last_command = Some((body, seq));
        outcome
    }

    fn decide(&self, body: Body, now_ms: i64) -> Decision {
        if body == Body::Open {
            return if self.open { Err(refuse(409, "account_exists")) } else { Ok(draft("account_opened", 0, now_ms)) };
        }
        if !self.open {
            return Err(refuse(404, "unknown_account"));
        }
        let out_of_range = || Err(refuse(422, "out_of_range"));
        match body {
            Body::Open | Body::Redrive { .. } | Body::Reprice { .. } => unreachable!(),
            Body::Adjust { micros: 0 } => out_of_range(),
            Body::Adjust { micros } if !in_bound(i128::from(micros)) => out_of_range(),
            Body::Adjust { micros } => Ok(draft("adjustment", micros, now_ms)),
            Body::ChangePlan { .. } => Ok(draft("plan_changed", 0, now_ms)),
            Body::Profile { named: false, place: None } | Body::Profile { place: Some(Place::Nowhere), .. } => {
                Err(refuse(422, "invalid_profile"))
            }
            Body::Profile { .. } => Ok(draft("profile_set", 0, now_ms)),
            Body::Purchase { micros } if micros <= 0 || micros > BOUND => out_of_range(),
            Body::Purchase { micros } => Ok(draft("purchase", micros, now_ms)),
            Body::Limit { micros } if !(0..=BOUND).contains(&micros) => out_of_range(),
            Body::Limit { .. } => Ok(draft("credit_limit_set", 0, now_ms)),
            Body::Bonus { micros, expires_in_ms } => match expires_in_ms {
                _ if micros <= 0 || micros > BOUND => out_of_range(),
                Some(0) => Err(refuse(422, "invalid_expiry")),
                _ if i128::from(self.bonus()) + i128::from(micros) > i128::from(BOUND) => out_of_range(),
                _ => Ok(draft("bonus", micros, now_ms)),
            },
            Body::Fee { month } if month == 0 || month > 12 => Err(refuse(422, "invalid_period")),
            Body::Fee { month } if self.fee_month.is_some_and(|posted| posted >= month_of_2026(month)) => {
                Err(refuse(409, "fee_posted"))
            }
            Body::Fee { .. } if self.fee_at(now_ms) == 0 => Err(refuse(409, "no_fee")),
            Body::Fee { .. } => Ok(draft("plan_fee", -self.fee_at(now_ms), now_ms)),
            Body::Recharge { threshold, .. } if !(0..=BOUND).contains(&threshold) => out_of_range(),
            Body::Recharge { size: Some(RechargeSize::Fixed(amount)), .. } if amount < 1_000_000 => {
                Err(refuse(422, "invalid_recharge"))
            }
            Body::Recharge { size: Some(size), most: Some(most), .. }
                if most < 1_000_000
                    || most % 10_000 != 0
                    || matches!(size, RechargeSize::Fixed(amount) if amount > most) =>
            {
                Err(refuse(422, "invalid_recharge"))
            }
            Body::Recharge { size: Some(RechargeSize::UpTo(target)), threshold, .. } if target <= threshold => {
                Err(refuse(422, "invalid_recharge"))
            }
            Body::Recharge { size: Some(_), daily_cap, monthly_cap, .. }
                if [daily_cap, monthly_cap].into_iter().flatten().any(|cap| cap < 1_000_000) =>
            {
                Err(refuse(422, "invalid_recharge"))
            }
            Body::Recharge { .. } => Ok(draft("recharge_set", 0, now_ms)),
            Body::Recharged { back, paid: true } => {
                Ok(draft("auto_recharge", self.asked(back).map_or(1_000_000, |ask| ask.amount), now_ms))
            }
            Body::Recharged { back, paid: false } => match self.asked(back) {
                Some(ask) if ask.under_way => Ok(draft("recharge_failed", 0, now_ms)),
                _ => Err(refuse(409, "recharge_not_under_way")),
            },
            Body::Alerts { rules } => match rules.is_wrong {
                Some(code) => Err(refuse(422, code)),
                None => Ok(draft("alerts_set", 0, now_ms)),
            },
            Body::Event { budget: Some(budget), .. } if budget < 0 => out_of_range(),
            Body::Event { .. } => Ok(draft("event_defined", 0, now_ms)),
            Body::Booth { .. } => Ok(draft("booth_set", 0, now_ms)),
            Body::Void { hold } => match self.holds.iter().find(|line| line.hold == hold) {
                None => Err(refuse(404, "unknown_hold")),
                Some(line) if !line.open => Err(refuse(409, "hold_ended")),
                Some(_) => Ok(draft("hold_released", 0, now_ms)),
            },
            Body::Hold { .. } => self.decide_hold(body, now_ms),
            Body::Refund { pick, micros, wrong } => self.decide_refund(pick, micros, wrong),
        }
    }

    fn hold_amount(&self, size: Size, work: Work, now_ms: i64) -> Option<i64> {
        match size {
            Size::Amount(micros) if micros <= 0 || micros > BOUND => None,
            Size::Amount(micros) => Some(micros),
            Size::Quantity(0) => None,
            Size::Quantity(quantity) => self.price(self.plan_at(now_ms), work, quantity, now_ms),
        }
    }

    fn decide_hold(&self, body: Body, now_ms: i64) -> Decision {
        let Body::Hold { hold, size, timeout_ms, event, booth, work } = body else { unreachable!() };
        if !(1_000..=86_400_000).contains(&timeout_ms) {
            return Err(refuse(422, "invalid_timeout"));
        }
        if self.holds.iter().any(|line| line.hold == hold) {
            return Err(refuse(409, "hold_exists"));
        }
        if self.paused.contains(&booth) {
            return Err(refuse(409, "booth_paused"));
        }
        let amount = self.hold_amount(size, work, now_ms).ok_or(refuse(422, "out_of_range"))?;
        let wide = i128::from;
        if let Some(EventLine { budget: Some(budget), refuses: true, .. }) =
            self.events.iter().rfind(|line| line.event == event)
        {
            let beyond = self.spent(event) + wide(self.event_held(event)) + wide(amount) - wide(*budget);
            if beyond > 0 {
                return Err(Outcome::Refused(402, "event_budget_exceeded", i64::try_from(beyond).unwrap()));
            }
        }
        let missing = wide(amount) - (wide(self.balance()) - wide(self.held()) + wide(self.limit));
        if missing > 0 {
            return Err(Outcome::Refused(402, "insufficient_balance", i64::try_from(missing).unwrap()));
        }
        if !in_bound(wide(self.held()) + wide(amount)) {
            return Err(refuse(422, "out_of_range"));
        }
        Ok(draft("hold_placed", 0, now_ms))
    }

    fn decide_refund(&self, pick: usize, micros: Option<i64>, wrong: bool) -> Decision {
        let Some(charge) = self.charges.get(pick).filter(|charge| !charge.forgotten && !charge.replaced) else {
            return Err(refuse(404, "unknown_charge"));
        };
        if wrong {
            return Err(refuse(409, "charge_mismatch"));
        }
        let left = charge.amount - charge.refunded;
        if left == 0 {
            return Err(refuse(409, "nothing_to_refund"));
        }
        let amount = micros.unwrap_or(left);
        if amount <= 0 || amount > BOUND {
            return Err(refuse(422, "out_of_range"));
        }
        if amount > left {
            return Err(refuse(409, "refund_exceeds_charge"));
        }
        let note = if amount == left { charge.report.quantity } else { 0 };
        Ok(Draft { note, ..draft("refund", amount, charge.occurred_at_ms) })
    }

    fn carry_out(&mut self, body: Body, draft: &Draft, now_ms: i64) -> Posted {
        let mut of_event = 0;
        let mut note = draft.note;
        match body {
            // Posts as a report does.
            Body::Redrive { .. } | Body::Reprice { .. } => unreachable!(),
            Body::Open => {
                self.open = true;
                self.fee_next = self.zone.month(now_ms) + 1;
                self.plans.push((i64::MIN, "basic"));
            }
            Body::ChangePlan { pro } => self.plans.push((now_ms, if pro { "pro" } else { "basic" })),
            Body::Profile { named, place } => {
                self.is_renamed |= named;
                if let Some(Place::In(zone)) = place {
                    self.zone = zone;
                }
            }
            Body::Hold { hold, size, timeout_ms, event, work, .. } => {
                let amount = self.hold_amount(size, work, now_ms).unwrap();
                self.holds.push(HoldLine { hold, amount, expires_at_ms: now_ms + timeout_ms, event, open: true });
            }
            Body::Void { hold } => self.holds.iter_mut().find(|line| line.hold == hold).unwrap().open = false,
            Body::Limit { micros } => self.limit = micros,
            Body::Refund { pick, .. } => {
                let charge = &mut self.charges[pick];
                charge.refunded += i64::try_from(draft.amount).unwrap();
                of_event = charge.report.event;
                // The refund that completes a charge gives its quantity back, to the month that counted it.
                let (work, month) = (charge.report.work, charge.month);
                self.count(work, month, -draft.note);
            }
            Body::Bonus { micros, expires_in_ms } => {
                let expires_at_ms = expires_in_ms.map(|ms| now_ms + ms);
                self.lots.push(LotLine { seq: self.seq() + 1, expires_at_ms, left: micros });
            }
            Body::Fee { month } => self.settle_month(month_of_2026(month)),
            Body::Event { event, budget, refuses } => {
                self.events.push(EventLine { event, budget, refuses });
                self.defines = event;
            }
            Body::Alerts { rules } => self.set_alerts(rules),
            Body::Booth { booth, paused } => {
                self.paused.retain(|known| *known != booth);
                if paused {
                    self.paused.push(booth);
                }
            }
            Body::Recharge { threshold, size, most, daily_cap, monthly_cap } => {
                self.rule = size.map(|size| RuleLine { threshold, size, most, caps: [daily_cap, monthly_cap] });
                self.rule_looks = self.looks.len();
                (self.failures, self.not_before_ms, self.low_since_ms) = (0, 0, None);
            }
            Body::Recharged { back, paid: true } => {
                let paid = self.asks.iter_mut().rev().nth(back).filter(|ask| ask.under_way);
                if let Some(ask) = paid {
                    ask.under_way = false;
                    ask.paid = Some(Paid { at_ms: now_ms, looks: self.looks.len() });
                    (self.failures, self.not_before_ms) = (0, now_ms + 60_000);
                }
            }
            Body::Recharged { paid: false, .. } => note = self.fail_recharge(),
            Body::Adjust { .. } | Body::Purchase { .. } => {}
        }
        let from_bonus = self.draw(-draft.amount);
        self.post(&Draft { note, ..*draft }, from_bonus, of_event)
    }
}
