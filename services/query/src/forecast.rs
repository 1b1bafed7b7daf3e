//! Until when a balance lasts, by three methods. Pure: instants are parameters, money is whole millionths.
//!
//! - The pace of now: what was spent in the last three hours, as long as something was in the last half of an hour. It
//!   says something for a day at most.
//! - The last seven days, as an even rate.
//! - The same weekday: what each hour of the local week cost on average in the last eight weeks, hour after hour from now
//!   on. It knows that a fleet works on Saturday evenings. Hours are those of the zone's clocks: one that comes twice is
//!   worked twice, one that is left out is not.
//!
//! Below [`CHARGES_MIN`] charges or [`DATA_MS_MIN`] of data a method says nothing.

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;

use crate::calendar::{Bucket, TimeRange, local_time, spans};

/// Fewest charges that a method says something from.
pub const CHARGES_MIN: i64 = 20;
/// Shortest time from the first of them on.
pub const DATA_MS_MIN: i64 = 30 * 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// What the pace of now looks back at.
pub const PACE_MS: i64 = 3 * HOUR_MS;
/// Something must have been spent in the last so much, two quarters of an hour, for there to be a pace.
const PACE_GAP_MS: i64 = 30 * 60_000;
const PACE_HORIZON_MS: i64 = DAY_MS;
/// What the second method looks back at.
pub const WEEK_MS: i64 = 7 * DAY_MS;
/// What the third method looks back at: eight of each weekday.
pub const WEEKDAYS_MS: i64 = 8 * WEEK_MS;
/// Four of each weekday.
const WEEKDAYS_DATA_MS_MIN: i64 = 4 * WEEK_MS;
const HORIZON_MS: i64 = 365 * DAY_MS;
/// The third method walks hour by hour.
const WALK_MS_MAX: i64 = 90 * DAY_MS;
const HOURS_OF_WEEK: usize = 7 * 24;

/// What was spent in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// Its start.
    pub start_ms: i64,
    /// Successful operations.
    pub charges: i64,
    /// In micro-units, positive, net of what was given back.
    pub micros: i128,
}

/// How it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The pace of now.
    EventPace,
    /// The last seven days.
    Last7Days,
    /// The same weekday.
    SameWeekday,
}

/// Why a method names no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too few charges, or too short a time.
    NotEnoughData,
    /// Nothing is being spent.
    NoSpend,
    /// It lasts longer than the method sees.
    BeyondHorizon,
}

/// What a method says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub method: Method,
    /// What it looked at.
    pub range: TimeRange,
    /// How many charges it found.
    pub charges: i64,
    /// What was spent in the range, in micro-units.
    pub micros: i128,
    /// The instant, or why there is none.
    pub outcome: Result<i64, Reason>,
}

impl Finding {
    /// What was spent in an hour, in micro-units.
    #[must_use]
    pub fn per_hour_micros(&self) -> i128 {
        let length_ms = i128::from(self.range.to_ms - self.range.from_ms).max(1);
        self.micros * i128::from(HOUR_MS) / length_ms
    }
}

/// What is to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    /// In micro-units.
    pub available_micros: i128,
    /// From now on.
    pub now_ms: i64,
}

/// The stretches of a window, from the first charge on. `stretch_ms` is how long each lasts.
fn since_first(spends: &[Spend], window: TimeRange, stretch_ms: i64) -> (TimeRange, i64, i128) {
    let used: Vec<&Spend> = spends.iter().filter(|spend| spend.charges != 0 || spend.micros != 0).collect();
    let first_ms = used.iter().map(|spend| spend.start_ms).min().unwrap_or(window.from_ms);
    // Of a window that is used from its beginning on, the whole is what was looked at.
    let from_ms = if first_ms < window.from_ms + stretch_ms { window.from_ms } else { first_ms };
    let range = TimeRange { from_ms: from_ms.min(window.to_ms - 1), to_ms: window.to_ms };
    (range, used.iter().map(|spend| spend.charges).sum(), used.iter().map(|spend| spend.micros).sum())
}

impl Purse {
    /// The pace of now. `spends` are the quarters of an hour of the last [`PACE_MS`].
    #[must_use]
    pub fn event_pace(self, spends: &[Spend]) -> Finding {
        let window = TimeRange { from_ms: self.now_ms - PACE_MS, to_ms: self.now_ms };
        let (range, charges, micros) = since_first(spends, window, PACE_GAP_MS / 2);
        let last_ms = spends.iter().filter(|spend| spend.charges > 0).map(|spend| spend.start_ms).max();
        let is_idle = last_ms.is_none_or(|last_ms| last_ms + PACE_GAP_MS / 2 < self.now_ms - PACE_GAP_MS);
        let outcome = if is_idle { Err(Reason::NoSpend) } else { self.even(range, charges, micros, PACE_HORIZON_MS) };
        Finding { method: Method::EventPace, range, charges, micros, outcome }
    }

    /// The last seven days. `spends` are hours of the last [`WEEK_MS`], or longer ones.
    #[must_use]
    pub fn last_7_days(self, spends: &[Spend]) -> Finding {
        let window = TimeRange { from_ms: self.now_ms - WEEK_MS, to_ms: self.now_ms };
        let recent: Vec<Spend> = spends.iter().copied().filter(|spend| spend.start_ms >= window.from_ms).collect();
        let (range, charges, micros) = since_first(&recent, window, DAY_MS);
        let outcome = self.even(range, charges, micros, HORIZON_MS);
        Finding { method: Method::Last7Days, range, charges, micros, outcome }
    }

    /// An even rate from now on.
    fn even(self, range: TimeRange, charges: i64, micros: i128, horizon_ms: i64) -> Result<i64, Reason> {
        if charges < CHARGES_MIN || range.to_ms - range.from_ms < DATA_MS_MIN {
            return Err(Reason::NotEnoughData);
        }
        if micros <= 0 {
            return Err(Reason::NoSpend);
        }
        let left = self.available_micros.max(0);
        let lasts_ms = left.saturating_mul(i128::from(range.to_ms - range.from_ms)) / micros;
        match i64::try_from(lasts_ms) {
            Ok(lasts_ms) if lasts_ms <= horizon_ms => Ok(self.now_ms + lasts_ms),
            _ => Err(Reason::BeyondHorizon),
        }
    }

    /// The same weekday. `spends` are the hours of `zone` of the last [`WEEKDAYS_MS`].
    #[must_use]
    pub fn same_weekday(self, spends: &[Spend], zone: Tz) -> Finding {
        let window = TimeRange { from_ms: self.now_ms - WEEKDAYS_MS, to_ms: self.now_ms };
        let (range, charges, micros) = since_first(spends, window, DAY_MS);
        let outcome = if charges < CHARGES_MIN || range.to_ms - range.from_ms < WEEKDAYS_DATA_MS_MIN {
            Err(Reason::NotEnoughData)
        } else if micros <= 0 {
            Err(Reason::NoSpend)
        } else {
            self.walk(&Profile::of(spends, range, zone), zone)
        };
        Finding { method: Method::SameWeekday, range, charges, micros, outcome }
    }

    fn walk(self, profile: &Profile, zone: Tz) -> Result<i64, Reason> {
        let mut left = self.available_micros;
        if left <= 0 {
            return Ok(self.now_ms);
        }
        let ahead = TimeRange { from_ms: self.now_ms, to_ms: self.now_ms + WALK_MS_MAX };
        for hour in hours(ahead, zone) {
            let length_ms = i128::from(hour.to_ms - hour.from_ms);
            let cost = profile.per_hour_micros(hour.from_ms, zone) * length_ms / i128::from(HOUR_MS);
            if cost > 0 && left <= cost {
                let part_ms = i64::try_from(left * length_ms / cost).unwrap_or(0);
                return Ok(hour.from_ms + part_ms);
            }
            left -= cost;
        }
        Err(Reason::BeyondHorizon)
    }
}

/// What an hour of the local week costs on average.
struct Profile {
    micros: [i128; HOURS_OF_WEEK],
    /// How long such hours lasted in the range, in milliseconds.
    lasted_ms: [i128; HOURS_OF_WEEK],
}

impl Profile {
    fn of(spends: &[Spend], range: TimeRange, zone: Tz) -> Self {
        let mut profile = Self { micros: [0; HOURS_OF_WEEK], lasted_ms: [0; HOURS_OF_WEEK] };
        for hour in hours(range, zone) {
            profile.lasted_ms[hour_of_week(hour.from_ms, zone)] += i128::from(hour.to_ms - hour.from_ms);
        }
        for spend in spends.iter().filter(|spend| spend.start_ms >= range.from_ms) {
            profile.micros[hour_of_week(spend.start_ms, zone)] += spend.micros;
        }
        profile
    }

    fn per_hour_micros(&self, at_ms: i64, zone: Tz) -> i128 {
        let hour = hour_of_week(at_ms, zone);
        match self.lasted_ms[hour] {
            0 => 0,
            // What was given back for good is no income.
            lasted_ms => (self.micros[hour] * i128::from(HOUR_MS) / lasted_ms).max(0),
        }
    }
}

/// The local hours of a range, cut at its ends.
fn hours(range: TimeRange, zone: Tz) -> impl Iterator<Item = TimeRange> {
    // Fewer than there can be in the longest range, half hours of odd zones included.
    let all = spans(range, Bucket::Hour, zone, range.to_ms, 10_000).unwrap_or_default();
    all.into_iter().map(|span| TimeRange { from_ms: span.start_ms, to_ms: span.end_ms })
}

fn hour_of_week(at_ms: i64, zone: Tz) -> usize {
    let at = local_time(zone, at_ms);
    let hour = at.weekday().num_days_from_monday() * 24 + at.hour();
    usize::try_from(hour).unwrap_or(0).min(HOURS_OF_WEEK - 1)
}

/// The one to show: what happens now, else what the weekdays say, else the plain rate.
#[must_use]
pub fn choose(findings: &[Finding]) -> Option<&Finding> {
    let of = |method| findings.iter().find(|finding| finding.method == method && finding.outcome.is_ok());
    of(Method::EventPace).or_else(|| of(Method::SameWeekday)).or_else(|| of(Method::Last7Days))
}

/// Why none is shown.
#[must_use]
pub fn why_none(findings: &[Finding]) -> Reason {
    let has = |reason| findings.iter().any(|finding| finding.outcome == Err(reason));
    if has(Reason::BeyondHorizon) {
        return Reason::BeyondHorizon;
    }
    let all_idle = findings.iter().all(|finding| finding.charges == 0);
    if all_idle || !has(Reason::NotEnoughData) { Reason::NoSpend } else { Reason::NotEnoughData }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
