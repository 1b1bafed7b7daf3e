//! The seam between memory and ClickHouse, as a pure decision.
//!
//! Memory holds the newest entries without a gap down to some `seq`; ClickHouse holds everything up to some `seq`. A page
//! takes what memory has, and continues in ClickHouse directly below it, provided that ClickHouse reaches that far. A page
//! that follows another begins directly below it, or is not answered: what lies in between would be on neither.

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
    /// Nothing can be shown: the page before was made where newer entries were known than here.
    Behind,
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
    let upper_seq = before_seq.map_or(reach.newest_seq, |before| before.saturating_sub(1));
    if upper_seq > reach.newest_seq {
        return (Vec::new(), Seam::Behind);
    }
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

/// The newest entry of a page that comes from ClickHouse alone because memory does not reach down to it; `stored_seq` is
/// the newest one there. `None`: the page would leave out what lies between it and the page before.
#[must_use]
pub fn upper_of_stored(stored_seq: u64, before_seq: Option<u64>) -> Option<u64> {
    match before_seq {
        None => Some(stored_seq),
        Some(before_seq) => Some(before_seq.saturating_sub(1)).filter(|&upper_seq| upper_seq <= stored_seq),
    }
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

    /// An instance at one moment: how far its memory and its ClickHouse are.
    #[derive(Debug, Clone, Copy)]
    struct Moment {
        newest: u64,
        in_memory: u64,
        behind: u64,
    }

    fn moment() -> impl Strategy<Value = Moment> {
        (0_u64..60, 0_u64..60, 0_u64..60).prop_map(|(newest, in_memory, behind)| Moment { newest, in_memory, behind })
    }

    impl Moment {
        /// The page that is answered then, and as of which entry; `None`: it is refused.
        fn page(self, filter: &ActivityFilter, before: Option<u64>, limit: usize) -> Option<(Vec<u64>, u64)> {
            let Self { newest, in_memory, behind } = self;
            let oldest_seq = newest + 1 - in_memory.min(newest);
            let sunk = newest - behind.min(newest);
            let stored = |upper: u64, limit: usize| {
                newest_first(1, upper.min(sunk)).filter(|row| filter.allows(row)).take(limit).collect::<Vec<_>>()
            };
            let reach = Reach { newest_seq: newest, oldest_seq };
            let (mut rows, seam) = plan(reach, newest_first(oldest_seq, newest), filter, before, limit);
            let as_of = match seam {
                Seam::Behind => return None,
                Seam::Full => newest,
                Seam::Continue { upper_seq } if upper_seq <= sunk => {
                    rows.extend(stored(upper_seq, limit + 1 - rows.len()));
                    newest
                }
                Seam::Continue { .. } => {
                    rows = stored(upper_of_stored(sunk, before)?, limit + 1);
                    sunk
                }
            };
            Some((rows.iter().map(|row| row.seq).collect(), as_of))
        }
    }

    fn sms(only_sms: bool) -> ActivityFilter {
        let services = if only_sms { vec!["sms".to_owned()] } else { Vec::new() };
        ActivityFilter { services, ..ActivityFilter::default() }
    }

    proptest! {
        #[test]
        fn memory_and_clickhouse_together_are_the_ledger_whatever_the_boundaries(
            moment in moment(),
            before in proptest::option::of(1_u64..70),
            limit in 1_usize..20,
            only_sms: bool,
        ) {
            let filter = sms(only_sms);
            let Some((seqs, as_of)) = moment.page(&filter, before, limit) else {
                prop_assert!(before.is_some(), "a first page is always answered");
                return Ok(());
            };
            let upper = before.map_or(as_of, |before| before - 1);
            let expected = newest_first(1, upper).filter(|row| filter.allows(row)).map(|row| row.seq).take(limit + 1);
            prop_assert_eq!(seqs, expected.collect::<Vec<_>>());
        }

        #[test]
        fn pages_one_after_the_other_leave_nothing_out_wherever_and_whenever_each_was_answered(
            moments in proptest::collection::vec(moment(), 1..12),
            limit in 1_usize..20,
            only_sms: bool,
        ) {
            let filter = sms(only_sms);
            let mut read = Vec::new();
            let mut before = None;
            for moment in moments {
                let Some((mut seqs, _)) = moment.page(&filter, before, limit) else { continue };
                let has_more = seqs.len() > limit;
                seqs.truncate(limit);
                read.extend(seqs);
                before = read.last().copied();
                if !has_more {
                    break;
                }
            }
            let (Some(&first), Some(&last)) = (read.first(), read.last()) else { return Ok(()) };
            let all = newest_first(last, first).filter(|row| filter.allows(row)).map(|row| row.seq);
            prop_assert_eq!(read, all.collect::<Vec<_>>());
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
