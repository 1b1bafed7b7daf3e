//! Whether anything grew: the second half of the samples, against stated bounds.

use serde::Serialize;

use super::sample::Sample;
use crate::curve;

/// Below it there are no halves to speak of.
pub(super) const SAMPLES_MIN: usize = 6;
/// Of the first half: connections, caches and compilers warm up in it.
const SETTLING_SHARE: usize = 10;
/// What the memory of a service may grow over the second half, by the straight line that fits best: this, or this share of
/// its mean, whichever is more. A thousand bytes an event would be gigabytes by then, a hundred bytes a gigabyte.
const GROWTH_MIB_MAX: f64 = 64.0;
const GROWTH_SHARE_MAX: f64 = 0.03;
/// How much later the second half may be than the first, by the medians of the samples: this many times, and this much.
const LATER_TIMES_MAX: f64 = 1.3;
const LATER_MS_MAX: f64 = 10.0;
/// What may wait in the second half.
const LAG_S_MAX: f64 = 10.0;
/// Of the offered rate.
const HELD_SHARE_MIN: f64 = 0.97;

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    what: String,
    unit: &'static str,
    value: f64,
    bound: f64,
    pub(crate) met: bool,
}

impl Verdict {
    fn at_most(what: impl Into<String>, unit: &'static str, value: f64, bound: f64) -> Self {
        // What cannot be told is not met.
        Self { what: what.into(), unit, value, bound, met: value <= bound }
    }

    /// What could not be looked at, or was found to be wrong.
    pub(super) fn failed(what: &str, error: &anyhow::Error) -> Self {
        Self { what: format!("{what} failed: {error:#}"), unit: "", value: 1.0, bound: 0.0, met: false }
    }

    pub(super) fn text(&self) -> String {
        let Self { what, unit, value, bound, .. } = self;
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        format!("{what}: {}{unit}, bound {}", curve::number(*value), curve::number(*bound))
    }
}

/// Something of which there must be none.
pub(super) fn none(what: &str, value: f64) -> Verdict {
    Verdict::at_most(what, "", value, 0.0)
}

/// Whether what was offered was acknowledged.
pub(super) fn rate_held(acknowledged: f64, offered: f64) -> Verdict {
    let missing = (1.0 - acknowledged / offered) * 100.0;
    Verdict::at_most("of the offered events not acknowledged in time", "%", missing, (1.0 - HELD_SHARE_MIN) * 100.0)
}

/// A value of each sample, with its name.
type Named<T> = (&'static str, fn(&Sample) -> T);

/// What the samples say.
pub(super) fn judged(samples: &[Sample]) -> Vec<Verdict> {
    let (first, second) = samples.split_at(samples.len() / 2);
    let first = &first[first.len() / SETTLING_SHARE..];
    let mut verdicts = Vec::new();
    let memory: [Named<f64>; 3] = [
        ("ingest", |sample| sample.rss_ingest_mib),
        ("meter", |sample| sample.rss_meter_mib),
        ("query", |sample| sample.rss_query_mib),
    ];
    for (service, value) in memory {
        let what = format!("memory of {service}, growth over the second half");
        let bound = (mean(second, value) * GROWTH_SHARE_MAX).max(GROWTH_MIB_MAX);
        verdicts.push(Verdict::at_most(what, "MiB", growth(second, value), bound));
    }
    let latency: [Named<Option<f64>>; 4] = [
        ("ack p50", |sample| sample.ack_p50_ms),
        ("ack p99", |sample| sample.ack_p99_ms),
        ("balance visible p50", |sample| sample.visible_p50_ms),
        ("balance visible p99", |sample| sample.visible_p99_ms),
    ];
    for (name, value) in latency {
        let (before, after) = (median(first, value), median(second, value));
        let bound = before * LATER_TIMES_MAX + LATER_MS_MAX;
        verdicts.push(Verdict::at_most(format!("{name} in the second half, median"), "ms", after, bound));
    }
    let lag: [Named<f64>; 2] = [("meter", |sample| sample.meter_lag_s), ("sink", |sample| sample.sink_lag_s)];
    for (of, value) in lag {
        let most = second.iter().map(value).fold(0.0, f64::max);
        verdicts.push(Verdict::at_most(format!("lag of the {of} in the second half, most"), "s", most, LAG_S_MAX));
    }
    // Told at the end at the latest, or nothing was looked at.
    let told: Vec<f64> = samples.iter().filter_map(|sample| sample.drift_accounts).collect();
    let drift = if told.is_empty() { f64::NAN } else { told.into_iter().fold(0.0, f64::max) };
    verdicts.push(none("accounts that drift, by the sink's watch", drift));
    verdicts
}

#[allow(clippy::cast_precision_loss)] // Some thousand samples.
fn mean(samples: &[Sample], value: fn(&Sample) -> f64) -> f64 {
    samples.iter().map(value).sum::<f64>() / samples.len() as f64
}

/// By the straight line that fits best, from the first sample to the last.
fn growth(samples: &[Sample], value: fn(&Sample) -> f64) -> f64 {
    let slope = curve::slope(samples.iter().map(|sample| (sample.at_s, value(sample))));
    let span = samples.last().map_or(0.0, |last| last.at_s) - samples.first().map_or(0.0, |first| first.at_s);
    slope.map_or(f64::NAN, |slope| slope * span)
}

/// Of the samples that have it.
fn median(samples: &[Sample], value: fn(&Sample) -> Option<f64>) -> f64 {
    let mut values: Vec<f64> = samples.iter().filter_map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half an hour of a quiet run.
    fn quiet() -> Vec<Sample> {
        let sample = |number: u32| Sample {
            at_s: f64::from(number) * 10.0,
            ack_p50_ms: Some(8.0),
            ack_p99_ms: Some(if number < 10 { 400.0 } else { 40.0 }),
            visible_p50_ms: Some(20.0),
            visible_p99_ms: Some(90.0),
            rss_ingest_mib: 60.0,
            // A store's filters.
            rss_meter_mib: 800.0 + f64::from(number) * 0.3,
            rss_query_mib: 300.0,
            sink_lag_s: 1.0,
            drift_accounts: Some(0.0),
            ..Sample::default()
        };
        (1..=180).map(sample).collect()
    }

    fn missed(samples: &[Sample]) -> Vec<String> {
        judged(samples).iter().filter(|verdict| !verdict.met).map(Verdict::text).collect()
    }

    #[test]
    fn a_quiet_run_is_flat() {
        assert_eq!(missed(&quiet()), Vec::<String>::new());
    }

    #[test]
    fn a_hundred_bytes_an_event_are_found() {
        // given a meter that keeps 100 bytes of each of 11,700 events a second
        let mut samples = quiet();
        for sample in &mut samples {
            sample.rss_meter_mib = 800.0 + sample.at_s * 11_700.0 * 100.0 / 1_048_576.0;
        }
        // when it is judged, then its memory grows, and nothing else is wrong
        let missed = missed(&samples);
        assert_eq!(missed.len(), 1, "{missed:?}");
        assert!(missed[0].starts_with("memory of meter"), "{missed:?}");
    }

    #[test]
    fn what_becomes_later_and_later_is_found() {
        let mut samples = quiet();
        for (number, sample) in (0..).zip(&mut samples) {
            sample.visible_p99_ms = Some(90.0 + f64::from(number));
            sample.sink_lag_s = f64::from(number) * 0.2;
        }
        let missed = missed(&samples);
        assert_eq!(missed.len(), 2, "{missed:?}");
        assert!(missed[0].starts_with("balance visible p99") && missed[1].starts_with("lag of the sink"), "{missed:?}");
    }

    #[test]
    fn drift_at_any_time_and_drift_that_was_not_looked_for_are_found() {
        let mut samples = quiet();
        samples[3].drift_accounts = Some(2.0);
        assert_eq!(missed(&samples), ["accounts that drift, by the sink's watch: 2, bound 0"]);
        for sample in &mut samples {
            sample.drift_accounts = None;
        }
        assert_eq!(missed(&samples).len(), 1);
    }

    #[test]
    fn a_rate_is_held_up_to_three_percent() {
        assert!(rate_held(11_500.0, 11_700.0).met);
        assert!(!rate_held(11_000.0, 11_700.0).met);
        assert!(!Verdict::failed("verify", &anyhow::anyhow!("2 accounts drift")).met);
    }
}
