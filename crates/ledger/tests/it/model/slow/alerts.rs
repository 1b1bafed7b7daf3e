//! What an account wants to be told of: every question is answered from lists of what was posted, told and said.

use super::{
    super::steps::{Rules, alert_note},
    Account,
};

/// An alert that was raised.
#[derive(Debug, Clone)]
pub(super) struct AlertLine {
    pub(super) number: u64,
    pub(super) at_ms: i64,
    pub(super) note: i64,
    pub(super) said: bool,
}

/// Everything about them.
#[derive(Debug, Default, Clone)]
pub(super) struct Alerts {
    rules: Option<Rules>,
    /// Names of rules that were told and not armed since.
    told: Vec<String>,
    /// Posting time and amount of charges.
    charges: Vec<(i64, i64)>,
    /// Booth, hour of the occurrence and amount of charges, since there is a rule about them.
    booth_charges: Vec<(u64, i64, i64)>,
    pub(super) lines: Vec<AlertLine>,
    top_up: Option<i64>,
}

#[derive(Clone, Copy)]
enum Now {
    Crossed,
    Armed,
    Unclear,
}

/// What is said beside the balance.
#[derive(Debug, Clone, Copy)]
struct Said {
    kind: i64,
    threshold: i128,
    percent: i64,
    event: u64,
    spent: i128,
    hours: i64,
    booth: u64,
    hour_at_ms: i64,
    usual: i128,
    times: i64,
}

const NOTHING: Said = Said {
    kind: 0,
    threshold: 0,
    percent: 0,
    event: 0,
    spent: 0,
    hours: 0,
    booth: 0,
    hour_at_ms: 0,
    usual: 0,
    times: 0,
};

impl Account {
    pub(super) fn set_alerts(&mut self, rules: Rules) {
        self.alerts.rules = Some(rules);
        self.alerts.told.clear();
        if rules.spike.is_none() {
            self.alerts.booth_charges.clear();
        }
    }

    pub(super) fn alert_dues(&self) -> impl Iterator<Item = (i64, u64)> {
        self.alerts.lines.iter().filter(|line| !line.said).map(|line| (line.at_ms, line.number))
    }

    /// After everything posted; `event` is the one it names.
    pub(super) fn look_at_alerts(&mut self, kind: &str, amount: i64, event: u64) {
        let bought = matches!(kind, "purchase" | "auto_recharge");
        if bought {
            self.alerts.top_up = Some(amount);
        }
        let Some(rules) = self.alerts.rules else { return };
        if kind == "consume" && amount < 0 {
            self.alerts.charges.push((self.now_ms, -amount));
        }
        let balance = i128::from(self.balance());
        let against = |threshold: i128| {
            let twentieth = threshold / 20;
            let margin = if twentieth > 1_000_000 { twentieth } else { 1_000_000 };
            match balance {
                _ if balance < threshold => Now::Crossed,
                _ if bought || balance >= threshold + margin => Now::Armed,
                _ => Now::Unclear,
            }
        };
        for amount in rules.below {
            let threshold = i128::from(*amount);
            self.judge(format!("below {amount}"), against(threshold), Said { kind: 1, threshold, ..NOTHING });
        }
        if let Some(top_up) = self.alerts.top_up {
            for percent in rules.top_up {
                let threshold = i128::from(top_up) * i128::from(*percent) / 100;
                let said = Said { kind: 2, threshold, percent: i64::from(*percent), ..NOTHING };
                self.judge(format!("{percent} % of the last purchase"), against(threshold), said);
            }
        }
        if rules.recharge {
            let now = match kind {
                "recharge_failed" => Now::Crossed,
                "recharge_set" => Now::Armed,
                _ if bought => Now::Armed,
                _ => Now::Unclear,
            };
            self.judge("recharge".to_owned(), now, Said { kind: 4, ..NOTHING });
        }
        if let Some(hours) = rules.hours {
            let first = self.now_ms / 3_600_000 - 23;
            let counted = self.alerts.charges.iter().filter(|(at_ms, _)| at_ms / 3_600_000 >= first);
            let spent: i128 = counted.map(|(_, charge)| i128::from(*charge)).sum();
            // At spent / 24 an hour the balance lasts for balance * 24 / spent hours.
            let (have, need) = (balance * 24, spent * i128::from(hours));
            let now = match spent {
                1.. if have < need => Now::Crossed,
                // A quarter more than was asked for.
                _ if bought || 4 * have >= 5 * need => Now::Armed,
                _ => Now::Unclear,
            };
            self.judge("empty".to_owned(), now, Said { kind: 5, spent, hours: i64::from(hours), ..NOTHING });
        }
        self.look_at_budget(rules, event);
    }

    fn look_at_budget(&mut self, rules: Rules, event: u64) {
        if event == 0 {
            return;
        }
        let spent = self.spent(event);
        let budget = self.events.iter().rfind(|line| line.event == event).and_then(|line| line.budget);
        let is_at =
            |percent: i128| spent > 0 && budget.is_some_and(|budget| spent * 100 >= i128::from(budget) * percent);
        let name = |mark: u32| format!("event {event} at {mark}");
        // Told of a mark is told of those below it.
        for mark in rules.budget {
            if !is_at((i128::from(*mark) - 5).max(0)) {
                self.alerts.told.retain(|told| *told != name(*mark));
            }
        }
        let reached = rules.budget.iter().copied().filter(|mark| is_at(i128::from(*mark))).max();
        let Some(reached) = reached.filter(|mark| !self.alerts.told.contains(&name(*mark))) else { return };
        let all_told = rules.budget.iter().filter(|mark| **mark <= reached).map(|mark| name(*mark));
        let all_told: Vec<String> = all_told.collect();
        self.alerts.told.extend(all_told);
        let budget = i128::from(budget.unwrap());
        self.raise(Said { kind: 3, threshold: budget, percent: i64::from(reached), event, spent, ..NOTHING });
    }

    /// After everything posted; `booth` is the one it is of.
    pub(super) fn look_at_booth(&mut self, kind: &str, amount: i64, booth: u64, occurred_at_ms: i64) {
        let rule = self.alerts.rules.and_then(|rules| rules.spike);
        let Some(rule) = rule.filter(|_| kind == "consume" && amount < 0 && booth > 0) else { return };
        let hour = occurred_at_ms.div_euclid(3_600_000);
        let own = self.alerts.booth_charges.iter().filter(|(of, ..)| *of == booth);
        let newest = own.map(|(_, hour, _)| *hour).max();
        let was_below = self.spike_of(booth, hour - 1, rule).is_none();
        self.alerts.booth_charges.push((booth, hour, -amount));
        let name = format!("booth {booth}");
        match newest {
            // Late: it counts, and nothing is said.
            Some(newest) if hour < newest => return,
            Some(newest) if hour == newest => {}
            _ if was_below => self.alerts.told.retain(|told| *told != name),
            _ => {}
        }
        if let Some(said) = self.spike_of(booth, hour, rule) {
            self.judge(name, Now::Crossed, said);
        }
    }

    fn spike_of(&self, booth: u64, hour: i64, (times, at_least): (u32, i64)) -> Option<Said> {
        let spent_in = |hour: i64| -> i128 {
            let charges = self.alerts.booth_charges.iter().filter(|(of, at, _)| (*of, *at) == (booth, hour));
            charges.map(|(.., amount)| i128::from(*amount)).sum()
        };
        let own = self.alerts.booth_charges.iter().filter(|(of, at, _)| *of == booth && *at < hour);
        let mut before: Vec<i64> = own.map(|(_, hour, _)| *hour).collect();
        before.sort_unstable();
        before.dedup();
        let past: Vec<i128> = before.iter().rev().take(24).map(|hour| spent_in(*hour)).collect();
        let (count, sum, spent) = (past.len() as i128, past.iter().sum::<i128>(), spent_in(hour));
        let (times, at_least) = (i128::from(times), i128::from(at_least));
        if count < 6 || spent * count < times * sum || spent < at_least {
            return None;
        }
        let exact = times * sum;
        let share = if exact % count == 0 { exact / count } else { exact / count + 1 };
        Some(Said {
            kind: 6,
            threshold: share.max(at_least),
            spent,
            hours: i64::try_from(count).unwrap(),
            booth,
            hour_at_ms: hour * 3_600_000,
            usual: sum / count,
            times: i64::try_from(times).unwrap(),
            ..NOTHING
        })
    }

    fn judge(&mut self, name: String, now: Now, said: Said) {
        let is_told = self.alerts.told.contains(&name);
        match now {
            Now::Crossed if !is_told => {
                self.alerts.told.push(name);
                self.raise(said);
            }
            Now::Armed => self.alerts.told.retain(|told| *told != name),
            _ => {}
        }
    }

    fn raise(&mut self, said: Said) {
        let Said { kind, threshold, percent, event, spent, hours, booth, hour_at_ms, usual, times } = said;
        let number = self.alerts.lines.len() as u64 + 1;
        let counts = [number, self.seq(), event, booth].map(|count| i64::try_from(count).unwrap());
        let amounts = [threshold, spent, usual].map(|amount| i64::try_from(amount).unwrap());
        let said = [self.now_ms, self.balance(), percent, hours, hour_at_ms, times];
        let note = alert_note(kind, counts.into_iter().chain(amounts).chain(said));
        self.alerts.lines.push(AlertLine { number, at_ms: self.now_ms, note, said: false });
    }
}
