//! Which ledger a database shows, and how far.
//!
//! The sink binds a database to one ledger and writes down what it inserts. A reader that does not look would show the
//! numbers of another cluster, or those of an old copy with the newest entries missing.

use std::sync::Arc;
use std::time::Instant;

use clickhouse::Row;
use serde::Deserialize;
use tollbooth_schemas::clickhouse::{MIGRATIONS, READ_SINCE};

use super::{Store, StoreError};

/// The ledger that a database is a projection of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Id of the Kafka cluster.
    pub cluster_id: String,
    /// Full name of the ledger topic.
    pub ledger_topic: String,
    /// Its partitions.
    pub partitions: i32,
}

impl std::fmt::Display for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster_id, ledger_topic, partitions } = self;
        write!(f, "topic {ledger_topic} ({partitions} partitions) of Kafka cluster {cluster_id}")
    }
}

/// A database that ends before what the sink has committed: rows that were there are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "ends at offset {end} of ledger partition {partition}, before offset {committed} that the sink has committed: it was \
     replaced, or restored from an older copy"
)]
pub struct Behind {
    /// Partition.
    pub partition: i32,
    /// Where the newest row of `sunk_ranges` ends; 0 without one.
    pub end: i64,
    /// The sink's offset.
    pub committed: i64,
}

/// Compares the ends of the newest row of `sunk_ranges` with the sink's committed offsets, both by partition.
///
/// That row is written before its block is inserted and committed after it, so that it is never behind the offsets.
fn check_reach(ends: &[(i32, i64)], committed: &[(i32, i64)]) -> Result<(), Behind> {
    for &(partition, committed) in committed {
        let end = ends.iter().find(|(number, _)| *number == partition).map_or(0, |(_, end)| *end);
        if end < committed {
            return Err(Behind { partition, end, committed });
        }
    }
    Ok(())
}

/// Whether a database with migrations up to `found` has what is read.
fn check_schema(found: u32) -> Result<(), StoreError> {
    match MIGRATIONS.iter().find(|migration| migration.version == READ_SINCE) {
        Some(needed) if found < needed.version => Err(StoreError::OldSchema { found, needed: needed.name }),
        _ => Ok(()),
    }
}

#[derive(Debug, Row, Deserialize)]
struct ProjectionRow {
    kafka_cluster_id: String,
    ledger_topic: String,
    partitions: i32,
    newest_migration: u32,
}

/// Up to where the sink had begun to insert, `(partition, offset)` each.
pub(super) type Ends = Arc<[(i32, i64)]>;

impl Store {
    /// Says which ledger the database must show. The first word counts; until then no history is answered.
    pub fn expect(&self, projection: Projection) {
        self.expected.get_or_init(|| projection);
    }

    /// Whether the database shows the ledger that is expected, by a schema that the questions can be put to.
    ///
    /// # Errors
    /// [`StoreError::OtherLedger`], [`StoreError::Unbound`], [`StoreError::OldSchema`], and whatever keeps ClickHouse from answering.
    pub async fn check_projection(&self) -> Result<(), StoreError> {
        let expected = self.expected.get().ok_or(StoreError::Unbound)?;
        let query = self.query(
            "SELECT kafka_cluster_id, ledger_topic, partitions, \
             toUInt32(ifNull((SELECT max(version) FROM schema_migrations), 0)) AS newest_migration \
             FROM projection ORDER BY bound_at",
        );
        let rows: Vec<ProjectionRow> = self.ask(query).await?;
        if rows.is_empty() {
            return Err(StoreError::Unbound);
        }
        let found = rows.iter().map(|row| row.newest_migration).max().unwrap_or_default();
        let shown = rows.into_iter().map(|row| Projection {
            cluster_id: row.kafka_cluster_id,
            ledger_topic: row.ledger_topic,
            partitions: row.partitions,
        });
        match shown.into_iter().find(|found| found != expected) {
            None => check_schema(found),
            Some(found) => {
                Err(StoreError::OtherLedger { found: Box::new(found), expected: Box::new(expected.clone()) })
            }
        }
    }

    /// Whether the database reaches the sink's committed offsets, `(partition, offset)` each.
    ///
    /// # Errors
    /// [`StoreError::Behind`], and whatever keeps ClickHouse from answering.
    pub async fn check_reach(&self, committed: &[(i32, i64)]) -> Result<(), StoreError> {
        Ok(check_reach(&self.sunk_ends().await?, committed)?)
    }

    /// [`sunk_ends`](Self::sunk_ends) as they were when they were first asked for.
    ///
    /// # Errors
    /// Whatever keeps ClickHouse from answering.
    pub async fn first_ends(&self) -> Result<&[(i32, i64)], StoreError> {
        Ok(self.first_ends.get_or_try_init(|| self.sunk_ends()).await?)
    }

    /// [`sunk_ends`](Self::sunk_ends) as they were told to a question that was put at `at` or later. Of those who wait for it
    /// one asks for all.
    ///
    /// # Errors
    /// Whatever keeps ClickHouse from answering.
    pub async fn ends_after(&self, at: Instant) -> Result<Ends, StoreError> {
        let mut last = self.last_ends.lock().await;
        if let Some((_, ends)) = last.as_ref().filter(|(asked_at, _)| *asked_at >= at) {
            return Ok(Arc::clone(ends));
        }
        let asked_at = Instant::now();
        let ends: Ends = self.sunk_ends().await?.into();
        *last = Some((asked_at, Arc::clone(&ends)));
        Ok(ends)
    }

    /// Up to where the sink has begun to insert, `(partition, offset)` each: it writes that down before it does, so that no
    /// table has anything at or beyond these offsets yet.
    ///
    /// # Errors
    /// Whatever keeps ClickHouse from answering.
    pub async fn sunk_ends(&self) -> Result<Vec<(i32, i64)>, StoreError> {
        // The client cannot read the names of a tuple's elements.
        let query = self.query(
            "SELECT arrayMap(range -> (range.1, range.3), ranges)::Array(Tuple(Int32, Int64)) FROM sunk_ranges \
             ORDER BY position DESC LIMIT 1",
        );
        Ok(self.ask::<Vec<(i32, i64)>>(query).await?.pop().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_reaches_what_was_committed_or_is_behind() {
        // The newest block may be under way, and offsets may have been set back: the database is further on.
        for committed in [[(0, 5), (1, 2)], [(0, 9), (1, 2)], [(0, 0), (1, 0)]] {
            assert_eq!(check_reach(&[(0, 9), (1, 2)], &committed), Ok(()));
        }
        assert_eq!(check_reach(&[], &[(0, 0), (1, 0)]), Ok(()));
        assert_eq!(
            check_reach(&[(0, 9), (1, 2)], &[(0, 9), (1, 3)]),
            Err(Behind { partition: 1, end: 2, committed: 3 })
        );
        assert_eq!(check_reach(&[], &[(0, 1)]), Err(Behind { partition: 0, end: 0, committed: 1 }));
    }
}
