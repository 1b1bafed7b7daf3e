use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;
use tollbooth_schemas::time::parse_rfc3339_ms;

use super::*;
use crate::calendar::{RangeError, edge_text, parse_edge, resolve_range, resolve_zone};

const FAR_FUTURE_MS: i64 = 253_402_300_799_000;

fn cut(zone: &str, bucket: Bucket, from: &str, to: &str) -> Vec<String> {
    let zone: Tz = zone.parse().unwrap();
    let range = TimeRange { from_ms: parse_edge(from, zone).unwrap(), to_ms: parse_edge(to, zone).unwrap() };
    let spans = spans(range, bucket, zone, FAR_FUTURE_MS, 10_000).unwrap();
    spans
        .iter()
        .map(|span| format!("{} {}", edge_text(span.start_ms, zone), (span.end_ms - span.start_ms) / 60_000))
        .collect()
}

#[test]
fn new_yorks_days_have_23_and_25_hours_when_clocks_change() {
    assert_eq!(
        cut("America/New_York", Bucket::Day, "2026-03-07", "2026-03-10"),
        ["2026-03-07T00:00:00-05:00 1440", "2026-03-08T00:00:00-05:00 1380", "2026-03-09T00:00:00-04:00 1440"]
    );
    assert_eq!(
        cut("America/New_York", Bucket::Day, "2026-11-01", "2026-11-03"),
        ["2026-11-01T00:00:00-04:00 1500", "2026-11-02T00:00:00-05:00 1440"]
    );
}

#[test]
fn an_hour_that_comes_twice_is_two_buckets_and_one_that_is_skipped_is_none() {
    let autumn = cut("America/New_York", Bucket::Hour, "2026-11-01", "2026-11-02");
    assert_eq!(autumn.len(), 25);
    assert_eq!(autumn[1..3], ["2026-11-01T01:00:00-04:00 60", "2026-11-01T01:00:00-05:00 60"]);
    let spring = cut("America/New_York", Bucket::Hour, "2026-03-08", "2026-03-09");
    assert_eq!(spring.len(), 23);
    assert_eq!(spring[1..3], ["2026-03-08T01:00:00-05:00 60", "2026-03-08T03:00:00-04:00 60"]);
}

#[test]
fn lord_howe_shifts_by_half_an_hour() {
    let autumn = cut("Australia/Lord_Howe", Bucket::Hour, "2026-04-05", "2026-04-06");
    assert_eq!(
        autumn[1..4],
        ["2026-04-05T01:00:00+11:00 60", "2026-04-05T01:30:00+10:30 30", "2026-04-05T02:00:00+10:30 60"]
    );
    assert_eq!(cut("Australia/Lord_Howe", Bucket::Day, "2026-04-05", "2026-04-06"), ["2026-04-05T00:00:00+11:00 1470"]);
    let spring = cut("Australia/Lord_Howe", Bucket::Hour, "2026-10-04", "2026-10-05");
    assert_eq!(spring[2..4], ["2026-10-04T02:30:00+11:00 30", "2026-10-04T03:00:00+11:00 60"]);
    assert_eq!(cut("Australia/Lord_Howe", Bucket::Day, "2026-10-04", "2026-10-05"), ["2026-10-04T00:00:00+10:30 1410"]);
}

#[test]
fn kathmandu_is_three_quarters_of_an_hour_off() {
    let hours = cut("Asia/Kathmandu", Bucket::Hour, "2026-01-01", "2026-01-02");
    assert_eq!(hours.len(), 24);
    assert_eq!(hours[0], "2026-01-01T00:00:00+05:45 60");
    assert_eq!(
        parse_edge("2026-01-01", "Asia/Kathmandu".parse().unwrap()),
        Ok(parse_rfc3339_ms("2025-12-31T18:15:00Z").unwrap())
    );
}

#[test]
fn apia_has_no_30_december_2011() {
    assert_eq!(
        cut("Pacific/Apia", Bucket::Day, "2011-12-29", "2012-01-01"),
        ["2011-12-29T00:00:00-10:00 1440", "2011-12-31T00:00:00+14:00 1440"]
    );
    assert_eq!(cut("Pacific/Apia", Bucket::Month, "2011-12-01", "2012-01-01"), ["2011-12-01T00:00:00-10:00 43200"]);
}

#[test]
fn a_midnight_that_does_not_exist_is_where_the_clocks_jump_to() {
    // Beirut goes from 00:00 to 01:00.
    assert_eq!(cut("Asia/Beirut", Bucket::Day, "2026-03-29", "2026-03-30"), ["2026-03-29T01:00:00+03:00 1380"]);
}

#[test]
fn a_day_that_began_stays_begun_when_clocks_go_back_over_midnight() {
    // St. John's went from 00:01 back to 23:01: the date is the 25th, the 24th again, and the 25th.
    assert_eq!(
        cut("America/St_Johns", Bucket::Day, "2009-10-31", "2009-11-02"),
        ["2009-10-31T00:00:00-02:30 1440", "2009-11-01T00:00:00-02:30 1500"]
    );
    let inside = cut("America/St_Johns", Bucket::Day, "2009-11-01T03:00:00Z", "2009-11-02");
    assert_eq!(inside.len(), 1);
}

#[test]
fn weeks_begin_on_monday_months_and_years_on_the_first() {
    assert_eq!(
        cut("Europe/Berlin", Bucket::Week, "2026-11-16", "2026-11-30"),
        ["2026-11-16T00:00:00+01:00 10080", "2026-11-23T00:00:00+01:00 10080"]
    );
    assert_eq!(cut("Europe/Berlin", Bucket::Month, "2026-01-01", "2027-01-01").len(), 12);
    assert_eq!(cut("Europe/Berlin", Bucket::Month, "2026-03-01", "2026-04-01"), ["2026-03-01T00:00:00+01:00 44580"]);
    assert_eq!(cut("Europe/Berlin", Bucket::Year, "2025-01-01", "2027-01-01").len(), 2);
}

#[test]
fn a_bucket_cut_by_the_range_or_by_now_is_partial() {
    let zone = Tz::UTC;
    let at = |text: &str| parse_edge(text, zone).unwrap();
    let range = TimeRange { from_ms: at("2026-01-01T12:00:00Z"), to_ms: at("2026-01-05T06:00:00Z") };
    let days = spans(range, Bucket::Day, zone, at("2026-01-03T08:00:00Z"), 100).unwrap();
    assert_eq!(days.iter().map(|span| span.partial).collect::<Vec<_>>(), [true, false, true, true, true]);
    assert_eq!((days[0].start_ms, days[4].end_ms), (range.from_ms, range.to_ms));
}

#[test]
fn the_bound_on_buckets_holds_before_they_are_made() {
    let range = TimeRange { from_ms: 0, to_ms: i64::from(u32::MAX) * 1000 };
    assert_eq!(spans(range, Bucket::Quarter, Tz::UTC, 0, 2000), Err(TooManyBuckets { max: 2000 }));
    let exact = TimeRange { from_ms: 0, to_ms: 2000 * QUARTER_MS };
    assert_eq!(spans(exact, Bucket::Quarter, Tz::UTC, 0, 2000).map(|spans| spans.len()), Ok(2000));
}

#[test]
fn an_accounts_own_zone_is_taken_as_it_was_accepted() {
    for stored in ["CET", "EST5EDT", "America/New_York"] {
        assert_eq!(resolve_zone(None, stored).map(Tz::name), Ok(stored));
    }
    assert_eq!(resolve_zone(None, "Mars/Olympus"), Err(RangeError::StoredZone));
    assert_eq!(resolve_zone(Some("Asia/Kolkata"), "Mars/Olympus"), Ok(Tz::Asia__Kolkata));
}

#[test]
fn zones_are_places_and_edges_are_instants_or_dates() {
    for good in ["UTC", "America/New_York", "Etc/GMT+5", "Asia/Kolkata"] {
        assert!(resolve_zone(Some(good), "").is_ok(), "{good}");
    }
    for bad in ["EST", "EST5EDT", "CET", "Mars/Olympus", "", "+02:00", "america/new_york "] {
        assert!(matches!(resolve_zone(Some(bad), "UTC"), Err(RangeError::Zone(_))), "{bad}");
    }
    for bad in ["2026-1-2", "2026-02-30", "1969-12-30", "2200-01-01", "yesterday", "2026-01-01T00:00:00", "+2026-01-01"]
    {
        assert!(parse_edge(bad, Tz::UTC).is_err(), "{bad}");
    }
}

#[test]
fn defaults_are_the_local_month_up_to_the_end_of_the_day() {
    let zone: Tz = "America/New_York".parse().unwrap();
    let now_ms = parse_rfc3339_ms("2026-12-01T03:00:00Z").unwrap();
    let range = resolve_range(None, None, zone, now_ms).unwrap();
    assert_eq!(edge_text(range.from_ms, zone), "2026-11-01T00:00:00-04:00");
    assert_eq!(edge_text(range.to_ms, zone), "2026-12-01T00:00:00-05:00");
}

#[test]
fn auto_follows_the_length_of_the_range() {
    let days = |count: i64| Bucket::auto(TimeRange { from_ms: 0, to_ms: count * 86_400_000 });
    assert_eq!(
        [days(1), days(2), days(3), days(92), days(93), days(366), days(731), days(740)].map(Bucket::code),
        ["hour", "hour", "day", "day", "week", "week", "week", "month"]
    );
}

fn any_zone() -> impl Strategy<Value = Tz> {
    (0..TZ_VARIANTS.len()).prop_map(|index| TZ_VARIANTS[index])
}

fn any_bucket() -> impl Strategy<Value = Bucket> {
    (0..Bucket::ALL.len()).prop_map(|index| Bucket::ALL[index])
}

fn longest_ms(bucket: Bucket) -> i64 {
    let hours = match bucket {
        Bucket::Quarter => 300,
        Bucket::Hour => 1_200,
        Bucket::Day => 24 * 800,
        Bucket::Week | Bucket::Month | Bucket::Year => 24 * 4_000,
    };
    hours * 3_600_000
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn buckets_cover_the_range_exactly_and_agree_with_the_local_calendar(
        zone in any_zone(),
        bucket in any_bucket(),
        from_ms in 0_i64..4_000_000_000_000,
        share in 0.000_001_f64..1.0,
    ) {
        let length_ms = ((longest_ms(bucket) as f64 * share) as i64).max(1);
        let range = TimeRange { from_ms, to_ms: from_ms + length_ms };
        let spans = spans(range, bucket, zone, FAR_FUTURE_MS, 5_000).unwrap();
        prop_assert_eq!(spans[0].start_ms, range.from_ms);
        prop_assert_eq!(spans[spans.len() - 1].end_ms, range.to_ms);
        for pair in spans.windows(2) {
            prop_assert_eq!(pair[0].end_ms, pair[1].start_ms);
        }
        for span in &spans {
            prop_assert!(span.start_ms < span.end_ms);
        }
        // Only the ends of the range may be cut.
        for span in spans.iter().skip(1).rev().skip(1) {
            prop_assert!(!span.partial);
        }
    }

    #[test]
    fn every_edge_begins_a_new_local_period(
        zone in any_zone(),
        bucket in any_bucket(),
        // From 1972 on no zone's offset has seconds.
        from_ms in 70_000_000_000_i64..4_000_000_000_000,
    ) {
        let range = TimeRange { from_ms, to_ms: from_ms + longest_ms(bucket) };
        let period = |ms: i64| {
            let time = local(zone, ms);
            match bucket {
                Bucket::Quarter | Bucket::Hour => {
                    let unit = if bucket == Bucket::Hour { 3_600_000 } else { QUARTER_MS };
                    let offset = offset_ms(zone, ms);
                    ((ms + offset).div_euclid(unit), offset)
                }
                _ => (i64::from(floor_date(bucket, time.date()).num_days_from_ce()), 0),
            }
        };
        for span in spans(range, bucket, zone, FAR_FUTURE_MS, 5_000).unwrap().iter().skip(1) {
            prop_assert_ne!(period(span.start_ms - 1), period(span.start_ms), "{:?} {} {}", bucket, zone, edge_text(span.start_ms, zone));
        }
    }

    #[test]
    fn any_split_of_instants_over_buckets_sums_to_the_total(
        zone in any_zone(),
        bucket in any_bucket(),
        from_ms in 0_i64..4_000_000_000_000,
        points in proptest::collection::vec((0.0_f64..1.0, 1_i64..1_000_000), 1..200),
    ) {
        let length_ms = longest_ms(bucket);
        let range = TimeRange { from_ms, to_ms: from_ms + length_ms };
        let spans = spans(range, bucket, zone, FAR_FUTURE_MS, 5_000).unwrap();
        let placed: i64 = spans.iter().map(|span| {
            points.iter().filter(|(share, _)| {
                let at = from_ms + (length_ms as f64 * share) as i64;
                span.start_ms <= at && at < span.end_ms
            }).map(|(_, amount)| amount).sum::<i64>()
        }).sum();
        prop_assert_eq!(placed, points.iter().map(|(_, amount)| amount).sum::<i64>());
    }

    #[test]
    fn current_zones_have_their_edges_on_quarters(
        zone in any_zone(),
        bucket in any_bucket(),
        from_ms in 1_704_067_200_000_i64..2_000_000_000_000,
    ) {
        let range = TimeRange { from_ms, to_ms: from_ms + longest_ms(bucket) };
        for span in spans(range, bucket, zone, FAR_FUTURE_MS, 5_000).unwrap().iter().skip(1) {
            prop_assert_eq!(span.start_ms % QUARTER_MS, 0);
        }
    }
}
