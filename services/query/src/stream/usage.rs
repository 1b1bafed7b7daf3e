//! Sums that a chart adds to what it shows.

use std::collections::BTreeMap;

use crate::activity::ActivityRow;
use crate::calendar::QUARTER_MS;

/// What the entries `(after_seq, to_seq]` change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The entry before the first.
    pub after_seq: u64,
    /// The last entry.
    pub to_seq: u64,
    /// By quarter of an hour of `occurred_at`, UTC, then service, engine, event.
    pub lines: BTreeMap<(i64, String, String, String), UsageLine>,
}

/// What they change in one place; below zero for what was given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageLine {
    /// Successful operations net of refunds and reversals.
    pub count: i64,
    /// Failed operations.
    pub failures: i64,
    /// Units of successful work, in millionths.
    pub quantity_micros: i128,
    /// Spent, positive, in micro-units.
    pub spent_micros: i128,
}

impl Usage {
    /// Nothing yet, behind entry `seq`.
    #[must_use]
    pub fn after(seq: u64) -> Self {
        Self { after_seq: seq, to_seq: seq, lines: BTreeMap::new() }
    }

    /// Adds an entry; what is no usage changes nothing.
    pub fn add(&mut self, row: &ActivityRow) {
        let sign = match row.entry_type.as_str() {
            "consume" | "repriced" => 1,
            // A part that is given back carries no quantity and takes back no operation.
            "refund" | "reversal" if row.quantity_micros == 0 => 0,
            "refund" | "reversal" => -1,
            _ => return,
        };
        let start_ms = row.occurred_at_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
        let key = (start_ms, row.service.clone(), row.engine.clone(), row.event_id.clone());
        let line = self.lines.entry(key).or_default();
        line.spent_micros -= i128::from(row.amount_micros);
        if row.failed {
            line.failures += 1;
        } else {
            line.count += sign;
            line.quantity_micros += i128::from(sign) * i128::from(row.quantity_micros);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_failures_and_what_is_given_back_are_summed_where_they_occurred() {
        let row = |entry_type: &str, occurred_at_ms, amount_micros, failed| ActivityRow {
            entry_type: entry_type.to_owned(),
            service: "sms".to_owned(),
            quantity_micros: 2_000_000,
            occurred_at_ms,
            amount_micros,
            failed,
            ..ActivityRow::default()
        };
        let mut usage = Usage::after(4);
        for row in [
            row("consume", QUARTER_MS + 1, -100, false),
            row("consume", 2 * QUARTER_MS - 1, -50, false),
            row("consume", QUARTER_MS, 0, true),
            row("reversal", QUARTER_MS, 50, false),
            row("consume", -1, -7, false),
            row("purchase", QUARTER_MS, 9_999, false),
            // made anew: given back, and charged again
            row("reversal", QUARTER_MS, 50, false),
            row("repriced", QUARTER_MS, -50, false),
            row("refund", -1, 5, false),
            ActivityRow { quantity_micros: 0, ..row("refund", QUARTER_MS, 30, false) },
        ] {
            usage.add(&row);
        }
        let found: Vec<_> = usage.lines.iter().map(|((start_ms, ..), line)| (*start_ms, *line)).collect();
        let line = |count, failures, quantity_micros, spent_micros| UsageLine {
            count,
            failures,
            quantity_micros,
            spent_micros,
        };
        assert_eq!(found, [(-QUARTER_MS, line(0, 0, 0, 2)), (QUARTER_MS, line(1, 1, 2_000_000, 70))]);
    }
}
