//! Where answers of sums come from.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Where one came from; the label `source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSource {
    /// It was kept as it is.
    Memory,
    /// Its sums were kept, and carried forward.
    Carried,
    /// Somebody else had just asked.
    Joined,
    /// They were made of all sums of the account or event, which are kept.
    Cube,
    /// ClickHouse was asked.
    ClickHouse,
}

impl AnswerSource {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Memory, "memory"),
        (Self::Carried, "carried"),
        (Self::Joined, "joined"),
        (Self::Cube, "cube"),
        (Self::ClickHouse, "clickhouse"),
    ];
}

/// Answers that are kept.
#[derive(Debug, Clone)]
pub struct AnswersMetrics {
    /// Bytes of all that are kept.
    pub bytes: IntGauge,
    /// Bytes of all cubes.
    pub cubes_bytes: IntGauge,
    /// Accounts of which something was read before anybody asked.
    pub ahead_accounts: IntGauge,
    /// 1 while more of them are read.
    pub ahead_running: IntGauge,
    by_source: Vec<(AnswerSource, IntCounter)>,
}

impl AnswersMetrics {
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let bytes = IntGauge::new("tollbooth_query_answers_bytes", "Bytes of answers that are kept.")?;
        let help = "Bytes of what is kept of all sums of an account or event, by quarter of an hour.";
        let cubes_bytes = IntGauge::new("tollbooth_query_cubes_bytes", help)?;
        let help = "Accounts whose sums and newest page were read after the start, before anybody asked.";
        let ahead_accounts = IntGauge::new("tollbooth_query_read_ahead_accounts", help)?;
        let help = "1 from the start until no more accounts are read ahead.";
        let ahead_running = IntGauge::new("tollbooth_query_read_ahead_running", help)?;
        let help = "Answers of sums, and lists of events and booths, by where they came from.";
        let counters = IntCounterVec::new(Opts::new("tollbooth_query_answers_total", help), &["source"])?;
        registry.register(Box::new(bytes.clone()))?;
        registry.register(Box::new(cubes_bytes.clone()))?;
        registry.register(Box::new(ahead_accounts.clone()))?;
        registry.register(Box::new(ahead_running.clone()))?;
        registry.register(Box::new(counters.clone()))?;
        let bind = |(source, code): (AnswerSource, &str)| (source, counters.with_label_values(&[code]));
        let by_source = AnswerSource::ALL.into_iter().map(bind).collect();
        Ok(Self { bytes, cubes_bytes, ahead_accounts, ahead_running, by_source })
    }

    /// Counts one.
    pub fn count(&self, source: AnswerSource) {
        self.by_source.iter().filter(|(known, _)| *known == source).for_each(|(_, counter)| counter.inc());
    }

    /// How many there were.
    #[cfg(test)]
    pub(crate) fn counted(&self, source: AnswerSource) -> u64 {
        self.by_source.iter().filter(|(known, _)| *known == source).map(|(_, counter)| counter.get()).sum()
    }
}
