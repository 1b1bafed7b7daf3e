//! The calendar of New York, from its law alone: summer time from the second Sunday
//! of March, 2:00, to the first Sunday of November, 2:00.

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// Days from the epoch to a date, and back: Howard Hinnant's `days_from_civil`.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

pub(super) fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The `nth` Sunday of a month, as days since the epoch, which was a Thursday.
fn sunday(year: i64, month: i64, nth: i64) -> i64 {
    let first = days(year, month, 1);
    first + (3 - first).rem_euclid(7) + 7 * (nth - 1)
}

/// Milliseconds that the local clock is behind UTC at an instant.
fn behind_ms(ms: i64) -> i64 {
    let (year, ..) = date((ms - 5 * HOUR_MS).div_euclid(DAY_MS));
    let summer = sunday(year, 3, 2) * DAY_MS + 7 * HOUR_MS..sunday(year, 11, 1) * DAY_MS + 6 * HOUR_MS;
    if summer.contains(&ms) { 4 * HOUR_MS } else { 5 * HOUR_MS }
}

fn midnight(days: i64) -> i64 {
    let standard = days * DAY_MS + 5 * HOUR_MS;
    days * DAY_MS + behind_ms(standard)
}

/// Days since the epoch of an instant.
pub(crate) fn day(ms: i64) -> i64 {
    (ms - behind_ms(ms)).div_euclid(DAY_MS)
}

/// When a day begins.
pub(crate) fn day_start(day: i64) -> i64 {
    midnight(day)
}
