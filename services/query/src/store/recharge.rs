//! What an account's ledger says about buying credit by itself.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};

/// Most entries that are looked at; a month of them, a recharge a minute, does not come near.
const ROWS_MAX: u64 = 100_000;

/// An entry about it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct RechargeRow {
    /// Its place.
    pub seq: u64,
    /// Code of the type.
    pub r#type: String,
    /// When it was posted.
    pub posted_at: i64,
    /// Why a recharge failed.
    pub reason: String,
    /// The recharge's id.
    pub note: String,
    /// A JSON object with what else it says.
    pub detail: String,
}

const SELECT: &str =
    "SELECT seq, type, posted_at, reason, note, detail FROM ledger WHERE account_id = {account:String}";

impl Store {
    /// The newest word about the rule.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recharge_rule(&self, account_id: &str) -> Result<Option<RechargeRow>, StoreError> {
        let sql = format!("{SELECT} AND type = 'recharge_set' ORDER BY seq DESC LIMIT 1");
        Ok(self.rows::<RechargeRow>(self.query(&sql).param("account", account_id)).await?.pop())
    }

    /// Every request and how it ended, posted from an instant on, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recharges(&self, account_id: &str, from_ms: i64) -> Result<Vec<RechargeRow>, StoreError> {
        let sql = format!(
            "{SELECT} AND type IN ('recharge_requested', 'recharge_failed', 'auto_recharge') \
             AND posted_at >= fromUnixTimestamp64Milli({{from:Int64}}) ORDER BY seq LIMIT {ROWS_MAX}"
        );
        let query = self.query(&sql).param("account", account_id).param("from", from_ms);
        self.rows::<RechargeRow>(query).await
    }
}
