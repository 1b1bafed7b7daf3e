//! ClickHouse as the sink needs it: one insert that can be repeated, and the ranges that were sunk.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::{Client, Compression, Row};
use serde::Deserialize;
use tollbooth_chassis::config::ClickHouseSection;

use super::block::{Block, Range};
use super::config::SinkConfig;
use super::error::SinkError;
use super::rows::Rows;

/// Limit of a statement other than the insert of a block.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// One for each table that a block goes to, and one that takes it in.
const FILLING_THREADS: &str = "6";

/// A handle to the database. Cloning is cheap.
#[derive(Clone)]
pub struct Store {
    client: Client,
    database: String,
    insert: Client,
    insert_timeout: Duration,
    insert_sql: String,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

/// The newest row of `sunk_ranges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sunk {
    /// Token of the block.
    pub token: String,
    /// Ranges of every partition.
    pub ranges: Vec<Range>,
    /// Rows of the block.
    pub rows: u64,
}

#[derive(Debug, Row, Deserialize)]
struct SunkRow {
    token: String,
    ranges: Vec<(i32, i64, i64)>,
    rows: u64,
}

/// A client for this section, not yet of any setting.
#[must_use]
pub fn client(section: &ClickHouseSection) -> Client {
    tollbooth_chassis::clickhouse::client(section).with_compression(Compression::None)
}

impl Store {
    /// For the database of this section.
    #[must_use]
    pub fn new(section: &ClickHouseSection, config: &SinkConfig) -> Self {
        let client = client(section);
        let compression = if config.lz4 { Compression::Lz4 } else { Compression::None };
        let insert_timeout = Duration::from_millis(config.insert_timeout_ms);
        let insert = client
            .clone()
            .with_compression(compression)
            // On by default, it would gather rows of several requests and split ours.
            .with_setting("async_insert", "0")
            // One request is one block: a repeat that is split otherwise loses rows without a word.
            .with_setting("max_insert_block_size", "1000000")
            .with_setting("max_insert_threads", "1")
            .with_setting("insert_deduplicate", "1")
            // The views hand over rows that are aggregated already; doing it again costs a seventh of the insert.
            .with_setting("optimize_on_insert", "0")
            // A view that failed is caught up by the repeat, the others and the table notice that they have the block.
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            .with_setting("materialized_views_ignore_errors", "0")
            // A block of two months would be two blocks; better refused than half deduplicated.
            .with_setting("max_partitions_per_insert_block", "1")
            .with_setting("throw_on_max_partitions_per_insert_block", "1")
            // The status line is the verdict: nothing is sent before the insert is through.
            .with_setting("wait_end_of_query", "1")
            // What we gave up must not go on for ever on the server.
            .with_setting("max_execution_time", insert_timeout.as_secs().max(1).to_string());
        let insert = if config.is_filling { side_by_side(insert) } else { insert };
        let columns: Vec<String> = Rows::COLUMNS.iter().map(|name| identifier(name)).collect();
        let insert_sql = format!("INSERT INTO ledger ({}) FORMAT Native", columns.join(", "));
        Self { client, database: section.database.clone(), insert, insert_timeout, insert_sql }
    }

    /// The client, for migrations.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Inserts one block, whole or (by its token) not at all again.
    ///
    /// # Errors
    /// Whatever the client says. It is then unknown whether the rows are there: repeat the same call.
    pub async fn insert_block(&self, token: &str, body: Bytes) -> Result<(), clickhouse::error::Error> {
        let mut insert = self
            .insert
            .insert_formatted_with(self.insert_sql.clone())
            .with_setting("insert_deduplication_token", token);
        let whole = async move {
            insert.send(body).await?;
            insert.end().await
        };
        // The deadline spans both: a server that stops reading is as bad as one that stops answering.
        self.within_insert_timeout(whole).await
    }

    /// Ends what takes longer than an insert may.
    pub(super) async fn within_insert_timeout<T>(
        &self,
        statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, clickhouse::error::Error> {
        tokio::time::timeout(self.insert_timeout, statement).await.unwrap_or(Err(clickhouse::error::Error::TimedOut))
    }

    /// Writes the block's ranges down.
    ///
    /// # Errors
    /// As [`Self::insert_block`].
    pub async fn record_ranges(&self, block: &Block) -> Result<(), clickhouse::error::Error> {
        let ranges: Vec<(i32, i64, i64)> =
            block.ranges.iter().map(|range| (range.partition, range.begin, range.end)).collect();
        let insert = self
            .client
            .query("INSERT INTO sunk_ranges (position, token, ranges, rows) VALUES (?, ?, ?, ?)")
            .bind(block.position())
            .bind(&block.token)
            .bind(ranges)
            .bind(block.rows)
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplication_token", &block.token);
        within_limit(insert.execute()).await
    }

    /// The newest row of `sunk_ranges`.
    ///
    /// # Errors
    /// When ClickHouse does not answer.
    pub async fn newest_ranges(&self) -> Result<Option<Sunk>, SinkError> {
        // The client cannot read the names of a tuple's elements, so they are cast away.
        let query = self.client.query(
            "SELECT token, CAST(ranges, 'Array(Tuple(Int32, Int64, Int64))') AS ranges, rows FROM sunk_ranges \
             ORDER BY position DESC LIMIT 1",
        );
        let row = within_limit(query.fetch_optional::<SunkRow>()).await.map_err(failed("read sunk_ranges"))?;
        Ok(row.map(|row| Sunk {
            token: row.token,
            ranges: row.ranges.into_iter().map(|(partition, begin, end)| Range { partition, begin, end }).collect(),
            rows: row.rows,
        }))
    }

    /// Whether there is no row of the ledger.
    ///
    /// # Errors
    /// When ClickHouse does not answer.
    pub async fn is_empty(&self) -> Result<bool, SinkError> {
        let query = self.client.query("SELECT count() FROM (SELECT seq FROM ledger LIMIT 1)");
        let count = within_limit(query.fetch_one::<u64>()).await.map_err(failed("look whether the ledger is empty"))?;
        Ok(count == 0)
    }
}

/// The views at the same time instead of one after the other, each still as one block. One that waits for its sync leaves its
/// core to another, so there are more threads than cores.
///
/// What a view makes of a block stays in one piece: split in 256 by the groups' hashes, as it is for several threads and put
/// together again for one part, it costs a tenth more.
fn side_by_side(insert: Client) -> Client {
    insert
        .with_setting("parallel_view_processing", "1")
        .with_setting("max_threads", FILLING_THREADS)
        .with_setting("group_by_two_level_threshold", "0")
        .with_setting("group_by_two_level_threshold_bytes", "0")
        .with_setting("max_block_size", "1000000")
}

fn failed(doing: &'static str) -> impl FnOnce(clickhouse::error::Error) -> SinkError {
    move |source| SinkError::ClickHouse { doing, source }
}

/// Ends a statement that takes too long.
pub(super) async fn within_limit<T>(
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, clickhouse::error::Error> {
    tokio::time::timeout(STATEMENT_TIMEOUT, statement).await.unwrap_or(Err(clickhouse::error::Error::TimedOut))
}

/// Quotes a name.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}
