//! Balances for the start of the live view.

use std::time::Duration;

use clickhouse::Row;
use clickhouse::query::RowCursor;
use serde::Deserialize;

use super::{Store, StoreError};
use crate::live::{Facts, KnownAccount, PlanFact, Profile};

/// Each part of the table holds, per account, the newest of what it saw; `max` over the tuples, whose first member is
/// the `seq`, picks the newest of all.
const SELECT: &str = "SELECT account_id, max(latest).1 AS seq, max(latest).2 AS balance, max(latest).3 AS held, \
     max(latest).4 AS posted_at, max(profile).3 AS currency, max(profile).4 AS time_zone, max(profile).2 AS name, \
     max(profile).1 AS opened_seq, max(profile_set).1 AS set_seq, max(profile_set).2 AS set_name, \
     max(profile_set).3 AS set_zone, max(profile).5 AS opened_at, max(plan).1 AS plan_seq, max(plan).2 AS plan_code, \
     max(plan).3 AS plan_from, max(state).1 AS state_seq FROM account_balances";

#[derive(Debug, Row, Deserialize)]
struct BalanceRow {
    account_id: String,
    seq: u64,
    balance: i64,
    held: i64,
    posted_at: i64,
    currency: String,
    time_zone: String,
    name: String,
    opened_seq: u64,
    /// Of the last word about name and zone after the opening; 0: there is none.
    set_seq: u64,
    set_name: String,
    set_zone: String,
    opened_at: i64,
    plan_seq: u64,
    plan_code: String,
    plan_from: i64,
    state_seq: u64,
}

impl From<BalanceRow> for KnownAccount {
    fn from(row: BalanceRow) -> Self {
        let is_opened = !row.currency.is_empty();
        let (name, named_by_seq, time_zone) = match row.set_seq {
            0 => (row.name, row.opened_seq, row.time_zone),
            seq => (row.set_name, seq, row.set_zone),
        };
        Self {
            account_id: row.account_id,
            seq: row.seq,
            balance_micros: row.balance,
            held_micros: row.held,
            posted_at_ms: row.posted_at,
            profile: is_opened.then_some(Profile { currency: row.currency, time_zone }),
            facts: Facts {
                name,
                named_by_seq,
                opened_at_ms: if is_opened { row.opened_at } else { 0 },
                plan: PlanFact { seq: row.plan_seq, code: row.plan_code, effective_from_ms: row.plan_from },
            },
            // Bonuses and limits state a fact each, as events do.
            may_have_purse: row.state_seq != 0,
        }
    }
}

/// All accounts, streamed.
pub struct Accounts {
    rows: RowCursor<BalanceRow>,
    patience: Duration,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// The next accounts, at most `count`; fewer only at the end.
    ///
    /// # Errors
    /// [`StoreError`]; also where they do not come within [`crate::config::StoreSection::stream_wait_ms`]. Neither the
    /// client nor the query has a deadline of its own: without one, a server that falls silent would hold up the start
    /// for ever.
    pub async fn next_chunk(&mut self, count: usize) -> Result<Vec<KnownAccount>, StoreError> {
        let rows = &mut self.rows;
        let whole = async move {
            let mut chunk = Vec::with_capacity(count);
            while chunk.len() < count {
                let Some(row) = rows.next().await? else { break };
                chunk.push(KnownAccount::from(row));
            }
            Ok(chunk)
        };
        tokio::time::timeout(self.patience, whole).await.unwrap_or(Err(clickhouse::error::Error::TimedOut.into()))
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
        Ok(Accounts { rows: query.fetch()?, patience: Duration::from_millis(self.settings.stream_wait_ms) })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus::Registry;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tollbooth_chassis::config::ClickHouseSection;
    use tollbooth_chassis::ops::Health;

    use super::*;
    use crate::config::StoreSection;
    use crate::metrics::{ClickHouseMetrics, PagesMetrics};

    /// Answers the head of a response, or not even that, and falls silent.
    async fn silent_server(head: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(head).await.unwrap();
            // Open until the client leaves.
            while stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {}
        });
        url
    }

    #[tokio::test]
    async fn a_stream_that_falls_silent_is_given_up() {
        for head in [&b""[..], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            let section = ClickHouseSection { url: silent_server(head).await, ..ClickHouseSection::default() };
            let settings = StoreSection { stream_wait_ms: 50, ..StoreSection::default() };
            let metrics = ClickHouseMetrics::register(&Registry::new()).unwrap();
            let pages = PagesMetrics::register(&Registry::new()).unwrap();
            let component = Health::new().component("clickhouse");
            let store = Store::new(&section, settings, metrics, pages, component, Arc::default());
            let outcome = store.accounts().unwrap().next_chunk(10).await;
            assert!(matches!(outcome, Err(StoreError::Unavailable(clickhouse::error::Error::TimedOut))), "{outcome:?}");
        }
    }
}
