//! What the watch found, written to the table `drift`: one row for each kind.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::figures::{Drift, Kind};
use crate::sink::error::SinkError;
use crate::sink::store::{Store, within_limit};

/// Most accounts of a kind that are named; those that are off the most.
const EXAMPLES_MAX: usize = 20;

/// When a watch began, and passed last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) began_at_ms: i64,
    pub(super) passed_at_ms: Option<i64>,
}

/// This machine's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The accounts that are off in this way, the most first.
fn off(known: &BTreeMap<String, Drift>, index: usize) -> Vec<(&str, u64)> {
    let micros = |off: u128| u64::try_from(off).unwrap_or(u64::MAX);
    let mut off: Vec<(&str, u64)> =
        known.iter().filter_map(|(id, drift)| Some((id.as_str(), micros(drift.0[index]?)))).collect();
    off.sort_by_key(|(_, micros)| std::cmp::Reverse(*micros));
    off
}

impl Store {
    /// Writes down what is known; it takes the place of what was written before. Which of two was written last the server's
    /// clock decides, and not those of the two who wrote.
    pub(super) async fn tell_drift(&self, told: Told, known: &BTreeMap<String, Drift>) -> Result<(), SinkError> {
        const ROW: &str =
            "(?, fromUnixTimestamp64Milli(?, 'UTC'), now64(3, 'UTC'), fromUnixTimestamp64Milli(?, 'UTC'), ?, ?)";
        let rows = [ROW; Kind::ALL.len()].join(", ");
        let sql = format!("INSERT INTO drift (kind, began_at, looked_at, passed_at, accounts, examples) VALUES {rows}");
        let mut insert = self.client().query(&sql).with_setting("async_insert", "0");
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let mut off = off(known, index);
            let accounts = off.len() as u64;
            off.truncate(EXAMPLES_MAX);
            insert = insert
                .bind(kind.code())
                .bind(told.began_at_ms)
                .bind(told.passed_at_ms.unwrap_or_default())
                .bind(accounts)
                .bind(off);
        }
        within_limit(insert.execute())
            .await
            .map_err(|source| SinkError::ClickHouse { doing: "write down what the drift watch found", source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_that_are_off_the_most_come_first() {
        let drift = |chain: Option<u128>| Drift([chain, Some(9), None]);
        let known = BTreeMap::from([
            ("acc_a".to_owned(), drift(Some(5))),
            ("acc_b".to_owned(), drift(None)),
            ("acc_c".to_owned(), drift(Some(u128::MAX))),
        ]);
        assert_eq!(off(&known, 0), [("acc_c", u64::MAX), ("acc_a", 5)]);
        assert_eq!(off(&known, 1).len(), 3);
        assert!(off(&known, 2).is_empty());
    }
}
