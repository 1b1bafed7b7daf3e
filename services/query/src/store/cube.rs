//! All sums of an account, or of one event of it, as its rollup holds them: told at once, so that whatever may be asked of them
//! is asked of ClickHouse once.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::together::Together;
use super::usage::{UsageQuery, UsageRow};
use super::usage_sql::Source;
use super::{Store, StoreError};
use crate::budget::Budget;

/// Whose sums.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CubeOf {
    /// The account.
    pub account_id: String,
    /// Empty: all of the account.
    pub event_id: String,
}

/// Rows that may be read for each of many: what a cube has, in granules of every part, and room. With more one of them has too
/// much: alone its reading ends early, among others it does not.
const ROWS_READ_EACH_MAX: u64 = 1_000_000;

/// What questions have in common that can be put as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    is_of_event: bool,
    rows_max: usize,
}

/// What is told of each; `None`: there are more rows than may be told.
pub(super) type CubesTogether = Together<Shape, CubeOf, Option<Vec<UsageRow>>>;

/// Separates what a cell is told apart by. No code holds such a character.
pub const CELL_SEPARATOR: char = '\0';

#[derive(Debug, Row, Deserialize)]
struct CellRow {
    whose: String,
    of_event: String,
    start_ms: i64,
    cell: String,
    succeeded: i64,
    failures: i64,
    quantity_micros: i128,
    spent_micros: i128,
    cost_micros: i128,
    newest_seq: u64,
}

impl From<CellRow> for UsageRow {
    fn from(row: CellRow) -> Self {
        Self {
            start_ms: row.start_ms,
            group_key: row.cell,
            succeeded: row.succeeded,
            failures: row.failures,
            quantity_micros: row.quantity_micros,
            spent_micros: row.spent_micros,
            cost_micros: row.cost_micros,
            newest_seq: row.newest_seq,
        }
    }
}

impl UsageQuery<'_> {
    /// Whether the sums can be made of the cells of an account, or of an event where the filter names one: whole quarters of
    /// one rollup.
    pub(crate) fn is_of_cells(&self) -> bool {
        let parts = self.parts();
        let is_whole = parts.rollup.is_some() && parts.entries.is_empty();
        is_whole
            && match self.source() {
                Source::Account => true,
                Source::Event => self.filter.event_ids.len() == 1 && !self.lacks_rest(),
                Source::Booth | Source::Entries => false,
            }
    }
}

/// Rows of which several may be of one cell, as they lie in the parts of the table: that is less work than to add them up, and
/// the reading of one account alone ends where there are too many.
fn sql(source: Source, limit_by: &str) -> String {
    let (of_event, events) = match source {
        Source::Event => {
            ("event_id", " AND (account_id, event_id) IN arrayZip({accounts:Array(String)}, {of_events:Array(String)})")
        }
        _ => ("''", ""),
    };
    format!(
        "SELECT account_id AS whose, {of_event} AS of_event, toInt64(toUnixTimestamp(bucket)) * 1000 AS start_ms, \
         concat(type, '\\0', service, '\\0', engine, '\\0', variant, '\\0', plan, '\\0', status) AS cell, \
         toInt64(count) AS succeeded, toInt64(failed) AS failures, \
         toDecimal128(if(status = 'failed', 0, quantity), 6) AS quantity_micros, \
         -toDecimal128(amount, 6) AS spent_micros, toDecimal128(provider_cost, 6) AS cost_micros, \
         toUInt64(cells.newest_seq) AS newest_seq \
         FROM {table} AS cells WHERE account_id IN {{accounts:Array(String)}}{events} \
         LIMIT {{rows_max:UInt64}}{limit_by}",
        table = source.table(),
    )
}

impl Store {
    /// The rows of a rollup about an account, or about an event of it, of one state of the table; several may be of one cell.
    /// Their key is type, service, engine, variant, plan and status. `None`: there are more than `rows_max`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn cells(&self, of: &CubeOf, rows_max: usize) -> Result<Option<Vec<UsageRow>>, StoreError> {
        let source = if of.event_id.is_empty() { Source::Account } else { Source::Event };
        let shape = Shape { is_of_event: !of.event_id.is_empty(), rows_max };
        let alone = async {
            let mut told = self.cells_of(&sql(source, ""), std::slice::from_ref(of), rows_max).await?;
            Ok(told.pop().flatten())
        };
        let many = |members: Vec<CubeOf>| async move {
            let sql = sql(source, " BY whose, of_event");
            let rows = ROWS_READ_EACH_MAX.saturating_mul(members.len() as u64).min(self.settings.rows_to_read_max);
            Budget::new(self.execution_time_max(), rows).spent_by(self.cells_of(&sql, &members, rows_max)).await
        };
        self.cubes_together.ask(shape, of.clone(), self.queue_wait(), alone, many).await
    }

    async fn cells_of(
        &self,
        sql: &str,
        members: &[CubeOf],
        rows_max: usize,
    ) -> Result<Vec<Option<Vec<UsageRow>>>, StoreError> {
        let account_ids: Vec<&str> = members.iter().map(|of| of.account_id.as_str()).collect();
        let event_ids: Vec<&str> = members.iter().map(|of| of.event_id.as_str()).collect();
        let query = self.bounded_query(sql).param("accounts", account_ids).param("of_events", event_ids);
        let mut told: HashMap<(String, String), Vec<UsageRow>> = HashMap::new();
        for mut row in self.rows::<CellRow>(query.param("rows_max", rows_max.saturating_add(1))).await? {
            let whose = (std::mem::take(&mut row.whose), std::mem::take(&mut row.of_event));
            told.entry(whose).or_default().push(row.into());
        }
        // Cloned: two may ask for the same.
        let rows_of = |of: &CubeOf| {
            let rows = told.get(&(of.account_id.clone(), of.event_id.clone())).cloned().unwrap_or_default();
            (rows.len() <= rows_max).then_some(rows)
        };
        Ok(members.iter().map(rows_of).collect())
    }
}
