//! Settings of the sink.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollbooth_schemas::topics::{SINK_LEASE_GROUP, SINK_OFFSETS_GROUP};

/// Rows that wait, from which on a block is worth waiting for.
const BUSY_ROWS: usize = 5_000;

/// `[sink]`: how the ledger lands in ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SinkConfig {
    /// Rows of a block; it ends before the record that would go beyond. Default 100,000, at least 1,000 (one record).
    pub block_rows_max: usize,
    /// Bytes of a block before compression; it ends before the record that would go beyond. Default 32 MiB.
    pub block_bytes_max: usize,
    /// Time from one block to the next while there is less than a full one. What one costs ClickHouse hardly depends on its
    /// rows (docs/clickhouse.md, Blocks), and query shows the newest entries before it has them. Default 1,000.
    pub block_interval_ms: u64,
    /// The same while 5,000 rows or more wait: a large block costs ClickHouse less a row than small ones. Default 1,500;
    /// below `block_interval_ms` it is that.
    pub block_interval_busy_ms: u64,
    /// How long one insert may take before it is given up and repeated. Default 60,000.
    pub insert_timeout_ms: u64,
    /// Longest pause between two tries of one insert; the first is 100 ms. Default 10,000.
    pub retry_pause_max_ms: u64,
    /// Bytes of records held ahead of the block under way; beyond it reading pauses. Default 64 MiB.
    pub read_ahead_bytes_max: usize,
    /// LZ4 on the way to ClickHouse. Default off: on one machine it costs more than it saves.
    pub lz4: bool,
    /// Pause between two turns of the drift watch. Default 10,000; 0: none is kept.
    pub drift_interval_ms: u64,
    /// Most rows of `ledger` that a turn of it reads; an account with more is a turn of its own. Default 200,000.
    pub drift_rows_max: u64,
    /// Consumer group that decides who is active. Default `tollbooth-sink`.
    pub lease_group: String,
    /// Group under which the offsets of the ledger are committed. Default `ledger-sink`. A second database beside the
    /// first one (filled anew, then switched to) takes a second group, and a second lease group.
    pub offsets_group: String,
    /// Whether it fills a database from nothing that nobody reads yet, as `rebuild` does: the server is asked for as much as
    /// it can.
    #[serde(skip)]
    pub is_filling: bool,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            block_rows_max: 100_000,
            block_bytes_max: 32 * 1024 * 1024,
            block_interval_ms: 1_000,
            block_interval_busy_ms: 1_500,
            insert_timeout_ms: 60_000,
            retry_pause_max_ms: 10_000,
            read_ahead_bytes_max: 64 * 1024 * 1024,
            lz4: false,
            drift_interval_ms: 10_000,
            drift_rows_max: 200_000,
            lease_group: SINK_LEASE_GROUP.to_owned(),
            offsets_group: SINK_OFFSETS_GROUP.to_owned(),
            is_filling: false,
        }
    }
}

impl SinkConfig {
    /// How long the next block waits for more, `rows` and `bytes` being there since the last one was cut `since` ago.
    #[must_use]
    pub fn until_due(&self, rows: usize, bytes: usize, since: Duration) -> Duration {
        if rows >= self.block_rows_max || bytes >= self.block_bytes_max {
            return Duration::ZERO;
        }
        let interval_ms = if rows < BUSY_ROWS {
            self.block_interval_ms
        } else {
            self.block_interval_busy_ms.max(self.block_interval_ms)
        };
        Duration::from_millis(interval_ms).saturating_sub(since)
    }

    /// `transactional.id` of the active sink: the older of two is fenced by it.
    #[must_use]
    pub fn transactional_id(&self, ledger_topic: &str) -> String {
        if self.offsets_group == SINK_OFFSETS_GROUP {
            return format!("{ledger_topic}-sink");
        }
        format!("{ledger_topic}-sink-{}", self.offsets_group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_waits_for_more_where_much_comes_and_never_when_full() {
        let config = SinkConfig::default();
        let due = |rows, bytes, since_ms| config.until_due(rows, bytes, Duration::from_millis(since_ms)).as_millis();
        // given few rows, then many, then a full block
        assert_eq!((due(1, 300, 100), due(4_999, 300, 1_000), due(4_999, 300, 1_400)), (900, 0, 0));
        assert_eq!((due(5_000, 300, 500), due(99_999, 300, 1_500)), (1_000, 0));
        assert_eq!((due(100_000, 300, 0), due(5_000, config.block_bytes_max, 0)), (0, 0));
    }
}
