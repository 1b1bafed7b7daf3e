//! One entry with everything that is known of it.

use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};
use crate::activity::{ActivityRow, EntryDetail};

#[derive(Debug, Row, Deserialize)]
struct DetailRow {
    seq: u64,
    r#type: String,
    status: String,
    service: String,
    engine: String,
    amount: i64,
    balance_after: i64,
    quantity: i64,
    unit: String,
    occurred_at: i64,
    posted_at: i64,
    event_id: String,
    booth_id: String,
    operation_id: String,
    price_version: u32,
    reason: String,
    variant: String,
    country: String,
    plan: String,
    price_model: String,
    unit_price: i64,
    provider_cost: i64,
    has_provider_cost: bool,
    attempt: u32,
    receipt_lag_ms: i64,
    capture_lag_ms: i64,
    has_captured_at: bool,
    note: String,
    hold_id: String,
    test_mode: bool,
    actor: String,
    source_topic: String,
    source_partition: u16,
    source_offset: i64,
    input_generation: u32,
    detail: String,
    original_seq: u64,
    account_name: String,
    time_zone: String,
}

const SELECT: &str = "SELECT seq, type, status, service, engine, amount, balance_after, quantity, unit, occurred_at, \
     posted_at, event_id, booth_id, operation_id, price_version, reason, variant, country, plan, price_model, \
     unit_price, provider_cost, has_provider_cost, attempt, receipt_lag_ms, capture_lag_ms, has_captured_at, note, \
     hold_id, test_mode, actor, source_topic, source_partition, source_offset, input_generation, \
     detail, original_seq, account_name, time_zone FROM ledger";

impl From<DetailRow> for EntryDetail {
    fn from(row: DetailRow) -> Self {
        // Only charges and failed work have a status, and only usage was received.
        let is_priced = !row.status.is_empty();
        let is_usage = is_priced && row.r#type == "consume";
        let names_charge = matches!(row.r#type.as_str(), "refund" | "reversal" | "repriced");
        Self {
            country: row.country,
            price_model: row.price_model,
            unit_price_micros: row.unit_price,
            // Of other kinds of entry the column says other things.
            pricing: if is_priced { tollbooth_schemas::pricing::of_text(&row.detail) } else { None },
            provider_cost_micros: row.has_provider_cost.then_some(row.provider_cost),
            attempt: row.attempt,
            received_at_ms: is_usage.then(|| row.posted_at.wrapping_sub(row.receipt_lag_ms)),
            captured_at_ms: row.has_captured_at.then(|| row.occurred_at.wrapping_sub(row.capture_lag_ms)),
            note: row.note,
            hold_id: row.hold_id,
            test_mode: row.test_mode,
            actor: row.actor,
            source_topic: row.source_topic,
            source_partition: row.source_partition.into(),
            source_offset: row.source_offset,
            input_generation: row.input_generation,
            original_seq: if names_charge { row.original_seq } else { 0 },
            account_name: row.account_name,
            time_zone: row.time_zone,
            row: ActivityRow {
                seq: row.seq,
                entry_type: row.r#type,
                failed: row.status == "failed",
                service: row.service,
                engine: row.engine,
                variant: row.variant,
                plan: row.plan,
                amount_micros: row.amount,
                balance_after_micros: row.balance_after,
                quantity_micros: row.quantity,
                unit: row.unit,
                occurred_at_ms: row.occurred_at,
                posted_at_ms: row.posted_at,
                event_id: row.event_id,
                booth_id: row.booth_id,
                operation_id: row.operation_id,
                price_version: row.price_version,
                reason: row.reason,
                alert: None,
            },
        }
    }
}

impl Store {
    /// The entry `seq` of an account; `None` where it is not in ClickHouse (yet).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn entry(&self, account_id: &str, seq: u64) -> Result<Option<EntryDetail>, StoreError> {
        let sql = format!("{SELECT} WHERE account_id = {{account:String}} AND seq = {{seq:UInt64}} LIMIT 1");
        let query = self.query(&sql).param("account", account_id).param("seq", seq);
        Ok(self.rows::<DetailRow>(query).await?.pop().map(EntryDetail::from))
    }
}
