use proptest::prelude::*;

use super::*;

fn question<'a>(filter: &'a UsageFilter, from_ms: i64, to_ms: i64) -> UsageQuery<'a> {
    UsageQuery {
        scope: Scope::Account("acc_a"),
        kinds: Kinds::Spend,
        range: Some(TimeRange { from_ms, to_ms }),
        starts_ms: &[],
        group_by: None,
        keep: Keep::All,
        filter,
        after_seq: None,
        rows_max: 10,
    }
}

proptest! {
    #[test]
    fn the_parts_of_a_range_are_the_range(from_ms in 0_i64..4_000_000_000_000, length_ms in 1_i64..10_000_000) {
        let filter = UsageFilter::default();
        let parts = question(&filter, from_ms, from_ms + length_ms).parts();
        let mut all: Vec<TimeRange> = parts.entries.iter().copied().chain(parts.rollup).collect();
        all.sort_by_key(|part| part.from_ms);
        prop_assert_eq!(all[0].from_ms, from_ms);
        prop_assert_eq!(all[all.len() - 1].to_ms, from_ms + length_ms);
        for pair in all.windows(2) {
            prop_assert_eq!(pair[0].to_ms, pair[1].from_ms);
        }
        if let Some(rollup) = parts.rollup {
            prop_assert_eq!((rollup.from_ms % QUARTER_MS, rollup.to_ms % QUARTER_MS), (0, 0));
        }
        for part in &parts.entries {
            prop_assert!(parts.rollup.is_none() || part.to_ms - part.from_ms < QUARTER_MS);
        }
    }
}

#[test]
fn the_narrowest_rollup_that_knows_the_question_is_asked() {
    let with = |events: &[&str], booths: &[&str], group_by| {
        let filter = UsageFilter {
            event_ids: events.iter().map(|text| (*text).to_owned()).collect(),
            booth_ids: booths.iter().map(|text| (*text).to_owned()).collect(),
            ..UsageFilter::default()
        };
        let question = UsageQuery { group_by, ..question(&filter, 0, 1) };
        (question.source(), question.lacks_rest())
    };
    assert_eq!(with(&[], &[], Some(GroupBy::Engine)), (Source::Account, false));
    assert_eq!(with(&["evt_a"], &[], Some(GroupBy::Engine)), (Source::Event, false));
    assert_eq!(with(&[], &[], Some(GroupBy::Event)), (Source::Event, true));
    assert_eq!(with(&["evt_a"], &[], Some(GroupBy::Event)), (Source::Event, false));
    assert_eq!(with(&[], &[], Some(GroupBy::Booth)), (Source::Booth, true));
    assert_eq!(with(&["evt_a"], &["bth_a"], None), (Source::Entries, false));
    assert_eq!(with(&["evt_a"], &[], Some(GroupBy::Booth)), (Source::Entries, false));
}

#[test]
fn whole_quarters_of_one_table_are_of_one_state() {
    let filter = UsageFilter::default();
    let of_one_state =
        |from_ms, to_ms, group_by| UsageQuery { group_by, ..question(&filter, from_ms, to_ms) }.is_of_one_state();
    assert!(of_one_state(0, QUARTER_MS, None));
    assert!(of_one_state(1, 2, None), "of the entries alone");
    assert!(!of_one_state(1, 3 * QUARTER_MS, None), "of entries and a rollup");
    assert!(!of_one_state(0, QUARTER_MS, Some(GroupBy::Event)), "of two rollups");
}
