//! What was charged, entry by entry, for pricing it once more.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};
use crate::calendar::TimeRange;
use crate::simulate::{Charged, Work};

#[derive(Debug, Row, Deserialize)]
struct ChargedRow {
    seq: u64,
    r#type: String,
    service: String,
    engine: String,
    variant: String,
    country: String,
    unit: String,
    plan: String,
    quantity: i64,
    amount: i64,
    occurred_at: i64,
    test_mode: bool,
    original_seq: u64,
}

/// A reversal with a quantity takes its charge back as a whole, and carries its time.
const SELECT: &str = "SELECT seq, type, service, engine, variant, country, unit, plan, quantity, amount, occurred_at, \
     test_mode, original_seq FROM ledger WHERE account_id = {account:String} AND seq <= {upper:UInt64} \
     AND ((type = 'consume' AND status = 'success') OR (type IN ('refund', 'reversal') AND quantity != 0)) \
     AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') \
     AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
     ORDER BY account_id, seq LIMIT {limit:UInt64}";

impl From<ChargedRow> for Charged {
    fn from(row: ChargedRow) -> Self {
        let work = Work {
            service: row.service,
            engine: row.engine,
            variant: row.variant,
            country: row.country,
            unit: row.unit,
            plan: row.plan,
            quantity_micros: row.quantity,
            test_mode: row.test_mode,
            occurred_at_ms: row.occurred_at,
        };
        let takes_back = (row.r#type != "consume").then_some(row.original_seq);
        Self { seq: row.seq, work, amount_micros: row.amount.saturating_neg(), takes_back }
    }
}

impl Store {
    /// Charges that occurred in a range and what took them back, up to the entry `upper_seq`, in posting order. At most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn charges(
        &self,
        account_id: &str,
        range: TimeRange,
        upper_seq: u64,
        limit: usize,
    ) -> Result<Vec<Charged>, StoreError> {
        let query = self.bounded_query(SELECT).param("account", account_id).param("upper", upper_seq);
        let query = query.param("from", range.from_ms).param("to", range.to_ms).param("limit", limit);
        Ok(self.rows::<ChargedRow>(query).await?.into_iter().map(Charged::from).collect())
    }
}
