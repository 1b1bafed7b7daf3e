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
    pub(super) lines: Vec<AlertLine>,
    top_up: Option<i64>,
}

#[derive(Clone, Copy)]
enum Now {
    Crossed,
    Armed,
    Unclear,
}

/// What is said beside the balance: kind, threshold, percent, event, spent, hours.
type Said = (i64, i128, i64, u64, i128, i64);

impl Account {
    pub(super) fn set_alerts(&mut self, rules: Rules) {
        self.alerts.rules = Some(rules);
        self.alerts.told.clear();
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
            self.judge(format!("below {amount}"), against(threshold), (1, threshold, 0, 0, 0, 0));
        }
        if let Some(top_up) = self.alerts.top_up {
            for percent in rules.top_up {
                let threshold = i128::from(top_up) * i128::from(*percent) / 100;
                let said = (2, threshold, i64::from(*percent), 0, 0, 0);
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
            self.judge("recharge".to_owned(), now, (4, 0, 0, 0, 0, 0));
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
            self.judge("empty".to_owned(), now, (5, 0, 0, 0, spent, i64::from(hours)));
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
        self.raise((3, budget, i64::from(reached), event, spent, 0));
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

    fn raise(&mut self, (kind, threshold, percent, event, spent, hours): Said) {
        let number = self.alerts.lines.len() as u64 + 1;
        let counts = [number, self.seq(), event].map(|count| i64::try_from(count).unwrap());
        let amounts = [threshold, spent].map(|amount| i64::try_from(amount).unwrap());
        let said = [self.now_ms, self.balance(), percent, hours];
        let note = alert_note(kind, counts.into_iter().chain(amounts).chain(said));
        self.alerts.lines.push(AlertLine { number, at_ms: self.now_ms, note, said: false });
    }
}
