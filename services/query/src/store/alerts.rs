//! What an account's ledger says about alerts.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};

/// Most alerts that are looked at.
const ROWS_MAX: u64 = 200;

/// An entry about them.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct AlertRow {
    /// Its place.
    pub seq: u64,
    /// When it was posted.
    pub posted_at: i64,
    /// Code of the alert's kind.
    pub reason: String,
    /// The recharge that failed.
    pub note: String,
    /// The event whose budget it is.
    pub event_id: String,
    /// The booth that spends.
    pub booth_id: String,
    /// A JSON object with what else it says.
    pub detail: String,
}

/// What arms a balance that was told of anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Back {
    /// The alert's entry.
    pub after_seq: u64,
    /// A purchase that brings the balance here does.
    pub threshold_micros: i64,
    /// So does anything that brings it here.
    pub margin_micros: i64,
}

const SELECT: &str =
    "SELECT seq, posted_at, reason, note, event_id, booth_id, detail FROM ledger WHERE account_id = {account:String}";

impl Store {
    /// The newest rules.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn alert_rules(&self, account_id: &str) -> Result<Option<AlertRow>, StoreError> {
        let sql = format!("{SELECT} AND type = 'alerts_set' ORDER BY seq DESC LIMIT 1");
        Ok(self.rows::<AlertRow>(self.query(&sql).param("account", account_id)).await?.pop())
    }

    /// The newest alerts, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn alerts(&self, account_id: &str) -> Result<Vec<AlertRow>, StoreError> {
        let sql = format!("{SELECT} AND type = 'alert_raised' ORDER BY seq DESC LIMIT {ROWS_MAX}");
        self.rows::<AlertRow>(self.query(&sql).param("account", account_id)).await
    }

    /// Whether an entry after an alert armed its rule anew.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn is_back(&self, account_id: &str, back: Back) -> Result<bool, StoreError> {
        let sql = "SELECT seq FROM ledger WHERE account_id = {account:String} AND seq > {after:UInt64} \
                   AND (toDecimal128(balance_after, 6) * 1000000 >= {back:Int64} \
                   OR (type IN ('purchase', 'auto_recharge') \
                   AND toDecimal128(balance_after, 6) * 1000000 >= {at:Int64})) LIMIT 1";
        let query = self
            .query(sql)
            .param("account", account_id)
            .param("after", back.after_seq)
            .param("back", back.threshold_micros.saturating_add(back.margin_micros))
            .param("at", back.threshold_micros);
        Ok(!self.rows::<u64>(query).await?.is_empty())
    }

    /// Whether one of these kinds of entry stands after an alert.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recharged_after(&self, account_id: &str, after_seq: u64) -> Result<bool, StoreError> {
        let sql = "SELECT seq FROM ledger WHERE account_id = {account:String} AND seq > {after:UInt64} \
                   AND type IN ('purchase', 'auto_recharge', 'recharge_set') LIMIT 1";
        let query = self.query(sql).param("account", account_id).param("after", after_seq);
        Ok(!self.rows::<u64>(query).await?.is_empty())
    }
}
