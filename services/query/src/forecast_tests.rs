use proptest::prelude::*;

use super::*;
use crate::calendar::parse_edge;

const QUARTER_MS: i64 = 900_000;
const DOLLAR: i128 = 1_000_000;

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

fn at(text: &str) -> i64 {
    parse_edge(text, Tz::UTC).unwrap()
}

fn purse(dollars: i128, now: &str) -> Purse {
    Purse { available_micros: dollars * DOLLAR, now_ms: at(now) }
}

/// `charges` of `micros` each, in every stretch from `from` to `to`.
fn steady(from_ms: i64, to_ms: i64, stretch_ms: i64, charges: i64, micros: i128) -> Vec<Spend> {
    let starts = (0..).map(|index| from_ms + index * stretch_ms).take_while(|start_ms| *start_ms < to_ms);
    starts.map(|start_ms| Spend { start_ms, charges, micros: micros * i128::from(charges) }).collect()
}

#[test]
fn at_the_pace_of_now_money_lasts_until() {
    // 10 charges of 0.20 a quarter are 8 dollars an hour.
    let purse = purse(84, "2026-11-21T21:00:00Z");
    let spends = steady(purse.now_ms - PACE_MS, purse.now_ms, QUARTER_MS, 10, 200_000);
    let finding = purse.event_pace(&spends);
    assert_eq!((finding.charges, finding.micros, finding.per_hour_micros()), (120, 24 * DOLLAR, 8 * DOLLAR));
    assert_eq!(finding.outcome, Ok(at("2026-11-22T07:30:00Z")));

    // A party that began an hour ago is measured from its beginning on.
    let hour = steady(purse.now_ms - HOUR_MS, purse.now_ms, QUARTER_MS, 10, 200_000);
    let finding = purse.event_pace(&hour);
    assert_eq!((finding.range.from_ms, finding.per_hour_micros()), (purse.now_ms - HOUR_MS, 8 * DOLLAR));
}

#[test]
fn the_pace_needs_charges_time_and_somebody_at_work() {
    let purse = purse(100, "2026-11-21T21:00:00Z");
    let pace = |spends: &[Spend]| purse.event_pace(spends).outcome;
    let now_ms = purse.now_ms;
    assert_eq!(pace(&[]), Err(Reason::NoSpend));
    // 19 charges are too few, 20 in two quarters are not.
    let few = [
        Spend { start_ms: now_ms - HOUR_MS, charges: 18, micros: 1 },
        Spend { start_ms: now_ms - 1, charges: 1, micros: 1 },
    ];
    assert_eq!(pace(&few), Err(Reason::NotEnoughData));
    let enough = steady(now_ms - DATA_MS_MIN, now_ms, QUARTER_MS, 10, 1_000_000);
    assert!(pace(&enough).is_ok());
    let short = steady(now_ms - QUARTER_MS, now_ms, QUARTER_MS, 100, 1_000_000);
    assert_eq!(pace(&short), Err(Reason::NotEnoughData));
    // Nobody has worked for more than half an hour.
    assert_eq!(pace(&steady(now_ms - PACE_MS, now_ms - HOUR_MS, QUARTER_MS, 10, 1_000)), Err(Reason::NoSpend));
    // 100 dollars at 4 cents an hour.
    assert_eq!(pace(&steady(now_ms - PACE_MS, now_ms, QUARTER_MS, 10, 1_000)), Err(Reason::BeyondHorizon));
}

#[test]
fn the_last_seven_days_are_an_even_rate() {
    let purse = purse(70, "2026-11-21T21:00:00Z");
    let week = steady(purse.now_ms - WEEK_MS, purse.now_ms, HOUR_MS, 1, 250_000);
    let finding = purse.last_7_days(&week);
    // 42 dollars a week: 70 last 11 days and 16 hours.
    assert_eq!((finding.charges, finding.micros), (168, 42 * DOLLAR));
    assert_eq!(finding.outcome, Ok(at("2026-12-03T13:00:00Z")));
    // What lies before is not looked at, and an account that is two days old is measured over two days.
    let older = steady(purse.now_ms - 3 * WEEK_MS, purse.now_ms - 2 * WEEK_MS, HOUR_MS, 9, DOLLAR);
    assert_eq!(purse.last_7_days(&older).outcome, Err(Reason::NotEnoughData));
    let young = steady(purse.now_ms - 2 * DAY_MS, purse.now_ms, HOUR_MS, 1, 250_000);
    assert_eq!(purse.last_7_days(&young).per_hour_micros(), 250_000);
    // More given back than spent is no spend; a debt has run out already; and a year is the horizon.
    let negative = steady(purse.now_ms - WEEK_MS, purse.now_ms, HOUR_MS, 1, -1);
    assert_eq!(purse.last_7_days(&negative).outcome, Err(Reason::NoSpend));
    let debt = Purse { available_micros: -5, ..purse };
    assert_eq!(debt.last_7_days(&week).outcome, Ok(purse.now_ms));
    let rich = Purse { available_micros: 1_000_000 * DOLLAR, ..purse };
    assert_eq!(rich.last_7_days(&week).outcome, Err(Reason::BeyondHorizon));
}

/// 60 dollars between 20:00 and 23:00 of every Saturday of eight weeks before `now_ms`.
fn saturdays(now_ms: i64, zone: Tz) -> Vec<Spend> {
    let range = TimeRange { from_ms: now_ms - WEEKDAYS_MS, to_ms: now_ms };
    let evening = |ms: i64| (5 * 24 + 20..5 * 24 + 23).contains(&hour_of_week(ms, zone));
    hours(range, zone)
        .filter(|hour| evening(hour.from_ms))
        .map(|hour| Spend { start_ms: hour.from_ms, charges: 100, micros: 20 * DOLLAR })
        .collect()
}

#[test]
fn a_fleet_that_works_on_saturdays_runs_out_on_a_saturday_evening() {
    let zone = zone("America/New_York");
    // A Wednesday; 90 dollars are a Saturday and half of the next one.
    let purse = purse(90, "2026-07-15T12:00:00Z");
    let spends = saturdays(purse.now_ms, zone);
    let finding = purse.same_weekday(&spends, zone);
    assert_eq!(finding.outcome, Ok(parse_edge("2026-07-25T21:30:00-04:00", zone).unwrap()));
    // The even rate of the last week would have said something else.
    assert_ne!(purse.last_7_days(&spends).outcome, finding.outcome);
    let rich = Purse { available_micros: 100_000 * DOLLAR, ..purse };
    assert_eq!(rich.same_weekday(&spends, zone).outcome, Err(Reason::BeyondHorizon));
    let debt = Purse { available_micros: 0, ..purse };
    assert_eq!(debt.same_weekday(&spends, zone).outcome, Ok(purse.now_ms));
}

#[test]
fn local_hours_stay_local_when_the_clocks_change() {
    // New York goes back on 2026-11-01, Lord Howe by half an hour forward on 2026-10-04.
    for (name, now, runs_out) in [
        ("America/New_York", "2026-10-28T12:00:00Z", "2026-11-07T20:00:00-05:00"),
        ("Australia/Lord_Howe", "2026-09-30T12:00:00Z", "2026-10-10T20:00:00+11:00"),
        ("Asia/Kathmandu", "2026-09-30T12:00:00Z", "2026-10-10T20:00:00+05:45"),
    ] {
        let zone = zone(name);
        // One Saturday and the first cent of the next.
        let available_micros = 60 * DOLLAR + 1;
        let purse = Purse { available_micros, now_ms: at(now) };
        let found = purse.same_weekday(&saturdays(purse.now_ms, zone), zone).outcome.unwrap();
        assert_eq!(crate::calendar::edge_text(found, zone), runs_out, "{name}");
    }
}

#[test]
fn an_hour_that_comes_twice_is_worked_twice() {
    // A dollar in every hour: on the Sunday of 25 hours 24.5 dollars last half an hour less than the day.
    let zone = zone("America/New_York");
    let now_ms = parse_edge("2026-11-01", zone).unwrap();
    let spends: Vec<Spend> = hours(TimeRange { from_ms: now_ms - WEEKDAYS_MS, to_ms: now_ms }, zone)
        .map(|hour| Spend { start_ms: hour.from_ms, charges: 1, micros: DOLLAR })
        .collect();
    let purse = Purse { available_micros: 24_500_000, now_ms };
    assert_eq!(purse.same_weekday(&spends, zone).outcome, Ok(parse_edge("2026-11-01T23:30:00-05:00", zone).unwrap()));
}

#[test]
fn the_weekdays_need_four_weeks() {
    let zone = Tz::UTC;
    let purse = purse(90, "2026-07-15T12:00:00Z");
    let all = saturdays(purse.now_ms, zone);
    let young: Vec<Spend> = all.iter().copied().filter(|spend| spend.start_ms > purse.now_ms - 3 * WEEK_MS).collect();
    assert_eq!(purse.same_weekday(&young, zone).outcome, Err(Reason::NotEnoughData));
}

#[test]
fn what_happens_now_goes_before_what_is_usual() {
    let range = TimeRange { from_ms: 0, to_ms: HOUR_MS };
    let finding = |method, outcome| Finding { method, range, charges: 30, micros: 5, outcome };
    let (pace, week, weekday) = (Method::EventPace, Method::Last7Days, Method::SameWeekday);
    let all = [finding(pace, Ok(1)), finding(week, Ok(2)), finding(weekday, Ok(3))];
    assert_eq!(choose(&all).unwrap().method, pace);
    let idle = [finding(pace, Err(Reason::NoSpend)), finding(week, Ok(2)), finding(weekday, Ok(3))];
    assert_eq!(choose(&idle).unwrap().method, weekday);
    let young = [idle[0], idle[1], finding(weekday, Err(Reason::NotEnoughData))];
    assert_eq!(choose(&young).unwrap().method, week);
    let none = [idle[0], finding(week, Err(Reason::BeyondHorizon)), young[2]];
    assert_eq!((choose(&none), why_none(&none)), (None, Reason::BeyondHorizon));
    assert_eq!(why_none(&[idle[0], young[2]]), Reason::NotEnoughData);
    assert_eq!(why_none(&[Finding { charges: 0, ..young[2] }]), Reason::NoSpend);
}

proptest! {
    #[test]
    fn more_money_never_lasts_shorter(cents in 0_i128..1_000_000, more in 0_i128..1_000_000, seed in 1_i128..50) {
        let zone = zone("Europe/Berlin");
        let now_ms = at("2026-03-28T12:00:00Z");
        let spends = steady(now_ms - WEEKDAYS_MS, now_ms, HOUR_MS, 3, seed * 100_000);
        let runs_out = |cents: i128| {
            let purse = Purse { available_micros: cents * 10_000, now_ms };
            let last = |finding: Finding| finding.outcome.unwrap_or(i64::MAX);
            (last(purse.same_weekday(&spends, zone)), last(purse.last_7_days(&spends)))
        };
        let (less, greater) = (runs_out(cents), runs_out(cents + more));
        prop_assert!(less.0 <= greater.0 && less.1 <= greater.1);
        prop_assert!(less.0 >= now_ms && less.1 >= now_ms);
    }
}
