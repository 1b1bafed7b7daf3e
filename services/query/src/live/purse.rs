//! What a balance is made of: purchased credit and bonus lots, and how far below zero a hold may reach.
//!
//! Folded from the ledger by the rule that the entries themselves state: a charge says how much of it came out of bonus
//! lots, and these are drawn soonest expiry first, of two alike the older one, those that never expire last.

use tollbooth_schemas::v1::Entry;
use tollbooth_schemas::v1::entry::Kind;

/// A bonus that has something left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// The entry that granted it.
    pub granted_seq: u64,
    /// `None`: never.
    pub expires_at_ms: Option<i64>,
    /// In micro-units, more than zero.
    pub remaining_micros: i64,
}

impl Lot {
    fn rank(&self) -> (i64, u64) {
        (self.expires_at_ms.unwrap_or(i64::MAX), self.granted_seq)
    }
}

/// Lots and credit limit of an account at an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purse {
    /// In the order they are drawn.
    pub lots: Vec<Lot>,
    /// In micro-units.
    pub credit_limit_micros: i64,
}

impl Purse {
    /// What is left in the lots, in micro-units.
    #[must_use]
    pub fn bonus_micros(&self) -> i128 {
        self.lots.iter().map(|lot| i128::from(lot.remaining_micros)).sum()
    }

    /// A lot is granted.
    pub fn grant(&mut self, lot: Lot) {
        if lot.remaining_micros > 0 {
            let at = self.lots.partition_point(|known| known.rank() < lot.rank());
            self.lots.insert(at, lot);
        }
    }

    /// So much is taken out of the lots.
    pub fn draw(&mut self, micros: i64) {
        let mut left = micros;
        for lot in &mut self.lots {
            let taken = lot.remaining_micros.min(left).max(0);
            lot.remaining_micros -= taken;
            left -= taken;
        }
        self.lots.retain(|lot| lot.remaining_micros > 0);
    }

    /// A lot ends with all it has left.
    pub fn end(&mut self, granted_seq: u64) {
        self.lots.retain(|lot| lot.granted_seq != granted_seq);
    }

    /// Takes what an entry says.
    pub fn fold(&mut self, entry: &Entry) {
        if entry.from_bonus_micros != 0 {
            self.draw(entry.from_bonus_micros);
        }
        match &entry.kind {
            Some(Kind::BonusGranted(granted)) => self.grant(Lot {
                granted_seq: entry.seq,
                expires_at_ms: granted.expires_at_ms,
                remaining_micros: entry.amount_micros,
            }),
            Some(Kind::BonusExpired(expired)) => self.end(expired.granted_seq),
            Some(Kind::CreditLimitSet(set)) => self.credit_limit_micros = set.credit_limit_micros,
            _ => {}
        }
    }

    /// Whether an entry says anything about a purse.
    #[must_use]
    pub fn is_about(entry: &Entry) -> bool {
        entry.from_bonus_micros != 0
            || matches!(entry.kind, Some(Kind::BonusGranted(_) | Kind::BonusExpired(_) | Kind::CreditLimitSet(_)))
    }
}

/// What memory knows of a purse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it has to be asked of ClickHouse once.
    #[default]
    No,
    /// It is empty, as most are.
    Empty,
    /// As of the account's newest entry.
    Yes(Box<Purse>),
}

impl Known {
    pub(super) fn of(purse: Purse) -> Self {
        if purse == Purse::default() { Self::Empty } else { Self::Yes(Box::new(purse)) }
    }

    pub(super) fn get(&self) -> Option<Purse> {
        match self {
            Self::No => None,
            Self::Empty => Some(Purse::default()),
            Self::Yes(purse) => Some(Purse::clone(purse)),
        }
    }

    /// Takes the next entries.
    pub(super) fn fold<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        for entry in entries.into_iter().filter(|entry| Purse::is_about(entry)) {
            if let Some(mut purse) = self.get() {
                purse.fold(entry);
                *self = Self::of(purse);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::v1::{BonusExpired, BonusGranted, CreditLimitSet};

    use super::*;

    fn entry(seq: u64, amount_micros: i64, from_bonus_micros: i64, kind: Option<Kind>) -> Entry {
        Entry { seq, amount_micros, from_bonus_micros, kind, ..Entry::default() }
    }

    #[test]
    fn lots_are_drawn_soonest_expiry_first() {
        let granted =
            |expires_at_ms| Some(Kind::BonusGranted(BonusGranted { expires_at_ms, ..BonusGranted::default() }));
        let mut known = Known::Empty;
        known.fold(&[
            entry(1, 10, 0, granted(None)),
            entry(2, 5, 0, granted(Some(900))),
            entry(3, 7, 0, granted(Some(500))),
            entry(4, -20, 9, None),
            entry(5, 0, 0, Some(Kind::CreditLimitSet(CreditLimitSet { credit_limit_micros: 30 }))),
        ]);
        let purse = known.get().unwrap();
        let lots: Vec<_> = purse.lots.iter().map(|lot| (lot.granted_seq, lot.remaining_micros)).collect();
        assert_eq!((lots, purse.bonus_micros(), purse.credit_limit_micros), (vec![(2, 3), (1, 10)], 13, 30));

        known.fold(&[
            entry(6, -3, 0, Some(Kind::BonusExpired(BonusExpired { granted_seq: 2 }))),
            entry(7, -10, 10, None),
            entry(8, 0, 0, Some(Kind::CreditLimitSet(CreditLimitSet::default()))),
        ]);
        assert_eq!(known, Known::Empty);
        let mut unknown = Known::No;
        unknown.fold(&[entry(9, 10, 0, granted(None))]);
        assert_eq!(unknown.get(), None, "what came before is not known");
    }
}
