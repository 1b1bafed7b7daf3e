//! The period before a range, for comparison.

use chrono::{Datelike, Days, Months, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use tollbooth_schemas::time::DAY_MS;

use super::edges::{local, start_of_date};
use super::{QUARTER_MS, TimeRange};

/// How far back the period before lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    Months(u32),
    Days(u64),
    Milliseconds(i64),
}

/// The period before `range`, of the same length in the calendar: a range of whole months is compared with as many months
/// before it, whatever their days; one of whole days with as many days; any other with what lasted as long.
///
/// Like for like: of a range that `now_ms` lies in only as much as has gone by is compared, to the end of the quarter of an
/// hour under way, so that the first three days of a month stand against three days of the month before. Never reaches into
/// the range.
#[must_use]
pub fn previous(range: TimeRange, zone: Tz, now_ms: i64) -> TimeRange {
    let back = back_of(range, zone);
    // Not to the millisecond: the same question for a quarter of an hour, which rollups answer.
    let seen_ms = now_ms.div_euclid(QUARTER_MS).saturating_add(1).saturating_mul(QUARTER_MS);
    let is_under_way = (range.from_ms + 1..range.to_ms).contains(&now_ms);
    let seen_to_ms = if is_under_way { seen_ms.min(range.to_ms) } else { range.to_ms };
    let from_ms = shift(range.from_ms, back, zone);
    let to_ms = shift(seen_to_ms, back, zone).min(range.from_ms);
    // A moment that the clocks left out may begin where the range does.
    TimeRange { from_ms, to_ms: to_ms.max(from_ms + 1) }
}

fn back_of(range: TimeRange, zone: Tz) -> Back {
    let date = |ms: i64| Some(local(zone, ms).date()).filter(|date| start_of_date(zone, *date) == ms);
    let (Some(from), Some(to)) = (date(range.from_ms), date(range.to_ms)) else {
        return Back::Milliseconds(range.to_ms - range.from_ms);
    };
    let months = (to.year() - from.year()) * 12 + to.month0().cast_signed() - from.month0().cast_signed();
    match u32::try_from(months) {
        Ok(months @ 1..) if from.day() == 1 && to.day() == 1 => Back::Months(months),
        _ => Back::Days(u64::try_from((to - from).num_days()).unwrap_or(1).max(1)),
    }
}

/// The same moment of the local clock so much earlier. A day that a month does not have is its last one.
fn shift(ms: i64, back: Back, zone: Tz) -> i64 {
    let at = local(zone, ms);
    let earlier = match back {
        Back::Milliseconds(length_ms) => return ms - length_ms,
        Back::Months(months) => at.checked_sub_months(Months::new(months)),
        Back::Days(days) => at.checked_sub_days(Days::new(days)),
    };
    instant_of(earlier.unwrap_or(at), zone)
}

/// The instant of a local moment: the earlier one of two; where the clocks skip it, as much later as they jump.
fn instant_of(at: NaiveDateTime, zone: Tz) -> i64 {
    if at.time() == NaiveTime::MIN {
        return start_of_date(zone, at.date());
    }
    match zone.from_local_datetime(&at).earliest() {
        Some(instant) => instant.timestamp_millis(),
        // The offset of the day before is still in force right before the gap.
        None => {
            let before_ms = at.and_utc().timestamp_millis() - DAY_MS;
            at.and_utc().timestamp_millis() - super::edges::offset_ms(zone, before_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::TZ_VARIANTS;
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::{edge_text, parse_edge};

    fn compared(zone: &str, from: &str, to: &str, now: &str) -> (String, String) {
        let zone: Tz = zone.parse().unwrap();
        let at = |text: &str| parse_edge(text, zone).unwrap();
        let before = previous(TimeRange { from_ms: at(from), to_ms: at(to) }, zone, at(now));
        (edge_text(before.from_ms, zone), edge_text(before.to_ms, zone))
    }

    #[test]
    fn a_whole_month_is_compared_with_the_month_before_it() {
        assert_eq!(
            compared("America/New_York", "2026-11-01", "2026-12-01", "2027-01-01"),
            ("2026-10-01T00:00:00-04:00".to_owned(), "2026-11-01T00:00:00-04:00".to_owned())
        );
        assert_eq!(
            compared("UTC", "2026-01-01", "2027-01-01", "2027-02-01"),
            ("2025-01-01T00:00:00+00:00".to_owned(), "2026-01-01T00:00:00+00:00".to_owned())
        );
    }

    #[test]
    fn of_a_range_under_way_as_much_is_compared_as_has_gone_by() {
        // 26 November, half past two in the afternoon, New York; the clocks went back in between.
        assert_eq!(
            compared("America/New_York", "2026-11-01", "2026-12-01", "2026-11-26T19:30:00Z"),
            ("2026-10-01T00:00:00-04:00".to_owned(), "2026-10-26T14:45:00-04:00".to_owned())
        );
        // The 31st has no like in February: the whole of it.
        assert_eq!(compared("UTC", "2026-03-01", "2026-04-01", "2026-03-31T11:59:59Z").1, "2026-02-28T12:00:00+00:00");
    }

    #[test]
    fn whole_days_are_days_and_anything_else_is_a_length() {
        assert_eq!(
            compared("America/New_York", "2026-03-08", "2026-03-10", "2026-04-01"),
            ("2026-03-06T00:00:00-05:00".to_owned(), "2026-03-08T00:00:00-05:00".to_owned())
        );
        assert_eq!(
            compared("UTC", "2026-03-08T10:00:00Z", "2026-03-08T13:00:00Z", "2026-04-01"),
            ("2026-03-08T07:00:00+00:00".to_owned(), "2026-03-08T10:00:00+00:00".to_owned())
        );
    }

    proptest! {
        #[test]
        fn it_lies_before_the_range_and_is_never_empty(
            zone in 0..TZ_VARIANTS.len(),
            from_ms in 0_i64..4_000_000_000_000,
            length_ms in 1_i64..100_000_000_000,
            now_ms in 0_i64..5_000_000_000_000,
            whole_days: bool,
        ) {
            let zone = TZ_VARIANTS[zone];
            let mut range = TimeRange { from_ms, to_ms: from_ms + length_ms };
            if whole_days {
                range.from_ms = start_of_date(zone, local(zone, range.from_ms).date());
                range.to_ms = start_of_date(zone, local(zone, range.to_ms).date()).max(range.from_ms + 1);
            }
            let before = previous(range, zone, now_ms);
            prop_assert!(before.from_ms < before.to_ms && before.from_ms < range.from_ms);
            prop_assert!(before.to_ms <= range.from_ms.max(before.from_ms + 1));
            // What has ended is compared with what touches it.
            if range.to_ms <= now_ms {
                prop_assert!(range.from_ms - before.to_ms <= DAY_MS, "{before:?}");
            }
        }
    }
}
