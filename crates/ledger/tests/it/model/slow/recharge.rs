//! Credit that is bought by itself: every question is answered from the list of what was asked for.

use super::{super::steps::RechargeSize, Account, in_bound};

#[derive(Debug, Clone, Copy)]
pub(super) struct RuleLine {
    pub(super) threshold: i64,
    pub(super) size: RechargeSize,
    pub(super) most: Option<i64>,
    pub(super) caps: [Option<i64>; 2],
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AskLine {
    pub(super) amount: i64,
    pub(super) at_ms: i64,
    /// When the day and the month end that it is counted in.
    pub(super) ends_ms: [i64; 2],
    pub(super) under_way: bool,
    pub(super) failed: bool,
    pub(super) paid: Option<Paid>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Paid {
    pub(super) at_ms: i64,
    /// How many balances were looked at before.
    pub(super) looks: usize,
}

/// What a rule makes of an instant.
pub(super) enum Ask {
    Now(i64),
    At(i64),
    Never,
}

impl Account {
    pub(super) fn under_way(&self) -> Option<&AskLine> {
        self.asks.iter().find(|ask| ask.under_way)
    }

    pub(super) fn available(&self) -> i64 {
        self.balance() - self.held()
    }

    /// 1 minute, 2, 4, 8 ... and no more than 6 hours after the failure.
    pub(super) fn fail_recharge(&mut self) -> i64 {
        let ask = self.asks.iter_mut().find(|ask| ask.under_way).unwrap();
        (ask.under_way, ask.failed) = (false, true);
        self.failures += 1;
        let mut minutes = 1;
        for _ in 1..self.failures {
            minutes = 360.min(minutes * 2);
        }
        self.not_before_ms = self.now_ms + minutes * 60_000;
        self.not_before_ms
    }

    /// What the rule would buy at an instant at which too little is available.
    pub(super) fn ask(&self, at_ms: i64) -> Ask {
        let rule = self.rule.unwrap();
        let wide = i128::from;
        let wanted = match rule.size {
            RechargeSize::Fixed(amount) => wide(amount),
            RechargeSize::UpTo(target) => {
                let of_before = wide(target - rule.threshold).max(10_000_000_000);
                (wide(target) - wide(self.available())).max(1_000_000).min(rule.most.map_or(of_before, wide))
            }
        };
        let wanted = (wanted + 9_999) / 10_000 * 10_000;
        if !in_bound(wanted) || !in_bound(wide(self.balance()) + wanted) {
            return Ask::Never;
        }
        let mut amount = wanted;
        let mut free_at_ms = at_ms;
        for (window, cap) in rule.caps.into_iter().enumerate() {
            let Some(cap) = cap else { continue };
            let counted = self.asks.iter().filter(|ask| !ask.failed && ask.ends_ms[window] > at_ms);
            let left = wide(cap) - counted.map(|ask| wide(ask.amount)).sum::<i128>();
            amount = amount.min(left);
            if left < 1_000_000 {
                free_at_ms = free_at_ms.max(self.ends_ms(at_ms)[window]);
            }
        }
        if free_at_ms > at_ms { Ask::At(free_at_ms) } else { Ask::Now(i64::try_from(amount).unwrap()) }
    }

    /// When the day and the month end that an instant is counted in: where one of an earlier request has not ended it goes on,
    /// whatever the zone is meanwhile.
    fn ends_ms(&self, at_ms: i64) -> [i64; 2] {
        let (day, month) = (self.zone.day(at_ms), self.zone.month(at_ms));
        let begun = [self.zone.day_start(day + 1), self.zone.month_start(month + 1)];
        [0, 1].map(|window| {
            let ends_ms = self.asks.iter().map(|ask| ask.ends_ms[window]);
            ends_ms.filter(|ends_ms| *ends_ms > at_ms).min().unwrap_or(begun[window])
        })
    }

    pub(super) fn ask_for(&mut self, amount: i64) {
        let (at_ms, ends_ms) = (self.now_ms, self.ends_ms(self.now_ms));
        self.asks.push(AskLine { amount, at_ms, ends_ms, under_way: true, failed: false, paid: None });
    }

    pub(super) fn recharge_due(&self) -> Option<i64> {
        if let Some(under_way) = self.under_way() {
            return Some(under_way.at_ms + 7 * 86_400_000);
        }
        let at_ms = self.low_since_ms?.max(self.not_before_ms).max(self.unused_until_ms());
        match self.ask(at_ms) {
            Ask::Now(_) => Some(at_ms),
            Ask::At(at_ms) => Some(at_ms),
            Ask::Never => None,
        }
    }

    /// Of those that were paid since the rule was set, in order, which still had most of their money when the balance was
    /// last looked at before `looks`: the balance was enough by itself, and less than half was spent.
    fn is_unused(&self, ask: &AskLine, looks: usize) -> bool {
        let since = &self.looks[ask.paid.unwrap().looks..looks];
        let (Some(most), Some(now)) = (since.iter().max(), since.last()) else { return false };
        *now >= self.rule.unwrap().threshold && 2 * (i128::from(*most) - i128::from(*now)) < i128::from(ask.amount)
    }

    /// 10 minutes after it was paid; 20, 40 and so on, up to 6 hours, where the one before it was unused as well.
    fn unused_until_ms(&self) -> i64 {
        let paid = self.asks.iter().filter(|ask| ask.paid.is_some_and(|paid| paid.looks >= self.rule_looks));
        let paid: Vec<&AskLine> = paid.collect();
        let Some(last) = paid.last().filter(|ask| self.is_unused(ask, self.looks.len())) else { return 0 };
        let mut minutes = 10;
        for pair in paid.windows(2).rev() {
            if !self.is_unused(pair[0], pair[1].paid.unwrap().looks) {
                break;
            }
            minutes = 360.min(minutes * 2);
        }
        last.paid.unwrap().at_ms + minutes * 60_000
    }

    /// After everything posted: is there too little now?
    pub(super) fn look_at_what_is_left(&mut self) {
        self.looks.push(self.balance());
        if self.rule.is_some_and(|rule| self.available() < rule.threshold) {
            self.low_since_ms.get_or_insert(self.now_ms);
        } else {
            self.low_since_ms = None;
            if self.failures == 0 {
                self.not_before_ms = 0;
            }
        }
    }

    pub(super) fn asked(&self, back: usize) -> Option<&AskLine> {
        self.asks.iter().rev().nth(back)
    }
}
