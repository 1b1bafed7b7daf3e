//! What the tables' settings are while a database is filled from nothing.
//!
//! A merge of rollups costs the server half as much as their rows did, and while the whole ledger comes in, it would do the
//! same rows several times: nobody reads there yet, so that parts may gather. And a part that keeps its columns in one file is
//! synced as one: written as a file for each column, a block's five parts are four hundred files.
//!
//! Whoever goes on with the database as a live one puts back what the schema says; a sink, too, that takes over one which was
//! never filled to its end.

use super::error::SinkError;
use super::store::{Store, within_limit};

/// Tables that are filled, and `min_parts_to_merge_at_once` of each by the schema.
const TABLES: [(&str, u32); 5] = [
    ("ledger", 8),
    ("usage_15m_by_account", 24),
    ("usage_15m_by_event", 24),
    ("usage_15m_by_booth", 24),
    ("account_balances", 24),
];
/// The most that the server merges at once, so that a part is merged once in a hundred blocks; it slows inserts down from
/// a thousand parts on.
const MERGED_AT_ONCE: u32 = 100;
/// Bytes from which on a part has a file for each column; more than a block's, less than those of a hundred merged ones.
const WIDE_BYTES: u64 = 1 << 30;

impl Store {
    /// Settings for a database that is filled; otherwise those of the schema, where the others were left.
    ///
    /// # Errors
    /// When ClickHouse does not answer, or refuses.
    pub async fn set_filling(&self, is_filling: bool) -> Result<(), SinkError> {
        self.try_set_filling(is_filling)
            .await
            .map_err(|source| SinkError::ClickHouse { doing: "set how the tables are filled", source })
    }

    async fn try_set_filling(&self, is_filling: bool) -> Result<(), clickhouse::error::Error> {
        for (table, parts) in TABLES {
            if is_filling {
                let wide = format!("MODIFY SETTING min_bytes_for_wide_part = {WIDE_BYTES}");
                self.alter(table, &format!("MODIFY SETTING min_parts_to_merge_at_once = {MERGED_AT_ONCE}")).await?;
                self.alter(table, &wide).await?;
            } else if self.was_filled(table).await? {
                // What it is told by goes last.
                self.alter(table, "RESET SETTING min_bytes_for_wide_part").await?;
                self.alter(table, &format!("MODIFY SETTING min_parts_to_merge_at_once = {parts}")).await?;
            }
        }
        Ok(())
    }

    async fn was_filled(&self, table: &str) -> Result<bool, clickhouse::error::Error> {
        let query = self
            .client()
            .query("SELECT count() FROM system.tables WHERE database = ? AND name = ? AND match(engine_full, ?)")
            .bind(self.database())
            .bind(table)
            .bind(format!("min_parts_to_merge_at_once = {MERGED_AT_ONCE}\\b"));
        Ok(within_limit(query.fetch_one::<u64>()).await? > 0)
    }

    async fn alter(&self, table: &str, change: &str) -> Result<(), clickhouse::error::Error> {
        within_limit(self.client().query(&format!("ALTER TABLE {table} {change}")).execute()).await
    }
}
