//! What booths spend by the hour, of accounts alone that want to be told of a spike.
//!
//! An hour is an hour of UTC of the occurrence, so that a booth that was offline is held against its own past and not
//! against the hour in which its reports came. An hour without a charge is none: a booth rests between parties. Of each
//! booth the newest hour is kept and those before it that its average is of; of an account so many booths. Nothing else
//! goes in, so that a replay comes to the same.

use std::sync::Arc;

use tollbooth_schemas::v1::BoothSpike;

/// Most booths of an account that are looked at.
pub const SPIKE_BOOTHS_MAX: usize = 1_000;
/// Most hours before the newest one that an average is of.
pub const SPIKE_HOURS_MAX: usize = 24;
/// An average of fewer hours says nothing.
pub const SPIKE_HOURS_MIN: usize = 6;
/// A booth without a charge for so many hours makes room for another one: 35 days.
const IDLE_HOURS: i64 = 840;
const HOUR_MS: i64 = 3_600_000;

/// An hour with a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hour {
    /// Counted from the epoch.
    pub(crate) hour: i64,
    /// In micro-units.
    pub(crate) spent: u64,
}

/// What a booth spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booth {
    pub(crate) id: Box<str>,
    /// Ascending, the last one is the newest; one at least.
    pub(crate) hours: Vec<Hour>,
    /// The entry that set the rules by which it was told of and not armed since; 0: none.
    pub(crate) told_by: u64,
}

/// The booths of an account.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Booths {
    /// By id. Every batch clones the list, and of the booths only those that it changes.
    pub(crate) list: Vec<Arc<Booth>>,
    /// The hour of posting in which room was last looked for.
    pub(crate) swept_hour: i64,
}

/// A charge of a booth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoothCharge<'a> {
    pub(crate) booth_id: &'a str,
    pub(crate) micros: u64,
    pub(crate) occurred_at_ms: i64,
    pub(crate) posted_at_ms: i64,
}

/// An hour that is far above what a booth used to spend. Amounts are micro-units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spike {
    pub(crate) hour_at_ms: i64,
    pub(crate) spent: i128,
    /// What the hour reached.
    pub(crate) threshold: i128,
    /// The average, rounded down, and of how many hours it is.
    pub(crate) usual: i128,
    pub(crate) hours: u32,
}

/// Times before the epoch have hours, too.
fn hour_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(HOUR_MS)
}

impl Booths {
    /// Takes a charge in; gives back the spike that is to be told. `set_seq`: of the entry that set the rule.
    pub(crate) fn charge(&mut self, rule: &BoothSpike, set_seq: u64, charge: BoothCharge<'_>) -> Option<Spike> {
        let hour = hour_of(charge.occurred_at_ms);
        match self.list.binary_search_by(|booth| (*booth.id).cmp(charge.booth_id)) {
            Ok(at) => Arc::make_mut(self.list.get_mut(at)?).charge(rule, set_seq, Hour { hour, spent: charge.micros }),
            Err(_) => {
                self.begin(charge, hour);
                None
            }
        }
    }

    /// The first charge of a booth, or of one that made room. Where there is none for it, it is not looked at.
    fn begin(&mut self, charge: BoothCharge<'_>, hour: i64) {
        if self.list.len() >= SPIKE_BOOTHS_MAX {
            // Once an hour, however many there are that find no room.
            let posted_hour = hour_of(charge.posted_at_ms);
            if posted_hour <= self.swept_hour {
                return;
            }
            self.swept_hour = posted_hour;
            let kept_from = posted_hour.saturating_sub(IDLE_HOURS);
            self.list.retain(|booth| booth.newest().is_some_and(|newest| newest >= kept_from));
            if self.list.len() >= SPIKE_BOOTHS_MAX {
                return;
            }
        }
        let at = self.list.partition_point(|booth| *booth.id < *charge.booth_id);
        let hours = vec![Hour { hour, spent: charge.micros }];
        self.list.insert(at, Arc::new(Booth { id: charge.booth_id.into(), hours, told_by: 0 }));
    }

    /// Whether they are in their order and within their bounds.
    pub(crate) fn is_in_order(&self) -> bool {
        self.list.len() <= SPIKE_BOOTHS_MAX
            && self.list.is_sorted_by(|one, next| one.id < next.id)
            && self.list.iter().all(|booth| booth.is_in_order())
    }
}

impl Booth {
    fn newest(&self) -> Option<i64> {
        self.hours.last().map(|hour| hour.hour)
    }

    fn is_in_order(&self) -> bool {
        let within = (1..=SPIKE_HOURS_MAX.saturating_add(1)).contains(&self.hours.len());
        within
            && self.hours.is_sorted_by(|one, next| one.hour < next.hour)
            && self.hours.iter().all(|hour| hour.spent > 0)
    }

    fn charge(&mut self, rule: &BoothSpike, set_seq: u64, charge: Hour) -> Option<Spike> {
        let newest = self.newest()?;
        if charge.hour < newest {
            self.add_late(charge);
            return None;
        }
        if charge.hour > newest {
            // The hour before this one is over: it was below, or nothing was spent in it.
            let is_rested = charge.hour > newest.saturating_add(1);
            if is_rested || self.spike(rule).is_none() {
                self.told_by = 0;
            }
            self.hours.push(charge);
            self.forget_oldest();
        } else if let Some(hour) = self.hours.last_mut() {
            hour.spent = hour.spent.saturating_add(charge.spent);
        }
        let spike = self.spike(rule).filter(|_| self.told_by != set_seq)?;
        self.told_by = set_seq;
        Some(spike)
    }

    /// It counts for the average, and tells nothing.
    fn add_late(&mut self, charge: Hour) {
        let at = self.hours.partition_point(|hour| hour.hour < charge.hour);
        match self.hours.get_mut(at).filter(|hour| hour.hour == charge.hour) {
            Some(hour) => hour.spent = hour.spent.saturating_add(charge.spent),
            None => {
                self.hours.insert(at, charge);
                self.forget_oldest();
            }
        }
    }

    fn forget_oldest(&mut self) {
        if self.hours.len() > SPIKE_HOURS_MAX.saturating_add(1) {
            self.hours.remove(0);
        }
    }

    /// Of the newest hour, by what is known now.
    fn spike(&self, rule: &BoothSpike) -> Option<Spike> {
        let (newest, past) = self.hours.split_last()?;
        if past.len() < SPIKE_HOURS_MIN {
            return None;
        }
        let sum = past.iter().fold(0_i128, |sum, hour| sum.saturating_add(hour.spent.into()));
        let hours = i128::try_from(past.len()).ok()?;
        // Rounded up: what reaches it is no less than so many times the average, exactly.
        let times = sum.saturating_mul(rule.times.into()).saturating_add(hours).saturating_sub(1).checked_div(hours)?;
        let threshold = times.max(rule.at_least_micros.into());
        let spent = i128::from(newest.spent);
        (spent >= threshold).then_some(Spike {
            hour_at_ms: newest.hour.saturating_mul(HOUR_MS),
            spent,
            threshold,
            usual: sum.checked_div(hours)?,
            hours: u32::try_from(past.len()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const RULE: BoothSpike = BoothSpike { times: 5, at_least_micros: 1_000 };

    fn charge(booth_id: &str, hour: i64, micros: u64) -> BoothCharge<'_> {
        let at_ms = hour * HOUR_MS + 7;
        BoothCharge { booth_id, micros, occurred_at_ms: at_ms, posted_at_ms: at_ms }
    }

    /// A booth that spent 100 in each of these hours.
    fn with_past(hours: std::ops::Range<i64>) -> Booths {
        let mut booths = Booths::default();
        for hour in hours {
            assert_eq!(booths.charge(&RULE, 1, charge("bth_1", hour, 100)), None);
        }
        booths
    }

    fn spent(booths: &Booths) -> Vec<(i64, u64)> {
        booths.list[0].hours.iter().map(|hour| (hour.hour, hour.spent)).collect()
    }

    #[test]
    fn the_charge_that_reaches_both_is_told_once_an_hour() {
        let mut booths = with_past(500..506);
        assert_eq!(booths.charge(&RULE, 1, charge("bth_1", 520, 999)), None, "500 would do, 1,000 is asked for");
        let spike = Spike { hour_at_ms: 520 * HOUR_MS, spent: 1_000, threshold: 1_000, usual: 100, hours: 6 };
        assert_eq!(booths.charge(&RULE, 1, charge("bth_1", 520, 1)), Some(spike));
        assert_eq!(booths.charge(&RULE, 1, charge("bth_1", 520, 9_000)), None);
    }

    #[test]
    fn a_share_of_a_micro_unit_is_enough_to_stay_below() {
        // given 601 in 6 hours: five times the average is 500.83
        let rule = BoothSpike { times: 5, at_least_micros: 0 };
        let given = || {
            let mut booths = with_past(500..506);
            booths.charge(&rule, 1, charge("bth_1", 500, 1));
            booths
        };
        assert_eq!(given().charge(&rule, 1, charge("bth_1", 520, 500)), None);
        let spike = given().charge(&rule, 1, charge("bth_1", 520, 501)).unwrap();
        assert_eq!((spike.threshold, spike.usual), (501, 100));
    }

    #[test]
    fn too_little_past_says_nothing() {
        let mut booths = with_past(500..505);
        assert_eq!(booths.charge(&RULE, 1, charge("bth_1", 505, 1_000_000)), None);
        assert!(booths.charge(&RULE, 1, charge("bth_1", 506, 2_000_000)).is_some());
    }

    #[test]
    fn it_is_armed_by_an_hour_that_ends_below_or_is_empty() {
        let told = |hour: i64, micros: u64, booths: &mut Booths| {
            booths.charge(&RULE, 1, charge("bth_1", hour, micros)).is_some()
        };
        let mut booths = with_past(500..524);
        // 24 hours of 100: 1,000 is reached, and in the next hour again, of an average of 137.
        assert!(told(524, 1_000, &mut booths));
        assert!(!told(525, 1_000, &mut booths), "the hour before it was no better");
        // The hour ends below what it takes.
        assert!(!told(526, 100, &mut booths));
        assert!(told(527, 2_000, &mut booths));
        // Nothing is spent in an hour.
        assert!(told(529, 3_000, &mut booths));
    }

    #[test]
    fn other_rules_tell_anew() {
        let mut booths = with_past(500..506);
        assert!(booths.charge(&RULE, 1, charge("bth_1", 506, 1_000)).is_some());
        assert_eq!(booths.charge(&RULE, 1, charge("bth_1", 506, 1)), None);
        assert!(booths.charge(&RULE, 9, charge("bth_1", 506, 1)).is_some());
    }

    #[test]
    fn a_late_charge_takes_its_place_and_tells_nothing() {
        let mut booths = with_past(500..506);
        for (hour, micros) in [(503, 9_000), (498, 7), (504, 1)] {
            assert_eq!(booths.charge(&RULE, 1, charge("bth_1", hour, micros)), None);
        }
        assert_eq!(
            spent(&booths),
            [(498, 7), (500, 100), (501, 100), (502, 100), (503, 9_100), (504, 101), (505, 100)]
        );
    }

    #[test]
    fn hours_beyond_those_of_an_average_are_forgotten() {
        let mut booths = with_past(500..530);
        assert_eq!((spent(&booths).len(), spent(&booths)[0]), (25, (505, 100)));
        booths.charge(&RULE, 1, charge("bth_1", 504, 5));
        assert_eq!(spent(&booths)[0], (505, 100));
    }

    #[test]
    fn a_booth_beyond_the_limit_is_looked_at_once_another_one_rests() {
        let mut booths = Booths::default();
        for number in 0..SPIKE_BOOTHS_MAX {
            let hour = if number == 500 { 500 } else { 500 + IDLE_HOURS };
            booths.charge(&RULE, 1, charge(&format!("bth_{number:04}"), hour, 1));
        }
        let is_known = |booths: &Booths, id: &str| booths.list.iter().any(|booth| &*booth.id == id);
        // 840 hours after its charge the oldest one has its place still,
        booths.charge(&RULE, 1, charge("bth_new", 500 + IDLE_HOURS, 1));
        assert_eq!((is_known(&booths, "bth_new"), booths.list.len()), (false, SPIKE_BOOTHS_MAX));
        // an hour later it makes room, for one.
        for id in ["bth_new", "bth_newer"] {
            booths.charge(&RULE, 1, charge(id, 501 + IDLE_HOURS, 1));
        }
        assert_eq!((is_known(&booths, "bth_0500"), is_known(&booths, "bth_0499")), (false, true));
        assert_eq!((is_known(&booths, "bth_new"), is_known(&booths, "bth_newer")), (true, false));
        assert!(booths.is_in_order());
    }

    /// All charges, in lists that are searched from the start.
    fn by_hand(charges: &[(usize, i64, u64)]) -> Vec<bool> {
        let mut told = [false; 2];
        let crossed = |known: &[(usize, i64, u64)], booth: usize, hour: i64| {
            let mut hours: BTreeMap<i64, i128> = BTreeMap::new();
            for (_, at, micros) in known.iter().filter(|(of, at, _)| *of == booth && *at <= hour) {
                *hours.entry(*at).or_default() += i128::from(*micros);
            }
            let spent = hours.remove(&hour).unwrap_or_default();
            let past: Vec<i128> = hours.into_values().rev().take(24).collect();
            let count = i128::try_from(past.len()).unwrap();
            count >= 6 && spent * count >= 5 * past.iter().sum::<i128>() && spent >= 1_000
        };
        let judge = |(number, (booth, hour, _)): (usize, &(usize, i64, u64))| {
            let (before, with) = (&charges[..number], &charges[..=number]);
            let newest = before.iter().filter(|(of, ..)| of == booth).map(|(_, at, _)| *at).max();
            if newest.is_some_and(|newest| *hour < newest) {
                return false;
            }
            if newest != Some(*hour) && !crossed(before, *booth, *hour - 1) {
                told[*booth] = false;
            }
            let is_told = crossed(with, *booth, *hour) && !told[*booth];
            told[*booth] |= is_told;
            is_told
        };
        charges.iter().enumerate().map(judge).collect()
    }

    proptest! {
        /// Given charges of two booths in any order of hours, then those are told that all charges together say.
        #[test]
        fn what_is_kept_is_enough(
            drawn in prop::collection::vec((0_usize..2, -3_i64..3, 0_usize..5), 1..160),
        ) {
            let mut now = 500;
            let charges: Vec<(usize, i64, u64)> = drawn.into_iter().map(|(booth, step, amount)| {
                now += step.max(0);
                (booth, now + step.min(0) * 9, [1, 90, 100, 400, 2_500][amount])
            }).collect();
            let mut booths = Booths::default();
            let names = ["bth_1", "bth_2"];
            let told: Vec<bool> = charges.iter()
                .map(|(booth, hour, micros)| booths.charge(&RULE, 1, charge(names[*booth], *hour, *micros)).is_some())
                .collect();
            prop_assert_eq!(told, by_hand(&charges));
            prop_assert!(booths.is_in_order());
        }
    }
}
