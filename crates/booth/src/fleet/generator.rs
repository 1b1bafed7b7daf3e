//! The stream of records: a function of seed, population, profile and settings; wall time only shifts it.

use std::{sync::Arc, time::Duration};

use tollbooth_schemas::{
    Money, Quantity,
    time::DAY_MS,
    usage::{Mode, Status},
};

use super::{
    draft::Draft,
    fault::Fault,
    mix::{SORA_RETIRED_MS, Work},
    parties::{party_id, party_of},
    population::{Booth, Population},
    profile::Profile,
    random::{Chance, Stream},
};
use crate::{
    journal::{Expect, Via},
    report::UsageReport,
};

/// A booth that was offline for this long empties its queue.
const FLUSH_RECORDS: u32 = 420;
const OFFLINE_MS: f64 = 3.0 * 3_600_000.0;
const ERROR_CODES: &[(f64, &str)] = &[(50.0, "provider_timeout"), (30.0, "content_refused"), (20.0, "provider_error")];

/// Settings of the stream, beside the profile.
#[derive(Debug, Clone)]
pub struct GeneratorConfig {
    /// Of the random stream.
    pub seed: u64,
    /// Begins every id.
    pub run_id: String,
    /// What kind of day it is.
    pub profile: Profile,
    /// Share of records that go straight into Kafka.
    pub kafka_share: f64,
    /// Share of records whose bytes are sent once more; absent: the profile's.
    pub duplicate_share: Option<f64>,
    /// Share of work that fails.
    pub failure_share: f64,
    /// Share of failed work that is tried again.
    pub retry_share: f64,
    /// Share of booths whose clock is years off; absent: the profile's.
    pub wrong_year_share: Option<f64>,
    /// Share of records that are faults, beside those of wrong clocks.
    pub fault_share: f64,
    /// Kinds of faults, in equal parts; empty: all that can be sent.
    pub faults: Vec<Fault>,
}

impl GeneratorConfig {
    /// The profile as it is, with no other faults than its booths' clocks.
    #[must_use]
    pub fn new(seed: u64, run_id: &str, profile: Profile) -> Self {
        Self {
            seed,
            run_id: run_id.to_owned(),
            profile,
            kafka_share: 0.0,
            duplicate_share: None,
            failure_share: 0.015,
            retry_share: 0.6,
            wrong_year_share: None,
            fault_share: 0.0,
            faults: Vec::new(),
        }
    }
}

/// A booth in the middle of its flush.
struct Flush {
    booth: u32,
    sent: u32,
    back_ms: f64,
}

/// Makes drafts, one after the other, without end.
pub struct Generator {
    config: GeneratorConfig,
    population: Arc<Population>,
    chance: Chance,
    number: u64,
    flush: Option<Flush>,
}

impl Generator {
    /// The stream from its beginning.
    #[must_use]
    pub fn new(config: GeneratorConfig, population: Arc<Population>) -> Self {
        let chance = Chance::new(config.seed, Stream::Live);
        Self { config, population, chance, number: 0, flush: None }
    }

    /// The next record, as of `now_ms`. `None` only where there is no booth.
    pub fn next(&mut self, now_ms: i64) -> Option<Draft> {
        let (booth_number, back_ms) = self.place();
        let population = Arc::clone(&self.population);
        let booth = population.booth(booth_number)?;
        let number = self.number;
        self.number += 1;
        let skew_ms = self.skew_ms(booth_number);
        let occurred_at_ms = now_ms - back_ms + skew_ms;
        let work = Work::draw(&mut self.chance, occurred_at_ms);
        let failed = self.chance.chance(self.config.failure_share);
        let retried = self.chance.chance(self.config.retry_share);
        let error_code = self.chance.pick(ERROR_CODES).copied().unwrap_or("provider_error");
        let duplicate_share = self.config.duplicate_share.unwrap_or_else(|| self.config.profile.duplicate_share());
        let duplicated = self.chance.chance(duplicate_share);
        let duplicate_after = Duration::from_millis(self.millis(0.0, 4_000.0));
        let then_after = Duration::from_millis(self.millis(200.0, 3_000.0));
        let fault_drawn = self.chance.chance(self.config.fault_share);
        let fault_choice = self.chance.unit();

        let report = self.report(number, &booth, &work, occurred_at_ms)?;
        let mut draft = Draft {
            number,
            report,
            plan: booth.account.plan,
            booth_number,
            via: self.via(booth_number),
            expect: Expect::Charge,
            reason: None,
            fault: None,
            duplicate_after: duplicated.then_some(duplicate_after),
            then: None,
        };
        if let Some(years) = self.wrong_years(booth_number) {
            // It decides about all that the booth reports, so nothing else is put in, and nothing follows.
            Fault::of_wrong_year(years, draft.via).apply(&mut draft, now_ms);
            draft.report.occurred_at_ms = occurred_at_ms + years * 365 * DAY_MS;
            draft.duplicate_after = None;
        } else if fault_drawn && let Some(fault) = self.fault(fault_choice, now_ms) {
            fault.apply(&mut draft, now_ms);
            // A fault's bytes are sent once: its dead letters are counted.
            draft.duplicate_after = None;
            draft.then = fault.second(&draft).map(|second| (then_after, Box::new(second)));
        } else if failed {
            fail(&mut draft, error_code, retried.then_some(then_after));
        }
        Some(draft)
    }

    fn millis(&mut self, from: f64, to: f64) -> u64 {
        // Small and positive by its bounds.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millis = self.chance.between(from, to) as u64;
        millis
    }

    /// Which booth reports, and how long ago its work was done.
    fn place(&mut self) -> (u32, i64) {
        let profile = self.config.profile;
        let in_flush = self.chance.chance(profile.flush_share());
        let hot = self.chance.chance(profile.hot_share());
        let booths = if hot { self.first_account_booths() } else { self.population.booths() };
        let drawn = self.active_booth(booths);
        let late = self.chance.chance(profile.late_share());
        let late_ms = self.lateness_ms();
        if in_flush {
            let flush = self.flush.get_or_insert(Flush { booth: drawn, sent: 0, back_ms: late_ms });
            // Oldest first, evenly over the time offline.
            let progress = f64::from(flush.sent) / f64::from(FLUSH_RECORDS);
            let placed = (flush.booth, whole_ms(OFFLINE_MS.mul_add(1.0 - progress, flush.back_ms)));
            flush.sent += 1;
            if flush.sent >= FLUSH_RECORDS {
                self.flush = None;
            }
            return placed;
        }
        (drawn, if late { whole_ms(late_ms) } else { 0 })
    }

    fn first_account_booths(&self) -> u32 {
        self.population.accounts().first().map_or(0, |account| account.booths)
    }

    /// The booths at work are spread over the fleet: the first ones of a fixed order.
    fn active_booth(&mut self, booths: u32) -> u32 {
        let active = (f64::from(booths) * self.config.profile.active_share()).ceil().max(1.0);
        // Below `booths`, which is a u32.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = self.chance.below(active as usize) as u64;
        spread(index, booths)
    }

    /// Mostly within six hours, a tail of three days.
    fn lateness_ms(&mut self) -> f64 {
        const HOUR_MS: f64 = 3_600_000.0;
        let tail = self.chance.chance(0.03);
        let within = self.chance.between(60_000.0, 6.0 * HOUR_MS);
        if tail { within + self.chance.between(0.0, 74.0 * HOUR_MS) } else { within }
    }

    /// Normal with 2 s; one booth in a hundred is off by minutes.
    fn skew_ms(&mut self, booth: u32) -> i64 {
        let jitter = self.chance.normal(0.0, 2_000.0);
        let drawn = mix(u64::from(booth) ^ self.config.seed.rotate_left(17));
        let minutes = if drawn.is_multiple_of(100) {
            // -20 to 20 minutes, this booth's own.
            i64::try_from((drawn / 100) % 41).unwrap_or(0) - 20
        } else {
            0
        };
        whole_ms(jitter) + minutes * 60_000
    }

    /// How many years the booth's clock is ahead or behind, the whole run; `None` for nearly all.
    fn wrong_years(&self, booth: u32) -> Option<i64> {
        let share = self.config.wrong_year_share.unwrap_or_else(|| self.config.profile.wrong_year_share());
        let drawn = mix(u64::from(booth) ^ self.config.seed.rotate_left(17) ^ 0x7965_6172);
        if share_of(drawn) >= share {
            return None;
        }
        // Two at least: beyond any age that an ingest takes.
        let years = 2 + i64::try_from((drawn >> 1) % 4).unwrap_or(0);
        Some(if drawn & 1 == 0 { -years } else { years })
    }

    /// A booth always uses the same way, or its attempts could overtake each other.
    fn via(&self, booth: u32) -> Via {
        let drawn = mix(u64::from(booth) ^ 0x006b_6166_6b61);
        match (share_of(drawn) < self.config.kafka_share, drawn & 1) {
            (false, _) => Via::Http,
            (true, 0) => Via::KafkaStructured,
            (true, _) => Via::KafkaBinary,
        }
    }

    fn fault(&self, choice: f64, now_ms: i64) -> Option<Fault> {
        use clap::ValueEnum;
        let kafka = self.config.kafka_share > 0.0;
        let wanted = if self.config.faults.is_empty() { Fault::value_variants() } else { &self.config.faults };
        let possible: Vec<Fault> = wanted
            .iter()
            .copied()
            .filter(|fault| kafka || !fault.needs_kafka())
            .filter(|fault| *fault != Fault::EngineRetired || now_ms > SORA_RETIRED_MS)
            .collect();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = (choice * possible.len() as f64) as usize;
        possible.get(index).copied()
    }

    fn report(&self, number: u64, booth: &Booth<'_>, work: &Work, occurred_at_ms: i64) -> Option<UsageReport> {
        let run_id = &self.config.run_id;
        let id = format!("{run_id}-{number:08x}");
        let event_id = party_id(booth.account, run_id, party_of(booth.index)).ok();
        report(id, booth, work, occurred_at_ms, event_id)
    }
}

/// A successful report of a booth. Its operation is named after its id.
pub(crate) fn report(
    id: String,
    booth: &Booth<'_>,
    work: &Work,
    occurred_at_ms: i64,
    event_id: Option<tollbooth_schemas::EventId>,
) -> Option<UsageReport> {
    let booth_id = booth.id().ok()?;
    Some(UsageReport {
        source: format!("/booths/{booth_id}"),
        account_id: booth.account.account_id.clone(),
        occurred_at_ms,
        operation_id: format!("op_{id}"),
        id,
        attempt: 1,
        event_id,
        booth_id,
        service: work.service.to_owned(),
        engine: work.engine.to_owned(),
        variant: work.variant.map(ToOwned::to_owned),
        country: work.country.map(ToOwned::to_owned),
        unit: work.unit.to_owned(),
        quantity: Quantity::from_micros(work.quantity_micros)?,
        status: Status::Success,
        mode: Mode::Live,
        hold_id: None,
        provider_cost: Money::from_micros(work.cost_micros()),
        error_code: None,
        captured_at_ms: None,
    })
}

/// Makes it a failed attempt, with a successful one after it where it is tried again.
pub(crate) fn fail(draft: &mut Draft, error_code: &str, retry_after: Option<Duration>) {
    if let Some(after) = retry_after {
        let mut second = draft.clone();
        second.report.id = format!("{}-2", draft.report.id);
        second.report.attempt = 2;
        second.report.occurred_at_ms += i64::try_from(after.as_millis()).unwrap_or(0);
        second.duplicate_after = None;
        draft.then = Some((after, Box::new(second)));
    }
    draft.report.status = Status::Failed;
    draft.report.error_code = Some(error_code.to_owned());
    draft.report.provider_cost = None;
    draft.expect = Expect::Failed;
}

fn whole_ms(ms: f64) -> i64 {
    // Days at most.
    #[allow(clippy::cast_possible_truncation)]
    let whole = ms as i64;
    whole
}

/// A place for each index below `booths`, none twice, neighbours far apart so that no account gets them all.
fn spread(index: u64, booths: u32) -> u32 {
    let booths = u64::from(booths.max(1));
    // A step of the golden section, and without a common factor: only then does it pass every booth before it comes
    // back to the first.
    let golden = booths * 618 / 1_000;
    let step = (golden.max(1)..).find(|step| common_factor(*step, booths) == 1).unwrap_or(1);
    u32::try_from(index * step % booths).unwrap_or(0)
}

/// The largest one (Euclid).
const fn common_factor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A mixed number as a share, in `[0, 1)`.
fn share_of(mixed: u64) -> f64 {
    // 53 bits are exact in an f64.
    #[allow(clippy::cast_precision_loss)]
    let share = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

/// Spreads a number over 64 bits (the finalizer of `SplitMix64`, public domain).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_order_of_booths_is_a_permutation_of_any_fleet() {
        for booths in (1..=700).chain([1_000, 4_096, 9_973, 10_000, 10_946]) {
            let places: BTreeSet<u32> = (0..u64::from(booths)).map(|index| spread(index, booths)).collect();
            assert!(places.into_iter().eq(0..booths), "{booths}");
        }
    }

    #[test]
    fn the_booths_at_work_are_spread_over_the_fleet() {
        // given the first half of the order, every stretch of 50 booths has about half of them
        for booths in [500, 618, 1_000, 1_597, 10_000] {
            let active: BTreeSet<u32> = (0..u64::from(booths) / 2).map(|index| spread(index, booths)).collect();
            for from in (0..booths - 50).step_by(50) {
                let here = active.range(from..from + 50).count();
                assert!((18..=32).contains(&here), "{here} of 50 from {from} of {booths}");
            }
        }
    }
}
