//! The seam between memory and ClickHouse, as a pure decision.
//!
//! Memory holds the newest entries without a gap down to some `seq`; ClickHouse holds everything up to some `seq`. A page
//! takes what memory has, and continues in ClickHouse directly below it, provided that ClickHouse reaches that far.

use super::{ActivityFilter, ActivityRow};

/// Rows of a page where nothing is said.
pub const LIMIT_DEFAULT: usize = 50;
/// Most rows of a page.
pub const LIMIT_MAX: usize = 200;

/// What memory can contribute: the newest entries, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The account's newest entry.
    pub newest_seq: u64,
    /// The oldest entry in memory; everything from here to `newest_seq` is there. `newest_seq + 1`: nothing is.
    pub oldest_seq: u64,
}

/// A page under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows, newest first; one more than the limit where there is more.
    pub rows: Vec<ActivityRow>,
    /// The page shows the account as of this entry, not the newest one.
    pub as_of_seq: Option<u64>,
}

/// What is left to be read from ClickHouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seam {
    /// Nothing.
    Full,
    /// The rows at or below `upper_seq` behind those of memory, if ClickHouse has all of them; if it ends below, memory
    /// does not reach it and the whole page comes from ClickHouse.
    Continue {
        /// Newest entry to read.
        upper_seq: u64,
    },
}

/// Takes from memory what belongs on the page, and says where ClickHouse continues.
///
/// `memory` yields the entries in memory, newest first. `before_seq` is the cursor's.
pub fn plan(
    reach: Reach,
    memory: impl IntoIterator<Item = ActivityRow>,
    filter: &ActivityFilter,
    before_seq: Option<u64>,
    limit: usize,
) -> (Vec<ActivityRow>, Seam) {
    let upper_seq = before_seq.map_or(reach.newest_seq, |before| before.saturating_sub(1).min(reach.newest_seq));
    if filter.is_search() {
        return (Vec::new(), Seam::Continue { upper_seq });
    }
    let rows: Vec<ActivityRow> =
        memory.into_iter().filter(|row| row.seq <= upper_seq && filter.allows(row)).take(limit + 1).collect();
    let below = upper_seq.min(reach.oldest_seq.saturating_sub(1));
    if rows.len() > limit || below == 0 {
        return (rows, Seam::Full);
    }
    (rows, Seam::Continue { upper_seq: below })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(seq: u64) -> ActivityRow {
        let service = if seq.is_multiple_of(3) { "sms" } else { "ai_modify" };
        ActivityRow { seq, entry_type: "consume".to_owned(), service: service.to_owned(), ..ActivityRow::default() }
    }

    fn newest_first(from: u64, to: u64) -> impl Iterator<Item = ActivityRow> {
        (from..=to).rev().map(row)
    }

    proptest! {
        #[test]
        fn memory_and_clickhouse_together_are_the_ledger_whatever_the_boundaries(
            newest in 0_u64..60,
            in_memory in 0_u64..60,
            behind in 0_u64..60,
            before in proptest::option::of(1_u64..70),
            limit in 1_usize..20,
            only_sms: bool,
        ) {
            let oldest_seq = newest + 1 - in_memory.min(newest);
            let sunk = newest - behind.min(newest);
            let filter = ActivityFilter {
                services: if only_sms { vec!["sms".to_owned()] } else { Vec::new() },
                ..ActivityFilter::default()
            };
            let expected = |as_of: u64| -> Vec<u64> {
                let upper = before.map_or(as_of, |before| as_of.min(before - 1));
                newest_first(1, upper).filter(|row| filter.allows(row)).map(|row| row.seq).take(limit + 1).collect()
            };
            let reach = Reach { newest_seq: newest, oldest_seq };
            let (mut rows, seam) = plan(reach, newest_first(oldest_seq, newest), &filter, before, limit);
            let as_of = match seam {
                Seam::Full => newest,
                Seam::Continue { upper_seq } if upper_seq <= sunk => {
                    rows.extend(newest_first(1, upper_seq).filter(|row| filter.allows(row)).take(limit + 1 - rows.len()));
                    newest
                }
                Seam::Continue { .. } => {
                    let upper = before.map_or(sunk, |before| sunk.min(before - 1));
                    rows = newest_first(1, upper).filter(|row| filter.allows(row)).take(limit + 1).collect();
                    sunk
                }
            };
            prop_assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), expected(as_of));
        }
    }

    #[test]
    fn a_page_that_memory_fills_asks_nobody() {
        let reach = Reach { newest_seq: 100, oldest_seq: 50 };
        let (rows, seam) = plan(reach, newest_first(50, 100), &ActivityFilter::default(), None, 50);
        assert_eq!((rows.len(), seam), (51, Seam::Full));
    }

    #[test]
    fn a_search_comes_from_clickhouse_alone() {
        let filter = ActivityFilter { terms: vec!["gala".to_owned()], ..ActivityFilter::default() };
        let reach = Reach { newest_seq: 100, oldest_seq: 50 };
        let (rows, seam) = plan(reach, newest_first(50, 100), &filter, None, 50);
        assert_eq!((rows.len(), seam), (0, Seam::Continue { upper_seq: 100 }));
    }
}
