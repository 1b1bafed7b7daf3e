//! Time zones by their names in the IANA database.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc};
pub use chrono_tz::Tz;

/// The text names no zone that a person could be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone like America/New_York, or UTC; abbreviations like EST are refused")]
pub struct ZoneError;

/// Reads a zone's name, as it is taken from whoever sets one: at an account's opening, and as `tz`.
///
/// Abbreviations are refused although the database lists some of them: `EST` is a clock without summer time, not a
/// place, and whoever writes it means one. They are the names without a `/` that are written in capitals, digits, `+`
/// and `-` alone (`CET`, `EST5EDT`, `GMT0`, `PRC`); `UTC` is the one exception. Names are case-sensitive.
///
/// # Errors
/// For an abbreviation, an offset (`+02:00`) and every name that the database does not have.
pub fn parse_zone(name: &str) -> Result<Tz, ZoneError> {
    if is_abbreviation(name) {
        return Err(ZoneError);
    }
    name.parse().map_err(|_| ZoneError)
}

fn is_abbreviation(name: &str) -> bool {
    name != "UTC" && !name.contains('/') && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Year and month (1 to 12) of an instant in a zone; `None` far beyond every date.
#[must_use]
pub fn month_of(zone: Tz, ms: i64) -> Option<(i32, u32)> {
    let date = date_of(zone, ms)?;
    Some((date.year(), date.month()))
}

/// The instant at which a month (1 to 12) begins in a zone.
#[must_use]
pub fn month_start_ms(zone: Tz, year: i32, month: u32) -> Option<i64> {
    start_ms(zone, NaiveDate::from_ymd_opt(year, month, 1)?)
}

/// The instant at which the day after that of an instant begins in a zone.
#[must_use]
pub fn next_day_start_ms(zone: Tz, ms: i64) -> Option<i64> {
    start_ms(zone, date_of(zone, ms)?.checked_add_days(Days::new(1))?)
}

fn date_of(zone: Tz, ms: i64) -> Option<NaiveDate> {
    Some(DateTime::<Utc>::from_timestamp_millis(ms)?.with_timezone(&zone).date_naive())
}

/// The first instant of a date. Where clocks jump over midnight, the date begins at the jump; where they go through it
/// twice, at the first time.
fn start_ms(zone: Tz, date: NaiveDate) -> Option<i64> {
    // Clocks jump by quarters of an hour, and by no more than a day.
    const QUARTERS_MAX: u32 = 96;
    let midnight = date.and_time(NaiveTime::MIN);
    (0..=QUARTERS_MAX).find_map(|quarters| {
        let minutes = i64::from(quarters).saturating_mul(15);
        let local = midnight.checked_add_signed(chrono::TimeDelta::try_minutes(minutes)?)?;
        Some(zone.from_local_datetime(&local).earliest()?.timestamp_millis())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_rfc3339_ms;

    fn at(text: &str) -> i64 {
        parse_rfc3339_ms(text).unwrap()
    }

    #[test]
    fn a_month_begins_at_local_midnight() {
        for (zone, year, month, start) in [
            (Tz::UTC, 2026, 12, "2026-12-01T00:00:00Z"),
            (Tz::America__New_York, 2026, 12, "2026-12-01T05:00:00Z"),
            (Tz::America__New_York, 2026, 11, "2026-11-01T04:00:00Z"),
            (Tz::Asia__Kathmandu, 2027, 1, "2026-12-31T18:15:00Z"),
            // Clocks went from 00:00 to 01:00: there was no midnight.
            (Tz::America__Asuncion, 2017, 10, "2017-10-01T04:00:00Z"),
        ] {
            assert_eq!(month_start_ms(zone, year, month), Some(at(start)), "{zone} {year}-{month}");
            assert_eq!(month_of(zone, at(start)), Some((year, month)));
            assert_ne!(month_of(zone, at(start).saturating_sub(1)), Some((year, month)));
        }
        assert_eq!(month_start_ms(Tz::UTC, 2026, 13), None);
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        for (zone, instant, end) in [
            (Tz::America__New_York, "2026-11-21T20:15:00Z", "2026-11-22T05:00:00Z"),
            (Tz::America__New_York, "2026-11-22T04:59:59Z", "2026-11-22T05:00:00Z"),
            (Tz::America__New_York, "2026-11-22T05:00:00Z", "2026-11-23T05:00:00Z"),
            // 25 hours, and 23.
            (Tz::America__New_York, "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            (Tz::America__New_York, "2027-03-14T05:00:00Z", "2027-03-15T04:00:00Z"),
            // The Sunday began at 01:00, and the one before ended there.
            (Tz::America__Sao_Paulo, "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"),
            // A whole day was left out.
            (Tz::Pacific__Apia, "2011-12-29T20:00:00Z", "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(next_day_start_ms(zone, at(instant)), Some(at(end)), "{zone} {instant}");
        }
    }

    #[test]
    fn places_and_utc_are_zones() {
        for name in
            ["America/New_York", "Asia/Kathmandu", "America/Argentina/Buenos_Aires", "Singapore", "UTC", "Etc/UTC"]
        {
            assert_eq!(parse_zone(name).map(Tz::name), Ok(name));
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        let names =
            ["EST", "MST", "HST", "CET", "EET", "MET", "WET", "EST5EDT", "PST8PDT", "GMT", "GMT0", "GMT+0", "UCT"];
        for name in names {
            assert!(name.parse::<Tz>().is_ok(), "{name} stands in the database, and is refused nevertheless");
            assert_eq!(parse_zone(name), Err(ZoneError), "{name}");
        }
        for name in ["", "Mars", "Mars/Olympus", "+02:00", "europe/berlin", "Europe/Berlin ", "utc"] {
            assert_eq!(parse_zone(name), Err(ZoneError), "{name:?}");
        }
    }

    #[test]
    fn every_area_of_the_database_is_taken() {
        let (taken, refused): (Vec<Tz>, Vec<Tz>) =
            chrono_tz::TZ_VARIANTS.iter().partition(|zone| parse_zone(zone.name()).is_ok());
        assert!(taken.len() > 500, "{}", taken.len());
        assert!(refused.iter().all(|zone| !zone.name().contains('/')), "{refused:?}");
    }
}
