//! The live line: how fast, how much is left to do, and a balance that moves.

use std::time::{Duration, Instant};

use super::api::{self, Api};
use super::metrics::sum;
use super::settings::Listeners;

/// Group whose lag is shown. The sink's listener has only its own, whatever that is called.
const METER_GROUP: &str = "tollbooth-meter";

/// Records that wait: for the meter, and for ClickHouse. `None` where nobody answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lag {
    pub(crate) meter: Option<f64>,
    pub(crate) sink: Option<f64>,
}

impl Lag {
    pub(crate) fn now(listeners: &Listeners) -> Self {
        let of = |listener: &str, labels: &[(&str, &str)]| {
            let text = api::metrics(&listeners.url(listener))?;
            sum(&text, "tollbooth_consumer_lag_records", labels)
        };
        Self { meter: of("meter operations", &[("group", METER_GROUP)]), sink: of("sink operations", &[]) }
    }

    /// Whether everything that was sent has become rows.
    pub(crate) fn is_none(self) -> bool {
        self.meter == Some(0.0) && self.sink == Some(0.0)
    }
}

/// Waits until nothing is left to do for anybody.
///
/// A gauge shows what its service saw when it last looked, which each does every 5 s: none of it may be older than what
/// was sent, and what the meter did up to its look, the sink sees in its next one.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    since: Option<Instant>,
}

impl Settled {
    const HOLD: Duration = Duration::from_secs(11);

    /// One more look; when it was over, once that is sure.
    pub(crate) fn see(&mut self, lag: Lag, now: Instant) -> Option<Instant> {
        self.since = lag.is_none().then(|| self.since.unwrap_or(now));
        self.since.filter(|since| now.duration_since(*since) >= Self::HOLD)
    }
}

impl std::fmt::Display for Lag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |lag: Option<f64>| lag.map_or_else(|| "?".to_owned(), |records| format!("{records:.0}"));
        write!(f, "meter lag {} · sink lag {}", text(self.meter), text(self.sink))
    }
}

/// Makes the line, from one look to the next.
#[derive(Debug)]
pub(crate) struct StatusLine {
    listeners: Listeners,
    api: Api,
    account_id: String,
    before: Option<(Instant, f64)>,
}

impl StatusLine {
    pub(crate) fn new(listeners: Listeners, api: Api, account_id: &str) -> Self {
        let mut line = Self { listeners, api, account_id: account_id.to_owned(), before: None };
        // The first look only remembers where the counter stands.
        line.events_per_second();
        line
    }

    /// `20 events/s · balance of acc_demo_001 81.23 USD · meter lag 0 · sink lag 12`
    pub(crate) fn make(&mut self) -> String {
        let balance = self.api.balance(&self.account_id).unwrap_or_else(|| "?".to_owned());
        let rate = self.events_per_second().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        format!("{rate} events/s · balance of {} {balance} · {}", self.account_id, Lag::now(&self.listeners))
    }

    fn events_per_second(&mut self) -> Option<f64> {
        let text = api::metrics(&self.listeners.url("ingest operations"))?;
        let accepted = sum(&text, "tollbooth_ingest_events_total", &[("result", "accepted")])?;
        let now = Instant::now();
        let (then, before) = self.before.replace((now, accepted))?;
        let seconds = now.duration_since(then).as_secs_f64();
        (seconds > 0.0).then(|| (accepted - before).max(0.0) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_of_none_counts_once_it_lasts() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let (none, some) = (Lag { meter: Some(0.0), sink: Some(0.0) }, Lag { meter: Some(0.0), sink: Some(3.0) });
        let mut settled = Settled::default();
        // What was seen before the last records came is not the end.
        for (at, lag, expected) in
            [(0, none, None), (5, some, None), (8, none, None), (18, none, None), (19, none, Some(after(8)))]
        {
            assert_eq!(settled.see(lag, after(at)), expected, "{at}");
        }
        assert_eq!(settled.see(Lag { meter: None, ..none }, after(20)), None);
    }
}
