//! What balances are made of, beside them.

use super::{Balance, Known, LiveView};
use crate::live::Purse;

impl LiveView {
    /// What the balance of an account is made of, as of the same entry; `None` within where it is not known, see
    /// [`LiveView::put_purse`].
    #[must_use]
    pub fn balance_and_purse(&self, account_id: &str) -> Option<(Balance, Option<Purse>)> {
        let inner = self.inner.read();
        let account = inner.get(account_id)?;
        Some((self.balance_of(account)?, account.purse.get()))
    }

    /// Puts in a purse as it was at entry `seq`. Entries since then are folded on top, as far as memory has them all;
    /// returns whether it does.
    pub fn put_purse(&self, account_id: &str, seq: u64, purse: Purse) -> bool {
        let mut inner = self.inner.write();
        let Some(index) = inner.index.get(account_id).copied() else { return false };
        let Some(account) = inner.accounts.get_mut(index as usize) else { return false };
        let oldest_seq = account.recent.records.front().map_or(account.seq + 1, |record| record.first_seq);
        if account.seq < seq || oldest_seq > seq + 1 {
            return account.purse != Known::No;
        }
        let mut known = Known::of(purse);
        for record in account.recent.records.iter().filter(|record| record.last_seq > seq) {
            let Some(record) = record.decode() else { return false };
            known.fold(record.entries.iter().filter(|entry| entry.seq > seq));
        }
        account.purse = known;
        true
    }
}
