//! What the drift watch beside the sink last found.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};

/// One kind of contradiction, as the watch last saw it. Instants in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct DriftRow {
    /// Its code.
    pub kind: String,
    /// When the watch began.
    pub began_at_ms: i64,
    /// When it last finished a turn.
    pub looked_at_ms: i64,
    /// When it had last looked at every account; 0: not yet.
    pub passed_at_ms: i64,
    /// Accounts that are off.
    pub accounts: u64,
    /// Those that are off the most, with how far in micro-units.
    pub examples: Vec<(String, u64)>,
}

impl Store {
    /// One row a kind; none where no watch has looked yet.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn drift(&self) -> Result<Vec<DriftRow>, StoreError> {
        // The client cannot read the names of a tuple's elements, so they are cast away.
        let query = self.query(
            "SELECT toString(kind) AS kind, toUnixTimestamp64Milli(began_at) AS began_at_ms, \
             toUnixTimestamp64Milli(looked_at) AS looked_at_ms, toUnixTimestamp64Milli(passed_at) AS passed_at_ms, \
             accounts, CAST(examples, 'Array(Tuple(String, UInt64))') AS examples FROM drift FINAL ORDER BY kind",
        );
        self.rows(query).await
    }
}
