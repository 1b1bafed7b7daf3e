//! Cutting a range into buckets.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use super::{Bucket, QUARTER_MS, TimeRange};

/// One bucket of a range: `[start_ms, end_ms)`, cut where the range begins or ends inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First millisecond.
    pub start_ms: i64,
    /// First millisecond after it.
    pub end_ms: i64,
    /// Whether the range begins or ends inside the bucket, or it has not ended yet.
    pub partial: bool,
}

/// The range has more buckets than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} buckets")]
pub struct TooManyBuckets {
    /// The bound.
    pub max: usize,
}

/// Cuts `range` into the buckets of `zone`: contiguous, half-open, covering exactly the range. A bucket that has not
/// ended at `now_ms` is partial.
///
/// # Errors
/// [`TooManyBuckets`] as soon as there are more than `max`.
pub fn spans(range: TimeRange, bucket: Bucket, zone: Tz, now_ms: i64, max: usize) -> Result<Vec<Span>, TooManyBuckets> {
    let mut spans = Vec::new();
    let mut walk = Walk::new(bucket, zone, range.from_ms);
    while walk.start_ms < range.to_ms {
        let end_ms = walk.end_ms();
        if spans.len() == max {
            return Err(TooManyBuckets { max });
        }
        let cut = walk.start_ms < range.from_ms || end_ms > range.to_ms;
        spans.push(Span {
            start_ms: walk.start_ms.max(range.from_ms),
            end_ms: end_ms.min(range.to_ms),
            partial: cut || end_ms > now_ms,
        });
        walk.start_ms = end_ms;
    }
    Ok(spans)
}

/// Steps from one bucket edge to the next.
struct Walk {
    bucket: Bucket,
    zone: Tz,
    start_ms: i64,
    /// Local date on which the next calendar bucket (day and longer) begins.
    next: NaiveDate,
}

impl Walk {
    /// At the start of the bucket that `at_ms` lies in.
    fn new(bucket: Bucket, zone: Tz, at_ms: i64) -> Self {
        let date = local(zone, at_ms).date();
        let mut walk = Self { bucket, zone, start_ms: at_ms, next: date };
        if let Some(unit_ms) = walk.clock_unit_ms() {
            walk.start_ms = clock_start(zone, at_ms, unit_ms);
            return walk;
        }
        let first = floor_date(bucket, date);
        walk.start_ms = start_of_date(zone, first);
        walk.next = step(bucket, first);
        // Where clocks went back over midnight the local date falls back too; the day that began stays begun.
        loop {
            let end_ms = start_of_date(zone, walk.next);
            if end_ms > at_ms {
                break;
            }
            walk.start_ms = end_ms;
            walk.next = step(bucket, walk.next);
        }
        walk
    }

    const fn clock_unit_ms(&self) -> Option<i64> {
        match self.bucket {
            Bucket::Quarter => Some(QUARTER_MS),
            Bucket::Hour => Some(4 * QUARTER_MS),
            _ => None,
        }
    }

    /// End of the bucket that begins at `start_ms`.
    fn end_ms(&mut self) -> i64 {
        if let Some(unit_ms) = self.clock_unit_ms() {
            return clock_end(self.zone, self.start_ms, unit_ms);
        }
        loop {
            let end_ms = start_of_date(self.zone, self.next);
            let next = step(self.bucket, self.next);
            // A date that a zone left out (Samoa, 30 December 2011) begins where the next one does: no bucket. At the
            // end of the calendar `step` stands still, and the bucket is open.
            if end_ms > self.start_ms {
                self.next = next;
                return end_ms;
            }
            if next == self.next {
                return i64::MAX;
            }
            self.next = next;
        }
    }
}

fn utc(ms: i64) -> DateTime<Utc> {
    // Beyond the calendar only for ranges that `resolve_range` refuses.
    DateTime::from_timestamp_millis(ms).unwrap_or(if ms < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// Offset from UTC in force at an instant.
pub(super) fn offset_ms(zone: Tz, ms: i64) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&utc(ms).naive_utc()).fix().local_minus_utc()) * 1000
}

/// What the clocks of a zone show.
#[must_use]
pub fn local(zone: Tz, ms: i64) -> NaiveDateTime {
    utc(ms.saturating_add(offset_ms(zone, ms))).naive_utc()
}

/// Start of the clock bucket that `at_ms` lies in: one offset and one local hour (or quarter) each, so that the hour
/// that comes twice makes two buckets, and one cut short by a half-hour shift is short.
fn clock_start(zone: Tz, at_ms: i64, unit_ms: i64) -> i64 {
    let offset = offset_ms(zone, at_ms);
    let start_ms = (at_ms + offset).div_euclid(unit_ms) * unit_ms - offset;
    if offset_ms(zone, start_ms) == offset {
        return start_ms;
    }
    first_with(start_ms, at_ms, |ms| offset_ms(zone, ms) == offset)
}

fn clock_end(zone: Tz, start_ms: i64, unit_ms: i64) -> i64 {
    let offset = offset_ms(zone, start_ms);
    let end_ms = ((start_ms + offset).div_euclid(unit_ms) + 1) * unit_ms - offset;
    if offset_ms(zone, end_ms - 1) == offset {
        return end_ms;
    }
    first_with(start_ms, end_ms - 1, |ms| offset_ms(zone, ms) != offset)
}

/// First instant in `(without_ms, with_ms]` for which `holds`, by halving. It holds at `with_ms`, not at `without_ms`.
fn first_with(mut without_ms: i64, mut with_ms: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while with_ms - without_ms > 1 {
        let middle_ms = without_ms + (with_ms - without_ms) / 2;
        if holds(middle_ms) {
            with_ms = middle_ms;
        } else {
            without_ms = middle_ms;
        }
    }
    with_ms
}

/// The instant a local date begins: its midnight, the earlier one of two, or where the clocks jump to if there is none.
pub(super) fn start_of_date(zone: Tz, date: NaiveDate) -> i64 {
    let midnight = date.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight).earliest() {
        Some(instant) => instant.timestamp_millis(),
        None => GapInfo::new(&midnight, &zone)
            .and_then(|gap| gap.end)
            .map_or_else(|| midnight.and_utc().timestamp_millis(), |end| end.timestamp_millis()),
    }
}

/// First date of the calendar bucket that `date` lies in.
pub(super) fn floor_date(bucket: Bucket, date: NaiveDate) -> NaiveDate {
    let floor = match bucket {
        Bucket::Quarter | Bucket::Hour | Bucket::Day => Some(date),
        Bucket::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
        Bucket::Month => date.with_day(1),
        Bucket::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1),
    };
    floor.unwrap_or(date)
}

/// First date of the calendar bucket after the one that begins on `date`.
pub(super) fn step(bucket: Bucket, date: NaiveDate) -> NaiveDate {
    let next = match bucket {
        Bucket::Quarter | Bucket::Hour | Bucket::Day => date.checked_add_days(Days::new(1)),
        Bucket::Week => date.checked_add_days(Days::new(7)),
        Bucket::Month => date.checked_add_months(Months::new(1)),
        Bucket::Year => date.checked_add_months(Months::new(12)),
    };
    next.unwrap_or(date)
}

#[cfg(test)]
#[path = "edges_tests.rs"]
mod tests;
