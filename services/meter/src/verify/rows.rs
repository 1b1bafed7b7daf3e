//! ClickHouse against the ledger: rows and balances.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{
    audit::Audit,
    ledger_row::LedgerRow,
    report::{Checked, Defect, Unchecked},
};

/// A line of `account_balances`, merged.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct BalanceRow<'a> {
    /// The account.
    pub account_id: &'a str,
    /// `seq`, balance, held, posting time of its last entry.
    pub latest: (u64, i64, i64, i64),
    /// `seq`, name, currency, zone, posting time of its opening.
    #[serde(borrow)]
    pub profile: (u64, &'a str, &'a str, &'a str, i64),
    /// `seq`, plan, effective instant of its last plan; 0 for the opening.
    #[serde(borrow)]
    pub plan: (u64, &'a str, i64),
    /// `seq`, name, zone of the last word about them after the opening; 0: there is none.
    #[serde(borrow)]
    pub profile_set: (u64, &'a str, &'a str),
}

impl Audit {
    /// Says that the tables are about to be given, even if nothing is in them.
    pub fn tables_follow(&mut self) {
        self.rows_given = true;
        self.rollups_given = true;
        self.balances_given = true;
    }

    /// A row of `ledger`, in any order.
    pub fn row(&mut self, row: &LedgerRow<'_>) {
        self.report.checked(Checked::Rows, 1);
        let found = row.digest(&mut self.parts);
        let account = self.by_id.get(row.account_id).and_then(|index| self.accounts.get_mut(*index as usize));
        let Some((account, index)) = account.and_then(|account| account.index_of(row.seq).map(|at| (account, at)))
        else {
            self.rows_beyond.push((row.account_id.into(), row.seq));
            return;
        };
        let (word, bit) = (index / 64, 1_u64 << (index % 64));
        if account.rows_seen.len() <= word {
            account.rows_seen.resize(word + 1, 0);
        }
        let Some((seen, entry)) = account.rows_seen.get_mut(word).zip(account.entries.get(index)) else { return };
        let name = || tollbooth_schemas::ids::entry_id(row.account_id, row.seq);
        if *seen & bit != 0 {
            self.report.defect(Defect::RowDoubled, || format!("ledger row {}", name()));
        }
        *seen |= bit;
        if found != entry.row {
            self.report.defect(Defect::RowDiffers, || {
                let (amount, balance) = (entry.amount, entry.balance);
                format!("ledger row {} differs; the entry has amount {amount}, balance {balance}: {row:?}", name())
            });
        }
    }

    /// A line of `account_balances`, merged.
    pub fn balance(&mut self, row: &BalanceRow<'_>) {
        self.report.checked(Checked::BalanceRows, 1);
        let id = row.account_id;
        let index = self.by_id.get(id).copied();
        let Some(account) = index.and_then(|index| self.accounts.get_mut(index as usize)) else {
            self.rows_beyond.push((id.into(), 0));
            return;
        };
        if account.balance_seen {
            self.report.defect(Defect::BalanceOff, || format!("{id} has two lines"));
        }
        account.balance_seen = true;
        let Some(last) = account.entries.last() else { return };
        if row.latest.0 > last.seq {
            // Posted since, or made up: the tail tells.
            self.rows_beyond.push((id.into(), row.latest.0));
            return;
        }
        account.drift += (i128::from(row.latest.1) - i128::from(account.balance)).abs();
        let latest = (last.seq, account.balance, account.held, last.posted_at_ms);
        let profile = account.opened.as_ref().map_or((0, "", "", "", 0), |opened| {
            (opened.seq, &*opened.name, &*opened.currency, &*opened.time_zone, opened.posted_at_ms)
        });
        let plan = account.plans.last().map_or((0, "", 0), |from| {
            let is_opening = from.seq == profile.0;
            (from.seq, &*from.plan, if is_opening { 0 } else { from.effective_at_ms })
        });
        let profile_set = account.profiles.last().map_or((0, "", ""), |set| (set.seq, &*set.name, &*set.time_zone));
        let found = (row.latest, row.profile, row.plan, row.profile_set);
        let expected = (latest, profile, plan, profile_set);
        if found != expected {
            self.report.defect(Defect::BalanceOff, || format!("{id}: {found:?}, expected {expected:?}"));
        }
    }

    pub(super) fn finish_rows(&mut self) {
        if !self.rows_given {
            return;
        }
        let mut moving = 0;
        for (id, seq) in &self.rows_beyond {
            // An account's line with `seq` 0 is of an account that the audit has not read.
            let is_new = *seq == 0 && self.by_id.get(id).is_some();
            if is_new || self.tail.contains(&(id.clone(), *seq)) {
                moving += 1;
            } else {
                self.report.defect(Defect::RowUnexpected, || format!("{id} seq {seq} is not in the ledger"));
            }
        }
        self.count_unchecked(Unchecked::RowsMoving, moving);
        for account in &self.accounts {
            for (index, entry) in account.entries.iter().enumerate() {
                let word = account.rows_seen.get(index / 64).copied().unwrap_or_default();
                // A `seq` that stands twice in the ledger has one place for its rows.
                let is_first = account.index_of(entry.seq) == Some(index);
                if word & (1 << (index % 64)) == 0 && is_first {
                    self.report.defect(Defect::RowMissing, || {
                        format!("ledger row {}", tollbooth_schemas::ids::entry_id(&account.id, entry.seq))
                    });
                }
            }
        }
    }

    pub(super) fn finish_balances(&mut self) {
        if !self.balances_given {
            return;
        }
        let mut moving = 0;
        for account in self.accounts.iter().filter(|account| !account.entries.is_empty()) {
            if !account.balance_seen && account.moving {
                moving += 1;
            } else if !account.balance_seen {
                self.report.defect(Defect::BalanceOff, || format!("{} has no line in account_balances", account.id));
            }
        }
        self.count_unchecked(Unchecked::BalancesMoving, moving);
    }
}
