//! What must agree in one account's figures. Pure.

/// A place where ClickHouse can contradict itself; the label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The rows of `ledger` among themselves: gaps, doubled entries, a balance that does not follow from the one before.
    LedgerChain,
    /// `account_balances` against the last row of `ledger`.
    BalanceVsLedger,
    /// The rollups against the rows of `ledger`.
    RollupVsLedger,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::LedgerChain, Self::BalanceVsLedger, Self::RollupVsLedger];

    /// The label's value.
    #[must_use]
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::LedgerChain => "ledger_chain",
            Self::BalanceVsLedger => "balance_vs_ledger",
            Self::RollupVsLedger => "rollup_vs_ledger",
        }
    }
}

/// How far an account is off, by kind in the order of [`Kind::ALL`]; `None`: it is not. An account can be off by 0, where
/// counts differ and amounts do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sink) struct Drift(pub(super) [Option<u128>; Kind::ALL.len()]);

/// Sums over the rows of one account. Amounts in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Rows of `ledger`.
    pub(super) entries: u64,
    /// The highest `seq`.
    pub(super) newest: u64,
    /// Sum of `seq`.
    pub(super) seqs: u64,
    /// Sum of the amounts.
    pub(super) amount: i128,
    /// Sum of `seq` times amount.
    pub(super) weighted: i128,
    /// Sum of the balances after each entry.
    pub(super) balances: i128,
    /// The balance after the newest.
    pub(super) balance: i128,
    /// Sum of the amounts of entries of an event.
    pub(super) of_events: i128,
    /// Sum of the amounts of entries of a booth.
    pub(super) of_booths: i128,
    /// Operations charged.
    pub(super) charged: i64,
    /// Operations failed.
    pub(super) failed: i64,
    /// What `account_balances` says: newest `seq`, balance.
    pub(super) kept: (u64, i128),
    /// What the rollups by account, event and booth sum to.
    pub(super) rolled: [i128; 3],
    /// Operations charged and failed in the rollup by account.
    pub(super) rolled_operations: (i64, i64),
}

impl Figures {
    /// Where they contradict each other; `None`: nowhere.
    #[must_use]
    pub(super) fn drift(&self) -> Option<Drift> {
        let drift = Drift([self.chain(), self.kept(), self.rollups()]);
        drift.0.iter().any(Option::is_some).then_some(drift)
    }

    /// Gapless means that n entries have the sequence numbers 1 to n, so their sum is n(n + 1) / 2. The balance after entry
    /// k is the sum of the first k amounts, so all balances together are the sum of (n + 1 - seq) times amount: one entry
    /// that breaks the chain breaks this.
    fn chain(&self) -> Option<u128> {
        let n = i128::from(self.newest);
        let is_gapless = self.entries == self.newest && i128::from(self.seqs) == n * (n + 1) / 2;
        let expected = (n + 1).saturating_mul(self.amount).saturating_sub(self.weighted);
        let follows = self.amount == self.balance && self.balances == expected;
        (!is_gapless || !follows).then(|| self.amount.abs_diff(self.balance))
    }

    fn kept(&self) -> Option<u128> {
        (self.kept != (self.newest, self.balance)).then(|| self.kept.1.abs_diff(self.balance))
    }

    fn rollups(&self) -> Option<u128> {
        let expected = [self.amount, self.of_events, self.of_booths];
        let is_same = self.rolled == expected && self.rolled_operations == (self.charged, self.failed);
        let off = || self.rolled.iter().zip(expected).map(|(found, expected)| found.abs_diff(expected)).max();
        (!is_same).then(|| off().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An account of three entries: +10.00, a charge of 0.24 for an event at a booth, a failure.
    fn whole() -> Figures {
        Figures {
            entries: 3,
            newest: 3,
            seqs: 6,
            amount: 9_760_000,
            weighted: 10_000_000 - 2 * 240_000,
            balances: 10_000_000 + 9_760_000 + 9_760_000,
            balance: 9_760_000,
            of_events: -240_000,
            of_booths: -240_000,
            charged: 1,
            failed: 1,
            kept: (3, 9_760_000),
            rolled: [9_760_000, -240_000, -240_000],
            rolled_operations: (1, 1),
        }
    }

    #[test]
    fn what_agrees_is_no_drift() {
        assert_eq!(whole().drift(), None);
        assert_eq!(Figures::default().drift(), None);
    }

    #[test]
    fn each_contradiction_is_seen_and_sized() {
        type Case = (&'static str, fn(&mut Figures), [Option<u128>; 3]);
        let cases: [Case; 10] = [
            ("an entry twice", |f| f.entries = 4, [Some(0), None, None]),
            ("one lost, another twice", |f| f.seqs = 5, [Some(0), None, None]),
            ("a balance in the middle", |f| f.balances += 1, [Some(0), None, None]),
            ("amounts changed place", |f| f.weighted += 1, [Some(0), None, None]),
            ("an amount", |f| f.amount += 5, [Some(5), None, Some(5)]),
            ("the kept balance", |f| f.kept.1 -= 7, [None, Some(7), None]),
            ("a kept balance of before", |f| f.kept.0 = 2, [None, Some(0), None]),
            ("a rollup", |f| f.rolled[0] += 3, [None, None, Some(3)]),
            ("a booth's rollup", |f| f.rolled[2] = 0, [None, None, Some(240_000)]),
            ("a count", |f| f.rolled_operations.1 = 2, [None, None, Some(0)]),
        ];
        for (name, damage, expected) in cases {
            let mut figures = whole();
            damage(&mut figures);
            assert_eq!(figures.drift(), Some(Drift(expected)), "{name}");
        }
    }

    #[test]
    fn rows_without_an_account_in_the_ledger_are_drift() {
        let orphan = Figures { kept: (2, 5), rolled: [5, 0, 0], ..Figures::default() };
        assert_eq!(orphan.drift(), Some(Drift([None, Some(5), Some(5)])));
    }
}
