//! Balances for the start of the live view.

use clickhouse::Row;
use clickhouse::query::RowCursor;
use serde::Deserialize;

use super::{Store, StoreError};
use crate::live::{KnownAccount, Profile};

/// Each part of the table holds, per account, the newest of what it saw; `max` over the tuples, whose first member is
/// the `seq`, picks the newest of all.
const SELECT: &str = "SELECT account_id, max(latest).1 AS seq, max(latest).2 AS balance, max(latest).3 AS held, \
     max(latest).4 AS posted_at, max(profile).3 AS currency, max(profile).4 AS time_zone FROM account_balances";

#[derive(Debug, Row, Deserialize)]
struct BalanceRow {
    account_id: String,
    seq: u64,
    balance: i64,
    held: i64,
    posted_at: i64,
    currency: String,
    time_zone: String,
}

impl From<BalanceRow> for KnownAccount {
    fn from(row: BalanceRow) -> Self {
        let is_opened = !row.currency.is_empty();
        Self {
            account_id: row.account_id,
            seq: row.seq,
            balance_micros: row.balance,
            held_micros: row.held,
            posted_at_ms: row.posted_at,
            profile: is_opened.then_some(Profile { currency: row.currency, time_zone: row.time_zone }),
        }
    }
}

/// All accounts, streamed.
pub struct Accounts(RowCursor<BalanceRow>);

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// The next account; `None` after the last.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn next(&mut self) -> Result<Option<KnownAccount>, StoreError> {
        Ok(self.0.next().await?.map(KnownAccount::from))
    }
}

impl Store {
    /// All accounts, once at the start: outside the limits of requests.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn accounts(&self) -> Result<Accounts, StoreError> {
        let query = self
            .query(&format!("{SELECT} GROUP BY account_id"))
            .with_setting("max_execution_time", "0")
            .with_setting("max_memory_usage", "0");
        Ok(Accounts(query.fetch()?))
    }

    /// One account.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn account(&self, account_id: &str) -> Result<Option<KnownAccount>, StoreError> {
        let query = self
            .query(&format!("{SELECT} WHERE account_id = {{account:String}} GROUP BY account_id"))
            .param("account", account_id);
        Ok(self.rows::<BalanceRow>(query).await?.pop().map(KnownAccount::from))
    }
}
