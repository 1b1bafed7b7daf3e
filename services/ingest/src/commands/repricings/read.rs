//! What was charged, read from ClickHouse: the part of the ledger that a preview looked at never changes.

use clickhouse::{Row, RowOwned, RowRead, query::Query};
use serde::Deserialize;
use tollbooth_schemas::pricing;
use tollbooth_schemas::v1::{Charge, Counted};

use crate::charges::{ChargeError, Charges};

/// An entry about a charge.
#[derive(Debug, Clone, Row, Deserialize)]
pub(super) struct EntryRow {
    pub(super) seq: u64,
    pub(super) r#type: String,
    operation_id: String,
    attempt: u32,
    pub(super) amount: i64,
    occurred_at: i64,
    pub(super) service: String,
    pub(super) engine: String,
    variant: String,
    country: String,
    unit: String,
    quantity: i64,
    pub(super) event_id: String,
    booth_id: String,
    plan: String,
    pub(super) price_version: u32,
    test_mode: bool,
    pub(super) original_seq: u64,
    pub(super) reason: String,
    pub(super) note: String,
    pub(super) detail: String,
}

impl EntryRow {
    pub(super) fn charge(&self) -> Charge {
        Charge {
            operation_id: self.operation_id.clone(),
            attempt: self.attempt,
            amount_micros: self.amount.saturating_neg(),
            occurred_at_ms: self.occurred_at,
            service: self.service.clone(),
            engine: self.engine.clone(),
            variant: self.variant.clone(),
            country: self.country.clone(),
            unit: self.unit.clone(),
            quantity_micros: self.quantity,
            event_id: self.event_id.clone(),
            booth_id: self.booth_id.clone(),
            plan: self.plan.clone(),
            price_version: self.price_version,
            test_mode: self.test_mode,
        }
    }

    /// Where its month counted it.
    pub(super) fn counted(&self) -> Option<Counted> {
        pricing::of_text(&self.detail)?.counted
    }
}

const ENTRIES: &str = "SELECT seq, type, operation_id, attempt, amount, occurred_at, service, engine, variant, \
     country, unit, quantity, event_id, booth_id, plan, price_version, test_mode, original_seq, reason, note, detail \
     FROM ledger WHERE account_id = {account:String} AND seq <= {upper:UInt64} \
     AND (status = 'success' OR type IN ('refund', 'reversal')) \
     AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') \
     AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC') ORDER BY account_id, seq LIMIT {limit:UInt64}";

/// Charges that were made anew, and those that a re-pricing replaced.
const MADE_ANEW: &str = "SELECT seq, type, operation_id, attempt, amount, occurred_at, service, engine, variant, \
     country, unit, quantity, event_id, booth_id, plan, price_version, test_mode, original_seq, reason, note, detail \
     FROM ledger WHERE account_id = {account:String} AND (type = 'repriced' OR seq IN (SELECT original_seq FROM ledger \
     WHERE account_id = {account:String} AND type = 'repriced' AND note = {id:String})) \
     AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') \
     AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC') ORDER BY account_id, seq LIMIT {limit:UInt64}";

/// How far an account's entries have come.
#[derive(Debug, Row, Deserialize)]
pub(super) struct AccountRow {
    pub(super) account_id: String,
    pub(super) as_of_seq: u64,
    pub(super) currency: String,
}

const ACCOUNTS: &str = "SELECT account_id, max(seq) AS as_of_seq, toString(max(currency)) AS currency FROM ledger \
     WHERE account_id IN {accounts:Array(String)} GROUP BY account_id ORDER BY account_id";

#[derive(Debug, Row, Deserialize)]
struct IdRow {
    account_id: String,
}

const WITH_CHARGES: &str = "SELECT DISTINCT account_id FROM usage_15m_by_account \
     WHERE type IN ('consume', 'repriced') AND status = 'success' \
     AND bucket > toDateTime(intDiv({from:Int64}, 1000) - 900, 'UTC') \
     AND bucket < toDateTime(intDiv({to:Int64} + 999, 1000), 'UTC') ORDER BY account_id LIMIT {limit:UInt64}";

/// What was posted of a re-pricing for an account.
#[derive(Debug, Clone, Row, Deserialize)]
pub(super) struct PostedRow {
    pub(super) account_id: String,
    /// Charges that were made anew.
    pub(super) applied: u64,
    /// And taken back.
    pub(super) undone: u64,
    /// What the balance changed by altogether.
    pub(super) net: i64,
}

const POSTED: &str = "SELECT account_id, countIf(type = 'repriced' AND reason = 'repricing') AS applied, \
     countIf(type = 'repriced' AND reason = 'repricing_undone') AS undone, \
     toDecimal64(sum(amount), 6) AS net FROM ledger WHERE account_id IN {accounts:Array(String)} \
     AND type IN ('reversal', 'repriced') AND note = {id:String} GROUP BY account_id";

/// Work of which period, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

/// The projection of the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Charges);

impl Reader<'_> {
    fn query(&self, sql: &str) -> Result<Query, ChargeError> {
        Ok(self.0.client.as_ref().ok_or(ChargeError::Unconfigured)?.query(sql))
    }

    async fn rows<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, ChargeError> {
        let answered = tokio::time::timeout(self.0.patience, query.fetch_all::<T>()).await;
        Ok(answered.unwrap_or(Err(clickhouse::error::Error::TimedOut))?)
    }

    /// Entries of charges of a period up to `upper_seq`, in posting order.
    pub(super) async fn entries(
        &self,
        account_id: &str,
        period: Period,
        upper_seq: u64,
        limit: usize,
    ) -> Result<Vec<EntryRow>, ChargeError> {
        let query = self.query(ENTRIES)?.param("account", account_id).param("upper", upper_seq).param("limit", limit);
        self.rows(query.param("from", period.from_ms).param("to", period.to_ms)).await
    }

    /// Charges of a period that were made anew, by whichever re-pricing, and what this one replaced; in posting order.
    pub(super) async fn made_anew(
        &self,
        account_id: &str,
        period: Period,
        repricing_id: &str,
        limit: usize,
    ) -> Result<Vec<EntryRow>, ChargeError> {
        let query = self.query(MADE_ANEW)?.param("account", account_id).param("id", repricing_id).param("limit", limit);
        self.rows(query.param("from", period.from_ms).param("to", period.to_ms)).await
    }

    /// Those of the accounts that are known, by id.
    pub(super) async fn accounts(&self, accounts: &[String]) -> Result<Vec<AccountRow>, ChargeError> {
        self.rows(self.query(ACCOUNTS)?.param("accounts", accounts)).await
    }

    /// Accounts with charges of a period.
    pub(super) async fn with_charges(&self, period: Period, limit: usize) -> Result<Vec<String>, ChargeError> {
        let query = self.query(WITH_CHARGES)?.param("from", period.from_ms).param("to", period.to_ms);
        let rows: Vec<IdRow> = self.rows(query.param("limit", limit)).await?;
        Ok(rows.into_iter().map(|row| row.account_id).collect())
    }

    /// What stands in the projection of a re-pricing.
    pub(super) async fn posted(&self, repricing_id: &str, accounts: &[String]) -> Result<Vec<PostedRow>, ChargeError> {
        self.rows(self.query(POSTED)?.param("accounts", accounts).param("id", repricing_id)).await
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::EntryRow;

    /// An image for `evt_gala`, priced by version 1.
    pub(in super::super) fn row(seq: u64, r#type: &str, engine: &str, amount: i64) -> EntryRow {
        let text = str::to_owned;
        EntryRow {
            seq,
            r#type: text(r#type),
            operation_id: format!("op_{seq}"),
            attempt: 1,
            amount,
            occurred_at: 1_000,
            service: text("ai"),
            engine: text(engine),
            variant: text(""),
            country: text(""),
            unit: text("image"),
            quantity: 1_000_000,
            event_id: text("evt_gala"),
            booth_id: text("bth_17"),
            plan: text("basic"),
            price_version: 1,
            test_mode: false,
            original_seq: 0,
            reason: text(""),
            note: text(""),
            detail: text(""),
        }
    }
}
