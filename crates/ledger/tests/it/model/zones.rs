//! The calendars of the places where the accounts of the model live.

use super::new_york::{self, DAY_MS, HOUR_MS, date, days};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Where they are opened.
    #[default]
    NewYork,
    /// Nine hours ahead of UTC, all year round.
    Tokyo,
    /// Ten hours behind.
    Honolulu,
}

impl Zone {
    pub(crate) const ALL: [Self; 3] = [Self::NewYork, Self::Tokyo, Self::Honolulu];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewYork => "America/New_York",
            Self::Tokyo => "Asia/Tokyo",
            Self::Honolulu => "Pacific/Honolulu",
        }
    }

    /// `None`: not all year round.
    fn ahead_ms(self) -> Option<i64> {
        match self {
            Self::NewYork => None,
            Self::Tokyo => Some(9 * HOUR_MS),
            Self::Honolulu => Some(-10 * HOUR_MS),
        }
    }

    /// Days since the epoch of an instant.
    pub(crate) fn day(self, ms: i64) -> i64 {
        self.ahead_ms().map_or_else(|| new_york::day(ms), |ahead_ms| (ms + ahead_ms).div_euclid(DAY_MS))
    }

    /// When a day begins.
    pub(crate) fn day_start(self, day: i64) -> i64 {
        self.ahead_ms().map_or_else(|| new_york::day_start(day), |ahead_ms| day * DAY_MS - ahead_ms)
    }

    /// Months since the year 0 of an instant.
    pub(crate) fn month(self, ms: i64) -> i64 {
        let (year, month, _) = date(self.day(ms));
        year * 12 + month - 1
    }

    /// When a month begins.
    pub(crate) fn month_start(self, month: i64) -> i64 {
        self.day_start(days(month.div_euclid(12), month.rem_euclid(12) + 1, 1))
    }
}

#[test]
fn the_calendars_are_what_the_database_of_zones_says() {
    use tollbooth_schemas::zone::{month_of, month_start_ms, next_day_start_ms, parse_zone};
    for place in Zone::ALL {
        let zone = parse_zone(place.name()).unwrap();
        for index in 0..20_000 {
            let ms = 1_790_000_000_000 + index * 7_654_321;
            let (year, number) = month_of(zone, ms).unwrap();
            assert_eq!(place.month(ms), i64::from(year) * 12 + i64::from(number) - 1);
            assert_eq!(place.day_start(place.day(ms) + 1), next_day_start_ms(zone, ms).unwrap());
            assert_eq!(place.month_start(place.month(ms)), month_start_ms(zone, year, number).unwrap());
        }
    }
}
