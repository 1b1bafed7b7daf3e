//! Prices of the sequences, and what they count in a month. A charge is what the month costs with it, less what it cost
//! without it.

use super::{
    super::steps::{BOUND, Work},
    Account,
};

/// What was counted of a kind of work in a month.
#[derive(Debug, Clone)]
pub(super) struct CountLine {
    work: Work,
    month: i64,
    quantity: i64,
}

/// In 10^-12: what is paid for the first `quantity` of a month at graduated prices.
fn graduated(plan: &str, quantity: i128) -> i128 {
    let (low, high) = if plan == "pro" { (50_000, 20_000) } else { (100_000, 40_001) };
    low * quantity.min(3_000_000) + high * (quantity - 3_000_000).max(0)
}

impl Account {
    pub(super) fn counted(&self, work: Work, month: i64) -> i64 {
        self.counts.iter().find(|line| (line.work, line.month) == (work, month)).map_or(0, |line| line.quantity)
    }

    pub(super) fn count(&mut self, work: Work, month: i64, quantity: i64) {
        if !matches!(work, Work::Graduated | Work::Volume) {
            return;
        }
        let total = self.counted(work, month).saturating_add(quantity).clamp(0, BOUND);
        self.counts.retain(|line| (line.work, line.month) != (work, month));
        self.counts.push(CountLine { work, month, quantity: total });
    }

    /// `None` beyond the bound.
    pub(super) fn price(&self, plan: &str, work: Work, quantity: i64, at_ms: i64) -> Option<i64> {
        price(plan, work, quantity, self.counted(work, self.zone.month(at_ms)))
    }
}

/// Half to even.
fn in_micros(exact: i128, scale: i128) -> Option<i64> {
    let (whole, rest) = (exact / scale, exact % scale);
    let up = 2 * rest > scale || (2 * rest == scale && whole % 2 == 1);
    i64::try_from(whole + i128::from(up)).ok().filter(|micros| *micros <= BOUND)
}

/// By the book that is never in force.
pub(super) fn dearer(plan: &str, work: Work, quantity: i64, before: i64) -> Option<i64> {
    let is_pro = plan == "pro";
    let (wide, before) = (i128::from(quantity), i128::from(before));
    match work {
        Work::PerUnit | Work::Test => in_micros(wide * if is_pro { 1_000_000 } else { 250_000 }, 1_000_000),
        Work::Graduated => {
            let (low, high, included) = if is_pro { (100_000, 10_000, 0) } else { (200_000, 80_003, 1_500_000) };
            let of_month = |quantity: i128| {
                let paid = (quantity - included).max(0);
                low * paid.min(3_000_000) + high * (paid - 3_000_000).max(0)
            };
            in_micros(of_month(before + wide) - of_month(before), 1_000_000)
        }
        Work::Volume | Work::Packs => panic!("it has no such price"),
    }
}

pub(super) fn price(plan: &str, work: Work, quantity: i64, before: i64) -> Option<i64> {
    let is_pro = plan == "pro";
    let wide = i128::from(quantity);
    let before = i128::from(before);
    let per_unit = if is_pro { 1_600_000 } else { 200_000 };
    let (exact, scale): (i128, i128) = match work {
        Work::PerUnit => (per_unit * wide, 1_000_000),
        Work::Test => (per_unit * wide * 333_333, 1_000_000_000_000),
        Work::Packs => ((wide + 1_999_999) / 2_000_000 * if is_pro { 200_000 } else { 250_000 }, 1),
        Work::Volume if before + wide <= 2_500_000 => (wide * 300_000, 1_000_000),
        Work::Volume => (wide * if is_pro { 90_000 } else { 100_000 }, 1_000_000),
        Work::Graduated => {
            let included = if is_pro { 0 } else { 1_500_000 };
            let beyond = |quantity: i128| (quantity - included).max(0);
            let exact = graduated(plan, beyond(before + wide)) - graduated(plan, beyond(before));
            let is_paid = beyond(before + wide) > beyond(before);
            (if is_pro && is_paid { exact.max(60_000 * 1_000_000) } else { exact }, 1_000_000)
        }
    };
    in_micros(exact, scale)
}
