//! Metrics of the query service, bound once.

mod answers;
mod browser;
mod clickhouse;
mod pages;
mod stream;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry,
};
use tollbooth_chassis::http::HttpMetrics;
use tollbooth_chassis::trail::TrailMetrics;

pub use answers::{AnswerSource, AnswersMetrics};
pub use browser::{ForwardMetrics, Forwarded, SignIn, SignInMetrics, SignOut, SignOutMetrics};
pub use clickhouse::ClickHouseMetrics;
pub use pages::{PageSource, PagesMetrics};
pub use stream::{StreamEvent, StreamMetrics};

use crate::calendar::Bucket;

/// What is asked for; the label `endpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/accounts/{id}`
    Account,
    /// `/v1/accounts/{id}/balance`
    Balance,
    /// `/v1/accounts/{id}/summary`
    Summary,
    /// `/v1/accounts/{id}/transactions/{entry}`
    Transaction,
    /// `/v1/accounts/{id}/transactions.csv`, up to its first byte
    Csv,
    /// `/v1/accounts/{id}/events/{event}/transactions`
    EventTransactions,
    /// `/v1/accounts/{id}/stream`, up to its first byte
    Stream,
    /// `/v1/fleet/usage`
    FleetUsage,
    /// `/v1/fleet/drift`
    FleetDrift,
    /// `/v1/services`
    Services,
    /// `/v1/accounts/{id}/transactions`
    Transactions,
    /// `/v1/accounts/{id}/usage`
    Usage,
    /// `/v1/accounts/{id}/events/{event}/usage`
    EventUsage,
    /// `/v1/price-books/current`
    PriceBook,
    /// `/v1/accounts`
    Accounts,
    /// `/v1/accounts/{id}/events`
    Events,
    /// `/v1/accounts/{id}/events/{event}`
    Event,
    /// `/v1/accounts/{id}/booths`
    Booths,
    /// `/v1/accounts/{id}/forecast`
    Forecast,
    /// `/v1/accounts/{id}/events/{event}/estimate`
    Estimate,
    /// `/v1/dead-letters`
    DeadLetters,
    /// `/v1/accounts/{id}/recharge`
    Recharge,
    /// `/v1/price-books/{version}/simulate`
    Simulation,
    /// `/v1/accounts/{id}/alerts`
    Alerts,
    /// `/v1/keys`
    Keys,
    /// `/v1/audit`
    Audit,
    /// `/v1/dead-letters/{id}`
    DeadLetter,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 27] = [
        Self::Account,
        Self::Balance,
        Self::Summary,
        Self::Transactions,
        Self::Transaction,
        Self::Csv,
        Self::Usage,
        Self::EventTransactions,
        Self::EventUsage,
        Self::Stream,
        Self::FleetUsage,
        Self::FleetDrift,
        Self::PriceBook,
        Self::Services,
        Self::Accounts,
        Self::Events,
        Self::Event,
        Self::Booths,
        Self::Forecast,
        Self::Estimate,
        Self::DeadLetters,
        Self::Recharge,
        Self::Simulation,
        Self::Alerts,
        Self::Keys,
        Self::Audit,
        Self::DeadLetter,
    ];
    /// Those with buckets.
    const BUCKETED: [Self; 2] = [Self::Usage, Self::FleetUsage];

    const fn code(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Balance => "balance",
            Self::Summary => "summary",
            Self::Transaction => "transaction",
            Self::Csv => "csv",
            Self::EventTransactions => "event_transactions",
            Self::Stream => "stream",
            Self::FleetUsage => "fleet_usage",
            Self::FleetDrift => "fleet_drift",
            Self::Services => "services",
            Self::Transactions => "transactions",
            Self::Usage => "usage",
            Self::EventUsage => "event_usage",
            Self::PriceBook => "price_book",
            Self::Accounts => "accounts",
            Self::Events => "events",
            Self::Event => "event",
            Self::Booths => "booths",
            Self::Forecast => "forecast",
            Self::Estimate => "estimate",
            Self::DeadLetters => "dead_letters",
            Self::Recharge => "recharge",
            Self::Simulation => "simulation",
            Self::Alerts => "alerts",
            Self::Keys => "keys",
            Self::Audit => "audit",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// All metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests by route.
    pub http: HttpMetrics,
    /// The live view.
    pub live: LiveMetrics,
    /// Questions to ClickHouse.
    pub clickhouse: ClickHouseMetrics,
    /// Requests that wait for the entry that they name.
    pub waiting_reads: IntGauge,
    /// Server-sent events.
    pub stream: StreamMetrics,
    /// Answers that are kept.
    pub kept: AnswersMetrics,
    /// Pages that are kept.
    pub pages: PagesMetrics,
    /// Who signs in.
    pub sign_ins: SignInMetrics,
    /// Who signs out.
    pub sign_outs: SignOutMetrics,
    /// What is passed on.
    pub forward: ForwardMetrics,
    /// The audit trail.
    pub trail: TrailMetrics,
    /// By endpoint and bucket.
    answers: Vec<(Endpoint, Option<Bucket>, AnswerMetrics)>,
}

/// Metrics of the answers of one kind.
#[derive(Debug, Clone)]
struct AnswerMetrics {
    duration: Histogram,
    rows: Histogram,
}

/// Metrics of the live view.
#[derive(Debug, Clone)]
pub struct LiveMetrics {
    /// Posting to visible in a balance.
    pub ledger_to_view: Histogram,
    /// Accounts in memory.
    pub accounts: IntGauge,
    /// Bytes of newest entries in memory.
    pub recent_bytes: IntGauge,
    /// Jumps in an account's `seq`.
    pub reloads: IntCounter,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
}

/// Lag by partition.
#[derive(Debug, Clone)]
pub struct LagMetrics(Vec<(IntGauge, Gauge)>);

impl LagMetrics {
    /// Records not read yet of one partition.
    pub fn set(&self, partition: usize, records: i64) {
        if let Some((gauge, _)) = self.0.get(partition) {
            gauge.set(records.max(0));
        }
    }

    /// How long ago everything that was committed then had been read. Grows while the broker does not answer.
    pub fn set_age_ms(&self, partition: usize, age_ms: i64) {
        if let Some((_, gauge)) = self.0.get(partition) {
            // A duration for a gauge, no money: the loss of precision is nothing.
            gauge.set(age_ms.max(0) as f64 / 1_000.0);
        }
    }
}

impl LiveMetrics {
    /// Binds the lag of every partition of `topic`.
    #[must_use]
    pub fn lag(&self, topic: &str, partitions: usize) -> LagMetrics {
        let bind = |partition: usize| {
            let labels = ["tollbooth-query", topic, &partition.to_string()];
            (self.lag_records.with_label_values(&labels), self.lag_seconds.with_label_values(&labels))
        };
        LagMetrics((0..partitions).map(bind).collect())
    }
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let duration_buckets =
            vec![0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let durations = histograms(
            registry,
            "tollbooth_query_duration_seconds",
            "Time to find an answer or to refuse one, by what was asked for and the size of its buckets.",
            duration_buckets.clone(),
            &["endpoint", "bucket"],
        )?;
        let rows = histograms(
            registry,
            "tollbooth_query_rows",
            "Rows an answer was made of.",
            vec![0.0, 1.0, 10.0, 50.0, 100.0, 200.0, 1_000.0, 10_000.0, 50_000.0],
            &["endpoint", "bucket"],
        )?;
        let e2e = histograms(
            registry,
            "tollbooth_e2e_latency_seconds",
            "Time between two stages of a record's way.",
            duration_buckets,
            &["stage"],
        )?;
        let waiting = IntGauge::new("tollbooth_query_waiting_reads", "Requests that wait for the entry they name.")?;
        registry.register(Box::new(waiting.clone()))?;
        let bind = |endpoint: Endpoint, bucket: Option<Bucket>| {
            let labels = [endpoint.code(), bucket.map_or("none", Bucket::code)];
            let (duration, rows) = (durations.with_label_values(&labels), rows.with_label_values(&labels));
            (endpoint, bucket, AnswerMetrics { duration, rows })
        };
        let plain = Endpoint::ALL.into_iter().map(|endpoint| bind(endpoint, None));
        let bucketed = Endpoint::BUCKETED
            .into_iter()
            .flat_map(|endpoint| Bucket::ALL.into_iter().map(move |bucket| (endpoint, bucket)))
            .map(|(endpoint, bucket)| bind(endpoint, Some(bucket)));
        Ok(Self {
            http: HttpMetrics::register(registry, "query")?,
            live: live(registry, &e2e)?,
            stream: StreamMetrics::register(registry, &e2e)?,
            kept: AnswersMetrics::register(registry)?,
            pages: PagesMetrics::register(registry)?,
            sign_ins: SignInMetrics::register(registry)?,
            sign_outs: SignOutMetrics::register(registry)?,
            forward: ForwardMetrics::register(registry)?,
            trail: TrailMetrics::register(registry)?,
            clickhouse: ClickHouseMetrics::register(registry)?,
            waiting_reads: waiting,
            answers: plain.chain(bucketed).collect(),
        })
    }

    /// A request was answered or refused after `seconds`; `bucket` as far as it was read by then.
    pub fn ended(&self, endpoint: Endpoint, bucket: Option<Bucket>, seconds: f64) {
        if let Some(metrics) = self.answers_of(endpoint, bucket) {
            metrics.duration.observe(seconds);
        }
    }

    /// An answer was made of `rows` rows.
    pub fn answered(&self, endpoint: Endpoint, bucket: Option<Bucket>, rows: usize) {
        if let Some(metrics) = self.answers_of(endpoint, bucket) {
            metrics.rows.observe(rows as f64);
        }
    }

    fn answers_of(&self, endpoint: Endpoint, bucket: Option<Bucket>) -> Option<&AnswerMetrics> {
        self.answers.iter().find(|(e, b, _)| *e == endpoint && *b == bucket).map(|(.., metrics)| metrics)
    }
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: Vec<f64>,
    labels: &[&str],
) -> Result<HistogramVec, prometheus::Error> {
    let histograms = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
    registry.register(Box::new(histograms.clone()))?;
    Ok(histograms)
}

fn live(registry: &Registry, e2e: &HistogramVec) -> Result<LiveMetrics, prometheus::Error> {
    let accounts = IntGauge::new("tollbooth_query_live_accounts", "Accounts in memory.")?;
    let recent_bytes = IntGauge::new("tollbooth_query_live_recent_bytes", "Bytes of newest entries in memory.")?;
    let reloads = IntCounter::new("tollbooth_query_live_reloads_total", "Jumps in an account's seq.")?;
    let labels = ["group", "topic", "partition"];
    let lag_records = IntGaugeVec::new(Opts::new("tollbooth_consumer_lag_records", "Records not read yet."), &labels)?;
    let help = "How long ago everything that was committed then had been read.";
    let lag_seconds = GaugeVec::new(Opts::new("tollbooth_consumer_lag_seconds", help), &labels)?;
    registry.register(Box::new(accounts.clone()))?;
    registry.register(Box::new(recent_bytes.clone()))?;
    registry.register(Box::new(reloads.clone()))?;
    registry.register(Box::new(lag_records.clone()))?;
    registry.register(Box::new(lag_seconds.clone()))?;
    let ledger_to_view = e2e.with_label_values(&["ledger_to_view"]);
    Ok(LiveMetrics { ledger_to_view, accounts, recent_bytes, reloads, lag_records, lag_seconds })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tollbooth_chassis::{metric_table, telemetry};

    use super::*;

    #[tokio::test]
    async fn every_metric_is_documented_and_has_bounded_labels() {
        let registry = telemetry::registry("query", "0").unwrap();
        let metrics = Metrics::register(&registry).unwrap();
        drop(metrics.http.route("/v1/accounts/{id}/balance"));
        drop(metrics.live.lag("tollbooth.ledger", 1));
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        let rows = metric_table::section(&registry, |name| !metric_table::is_common(name)).unwrap();
        metric_table::keep(&document, "query", &rows).unwrap();
    }
}
