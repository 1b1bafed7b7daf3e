//! All accounts, page by page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Balance, Facts, LiveView};

/// Accounts looked at under one lock.
const LIST_PIECE: usize = 4_096;

/// An account in a list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountListed {
    /// Id.
    pub account_id: Arc<str>,
    /// Balance, currency, zone.
    pub balance: Balance,
    /// Name and plan.
    pub facts: Facts,
}

impl LiveView {
    /// The accounts with the most entries, most first, at most `limit`. Looked at in pieces, like [`LiveView::list`].
    #[must_use]
    pub fn busiest(&self, limit: usize) -> Vec<Arc<str>> {
        let mut most: BTreeSet<(u64, Arc<str>)> = BTreeSet::new();
        let mut from = 0;
        loop {
            let inner = self.inner.read();
            let Some(piece) = inner.accounts.get(from..).filter(|rest| !rest.is_empty()) else { break };
            for account in piece.iter().take(LIST_PIECE) {
                if most.len() >= limit && most.first().is_some_and(|(least, _)| *least >= account.seq) {
                    continue;
                }
                most.insert((account.seq, Arc::clone(&account.id)));
                if most.len() > limit {
                    most.pop_first();
                }
            }
            from += LIST_PIECE;
        }
        most.into_iter().rev().map(|(_, account_id)| account_id).collect()
    }

    /// The first accounts behind `after` by id that `wanted` takes, at most `limit`. Looked at in pieces, so that a fold
    /// never waits for the whole of a long list.
    #[must_use]
    pub fn list(&self, after: &str, limit: usize, wanted: impl Fn(&str, &Facts) -> bool) -> Vec<AccountListed> {
        let mut first: BTreeMap<Arc<str>, AccountListed> = BTreeMap::new();
        let mut from = 0;
        loop {
            let inner = self.inner.read();
            let Some(piece) = inner.accounts.get(from..).filter(|rest| !rest.is_empty()) else { break };
            for account in piece.iter().take(LIST_PIECE) {
                let is_behind =
                    first.len() >= limit && first.last_key_value().is_some_and(|(last, _)| *last < account.id);
                if &*account.id <= after || is_behind || !wanted(&account.id, &account.facts) {
                    continue;
                }
                let Some(balance) = self.balance_of(account) else { continue };
                let (account_id, facts) = (Arc::clone(&account.id), Facts::clone(&account.facts));
                first.insert(Arc::clone(&account_id), AccountListed { account_id, balance, facts });
                if first.len() > limit {
                    first.pop_last();
                }
            }
            from += LIST_PIECE;
        }
        first.into_values().collect()
    }
}
