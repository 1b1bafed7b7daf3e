//! Rows of a page as they are kept: protobuf, compressed, about a sixth of what they take as rows.

use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use prost::Message;

use crate::activity::ActivityRow;

#[derive(Clone, PartialEq, Message)]
struct PageMessage {
    #[prost(message, repeated, tag = "1")]
    rows: Vec<RowMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct RowMessage {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(string, tag = "2")]
    entry_type: String,
    #[prost(bool, tag = "3")]
    failed: bool,
    #[prost(string, tag = "4")]
    service: String,
    #[prost(string, tag = "5")]
    engine: String,
    #[prost(sint64, tag = "6")]
    amount_micros: i64,
    #[prost(sint64, tag = "7")]
    balance_after_micros: i64,
    #[prost(sint64, tag = "8")]
    quantity_micros: i64,
    #[prost(string, tag = "9")]
    unit: String,
    #[prost(sint64, tag = "10")]
    occurred_at_ms: i64,
    #[prost(sint64, tag = "11")]
    posted_at_ms: i64,
    #[prost(string, tag = "12")]
    event_id: String,
    #[prost(string, tag = "13")]
    booth_id: String,
    #[prost(string, tag = "14")]
    operation_id: String,
    #[prost(uint32, tag = "15")]
    price_version: u32,
    #[prost(string, tag = "16")]
    reason: String,
}

impl From<ActivityRow> for RowMessage {
    fn from(row: ActivityRow) -> Self {
        // A page shows nothing of an alert beyond its row, nor variant and plan: it was filtered by them before.
        let ActivityRow {
            alert: _, seq, entry_type, failed, service, engine, amount_micros, balance_after_micros, ..
        } = row;
        let ActivityRow { quantity_micros, unit, occurred_at_ms, posted_at_ms, event_id, booth_id, .. } = row;
        let ActivityRow { operation_id, price_version, reason, .. } = row;
        Self {
            seq,
            entry_type,
            failed,
            service,
            engine,
            amount_micros,
            balance_after_micros,
            quantity_micros,
            unit,
            occurred_at_ms,
            posted_at_ms,
            event_id,
            booth_id,
            operation_id,
            price_version,
            reason,
        }
    }
}

impl From<RowMessage> for ActivityRow {
    fn from(row: RowMessage) -> Self {
        Self {
            seq: row.seq,
            entry_type: row.entry_type,
            failed: row.failed,
            service: row.service,
            engine: row.engine,
            amount_micros: row.amount_micros,
            balance_after_micros: row.balance_after_micros,
            quantity_micros: row.quantity_micros,
            unit: row.unit,
            occurred_at_ms: row.occurred_at_ms,
            posted_at_ms: row.posted_at_ms,
            event_id: row.event_id,
            booth_id: row.booth_id,
            operation_id: row.operation_id,
            price_version: row.price_version,
            reason: row.reason,
            ..Self::default()
        }
    }
}

/// Rows as they are kept.
#[derive(Debug)]
pub(super) struct PackedRows(Box<[u8]>);

impl PackedRows {
    pub(super) fn of(rows: &[ActivityRow]) -> Self {
        let page = PageMessage { rows: rows.iter().cloned().map(RowMessage::from).collect() };
        Self(compress_prepend_size(&page.encode_to_vec()).into())
    }

    /// `None` does not happen: they were packed here.
    pub(super) fn open(&self) -> Option<Vec<ActivityRow>> {
        let page = PageMessage::decode(&*decompress_size_prepended(&self.0).ok()?).ok()?;
        Some(page.rows.into_iter().map(ActivityRow::from).collect())
    }

    /// What they cost in memory.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_they_were() {
        // given a row with something in every column that a page shows, and one with nothing
        let row = ActivityRow {
            seq: 1,
            entry_type: "consume".to_owned(),
            failed: true,
            service: "ai_modify".to_owned(),
            engine: "kling".to_owned(),
            amount_micros: -2,
            balance_after_micros: -3,
            quantity_micros: 4,
            unit: "image".to_owned(),
            occurred_at_ms: 5,
            posted_at_ms: 6,
            event_id: "evt_a".to_owned(),
            booth_id: "bth_a".to_owned(),
            operation_id: "op_a".to_owned(),
            price_version: 7,
            reason: "timeout".to_owned(),
            ..ActivityRow::default()
        };
        let rows = vec![row, ActivityRow::default()];
        // then both come out as they went in
        assert_eq!(PackedRows::of(&rows).open(), Some(rows));
    }
}
